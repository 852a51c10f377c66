//! The port on the SDK.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use aws_sdk_cloudwatchlogs::primitives::DateTime;
use aws_sdk_ecs::config::Config;
use aws_sdk_ecs::config::retry::RetryConfig;
use serde_json::{Value, json};

use super::Aws;
use super::error::explain;
use super::raw::Raw;
use super::read::{self, list, number, text, texts};
use crate::cloud::{
    Cloud, CloudError, Cluster, Host, Identity, LogLine, LogPage, LogStart, RunTask, Service,
    ServiceDeployment, Started, Target, Task, TaskDefinition, Tasks, Update, between,
};

/// DescribeServices takes so many names.
const SERVICES: usize = 10;

/// One call of ECS with our own JSON: its method in the SDK, its name, and the request.
macro_rules! ask {
    ($aws:expr, $method:ident, $operation:expr, $request:expr) => {{
        let raw = Raw::new(&$request);
        let call = $aws.ecs.$method().customize().interceptor(raw.clone()).send();
        // The SDK's futures are large, and there are many of them here.
        match Box::pin(call).await {
            Ok(_) => Ok(raw.answer()),
            Err(error) => Err(explain($operation, &error)),
        }
    }};
}

fn odd(operation: &'static str, what: &str) -> CloudError {
    CloudError::Lost { operation, cause: format!("the answer has {what}") }
}

fn member<'v>(
    operation: &'static str,
    answer: &'v Value,
    name: &str,
) -> Result<&'v Value, CloudError> {
    answer.get(name).ok_or_else(|| odd(operation, &format!("no {name}")))
}

/// Adds what AWS's shape leaves to us.
fn with(document: &Value, members: &[(&str, Value)]) -> Value {
    let mut document = if document.is_object() { document.clone() } else { json!({}) };
    if let Some(object) = document.as_object_mut() {
        for (name, value) in members {
            object.insert((*name).to_owned(), value.clone());
        }
    }
    document
}

impl Aws {
    /// Of service deployments, with the task definitions of their target revisions.
    async fn records(&self, arns: &[String]) -> Result<Vec<ServiceDeployment>, CloudError> {
        const OPERATION: &str = "ecs:DescribeServiceDeployments";
        const REVISIONS: &str = "ecs:DescribeServiceRevisions";
        if arns.is_empty() {
            return Ok(Vec::new());
        }
        let request = json!({ "serviceDeploymentArns": arns });
        let answer = ask!(self, describe_service_deployments, OPERATION, request)?;
        let revision =
            |record: &Value| record.get("targetServiceRevision").map(|target| text(target, "arn"));
        let revisions: Vec<String> =
            list(&answer, "serviceDeployments").filter_map(revision).collect();
        // An empty list is refused: there are none where ECS does not know the deployments (yet).
        let described = match revisions.is_empty() {
            true => Value::Null,
            false => {
                let request = json!({ "serviceRevisionArns": revisions });
                ask!(self, describe_service_revisions, REVISIONS, request)?
            }
        };
        let definitions: BTreeMap<String, String> = list(&described, "serviceRevisions")
            .map(|one| (text(one, "serviceRevisionArn"), text(one, "taskDefinition")))
            .collect();
        let records = list(&answer, "serviceDeployments").map(|record| {
            let definition = revision(record).and_then(|arn| definitions.get(&arn).cloned());
            read::service_deployment(record, definition.unwrap_or_default())
        });
        Ok(records.collect())
    }
}

impl Cloud for Aws {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    async fn identity(&self) -> Result<Identity, CloudError> {
        const OPERATION: &str = "sts:GetCallerIdentity";
        let answer = self.sts.get_caller_identity().send().await;
        let answer = answer.map_err(|error| explain(OPERATION, &error))?;
        Ok(Identity {
            account: answer.account().unwrap_or_default().to_owned(),
            arn: answer.arn().unwrap_or_default().to_owned(),
            region: self.region.clone(),
        })
    }

    async fn cluster(&self) -> Result<Option<Cluster>, CloudError> {
        const OPERATION: &str = "ecs:DescribeClusters";
        let request = json!({ "clusters": [self.cluster] });
        let answer = ask!(self, describe_clusters, OPERATION, request)?;
        let cluster = list(&answer, "clusters").next().map(|found| Cluster {
            name: text(found, "clusterName"),
            status: text(found, "status"),
            hosts: number(found, "registeredContainerInstancesCount"),
            scales: list(found, "defaultCapacityProviderStrategy").next().is_some(),
        });
        Ok(cluster.filter(|cluster| cluster.status != "INACTIVE"))
    }

    async fn hosts(&self) -> Result<Vec<Host>, CloudError> {
        const OPERATION: &str = "ecs:ListContainerInstances";
        let request = json!({ "cluster": self.cluster });
        let answer = ask!(self, list_container_instances, OPERATION, request)?;
        let arns = texts(&answer, "containerInstanceArns");
        if arns.is_empty() {
            return Ok(Vec::new());
        }
        let request = json!({ "cluster": self.cluster, "containerInstances": arns });
        let operation = "ecs:DescribeContainerInstances";
        let answer = ask!(self, describe_container_instances, operation, request)?;
        Ok(list(&answer, "containerInstances").map(read::host).collect())
    }

    async fn services(&self, names: &[String]) -> Result<Vec<Service>, CloudError> {
        let mut services = Vec::new();
        for names in names.chunks(SERVICES) {
            let request = json!({ "cluster": self.cluster, "services": names });
            let answer = ask!(self, describe_services, "ecs:DescribeServices", request)?;
            services.extend(list(&answer, "services").map(read::service));
        }
        Ok(services)
    }

    async fn create_service(
        &self,
        definition: &Value,
        client_token: &str,
    ) -> Result<Service, CloudError> {
        const OPERATION: &str = "ecs:CreateService";
        let (cluster, token) = (json!(self.cluster), json!(client_token));
        let request = with(definition, &[("cluster", cluster), ("clientToken", token)]);
        let answer = ask!(self, create_service, OPERATION, request)?;
        Ok(read::service(member(OPERATION, &answer, "service")?))
    }

    async fn update_service(&self, update: &Update) -> Result<Service, CloudError> {
        const OPERATION: &str = "ecs:UpdateService";
        let mut members =
            vec![("cluster", json!(self.cluster)), ("service", json!(update.service))];
        if let Some(task_definition) = &update.task_definition {
            members.push(("taskDefinition", json!(task_definition)));
        }
        if let Some(desired) = update.desired {
            members.push(("desiredCount", json!(desired)));
        }
        if update.force {
            members.push(("forceNewDeployment", json!(true)));
        }
        let request = with(&update.settings, &members);
        let answer = ask!(self, update_service, OPERATION, request)?;
        Ok(read::service(member(OPERATION, &answer, "service")?))
    }

    async fn service_deployments(
        &self,
        service: &str,
        since: SystemTime,
    ) -> Result<Vec<ServiceDeployment>, CloudError> {
        const OPERATION: &str = "ecs:ListServiceDeployments";
        let after = between(SystemTime::UNIX_EPOCH, since).as_secs();
        let created = json!({ "after": after });
        let request = json!({ "cluster": self.cluster, "service": service, "createdAt": created });
        let answer = ask!(self, list_service_deployments, OPERATION, request)?;
        let arns: Vec<String> = list(&answer, "serviceDeployments")
            .map(|one| text(one, "serviceDeploymentArn"))
            .take(20)
            .collect();
        self.records(&arns).await
    }

    async fn service_deployment(&self, arn: &str) -> Result<ServiceDeployment, CloudError> {
        let records = self.records(&[arn.to_owned()]).await?;
        records.into_iter().next().ok_or_else(|| CloudError::NotFound {
            operation: "ecs:DescribeServiceDeployments",
            message: format!("there is no service deployment {arn}"),
        })
    }

    async fn roll_back(&self, service_deployment: &str) -> Result<(), CloudError> {
        const OPERATION: &str = "ecs:StopServiceDeployment";
        let request = json!({ "serviceDeploymentArn": service_deployment, "stopType": "ROLLBACK" });
        ask!(self, stop_service_deployment, OPERATION, request).map(|_| ())
    }

    async fn task_definition(&self, name: &str) -> Result<TaskDefinition, CloudError> {
        const OPERATION: &str = "ecs:DescribeTaskDefinition";
        let request = json!({ "taskDefinition": name });
        let answer = ask!(self, describe_task_definition, OPERATION, request)?;
        Ok(read::task_definition(member(OPERATION, &answer, "taskDefinition")?))
    }

    async fn task_definitions(&self, family: &str) -> Result<Vec<String>, CloudError> {
        const OPERATION: &str = "ecs:ListTaskDefinitions";
        let mut arns = Vec::new();
        let mut next = Value::Null;
        loop {
            let mut request = json!({ "familyPrefix": family, "status": "ACTIVE", "sort": "DESC" });
            if !next.is_null() {
                request = with(&request, &[("nextToken", next)]);
            }
            let answer = ask!(self, list_task_definitions, OPERATION, request)?;
            arns.extend(texts(&answer, "taskDefinitionArns"));
            next = answer.get("nextToken").cloned().unwrap_or_default();
            if next.is_null() {
                return Ok(arns);
            }
        }
    }

    async fn register_task_definition(
        &self,
        definition: &Value,
    ) -> Result<TaskDefinition, CloudError> {
        const OPERATION: &str = "ecs:RegisterTaskDefinition";
        let raw = Raw::new(definition);
        // Once: it has no client token, and the SDK would ask again after a lost answer.
        let once = Config::builder().retry_config(RetryConfig::disabled());
        let call = self.ecs.register_task_definition().customize().config_override(once);
        let answer = match Box::pin(call.interceptor(raw.clone()).send()).await {
            Ok(_) => raw.answer(),
            Err(error) => return Err(explain(OPERATION, &error)),
        };
        Ok(read::task_definition(member(OPERATION, &answer, "taskDefinition")?))
    }

    async fn deregister_task_definition(&self, arn: &str) -> Result<(), CloudError> {
        const OPERATION: &str = "ecs:DeregisterTaskDefinition";
        let request = json!({ "taskDefinition": arn });
        ask!(self, deregister_task_definition, OPERATION, request).map(|_| ())
    }

    async fn run_task(&self, run: &RunTask) -> Result<Started, CloudError> {
        const OPERATION: &str = "ecs:RunTask";
        let mut request = json!({
            "cluster": self.cluster,
            "taskDefinition": run.task_definition,
            "count": 1,
            "startedBy": run.started_by,
            "clientToken": run.client_token,
        });
        if let Some((container, command)) = &run.command {
            let environment: Vec<Value> = run
                .environment
                .iter()
                .map(|(name, value)| json!({ "name": name, "value": value }))
                .collect();
            let mut container = json!({ "name": container, "command": command });
            if !environment.is_empty() {
                container = with(&container, &[("environment", json!(environment))]);
            }
            let overrides = json!({ "containerOverrides": [container] });
            request = with(&request, &[("overrides", overrides)]);
        }
        let answer = ask!(self, run_task, OPERATION, request)?;
        Ok(Started {
            tasks: list(&answer, "tasks").map(read::task).collect(),
            failures: list(&answer, "failures").map(read::failure).collect(),
        })
    }

    async fn list_tasks(&self, which: &Tasks, stopped: bool) -> Result<Vec<String>, CloudError> {
        const OPERATION: &str = "ecs:ListTasks";
        let status = if stopped { "STOPPED" } else { "RUNNING" };
        let (name, value) = match which {
            Tasks::Service(name) => ("serviceName", name),
            Tasks::Family(family) => ("family", family),
        };
        let mut arns = Vec::new();
        let mut next = Value::Null;
        loop {
            let mut request =
                json!({ "cluster": self.cluster, name: value, "desiredStatus": status });
            if !next.is_null() {
                request = with(&request, &[("nextToken", next)]);
            }
            let answer = ask!(self, list_tasks, OPERATION, request)?;
            arns.extend(texts(&answer, "taskArns"));
            next = answer.get("nextToken").cloned().unwrap_or_default();
            if next.is_null() {
                return Ok(arns);
            }
        }
    }

    async fn tasks(&self, arns: &[String]) -> Result<Vec<Task>, CloudError> {
        if arns.is_empty() {
            return Ok(Vec::new());
        }
        let request = json!({ "cluster": self.cluster, "tasks": arns });
        let answer = ask!(self, describe_tasks, "ecs:DescribeTasks", request)?;
        Ok(list(&answer, "tasks").map(read::task).collect())
    }

    async fn stop_task(&self, arn: &str, reason: &str) -> Result<(), CloudError> {
        let request = json!({ "cluster": self.cluster, "task": arn, "reason": reason });
        ask!(self, stop_task, "ecs:StopTask", request).map(|_| ())
    }

    async fn targets(&self, target_group: &str) -> Result<Vec<Target>, CloudError> {
        const OPERATION: &str = "elasticloadbalancing:DescribeTargetHealth";
        let ask = self.balancers.describe_target_health().target_group_arn(target_group);
        let answer = Box::pin(ask.send()).await.map_err(|error| explain(OPERATION, &error))?;
        let targets = answer.target_health_descriptions().iter().map(|found| {
            let (target, health) = (found.target(), found.target_health());
            let health_of = |member: Option<&str>| member.unwrap_or_default().to_owned();
            Target {
                id: health_of(target.and_then(|target| target.id())),
                port: target.and_then(|target| u16::try_from(target.port()?).ok()),
                state: health_of(health.and_then(|health| Some(health.state()?.as_str()))),
                reason: health_of(health.and_then(|health| Some(health.reason()?.as_str()))),
                description: health_of(health.and_then(|health| health.description())),
            }
        });
        Ok(targets.collect())
    }

    async fn log(
        &self,
        group: &str,
        stream: &str,
        start: &LogStart,
    ) -> Result<LogPage, CloudError> {
        const OPERATION: &str = "logs:GetLogEvents";
        let ask = self.logs.get_log_events().log_group_name(group).log_stream_name(stream);
        let ask = match start {
            LogStart::Beginning => ask.start_from_head(true),
            LogStart::After(token) => ask.start_from_head(true).next_token(token),
            LogStart::Last(lines) => {
                ask.start_from_head(false).limit(i32::try_from(*lines).unwrap_or(i32::MAX))
            }
        };
        let answer = Box::pin(ask.send()).await.map_err(|error| explain(OPERATION, &error))?;
        let lines = answer.events().iter().map(|event| LogLine {
            at: moment(event.timestamp()),
            stream: stream.to_owned(),
            message: event.message().unwrap_or_default().trim_end().to_owned(),
        });
        let next = answer.next_forward_token().map(str::to_owned);
        Ok(LogPage { lines: lines.collect(), next })
    }

    async fn logs(
        &self,
        group: &str,
        stream_prefix: &str,
        since: SystemTime,
        next: Option<&str>,
    ) -> Result<LogPage, CloudError> {
        const OPERATION: &str = "logs:FilterLogEvents";
        let since = DateTime::from(since).to_millis().unwrap_or(0);
        let ask = self.logs.filter_log_events().log_group_name(group).start_time(since);
        let prefix = Some(stream_prefix).filter(|prefix| !prefix.is_empty());
        let ask = ask
            .set_log_stream_name_prefix(prefix.map(str::to_owned))
            .set_next_token(next.map(str::to_owned));
        let answer = Box::pin(ask.send()).await.map_err(|error| explain(OPERATION, &error))?;
        let lines = answer.events().iter().map(|event| LogLine {
            at: moment(event.timestamp()),
            stream: event.log_stream_name().unwrap_or_default().to_owned(),
            message: event.message().unwrap_or_default().trim_end().to_owned(),
        });
        Ok(LogPage { lines: lines.collect(), next: answer.next_token().map(str::to_owned) })
    }

    async fn outputs(&self, stack: &str) -> Result<Option<BTreeMap<String, String>>, CloudError> {
        const OPERATION: &str = "cloudformation:DescribeStacks";
        let answer = Box::pin(self.stacks.describe_stacks().stack_name(stack).send()).await;
        let answer = match answer.map_err(|error| explain(OPERATION, &error)) {
            Ok(answer) => answer,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(stack) = answer.stacks().first() else { return Ok(None) };
        let outputs = stack.outputs().iter().filter_map(|output| {
            Some((output.output_key()?.to_owned(), output.output_value()?.to_owned()))
        });
        Ok(Some(outputs.collect()))
    }
}

/// CloudWatch Logs counts milliseconds since 1970.
fn moment(milliseconds: Option<i64>) -> SystemTime {
    let milliseconds = milliseconds.and_then(|time| u64::try_from(time).ok()).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds)
}
