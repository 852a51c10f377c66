//! The simulated ECS as the pipeline sees it.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::Sim;
use super::ecs::EPOCH;
use crate::cloud::{
    Cloud, CloudError, Cluster, Failure, Host, Identity, LogLine, LogPage, LogStart, RunTask,
    Service, ServiceDeployment, ServiceDeploymentStatus, Started, Target, Task, TaskDefinition,
    Tasks, Update,
};

fn missing<T>(operation: &'static str, what: &str) -> Result<T, CloudError> {
    Err(CloudError::NotFound { operation, message: format!("there is no {what}") })
}

impl Cloud for Sim {
    fn now(&self) -> SystemTime {
        self.time()
    }

    async fn identity(&self) -> Result<Identity, CloudError> {
        self.call("sts:GetCallerIdentity", |_, _| {
            Ok(Identity {
                account: "123456789012".to_owned(),
                arn: "arn:aws:iam::123456789012:user/ada".to_owned(),
                region: "us-west-1".to_owned(),
            })
        })
        .await
    }

    async fn cluster(&self) -> Result<Option<Cluster>, CloudError> {
        self.call("ecs:DescribeClusters", |_, _| {
            let name = "shop-cluster".to_owned();
            Ok(Some(Cluster { name, status: "ACTIVE".to_owned(), hosts: 1, scales: false }))
        })
        .await
    }

    async fn hosts(&self) -> Result<Vec<Host>, CloudError> {
        self.call("ecs:DescribeContainerInstances", |_, _| Ok(Vec::new())).await
    }

    async fn services(&self, names: &[String]) -> Result<Vec<Service>, CloudError> {
        self.call("ecs:DescribeServices", |ecs, old| {
            let services = ecs.services_at(old);
            let known = names.iter().filter_map(|name| services.get(name));
            Ok(known.map(|service| service.seen.clone()).collect())
        })
        .await
    }

    async fn create_service(
        &self,
        definition: &Value,
        _client_token: &str,
    ) -> Result<Service, CloudError> {
        self.call("ecs:CreateService", |ecs, _| {
            let name = definition["serviceName"].as_str().unwrap_or_default();
            // By the token the same request; the answer is the same, too.
            match ecs.services.get(name) {
                Some(service) => Ok(service.seen.clone()),
                None => Ok(ecs.create(definition)),
            }
        })
        .await
    }

    async fn update_service(&self, update: &Update) -> Result<Service, CloudError> {
        const OPERATION: &str = "ecs:UpdateService";
        self.call(OPERATION, |ecs, _| {
            let Some(service) = ecs.services.get(&update.service) else {
                return missing(OPERATION, "such service");
            };
            let now = service.seen.task_definition.clone();
            let wanted = update.task_definition.clone().unwrap_or_else(|| now.clone());
            if !ecs.definitions.iter().any(|one| one.arn == wanted) {
                return missing(OPERATION, "such task definition");
            }
            if let Some(service) = ecs.services.get_mut(&update.service) {
                for (name, value) in update.settings.as_object().into_iter().flatten() {
                    service.seen.document[name] = value.clone();
                }
            }
            if wanted != now || update.force {
                ecs.deploy(&update.service, &wanted);
            }
            Ok(ecs.services[&update.service].seen.clone())
        })
        .await
    }

    async fn service_deployments(
        &self,
        service: &str,
        since: SystemTime,
    ) -> Result<Vec<ServiceDeployment>, CloudError> {
        self.call("ecs:ListServiceDeployments", |ecs, old| {
            let records = ecs.services_at(old).get(service).map(|one| one.records.clone());
            let mut records = records.unwrap_or_default();
            records.retain(|record| record.created.is_some_and(|created| created >= since));
            Ok(records)
        })
        .await
    }

    async fn service_deployment(&self, arn: &str) -> Result<ServiceDeployment, CloudError> {
        const OPERATION: &str = "ecs:DescribeServiceDeployments";
        self.call(OPERATION, |ecs, old| {
            let mut all = ecs.services_at(old).values().flat_map(|service| &service.records);
            let found = all.find(|record| record.arn == arn).cloned();
            found.map_or_else(|| missing(OPERATION, "such service deployment"), Ok)
        })
        .await
    }

    async fn roll_back(&self, service_deployment: &str) -> Result<(), CloudError> {
        const OPERATION: &str = "ecs:StopServiceDeployment";
        self.call(OPERATION, |ecs, _| {
            let found = ecs.services.iter().find_map(|(name, service)| {
                let record = service.records.iter().find(|one| one.arn == service_deployment)?;
                Some((name.clone(), record.status.clone(), service.seen.primary()?.id.clone()))
            });
            match found {
                None => missing(OPERATION, "such service deployment"),
                Some((name, ServiceDeploymentStatus::InProgress, id)) => {
                    ecs.begin_rollback(&name, &id);
                    Ok(())
                }
                Some(_) => Err(CloudError::Refused {
                    operation: OPERATION,
                    code: "ConflictException".to_owned(),
                    message: "it is not in progress".to_owned(),
                }),
            }
        })
        .await
    }

    async fn task_definition(&self, name: &str) -> Result<TaskDefinition, CloudError> {
        const OPERATION: &str = "ecs:DescribeTaskDefinition";
        self.call(OPERATION, |ecs, _| {
            let mut all = ecs.definitions.iter().rev();
            let found =
                all.find(|one| one.arn == name || one.family == name || one.short() == name);
            found.cloned().map_or_else(|| missing(OPERATION, "such task definition"), Ok)
        })
        .await
    }

    async fn task_definitions(&self, family: &str) -> Result<Vec<String>, CloudError> {
        self.call("ecs:ListTaskDefinitions", |ecs, _| {
            let all = ecs.definitions.iter().rev().filter(|one| one.family == family);
            Ok(all.map(|one| one.arn.clone()).collect())
        })
        .await
    }

    async fn register_task_definition(
        &self,
        definition: &Value,
    ) -> Result<TaskDefinition, CloudError> {
        self.call("ecs:RegisterTaskDefinition", |ecs, _| Ok(ecs.register(definition))).await
    }

    async fn deregister_task_definition(&self, arn: &str) -> Result<(), CloudError> {
        self.call("ecs:DeregisterTaskDefinition", |ecs, _| {
            ecs.definitions.retain(|one| one.arn != arn);
            Ok(())
        })
        .await
    }

    async fn run_task(&self, run: &RunTask) -> Result<Started, CloudError> {
        self.call("ecs:RunTask", |ecs, _| {
            if ecs.no_room_for_tasks {
                let failure = Failure {
                    arn: "arn:host".to_owned(),
                    reason: "RESOURCE:MEMORY".to_owned(),
                    detail: String::new(),
                };
                return Ok(Started { tasks: Vec::new(), failures: vec![failure] });
            }
            let command = run.command.as_ref().map(|(_, command)| &**command).unwrap_or_default();
            let (arn, token) = (&run.task_definition, &run.client_token);
            let task = ecs.run(arn, token, &run.started_by, command);
            Ok(Started { tasks: vec![task], failures: Vec::new() })
        })
        .await
    }

    async fn list_tasks(&self, which: &Tasks, stopped: bool) -> Result<Vec<String>, CloudError> {
        self.call("ecs:ListTasks", |ecs, _| {
            let of = |one: &super::ecs::SimTask| match which {
                Tasks::Service(name) => one.service.as_ref() == Some(name),
                Tasks::Family(family) => {
                    crate::cloud::short(&one.task.task_definition).split(':').next()
                        == Some(&**family)
                }
            };
            let is = |one: &super::ecs::SimTask| (one.task.desired_status == "STOPPED") == stopped;
            let found = ecs.tasks.iter().filter(|one| of(one) && is(one));
            Ok(found.map(|one| one.task.arn.clone()).collect())
        })
        .await
    }

    async fn tasks(&self, arns: &[String]) -> Result<Vec<Task>, CloudError> {
        self.call("ecs:DescribeTasks", |ecs, old| {
            if !old.is_zero() {
                // It does not know them yet.
                return Ok(Vec::new());
            }
            let found = ecs.tasks.iter().filter(|one| arns.contains(&one.task.arn));
            Ok(found.map(|one| one.task.clone()).collect())
        })
        .await
    }

    async fn stop_task(&self, arn: &str, reason: &str) -> Result<(), CloudError> {
        self.call("ecs:StopTask", |ecs, _| {
            if ecs.tasks_do_not_stop {
                return missing("ecs:StopTask", "such task");
            }
            ecs.stop(arn, reason);
            Ok(())
        })
        .await
    }

    async fn targets(&self, target_group: &str) -> Result<Vec<Target>, CloudError> {
        self.call("elasticloadbalancing:DescribeTargetHealth", |ecs, _| {
            Ok(ecs.targets(target_group))
        })
        .await
    }

    async fn log(
        &self,
        _group: &str,
        stream: &str,
        start: &LogStart,
    ) -> Result<LogPage, CloudError> {
        const OPERATION: &str = "logs:GetLogEvents";
        self.call(OPERATION, |ecs, _| {
            let id = stream.rsplit('/').next().unwrap_or_default();
            let task = ecs.tasks.iter().find(|one| one.task.id() == id);
            let Some(log) = task.and_then(|one| one.log.as_ref()) else {
                return missing(OPERATION, "such log stream");
            };
            let skip = match start {
                LogStart::Beginning => 0,
                LogStart::After(token) => token.parse().unwrap_or(0),
                LogStart::Last(lines) => {
                    log.len().saturating_sub(usize::try_from(*lines).unwrap_or(0))
                }
            };
            let lines = log.iter().skip(skip).map(|message| LogLine {
                at: EPOCH + Duration::from_secs(1),
                stream: stream.to_owned(),
                message: message.clone(),
            });
            Ok(LogPage { lines: lines.collect(), next: Some(log.len().to_string()) })
        })
        .await
    }

    async fn logs(
        &self,
        _group: &str,
        _stream_prefix: &str,
        _since: SystemTime,
        _next: Option<&str>,
    ) -> Result<LogPage, CloudError> {
        self.call("logs:FilterLogEvents", |_, _| Ok(LogPage::default())).await
    }

    async fn outputs(&self, _stack: &str) -> Result<Option<BTreeMap<String, String>>, CloudError> {
        self.call("cloudformation:DescribeStacks", |_, _| Ok(None)).await
    }
}
