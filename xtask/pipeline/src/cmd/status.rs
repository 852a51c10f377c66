//! `status`: what runs now.

use std::collections::BTreeMap;
use std::fmt::{Display, Formatter};

use clap::Args;
use futures_util::future::join_all;
use schemars::JsonSchema;
use serde::Serialize;

use super::Common;
use super::site::Site;
use crate::cloud::{Cloud, CloudError, Rollout, Service, Target, Task, Tasks, short};
use crate::config::{Config, ServiceName};
use crate::error::Error;
use crate::interrupt::Stop;
use crate::observe;
use crate::report::answer;
use crate::store::lock::{Holder, Lock};
use crate::store::release::{Release, last_good, last_good_of};

/// Events of ECS that are shown where something is not as it should be.
const EVENTS: usize = 3;

/// Show what runs: services, tasks, targets, and who deploys
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Only this service
    #[arg(long, value_enum)]
    service: Option<ServiceName>,
}

/// What runs.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Report {
    /// The cluster.
    cluster: String,
    /// Who deploys now, if anybody.
    deploying: Option<Holder>,
    /// The release that ran last and well.
    release: Option<Release>,
    /// Each service.
    services: Vec<ServiceStatus>,
}

/// A service.
#[derive(Debug, Serialize, JsonSchema)]
struct ServiceStatus {
    service: ServiceName,
    /// What ECS calls it; absent if there is none.
    name: Option<String>,
    /// `family:revision`.
    task_definition: Option<String>,
    /// Whether the last good release runs.
    is_release: bool,
    desired: u32,
    running: u32,
    pending: u32,
    /// In words: completed, under way, failed.
    rollout: Option<String>,
    tasks: Vec<TaskStatus>,
    /// The targets in the load balancer, by state.
    targets: BTreeMap<String, usize>,
    /// What ECS said last, where something is not as it should be.
    events: Vec<String>,
}

/// A task.
#[derive(Debug, Serialize, JsonSchema)]
struct TaskStatus {
    id: String,
    status: String,
    health: String,
    task_definition: String,
}

impl Status {
    /// Looks and tells.
    pub(crate) async fn run(&self, common: &Common, stop: &Stop) -> Result<(), Error> {
        let config = common.config()?;
        let report = stop.or_interrupted(async {
            let site = Site::connect(&config).await?;
            look(&config, &site, self.service).await
        });
        Ok(answer(common.output, &report.await?)?)
    }
}

async fn look(config: &Config, site: &Site, only: Option<ServiceName>) -> Result<Report, Error> {
    let (services, deploying, releases) = tokio::try_join!(
        async { Ok::<_, Error>(observe::services(&site.aws, config).await?) },
        async { Ok(Lock::holder(&site.store).await?) },
        async { Ok(observe::releases(&site.store).await?) },
    )?;
    let release = last_good(&releases, None).cloned();
    let releases = &releases;
    let looked = config.services(only).map(|wanted| {
        let service = services.get(&wanted.name).and_then(|running| running.service.as_ref());
        let good = last_good_of(releases, wanted.name)
            .and_then(|release| release.services.get(&wanted.name)?.task_definition.clone());
        async move {
            match service {
                None => Ok(ServiceStatus::absent(wanted.name)),
                Some(service) => {
                    let (tasks, targets) = parts(&site.aws, service).await?;
                    Ok(ServiceStatus::new(wanted.name, service, good.as_deref(), &tasks, &targets))
                }
            }
        }
    });
    let services = join_all(looked).await.into_iter().collect::<Result<_, CloudError>>()?;
    Ok(Report { cluster: config.cluster.clone(), deploying, release, services })
}

/// A service's tasks and targets.
async fn parts(
    cloud: &impl Cloud,
    service: &Service,
) -> Result<(Vec<Task>, Vec<Target>), CloudError> {
    let tasks = async {
        let arns = cloud.list_tasks(&Tasks::Service(service.name.clone()), false).await?;
        if arns.is_empty() { Ok(Vec::new()) } else { cloud.tasks(&arns).await }
    };
    let targets = async {
        let asked = service.target_groups.iter().map(|group| cloud.targets(&group.arn));
        let found: Result<Vec<_>, _> = join_all(asked).await.into_iter().collect();
        Ok::<_, CloudError>(found?.into_iter().flatten().collect())
    };
    tokio::try_join!(tasks, targets)
}

impl ServiceStatus {
    fn absent(service: ServiceName) -> Self {
        Self {
            service,
            name: None,
            task_definition: None,
            is_release: false,
            desired: 0,
            running: 0,
            pending: 0,
            rollout: None,
            tasks: Vec::new(),
            targets: BTreeMap::new(),
            events: Vec::new(),
        }
    }

    fn new(
        name: ServiceName,
        service: &Service,
        good: Option<&str>,
        tasks: &[Task],
        targets: &[Target],
    ) -> Self {
        let rollout = service.primary().map(|primary| {
            let state = match primary.rollout {
                Rollout::Completed => "completed",
                Rollout::InProgress => "under way",
                Rollout::Failed => "failed",
                Rollout::Unknown => "not told",
            };
            if primary.reason.is_empty() || primary.rollout == Rollout::Completed {
                state.to_owned()
            } else {
                format!("{state}: {}", primary.reason)
            }
        });
        let mut by_state = BTreeMap::new();
        for target in targets {
            *by_state.entry(target.state.clone()).or_default() += 1;
        }
        let well = service.running >= service.desired
            && service.deployments.iter().all(|one| one.is_primary() || one.running == 0)
            && service.primary().is_some_and(|primary| primary.rollout == Rollout::Completed);
        let events = service.events.iter().take(if well { 0 } else { EVENTS });
        Self {
            service: name,
            name: Some(service.name.clone()),
            task_definition: Some(short(&service.task_definition).to_owned()),
            is_release: good == Some(&*service.task_definition),
            desired: service.desired,
            running: service.running,
            pending: service.pending,
            rollout,
            tasks: tasks
                .iter()
                .map(|task| TaskStatus {
                    id: task.id().to_owned(),
                    status: task.status.clone(),
                    health: task.health.clone(),
                    task_definition: short(&task.task_definition).to_owned(),
                })
                .collect(),
            targets: by_state,
            events: events.map(|event| event.message.clone()).collect(),
        }
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.cluster)?;
        match &self.release {
            Some(release) => writeln!(
                f,
                " · release {} · {} \"{}\"",
                release.id,
                release.version.chars().take(12).collect::<String>(),
                release.subject
            )?,
            None => writeln!(f, " · no release on record")?,
        }
        if let Some(holder) = &self.deploying {
            writeln!(f, "  ! {holder}")?;
        }
        self.services.iter().try_for_each(|service| write!(f, "{service}"))
    }
}

impl Display for ServiceStatus {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let name = self.service;
        let Some(task_definition) = &self.task_definition else {
            return writeln!(f, "{name:7} there is no such service");
        };
        let release = if self.is_release { "" } else { " (not what was released last)" };
        let pending =
            if self.pending > 0 { format!(", {} pending", self.pending) } else { String::new() };
        let rollout = self.rollout.as_deref().unwrap_or("not told");
        writeln!(
            f,
            "{name:7} {} of {} running{pending} · {task_definition}{release} · rollout {rollout}",
            self.running, self.desired
        )?;
        if !self.targets.is_empty() {
            let targets: Vec<_> =
                self.targets.iter().map(|(state, count)| format!("{count} {state}")).collect();
            writeln!(f, "        targets: {}", targets.join(", "))?;
        }
        for task in &self.tasks {
            let health = match &*task.health {
                "" | "UNKNOWN" => String::new(),
                health => format!(", {}", health.to_lowercase()),
            };
            let status = task.status.to_lowercase();
            writeln!(f, "        task {}  {status}{health}  {}", task.id, task.task_definition)?;
        }
        self.events.iter().try_for_each(|event| writeln!(f, "        | {event}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::{Deployment, Event};
    use crate::store::release::tests::draft;
    use serde_json::Value;

    fn service(rollout: Rollout) -> Service {
        let arn = "arn:aws:ecs:us-west-1:123456789012:task-definition/shop-users-td:42".to_owned();
        Service {
            name: "shop-users-service".to_owned(),
            arn: String::new(),
            status: "ACTIVE".to_owned(),
            task_definition: arn.clone(),
            desired: 2,
            running: 1,
            pending: 1,
            deployments: vec![Deployment {
                id: "ecs-svc/1".to_owned(),
                status: "PRIMARY".to_owned(),
                rollout,
                reason: "ECS deployment ecs-svc/1 in progress.".to_owned(),
                task_definition: arn,
                desired: 2,
                pending: 1,
                running: 1,
                failed: 0,
                created: None,
            }],
            target_groups: Vec::new(),
            events: vec![Event {
                id: "1".to_owned(),
                at: None,
                message: "(service shop-users-service) was unable to place a task.".to_owned(),
            }],
            document: Value::Null,
        }
    }

    #[test]
    fn a_person_sees_what_is_not_as_it_should_be() {
        let task = Task {
            arn: "arn:aws:ecs:us-west-1:123456789012:task/shop-cluster/4f3a".to_owned(),
            status: "RUNNING".to_owned(),
            desired_status: "RUNNING".to_owned(),
            health: "HEALTHY".to_owned(),
            started_by: "ecs-svc/1".to_owned(),
            task_definition: "task-definition/shop-users-td:42".to_owned(),
            command: Vec::new(),
            stop_code: None,
            stopped_reason: None,
            created: None,
            stopped: None,
            containers: Vec::new(),
        };
        let target = |state: &str| Target {
            id: "i-1".to_owned(),
            port: Some(32768),
            state: state.to_owned(),
            reason: String::new(),
            description: String::new(),
        };
        let users = ServiceStatus::new(
            ServiceName::Users,
            &service(Rollout::InProgress),
            Some("another"),
            &[task],
            &[target("healthy"), target("draining")],
        );
        let report = Report {
            cluster: "shop-cluster".to_owned(),
            deploying: None,
            release: Some(draft("2026-11-23.2".parse().unwrap(), 0)),
            services: vec![users, ServiceStatus::absent(ServiceName::Client)],
        };
        insta::assert_snapshot!(report, @r#"
        shop-cluster · release 2026-11-23.2 · c0ffee "Ask before removing a user"
        users   1 of 2 running, 1 pending · shop-users-td:42 (not what was released last) · rollout under way: ECS deployment ecs-svc/1 in progress.
                targets: 1 draining, 1 healthy
                task 4f3a  running, healthy  shop-users-td:42
                | (service shop-users-service) was unable to place a task.
        client  there is no such service
        "#);
    }
}
