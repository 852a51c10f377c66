//! What became of a deploy: the same for a person's eyes, for `--output json`, for the release's
//! record and for the exit code.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::Instant;

use super::Job;
use crate::config::ServiceName;
use crate::decide::Cause;
use crate::evidence::{DeadTask, Evidence};
use crate::exit_code;
use crate::report::human;
use crate::rollback::Restored;
use crate::rollout::Failure;
use crate::task::{Finished, short_id};
use crate::tell::{INDENT, Tell};

/// Everything.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Outcome {
    /// How it ended.
    pub(crate) end: End,
    /// Each service.
    pub(crate) services: Vec<ServiceOutcome>,
    /// The database's task, if it ran to its end.
    pub(crate) migration: Option<Finished>,
    /// The database's task, if it did not end well.
    pub(crate) failed_task: Option<FailedTask>,
    /// What the smoke check saw.
    pub(crate) smoke: Option<String>,
    /// Where the time went.
    pub(crate) timings: Vec<Timing>,
}

/// What a stage took.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Timing {
    /// Which.
    pub(crate) stage: &'static str,
    /// How long.
    pub(crate) seconds: f64,
}

/// A task that did not do what it was for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct FailedTask {
    /// Its id.
    pub(crate) task: String,
    /// What its program returned, if it did.
    pub(crate) exit_code: Option<i32>,
    /// What it died of, if it is dead.
    pub(crate) evidence: Option<Box<DeadTask>>,
}

/// How a deploy ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "result")]
pub(crate) enum End {
    /// Everything was so already, and was seen to be.
    Unchanged,
    /// It serves.
    Released,
    /// The database's task failed; nothing has moved.
    TaskFailed { message: String },
    /// A service did not come up. What was to go back is back, if it is `restored`; `kept`: others
    /// run the new release on, as was asked.
    Failed { restored: bool, timed_out: bool, kept: bool },
    /// It came up, and does not answer as it should. `kept`: nothing was to go back.
    SmokeFailed { message: String, restored: bool, kept: bool },
    /// Somebody wanted the end.
    Interrupted { moved: bool, detached: bool, restored: bool },
    /// The cloud, or the record, failed us.
    Broken { message: String, restored: bool },
}

impl End {
    /// With what became of going back.
    #[must_use]
    pub(super) fn with_restored(self, good: bool) -> Self {
        match self {
            Self::Failed { timed_out, kept, .. } => {
                Self::Failed { restored: good, timed_out, kept }
            }
            Self::SmokeFailed { message, kept, .. } => {
                Self::SmokeFailed { message, restored: good, kept }
            }
            Self::Interrupted { moved, detached, .. } => {
                Self::Interrupted { moved, detached, restored: good }
            }
            Self::Broken { message, .. } => Self::Broken { message, restored: good },
            end @ (Self::Unchanged | Self::Released | Self::TaskFailed { .. }) => end,
        }
    }

    /// Both of them: the first failure counts, but an interrupt comes after it, and what could not
    /// be restored stays so.
    #[must_use]
    pub(super) fn and(self, later: Self) -> Self {
        match (self, later) {
            (Self::Failed { restored: good, timed_out, kept }, Self::Failed { restored, .. }) => {
                Self::Failed { restored: good && restored, timed_out, kept }
            }
            (Self::Failed { restored: good, .. }, later) => {
                let also = later.is_restored();
                later.with_restored(good && also)
            }
            (first, _) => first,
        }
    }

    /// Whether everything that was to go back is back.
    pub(super) fn is_restored(&self) -> bool {
        match self {
            Self::Failed { restored, .. }
            | Self::SmokeFailed { restored, .. }
            | Self::Interrupted { restored, .. }
            | Self::Broken { restored, .. } => *restored,
            Self::Unchanged | Self::Released | Self::TaskFailed { .. } => true,
        }
    }

    /// One of [`exit_code`]'s. That something broken may serve goes before everything else.
    #[must_use]
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Unchanged | Self::Released => exit_code::OK,
            Self::TaskFailed { .. } => exit_code::DATABASE_TASK,
            Self::Interrupted { detached: true, .. } => exit_code::INTERRUPTED,
            Self::Failed { restored: false, .. }
            | Self::SmokeFailed { restored: false, kept: false, .. }
            | Self::Interrupted { restored: false, .. }
            | Self::Broken { restored: false, .. } => exit_code::ROLLBACK_FAILED,
            Self::Failed { timed_out: true, .. } => exit_code::TIMEOUT,
            Self::Failed { .. } => exit_code::ROLLED_BACK,
            Self::SmokeFailed { .. } => exit_code::SMOKE,
            Self::Interrupted { .. } => exit_code::INTERRUPTED,
            Self::Broken { .. } => exit_code::ERROR,
        }
    }
}

/// What became of one service.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct ServiceOutcome {
    /// Which.
    pub(crate) service: ServiceName,
    /// What it was to run, as `family:revision`.
    pub(crate) task_definition: Option<String>,
    /// Whether that was registered for this deploy.
    pub(crate) registered: bool,
    /// What it ran before.
    pub(crate) before: Option<String>,
    /// How it ended.
    pub(crate) end: ServiceEnd,
    /// What became of going back, if that was tried.
    pub(crate) restored: Option<Restored>,
}

/// How a service's part ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "state")]
pub(crate) enum ServiceEnd {
    /// It was not touched, or not yet followed to an end.
    NotBegun,
    /// It ran this already.
    Unchanged,
    /// It runs this now.
    Rolled { running: u32, seconds: u64 },
    /// It never will.
    Failed { cause: Cause, evidence: Box<Evidence> },
    /// Nobody waits for it any more.
    Detached,
}

impl Outcome {
    pub(super) fn new(job: &Job) -> Self {
        Self::of_services(job.services.iter().map(|service| service.who))
    }

    /// Before anything has happened.
    pub(crate) fn of_services(services: impl Iterator<Item = ServiceName>) -> Self {
        let services = services.map(|service| ServiceOutcome {
            service,
            task_definition: None,
            registered: false,
            before: None,
            end: ServiceEnd::NotBegun,
            restored: None,
        });
        Self {
            end: End::Unchanged,
            services: services.collect(),
            migration: None,
            failed_task: None,
            smoke: None,
            timings: Vec::new(),
        }
    }

    /// Every service was seen to run what is wanted.
    pub(crate) fn all_unchanged(&mut self) {
        for service in &mut self.services {
            service.end = ServiceEnd::Unchanged;
        }
    }

    /// Puts the stages before these into the timings: each with its beginning; the last one only
    /// ends the one before.
    pub(crate) fn took_before(&mut self, stages: &[(&'static str, Instant)]) {
        let earlier = stages.windows(2).filter_map(|pair| {
            let [(stage, began), (_, ended)] = pair else { return None };
            let seconds = (ended.duration_since(*began).as_secs_f64() * 10.0).round() / 10.0;
            Some(Timing { stage, seconds })
        });
        let earlier: Vec<Timing> = earlier.collect();
        self.timings.splice(0..0, earlier);
    }

    /// The first failure of a service, in a line.
    #[must_use]
    pub(crate) fn first_failure(&self) -> Option<String> {
        self.services.iter().find_map(|service| match &service.end {
            ServiceEnd::Failed { cause, .. } => Some(format!("{}: {cause}", service.service)),
            _ => None,
        })
    }

    /// Whether nothing but first releases could not be taken back.
    #[must_use]
    pub(crate) fn had_nothing_before(&self) -> bool {
        let first =
            |restored: &Restored| matches!(restored, Restored::NothingBefore { first: true, .. });
        let mut tried = self.services.iter().filter_map(|service| service.restored.as_ref());
        tried.clone().any(first) && tried.all(|restored| restored.is_back() || first(restored))
    }

    /// The services that went back.
    #[must_use]
    pub(crate) fn back(&self) -> Vec<ServiceName> {
        let back = |one: &&ServiceOutcome| one.restored.as_ref().is_some_and(Restored::is_back);
        self.services.iter().filter(back).map(|one| one.service).collect()
    }

    /// The services that moved, and were not to go back.
    #[must_use]
    pub(crate) fn kept(&self) -> Vec<ServiceName> {
        let kept = |one: &&ServiceOutcome| {
            matches!(one.end, ServiceEnd::Rolled { .. }) && one.restored.is_none()
        };
        self.services.iter().filter(kept).map(|one| one.service).collect()
    }

    pub(super) fn of(&mut self, who: ServiceName) -> Option<&mut ServiceOutcome> {
        self.services.iter_mut().find(|outcome| outcome.service == who)
    }

    pub(crate) fn took(&mut self, stage: &'static str, started: Instant) {
        let seconds = (started.elapsed().as_secs_f64() * 10.0).round() / 10.0;
        self.timings.push(Timing { stage, seconds });
    }

    /// The same, less another stage inside it.
    pub(super) fn took_without(&mut self, stage: &'static str, started: Instant, inner: &str) {
        let inside = self.timings.iter().filter(|timing| timing.stage == inner);
        let inside: f64 = inside.map(|timing| timing.seconds).sum();
        self.took(stage, started);
        if let Some(last) = self.timings.last_mut() {
            last.seconds = (last.seconds - inside).max(0.0);
        }
    }

    /// `in 3m04s: 41 % build, 33 % roll`.
    #[must_use]
    pub(crate) fn where_the_time_went(&self) -> String {
        let all: f64 = self.timings.iter().map(|timing| timing.seconds).sum();
        let took = human(Duration::try_from_secs_f64(all).unwrap_or_default());
        let mut timings: Vec<&Timing> = self.timings.iter().collect();
        timings.sort_by(|one, other| other.seconds.total_cmp(&one.seconds));
        let shares: Vec<String> = timings
            .iter()
            .map(|timing| (timing.stage, 100.0 * timing.seconds / all.max(0.1)))
            .filter(|(_, percent)| *percent >= 1.0)
            .take(4)
            .map(|(stage, percent)| format!("{percent:.0} % {stage}"))
            .collect();
        if shares.is_empty() { took } else { format!("{took}: {}", shares.join(", ")) }
    }
}

/// What a person reads about a failed rollout, before anything is undone.
pub(super) fn tell_failure(tell: &dyn Tell, who: ServiceName, failure: &Failure) {
    let evidence = &failure.evidence;
    let breaker = match evidence.breaker {
        Some((count, limit)) if count >= limit && limit > 0 => {
            format!(" (circuit breaker: {count} of {limit})")
        }
        _ => String::new(),
    };
    tell.done("roll", who.as_str(), &format!("✗ {}{breaker}", failure.cause));
    let mut told: Option<&DeadTask> = None;
    for task in &evidence.tasks {
        // One dies as the other, most of the time: then one is enough to read.
        if !told.is_some_and(|told| task.died_like(told)) {
            tell_task(tell, task, &failure.cause.to_string());
            told = Some(task);
        }
    }
    for target in &evidence.targets {
        tell.line(&format!("{INDENT}target  {target}"));
    }
    if let Some((fewest, before)) = evidence.healthy {
        let down = match fewest {
            _ if before == 0 => "no target was healthy before".to_owned(),
            0 => format!("for a while none of {before} targets was healthy"),
            fewest if fewest < before => {
                format!("for a while only {fewest} of {before} targets were healthy")
            }
            _ => format!("at every look {before} of {before} targets were healthy"),
        };
        tell.line(&format!("{INDENT}{down}"));
    }
    let placed = !matches!(failure.cause, Cause::NoPlacement { .. });
    if evidence.tasks.is_empty() && placed {
        for event in evidence.events.iter().take(3) {
            tell.line(&format!("{INDENT}ECS     {event}"));
        }
    }
    tell.line(&format!("{INDENT}next: {}", next(who, failure)));
}

/// What to do about it: a command wherever there is one.
fn next(who: ServiceName, failure: &Failure) -> String {
    let ran = failure
        .evidence
        .tasks
        .iter()
        .find(|task| task.containers.iter().any(|container| container.exit_code.is_some()));
    match (&failure.cause, ran) {
        (Cause::Pull { .. }, _) => format!(
            "cargo xtask push --service {who} --force; the execution role must be allowed to pull"
        ),
        (Cause::Resources { .. }, _) => format!(
            "correct what `valueFrom` names in the task definition of {who}, or what the execution \
             role may read: cargo xtask doctor"
        ),
        (Cause::NoPlacement { .. }, _) => {
            "cargo xtask doctor shows what each host has left: add a host, or ask for less memory"
                .to_owned()
        }
        (_, Some(task)) => {
            format!("cargo xtask logs --service {who} --task {}", short_id(&task.id))
        }
        (_, None) => format!("cargo xtask status --service {who}"),
    }
}

/// What a task died of, with its last lines; not what `known` says already.
pub(crate) fn tell_task(tell: &dyn Tell, task: &DeadTask, known: &str) {
    let id = short_id(&task.id);
    let said = task.reason.as_deref().or(task.stop_code.as_deref()).unwrap_or("stopped");
    let ran = task.containers.iter().any(|container| container.exit_code.is_some());
    if !ran {
        let why = if known.contains(said) { String::new() } else { format!(": {said}") };
        tell.line(&format!("{INDENT}task {id}…  never ran{why}"));
    }
    for container in &task.containers {
        if let Some(code) = container.exit_code {
            let hint = container.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
            tell.line(&format!("{INDENT}task {id}…  exit code {code}{hint}, \"{said}\""));
        }
        if let Some(reason) = container.reason.as_deref().filter(|text| !known.contains(text)) {
            tell.line(&format!("{INDENT}  {reason}"));
        }
        if let Some(digest) = container.image_digest.as_deref().and_then(|text| text.get(..19)) {
            tell.line(&format!("{INDENT}  image {digest}…"));
        }
        for line in &container.log {
            tell.line(&format!("{INDENT}  | {line}"));
        }
        if let Some(none) = container.no_log.as_deref().filter(|_| ran) {
            tell.line(&format!("{INDENT}  ({none})"));
        }
    }
}
