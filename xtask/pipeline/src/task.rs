//! One-off tasks: a command in a service's container, run once on the cluster.
//!
//! RunTask with a client token starts one task, however often it has to be asked. What the
//! container writes is shown as it comes, and its exit code is what counts.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::Instant;

use crate::cloud::{
    self, Cloud, CloudError, Failure, LogLine, LogStart, RunTask, Task, TaskDefinition, Tasks,
};
use crate::config::ServiceName;
use crate::deploy::FailedTask;
use crate::evidence::{DeadTask, autopsy, stream};
use crate::report::human;
use crate::rollout::{Context, PATIENCE, patiently, token};
use crate::tell::INDENT;

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(2);
/// A new task may be unknown for so long.
const UNKNOWN: Duration = Duration::from_mins(1);
/// Lines arrive late: after the end, the log is read for so long without news.
const DRAIN: Duration = Duration::from_secs(4);
/// And no longer than this in all.
const DRAIN_LIMIT: Duration = Duration::from_secs(20);

/// What is to be run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OneOff {
    /// What people call it: `migrate`.
    pub(crate) name: String,
    /// In whose image.
    pub(crate) who: ServiceName,
    /// What it runs.
    pub(crate) task_definition: TaskDefinition,
    /// The container that the command is for.
    pub(crate) container: String,
    /// The command.
    pub(crate) command: Vec<String>,
}

/// A task that ended with exit code 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Finished {
    /// Its id.
    pub(crate) task: String,
    /// How long it took from the request to its end.
    pub(crate) seconds: u64,
    /// What it wrote.
    pub(crate) log: Vec<String>,
}

/// Why a task did not do what it was for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TaskError {
    #[error(
        "{name} runs already (task {task}, started by {by}): wait for it, or follow it with \
         `cargo xtask logs --task {task}`"
    )]
    Busy { name: String, task: String, by: String },
    #[error("ECS does not start {name}: {}", reasons(.failures))]
    Refused { name: String, failures: Vec<Failure> },
    #[error("{name} failed: {}", last_words(.task))]
    Failed { name: String, task: Box<DeadTask> },
    #[error("{name} was started as task {task}, but ECS does not know that task")]
    Lost { name: String, task: String },
    #[error(
        "{name} has not ended within {}; task {task} {}", human(*.limit),
        if *.stopped { "was stopped" } else { "could NOT be stopped, and goes on" }
    )]
    TimedOut { name: String, task: String, limit: Duration, stopped: bool },
    #[error("interrupted; {name} was not started")]
    NotStarted { name: String },
    #[error("interrupted; {name} (task {task}) {}", if *.stopped { "was stopped" } else { "goes on" })]
    Interrupted { name: String, task: String, stopped: bool },
    #[error(transparent)]
    Cloud(#[from] CloudError),
}

impl TaskError {
    /// What is known of the task, if there is any.
    #[must_use]
    pub(crate) fn task(&self) -> Option<FailedTask> {
        let (task, evidence) = match self {
            Self::Failed { task, .. } => (&task.id, Some(task.clone())),
            Self::Busy { task, .. }
            | Self::Lost { task, .. }
            | Self::TimedOut { task, .. }
            | Self::Interrupted { task, .. } => (task, None),
            Self::Refused { .. } | Self::NotStarted { .. } | Self::Cloud(_) => return None,
        };
        let containers = evidence.iter().flat_map(|task| &task.containers);
        let exit_code = containers.filter_map(|container| container.exit_code).next();
        Some(FailedTask { task: task.clone(), exit_code, evidence })
    }
}

fn reasons(failures: &[Failure]) -> String {
    let said = failures.iter().map(|failure| match failure.reason.as_str() {
        "RESOURCE:MEMORY" => "no host has enough free memory".to_owned(),
        "RESOURCE:CPU" => "no host has enough free CPU units".to_owned(),
        "AGENT" => "the hosts' agents are not connected".to_owned(),
        reason if failure.detail.is_empty() => reason.to_owned(),
        reason => format!("{reason}: {}", failure.detail),
    });
    let said: std::collections::BTreeSet<String> = said.collect();
    if said.is_empty() {
        return "it does not say why".to_owned();
    }
    said.into_iter().collect::<Vec<_>>().join("; ")
}

fn last_words(task: &DeadTask) -> String {
    let exit = task.containers.iter().find_map(|container| {
        let code = container.exit_code?;
        let hint = container.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
        Some(format!("exit code {code}{hint}"))
    });
    let said = task.containers.iter().find_map(|container| container.reason.clone());
    let said = said.or_else(|| task.reason.clone());
    match (exit, said) {
        (Some(exit), _) => exit,
        (None, Some(said)) => said,
        (None, None) => "it never started, and ECS does not say why".to_owned(),
    }
}

/// Whose tasks are ours: `startedBy`, at most 36 characters.
#[must_use]
pub(crate) fn started_by(name: &str) -> String {
    format!("pipeline/{name}").chars().take(36).collect()
}

/// Runs a task to its end.
///
/// # Errors
/// It runs already, cannot be started, failed, or was interrupted. Then nothing of ours is left
/// running, unless the error says so.
pub(crate) async fn run<C: Cloud>(
    context: &Context<'_, C>,
    one_off: &OneOff,
    detach: bool,
) -> Result<Finished, TaskError> {
    let started = Instant::now();
    let task = match running(context, one_off).await? {
        Some(task) => {
            let text = format!("task {} runs already; following it", short_id(task.id()));
            context.tell.row(&one_off.name, one_off.who.as_str(), &text);
            task
        }
        None => start(context, one_off, started).await?,
    };
    let mut running = Follow {
        context,
        one_off,
        started,
        stream: stream(&one_off.task_definition.document, &one_off.container, task.id()),
        next: LogStart::Beginning,
        log: Vec::new(),
        id: task.id().to_owned(),
        arn: task.arn,
    };
    running.follow(detach).await
}

/// Whatever looks around, and may do so beside anything.
const LOOKS: &str = "exec-";

/// Refuses to be the second; unless the first does just what is wanted, as after a run that was
/// killed: then that is the task.
async fn running<C: Cloud>(
    context: &Context<'_, C>,
    one_off: &OneOff,
) -> Result<Option<Task>, TaskError> {
    if one_off.name.starts_with(LOOKS) {
        return Ok(None);
    }
    let (all, looks) = (started_by(""), started_by(LOOKS));
    let family = Tasks::Family(one_off.task_definition.family.clone());
    let arns = patiently(PATIENCE, || context.cloud.list_tasks(&family, false)).await?;
    for arns in arns.chunks(100) {
        for task in patiently(PATIENCE, || context.cloud.tasks(arns)).await? {
            let ours = task.started_by.starts_with(&all) && !task.started_by.starts_with(&looks);
            if ours && !task.has_stopped() {
                let same = task.started_by == started_by(&one_off.name)
                    && task.task_definition == one_off.task_definition.arn
                    && task.command == one_off.command;
                if same {
                    return Ok(Some(task));
                }
                return Err(TaskError::Busy {
                    name: task.started_by.trim_start_matches(&all).to_owned(),
                    task: task.id().to_owned(),
                    by: task.started_by.clone(),
                });
            }
        }
    }
    Ok(None)
}

/// Starts it. A cluster may have no room for a moment.
async fn start<C: Cloud>(
    context: &Context<'_, C>,
    one_off: &OneOff,
    started: Instant,
) -> Result<Task, TaskError> {
    let now = cloud::between(std::time::UNIX_EPOCH, context.cloud.now()).as_millis().to_string();
    let mut attempt = 0_u32;
    loop {
        attempt += 1;
        let arn = &one_off.task_definition.arn;
        let number = attempt.to_string();
        let run = RunTask {
            task_definition: arn.clone(),
            command: Some((one_off.container.clone(), one_off.command.clone())),
            environment: std::collections::BTreeMap::new(),
            started_by: started_by(&one_off.name),
            // Another one only where ECS has said that it started nothing.
            client_token: token(&[arn, &one_off.name, &now, &number]),
        };
        let answer = patiently(PATIENCE, || context.cloud.run_task(&run)).await?;
        if let Some(task) = answer.tasks.into_iter().next() {
            return Ok(task);
        }
        let name = &one_off.name;
        let refused = TaskError::Refused { name: name.clone(), failures: answer.failures };
        if started.elapsed() >= context.limits.unplaced {
            return Err(refused);
        }
        let text = format!("{refused}; trying again");
        context.tell.row(name, one_off.who.as_str(), &text);
        tokio::select! {
            () = tokio::time::sleep(PAUSE * 2) => {}
            () = context.stop.wait() => {
                return Err(TaskError::NotStarted { name: name.clone() });
            }
        }
    }
}

struct Follow<'a, C> {
    context: &'a Context<'a, C>,
    one_off: &'a OneOff,
    started: Instant,
    stream: Option<(String, String)>,
    next: LogStart,
    log: Vec<String>,
    id: String,
    arn: String,
}

impl<C: Cloud> Follow<'_, C> {
    async fn follow(&mut self, detach: bool) -> Result<Finished, TaskError> {
        let (name, task) = (self.one_off.name.clone(), self.id.clone());
        let mut seen = Instant::now();
        let mut last = String::new();
        loop {
            if self.started.elapsed() >= self.context.limits.task {
                let stopped = self.end("it took too long").await;
                let limit = self.context.limits.task;
                return Err(TaskError::TimedOut { name, task, limit, stopped });
            }
            match self.context.cloud.tasks(std::slice::from_ref(&self.arn)).await {
                Ok(tasks) => match tasks.into_iter().next() {
                    Some(task) if task.has_stopped() => return self.ended(&task).await,
                    Some(found) => {
                        seen = Instant::now();
                        last = found.status.to_lowercase();
                        if found.status == "RUNNING" {
                            self.read().await;
                        }
                    }
                    // Right after RunTask, DescribeTasks may not know it.
                    None if seen.elapsed() >= UNKNOWN => {
                        return Err(TaskError::Lost { name, task });
                    }
                    None => {}
                },
                Err(error) if error.is_passing() && seen.elapsed() < PATIENCE => {}
                Err(error) => {
                    self.end("it cannot be followed").await;
                    return Err(error.into());
                }
            }
            let text = format!("task {}: {last}", short_id(&task));
            self.context.tell.row(&name, self.one_off.who.as_str(), &text);
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = self.context.stop.wait() => {
                    let stopped = !detach && self.end("interrupted").await;
                    return Err(TaskError::Interrupted { name, task, stopped });
                }
            }
        }
    }

    async fn ended(&mut self, task: &Task) -> Result<Finished, TaskError> {
        self.drain().await;
        let container = task.containers.iter().find(|one| one.name == self.one_off.container);
        if container.and_then(|container| container.exit_code) == Some(0) {
            let seconds = self.started.elapsed().as_secs();
            let log = std::mem::take(&mut self.log);
            return Ok(Finished { task: self.id.clone(), seconds, log });
        }
        let mut dead = autopsy(self.context.cloud, task).await;
        // What has been shown line by line is not to be shown twice.
        for container in &mut dead.containers {
            if container.name == self.one_off.container && !self.log.is_empty() {
                container.no_log = None;
                container.log.clone_from(&self.log);
            }
        }
        Err(TaskError::Failed { name: self.one_off.name.clone(), task: Box::new(dead) })
    }

    /// Stops the task. Whether that was heard.
    async fn end(&self, reason: &str) -> bool {
        let stop = || self.context.cloud.stop_task(&self.arn, reason);
        patiently(Duration::from_secs(20), stop).await.is_ok()
    }

    /// Reads until nothing new has come for a while.
    async fn drain(&mut self) {
        let started = Instant::now();
        let mut quiet = Instant::now();
        while quiet.elapsed() < DRAIN && started.elapsed() < DRAIN_LIMIT {
            if self.read().await {
                quiet = Instant::now();
            } else {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }

    /// Shows what is new. A log that cannot be read is no reason to fail: whether there is any news.
    async fn read(&mut self) -> bool {
        let Some((group, stream)) = &self.stream else { return false };
        let Ok(page) = self.context.cloud.log(group, stream, &self.next).await else {
            return false;
        };
        if let Some(next) = page.next {
            self.next = LogStart::After(next);
        }
        let news = !page.lines.is_empty();
        for LogLine { message, .. } in page.lines {
            self.context.tell.line(&format!("{INDENT}  | {message}"));
            self.log.push(message);
        }
        news
    }
}

/// Enough of an id for people.
#[must_use]
pub(crate) fn short_id(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}
