//! `doctor`: everything that a deployment needs, looked at before it is needed.
//!
//! It changes nothing. What fails says what to do; what depends on something that failed is left
//! out and says so.

use std::fmt::{Display, Formatter};
use std::time::Duration;

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::Common;
use super::site::{Site, environment};
use crate::aws::balancer::Balancer;
use crate::cloud::{Cloud as _, LogStart, Rollout};
use crate::config::{Config, Service};
use crate::desired::{Desired, TO_BE_BUILT};
use crate::error::Error;
use crate::https;
use crate::images::docker::Docker;
use crate::images::login;
use crate::images::source::Source;
use crate::interrupt::Stop;
use crate::observe::{Observed, Running};
use crate::report::answer;
use crate::room::{self, Move};
use crate::smoke;

/// Check everything that a deployment needs
///
/// Git, Docker, the registry, AWS, the cluster, the documents, the load balancer, and whether what
/// runs answers. It changes nothing.
#[derive(Debug, Args)]
pub(crate) struct Doctor;

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    /// As it should be.
    Ok,
    /// It works, and could be better.
    Warning,
    /// A deployment would fail.
    Failed,
    /// It could not be looked at.
    Skipped,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
struct Check {
    what: String,
    verdict: Verdict,
    /// What was found, and what to do about it.
    found: String,
}

/// Checks that belong together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
struct Group {
    name: String,
    checks: Vec<Check>,
}

/// All of them.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Report {
    /// Whether nothing failed.
    ok: bool,
    groups: Vec<Group>,
}

impl Doctor {
    /// Looks and tells.
    pub(crate) async fn run(&self, common: &Common, stop: &Stop) -> Result<(), Error> {
        let config = common.config()?;
        let report = stop.or_interrupted(async { Ok::<_, Error>(look(&config, stop).await) });
        let report = report.await?;
        answer(common.output, &report)?;
        if report.ok {
            return Ok(());
        }
        let exit_code = crate::exit_code::ERROR;
        Err(Error::Ended {
            message: format!("{} would stop a deployment", report.count()),
            exit_code,
        })
    }
}

async fn look(config: &Config, stop: &Stop) -> Report {
    let mut groups = vec![here(config, stop).await];
    let mut aws = Group::new("aws");
    match Site::connect(config).await {
        Err(error) => {
            aws.failed("credentials", &error);
            aws.skip("everything else", "without credentials nothing can be asked");
            groups.push(aws);
        }
        Ok(site) => {
            let who = &site.identity;
            aws.ok("credentials", format!("{} in {}, {}", who.arn, who.account, who.region));
            match site.observe(config).await {
                Err(error) => {
                    aws.failed("reading", &error);
                    groups.push(aws);
                }
                Ok(observed) => {
                    account(&mut aws, config, &observed);
                    groups.push(aws);
                    for service in config.services(None) {
                        groups.push(of_service(config, &site, &observed, service).await);
                    }
                    groups.push(front(config, &observed).await);
                }
            }
        }
    }
    let ok =
        groups.iter().flat_map(|group| &group.checks).all(|one| one.verdict != Verdict::Failed);
    Report { ok, groups }
}

/// Git, Docker and the registry.
async fn here(config: &Config, stop: &Stop) -> Group {
    let mut group = Group::new("here");
    match std::env::current_dir() {
        Err(error) => group.failed("git", &error),
        Ok(root) => match Source::observe(&root, false, stop).await {
            Err(error) => group.failed("git", &error),
            Ok(source) if source.revision.dirty => {
                let what = format!(
                    "{}: tagged -dirty, refused in continuous integration",
                    source.revision
                );
                group.warn("git", what);
            }
            Ok(source) => group.ok("git", source.revision.to_string()),
        },
    }
    match Docker::default().check(stop).await {
        Err(error) => {
            group.failed("docker", &error);
            group.skip("registry", "without Docker it cannot be asked");
        }
        Ok(()) => {
            group.ok("docker", "an engine with buildx answers");
            match login::sign_in(config, stop).await {
                Ok(session) => group.ok("registry", format!("{} lets us in", session.host)),
                Err(error) => group.failed("registry", &error),
            }
        }
    }
    group
}

/// What all services need.
fn account(group: &mut Group, config: &Config, observed: &Observed) {
    // It was read to get here.
    group.ok(
        "records",
        match observed.releases.first() {
            Some(last) => format!(
                "{}, the last is {} ({})",
                config.bucket(&observed.identity.account),
                last.id,
                last.outcome
            ),
            None => format!("{}, no release yet", config.bucket(&observed.identity.account)),
        },
    );
    match &observed.holder {
        None => group.ok("lock", "free"),
        Some(holder) => group.warn("lock", holder.to_string()),
    }
    match &observed.outputs {
        Some(outputs) => group.ok("stack", format!("{}, {} outputs", config.stack, outputs.len())),
        None => group.warn(
            "stack",
            format!(
                "there is no stack {}: names and values come from {} alone",
                config.stack,
                crate::config::PATH
            ),
        ),
    }
    match &observed.cluster {
        None => group.fail("cluster", format!("there is no cluster {}", config.cluster)),
        Some(cluster) if cluster.status != "ACTIVE" => {
            group.fail("cluster", format!("{} is {}", cluster.name, cluster.status));
        }
        Some(cluster) => match (room::ready(&observed.hosts).count(), observed.hosts.len()) {
            (0, _) => group.warn(
                "cluster",
                format!(
                    "{} has no host that is connected: tasks of launch type EC2 would not start",
                    cluster.name
                ),
            ),
            (ready, all) if ready < all => group.warn(
                "cluster",
                format!("{}, only {ready} of {all} hosts can take tasks", cluster.name),
            ),
            (ready, _) => group.ok("cluster", format!("{}, {ready} hosts", cluster.name)),
        },
    }
}

/// What one service needs.
async fn of_service(config: &Config, site: &Site, observed: &Observed, service: &Service) -> Group {
    let mut group = Group::new(service.name.as_str());
    match Desired::new(config, observed, &environment()) {
        Err(error) => {
            group.failed("documents", &error);
            group.skip("room", "without its task definition its size is not known");
        }
        Ok(desired) => match desired.task_definition(service.name, TO_BE_BUILT) {
            Err(error) => group.failed("documents", &error),
            Ok(filled) => {
                let plain = plain_secrets(&filled.document);
                if plain.is_empty() {
                    group.ok("documents", "every placeholder has a value");
                } else {
                    group.warn("documents", format!("{} in plain sight of everyone who may describe task definitions: name it under `secrets`", plain.join(", ")));
                }
                room(&mut group, observed, &desired, service, &filled.document);
            }
        },
    }
    let end = LogStart::Last(1);
    match site.aws.log(&service.log_group, "doctor", &end).await {
        Err(error) if error.is_not_found() && error.to_string().contains("group") => {
            group.fail(
                "log group",
                format!("there is no log group {}: tasks would not start", service.log_group),
            );
        }
        Err(error) if !error.is_not_found() => group.failed("log group", &error),
        _ => group.ok("log group", service.log_group.clone()),
    }
    match observed.target_groups.get(&service.target_group) {
        None => {
            group.fail("target group", format!("there is none called {}", service.target_group));
        }
        Some(arn) if !is_routed(observed.balancer.as_ref(), arn) => {
            group.fail(
                "target group",
                format!("no rule of the load balancer leads to {}", service.target_group),
            );
        }
        Some(_) => {
            group.ok("target group", format!("{}, and a rule leads there", service.target_group));
        }
    }
    let running = observed.services.get(&service.name).and_then(|one| one.service.as_ref());
    match running {
        None => group.warn(
            "service",
            format!("{} is not there yet: a deployment creates it", service.ecs_service),
        ),
        Some(there) => {
            let state = format!("{}, {} of {} running", there.name, there.running, there.desired);
            let settled =
                there.primary().is_some_and(|primary| primary.rollout == Rollout::Completed);
            if there.running < there.desired || !settled {
                group.warn("service", format!("{state}; `cargo xtask status` shows why"));
            } else {
                group.ok("service", state);
            }
        }
    }
    group
}

/// Whether a rollout of the service would find room.
fn room(group: &mut Group, observed: &Observed, desired: &Desired, service: &Service, new: &Value) {
    let nothing = Running::default();
    let running = observed.services.get(&service.name).unwrap_or(&nothing);
    let (place, wanted) = ((service.name, service.level), desired.create(service.name));
    let one = Move::new(place, &wanted, running, new, observed.cluster.as_ref());
    let need = one.new.to_string();
    let lacks = room::lacks(&observed.hosts, None, std::slice::from_ref(&one));
    if lacks.is_empty() && observed.hosts.is_empty() {
        return group.skip("room", "the cluster has no hosts that tell");
    }
    for lack in &lacks {
        match lack.may_pass() {
            true => group.warn("room", lack.to_string()),
            false => group.fail("room", lack.to_string()),
        }
    }
    if lacks.is_empty() {
        let ready = || room::ready(&observed.hosts);
        let memory = ready().map(|host| host.memory).max().unwrap_or(0);
        let cpu = ready().map(|host| host.cpu).max().unwrap_or(0);
        let left = format!("up to {memory} MiB and {cpu} CPU units left on a host");
        group.ok("room", format!("{need} for a new task, {left}"));
    }
}

/// Variables that look like secrets and are not taken from a store of secrets.
fn plain_secrets(document: &Value) -> Vec<String> {
    let containers = document.get("containerDefinitions").and_then(Value::as_array);
    let named =
        containers.into_iter().flatten().filter_map(|one| one.get("environment")?.as_array());
    let names = named.flatten().filter_map(|variable| {
        let name = variable.get("name")?.as_str()?;
        let value = variable.get("value")?.as_str()?;
        crate::task_definition::is_secret(name, value).then(|| name.to_owned())
    });
    names.collect()
}

/// Whether a rule leads to a target group.
fn is_routed(balancer: Option<&Balancer>, target_group: &str) -> bool {
    let rules = balancer.into_iter().flat_map(|one| &one.listeners).flat_map(|one| &one.rules);
    rules.into_iter().any(|rule| rule.target_group.as_deref() == Some(target_group))
}

/// The load balancer, and what answers there.
async fn front(config: &Config, observed: &Observed) -> Group {
    let mut group = Group::new("front");
    let balancer = observed.balancer.as_ref();
    match balancer {
        None => {
            group.fail("load balancer", format!("there is none called {}", config.load_balancer));
        }
        Some(balancer) => {
            let ports: Vec<_> = balancer.listeners.iter().map(|one| one.port.to_string()).collect();
            let rules: usize = balancer.listeners.iter().map(|one| one.rules.len()).sum();
            let listens =
                format!("{} on {}, {rules} rules", config.load_balancer, ports.join(" and "));
            group.ok("load balancer", listens);
        }
    }
    let output = observed.outputs.as_ref().and_then(|outputs| outputs.get("Url"));
    let url = smoke::url(config.url.as_deref(), output.map(String::as_str), balancer);
    let deployed = observed.services.values().any(|running| running.service.is_some());
    match url {
        None => group.fail("address", format!("set aws.url in {}", crate::config::PATH)),
        Some(url) => {
            if let Some(host) = https::host(&url) {
                let looks = tokio::join!(
                    https::alias(host, balancer),
                    https::certificate(host),
                    https::redirect(host)
                );
                group.found("alias", looks.0);
                group.found("certificate", looks.1);
                group.found("redirect", looks.2);
            }
            if !deployed {
                group.skip("answers", "nothing is deployed yet");
                return group;
            }
            let (paths, any) = (smoke::paths(balancer), smoke::Expected::default());
            let seen = smoke::check(&url, &paths, &any, Duration::ZERO).await;
            let text = seen.to_string();
            if seen.ok {
                group.ok("answers", format!("{url}: {text}"));
            } else {
                group.fail("answers", text);
            }
        }
    }
    group
}

impl Group {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), checks: Vec::new() }
    }

    fn add(&mut self, what: &str, verdict: Verdict, found: String) {
        self.checks.push(Check { what: what.to_owned(), verdict, found });
    }

    fn ok(&mut self, what: &str, found: impl Into<String>) {
        self.add(what, Verdict::Ok, found.into());
    }

    fn warn(&mut self, what: &str, found: impl Into<String>) {
        self.add(what, Verdict::Warning, found.into());
    }

    fn fail(&mut self, what: &str, found: impl Into<String>) {
        self.add(what, Verdict::Failed, found.into());
    }

    fn failed(&mut self, what: &str, error: &dyn std::error::Error) {
        self.add(what, Verdict::Failed, error.to_string());
    }

    fn found(&mut self, what: &str, found: Result<String, String>) {
        match found {
            Ok(found) => self.ok(what, found),
            Err(problem) => self.fail(what, problem),
        }
    }

    fn skip(&mut self, what: &str, why: &str) {
        self.add(what, Verdict::Skipped, why.to_owned());
    }
}

impl Report {
    fn count(&self) -> String {
        let all = self.groups.iter().flat_map(|group| &group.checks);
        let failed = all.filter(|one| one.verdict == Verdict::Failed).count();
        if failed == 1 { "one thing".to_owned() } else { format!("{failed} things") }
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        for group in &self.groups {
            writeln!(f, "{}", group.name)?;
            for check in &group.checks {
                let sign = match check.verdict {
                    Verdict::Ok => "✓",
                    Verdict::Warning => "!",
                    Verdict::Failed => "✗",
                    Verdict::Skipped => "-",
                };
                let mut lines = check.found.lines();
                let first = lines.next().unwrap_or_default();
                writeln!(f, "  {sign} {:13}  {first}", check.what)?;
                for line in lines {
                    writeln!(f, "    {:13}  {line}", "")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::balancer::{Listener, Rule};
    use serde_json::json;

    #[test]
    fn a_person_sees_at_once_what_is_wrong_and_what_to_do() {
        let mut here = Group::new("here");
        here.ok("git", "8c1f2ab \"Ask\" (main, clean)");
        here.skip("registry", "without Docker it cannot be asked");
        let mut users = Group::new("users");
        users.fail("documents", "a placeholder is without a value:\n  ${A}  in ecs/a.json");
        users.warn("service", "shop-users-service is not there yet: a deployment creates it");
        let report = Report { ok: false, groups: vec![here, users] };
        assert_eq!(report.count(), "one thing");
        crate::schema_check::holds(&report);
        insta::assert_snapshot!(report, @r#"
        here
          ✓ git            8c1f2ab "Ask" (main, clean)
          - registry       without Docker it cannot be asked
        users
          ✗ documents      a placeholder is without a value:
                             ${A}  in ecs/a.json
          ! service        shop-users-service is not there yet: a deployment creates it
        "#);
    }

    #[test]
    fn secrets_in_plain_sight_are_named_without_their_values() {
        let document = json!({ "containerDefinitions": [{
            "environment": [
                { "name": "APP_ENV", "value": "production" },
                { "name": "SECRET_KEY", "value": "hunter2" },
                { "name": "PEER", "value": "amqp://ada:hunter2@queue" },
            ],
            "secrets": [{ "name": "DATABASE_URL", "valueFrom": "arn" }],
        }] });
        assert_eq!(plain_secrets(&document), ["SECRET_KEY", "PEER"]);
    }

    #[test]
    fn a_target_group_without_a_rule_is_seen() {
        let rule = Rule { paths: Vec::new(), target_group: Some("a".to_owned()) };
        let listener = Listener { port: 80, tls: false, rules: vec![rule] };
        let balancer = Balancer { dns: "a".to_owned(), listeners: vec![listener] };
        assert!(is_routed(Some(&balancer), "a"));
        assert!(!is_routed(Some(&balancer), "b") && !is_routed(None, "a"));
    }
}
