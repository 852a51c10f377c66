//! What is kept of a failed deployment before anything is undone: ECS forgets a stopped task
//! within the hour, and a rolled back one sooner.
//!
//! Collecting never fails. What cannot be had is said in the place where it would have been.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cloud::{Cloud, CloudError, Event, LogStart, ServiceDeployment, Target, Task};

/// How many of a container's last lines are kept.
const LINES: u32 = 30;
/// How many tasks are looked at closely: one dies as the other.
const TASKS: usize = 2;
/// How many of ECS's sentences are kept.
const EVENTS: usize = 5;

/// Everything that tells why.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Evidence {
    /// The tasks that ended, the last ones first.
    pub(crate) tasks: Vec<DeadTask>,
    /// How many ended in all.
    pub(crate) deaths: usize,
    /// What the load balancer says about targets that are not healthy.
    pub(crate) targets: Vec<String>,
    /// What ECS has said since the deployment began, the newest first.
    pub(crate) events: Vec<String>,
    /// What the circuit breaker has counted, and its limit.
    pub(crate) breaker: Option<(u32, u32)>,
    /// The fewest healthy targets that any look saw, and how many there were before.
    #[serde(default)]
    pub(crate) healthy: Option<(u32, u32)>,
}

/// A task that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct DeadTask {
    /// Its id.
    pub(crate) id: String,
    /// `EssentialContainerExited`, …
    pub(crate) stop_code: Option<String>,
    /// ECS's words.
    pub(crate) reason: Option<String>,
    /// Those that ended badly.
    pub(crate) containers: Vec<DeadContainer>,
}

impl DeadTask {
    /// The same, less what its containers wrote.
    #[must_use]
    pub(crate) fn without_log(&self) -> Self {
        let mut task = self.clone();
        for container in &mut task.containers {
            container.log.clear();
        }
        task
    }

    /// Whether another one ended in the same way. What they wrote may differ by a time of day.
    #[must_use]
    pub(crate) fn died_like(&self, other: &Self) -> bool {
        let ends = |task: &Self| {
            let ends = task.containers.iter().map(|one| (one.exit_code, one.reason.clone()));
            (task.reason.clone(), ends.collect::<Vec<_>>())
        };
        ends(self) == ends(other)
    }
}

/// A container that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct DeadContainer {
    /// Its name.
    pub(crate) name: String,
    /// What it returned, if it ran.
    pub(crate) exit_code: Option<i32>,
    /// The agent's words.
    pub(crate) reason: Option<String>,
    /// What really ran.
    pub(crate) image_digest: Option<String>,
    /// Its last lines.
    pub(crate) log: Vec<String>,
    /// Why there are none.
    pub(crate) no_log: Option<String>,
}

impl DeadContainer {
    /// What an exit code says beyond its number.
    #[must_use]
    pub(crate) fn hint(&self) -> Option<&'static str> {
        let killed_for_memory =
            self.reason.as_deref().is_some_and(|reason| reason.contains("OutOfMemory"));
        match self.exit_code {
            _ if killed_for_memory => Some("it used more memory than the task definition allows"),
            Some(137) => Some("killed: out of memory, or it did not end within its stop timeout"),
            Some(139) => Some("it crashed (segmentation fault)"),
            Some(126 | 127) => Some("its command is not there or cannot be executed"),
            Some(143) => Some("it ended when it was asked to"),
            _ => None,
        }
    }
}

/// What there is to look at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene<'a> {
    /// Tasks that ended by themselves, in the order of their end.
    pub(crate) deaths: &'a [Task],
    /// ECS's sentences since the beginning, the newest first.
    pub(crate) events: &'a [Event],
    /// What the load balancer said against targets.
    pub(crate) complaints: &'a BTreeSet<String>,
    /// ECS's record.
    pub(crate) record: Option<&'a ServiceDeployment>,
    /// The fewest healthy targets that any look saw, and how many there were before.
    pub(crate) healthy: Option<(u32, u32)>,
}

/// Collects.
pub(crate) async fn collect(cloud: &impl Cloud, scene: &Scene<'_>) -> Evidence {
    let mut tasks = Vec::new();
    for task in scene.deaths.iter().rev().take(TASKS) {
        tasks.push(autopsy(cloud, task).await);
    }
    let targets = scene.complaints.iter().cloned().collect();
    let mut events: Vec<String> = Vec::new();
    for event in scene.events {
        // ECS repeats itself for as long as nothing changes.
        if !events.contains(&event.message) && events.len() < EVENTS {
            events.push(event.message.clone());
        }
    }
    let breaker = scene.record.and_then(|record| record.breaker);
    let healthy = scene.healthy;
    Evidence { tasks, deaths: scene.deaths.len(), targets, events, breaker, healthy }
}

/// What a load balancer says against a target, if it is not well.
#[must_use]
pub(crate) fn complaint(target: &Target) -> Option<String> {
    if target.state != "unhealthy" && target.state != "unavailable" {
        return None;
    }
    let said = [&target.reason, &target.description];
    let said: Vec<&str> =
        said.into_iter().map(String::as_str).filter(|text| !text.is_empty()).collect();
    Some(format!("{}: {}", target.state, said.join(", ")))
}

/// One task, with the last lines of its containers.
pub(crate) async fn autopsy(cloud: &impl Cloud, task: &Task) -> DeadTask {
    let document = cloud.task_definition(&task.task_definition).await.map(|found| found.document);
    let mut containers = Vec::new();
    for container in &task.containers {
        let (log, no_log) = match &document {
            Ok(document) => match stream(document, &container.name, task.id()) {
                Some((group, stream)) => {
                    let ran = container.exit_code.is_some();
                    last_lines(cloud, &group, &stream, ran).await
                }
                None => (Vec::new(), Some("it does not log to CloudWatch".to_owned())),
            },
            Err(error) => (Vec::new(), Some(format!("where it logs is not known: {error}"))),
        };
        containers.push(DeadContainer {
            name: container.name.clone(),
            exit_code: container.exit_code,
            reason: container.reason.clone(),
            image_digest: container.image_digest.clone(),
            log,
            no_log,
        });
    }
    DeadTask {
        id: task.id().to_owned(),
        stop_code: task.stop_code.clone(),
        reason: task.stopped_reason.clone(),
        containers,
    }
}

async fn last_lines(
    cloud: &impl Cloud,
    group: &str,
    stream: &str,
    ran: bool,
) -> (Vec<String>, Option<String>) {
    match cloud.log(group, stream, &LogStart::Last(LINES)).await {
        Ok(page) if page.lines.is_empty() => (Vec::new(), Some("it wrote nothing".to_owned())),
        Ok(page) => (page.lines.into_iter().map(|line| line.message).collect(), None),
        Err(CloudError::NotFound { .. }) if ran => {
            (Vec::new(), Some(format!("it ran, but CloudWatch has no stream {stream} in {group}")))
        }
        // A task that failed to start has no stream: nothing ran that could write.
        Err(CloudError::NotFound { .. }) => {
            (Vec::new(), Some("it never ran, so there is no log".to_owned()))
        }
        Err(error) => (Vec::new(), Some(format!("its log cannot be read: {error}"))),
    }
}

/// Where a container logs: the group, and the stream that the awslogs driver names after the task.
#[must_use]
pub(crate) fn stream(document: &Value, container: &str, task: &str) -> Option<(String, String)> {
    let containers = document.get("containerDefinitions")?.as_array()?;
    let definition =
        containers.iter().find(|one| one.get("name").and_then(Value::as_str) == Some(container))?;
    let configuration = definition.get("logConfiguration")?;
    if configuration.get("logDriver")?.as_str()? != "awslogs" {
        return None;
    }
    let option = |name| configuration.pointer(&format!("/options/{name}"))?.as_str();
    let (group, prefix) = (option("awslogs-group")?, option("awslogs-stream-prefix")?);
    Some((group.to_owned(), format!("{prefix}/{container}/{task}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_stream_is_named_after_prefix_container_and_task() {
        let options = json!({ "awslogs-group": "shop", "awslogs-stream-prefix": "users" });
        let logs = json!({ "logDriver": "awslogs", "options": options });
        let document =
            json!({ "containerDefinitions": [{ "name": "api", "logConfiguration": logs }] });
        let expected = Some(("shop".to_owned(), "users/api/4f3a".to_owned()));
        assert_eq!(stream(&document, "api", "4f3a"), expected);
        assert_eq!(stream(&document, "other", "4f3a"), None);
        assert_eq!(
            stream(&json!({ "containerDefinitions": [{ "name": "api" }] }), "api", ""),
            None
        );
    }

    #[test]
    fn exit_codes_say_what_they_mean() {
        let container = |exit_code, reason: Option<&str>| DeadContainer {
            name: "api".to_owned(),
            exit_code,
            reason: reason.map(str::to_owned),
            image_digest: None,
            log: Vec::new(),
            no_log: None,
        };
        assert!(container(Some(137), None).hint().unwrap().contains("stop timeout"));
        let memory = container(Some(137), Some("OutOfMemoryError: Container killed"));
        assert!(memory.hint().unwrap().contains("more memory"));
        assert_eq!(container(Some(1), None).hint(), None);
    }
}
