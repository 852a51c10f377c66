//! A release, once its images are in the registry: register, migrate, roll, check, and if need be
//! take it all back. What was decided before comes in as [`Job`]; what became of it goes out as
//! [`Outcome`]. It never says that something is done which it has not seen.
//!
//! Inside a service ECS itself rolls: it stops no old task before a new one is healthy. So nothing
//! here waits for a first healthy task before it lets the others start.

mod held;
mod outcome;
mod register;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;

use crate::cloud::{Cloud, CloudError, short};
use crate::config::ServiceName;
use crate::decide::{Cause, Limits};
use crate::rollback::{Restored, restore};
use crate::rollout::{self, Begun, Context, Followed, Moved, NotBegun, Order, Way};
use crate::task::{self, OneOff, TaskError};
use crate::tell::INDENT;

#[cfg(test)]
pub(crate) use held::recorded;
pub(crate) use held::{HeldError, Owner, Recorder, half_done, held};
#[cfg(test)]
pub(crate) use outcome::ServiceOutcome;
pub(crate) use outcome::{End, FailedTask, Outcome, ServiceEnd, tell_task};
pub(crate) use register::register;

/// What becomes of the other services when one fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OnFailure {
    /// Every service goes back to what it ran before
    #[default]
    RollbackAll,
    /// The failed one goes back, those before it stay, and those after it are not begun
    Stop,
    /// The failed one goes back, and the others go on
    Continue,
}

/// What Ctrl-C means while services move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OnInterrupt {
    /// Every service goes back to what it ran before
    #[default]
    Rollback,
    /// AWS goes on without us
    Detach,
}

/// What is to be released.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Job {
    /// The services.
    pub(crate) services: Vec<ServiceJob>,
    /// The command that brings the database up to date, if there is anything to do.
    pub(crate) migrate: Option<Migration>,
    /// Whether to ask the application even if nothing moves: a release before was cut off, and
    /// nobody has seen it answer.
    pub(crate) verify: bool,
    /// What a failure means.
    pub(crate) on_failure: OnFailure,
    /// What an interrupt means.
    pub(crate) on_interrupt: OnInterrupt,
}

/// What is wanted of one service.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ServiceJob {
    /// Which.
    pub(crate) who: ServiceName,
    /// When it moves: level 0 first.
    pub(crate) level: u8,
    /// What ECS calls it.
    pub(crate) service: String,
    /// What it is to run.
    pub(crate) definition: Definition,
    /// How it is created: CreateService in AWS's shape.
    pub(crate) create: Value,
    /// What else is to change: members of UpdateService, or null.
    pub(crate) settings: Value,
    /// The ARN of what the last release that went well runs.
    pub(crate) last_good: Option<String>,
    /// ARNs of what releases run that were cut off or went wrong: nothing to go back to.
    pub(crate) suspects: Vec<String>,
}

/// A task definition that a service is to run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Definition {
    /// RegisterTaskDefinition in AWS's shape, with the image by digest.
    New(Value),
    /// One that is registered: its ARN.
    Known(String),
}

/// The command that brings the database up to date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Migration {
    /// In whose image.
    pub(crate) who: ServiceName,
    /// In which container.
    pub(crate) container: String,
    /// The command.
    pub(crate) command: Vec<String>,
}

/// What a deploy needs besides the cloud.
pub(crate) trait Around {
    /// Asks the application through its load balancer whether it is this release: what was seen.
    ///
    /// # Errors
    /// What was seen instead.
    async fn smoke(&self) -> Result<String, String>;

    /// A line for the record that others read, before and after what changes anything: so that a
    /// deploy that is killed shows how far it came.
    ///
    /// # Errors
    /// The record cannot be written. Then nothing may be changed.
    async fn note(&self, note: Note<'_>) -> Result<(), String>;
}

/// What is noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Note<'a> {
    /// A service's task definition is registered.
    Registered(ServiceName, &'a str),
    /// The database is about to be changed.
    Migrating,
    /// The database is up to date.
    Migrated,
    /// A service is about to move.
    Rolling(ServiceName),
    /// A service has moved.
    Rolled(ServiceName),
    /// A service is about to go back.
    GoingBack(ServiceName),
}

/// Does it.
pub(crate) async fn run<C: Cloud, A: Around>(
    context: &Context<'_, C>,
    around: &A,
    job: &Job,
) -> Outcome {
    let mut deploy = Deploy {
        context,
        started: Instant::now(),
        around,
        job,
        orders: BTreeMap::new(),
        ways: BTreeMap::new(),
        uncertain: false,
        begun: Touched::Nothing,
        outcome: Outcome::new(job),
    };
    let end = tokio::select! {
        end = deploy.all() => Some(end),
        () = context.stop.is_late(GRACE) => None,
    };
    deploy.outcome.end = end.unwrap_or_else(|| deploy.abandoned());
    deploy.outcome
}

/// How long going back, and whatever else hears of it, has to end after the second Ctrl-C.
const GRACE: Duration = Duration::from_secs(3);

/// What a deploy has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Touched {
    /// Nothing yet.
    Nothing,
    /// Perhaps the database.
    Database,
    /// Perhaps services.
    Services,
}

struct Deploy<'a, C, A> {
    context: &'a Context<'a, C>,
    started: Instant,
    around: &'a A,
    job: &'a Job,
    orders: BTreeMap<ServiceName, Order>,
    /// The rollouts that have begun, in whatever state.
    ways: BTreeMap<ServiceName, Way>,
    /// Whether a service may have moved, and nobody can tell.
    uncertain: bool,
    /// How far it has come.
    begun: Touched,
    outcome: Outcome,
}

impl<C: Cloud, A: Around> Deploy<'_, C, A> {
    async fn all(&mut self) -> End {
        if let Err(end) = self.register().await {
            return end;
        }
        if let Err(end) = self.migrate().await {
            return end;
        }
        if let Err(end) = self.roll().await {
            return match end {
                End::Failed { restored, timed_out, .. } => {
                    End::Failed { restored, timed_out, kept: !self.outcome.kept().is_empty() }
                }
                end => end,
            };
        }
        if self.ways.is_empty() && self.job.migrate.is_none() && !self.job.verify {
            return End::Unchanged;
        }
        self.smoke().await
    }

    async fn register(&mut self) -> Result<(), End> {
        let started = Instant::now();
        for service in &self.job.services {
            self.stop_before()?;
            let who = service.who.as_str();
            let (arn, new) = match &service.definition {
                Definition::Known(arn) => (arn.clone(), false),
                Definition::New(document) => {
                    let registered = register(self.context.cloud, document).await;
                    let (definition, new) = registered.map_err(|error| self.broken(&error))?;
                    (definition.arn, new)
                }
            };
            let name = short(&arn).to_owned();
            // It changes nothing that runs: a record without it is not wrong.
            let _ = self.around.note(Note::Registered(service.who, &arn)).await;
            if new {
                self.context.tell.done("register", who, &name);
            }
            if let Some(outcome) = self.outcome.of(service.who) {
                outcome.task_definition = Some(name);
                outcome.registered = new;
            }
            let order = Order {
                who: service.who,
                service: service.service.clone(),
                task_definition: arn,
                create: service.create.clone(),
                settings: service.settings.clone(),
                last_good: service.last_good.clone(),
                suspects: service.suspects.clone(),
            };
            self.orders.insert(service.who, order);
        }
        self.outcome.took("register", started);
        Ok(())
    }

    async fn migrate(&mut self) -> Result<(), End> {
        let Some(migration) = &self.job.migrate else { return Ok(()) };
        self.stop_before()?;
        let Some(order) = self.orders.get(&migration.who) else { return Ok(()) };
        let started = Instant::now();
        let definition = rollout::patiently(rollout::PATIENCE, || {
            self.context.cloud.task_definition(&order.task_definition)
        })
        .await;
        let one_off = OneOff {
            name: "migrate".to_owned(),
            who: migration.who,
            task_definition: definition.map_err(|error| self.broken(&error))?,
            container: migration.container.clone(),
            command: migration.command.clone(),
        };
        self.note(Note::Migrating).await?;
        self.begun = Touched::Database;
        let detach = self.job.on_interrupt == OnInterrupt::Detach;
        let finished = task::run(self.context, &one_off, detach).await;
        self.outcome.took("migrate", started);
        match finished {
            Ok(finished) => {
                let took = crate::report::human(Duration::from_secs(finished.seconds));
                let text = format!("{took}  exit 0");
                self.context.tell.done("migrate", migration.who.as_str(), &text);
                self.outcome.migration = Some(finished);
                self.begun = Touched::Nothing;
                self.note(Note::Migrated).await
            }
            Err(error) => {
                self.context.tell.done("migrate", migration.who.as_str(), &format!("✗ {error}"));
                self.outcome.failed_task = error.task();
                if let TaskError::Failed { task, .. } = &error {
                    tell_task(self.context.tell, &task.without_log(), &error.to_string());
                    let id = task::short_id(&task.id);
                    let next = format!(
                        "{INDENT}next: cargo xtask logs --service {} --task {id}",
                        migration.who
                    );
                    self.context.tell.line(&next);
                }
                Err(match error {
                    TaskError::Interrupted { stopped, .. } => {
                        End::Interrupted { moved: false, detached: !stopped, restored: true }
                    }
                    TaskError::NotStarted { .. } => {
                        End::Interrupted { moved: false, detached: false, restored: true }
                    }
                    error => End::TaskFailed { message: error.to_string() },
                })
            }
        }
    }

    /// Level by level, side by side inside one.
    async fn roll(&mut self) -> Result<(), End> {
        let started = Instant::now();
        let mut levels: Vec<u8> = self.job.services.iter().map(|service| service.level).collect();
        levels.sort_unstable();
        levels.dedup();
        let mut end: Result<(), End> = Ok(());
        for level in levels {
            let services = self.job.services.iter().filter(|service| service.level == level);
            let services: Vec<ServiceName> = services.map(|service| service.who).collect();
            let level = self.roll_level(&services).await;
            end = match (end, level) {
                (Err(first), Err(second)) => Err(first.and(second)),
                (Ok(()), level) => level,
                (end, Ok(())) => end,
            };
            let goes_on = match &end {
                Ok(()) => true,
                Err(End::Failed { .. }) => self.job.on_failure == OnFailure::Continue,
                Err(_) => false,
            };
            if !goes_on {
                break;
            }
        }
        self.outcome.took_without("roll", started, "back");
        end
    }

    async fn roll_level(&mut self, services: &[ServiceName]) -> Result<(), End> {
        // The time limit is for all of them together.
        let left = self.context.limits.rollout.saturating_sub(self.started.elapsed());
        let limits = Limits { rollout: left, ..*self.context.limits };
        let context = &Context {
            cloud: self.context.cloud,
            limits: &limits,
            tell: self.context.tell,
            stop: self.context.stop,
        };
        if self.context.stop.requested() {
            return Err(self.interrupted().await);
        }
        if left.is_zero() {
            return Err(self.out_of_time(services).await);
        }
        let mut under_way = Vec::new();
        let mut failed = Vec::new();
        for who in services {
            let Some(order) = self.orders.get(who).cloned() else { continue };
            if let Err(end) = self.note(Note::Rolling(*who)).await {
                return Err(self.undo(end).await);
            }
            self.begun = Touched::Services;
            match rollout::begin(context, &order).await {
                Ok(Begun::Unchanged) => self.set(*who, ServiceEnd::Unchanged),
                Ok(Begun::Under(way)) => {
                    if let Some(outcome) = self.outcome.of(*who) {
                        outcome.before = way.last_good.as_deref().map(short).map(str::to_owned);
                    }
                    self.ways.insert(*who, (*way).clone());
                    under_way.push((order, *way));
                }
                Err(NotBegun { error, moved }) => {
                    match moved {
                        Moved::No => {}
                        Moved::Yes(way) => {
                            self.ways.insert(*who, *way);
                        }
                        Moved::Unknown => self.uncertain = true,
                    }
                    failed.push((*who, error));
                }
            }
        }
        let followed = rollout::follow_all(context, &under_way).await;
        let mut interrupted = false;
        let mut causes = Vec::new();
        for (who, followed) in followed {
            match followed {
                Followed::Done { took, running } => {
                    let seconds = took.as_secs();
                    self.set(who, ServiceEnd::Rolled { running, seconds });
                    // It has moved, whether that can be written down or not.
                    let _ = self.around.note(Note::Rolled(who)).await;
                }
                Followed::Failed(failure) => {
                    outcome::tell_failure(self.context.tell, who, &failure);
                    causes.push((who, failure.cause.clone()));
                    let evidence = Box::new(failure.evidence);
                    self.set(who, ServiceEnd::Failed { cause: failure.cause, evidence });
                }
                Followed::Interrupted => interrupted = true,
            }
        }
        for (who, error) in failed {
            let cause = Cause::Cloud { message: error.to_string() };
            self.context.tell.done("roll", who.as_str(), &format!("✗ {cause}"));
            let evidence = Box::default();
            self.set(who, ServiceEnd::Failed { cause: cause.clone(), evidence });
            causes.push((who, cause));
        }
        let failed: Vec<ServiceName> = causes.iter().map(|(who, _)| *who).collect();
        if interrupted {
            let end = self.interrupted().await;
            // What AWS is left alone with has to have a chance.
            let detached = matches!(end, End::Interrupted { detached: true, .. });
            return Err(match detached && !failed.is_empty() {
                true => self.undo_these(&failed, end).await,
                false => end,
            });
        }
        let Some((_, cause)) = causes.first() else { return Ok(()) };
        let timed_out = matches!(cause, Cause::TimedOut { .. });
        Err(self.take_back(&failed, timed_out).await)
    }

    /// These services cannot begin any more.
    async fn out_of_time(&mut self, services: &[ServiceName]) -> End {
        let cause = Cause::NoTimeLeft { seconds: self.context.limits.rollout.as_secs() };
        for who in services {
            self.context.tell.done("roll", who.as_str(), &format!("✗ {cause}"));
            self.set(*who, ServiceEnd::Failed { cause: cause.clone(), evidence: Box::default() });
        }
        self.take_back(services, true).await
    }

    /// What the failure of some services means for all.
    async fn take_back(&mut self, failed: &[ServiceName], timed_out: bool) -> End {
        let end = End::Failed { restored: false, timed_out, kept: false };
        match self.job.on_failure {
            OnFailure::RollbackAll => self.undo(end).await,
            OnFailure::Stop | OnFailure::Continue => self.undo_these(failed, end).await,
        }
    }

    async fn smoke(&mut self) -> End {
        let started = Instant::now();
        let seen = tokio::select! {
            seen = self.around.smoke() => seen,
            () = self.context.stop.wait() => {
                return self.interrupted().await;
            }
        };
        self.outcome.took("smoke", started);
        match seen {
            Ok(seen) => {
                self.context.tell.done("smoke", "", &seen);
                self.outcome.smoke = Some(seen);
                End::Released
            }
            Err(message) => {
                self.context.tell.done("smoke", "", &format!("✗ {message}"));
                // Where nothing has moved, there is nothing that could be taken back here.
                if self.ways.is_empty() || self.job.on_failure != OnFailure::RollbackAll {
                    return End::SmokeFailed { message, restored: false, kept: true };
                }
                let end = End::SmokeFailed { message, restored: false, kept: false };
                self.undo(end).await
            }
        }
    }

    /// Dropped where it was, because somebody has insisted: what has begun goes on.
    fn abandoned(&self) -> End {
        let moved = self.begun == Touched::Services;
        let detached = self.begun == Touched::Database;
        End::Interrupted { moved, detached, restored: !moved }
    }

    /// What an interrupt means, once something may have moved.
    async fn interrupted(&mut self) -> End {
        let moved = !self.ways.is_empty();
        // Of what has not begun, nothing goes on.
        if self.job.on_interrupt == OnInterrupt::Detach && moved {
            for who in self.ways.keys().copied().collect::<Vec<_>>() {
                if let Some(outcome) = self.outcome.of(who)
                    && outcome.end == ServiceEnd::NotBegun
                {
                    outcome.end = ServiceEnd::Detached;
                }
            }
            return End::Interrupted { moved, detached: true, restored: false };
        }
        self.undo(End::Interrupted { moved, detached: false, restored: false }).await
    }

    /// Takes everything back that has moved, and with it what an earlier release left that never
    /// went well: half of that beside what is good was never meant to serve.
    async fn undo(&mut self, end: End) -> End {
        if !self.ways.is_empty() {
            self.find_left_behind().await;
        }
        let all: Vec<ServiceName> = self.ways.keys().copied().collect();
        self.undo_these(&all, end).await
    }

    /// Finds the ways back of services that have not begun and run what nobody has seen answer.
    async fn find_left_behind(&mut self) {
        for order in self.orders.values().filter(|order| !order.suspects.is_empty()) {
            if self.ways.contains_key(&order.who) {
                continue;
            }
            match rollout::left_behind(self.context.cloud, order).await {
                Ok(Some(way)) => {
                    self.ways.insert(order.who, way);
                }
                Ok(None) => {}
                Err(_) => self.uncertain = true,
            }
        }
    }

    async fn undo_these(&mut self, services: &[ServiceName], end: End) -> End {
        let started = Instant::now();
        let mut back = Vec::new();
        for who in services {
            // A note that cannot be written is no reason to leave a broken release serving.
            let _ = self.around.note(Note::GoingBack(*who)).await;
            if let (Some(order), Some(way)) = (self.orders.get(who), self.ways.get(who)) {
                back.push((order, way));
            }
        }
        let context = self.context;
        let all = back.into_iter().map(|(order, way)| async move {
            let restored = restore(context, order, way).await;
            context.tell.done("back", order.who.as_str(), &restored.sentence());
            (order.who, restored)
        });
        let restored: Vec<(ServiceName, Restored)> = futures_util::future::join_all(all).await;
        let mut good = !self.uncertain;
        for (who, restored) in restored {
            good &= restored.is_back();
            if let Some(outcome) = self.outcome.of(who) {
                outcome.restored = Some(restored);
            }
        }
        self.outcome.took("back", started);
        end.with_restored(good)
    }

    fn set(&mut self, who: ServiceName, end: ServiceEnd) {
        if end == ServiceEnd::Unchanged {
            self.context.tell.done("roll", who.as_str(), "unchanged");
        }
        if let Some(outcome) = self.outcome.of(who) {
            outcome.end = end;
        }
    }

    /// Whether somebody wants the end, before anything has moved.
    fn stop_before(&self) -> Result<(), End> {
        if self.context.stop.requested() {
            return Err(End::Interrupted { moved: false, detached: false, restored: true });
        }
        Ok(())
    }

    async fn note(&self, note: Note<'_>) -> Result<(), End> {
        self.around.note(note).await.map_err(|message| End::Broken { message, restored: true })
    }

    fn broken(&self, error: &CloudError) -> End {
        End::Broken { message: error.to_string(), restored: true }
    }
}
