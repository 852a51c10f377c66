//! What the state of a deployment means. Pure: it asks nobody, so that every rule is a line in a
//! table of tests.
//!
//! Only one thing is a success: our deployment, known by its id, is PRIMARY and COMPLETED with all
//! its tasks running, no fewer targets are healthy than before, and ECS's own record of it, where
//! there is one, says SUCCESSFUL. Whatever else ends is a failure, and what this program does not
//! know is waited for until the time is up.

use std::fmt::{Display, Formatter};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::cloud::{
    self, Deployment, Rollout, Service, ServiceDeployment, ServiceDeploymentStatus, Task,
};
use crate::room;

/// A task that ends within this time of its creation ended at its start.
const START: Duration = Duration::from_mins(1);

/// How long things may take, and how often they may fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// One service's rollout.
    pub(crate) rollout: Duration,
    /// Going back.
    pub(crate) rollback: Duration,
    /// A one-off task.
    pub(crate) task: Duration,
    /// ECS finds no host for a task.
    pub(crate) unplaced: Duration,
    /// Our deployment does not show in the service. Answers may be that old.
    pub(crate) missing: Duration,
    /// Fewer targets are healthy than have to be. As long as a task may take that ECS starts in the
    /// place of one whose host was lost: going back would take no less.
    pub(crate) fewer: Duration,
    /// So many tasks of one deployment may end by themselves, less one.
    pub(crate) deaths: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rollout: Duration::from_mins(15),
            rollback: Duration::from_mins(10),
            task: Duration::from_mins(15),
            unplaced: Duration::from_mins(1),
            missing: Duration::from_secs(20),
            fewer: Duration::from_mins(2),
            deaths: 3,
        }
    }
}

/// What is known about our deployment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'a> {
    /// The service, as last seen.
    pub(crate) service: &'a Service,
    /// The deployment that we began.
    pub(crate) ours: &'a str,
    /// ECS's record of it, where it keeps any.
    pub(crate) record: Option<&'a ServiceDeployment>,
    /// Its tasks that have ended by themselves.
    pub(crate) deaths: &'a [Task],
    /// How long ECS has been saying that it finds no host.
    pub(crate) unplaced: Duration,
    /// How long it has not been among the service's.
    pub(crate) missing: Duration,
    /// What the load balancer says; `None` where it is not known.
    pub(crate) health: Option<Health>,
    /// How long fewer targets have been healthy than have to be.
    pub(crate) fewer: Duration,
    /// How long it has been under way.
    pub(crate) elapsed: Duration,
}

/// How many targets of a service the load balancer sends requests to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Health {
    /// When our deployment began.
    pub(crate) before: u32,
    /// Now, of all its deployments.
    pub(crate) now: u32,
}

impl Health {
    /// Whether fewer are healthy than have to be. While tasks are replaced, that is what its
    /// minimumHealthyPercent leaves; afterwards, as many as there should be tasks. Never more than
    /// there were before: what was down already is not our deployment's doing.
    #[must_use]
    pub(crate) fn is_less(self, service: &Service, ours: Option<&Deployment>) -> bool {
        let is_done = ours.is_some_and(|ours| ours.rollout == Rollout::Completed);
        self.now < self.before.min(if is_done { service.desired } else { least(service) })
    }
}

/// So many of a service's tasks ECS keeps healthy during a rollout.
fn least(service: &Service) -> u32 {
    let percent = service.document.pointer("/deploymentConfiguration/minimumHealthyPercent");
    room::least(service.desired, percent.and_then(Value::as_u64).unwrap_or(room::MINIMUM))
}

/// What that means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Look again.
    Wait,
    /// It is what serves now.
    Done,
    /// It never will be.
    Failed(Cause),
}

/// Why a deployment failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub(crate) enum Cause {
    /// The image cannot be had.
    Pull { message: String },
    /// Secrets, the log group or the network of a task cannot be had.
    Resources { message: String },
    /// Tasks end soon after their start.
    Deaths { count: usize, at_start: bool },
    /// Tasks run, and do not answer the load balancer's health check, or their own.
    Unhealthy { count: usize },
    /// Fewer targets are healthy than before.
    FewerHealthy { healthy: u32, before: u32 },
    /// No host has room.
    NoPlacement { message: String },
    /// ECS gave it up.
    GivenUp { reason: String },
    /// ECS is rolling it back, or has.
    RolledBack { reason: String },
    /// Another deployment of the same service began after it.
    Superseded { by: String },
    /// It is no longer there, and nothing says why.
    Vanished,
    /// The service is gone or being deleted.
    ServiceGone { status: String },
    /// The time is up.
    TimedOut { seconds: u64, running: u32, desired: u32 },
    /// The time was up before it could begin.
    NoTimeLeft { seconds: u64 },
    /// The cloud does not do what is needed.
    Cloud { message: String },
}

impl Display for Cause {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pull { message } => write!(f, "the image cannot be pulled: {message}"),
            Self::Resources { message } => write!(f, "a task cannot get what it needs: {message}"),
            Self::Deaths { count: 1, .. } => write!(f, "a task ended by itself"),
            Self::Deaths { count, at_start: true } => {
                write!(f, "{count} tasks stopped at start")
            }
            Self::Deaths { count, at_start: false } => {
                write!(f, "{count} tasks stopped after they had run for a while")
            }
            Self::Unhealthy { count } => {
                let tasks = if *count == 1 { "task was" } else { "tasks were" };
                write!(f, "{count} {tasks} replaced for failing health checks")
            }
            Self::FewerHealthy { healthy, before } => {
                write!(f, "fewer targets are healthy than before: {healthy} of {before}")
            }
            Self::NoPlacement { message } => write!(f, "no host has room for a task: {message}"),
            Self::GivenUp { reason } if reason.is_empty() => f.write_str("ECS gave it up"),
            Self::GivenUp { reason } => write!(f, "ECS gave it up: {reason}"),
            Self::RolledBack { reason } if reason.is_empty() => f.write_str("ECS rolled it back"),
            Self::RolledBack { reason } => write!(f, "ECS rolled it back: {reason}"),
            Self::Superseded { by } => {
                write!(f, "somebody else's deployment of {by} began meanwhile")
            }
            Self::Vanished => {
                f.write_str("our deployment is no longer there, and ECS does not say why")
            }
            Self::ServiceGone { status } => write!(f, "the service is {status}"),
            Self::TimedOut { seconds, running, desired } => write!(
                f,
                "not done after {}; {running} of {desired} tasks run",
                crate::report::human(Duration::from_secs(*seconds))
            ),
            Self::NoTimeLeft { seconds } => write!(
                f,
                "not begun: what came before took all of {}",
                crate::report::human(Duration::from_secs(*seconds))
            ),
            Self::Cloud { message } => f.write_str(message),
        }
    }
}

/// Judges.
#[must_use]
pub(crate) fn decide(seen: &Seen<'_>, limits: &Limits) -> Verdict {
    if seen.service.status != "ACTIVE" {
        let status = seen.service.status.clone();
        return Verdict::Failed(Cause::ServiceGone { status });
    }
    if let Some(cause) = seen.record.and_then(recorded_end) {
        // ECS's sentence says that it failed. What its tasks died of says why.
        return Verdict::Failed(worst(seen, limits).unwrap_or(cause));
    }
    let ours = seen.service.deployment(seen.ours);
    let failed = match ours {
        Some(ours) if ours.is_primary() => primary(ours, seen),
        other => replaced(other, seen, limits),
    };
    let verdict = match failed {
        Verdict::Failed(Cause::GivenUp { reason }) => {
            Verdict::Failed(worst(seen, limits).unwrap_or(Cause::GivenUp { reason }))
        }
        verdict => verdict,
    };
    if verdict != Verdict::Wait {
        return verdict;
    }
    if let Some(cause) = never_heals(seen, limits) {
        return Verdict::Failed(cause);
    }
    if seen.elapsed >= limits.rollout {
        let (running, desired) = ours.map_or((0, 0), |ours| (ours.running, ours.desired));
        let seconds = seen.elapsed.as_secs();
        return Verdict::Failed(Cause::TimedOut { seconds, running, desired });
    }
    Verdict::Wait
}

/// Our deployment is the newest one: is it there yet?
fn primary(ours: &Deployment, seen: &Seen<'_>) -> Verdict {
    match ours.rollout {
        Rollout::Failed => Verdict::Failed(Cause::GivenUp { reason: ours.reason.clone() }),
        // COMPLETED with tasks missing: they have died since, or ECS has not begun to count.
        Rollout::Completed if ours.running < ours.desired => Verdict::Wait,
        // All run, and do not all get requests: a smoke check may meet only the others.
        Rollout::Completed if is_less(seen, Some(ours)) => Verdict::Wait,
        Rollout::Completed => match seen.record.map(|record| &record.status) {
            None | Some(ServiceDeploymentStatus::Successful) => Verdict::Done,
            Some(_) => Verdict::Wait,
        },
        Rollout::InProgress | Rollout::Unknown => Verdict::Wait,
    }
}

fn is_less(seen: &Seen<'_>, ours: Option<&Deployment>) -> bool {
    seen.health.is_some_and(|health| health.is_less(seen.service, ours))
}

/// Another one is the newest, or none is.
fn replaced(ours: Option<&Deployment>, seen: &Seen<'_>, limits: &Limits) -> Verdict {
    let by = seen.service.primary();
    match (ours, by) {
        (Some(ours), _) if ours.rollout == Rollout::Failed => {
            Verdict::Failed(Cause::GivenUp { reason: ours.reason.clone() })
        }
        // No answer that is merely old shows ours together with a newer one.
        (Some(_), Some(by)) => {
            Verdict::Failed(Cause::Superseded { by: cloud::short(&by.task_definition).to_owned() })
        }
        _ if seen.missing >= limits.missing => Verdict::Failed(Cause::Vanished),
        _ => Verdict::Wait,
    }
}

/// What ECS's record says about the end, unless it is a good one.
fn recorded_end(record: &ServiceDeployment) -> Option<Cause> {
    let reason = record.reason.clone();
    match record.status {
        ServiceDeploymentStatus::Pending
        | ServiceDeploymentStatus::InProgress
        | ServiceDeploymentStatus::Successful
        | ServiceDeploymentStatus::Unknown(_) => None,
        ServiceDeploymentStatus::Stopped | ServiceDeploymentStatus::StopRequested => {
            Some(Cause::GivenUp { reason })
        }
        ServiceDeploymentStatus::RollbackRequested
        | ServiceDeploymentStatus::RollbackInProgress
        | ServiceDeploymentStatus::RollbackSuccessful
        | ServiceDeploymentStatus::RollbackFailed => Some(Cause::RolledBack { reason }),
    }
}

/// The cause that the tasks tell, even if it is too early to act on it.
fn worst(seen: &Seen<'_>, limits: &Limits) -> Option<Cause> {
    let one = Limits { deaths: 1, ..*limits };
    never_heals(seen, &one)
}

/// What waiting does not help against.
fn never_heals(seen: &Seen<'_>, limits: &Limits) -> Option<Cause> {
    let (mut pulls, mut resources) = (Vec::new(), Vec::new());
    for (is_pull, message) in seen.deaths.iter().filter_map(refusal_to_start) {
        if is_pull { pulls.push(message) } else { resources.push(message) }
    }
    if let Some(message) = lasting(&pulls, limits) {
        return Some(Cause::Pull { message: message.to_owned() });
    }
    if let Some(message) = lasting(&resources, limits) {
        return Some(Cause::Resources { message: message.to_owned() });
    }
    let unhealthy = seen.deaths.iter().filter(|task| is_unhealthy(task)).count();
    if seen.deaths.len() >= limits.deaths {
        if unhealthy * 2 > seen.deaths.len() {
            return Some(Cause::Unhealthy { count: unhealthy });
        }
        let at_start = seen.deaths.iter().all(ended_at_start);
        return Some(Cause::Deaths { count: seen.deaths.len(), at_start });
    }
    if let Some(Health { before, now }) = seen.health
        && seen.fewer >= limits.fewer
    {
        return Some(Cause::FewerHealthy { healthy: now, before });
    }
    if seen.unplaced >= limits.unplaced {
        let event = seen.service.events.iter().find(|event| is_unplaced(&event.message));
        let message = event.map(|event| placement_reason(&event.message)).unwrap_or_default();
        return Some(Cause::NoPlacement { message });
    }
    None
}

/// One that waiting does not help against: a registry may be busy for a moment, but that it knows no
/// such image will not change.
fn lasting<'m>(messages: &[&'m str], limits: &Limits) -> Option<&'m str> {
    let certain = messages.iter().copied().find(|text| is_lasting(text));
    certain.or_else(|| messages.last().copied().filter(|_| messages.len() >= limits.deaths.min(2)))
}

/// Whether a task ended before it can have been of use.
fn ended_at_start(task: &Task) -> bool {
    match (task.created, task.stopped) {
        (Some(created), Some(stopped)) => cloud::between(created, stopped) < START,
        _ => true,
    }
}

/// Whether a task ended for a reason that speaks against its deployment: not because somebody, or
/// the deployment's own scaling, asked for it.
#[must_use]
pub(crate) fn is_death(task: &Task) -> bool {
    if !task.has_stopped() {
        return false;
    }
    match task.stop_code.as_deref() {
        Some("TaskFailedToStart" | "EssentialContainerExited") => true,
        Some("UserInitiated" | "SpotInterruption" | "TerminationNotice") => false,
        _ => is_unhealthy(task) || refusal_to_start(task).is_some(),
    }
}

fn is_unhealthy(task: &Task) -> bool {
    task.stopped_reason.as_deref().is_some_and(|reason| {
        let reason = reason.to_ascii_lowercase();
        reason.contains("health check")
    })
}

/// Why a task never ran: whether it is about the image, and ECS's words.
fn refusal_to_start(task: &Task) -> Option<(bool, &str)> {
    let containers = task.containers.iter().filter_map(|container| container.reason.as_deref());
    let mut said = containers.chain(task.stopped_reason.as_deref());
    said.find_map(|text| {
        if text.contains("CannotPull") {
            Some((true, text))
        } else if text.contains("ResourceInitializationError")
            || text.contains("unable to pull secrets")
            || text.contains("unable to retrieve secret")
        {
            Some((false, text))
        } else {
            None
        }
    })
}

/// Whether the same attempt would fail tomorrow.
fn is_lasting(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    [
        "not found",
        "notfound",
        "manifest unknown",
        "does not exist",
        "access denied",
        "accessdenied",
        "denied",
        "no basic auth",
        "not authorized",
        "invalid reference",
        "no matching manifest",
        "can't find",
    ]
    .iter()
    .any(|sign| text.contains(sign))
}

/// Whether ECS says that it finds no host.
#[must_use]
pub(crate) fn is_unplaced(message: &str) -> bool {
    message.contains("was unable to place a task")
}

/// ECS's sentence without the service's name and the advice to read the manual.
fn placement_reason(message: &str) -> String {
    let reason = message.split_once("Reason: ").map_or(message, |(_, reason)| reason);
    let reason = reason.split_once(" For more information").map_or(reason, |(reason, _)| reason);
    reason.trim().trim_end_matches('.').to_owned()
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
