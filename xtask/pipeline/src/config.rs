//! `ecs/pipeline.toml`: what production is called and made of.
//!
//! Every name derives from one, `name`, and each can be set. The environment goes before the file:
//!
//! | variable | what it sets |
//! |---|---|
//! | `REGISTRY_HOST` | `registry.host` |
//! | `REGISTRY_USERNAME`, `REGISTRY_PASSWORD` | the login of a registry that is not ECR's; never in the file |
//! | `APP_URL` | `aws.url` |
//! | a build argument's own name, such as `API_SERVICE_URL` | that entry of `services.*.build_args` |
//!
//! Region, account and credentials come from the usual AWS sources and are no part of this. What
//! fills the placeholders of the task definitions is [`crate::template`]'s matter.

mod file;
pub(crate) mod names;
mod resolve;
mod set;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::file::File;
pub(crate) use self::file::Scalar;
use self::resolve::Resolver;
pub(crate) use self::set::Set;

/// Where the file lies, from the workspace's root.
pub(crate) const PATH: &str = "ecs/pipeline.toml";
/// Names the registry.
pub(crate) const HOST_VARIABLE: &str = "REGISTRY_HOST";
/// Who signs in to a registry that is not ECR's.
pub(crate) const USERNAME_VARIABLE: &str = "REGISTRY_USERNAME";
/// The password for it.
pub(crate) const PASSWORD_VARIABLE: &str = "REGISTRY_PASSWORD";
/// The application's address.
pub(crate) const URL_VARIABLE: &str = "APP_URL";
/// How long a deployment may take where nothing is said: a cold build and two slow rollouts.
const TIMEOUT: u64 = 30 * 60;
/// How many releases are kept where nothing is said.
const KEEP: u32 = 10;

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
    Invalid { path: PathBuf, key: String, value: String, rule: &'static str },
    #[error("--set: {0}")]
    Set(String),
}

/// How to sign in to the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
    clap::ValueEnum,
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
    /// The ECS service.
    pub(crate) ecs_service: String,
    /// The family of its task definitions.
    pub(crate) family: String,
    /// The container that the load balancer reaches, and in which commands run.
    pub(crate) container: String,
    /// The load balancer's target group.
    pub(crate) target_group: String,
    /// The CloudWatch log group.
    pub(crate) log_group: String,
    /// The file with its task definition, from the workspace's root.
    pub(crate) task_definition: String,
    /// The file with its service, from the workspace's root.
    pub(crate) service_definition: String,
    /// What must run the new release before this one moves.
    pub(crate) depends_on: Vec<ServiceName>,
    /// In which round it moves: 0 first. Services of one level move side by side.
    pub(crate) level: u8,
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
    /// Whether the registry keeps the stage `builder` as a layer cache.
    pub(crate) cache: bool,
    /// What all names derive from.
    pub(crate) name: String,
    /// What this is a pipeline to: `production`.
    pub(crate) environment: String,
    /// The branch whose tip is released.
    pub(crate) branch: String,
    /// The ECS cluster.
    pub(crate) cluster: String,
    /// The CloudFormation stack whose outputs fill placeholders.
    pub(crate) stack: String,
    /// The bucket with the records and the lock; `None` for the one that [`Config::bucket`] names.
    pub(crate) bucket: Option<String>,
    /// The load balancer.
    pub(crate) load_balancer: String,
    /// The application's address; `None` for the load balancer's own.
    pub(crate) url: Option<String>,
    /// The role with which ECS starts tasks.
    pub(crate) execution_role: String,
    /// The role that the application has.
    pub(crate) task_role: String,
    /// The database.
    pub(crate) database: Database,
    /// How long a deployment may take.
    pub(crate) timeout: Duration,
    /// How many releases `prune` keeps.
    pub(crate) keep: u32,
    /// What placeholders stand for where nobody else says it.
    pub(crate) values: BTreeMap<String, Scalar>,
    /// What `infra` gives to the stack's parameters.
    pub(crate) parameters: BTreeMap<String, Scalar>,
    services: [Service; 2],
    settings: Vec<Setting>,
}

/// The database that the application keeps its data in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Database {
    /// Its name.
    pub(crate) name: String,
    /// Whether it must never be dropped from here.
    pub(crate) protected: bool,
}

/// A line of `config show`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Setting {
    /// As in the file.
    pub(crate) key: String,
    /// Never a secret.
    pub(crate) value: String,
    /// Where the value comes from.
    pub(crate) source: Origin,
}

/// Where a setting comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Origin {
    /// The configuration file.
    File,
    /// An environment variable.
    Environment,
    /// The command line, by `--set`.
    Option,
    /// Nobody said anything.
    Default,
}

impl Config {
    /// Reads the file, as changed by `sets`, and the process's environment.
    ///
    /// # Errors
    /// The file is missing, is no TOML, has an unknown key or an impossible value.
    pub(crate) fn load(path: &Path, sets: &[Set]) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path)
            .map_err(|cause| Error::Unreadable { path: path.to_owned(), cause })?;
        Self::parse(path, &text, sets, |name| std::env::var(name).ok())
    }

    fn parse(
        path: &Path,
        text: &str,
        sets: &[Set],
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Error> {
        let mut file: File = toml::from_str(text).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            let line = text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1;
            Error::Wrong { path: path.to_owned(), line, message: explain(error.message()) }
        })?;
        if !sets.is_empty() {
            let wrong = |error: toml::de::Error| Error::Set(explain(error.message()));
            let mut table: toml::Table = toml::from_str(text).map_err(wrong)?;
            sets.iter().try_for_each(|set| set.apply(&mut table)).map_err(Error::Set)?;
            file = table.try_into().map_err(wrong)?;
        }
        let settings = Vec::new();
        let mut resolver = Resolver { path, environment, settings };
        let name = file.name;
        resolver.check("name", &name, names::NAME)?;
        resolver.note("name", &name, Origin::File);
        let environment =
            resolver.or_default("environment", file.environment, || "production".into());
        let branch = resolver.or_default("branch", file.branch, || "main".into());
        let registry_host = resolver.optional(
            "registry.host",
            Some(HOST_VARIABLE),
            file.registry.host,
            names::HOST,
        )?;
        let login = file.registry.login.unwrap_or_else(|| Login::of(registry_host.as_deref()));
        let origin = if file.registry.login.is_some() { Origin::File } else { Origin::Default };
        let word = format!("{login:?}").to_lowercase();
        resolver.note("registry.login", &word, origin);
        if login != Login::Ecr && registry_host.is_none() {
            let rule = "only ECR names its own host: set registry.host as well";
            return Err(resolver.invalid("registry.login", &word, rule));
        }
        let platform =
            resolver.or_default("images.platform", file.images.platform, || "linux/amd64".into());
        let (aws, derived) = (file.aws, |suffix: &str| format!("{name}-{suffix}"));
        let cluster = resolver.name("aws.cluster", aws.cluster, derived("cluster"), names::ECS)?;
        let stack = resolver.name("aws.stack", aws.stack, name.clone(), names::STACK)?;
        let bucket = resolver.optional("aws.bucket", None, aws.bucket, names::BUCKET)?;
        let load_balancer = resolver.name(
            "aws.load_balancer",
            aws.load_balancer,
            derived("alb"),
            names::LOAD_BALANCER,
        )?;
        let url = resolver.optional("aws.url", Some(URL_VARIABLE), aws.url, names::URL)?;
        let execution_role = resolver.name(
            "aws.execution_role",
            aws.execution_role,
            derived("execution-role"),
            names::ROLE,
        )?;
        let task_role =
            resolver.name("aws.task_role", aws.task_role, derived("task-role"), names::ROLE)?;
        let database = Database {
            name: resolver.name(
                "database.name",
                file.database.name,
                "users".into(),
                names::DATABASE,
            )?,
            // Who wants to lose data must say so, in a file that is reviewed.
            protected: file.database.protected.unwrap_or(true),
        };
        let mut plain = |key: &str, value: String, set: bool| {
            resolver.note(key, &value, if set { Origin::File } else { Origin::Default });
        };
        let protected = database.protected.to_string();
        plain("database.protected", protected, file.database.protected.is_some());
        let cache = file.images.cache.unwrap_or(true);
        plain("images.cache", cache.to_string(), file.images.cache.is_some());
        let (timeout, keep) = (file.deploy.timeout, file.deploy.keep);
        let (seconds, releases) = (timeout.unwrap_or(TIMEOUT), keep.unwrap_or(KEEP));
        plain("deploy.timeout", seconds.to_string(), timeout.is_some());
        plain("deploy.keep", releases.to_string(), keep.is_some());
        if seconds == 0 || releases == 0 {
            let key = if seconds == 0 { "deploy.timeout" } else { "deploy.keep" };
            return Err(resolver.invalid(key, "0", "at least 1"));
        }
        for (key, value) in &file.values {
            resolver.check(&format!("values.{key}"), key, names::PLACEHOLDER)?;
            let name = format!("values.{key}");
            resolver.note_own(&name, key, &value.to_string(), Origin::File);
        }
        for (key, value) in &file.parameters {
            let name = format!("parameters.{key}");
            resolver.note_own(&name, key, &value.to_string(), Origin::File);
        }
        let users = resolver.service(&name, ServiceName::Users, file.services.users)?;
        let client = resolver.service(&name, ServiceName::Client, file.services.client)?;
        let services = levelled([users, client]).ok_or_else(|| {
            let rule = "services must not wait for one another, or for themselves";
            resolver.invalid("services", "depends_on", rule)
        })?;
        Ok(Self {
            registry_host,
            login,
            platform,
            cache,
            environment,
            branch,
            cluster,
            stack,
            bucket,
            load_balancer,
            url,
            execution_role,
            task_role,
            database,
            timeout: Duration::from_secs(seconds),
            keep: releases,
            values: file.values,
            parameters: file.parameters,
            services,
            settings: set::mark(resolver.settings, sets),
            name,
        })
    }

    /// A configuration from a text, without an environment.
    #[cfg(test)]
    pub(crate) fn example(text: &str) -> Self {
        Self::parse(Path::new(PATH), text, &[], |_| None).unwrap()
    }

    /// The bucket with the release records and the lock. Bucket names are the whole world's, so
    /// the account's number is in it.
    #[must_use]
    pub(crate) fn bucket(&self, account: &str) -> String {
        self.bucket.clone().unwrap_or_else(|| format!("{}-pipeline-{account}", self.name))
    }

    /// A service.
    #[must_use]
    pub(crate) fn service(&self, name: ServiceName) -> &Service {
        let [users, client] = &self.services;
        match name {
            ServiceName::Users => users,
            ServiceName::Client => client,
        }
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

/// Finds out in which round each service moves; `None` if they wait in a circle.
fn levelled([mut users, mut client]: [Service; 2]) -> Option<[Service; 2]> {
    let waits = |service: &Service, on: ServiceName| service.depends_on.contains(&on);
    let itself = [&users, &client].into_iter().any(|service| waits(service, service.name));
    let (first, second) = (waits(&users, ServiceName::Client), waits(&client, ServiceName::Users));
    if itself || (first && second) {
        return None;
    }
    (users.level, client.level) = (u8::from(first), u8::from(second));
    Some([users, client])
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

/// The file's schema, for editors.
#[must_use]
pub(crate) fn schema() -> schemars::Schema {
    schemars::schema_for!(File)
}

#[cfg(test)]
mod tests;
