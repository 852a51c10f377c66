//! Connections to PostgreSQL, and the pool of them.
//!
//! # Limits
//!
//! [`WAIT_LIMIT`] for a free connection of the pool, [`CONNECT_LIMIT`] for a new
//! one, [`STATEMENT_LIMIT`] for a statement and [`IDLE_IN_TRANSACTION_LIMIT`]
//! between two statements of a transaction (both kept by the server), and
//! [`UNANSWERED_LIMIT`] for a server that has vanished without a word. A server
//! process that hangs on a machine that lives is beyond them: the pool runs dry
//! then, and requests are refused after [`WAIT_LIMIT`].
//!
//! # A server that goes away and comes back
//!
//! Each connection has a task that reads from its socket, so a connection that
//! the server closes is known to be closed while it lies in the pool. A checkout
//! looks at that, which costs nothing, and makes a new connection instead. So
//! there is no `SELECT 1` on each checkout, and no failing request after a
//! restart of the server. Keep-alive probes find a server that vanished without
//! closing anything.
//!
//! # Which errors mean what
//!
//! diesel-async drops the SQLSTATE of an error, except for the few that have a
//! [`DatabaseErrorKind`] of their own. [`is_unavailable`] and
//! [`is_schema_missing`] go by the kind, and where that is `Unknown` by the
//! server's message. Messages are stable since long but translated: a server
//! with another `lc_messages` than English makes some 503 a 500, no more.
//! Errors while connecting have their SQLSTATE, for there diesel is not asked.

use std::{error::Error as StdError, fmt::Write, io, time::Duration};

use deadpool::{
    Runtime,
    managed::{self, Metrics, RecycleError, RecycleResult, Timeouts},
};
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel_async::{AsyncPgConnection, pooled_connection::PoolableConnection};
use tokio_postgres::{
    Client, Config, NoTls, Socket,
    config::{Host, SslMode},
    error::SqlState,
    tls::{MakeTlsConnect, TlsConnect},
};

pub use super::tls::TlsError;
use super::{
    link::{Driver, Link},
    tls::{Tls, take_mode},
};
use crate::config::DatabaseConfig;

/// How long a request waits for a connection while all are in use.
pub const WAIT_LIMIT: Duration = Duration::from_secs(2);
/// How long a new connection may take, from the name's look-up to the first prompt.
pub const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long one address of the server may take to accept, so that the next gets its turn.
const ADDRESS_LIMIT: Duration = Duration::from_secs(2);
/// How long a statement may run; the server cancels it then.
pub const STATEMENT_LIMIT: Duration = Duration::from_secs(10);
/// How long a transaction may do nothing; the server ends the connection then.
pub const IDLE_IN_TRANSACTION_LIMIT: Duration = Duration::from_secs(10);
/// How long what was sent may stay unacknowledged before the connection counts as lost.
pub const UNANSWERED_LIMIT: Duration = Duration::from_secs(10);
/// Silence after which a probe asks whether the server is still there; three, 5 s apart.
const PROBE_AFTER: Duration = Duration::from_secs(15);
const PROBE_INTERVAL: Duration = Duration::from_secs(5);
const PROBES: u32 = 3;

/// PostgreSQL's port, where the URL names none.
const DEFAULT_PORT: u16 = 5432;
/// Names us in `pg_stat_activity` and in the server's log.
const APPLICATION_NAME: &str = "users";

/// A pool of connections. Cheap to clone.
pub type Pool = managed::Pool<Manager>;
/// A connection of the pool, which takes it back when it is dropped.
pub type Connection = managed::Object<Manager>;
/// Why the pool gave no connection.
pub type CheckoutError = managed::PoolError<ConnectError>;

/// Why there is no connection. Never shows the password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// The URL is none.
    #[error(
        "the database URL cannot be read{hint}; it looks like \
         postgres://user:password@host:5432/database, with any of :/?#@% in the password \
         percent-encoded"
    )]
    Url {
        /// What is missing, if that is known.
        hint: &'static str,
    },
    /// The pool's own settings contradict each other; a fault of ours.
    #[error("the pool of connections cannot be made: {0}")]
    Pool(String),
    /// TLS is not set up right.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Nobody answers.
    #[error(
        "PostgreSQL at {server} cannot be reached: {cause}; check that it runs there and that the \
         database URL is right"
    )]
    Unreachable {
        /// Host and port.
        server: String,
        /// What happened.
        cause: String,
    },
    /// Somebody answers, but not by TLS or not as the one that `DATABASE_CA` vouches for.
    #[error(
        "PostgreSQL at {server} cannot be verified: {cause}; check that DATABASE_CA is the bundle of \
         its certificate authority, that the host name is the certificate's, and that the server \
         has TLS on"
    )]
    Unverified {
        /// Host and port.
        server: String,
        /// What happened.
        cause: String,
    },
    /// Not with this user and password.
    #[error(
        "PostgreSQL at {server} refuses the sign-in: {cause}; check the user and the password in \
         the database URL"
    )]
    SignIn {
        /// Host and port.
        server: String,
        /// What the server says.
        cause: String,
    },
    /// The server has no such database.
    #[error(
        "PostgreSQL at {server} has no such database: {cause}; create it, as with createdb, or \
         correct the database URL"
    )]
    NoDatabase {
        /// Host and port.
        server: String,
        /// What the server says.
        cause: String,
    },
    /// The server takes no connection, now or for another reason.
    #[error("PostgreSQL at {server} takes no connection: {cause}")]
    Refused {
        /// Host and port.
        server: String,
        /// What the server says.
        cause: String,
    },
}

/// A pool of up to `size` connections, each made when it is first needed: a server that is away
/// does not keep the service from starting.
///
/// # Errors
/// When the URL or `DATABASE_CA` is wrong, which no waiting would mend.
pub fn build(config: &DatabaseConfig, size: usize) -> Result<Pool, ConnectError> {
    let connector = Connector::new(config, STATEMENT_LIMIT)?;
    Pool::builder(Manager { connector })
        .max_size(size)
        // The limit for a new connection is the connector's own. A connection that comes back is
        // only looked at, which takes no time.
        .timeouts(Timeouts { wait: Some(WAIT_LIMIT), create: None, recycle: None })
        .runtime(Runtime::Tokio1)
        .build()
        .map_err(|error| ConnectError::Pool(error.to_string()))
}

/// One connection outside the pool. Its statements may take `statement_limit`, or
/// [`STATEMENT_LIMIT`]; zero stands for no limit.
///
/// # Errors
/// When the settings are wrong or the server does not take the connection.
pub async fn connect(
    config: &DatabaseConfig,
    statement_limit: Option<Duration>,
) -> Result<AsyncPgConnection, ConnectError> {
    let connector = Connector::new(config, statement_limit.unwrap_or(STATEMENT_LIMIT))?;
    connector.connect().await.map(Link::into_connection)
}

/// Which database the settings mean, for a person to recognise it by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The database's name.
    pub database: String,
    /// Its server's host and port.
    pub host: String,
}

/// Which database the settings mean. Nothing is connected.
///
/// # Errors
/// When the settings are wrong.
pub fn place(config: &DatabaseConfig) -> Result<Place, ConnectError> {
    let connector = Connector::new(config, STATEMENT_LIMIT)?;
    // Without a name of its own, PostgreSQL takes the user's.
    let database = connector.config.get_dbname().or(connector.config.get_user());
    let database = database.ok_or(ConnectError::Url { hint: ": it names no database" })?.to_owned();
    Ok(Place { database, host: connector.server() })
}

/// Makes the pool's connections, and looks at each before it is used again.
#[derive(Debug)]
pub struct Manager {
    connector: Connector,
}

impl managed::Manager for Manager {
    type Type = Link;
    type Error = ConnectError;

    async fn create(&self) -> Result<Link, ConnectError> {
        self.connector.connect().await
    }

    async fn recycle(&self, link: &mut Link, _: &Metrics) -> RecycleResult<ConnectError> {
        if link.has_ended() || link.is_broken() {
            return Err(RecycleError::message("closed, or left within a transaction"));
        }
        Ok(())
    }
}

/// Where and how to connect.
#[derive(Debug)]
pub(super) struct Connector {
    /// Its `Debug` leaves the password out.
    config: Config,
    tls: Tls,
}

impl Connector {
    pub(super) fn new(
        settings: &DatabaseConfig,
        statement_limit: Duration,
    ) -> Result<Self, ConnectError> {
        let (url, mode) = take_mode(settings.url.expose())?;
        let tls = Tls::new(mode, settings.ca.as_deref())?;
        // What the parser says may repeat a part of the URL, and with it of the password.
        let mut config = url.parse::<Config>().map_err(|_| ConnectError::Url { hint: "" })?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(ConnectError::Url { hint: ": it names no host" });
        }
        config.ssl_mode(match tls {
            Tls::Off => SslMode::Disable,
            Tls::Verified(_) => SslMode::Require,
        });
        config
            .keepalives(true)
            .keepalives_idle(PROBE_AFTER)
            .keepalives_interval(PROBE_INTERVAL)
            .keepalives_retries(PROBES)
            .tcp_user_timeout(UNANSWERED_LIMIT);
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(ADDRESS_LIMIT);
        }
        if config.get_application_name().is_none() {
            config.application_name(APPLICATION_NAME);
        }
        let idle_limit = statement_limit.min(IDLE_IN_TRANSACTION_LIMIT);
        let options = format!(
            "-c statement_timeout={} -c idle_in_transaction_session_timeout={} {}",
            statement_limit.as_millis(),
            idle_limit.as_millis(),
            // The last one counts, so the URL has the last word.
            config.get_options().unwrap_or_default(),
        );
        config.options(options.trim_end());
        Ok(Self { config, tls })
    }

    pub(super) async fn connect(&self) -> Result<Link, ConnectError> {
        let connecting = async {
            let (client, driver) = match &self.tls {
                Tls::Off => self.connect_by(NoTls).await?,
                Tls::Verified(tls) => self.connect_by(tls.clone()).await?,
            };
            let connection = AsyncPgConnection::try_from(client).await;
            let connection = connection.map_err(|error| self.unreachable(error.to_string()))?;
            Ok(Link::new(connection, driver))
        };
        tokio::time::timeout(CONNECT_LIMIT, connecting).await.unwrap_or_else(|_| {
            let seconds = CONNECT_LIMIT.as_secs();
            Err(self.unreachable(format!("no answer within {seconds} s")))
        })
    }

    async fn connect_by<T>(&self, tls: T) -> Result<(Client, Driver), ConnectError>
    where
        T: MakeTlsConnect<Socket> + Send,
        T::Stream: Unpin + Send + 'static,
        T::TlsConnect: Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        let (client, connection) =
            self.config.connect(tls).await.map_err(|error| self.explain(&error))?;
        Ok((client, Driver::start(connection)))
    }

    fn explain(&self, error: &tokio_postgres::Error) -> ConnectError {
        let server = self.server();
        if let Some(db) = error.as_db_error() {
            let cause = db.message().to_owned();
            return match *db.code() {
                SqlState::INVALID_PASSWORD | SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
                    ConnectError::SignIn { server, cause }
                }
                SqlState::INVALID_CATALOG_NAME => ConnectError::NoDatabase { server, cause },
                _ => ConnectError::Refused { server, cause },
            };
        }
        if let Some(io) = error.source().and_then(|source| source.downcast_ref::<io::Error>())
            && !io.get_ref().is_some_and(<dyn StdError + Send + Sync>::is::<rustls::Error>)
        {
            return ConnectError::Unreachable { server, cause: chain(io) };
        }
        let cause = chain(error);
        match self.tls {
            Tls::Off => ConnectError::Unreachable { server, cause },
            Tls::Verified(_) => ConnectError::Unverified { server, cause },
        }
    }

    fn unreachable(&self, cause: String) -> ConnectError {
        ConnectError::Unreachable { server: self.server(), cause }
    }

    /// The hosts and ports, as a person would write them.
    fn server(&self) -> String {
        let hosts = self.config.get_hosts().iter().map(|host| match host {
            Host::Tcp(name) => name.clone(),
            #[cfg(unix)]
            Host::Unix(path) => path.display().to_string(),
        });
        let addresses = self.config.get_hostaddrs().iter().map(ToString::to_string);
        let mut names = hosts.collect::<Vec<_>>();
        if names.is_empty() {
            names.extend(addresses);
        }
        let ports = self.config.get_ports();
        let servers = names.iter().enumerate().map(|(index, name)| {
            let port = ports.get(index).or(ports.first()).copied().unwrap_or(DEFAULT_PORT);
            if name.contains(':') { format!("[{name}]:{port}") } else { format!("{name}:{port}") }
        });
        servers.collect::<Vec<_>>().join(", ")
    }
}

/// An error and what caused it, in one line. tokio-postgres shows only the former.
fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let _ = write!(text, ": {error}");
        source = error.source();
    }
    text
}

impl From<ConnectError> for super::Error {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::NoDatabase { .. } => Self::SchemaMissing(error.into()),
            _ => Self::Unavailable(error.into()),
        }
    }
}

impl From<CheckoutError> for super::Error {
    fn from(error: CheckoutError) -> Self {
        match error {
            // Without deadpool's own wrapping, which would say the same twice.
            CheckoutError::Backend(error) => error.into(),
            CheckoutError::Timeout(_) | CheckoutError::Closed => Self::Unavailable(error.into()),
            CheckoutError::NoRuntimeSpecified | CheckoutError::PostCreateHook(_) => {
                Self::Other(error.into())
            }
        }
    }
}

/// Whether a query failed because the database is away, is going away, or is too busy or too full
/// for now; the same query may well succeed later.
pub fn is_unavailable(error: &DieselError) -> bool {
    match error {
        DieselError::DatabaseError(
            // The connection broke; or, after a failover, leads to a server that only reads.
            DatabaseErrorKind::UnableToSendCommand
            | DatabaseErrorKind::ClosedConnection
            | DatabaseErrorKind::ReadOnlyTransaction,
            _,
        )
        | DieselError::BrokenTransactionManager => true,
        DieselError::DatabaseError(DatabaseErrorKind::Unknown, info) => {
            let message = info.message();
            // 40P01: two requests stood in each other's way, and the server has ended this one.
            message == "deadlock detected"
                // 57P01 to 57P05 and 25P03: shutdown, crash, time limits.
                || message.starts_with("terminating connection ")
                // 57014 and 55P03: by the time limit of a statement or lock.
                || message.starts_with("canceling statement due to ")
                // 57P03 and 53300, where a pooler in between lets us in first.
                || message.starts_with("the database system is ")
                || message.starts_with("sorry, too many clients already")
                // 53100, also where a part of a page found room, and 53200.
                || message.contains("No space left on device")
                || message.starts_with("could not extend file ")
                || message.starts_with("out of memory")
        }
        DieselError::RollbackErrorOnCommit { rollback_error, commit_error } => {
            is_unavailable(rollback_error) || is_unavailable(commit_error)
        }
        _ => false,
    }
}

/// Whether a query failed because its connection has ended or, as the server has just said, is about to.
pub fn ends_connection(error: &(dyn StdError + 'static)) -> bool {
    let Some(DieselError::DatabaseError(kind, info)) = error.downcast_ref() else { return false };
    match kind {
        DatabaseErrorKind::UnableToSendCommand | DatabaseErrorKind::ClosedConnection => true,
        DatabaseErrorKind::Unknown => info.message().starts_with("terminating connection "),
        _ => false,
    }
}

/// Whether a query failed because the database has not the tables or columns of this release.
pub fn is_schema_missing(error: &DieselError) -> bool {
    let DieselError::DatabaseError(DatabaseErrorKind::Unknown, info) = error else { return false };
    // 42P01, 42703, 3F000.
    let message = info.message();
    message.ends_with(" does not exist")
        && ["relation ", "column ", "schema "].iter().any(|kind| message.starts_with(kind))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::{config::Secret, db};

    const URL: &str = "postgres://me:hunter2@db.example.com/users";

    fn settings(url: &str, ca: Option<&str>) -> DatabaseConfig {
        DatabaseConfig {
            url: Secret::new(url),
            ca: ca.map(PathBuf::from),
            pool_size: 3,
            workers: 1,
        }
    }

    fn connector(url: &str) -> Result<Connector, ConnectError> {
        Connector::new(&settings(url, None), STATEMENT_LIMIT)
    }

    fn unknown(message: &str) -> DieselError {
        DieselError::DatabaseError(DatabaseErrorKind::Unknown, Box::new(message.to_owned()))
    }

    #[test]
    fn every_connection_has_its_limits() {
        let config = connector(URL).unwrap().config;
        assert_eq!(
            config.get_options(),
            Some("-c statement_timeout=10000 -c idle_in_transaction_session_timeout=10000")
        );
        assert_eq!(config.get_application_name(), Some("users"));
        assert_eq!(config.get_ssl_mode(), SslMode::Disable);
        let config = connector(&format!("{URL}?options=-c%20work_mem%3D8MB&application_name=me"));
        let config = config.unwrap().config;
        assert!(config.get_options().unwrap().ends_with("=10000 -c work_mem=8MB"));
        assert_eq!(config.get_application_name(), Some("me"));
        let unlimited = Connector::new(&settings(URL, None), Duration::ZERO).unwrap().config;
        assert_eq!(
            unlimited.get_options(),
            Some("-c statement_timeout=0 -c idle_in_transaction_session_timeout=0")
        );
    }

    #[test]
    fn a_bad_url_is_named_without_its_password() {
        for url in [
            "mysql://me:hunter2@db/users",
            "postgres://me:hunter2@db:port/users",
            "postgres://me:hunter2@db/users?hunter2=1",
            "postgres://me:hunter2@db/users?hunter2",
            "postgres://me:hunter2@/users",
            "postgres://me:hun/ter2:hunter2@[db/users",
            "password=hunter2 hunter2",
            "hunter2",
        ] {
            let error = connector(url).unwrap_err();
            assert!(matches!(error, ConnectError::Url { .. }), "{url}: {error}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
        let connector = connector(URL).unwrap();
        assert!(!format!("{connector:?}").contains("hunter2"));
    }

    #[test]
    fn the_server_is_named_as_in_the_url() {
        for (url, server) in [
            (URL, "db.example.com:5432"),
            ("postgres://a:1,b:2/d", "a:1, b:2"),
            ("postgres://[::1]:5433/d", "[::1]:5433"),
            ("postgres:///d?host=/run/postgresql", "/run/postgresql:5432"),
            ("postgres:///d?hostaddr=10.0.0.1", "10.0.0.1:5432"),
        ] {
            assert_eq!(connector(url).unwrap().server(), server, "{url}");
        }
    }

    #[test]
    fn the_database_is_named_as_in_the_url() {
        let name = |url| place(&settings(url, None)).map(|place| place.database);
        assert_eq!(name(URL).as_deref(), Ok("users"));
        assert_eq!(name("postgres://me:hunter2@db").as_deref(), Ok("me"));
        assert_eq!(
            name("postgres://db"),
            Err(ConnectError::Url { hint: ": it names no database" })
        );
    }

    #[test]
    fn tls_without_a_ca_is_refused_before_anything_is_sent() {
        let error =
            build(&settings(&format!("{URL}?sslmode=verify-full"), None), 1).map(drop).unwrap_err();
        assert!(error.to_string().contains("set DATABASE_CA"), "{error}");
        let error = build(&settings(URL, Some("missing/ca.pem")), 1).map(drop).unwrap_err();
        assert!(error.to_string().starts_with("DATABASE_CA: missing/ca.pem"), "{error}");
    }

    #[tokio::test]
    async fn nobody_there() {
        // A port that was free a moment ago: nobody listens on it.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let pool = build(&settings(&format!("postgres://me:hunter2@127.0.0.1:{port}/d"), None), 1);
        let error = pool.unwrap().get().await.map(drop).unwrap_err();
        let text = chain(&error);
        assert!(text.contains(&format!("127.0.0.1:{port} cannot be reached")), "{text}");
        assert!(text.contains("refused") && !text.contains("hunter2"), "{text}");
        assert!(matches!(db::Error::from(error), db::Error::Unavailable(_)));
    }

    #[tokio::test]
    async fn somebody_who_does_not_answer() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let settings = settings(&format!("postgres://me:p@127.0.0.1:{port}/d"), None);
        let error = connect(&settings, None).await.map(drop).unwrap_err();
        assert!(error.to_string().contains("no answer within 5 s"), "{error}");
    }

    #[test]
    fn what_will_pass() {
        for message in [
            "deadlock detected",
            "terminating connection due to administrator command",
            "terminating connection because of crash of another server process",
            "terminating connection due to idle-in-transaction timeout",
            "canceling statement due to statement timeout",
            "canceling statement due to lock timeout",
            "the database system is shutting down",
            "could not extend file \"base/1/2\": No space left on device",
            "could not extend file \"base/1/2\": wrote only 4096 of 8192 bytes at block 7",
        ] {
            assert!(is_unavailable(&unknown(message)), "{message}");
            assert!(!is_schema_missing(&unknown(message)), "{message}");
        }
        for kind in [
            DatabaseErrorKind::UnableToSendCommand,
            DatabaseErrorKind::ClosedConnection,
            DatabaseErrorKind::ReadOnlyTransaction,
        ] {
            let error = DieselError::DatabaseError(kind, Box::new(String::new()));
            assert!(is_unavailable(&error), "{error:?}");
        }
    }

    #[test]
    fn what_a_migration_would_mend() {
        for message in [
            "relation \"users\" does not exist",
            "column \"is_admin\" does not exist",
            "column users.is_admin does not exist",
            "column \"is_admin\" of relation \"users\" does not exist",
        ] {
            assert!(is_schema_missing(&unknown(message)), "{message}");
            assert!(!is_unavailable(&unknown(message)), "{message}");
        }
    }

    #[test]
    fn what_is_our_own_fault() {
        for error in [
            unknown("syntax error at or near \"SELCT\""),
            unknown("permission denied for table users"),
            unknown("function lower(integer) does not exist"),
            DieselError::NotFound,
            DieselError::DatabaseError(
                DatabaseErrorKind::CheckViolation,
                Box::new("the database system is ".to_owned()),
            ),
        ] {
            assert!(!is_unavailable(&error) && !is_schema_missing(&error), "{error:?}");
        }
    }
}
