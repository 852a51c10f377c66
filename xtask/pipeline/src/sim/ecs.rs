//! The scheduler: services, deployments, tasks, the circuit breaker, second by second.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::cloud::{
    Container, Deployment, Event, Rollout, Service, ServiceDeployment, ServiceDeploymentStatus,
    Target, TargetGroup, Task, TaskDefinition,
};

/// When the simulated world begins.
pub(crate) const EPOCH: SystemTime = SystemTime::UNIX_EPOCH;
/// After so many failures in a row the circuit breaker gives up.
const BREAKER: u32 = 3;
/// How far back old answers go.
const HISTORY: usize = 40;
const PREFIX: &str = "arn:aws:ecs:us-west-1:123456789012";

/// How an image behaves, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Healthy,
    Crashes,
    CannotBePulled,
    LacksASecret,
    FailsHealthChecks,
    FindsNoRoom,
    /// Its tasks are not healthy for long, and the old ones are not while they run.
    JamsOthers,
    /// It comes up, and only one of its tasks goes on answering.
    HalfAnswers,
}

/// A task with what it wrote.
#[derive(Debug, Clone)]
pub(crate) struct SimTask {
    pub(crate) task: Task,
    pub(crate) service: Option<String>,
    /// `None`: no stream was ever made.
    pub(crate) log: Option<Vec<String>>,
    /// The client token it was run with.
    pub(crate) token: String,
    /// When a one-off task ends.
    ends: Option<Duration>,
    /// When it ends because it was told to.
    stops: Option<Duration>,
    began: Duration,
}

/// A service with what only ECS knows.
#[derive(Debug, Clone)]
pub(crate) struct SimService {
    pub(crate) seen: Service,
    pub(crate) records: Vec<ServiceDeployment>,
    began: BTreeMap<String, Duration>,
    last_good: Option<String>,
    /// The deployment that is being rolled back, by the one that does it.
    rolling_back: Option<(String, String)>,
}

/// All there is in the cluster.
pub(crate) struct Ecs {
    pub(crate) services: BTreeMap<String, SimService>,
    pub(crate) definitions: Vec<TaskDefinition>,
    pub(crate) tasks: Vec<SimTask>,
    /// Whether services have a circuit breaker with rollback.
    pub(crate) breaker: bool,
    /// Whether ECS keeps records of deployments.
    pub(crate) records: bool,
    /// Going back fails, too.
    pub(crate) rollback_fails: bool,
    /// How RunTask's tasks end.
    pub(crate) task_exit_code: i32,
    /// RunTask finds no host.
    pub(crate) no_room_for_tasks: bool,
    /// StopTask is not heard.
    pub(crate) tasks_do_not_stop: bool,
    /// What a task needs to end, once it is told to.
    pub(crate) stop_takes: Duration,
    /// RunTask's tasks never come to run: nothing of theirs is logged.
    pub(crate) tasks_do_not_start: bool,
    /// What ran has no log stream nevertheless.
    pub(crate) no_streams: bool,
    history: VecDeque<BTreeMap<String, SimService>>,
    clock: Duration,
    number: u32,
}

impl Ecs {
    pub(super) fn new() -> Self {
        Self {
            services: BTreeMap::new(),
            definitions: Vec::new(),
            tasks: Vec::new(),
            breaker: true,
            records: true,
            rollback_fails: false,
            task_exit_code: 0,
            no_room_for_tasks: false,
            tasks_do_not_stop: false,
            stop_takes: Duration::from_secs(12),
            tasks_do_not_start: false,
            no_streams: false,
            history: VecDeque::new(),
            clock: Duration::ZERO,
            number: 0,
        }
    }

    fn number(&mut self) -> u32 {
        self.number += 1;
        self.number
    }

    /// The services as they were a while ago.
    pub(super) fn services_at(&self, old: Duration) -> &BTreeMap<String, SimService> {
        let back = usize::try_from(old.as_secs()).unwrap_or(0);
        let past = self.history.iter().rev().nth(back).or_else(|| self.history.front());
        if back == 0 { &self.services } else { past.unwrap_or(&self.services) }
    }

    /// Registers without looking.
    pub(crate) fn register(&mut self, request: &Value) -> TaskDefinition {
        let family = request["family"].as_str().unwrap_or_default().to_owned();
        let revision = self.definitions.iter().filter(|one| one.family == family).count() + 1;
        let revision = u32::try_from(revision).unwrap_or(0);
        let arn = format!("{PREFIX}:task-definition/{family}:{revision}");
        let mut document = request.clone();
        document["taskDefinitionArn"] = json!(arn);
        document["revision"] = json!(revision);
        document["status"] = json!("ACTIVE");
        let definition = TaskDefinition { arn, family, revision, document };
        self.definitions.push(definition.clone());
        definition
    }

    fn manner(&self, arn: &str) -> Manner {
        let definition = self.definitions.iter().find(|one| one.arn == arn);
        let image = definition
            .and_then(|one| one.document.pointer("/containerDefinitions/0/image"))
            .and_then(Value::as_str)
            .unwrap_or_default();
        [
            ("crash", Manner::Crashes),
            ("pull", Manner::CannotBePulled),
            ("secret", Manner::LacksASecret),
            ("sick", Manner::FailsHealthChecks),
            ("hungry", Manner::FindsNoRoom),
            ("jam", Manner::JamsOthers),
            ("half", Manner::HalfAnswers),
        ]
        .into_iter()
        .find(|(word, _)| image.contains(word))
        .map_or(Manner::Healthy, |(_, manner)| manner)
    }

    /// CreateService.
    pub(super) fn create(&mut self, definition: &Value) -> Service {
        let name = definition["serviceName"].as_str().unwrap_or_default().to_owned();
        let desired = definition["desiredCount"].as_u64().and_then(|n| u32::try_from(n).ok());
        let seen = Service {
            name: name.clone(),
            arn: format!("{PREFIX}:service/shop-cluster/{name}"),
            status: "ACTIVE".to_owned(),
            task_definition: String::new(),
            desired: desired.unwrap_or(1),
            running: 0,
            pending: 0,
            deployments: Vec::new(),
            target_groups: vec![TargetGroup {
                arn: format!("{PREFIX}:targetgroup/{name}"),
                container: name.clone(),
                port: 5000,
            }],
            events: Vec::new(),
            document: definition.clone(),
        };
        let service = SimService {
            seen,
            records: Vec::new(),
            began: BTreeMap::new(),
            last_good: None,
            rolling_back: None,
        };
        self.services.insert(name.clone(), service);
        let arn = definition["taskDefinition"].as_str().unwrap_or_default().to_owned();
        self.deploy(&name, &arn);
        self.services[&name].seen.clone()
    }

    /// Ends a service's deployment well, at once.
    pub(super) fn settle(&mut self, name: &str) {
        let Some(primary) = self.services[name].seen.primary().cloned() else { return };
        self.set(name, &primary.id, 0, primary.desired);
        self.complete(name, &primary.id);
        self.history.clear();
        self.history.push_back(self.services.clone());
    }

    /// Begins a deployment. Gives its id.
    pub(super) fn deploy(&mut self, name: &str, arn: &str) -> String {
        let (number, clock) = (self.number(), self.clock);
        let id = format!("ecs-svc/{number:04}");
        let Some(service) = self.services.get_mut(name) else { return id };
        for deployment in &mut service.seen.deployments {
            deployment.status = "ACTIVE".to_owned();
        }
        for record in &mut service.records {
            if record.status == ServiceDeploymentStatus::InProgress {
                record.status = ServiceDeploymentStatus::Stopped;
                record.reason = "superseded by a newer deployment".to_owned();
            }
        }
        let deployment = Deployment {
            id: id.clone(),
            status: "PRIMARY".to_owned(),
            rollout: Rollout::InProgress,
            reason: format!("ECS deployment {id} in progress."),
            task_definition: arn.to_owned(),
            desired: service.seen.desired,
            pending: 0,
            running: 0,
            failed: 0,
            created: Some(EPOCH + clock),
        };
        service.seen.deployments.insert(0, deployment);
        service.seen.task_definition = arn.to_owned();
        service.began.insert(id.clone(), clock);
        if self.records {
            service.records.insert(
                0,
                ServiceDeployment {
                    arn: format!("{PREFIX}:service-deployment/shop-cluster/{name}/{number}"),
                    status: ServiceDeploymentStatus::InProgress,
                    reason: String::new(),
                    task_definition: arn.to_owned(),
                    breaker: Some((0, BREAKER)),
                    created: Some(EPOCH + clock),
                },
            );
        }
        id
    }

    /// Goes back to what last completed.
    pub(super) fn begin_rollback(&mut self, name: &str, failed: &str) {
        let Some(service) = self.services.get(name) else { return };
        let Some(good) = service.last_good.clone() else { return };
        let id = self.deploy(name, &good);
        let records = self.records;
        let Some(service) = self.services.get_mut(name) else { return };
        if records {
            service.records.remove(0);
            if let Some(record) = service.records.first_mut() {
                record.status = ServiceDeploymentStatus::RollbackInProgress;
            }
        }
        service.rolling_back = Some((failed.to_owned(), id));
    }

    /// Lets time pass.
    pub(super) fn advance(&mut self, now: Duration) {
        while self.clock + Duration::from_secs(1) <= now {
            self.clock += Duration::from_secs(1);
            let names: Vec<String> = self.services.keys().cloned().collect();
            for name in names {
                self.second(&name);
            }
            self.one_off_tasks();
            self.history.push_back(self.services.clone());
            if self.history.len() > HISTORY {
                self.history.pop_front();
            }
        }
    }

    fn one_off_tasks(&mut self) {
        let (clock, exit_code, never) = (self.clock, self.task_exit_code, self.tasks_do_not_start);
        for one in &mut self.tasks {
            let Some(ends) = one.ends else { continue };
            if one.task.has_stopped() {
                continue;
            }
            let age = clock.saturating_sub(one.began);
            if one.stops.is_some_and(|at| clock >= at) {
                // By SIGKILL, if it ran at all.
                let ran = one.log.is_some();
                end(&mut one.task, clock, ran.then_some(137));
            } else if never && age >= Duration::from_secs(3) {
                one.task.stop_code = Some("TaskFailedToStart".to_owned());
                one.task.stopped_reason = Some("Task failed to start".to_owned());
                end(&mut one.task, clock, None);
                for container in &mut one.task.containers {
                    let reason = "CannotStartContainerError: no such file or directory";
                    container.reason = Some(reason.to_owned());
                }
            } else if clock >= ends && one.stops.is_none() {
                one.task.stop_code = Some("EssentialContainerExited".to_owned());
                one.task.stopped_reason = Some("Essential container in task exited".to_owned());
                end(&mut one.task, clock, Some(exit_code));
                if let Some(log) = &mut one.log {
                    log.push(format!("ended with {exit_code}"));
                }
            } else if one.stops.is_none() && age >= Duration::from_secs(3) {
                one.task.status = "RUNNING".to_owned();
                one.log.get_or_insert_with(|| vec!["running migration 0007".to_owned()]);
            }
        }
    }

    /// StopTask: it ends after a while, and ListTasks counts it as stopped from now on.
    pub(super) fn stop(&mut self, arn: &str, reason: &str) {
        let at = self.clock + self.stop_takes;
        for one in &mut self.tasks {
            if one.task.arn == arn && !one.task.has_stopped() && one.stops.is_none() {
                one.task.desired_status = "STOPPED".to_owned();
                one.task.status = "STOPPING".to_owned();
                one.task.stop_code = Some("UserInitiated".to_owned());
                one.task.stopped_reason = Some(reason.to_owned());
                one.stops = Some(at);
            }
        }
    }

    /// One second of one service's newest deployment.
    fn second(&mut self, name: &str) {
        let Some(service) = self.services.get(name) else { return };
        let Some(primary) = service.seen.primary().cloned() else { return };
        if primary.rollout != Rollout::InProgress {
            return;
        }
        let age = (self.clock - service.began[&primary.id]).as_secs();
        let is_rollback = service.rolling_back.as_ref().is_some_and(|(_, by)| *by == primary.id);
        let goes_back = is_rollback || service.last_good.as_ref() == Some(&primary.task_definition);
        let manner = if goes_back && self.rollback_fails {
            Manner::Crashes
        } else {
            self.manner(&primary.task_definition)
        };
        let desired = primary.desired;
        match manner {
            Manner::Healthy | Manner::HalfAnswers => match age {
                0..2 => {}
                2..8 => self.set(name, &primary.id, desired, 0),
                8..25 => self.set(name, &primary.id, 0, desired),
                _ => self.complete(name, &primary.id),
            },
            Manner::JamsOthers => {
                if age >= 8 {
                    self.set(name, &primary.id, 0, desired);
                }
            }
            Manner::FailsHealthChecks => {
                if age >= 8 {
                    self.set(name, &primary.id, 0, desired);
                }
                if age >= 30 && age.is_multiple_of(15) {
                    self.fail(name, &primary, "ServiceSchedulerInitiated", Some(0));
                }
            }
            Manner::Crashes if age >= 4 && age.is_multiple_of(4) => {
                self.fail(name, &primary, "EssentialContainerExited", Some(1));
            }
            Manner::CannotBePulled | Manner::LacksASecret if age >= 6 && age.is_multiple_of(6) => {
                self.fail(name, &primary, "TaskFailedToStart", None);
            }
            Manner::FindsNoRoom if age.is_multiple_of(20) => {
                let message = format!(
                    "(service {name}) was unable to place a task because no container instance met \
                     all of its requirements. Reason: No Container Instances had sufficient \
                     memory. For more information, see the Troubleshooting section."
                );
                self.event(name, message);
            }
            Manner::Crashes
            | Manner::CannotBePulled
            | Manner::LacksASecret
            | Manner::FindsNoRoom => {}
        }
    }

    fn set(&mut self, name: &str, id: &str, pending: u32, running: u32) {
        let Some(service) = self.services.get_mut(name) else { return };
        for deployment in &mut service.seen.deployments {
            if deployment.id == id {
                (deployment.pending, deployment.running) = (pending, running);
            }
        }
    }

    fn event(&mut self, name: &str, message: String) {
        let (number, at) = (self.number(), EPOCH + self.clock);
        let Some(service) = self.services.get_mut(name) else { return };
        service.seen.events.insert(0, Event { id: number.to_string(), at: Some(at), message });
    }

    fn complete(&mut self, name: &str, id: &str) {
        self.event(name, format!("(service {name}) has reached a steady state."));
        let Some(service) = self.services.get_mut(name) else { return };
        service.seen.deployments.retain(|one| one.id == id);
        let Some(done) = service.seen.deployments.first_mut() else { return };
        done.rollout = Rollout::Completed;
        done.reason = format!("ECS deployment {id} completed.");
        service.last_good = Some(done.task_definition.clone());
        let back = service.rolling_back.take().is_some();
        if let Some(record) = service.records.first_mut() {
            record.status = match back {
                true => ServiceDeploymentStatus::RollbackSuccessful,
                false => ServiceDeploymentStatus::Successful,
            };
        }
    }

    fn fail(&mut self, name: &str, deployment: &Deployment, code: &str, exit_code: Option<i32>) {
        let number = self.number();
        let manner = self.manner(&deployment.task_definition);
        let (reason, container_reason) = match (manner, code) {
            (_, "ServiceSchedulerInitiated") => {
                ("Task failed ELB health checks in (target-group x)", None)
            }
            (Manner::LacksASecret, _) => (
                "ResourceInitializationError: unable to pull secrets or registry auth: \
                 ResourceNotFoundException: Secrets Manager can't find the specified secret.",
                None,
            ),
            (Manner::CannotBePulled, _) => (
                "Task failed to start",
                Some("CannotPullContainerError: shop-users@sha256:0: not found"),
            ),
            _ => ("Essential container in task exited", None),
        };
        let ran = exit_code.is_some() && !self.no_streams;
        let task = Task {
            arn: format!("{PREFIX}:task/shop-cluster/{number:032x}"),
            status: "STOPPED".to_owned(),
            desired_status: "STOPPED".to_owned(),
            health: "UNKNOWN".to_owned(),
            started_by: deployment.id.clone(),
            task_definition: deployment.task_definition.clone(),
            command: Vec::new(),
            stop_code: Some(code.to_owned()),
            stopped_reason: Some(reason.to_owned()),
            created: Some(EPOCH + self.clock),
            stopped: Some(EPOCH + self.clock),
            containers: vec![Container {
                name: "api".to_owned(),
                exit_code,
                reason: container_reason.map(str::to_owned),
                image_digest: None,
                host_ports: Vec::new(),
            }],
        };
        let log = ran.then(|| vec!["SECRET_KEY has 12 bytes; production needs 32".to_owned()]);
        self.tasks.push(SimTask {
            task,
            service: Some(name.to_owned()),
            log,
            token: String::new(),
            ends: None,
            stops: None,
            began: self.clock,
        });
        let breaker = self.breaker;
        let Some(service) = self.services.get_mut(name) else { return };
        let rolling_back = service.rolling_back.clone();
        let Some(ours) = service.seen.deployments.iter_mut().find(|one| one.id == deployment.id)
        else {
            return;
        };
        ours.failed += 1;
        let failed = ours.failed;
        if let Some(record) = service.records.first_mut() {
            record.breaker = Some((failed, BREAKER));
        }
        if breaker && failed >= BREAKER {
            ours.rollout = Rollout::Failed;
            ours.reason = "tasks failed to start.".to_owned();
            ours.running = 0;
            if let Some(record) = service.records.first_mut() {
                record.reason = "Service deployment rolled back because the circuit breaker \
                                 threshold was exceeded."
                    .to_owned();
                record.status = match rolling_back {
                    Some(_) => ServiceDeploymentStatus::RollbackFailed,
                    None => ServiceDeploymentStatus::Stopped,
                };
            }
            if rolling_back.is_none() {
                let id = deployment.id.clone();
                self.begin_rollback(name, &id);
            }
        }
    }

    /// RunTask: the same token starts only one.
    pub(crate) fn run(
        &mut self,
        arn: &str,
        token: &str,
        started_by: &str,
        command: &[String],
    ) -> Task {
        if let Some(known) = self.tasks.iter().find(|one| one.token == token) {
            return known.task.clone();
        }
        let number = self.number();
        let task = Task {
            arn: format!("{PREFIX}:task/shop-cluster/{number:032x}"),
            status: "PROVISIONING".to_owned(),
            desired_status: "RUNNING".to_owned(),
            health: "UNKNOWN".to_owned(),
            started_by: started_by.to_owned(),
            task_definition: arn.to_owned(),
            command: command.to_owned(),
            stop_code: None,
            stopped_reason: None,
            created: Some(EPOCH + self.clock),
            stopped: None,
            containers: vec![Container {
                name: "api".to_owned(),
                exit_code: None,
                reason: None,
                image_digest: None,
                host_ports: Vec::new(),
            }],
        };
        self.tasks.push(SimTask {
            task: task.clone(),
            service: None,
            log: None,
            token: token.to_owned(),
            ends: Some(self.clock + Duration::from_secs(9)),
            stops: None,
            began: self.clock,
        });
        task
    }

    /// The targets of a service: the tasks of all its deployments.
    pub(super) fn targets(&self, group: &str) -> Vec<Target> {
        let service = self.services.iter().find(|(name, _)| group.ends_with(&***name));
        let Some((_, service)) = service else { return Vec::new() };
        let runs = |one: &Deployment, manner| {
            one.running > 0 && self.manner(&one.task_definition) == manner
        };
        let all = &service.seen.deployments;
        let jammed = all.iter().any(|one| runs(one, Manner::JamsOthers));
        let mut targets = Vec::new();
        for one in all {
            let age = self.clock.saturating_sub(service.began[&one.id]).as_secs();
            let is_new = one.rollout == Rollout::InProgress && age < 20;
            let manner = self.manner(&one.task_definition);
            for number in 0..one.running {
                let is_sick = match manner {
                    Manner::FailsHealthChecks => true,
                    Manner::HalfAnswers => number > 0,
                    Manner::JamsOthers => false,
                    _ => jammed,
                };
                let state = match (is_sick, is_new || manner == Manner::JamsOthers) {
                    (true, _) => "unhealthy",
                    (false, true) => "initial",
                    (false, false) => "healthy",
                };
                let (reason, description) = match is_sick {
                    true => (
                        "Target.ResponseCodeMismatch",
                        "Health checks failed with these codes: [503]",
                    ),
                    false => ("", ""),
                };
                targets.push(Target {
                    id: "i-0".to_owned(),
                    port: Some(32768),
                    state: state.to_owned(),
                    reason: reason.to_owned(),
                    description: description.to_owned(),
                });
            }
        }
        targets
    }
}

/// A task has ended.
fn end(task: &mut Task, at: Duration, exit_code: Option<i32>) {
    (task.status, task.desired_status) = ("STOPPED".to_owned(), "STOPPED".to_owned());
    task.stopped = Some(EPOCH + at);
    for container in &mut task.containers {
        container.exit_code = exit_code;
    }
}
