//! From the file and the environment to values: which one counts, and where it came from.

use super::names::{self, Rule};
use super::{Error, Origin, Service, ServiceName, Setting};
use crate::config::file::ServiceSection;
use crate::task_definition::looks_secret;
use std::collections::BTreeMap;
use std::path::Path;

/// Finds each value and notes where it came from.
pub(super) struct Resolver<'a, E> {
    pub(super) path: &'a Path,
    pub(super) environment: E,
    pub(super) settings: Vec<Setting>,
}

impl<E: Fn(&str) -> Option<String>> Resolver<'_, E> {
    /// Notes a value for `config show`.
    pub(super) fn note(&mut self, key: impl Into<String>, value: &str, source: Origin) {
        self.settings.push(Setting { key: key.into(), value: value.to_owned(), source });
    }

    /// The same for what people name themselves: no secret belongs there, but one may stand there.
    pub(super) fn note_own(&mut self, key: &str, name: &str, value: &str, source: Origin) {
        let hidden = !value.is_empty() && looks_secret(name, value);
        self.note(key, if hidden { "<redacted>" } else { value }, source);
    }

    /// An empty variable is as good as none.
    fn variable(&self, name: &str) -> Option<String> {
        (self.environment)(name).filter(|value| !value.is_empty())
    }

    /// Refuses a value that breaks its rule.
    pub(super) fn check(&self, key: &str, value: &str, (rule, keeps): Rule) -> Result<(), Error> {
        if keeps(value) { Ok(()) } else { Err(self.invalid(key, value, rule)) }
    }

    /// The error that says so.
    pub(super) fn invalid(&self, key: &str, value: &str, rule: &'static str) -> Error {
        let (path, key, value) = (self.path.to_owned(), key.to_owned(), value.to_owned());
        Error::Invalid { path, key, value, rule }
    }

    /// A setting that may stay without a value.
    pub(super) fn optional(
        &mut self,
        key: &str,
        variable: Option<&str>,
        file: Option<String>,
        rule: Rule,
    ) -> Result<Option<String>, Error> {
        let (value, source) = match (variable.and_then(|name| self.variable(name)), file) {
            (Some(value), _) => (value, Origin::Environment),
            (None, Some(value)) => (value, Origin::File),
            (None, None) => {
                self.note(key, "", Origin::Default);
                return Ok(None);
            }
        };
        self.note(key, &value, source);
        self.check(key, &value, rule)?;
        Ok(Some(value))
    }

    /// A setting that has a value where nobody says anything.
    pub(super) fn or_default(
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

    /// The same, for a name that AWS has a rule for.
    pub(super) fn name(
        &mut self,
        key: &str,
        file: Option<String>,
        default: String,
        rule: Rule,
    ) -> Result<String, Error> {
        let value = self.or_default(key, file, || default);
        self.check(key, &value, rule)?;
        Ok(value)
    }

    /// A service with all its names.
    pub(super) fn service(
        &mut self,
        name: &str,
        service: ServiceName,
        file: ServiceSection,
    ) -> Result<Service, Error> {
        let key = |rest: &str| format!("services.{service}.{rest}");
        let dockerfile =
            self.or_default(key("dockerfile"), file.dockerfile, || format!("Dockerfile.{service}"));
        let repository = self.name(
            &key("repository"),
            file.repository,
            format!("{name}-{service}"),
            names::REPOSITORY,
        )?;
        let mut build_args = BTreeMap::new();
        for (argument, value) in file.build_args {
            let (value, source) = match self.variable(&argument) {
                Some(value) => (value, Origin::Environment),
                None => (value, Origin::File),
            };
            self.note_own(&key(&format!("build_args.{argument}")), &argument, &value, source);
            build_args.insert(argument, value);
        }
        let mut named =
            |what: &str, file, default: String, rule| self.name(&key(what), file, default, rule);
        let ecs_service =
            named("service", file.service, format!("{name}-{service}-service"), names::ECS)?;
        let family = named("family", file.family, format!("{name}-{service}-td"), names::ECS)?;
        let container = named("container", file.container, service.to_string(), names::ECS)?;
        let target_group = named(
            "target_group",
            file.target_group,
            format!("{name}-{service}-tg"),
            names::LOAD_BALANCER,
        )?;
        let log_group =
            named("log_group", file.log_group, format!("{name}-{service}-log"), names::LOG_GROUP)?;
        let task_definition = self.or_default(key("task_definition"), file.task_definition, || {
            format!("ecs/ecs_{service}_taskdefinition.json")
        });
        let service_definition =
            self.or_default(key("service_definition"), file.service_definition, || {
                format!("ecs/ecs_{service}_service.json")
            });
        let (depends_on, source) = match (file.depends_on, service) {
            (Some(depends_on), _) => (depends_on, Origin::File),
            (None, ServiceName::Users) => (Vec::new(), Origin::Default),
            // Pages must not call what the API does not know yet.
            (None, ServiceName::Client) => (vec![ServiceName::Users], Origin::Default),
        };
        let words: Vec<_> = depends_on.iter().map(|service| service.as_str()).collect();
        self.note(key("depends_on"), &words.join(", "), source);
        Ok(Service {
            name: service,
            dockerfile,
            repository,
            build_args,
            ecs_service,
            family,
            container,
            target_group,
            log_group,
            task_definition,
            service_definition,
            depends_on,
            level: 0,
        })
    }
}
