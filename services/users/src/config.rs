//! The program's settings, all from the environment.
//!
//! [`SETTINGS`] is the one list of them: `--help` prints it, and nothing reads a
//! variable that it does not name. One struct a concern; a fault names the
//! variable and what to do, and all faults are reported at once.

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, Ipv4Addr},
    num::NonZeroUsize,
    path::PathBuf,
    str::FromStr,
    thread,
    time::Duration,
};

use crate::{auth::client_address::TrustedProxies, clock::Clock};

/// The fewest bytes of a signing key: as many as HS256's hash has (RFC 7518, 3.2).
pub const SECRET_KEY_MIN: usize = 32;

/// The key that signs tokens outside production, where none is set.
const DEVELOPMENT_SECRET_KEY: &str = "development only: anybody can read this key";

/// One to read with, which all of a worker's requests share, and one to write with.
const CONNECTIONS_PER_WORKER_MIN: usize = 2;

/// Which log lines, where nothing is said: what actix-server tells of its workers and
/// PostgreSQL of what it need not do is noise.
const LOG_FILTER: &str = "info,actix_http=off,actix_server=warn,tokio_postgres=warn";

/// A variable that the program reads.
#[derive(Debug)]
pub struct Setting {
    /// The variable's name.
    pub name: &'static str,
    /// What holds where it is not set.
    pub default: &'static str,
    /// What it is for.
    pub help: &'static str,
}

const fn setting(name: &'static str, default: &'static str, help: &'static str) -> Setting {
    Setting { name, default, help }
}

/// Every variable that the program reads.
pub const SETTINGS: &[Setting] = &[
    setting("APP_ENV", "development", "development, testing or production"),
    setting(
        "DATABASE_URL",
        "",
        "PostgreSQL, as postgres://user:password@host:5432/database; required",
    ),
    setting("DATABASE_TEST_URL", "", "the same, instead of DATABASE_URL, where APP_ENV=testing"),
    setting(
        "DATABASE_CA",
        "",
        "a PEM file of certificate authorities: PostgreSQL only by TLS, verified against it",
    ),
    setting(
        "DATABASE_POOL_SIZE",
        "10",
        "the most connections to PostgreSQL, 2 to 500, shared out evenly among the workers",
    ),
    setting(
        "SECRET_KEY",
        "a public one outside production",
        "signs the access tokens; at least 32 bytes, required in production",
    ),
    setting(
        "SECRET_KEY_PREVIOUS",
        "",
        "the key before: still accepted, so that keys can be rotated without signing anyone out",
    ),
    setting("HOST", "127.0.0.1; 0.0.0.0 in production", "the address to listen on"),
    setting("PORT", "5000", "the port to listen on; 0 takes a free one"),
    setting(
        "WORKERS",
        "one a core",
        "threads that serve; each needs two of the connections to PostgreSQL",
    ),
    setting(
        "METRICS_PORT",
        "",
        "a port for Prometheus, which reads /metrics there; none: no metrics",
    ),
    setting(
        "SHUTDOWN_TIMEOUT",
        "25",
        "seconds that requests in flight have to finish after SIGTERM",
    ),
    setting(
        "TRUSTED_PROXIES",
        "loopback and private networks",
        "networks (CIDR, comma-separated) whose X-Forwarded-For and -Proto count",
    ),
    setting(
        "CORS_ALLOWED_ORIGINS",
        "",
        "origins (comma-separated) whose pages may call the API; none: the same origin only",
    ),
    setting("THROTTLE", "on", "off lifts the limits on tries; for tests, refused in production"),
    setting(
        "THROTTLE_ADDRESS",
        "60/60",
        "tries per seconds, a client address: login, refresh and password changes together",
    ),
    setting("THROTTLE_REGISTER", "20/600", "registrations per seconds, a client address"),
    setting("THROTTLE_ACCOUNT", "10/300", "tries per seconds, an account: login, password changes"),
    setting("LOG_FORMAT", "text; json in production", "text or json, to standard output"),
    setting("RUST_LOG", LOG_FILTER, "which log lines, as in info,users=debug"),
    setting("SEED_PASSWORD", "", "seed_db: the password of the accounts that it adds"),
    setting("ADMIN_PASSWORD", "", "create_admin: the password, instead of standard input"),
    setting(
        "CLIENT_DIR",
        "",
        "the built client, served for every path that is not the API's; not in production",
    ),
];

/// The variables, read once: from the process or, in tests, from a list.
#[derive(Clone, Default)]
pub struct Env(BTreeMap<String, String>);

impl Env {
    /// The process's own environment.
    pub fn from_process() -> Self {
        let known = |name: &str| SETTINGS.iter().any(|setting| setting.name == name);
        Self(
            std::env::vars_os()
                .filter_map(|(name, value)| {
                    let name = name.into_string().ok().filter(|name| known(name))?;
                    Some((name, value.to_string_lossy().into_owned()))
                })
                .collect(),
        )
    }

    /// A variable's value; an empty one counts as not set, as in compose files.
    pub fn get(&self, name: &str) -> Option<&str> {
        debug_assert!(SETTINGS.iter().any(|setting| setting.name == name), "{name} is not listed");
        self.0.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }
}

impl<K: Into<String>, V: Into<String>, const N: usize> From<[(K, V); N]> for Env {
    fn from(variables: [(K, V); N]) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Env {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// What is wrong with the settings: a line a fault.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigError(pub Vec<String>);

impl From<String> for ConfigError {
    fn from(fault: String) -> Self {
        Self(vec![fault])
    }
}

/// Where the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// On a developer's machine.
    Development,
    /// Under test.
    Testing,
    /// For real: nothing weak is accepted.
    Production,
}

impl Environment {
    /// From APP_ENV.
    pub fn from_env(env: &Env) -> Result<Self, ConfigError> {
        match env.get("APP_ENV") {
            None | Some("development") => Ok(Self::Development),
            Some("testing") => Ok(Self::Testing),
            Some("production") => Ok(Self::Production),
            Some(other) => Err(ConfigError::from(format!(
                "APP_ENV is {other:?}; it takes development, testing or production"
            ))),
        }
    }

    /// Whether this is production.
    pub fn is_production(self) -> bool {
        self == Self::Production
    }
}

/// A value that must not be shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides `value`.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

/// How to reach PostgreSQL.
#[derive(Clone, Debug)]
pub struct DatabaseConfig {
    /// The connection URL; it may hold a password.
    pub url: Secret,
    /// The certificate authorities to verify the server against; none: no TLS.
    pub ca: Option<PathBuf>,
    /// The most connections.
    pub pool_size: usize,
    /// How many workers share them: at least two connections each.
    pub workers: usize,
}

impl DatabaseConfig {
    /// From DATABASE_URL or DATABASE_TEST_URL, DATABASE_CA, DATABASE_POOL_SIZE and WORKERS.
    pub fn from_env(env: &Env) -> Result<Self, ConfigError> {
        let variable = match Environment::from_env(env)? {
            Environment::Testing => "DATABASE_TEST_URL",
            Environment::Development | Environment::Production => "DATABASE_URL",
        };
        let Some(url) = env.get(variable) else {
            return Err(ConfigError::from(format!(
                "{variable} is not set; set it to postgres://user:password@host:5432/database"
            )));
        };
        if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err(ConfigError::from(format!(
                "{variable} is no PostgreSQL URL; it looks like postgres://user:password@host:5432/database"
            )));
        }
        let pool_size = usize::from(number(env, "DATABASE_POOL_SIZE", 10, 2..=500)?);
        let most = pool_size / CONNECTIONS_PER_WORKER_MIN;
        let workers = usize::from(number(env, "WORKERS", 0, 1..=250)?);
        if workers > most {
            return Err(ConfigError::from(format!(
                "WORKERS is {workers}; with DATABASE_POOL_SIZE at {pool_size}, two connections a \
                 worker, it takes at most {most}"
            )));
        }
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Ok(Self {
            url: Secret::new(url),
            ca: env.get("DATABASE_CA").map(PathBuf::from),
            pool_size,
            workers: if workers == 0 { cores.min(most) } else { workers },
        })
    }

    /// How many connections a worker may have.
    pub fn connections_per_worker(&self) -> usize {
        (self.pool_size / self.workers.max(1)).max(CONNECTIONS_PER_WORKER_MIN)
    }
}

/// The keys that sign access tokens.
#[derive(Clone, Debug)]
pub struct TokenConfig {
    /// Signs and verifies.
    pub key: Secret,
    /// Verifies only.
    pub previous_key: Option<Secret>,
}

impl TokenConfig {
    fn from_env(env: &Env, environment: Environment) -> Result<Self, ConfigError> {
        let key = match env.get("SECRET_KEY") {
            Some(key) => key,
            None if environment.is_production() => {
                return Err(ConfigError::from(
                    "SECRET_KEY is not set; production needs one of at least 32 bytes. \
                     Make one with: openssl rand -base64 48"
                        .to_owned(),
                ));
            }
            None => DEVELOPMENT_SECRET_KEY,
        };
        let previous = env.get("SECRET_KEY_PREVIOUS");
        if environment.is_production() {
            let named = [("SECRET_KEY", Some(key)), ("SECRET_KEY_PREVIOUS", previous)];
            for (name, key) in named.into_iter().filter_map(|(name, key)| Some((name, key?))) {
                if key.len() < SECRET_KEY_MIN {
                    return Err(ConfigError::from(format!(
                        "{name} has {} bytes; production needs at least {SECRET_KEY_MIN}. \
                         Make one with: openssl rand -base64 48",
                        key.len()
                    )));
                }
                if key == DEVELOPMENT_SECRET_KEY {
                    return Err(ConfigError::from(format!(
                        "{name} is the public development key; production needs one of its own. \
                         Make one with: openssl rand -base64 48"
                    )));
                }
            }
        }
        Ok(Self { key: Secret::new(key), previous_key: previous.map(Secret::new) })
    }
}

/// How the service listens and whom it believes.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The address to listen on.
    pub host: IpAddr,
    /// The port to listen on; 0 takes a free one.
    pub port: u16,
    /// The port of the metrics, if they are wanted; 0 takes a free one.
    pub metrics_port: Option<u16>,
    /// What requests in flight have to finish after SIGTERM.
    pub shutdown_timeout: Duration,
    /// Whose word counts on where a request comes from.
    pub trusted_proxies: TrustedProxies,
    /// Other origins whose pages may call the API.
    pub cors_allowed_origins: Vec<String>,
    /// The built client, where this process serves it.
    pub client_dir: Option<PathBuf>,
}

impl ServerConfig {
    /// From HOST, PORT, METRICS_PORT, SHUTDOWN_TIMEOUT, TRUSTED_PROXIES, CORS_ALLOWED_ORIGINS
    /// and CLIENT_DIR.
    pub fn from_env(env: &Env, environment: Environment) -> Result<Self, ConfigError> {
        let mut faults = Faults::default();
        let everywhere =
            if environment.is_production() { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::LOCALHOST };
        let host = faults.take(match env.get("HOST") {
            None => Ok(IpAddr::V4(everywhere)),
            Some(host) => IpAddr::from_str(host).map_err(|_| {
                ConfigError::from(format!("HOST is {host:?}; it takes an IP address, as 0.0.0.0"))
            }),
        });
        let port = faults.take(number(env, "PORT", 5000, 0..=65535));
        let metrics_port = faults.take(match env.get("METRICS_PORT") {
            None => Ok(None),
            Some(_) => number(env, "METRICS_PORT", 0, 0..=65535).map(Some),
        });
        let timeout = faults.take(number(env, "SHUTDOWN_TIMEOUT", 25, 1..=3600));
        let trusted_proxies = faults.take(match env.get("TRUSTED_PROXIES") {
            None => Ok(TrustedProxies::default()),
            Some(list) => TrustedProxies::parse(list)
                .map_err(|error| ConfigError::from(format!("TRUSTED_PROXIES: {error}"))),
        });
        let origins = env.get("CORS_ALLOWED_ORIGINS").unwrap_or_default();
        let origins: Vec<_> = origins
            .split(',')
            .map(str::trim)
            .filter(|origin| !origin.is_empty())
            .map(|origin| faults.take(check_origin(origin)))
            .collect();
        let client_dir = env.get("CLIENT_DIR").map(PathBuf::from);
        if client_dir.is_some() && environment.is_production() {
            faults.add(
                "CLIENT_DIR is for development; in production the client has a server of its own"
                    .to_owned(),
            );
        }
        let (
            Some(host),
            Some(port),
            Some(metrics_port),
            Some(timeout),
            Some(trusted_proxies),
            Some(origins),
        ) = (host, port, metrics_port, timeout, trusted_proxies, origins.into_iter().collect())
        else {
            return Err(faults.into());
        };
        faults.finish(Self {
            host,
            port,
            metrics_port,
            shutdown_timeout: Duration::from_secs(u64::from(timeout)),
            trusted_proxies,
            cors_allowed_origins: origins,
            client_dir,
        })
    }
}

fn check_origin(origin: &str) -> Result<String, ConfigError> {
    let authority =
        origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://")).unwrap_or("");
    if authority.is_empty() || authority.contains(['/', '*', '?', '#', '@', ' ']) {
        return Err(ConfigError::from(format!(
            "CORS_ALLOWED_ORIGINS names {origin:?}; an origin looks like https://www.example.com"
        )));
    }
    Ok(origin.to_ascii_lowercase())
}

/// How many tries, in how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// So many at once; one more after each `window / tries`.
    pub tries: u32,
    /// So long until all of them are there again.
    pub window: Duration,
}

impl Limit {
    /// How long one try takes to come back.
    pub fn interval(self) -> Duration {
        self.window / self.tries.max(1)
    }
}

/// How often things may be tried.
#[derive(Clone, Copy, Debug)]
pub struct ThrottleConfig {
    /// False lifts all limits.
    pub enabled: bool,
    /// Per client address: login, refresh, password changes.
    pub address: Limit,
    /// Per client address: registrations.
    pub register: Limit,
    /// Per account: login, password changes.
    pub account: Limit,
}

impl ThrottleConfig {
    fn from_env(env: &Env, environment: Environment) -> Result<Self, ConfigError> {
        let enabled = match env.get("THROTTLE") {
            None | Some("on") => true,
            Some("off") if environment.is_production() => {
                return Err(ConfigError::from(
                    "THROTTLE=off is for tests; production keeps its limits. Raise them with \
                     THROTTLE_ADDRESS, THROTTLE_REGISTER and THROTTLE_ACCOUNT"
                        .to_owned(),
                ));
            }
            Some("off") => false,
            Some(other) => {
                return Err(ConfigError::from(format!(
                    "THROTTLE is {other:?}; it takes on or off"
                )));
            }
        };
        Ok(Self {
            enabled,
            address: limit(env, "THROTTLE_ADDRESS", (60, 60))?,
            register: limit(env, "THROTTLE_REGISTER", (20, 600))?,
            account: limit(env, "THROTTLE_ACCOUNT", (10, 300))?,
        })
    }
}

fn limit(env: &Env, name: &str, (tries, seconds): (u32, u64)) -> Result<Limit, ConfigError> {
    let Some(text) = env.get(name) else {
        return Ok(Limit { tries, window: Duration::from_secs(seconds) });
    };
    let parsed = text.split_once('/').and_then(|(tries, seconds)| {
        let tries =
            u32::from_str(tries.trim()).ok().filter(|tries| (1..=1_000_000).contains(tries))?;
        let seconds =
            u64::from_str(seconds.trim()).ok().filter(|seconds| (1..=86_400).contains(seconds))?;
        Some(Limit { tries, window: Duration::from_secs(seconds) })
    });
    parsed.ok_or_else(|| {
        ConfigError::from(format!(
            "{name} is {text:?}; it takes TRIES/SECONDS, as {tries}/{seconds}, at most 1000000/86400"
        ))
    })
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs: one JSON object a line.
    Json,
}

/// What is logged, and how.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// How a line looks.
    pub format: LogFormat,
    /// Which lines, in `tracing_subscriber::EnvFilter`'s words.
    pub filter: String,
}

impl LogConfig {
    /// From LOG_FORMAT and RUST_LOG.
    pub fn from_env(env: &Env) -> Result<Self, ConfigError> {
        let format = match env.get("LOG_FORMAT") {
            Some("text") => LogFormat::Text,
            Some("json") => LogFormat::Json,
            Some(other) => {
                return Err(ConfigError::from(format!(
                    "LOG_FORMAT is {other:?}; it takes text or json"
                )));
            }
            None if env.get("APP_ENV") == Some("production") => LogFormat::Json,
            None => LogFormat::Text,
        };
        Ok(Self { format, filter: env.get("RUST_LOG").unwrap_or(LOG_FILTER).to_owned() })
    }
}

/// All that `users serve` needs.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the program runs.
    pub environment: Environment,
    /// How it listens.
    pub server: ServerConfig,
    /// Where its data is.
    pub database: DatabaseConfig,
    /// What signs its tokens.
    pub token: TokenConfig,
    /// What it allows in how long.
    pub throttle: ThrottleConfig,
    /// What time it is; tests set it.
    pub clock: Clock,
}

impl Config {
    /// Reads and checks all settings; every fault is reported.
    pub fn from_env(env: &Env) -> Result<Self, ConfigError> {
        let environment = Environment::from_env(env)?;
        let mut faults = Faults::default();
        let server = faults.take(ServerConfig::from_env(env, environment));
        let database = faults.take(DatabaseConfig::from_env(env));
        let token = faults.take(TokenConfig::from_env(env, environment));
        let throttle = faults.take(ThrottleConfig::from_env(env, environment));
        let (Some(server), Some(database), Some(token), Some(throttle)) =
            (server, database, token, throttle)
        else {
            return Err(faults.into());
        };
        Ok(Self { environment, server, database, token, throttle, clock: Clock::system() })
    }
}

/// Collects faults, so that a person sees all of them at once.
#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn add(&mut self, fault: String) {
        self.0.push(fault);
    }

    fn take<T>(&mut self, result: Result<T, ConfigError>) -> Option<T> {
        result.map_err(|ConfigError(faults)| self.0.extend(faults)).ok()
    }

    fn finish<T>(self, value: T) -> Result<T, ConfigError> {
        if self.0.is_empty() { Ok(value) } else { Err(self.into()) }
    }
}

impl From<Faults> for ConfigError {
    fn from(Faults(faults): Faults) -> Self {
        Self(faults)
    }
}

fn number(
    env: &Env,
    name: &str,
    default: u16,
    range: std::ops::RangeInclusive<u16>,
) -> Result<u16, ConfigError> {
    let Some(text) = env.get(name) else { return Ok(default) };
    u16::from_str(text).ok().filter(|number| range.contains(number)).ok_or_else(|| {
        let (low, high) = (range.start(), range.end());
        ConfigError::from(format!("{name} is {text:?}; it takes a number from {low} to {high}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: (&str, &str) = ("DATABASE_URL", "postgres://u:p@localhost/users");
    const KEY: (&str, &str) = ("SECRET_KEY", "0123456789abcdef0123456789abcdef");
    const PRODUCTION: (&str, &str) = ("APP_ENV", "production");

    fn fault<const N: usize>(variables: [(&str, &str); N]) -> String {
        Config::from_env(&Env::from(variables)).unwrap_err().to_string()
    }

    #[test]
    fn development_needs_only_a_database() {
        let config = Config::from_env(&Env::from([URL])).unwrap();
        assert_eq!(config.environment, Environment::Development);
        assert_eq!(config.server.port, 5000);
        assert!(config.server.host.is_loopback());
        assert!(config.throttle.enabled);
    }

    #[test]
    fn production_takes_nothing_weak() {
        assert!(fault([PRODUCTION, URL]).contains("SECRET_KEY is not set"));
        assert!(fault([PRODUCTION, URL, ("SECRET_KEY", "short")]).contains("has 5 bytes"));
        assert!(
            fault([PRODUCTION, URL, ("SECRET_KEY", DEVELOPMENT_SECRET_KEY)])
                .contains("public development key")
        );
        assert!(fault([PRODUCTION, URL, KEY, ("SECRET_KEY_PREVIOUS", "old")]).contains("has 3"));
        assert!(fault([PRODUCTION, URL, KEY, ("THROTTLE", "off")]).contains("THROTTLE=off"));
        assert!(fault([PRODUCTION, URL, KEY, ("CLIENT_DIR", "site")]).contains("CLIENT_DIR"));
        assert!(Config::from_env(&Env::from([PRODUCTION, URL, KEY])).is_ok());
    }

    #[test]
    fn all_faults_at_once() {
        let faults = fault([PRODUCTION, ("PORT", "http"), ("HOST", "here"), ("THROTTLE", "no")]);
        for name in ["PORT", "HOST", "THROTTLE", "DATABASE_URL", "SECRET_KEY"] {
            assert!(faults.lines().any(|line| line.starts_with(name)), "{name}: {faults}");
        }
    }

    #[test]
    fn a_fault_never_shows_the_url() {
        let faults = fault([("DATABASE_URL", "mysql://me:hunter2@db/x")]);
        assert!(faults.contains("DATABASE_URL") && !faults.contains("hunter2"));
        assert!(!format!("{:?}", Config::from_env(&Env::from([URL])).unwrap()).contains("u:p@"));
    }

    #[test]
    fn testing_has_a_database_of_its_own() {
        assert!(fault([("APP_ENV", "testing"), URL]).contains("DATABASE_TEST_URL is not set"));
    }

    #[test]
    fn limits() {
        let env = Env::from([URL, ("THROTTLE_ACCOUNT", "5/60")]);
        let account = Config::from_env(&env).unwrap().throttle.account;
        assert_eq!(account, Limit { tries: 5, window: Duration::from_secs(60) });
        assert_eq!(account.interval(), Duration::from_secs(12));
        for bad in ["5", "0/60", "5/0", "many/60", "5/-1"] {
            assert!(fault([URL, ("THROTTLE_ACCOUNT", bad)]).contains("TRIES/SECONDS"), "{bad}");
        }
    }

    #[test]
    fn every_worker_has_its_connections() {
        let database = |size, workers| {
            let env = [URL, ("DATABASE_POOL_SIZE", size), ("WORKERS", workers)];
            Config::from_env(&Env::from(env)).map(|config| config.database)
        };
        let shared = database("10", "4").unwrap();
        assert_eq!((shared.workers, shared.connections_per_worker()), (4, 2));
        assert_eq!(database("2", "").unwrap().workers, 1, "however many cores there are");
        assert!(database("7", "4").unwrap_err().to_string().contains("at most 3"));
        for (size, workers) in [("1", "1"), ("10", "0"), ("10", "many")] {
            assert!(database(size, workers).is_err(), "{size} {workers}");
        }
    }

    #[test]
    fn origins() {
        for bad in ["*", "www.example.com", "https://www.example.com/path", "https://"] {
            assert!(fault([URL, ("CORS_ALLOWED_ORIGINS", bad)]).contains("origin"), "{bad}");
        }
    }

    #[test]
    fn every_setting_is_explained() {
        for setting in SETTINGS {
            assert!(!setting.help.is_empty(), "{}", setting.name);
        }
    }
}
