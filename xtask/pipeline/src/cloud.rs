//! What the pipeline asks of a cloud, in its own words: the port.
//!
//! Two things stand behind it: AWS ([`crate::aws`]) and, in tests, an ECS in memory. Nothing here
//! decides anything. The cluster is the implementation's: every call is about that one.
//!
//! Task definitions and services are written and read as the JSON that AWS documents, whole: a
//! member that this program does not know reaches AWS, and comes back, like every other.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde_json::Value;

/// Why a call did not give what it was asked for. What matters to a caller is what it may do next,
/// so the kinds are that and not AWS's several hundred codes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CloudError {
    /// Nothing was done; the same call may do it later.
    #[error("AWS throttles {operation}, and goes on doing so: wait a minute and try again")]
    Throttled { operation: &'static str },
    /// What it names is not there.
    #[error("{operation}: {message}")]
    NotFound { operation: &'static str, message: String },
    /// Nothing was done, and without other permissions nothing will be.
    #[error(
        "AWS denies {operation}: {message}. The deploy role must allow it; \
         `cargo xtask doctor` lists what is missing."
    )]
    Denied { operation: &'static str, message: String },
    /// No answer, or one that says that AWS itself failed: what was asked for may have been done.
    #[error("AWS gave no answer to {operation}: {cause}")]
    Lost { operation: &'static str, cause: String },
    /// It was understood, and is not done as it was asked.
    #[error("AWS refused {operation}: {code}: {message}")]
    Refused { operation: &'static str, code: String, message: String },
}

impl CloudError {
    /// Whether the same question may be answered in a while.
    #[must_use]
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Self::Throttled { .. } | Self::Lost { .. })
    }

    /// Whether what was named does not exist.
    #[must_use]
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}

/// Who we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Twelve digits.
    pub(crate) account: String,
    /// The user or the role's session.
    pub(crate) arn: String,
    /// Where the calls go.
    pub(crate) region: String,
}

/// A cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cluster {
    /// Its name.
    pub(crate) name: String,
    /// `ACTIVE`, if it can be used.
    pub(crate) status: String,
    /// EC2 hosts that have registered.
    pub(crate) hosts: u32,
    /// Whether tasks come to a capacity provider unless their service says otherwise: it may start
    /// hosts.
    pub(crate) scales: bool,
}

/// A host, with what is free on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Host {
    /// The container instance.
    pub(crate) arn: String,
    /// Its EC2 instance.
    pub(crate) instance: String,
    /// `ACTIVE` ones get tasks; `DRAINING` ones lose them.
    pub(crate) status: String,
    /// Whether its agent is connected. Without it nothing starts there.
    pub(crate) connected: bool,
    /// CPU units that are not reserved.
    pub(crate) cpu: u32,
    /// MiB that are not reserved.
    pub(crate) memory: u32,
    /// TCP ports that are reserved.
    pub(crate) ports: Vec<u16>,
}

/// A service.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Service {
    /// Its name.
    pub(crate) name: String,
    /// Its ARN.
    pub(crate) arn: String,
    /// `ACTIVE`; a deleted one stays visible for a while as `INACTIVE`.
    pub(crate) status: String,
    /// The ARN of what the newest deployment runs.
    pub(crate) task_definition: String,
    /// How many tasks there should be.
    pub(crate) desired: u32,
    /// How many run, of all deployments.
    pub(crate) running: u32,
    /// How many are about to.
    pub(crate) pending: u32,
    /// The newest first.
    pub(crate) deployments: Vec<Deployment>,
    /// Where its tasks are registered.
    pub(crate) target_groups: Vec<TargetGroup>,
    /// What ECS says about it, the newest first.
    pub(crate) events: Vec<Event>,
    /// The whole answer, in AWS's shape.
    pub(crate) document: Value,
}

impl Service {
    /// The deployment that is to win.
    #[must_use]
    pub(crate) fn primary(&self) -> Option<&Deployment> {
        self.deployments.iter().find(|deployment| deployment.is_primary())
    }

    /// A deployment by its id.
    #[must_use]
    pub(crate) fn deployment(&self, id: &str) -> Option<&Deployment> {
        self.deployments.iter().find(|deployment| deployment.id == id)
    }
}

/// A service's attempt to run one task definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Deployment {
    /// `ecs-svc/…`. Its tasks have it as `started_by`.
    pub(crate) id: String,
    /// `PRIMARY` for the newest, `ACTIVE` for those that are being replaced.
    pub(crate) status: String,
    /// Where it is.
    pub(crate) rollout: Rollout,
    /// Why it is there.
    pub(crate) reason: String,
    /// The ARN of what it runs.
    pub(crate) task_definition: String,
    /// How many tasks it should have.
    pub(crate) desired: u32,
    /// How many are about to run.
    pub(crate) pending: u32,
    /// How many run.
    pub(crate) running: u32,
    /// How many have failed to, one after the other.
    pub(crate) failed: u32,
    /// When it began.
    pub(crate) created: Option<SystemTime>,
}

impl Deployment {
    /// Whether it is the newest.
    #[must_use]
    pub(crate) fn is_primary(&self) -> bool {
        self.status == "PRIMARY"
    }
}

/// `rolloutState`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rollout {
    /// It replaces the older ones.
    InProgress,
    /// It has replaced them, and its tasks are healthy.
    Completed,
    /// It has been given up.
    Failed,
    /// None is told, or one that this program does not know. Never a success.
    Unknown,
}

/// A load balancer's target group that a service registers its tasks in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TargetGroup {
    /// Its ARN.
    pub(crate) arn: String,
    /// The container that answers.
    pub(crate) container: String,
    /// The port inside it.
    pub(crate) port: u16,
}

/// Something that ECS says about a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    /// Its own.
    pub(crate) id: String,
    /// When.
    pub(crate) at: Option<SystemTime>,
    /// What.
    pub(crate) message: String,
}

/// ECS's own record of a deployment. It outlives the [`Deployment`], and alone tells a finished
/// deployment from one that was rolled back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServiceDeployment {
    /// Its ARN.
    pub(crate) arn: String,
    /// Where it is.
    pub(crate) status: ServiceDeploymentStatus,
    /// Why.
    pub(crate) reason: String,
    /// The ARN of the task definition of its target revision.
    pub(crate) task_definition: String,
    /// What the circuit breaker has counted, and its limit.
    pub(crate) breaker: Option<(u32, u32)>,
    /// When it was asked for.
    pub(crate) created: Option<SystemTime>,
}

/// `status` of a service deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ServiceDeploymentStatus {
    /// Not begun.
    Pending,
    /// Under way.
    InProgress,
    /// The only success.
    Successful,
    /// Given up without a rollback.
    Stopped,
    /// Being given up.
    StopRequested,
    /// A rollback is asked for.
    RollbackRequested,
    /// It is being rolled back.
    RollbackInProgress,
    /// What ran before runs again.
    RollbackSuccessful,
    /// What ran before does not run again.
    RollbackFailed,
    /// One that this program does not know. Never a success.
    Unknown(String),
}

/// How to move a service to another task definition.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Update {
    /// The service.
    pub(crate) service: String,
    /// What it is to run; `None` leaves it.
    pub(crate) task_definition: Option<String>,
    /// How many tasks it is to have; `None` leaves it.
    pub(crate) desired: Option<u32>,
    /// Replace the tasks even if nothing changes.
    pub(crate) force: bool,
    /// Further members of UpdateService, in AWS's shape: an object, or null for none.
    pub(crate) settings: Value,
}

/// A registered task definition.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TaskDefinition {
    /// With the revision.
    pub(crate) arn: String,
    /// Its name.
    pub(crate) family: String,
    /// Its number.
    pub(crate) revision: u32,
    /// The whole answer, in AWS's shape.
    pub(crate) document: Value,
}

impl TaskDefinition {
    /// `family:revision`, as people write it.
    #[must_use]
    pub(crate) fn short(&self) -> String {
        format!("{}:{}", self.family, self.revision)
    }
}

/// `family:revision` of a task definition's ARN.
#[must_use]
pub(crate) fn short(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

/// A task to run once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunTask {
    /// What.
    pub(crate) task_definition: String,
    /// The container whose command is replaced, and its new command.
    pub(crate) command: Option<(String, Vec<String>)>,
    /// Further variables for that container. Not for secrets: they show in DescribeTasks.
    pub(crate) environment: BTreeMap<String, String>,
    /// Who started it, at most 36 characters.
    pub(crate) started_by: String,
    /// The same token starts only one task, however often it is sent.
    pub(crate) client_token: String,
}

/// What RunTask answered. It may start nothing and say so only here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Started {
    /// What runs.
    pub(crate) tasks: Vec<Task>,
    /// Why others don't.
    pub(crate) failures: Vec<Failure>,
}

/// An item that a call could not deal with, although it succeeded for others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// What it is about.
    pub(crate) arn: String,
    /// `MISSING`, `RESOURCE:MEMORY` and the like.
    pub(crate) reason: String,
    /// In words, if there are any.
    pub(crate) detail: String,
}

/// A task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Task {
    /// Its ARN.
    pub(crate) arn: String,
    /// `PROVISIONING`, `PENDING`, `RUNNING`, `DEACTIVATING`, `STOPPED` and what lies between.
    pub(crate) status: String,
    /// What it should become: `RUNNING` or `STOPPED`.
    pub(crate) desired_status: String,
    /// `HEALTHY`, `UNHEALTHY` or `UNKNOWN`, by the container's own check.
    pub(crate) health: String,
    /// The deployment, or whoever ran it.
    pub(crate) started_by: String,
    /// The ARN of its task definition.
    pub(crate) task_definition: String,
    /// The command that it was run with, if not its container's own.
    pub(crate) command: Vec<String>,
    /// `TaskFailedToStart`, `EssentialContainerExited`, `UserInitiated`, …
    pub(crate) stop_code: Option<String>,
    /// In words.
    pub(crate) stopped_reason: Option<String>,
    /// When it was asked for.
    pub(crate) created: Option<SystemTime>,
    /// When it ended.
    pub(crate) stopped: Option<SystemTime>,
    /// What it consists of.
    pub(crate) containers: Vec<Container>,
}

impl Task {
    /// The last part of its ARN: how logs and people call it.
    #[must_use]
    pub(crate) fn id(&self) -> &str {
        self.arn.rsplit('/').next().unwrap_or(&self.arn)
    }

    /// Whether it has ended.
    #[must_use]
    pub(crate) fn has_stopped(&self) -> bool {
        self.status == "STOPPED"
    }
}

/// A task's container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Container {
    /// Its name in the task definition.
    pub(crate) name: String,
    /// What it returned; nothing if it never ran.
    pub(crate) exit_code: Option<i32>,
    /// Why it ended, if the agent knows: `CannotPullContainerError: …`.
    pub(crate) reason: Option<String>,
    /// The manifest that it really runs.
    pub(crate) image_digest: Option<String>,
    /// The host's ports that lead to it.
    pub(crate) host_ports: Vec<u16>,
}

/// Which tasks to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tasks {
    /// Those of a service.
    Service(String),
    /// Those of a family of task definitions.
    Family(String),
}

/// A target of a load balancer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// The instance or address.
    pub(crate) id: String,
    /// Its port.
    pub(crate) port: Option<u16>,
    /// `healthy`, `unhealthy`, `initial`, `draining`, `unused`, `unavailable`.
    pub(crate) state: String,
    /// `Target.ResponseCodeMismatch` and the like.
    pub(crate) reason: String,
    /// In words.
    pub(crate) description: String,
}

/// A line that a container wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogLine {
    /// When.
    pub(crate) at: SystemTime,
    /// The stream that it is in.
    pub(crate) stream: String,
    /// What.
    pub(crate) message: String,
}

/// Some lines, and where the next ones begin.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct LogPage {
    /// In the order in which they were written.
    pub(crate) lines: Vec<LogLine>,
    /// For the next question. The same as before: there is no more for now.
    pub(crate) next: Option<String>,
}

/// Where a log stream is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LogStart {
    /// From its first line.
    Beginning,
    /// From where a page ended.
    After(String),
    /// Its last lines, at most so many.
    Last(u32),
}

/// The cloud, for one cluster.
///
/// # Errors
/// Each call fails with a [`CloudError`]; the implementation has retried what may be retried
/// already, and ends every call in time.
pub(crate) trait Cloud {
    /// The time there.
    fn now(&self) -> SystemTime;

    /// Who we are.
    async fn identity(&self) -> Result<Identity, CloudError>;

    /// The cluster; `None` if there is none.
    async fn cluster(&self) -> Result<Option<Cluster>, CloudError>;

    /// Its hosts.
    async fn hosts(&self) -> Result<Vec<Host>, CloudError>;

    /// Services by name. Those that do not exist are left out.
    async fn services(&self, names: &[String]) -> Result<Vec<Service>, CloudError>;

    /// Creates a service from a CreateService request in AWS's shape, without `cluster`. The same
    /// token creates only one.
    async fn create_service(
        &self,
        definition: &Value,
        client_token: &str,
    ) -> Result<Service, CloudError>;

    /// Changes a service.
    async fn update_service(&self, update: &Update) -> Result<Service, CloudError>;

    /// A service's deployments as ECS records them, the newest first, since a time. Empty where
    /// ECS keeps no such records.
    async fn service_deployments(
        &self,
        service: &str,
        since: SystemTime,
    ) -> Result<Vec<ServiceDeployment>, CloudError>;

    /// One of them.
    async fn service_deployment(&self, arn: &str) -> Result<ServiceDeployment, CloudError>;

    /// Asks ECS to give a deployment up and to restore what ran before.
    async fn roll_back(&self, service_deployment: &str) -> Result<(), CloudError>;

    /// A task definition by ARN or `family:revision`, or the newest active one of a family.
    async fn task_definition(&self, name: &str) -> Result<TaskDefinition, CloudError>;

    /// The ARNs of a family's active task definitions, the newest first.
    async fn task_definitions(&self, family: &str) -> Result<Vec<String>, CloudError>;

    /// Registers a task definition from a request in AWS's shape. Asking twice registers twice.
    async fn register_task_definition(
        &self,
        definition: &Value,
    ) -> Result<TaskDefinition, CloudError>;

    /// Takes a task definition out of use.
    async fn deregister_task_definition(&self, arn: &str) -> Result<(), CloudError>;

    /// Runs a task once.
    async fn run_task(&self, run: &RunTask) -> Result<Started, CloudError>;

    /// The ARNs of tasks, running or stopped. Stopped ones are known for an hour at most.
    async fn list_tasks(&self, which: &Tasks, stopped: bool) -> Result<Vec<String>, CloudError>;

    /// Tasks by ARN; those that ECS does not know (yet, or any more) are left out.
    async fn tasks(&self, arns: &[String]) -> Result<Vec<Task>, CloudError>;

    /// Ends a task.
    async fn stop_task(&self, arn: &str, reason: &str) -> Result<(), CloudError>;

    /// The targets of a target group.
    async fn targets(&self, target_group: &str) -> Result<Vec<Target>, CloudError>;

    /// Lines of one log stream. `NotFound` while it has none.
    async fn log(&self, group: &str, stream: &str, start: &LogStart)
    -> Result<LogPage, CloudError>;

    /// Lines of all streams of a group whose names begin with a prefix, since a time.
    async fn logs(
        &self,
        group: &str,
        stream_prefix: &str,
        since: SystemTime,
        next: Option<&str>,
    ) -> Result<LogPage, CloudError>;

    /// A stack's outputs; `None` if there is no such stack.
    async fn outputs(&self, stack: &str) -> Result<Option<BTreeMap<String, String>>, CloudError>;
}

/// How long from a time to a later one; nothing if it is not later.
#[must_use]
pub(crate) fn between(from: SystemTime, to: SystemTime) -> Duration {
    to.duration_since(from).unwrap_or_default()
}
