//! One-off tasks: a command in a service's container, run once on the cluster.
//!
//! RunTask with a client token starts one task, however often it has to be asked. What the
//! container writes is shown as it comes, and its exit code is what counts.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt::{Display, Formatter};
use std::time::{Duration, SystemTime};

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
/// ECS's clock and ours may differ by so much.
const SKEW: Duration = Duration::from_secs(90);
/// How long a call is repeated where its failure changes little.
const WHATEVER: Duration = Duration::from_secs(20);
/// A task that is told to stop may live on for its stop timeout, which is 30 s where nobody has set
/// another.
const STOPPING: Duration = Duration::from_secs(40);

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
    #[error("{name} has not ended within {}; task {task} {stop}", human(*.limit))]
    TimedOut { name: String, task: String, limit: Duration, stop: Stopped },
    #[error("{name} can no longer be followed ({cause}); task {task} {stop}")]
    Unfollowed { name: String, task: String, cause: Box<CloudError>, stop: Stopped },
    #[error(
        "nobody can tell whether {name} was started ({cause}): it may run. `cargo xtask logs \
         --service {who}` shows what it writes"
    )]
    Unanswered { name: String, who: ServiceName, cause: Box<CloudError> },
    #[error("interrupted; {name} was not started")]
    NotStarted { name: String },
    #[error("interrupted; {name} (task {task}) {stop}")]
    Interrupted { name: String, task: String, stopped: bool, stop: Stopped },
    #[error(transparent)]
    Cloud(#[from] CloudError),
}

/// What became of stopping a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// It was seen to have ended.
    Seen,
    /// ECS has heard it.
    Asked,
    /// ECS has not.
    No,
    /// It was not to be stopped.
    Left,
}

impl Display for Stopped {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Seen => "was stopped",
            Self::Asked => "was told to stop, and nobody has seen it end: it may run on",
            Self::No => "could NOT be stopped, and may run on",
            Self::Left => "goes on",
        })
    }
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
            | Self::Unfollowed { task, .. }
            | Self::Interrupted { task, .. } => (task, None),
            Self::Refused { .. }
            | Self::Unanswered { .. }
            | Self::NotStarted { .. }
            | Self::Cloud(_) => return None,
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
    let said: BTreeSet<String> = said.collect();
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
    let (task, known) = running(context, one_off).await?;
    let task = match task {
        Some(task) => {
            let text = format!("task {} runs already; following it", short_id(task.id()));
            context.tell.row(&one_off.name, one_off.who.as_str(), &text);
            task
        }
        None => start(context, one_off, started, &known).await?,
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

/// The ARNs of tasks.
type Arns = BTreeSet<String>;

/// Refuses to be the second; unless the first does just what is wanted, as after a run that was
/// killed: then that is the task. One that is about to end is waited for. Gives all that were there,
/// too.
async fn running<C: Cloud>(
    context: &Context<'_, C>,
    one_off: &OneOff,
) -> Result<(Option<Task>, Arns), TaskError> {
    let started = Instant::now();
    loop {
        let (task, known) = others(context, one_off).await?;
        let task = task.filter(|_| !one_off.name.starts_with(LOOKS));
        let Some(task) = task else { return Ok((None, known)) };
        let ends = task.desired_status == "STOPPED";
        if !ends && is_same(&task, one_off) {
            return Ok((Some(task), known));
        }
        let name = task.started_by.trim_start_matches(&started_by("")).to_owned();
        if !ends || started.elapsed() >= STOPPING {
            let (task, by) = (task.id().to_owned(), task.started_by);
            return Err(TaskError::Busy { name, task, by });
        }
        let text = format!("waiting: {name} (task {}) is about to end", short_id(task.id()));
        context.tell.row(&one_off.name, one_off.who.as_str(), &text);
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = context.stop.wait() => {
                return Err(TaskError::NotStarted { name: one_off.name.clone() });
            }
        }
    }
}

/// A task of ours that has not ended, be it that it is told to: rather one that is not. And all that
/// ECS knows.
async fn others<C: Cloud>(
    context: &Context<'_, C>,
    one_off: &OneOff,
) -> Result<(Option<Task>, Arns), CloudError> {
    let (all, looks) = (started_by(""), started_by(LOOKS));
    let (tasks, known) = family(context, one_off, PATIENCE).await?;
    let ours = |by: &str| by.starts_with(&all) && !by.starts_with(&looks);
    let mut others = tasks.into_iter().filter(|one| ours(&one.started_by) && !one.has_stopped());
    Ok((others.next(), known))
}

/// All tasks of the family, also those that have ended: first those that are to run. And what was
/// listed, be it that it was not told.
async fn family<C: Cloud>(
    context: &Context<'_, C>,
    one_off: &OneOff,
    patience: Duration,
) -> Result<(Vec<Task>, Arns), CloudError> {
    let family = Tasks::Family(one_off.task_definition.family.clone());
    let (mut found, mut known) = (Vec::new(), Arns::new());
    for stopped in [false, true] {
        let arns = patiently(patience, || context.cloud.list_tasks(&family, stopped)).await?;
        for arns in arns.chunks(100) {
            found.extend(patiently(patience, || context.cloud.tasks(arns)).await?);
        }
        known.extend(arns);
    }
    Ok((found, known))
}

/// Whether a task does what is wanted.
fn is_same(task: &Task, one_off: &OneOff) -> bool {
    task.started_by == started_by(&one_off.name)
        && task.task_definition == one_off.task_definition.arn
        && task.command == one_off.command
}

/// Starts it. A cluster may have no room for a moment.
async fn start<C: Cloud>(
    context: &Context<'_, C>,
    one_off: &OneOff,
    started: Instant,
    known: &Arns,
) -> Result<Task, TaskError> {
    let begun = context.cloud.now();
    let now = cloud::between(std::time::UNIX_EPOCH, begun).as_millis().to_string();
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
        // Whether an answer was lost: then it may have been started, whatever is said later.
        let lost = Cell::new(false);
        let answer = patiently(PATIENCE, || async {
            let answer = context.cloud.run_task(&run).await;
            lost.set(lost.get() || matches!(answer, Err(CloudError::Lost { .. })));
            answer
        });
        let answer = match answer.await {
            Ok(answer) => answer,
            Err(cause) if lost.get() => {
                return started_after_all(context, one_off, known, begun, cause).await;
            }
            Err(error) => return Err(error.into()),
        };
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

/// Looks for a task of which every answer was lost: one that does the same, and was not there
/// before.
async fn started_after_all<C: Cloud>(
    context: &Context<'_, C>,
    one_off: &OneOff,
    known: &Arns,
    begun: SystemTime,
    cause: CloudError,
) -> Result<Task, TaskError> {
    let (found, _) = family(context, one_off, WHATEVER).await.unwrap_or_default();
    let young = |task: &Task| task.created.is_some_and(|at| at + SKEW >= begun);
    let new = |task: &Task| young(task) && !known.contains(&task.arn);
    let ours = found.into_iter().find(|task| is_same(task, one_off) && new(task));
    let (name, who, cause) = (one_off.name.clone(), one_off.who, Box::new(cause));
    ours.ok_or(TaskError::Unanswered { name, who, cause })
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
                let stop = self.end("it took too long").await;
                let limit = self.context.limits.task;
                return Err(TaskError::TimedOut { name, task, limit, stop });
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
                Err(cause) => {
                    let stop = self.end("it cannot be followed").await;
                    let cause = Box::new(cause);
                    return Err(TaskError::Unfollowed { name, task, cause, stop });
                }
            }
            let text = format!("task {}: {last}", short_id(&task));
            self.context.tell.row(&name, self.one_off.who.as_str(), &text);
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = self.context.stop.wait() => {
                    let stop = match detach {
                        true => Stopped::Left,
                        false => self.end("interrupted").await,
                    };
                    let stopped = stop == Stopped::Seen;
                    return Err(TaskError::Interrupted { name, task, stopped, stop });
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

    /// Stops the task, and waits until it has ended: the next one must not begin beside it.
    async fn end(&mut self, reason: &str) -> Stopped {
        let stop = || self.context.cloud.stop_task(&self.arn, reason);
        let asked = patiently(WHATEVER, stop).await.is_ok();
        let started = Instant::now();
        let name = self.one_off.name.clone();
        // Even if that was not heard: it may have been, and its answer lost.
        let limit = if asked { STOPPING } else { Duration::ZERO };
        loop {
            let tasks = self.context.cloud.tasks(std::slice::from_ref(&self.arn)).await;
            if tasks.is_ok_and(|tasks| tasks.first().is_some_and(Task::has_stopped)) {
                // Its last words.
                self.read().await;
                return Stopped::Seen;
            }
            if started.elapsed() >= limit {
                return if asked { Stopped::Asked } else { Stopped::No };
            }
            let text = format!("task {}: stopping", short_id(&self.id));
            self.context.tell.row(&name, self.one_off.who.as_str(), &text);
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = self.context.stop.insisted() => return Stopped::Asked,
            }
        }
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
