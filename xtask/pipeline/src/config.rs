//! `ecs/pipeline.toml`: what production is called and made of.
//!
//! Every name derives from one, `name`, and each can be set. The environment goes before the file:
//!
//! | variable | what it sets |
//! |---|---|
//! | `REGISTRY_HOST` | `registry.host` |
//! | `REGISTRY_USERNAME`, `REGISTRY_PASSWORD` | the login of a registry that is not ECR's; never in the file |
//! | a build argument's own name, such as `API_SERVICE_URL` | that entry of `services.*.build_args` |
//!
//! Region, account and credentials come from the usual AWS sources and are no part of this.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Where the file lies, from the workspace's root.
pub(crate) const PATH: &str = "ecs/pipeline.toml";
/// Names the registry.
pub(crate) const HOST_VARIABLE: &str = "REGISTRY_HOST";
/// Who signs in to a registry that is not ECR's.
pub(crate) const USERNAME_VARIABLE: &str = "REGISTRY_USERNAME";
/// The password for it.
pub(crate) const PASSWORD_VARIABLE: &str = "REGISTRY_PASSWORD";

/// What is wrong with the file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(
        "{} cannot be read: {cause}. Run this from the workspace's root, or name the file \
         with --config.", .path.display()
    )]
    Unreadable { path: PathBuf, cause: std::io::Error },
    #[error("{}:{line}: {message}", .path.display())]
    Wrong { path: PathBuf, line: usize, message: String },
    #[error("{}: {key} = {value:?}: {rule}", .path.display())]
    Invalid { path: PathBuf, key: &'static str, value: String, rule: &'static str },
}

/// The file, as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    #[serde(default)]
    registry: RegistrySection,
    #[serde(default)]
    images: ImagesSection,
    services: ServicesSection,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RegistrySection {
    host: Option<String>,
    login: Option<Login>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ImagesSection {
    platform: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ServicesSection {
    users: ServiceSection,
    client: ServiceSection,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ServiceSection {
    dockerfile: Option<String>,
    repository: Option<String>,
    #[serde(default)]
    build_args: BTreeMap<String, String>,
}

/// How to sign in to the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Login {
    /// With a token that ECR gives for the AWS credentials.
    Ecr,
    /// As `REGISTRY_USERNAME` with `REGISTRY_PASSWORD`.
    Environment,
    /// Not at all: docker knows how, from an earlier `docker login` or a credential helper.
    Docker,
}

impl Login {
    /// What suits a host for which nothing is said.
    fn of(host: Option<&str>) -> Self {
        match host {
            None => Self::Ecr,
            Some(host) if is_ecr(host) => Self::Ecr,
            Some(_) => Self::Environment,
        }
    }
}

/// Whether the name is one that AWS gives to a private registry.
fn is_ecr(host: &str) -> bool {
    host.contains(".dkr.ecr")
        && (host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn"))
}

/// One of the two services.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ServiceName {
    /// The API
    Users,
    /// The web pages
    Client,
}

impl ServiceName {
    /// As it is written.
    #[must_use]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Client => "client",
        }
    }
}

impl Display for ServiceName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// A service, with every name resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Service {
    /// Which one.
    pub(crate) name: ServiceName,
    /// Its Dockerfile, from the workspace's root.
    pub(crate) dockerfile: String,
    /// Its repository in the registry.
    pub(crate) repository: String,
    /// Its Dockerfile's arguments besides `APP_VERSION`. They show in the image's history: no
    /// place for secrets.
    pub(crate) build_args: BTreeMap<String, String>,
}

/// The configuration, with every name resolved.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// The registry's host with its port; `None` for the one that ECR names.
    pub(crate) registry_host: Option<String>,
    /// How to sign in there.
    pub(crate) login: Login,
    /// What the images run on, such as `linux/amd64`.
    pub(crate) platform: String,
    services: [Service; 2],
    settings: Vec<Setting>,
}

/// A line of `config show`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Setting {
    /// As in the file.
    pub(crate) key: String,
    /// Never a secret.
    pub(crate) value: String,
    /// Where the value comes from.
    pub(crate) source: Origin,
}

/// Where a setting comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Origin {
    /// The configuration file.
    File,
    /// An environment variable.
    Environment,
    /// Nobody said anything.
    Default,
}

impl Config {
    /// Reads the file and the process's environment.
    ///
    /// # Errors
    /// The file is missing, is no TOML, has an unknown key or an impossible value.
    pub(crate) fn load(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path)
            .map_err(|cause| Error::Unreadable { path: path.to_owned(), cause })?;
        Self::parse(path, &text, |name| std::env::var(name).ok())
    }

    fn parse(
        path: &Path,
        text: &str,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Error> {
        let file: File = toml::from_str(text).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            let line = text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1;
            Error::Wrong { path: path.to_owned(), line, message: explain(error.message()) }
        })?;
        let invalid = |key, value: &str, rule| {
            Err(Error::Invalid { path: path.to_owned(), key, value: value.to_owned(), rule })
        };
        let name = file.name;
        if !is_name(&name) {
            let rule = "lower-case letters, digits and single hyphens, at most 40 characters";
            return invalid("name", &name, rule);
        }
        let mut resolver = Resolver { environment, settings: Vec::new() };
        resolver.note("name", &name, Origin::File);
        let registry_host =
            resolver.optional("registry.host", Some(HOST_VARIABLE), file.registry.host);
        if let Some(host) = registry_host.as_deref().filter(|host| !is_host(host)) {
            let rule = "a host name with its port, without https:// and without a path";
            return invalid("registry.host", host, rule);
        }
        let login = match file.registry.login {
            Some(login) => {
                resolver.note("registry.login", &format!("{login:?}").to_lowercase(), Origin::File);
                login
            }
            None => {
                let login = Login::of(registry_host.as_deref());
                let word = format!("{login:?}").to_lowercase();
                resolver.note("registry.login", &word, Origin::Default);
                login
            }
        };
        if login != Login::Ecr && registry_host.is_none() {
            let rule = "only ECR names its own host: set registry.host as well";
            return invalid("registry.login", &format!("{login:?}").to_lowercase(), rule);
        }
        let platform =
            resolver.or_default("images.platform", file.images.platform, || "linux/amd64".into());
        let users = resolver.service(&name, ServiceName::Users, file.services.users);
        let client = resolver.service(&name, ServiceName::Client, file.services.client);
        for service in [&users, &client] {
            if !is_repository(&service.repository) {
                let rule = "a repository's name has lower-case letters, digits and . _ - /";
                return invalid("repository", &service.repository, rule);
            }
        }
        let settings = resolver.settings;
        Ok(Self { registry_host, login, platform, services: [users, client], settings })
    }

    /// The services that are meant: one, or with `None` both.
    pub(crate) fn services(&self, only: Option<ServiceName>) -> impl Iterator<Item = &Service> {
        self.services.iter().filter(move |service| only.is_none_or(|name| service.name == name))
    }

    /// Every setting with its origin, for people.
    pub(crate) fn settings(&self) -> &[Setting] {
        &self.settings
    }
}

/// Finds each value and notes where it came from.
struct Resolver<E> {
    environment: E,
    settings: Vec<Setting>,
}

impl<E: Fn(&str) -> Option<String>> Resolver<E> {
    fn note(&mut self, key: impl Into<String>, value: &str, source: Origin) {
        self.settings.push(Setting { key: key.into(), value: value.to_owned(), source });
    }

    /// An empty variable is as good as none.
    fn variable(&self, name: &str) -> Option<String> {
        (self.environment)(name).filter(|value| !value.is_empty())
    }

    fn optional(
        &mut self,
        key: &str,
        variable: Option<&str>,
        file: Option<String>,
    ) -> Option<String> {
        let (value, source) = match (variable.and_then(|name| self.variable(name)), file) {
            (Some(value), _) => (value, Origin::Environment),
            (None, Some(value)) => (value, Origin::File),
            (None, None) => {
                self.note(key, "", Origin::Default);
                return None;
            }
        };
        self.note(key, &value, source);
        Some(value)
    }

    fn or_default(
        &mut self,
        key: impl Into<String>,
        file: Option<String>,
        default: impl FnOnce() -> String,
    ) -> String {
        let (value, source) = match file {
            Some(value) => (value, Origin::File),
            None => (default(), Origin::Default),
        };
        self.note(key, &value, source);
        value
    }

    fn service(&mut self, name: &str, service: ServiceName, file: ServiceSection) -> Service {
        let key = |rest: &str| format!("services.{service}.{rest}");
        let dockerfile =
            self.or_default(key("dockerfile"), file.dockerfile, || format!("Dockerfile.{service}"));
        let repository =
            self.or_default(key("repository"), file.repository, || format!("{name}-{service}"));
        let mut build_args = BTreeMap::new();
        for (argument, value) in file.build_args {
            let (value, source) = match self.variable(&argument) {
                Some(value) => (value, Origin::Environment),
                None => (value, Origin::File),
            };
            self.note(key(&format!("build_args.{argument}")), &value, source);
            build_args.insert(argument, value);
        }
        Service { name: service, dockerfile, repository, build_args }
    }
}

/// What serde says, as a person would say it; an unknown key with the one that was meant.
fn explain(message: &str) -> String {
    let mut words = message.split('`').skip(1).step_by(2);
    if !message.starts_with("unknown field") {
        return message.to_owned();
    }
    let Some(unknown) = words.next() else { return message.to_owned() };
    let known: Vec<&str> = words.collect();
    let nearest = known
        .iter()
        .map(|known| (strsim::jaro_winkler(unknown, known), known))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|(one, _), (other, _)| one.total_cmp(other));
    match nearest {
        Some((_, known)) => format!("unknown key `{unknown}`; did you mean `{known}`?"),
        None => format!("unknown key `{unknown}`; known here: {}", known.join(", ")),
    }
}

/// All AWS names are made of it, so it has to suit the strictest of them.
fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !name.is_empty()
        && name.len() <= 40
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && !name.contains("--")
        && name.chars().all(allowed)
}

fn is_host(host: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    !host.is_empty() && host.chars().all(allowed)
}

fn is_repository(name: &str) -> bool {
    let allowed = |c: char| {
        c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-' | '/')
    };
    !name.is_empty() && !name.starts_with('/') && !name.ends_with('/') && name.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALLEST: &str = "name = \"shop\"\n[services.users]\n[services.client]\n";

    fn parse(text: &str, environment: &[(&str, &str)]) -> Result<Config, Error> {
        Config::parse(Path::new(PATH), text, |name| {
            environment
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    fn message(text: &str) -> String {
        parse(text, &[]).unwrap_err().to_string()
    }

    #[test]
    fn everything_derives_from_the_name() {
        let config = parse(SMALLEST, &[]).unwrap();
        assert_eq!(config.registry_host, None);
        assert_eq!(config.login, Login::Ecr);
        assert_eq!(config.platform, "linux/amd64");
        let repositories: Vec<_> =
            config.services(None).map(|service| service.repository.as_str()).collect();
        assert_eq!(repositories, ["shop-users", "shop-client"]);
        let client: Vec<_> = config.services(Some(ServiceName::Client)).collect();
        assert_eq!(client.len(), 1);
        assert_eq!(client[0].dockerfile, "Dockerfile.client");
    }

    #[test]
    fn every_name_can_be_set() {
        let text = "name = \"shop\"\n[registry]\nhost = \"127.0.0.1:5000\"\n[images]\n\
                    platform = \"linux/arm64\"\n[services.users]\nrepository = \"a/b\"\n\
                    dockerfile = \"docker/users\"\n[services.client]\n";
        let config = parse(text, &[]).unwrap();
        assert_eq!(config.registry_host.as_deref(), Some("127.0.0.1:5000"));
        assert_eq!(config.login, Login::Environment);
        assert_eq!(config.platform, "linux/arm64");
        let users = config.services(Some(ServiceName::Users)).next().unwrap();
        assert_eq!((&*users.repository, &*users.dockerfile), ("a/b", "docker/users"));
    }

    #[test]
    fn the_environment_goes_before_the_file() {
        let text = format!("{SMALLEST}build_args = {{ API_SERVICE_URL = \"https://a\" }}\n");
        let url = |environment: &[_]| {
            let config = parse(&text, environment).unwrap();
            let client = config.services(Some(ServiceName::Client)).next().unwrap();
            client.build_args["API_SERVICE_URL"].clone()
        };
        assert_eq!(url(&[]), "https://a");
        assert_eq!(url(&[("API_SERVICE_URL", "")]), "https://a");
        assert_eq!(url(&[("API_SERVICE_URL", "https://b")]), "https://b");
        let config = parse(&text, &[(HOST_VARIABLE, "registry.example:5000")]).unwrap();
        assert_eq!(config.registry_host.as_deref(), Some("registry.example:5000"));
        let host = config.settings().iter().find(|setting| setting.key == "registry.host");
        assert_eq!(host.unwrap().source, Origin::Environment);
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line_and_the_nearest_known_one() {
        let text = "name = \"shop\"\n[services.users]\nrepositry = \"x\"\n[services.client]\n";
        assert_eq!(
            message(text),
            "ecs/pipeline.toml:3: unknown key `repositry`; did you mean `repository`?"
        );
        let unknown = message(&format!("frobnicate = 1\n{SMALLEST}"));
        assert!(unknown.contains("known here: name, registry, images, services"), "{unknown}");
    }

    #[test]
    fn impossible_values_are_refused_with_the_rule() {
        assert!(
            message("name = \"Shop!\"\n[services.users]\n[services.client]\n").contains("name")
        );
        let url = format!("{SMALLEST}[registry]\nhost = \"https://x\"\n");
        assert!(message(&url).contains("without https://"));
        let login = format!("{SMALLEST}[registry]\nlogin = \"docker\"\n");
        assert!(message(&login).contains("set registry.host as well"));
        let repository =
            SMALLEST.replace("[services.client]", "repository = \"A b\"\n[services.client]");
        assert!(message(&repository).contains("A b"));
        assert!(message("name = [\n").starts_with("ecs/pipeline.toml:"));
    }

    #[test]
    fn ecr_is_known_by_its_name() {
        assert!(is_ecr("123456789012.dkr.ecr.us-west-1.amazonaws.com"));
        assert!(is_ecr("123456789012.dkr.ecr-fips.us-west-1.amazonaws.com"));
        assert!(is_ecr("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn"));
        assert!(!is_ecr("ghcr.io"));
        assert!(!is_ecr("a.dkr.ecr.us-west-1.amazonaws.com.example.com"));
    }
}
