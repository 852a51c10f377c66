//! Going back to the last good task definition, and making sure that it is there.
//!
//! A rollback that was asked for is not one that has happened. This waits for it and looks: PRIMARY
//! must be the last good task definition, COMPLETED, with all its tasks. Whatever comes of it is
//! said; nothing here fails silently.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::Instant;

use crate::cloud::{
    Cloud, Deployment, Rollout, Service, ServiceDeployment, ServiceDeploymentStatus, Update, short,
};
use crate::report::human;
use crate::rollout::{Context, Order, Way, apply, read, targets};

/// How long ECS is left to go back by itself, before it is told to.
const ECS_BEGINS: Duration = Duration::from_secs(20);
/// How often the same is looked at, where an old answer could look the same.
const SURE: u32 = 4;
/// Between two looks.
const PAUSE: Duration = Duration::from_secs(3);
/// How long the tasks that are back may take to be healthy. After that it is said how many are.
const HEALTHY: Duration = Duration::from_mins(1);
/// How long an unanswered question is repeated before it counts.
const PATIENCE: Duration = Duration::from_secs(30);

/// What became of going back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "state")]
pub(crate) enum Restored {
    /// What ran before runs again, and was seen to.
    Back {
        /// `family:revision`.
        task_definition: String,
        /// Its tasks.
        running: u32,
        /// How many there should be.
        desired: u32,
        /// How many of them the load balancer sends requests to, where it was asked.
        healthy: Option<u32>,
        /// How long it took.
        seconds: u64,
    },
    /// Nothing else is known to be good.
    NothingBefore {
        /// Because it is the first release.
        first: bool,
        /// What becomes of it.
        left: Left,
    },
    /// It failed.
    Failed {
        /// Why.
        reason: String,
        /// What should run, as `family:revision`.
        task_definition: String,
    },
}

/// What becomes of a release that cannot be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Left {
    /// It runs.
    Runs,
    /// ECS goes on trying.
    Tries,
    /// ECS has given it up.
    GivenUp,
    /// ECS does not say.
    Unknown,
}

impl Left {
    fn of(service: Option<&Service>) -> Self {
        match service.and_then(Service::primary).map(|primary| primary.rollout) {
            Some(Rollout::Completed) => Self::Runs,
            Some(Rollout::InProgress) => Self::Tries,
            Some(Rollout::Failed) => Self::GivenUp,
            Some(Rollout::Unknown) | None => Self::Unknown,
        }
    }

    fn sentence(self) -> &'static str {
        match self {
            Self::Runs => "It runs on.",
            Self::Tries => "ECS goes on trying to start it.",
            Self::GivenUp => "ECS has given it up.",
            Self::Unknown => "`cargo xtask status` shows what becomes of it.",
        }
    }
}

impl Restored {
    /// Whether the last good release serves.
    #[must_use]
    pub(crate) fn is_back(&self) -> bool {
        matches!(self, Self::Back { .. })
    }

    /// In a sentence.
    #[must_use]
    pub(crate) fn sentence(&self) -> String {
        match self {
            Self::Back { task_definition, running, desired, healthy, seconds } => {
                let took = human(Duration::from_secs(*seconds));
                let healthy = match healthy {
                    Some(healthy) if healthy < desired => format!(", only {healthy} healthy"),
                    Some(healthy) => format!(", {healthy} healthy"),
                    None => String::new(),
                };
                format!(
                    "rolled back in {took}: PRIMARY is {task_definition} again, \
                     {running} of {desired} running{healthy}"
                )
            }
            Self::NothingBefore { first, left } => {
                let why = match first {
                    true => "this is the first release, there is nothing to go back to",
                    false => "nothing else is known to be good",
                };
                format!("NOT rolled back: {why}. {}", left.sentence())
            }
            Self::Failed { reason, task_definition } => {
                format!("NOT rolled back to {task_definition}: {reason}")
            }
        }
    }
}

/// Goes back.
pub(crate) async fn restore<C: Cloud>(
    context: &Context<'_, C>,
    order: &Order,
    way: &Way,
) -> Restored {
    let Some(good) = &way.last_good else {
        let service = read(context.cloud, &order.service, Duration::from_secs(5)).await;
        let left = Left::of(service.ok().flatten().as_ref());
        return Restored::NothingBefore { first: way.before.is_none(), left };
    };
    let work = Work { context, order, way, good, started: Instant::now() };
    let restored = tokio::select! {
        restored = work.run() => restored,
        () = context.stop.insisted() => Err("you ended the waiting; it may still happen".to_owned()),
    };
    restored.unwrap_or_else(|reason| Restored::Failed {
        reason,
        task_definition: short(good).to_owned(),
    })
}

struct Work<'a, C> {
    context: &'a Context<'a, C>,
    order: &'a Order,
    way: &'a Way,
    good: &'a str,
    started: Instant,
}

impl<C: Cloud> Work<'_, C> {
    async fn run(&self) -> Result<Restored, String> {
        let mut asked: Option<Instant> = None;
        let mut begun: Option<String> = None;
        let mut alike = 0;
        let mut there_since = None;
        // Whether the service's settings have been sent back, which ECS's own way back leaves out.
        let mut settled = self.way.settings.is_null();
        loop {
            if self.started.elapsed() >= self.context.limits.rollback {
                let took = human(self.started.elapsed());
                return Err(format!("ECS has not done it within {took}"));
            }
            let service = read(self.context.cloud, &self.order.service, PATIENCE).await;
            let Some(service) = service.map_err(|error| error.to_string())? else {
                return Err("the service is gone".to_owned());
            };
            let Some(primary) = service.primary() else {
                return Err("the service shows no deployment".to_owned());
            };
            self.tell(&service, primary);
            // One that goes back by itself is not disturbed.
            let may_settle =
                primary.rollout != Rollout::InProgress || primary.id == self.way.deployment;
            if primary.task_definition == self.good && !settled && may_settle {
                begun = self.update(primary).await?.or(begun);
                (asked, settled, alike) = (Some(Instant::now()), true, 0);
            } else if primary.task_definition == self.good {
                if primary.rollout == Rollout::Failed {
                    return Err(format!("its rollout failed as well: {}", primary.reason));
                }
                let there =
                    primary.rollout == Rollout::Completed && primary.running >= primary.desired;
                alike = if there { alike + 1 } else { 0 };
                let may_be_old = begun.as_ref() != Some(&primary.id) && self.may_be_old(primary);
                if there && (!may_be_old || alike >= SURE) {
                    let since = *there_since.get_or_insert_with(Instant::now);
                    let healthy = targets(self.context.cloud, &service).await;
                    let healthy = healthy.map(|targets| targets.healthy);
                    let enough = self.way.healthy.unwrap_or(0).min(service.desired);
                    let is_less = healthy.is_some_and(|healthy| healthy < enough);
                    if is_less && since.elapsed() < HEALTHY {
                        tokio::time::sleep(PAUSE).await;
                        continue;
                    }
                    return Ok(Restored::Back {
                        healthy,
                        task_definition: short(self.good).to_owned(),
                        running: primary.running,
                        desired: primary.desired,
                        seconds: self.started.elapsed().as_secs(),
                    });
                }
            } else if primary.id == self.way.deployment || self.is_ecs_own(primary) {
                alike = 0;
                if asked.is_none_or(|at| at.elapsed() >= ECS_BEGINS) {
                    let told = self.tell_ecs(asked.is_some()).await;
                    if !told {
                        begun = self.update(primary).await?.or(begun);
                        settled = true;
                    }
                    asked = Some(Instant::now());
                }
            } else if self.way.before.as_ref() != Some(&primary.id) {
                return Err(format!(
                    "PRIMARY is {} by somebody else's deployment, which is left alone",
                    short(&primary.task_definition)
                ));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Whether a deployment is of before ours: then an old answer looks just like this.
    fn may_be_old(&self, primary: &Deployment) -> bool {
        self.way.before.as_ref() == Some(&primary.id)
            || primary.created.is_some_and(|created| created < self.way.since)
    }

    /// Whether ECS has gone back by itself, to what ran before and is not to run again.
    fn is_ecs_own(&self, primary: &Deployment) -> bool {
        self.way.before_runs.as_ref() == Some(&primary.task_definition)
            && self.way.before.as_ref() != Some(&primary.id)
    }

    /// Tells ECS to go back to what ran before, unless it does so already. Whether it does.
    async fn tell_ecs(&self, again: bool) -> bool {
        let record = self.record().await;
        // ECS goes back to what ran before. If that is not what is meant, it has to be told.
        let ecs_knows = self.way.before_runs.as_deref() == Some(self.good);
        if !again
            && ecs_knows
            && let Some(record) = &record
        {
            use ServiceDeploymentStatus as Status;
            match record.status {
                Status::RollbackRequested | Status::RollbackInProgress => return true,
                // Refused where the deployment has just ended, or on an ECS without it: then an
                // update does the same.
                Status::Pending | Status::InProgress => {
                    return self.context.cloud.roll_back(&record.arn).await.is_ok();
                }
                _ => {}
            }
        }
        false
    }

    /// Has the service run what is good, with the settings that it had. Gives the new deployment's
    /// id, if it is known.
    async fn update(&self, primary: &Deployment) -> Result<Option<String>, String> {
        let update = Update {
            service: self.order.service.clone(),
            task_definition: Some(self.good.to_owned()),
            settings: self.way.settings.clone(),
            ..Update::default()
        };
        let service = apply(self.context.cloud, &update, Some(&primary.id)).await;
        let service = service.map_err(|error| error.to_string())?;
        let primary = service.primary().filter(|primary| primary.task_definition == self.good);
        Ok(primary.map(|primary| primary.id.clone()))
    }

    /// ECS's record of our deployment.
    async fn record(&self) -> Option<ServiceDeployment> {
        let since = self.way.since - Duration::from_secs(90);
        let records = self.context.cloud.service_deployments(&self.order.service, since).await;
        let wanted = &self.order.task_definition;
        records.ok()?.into_iter().find(|record| record.task_definition == *wanted)
    }

    fn tell(&self, service: &Service, primary: &Deployment) {
        let good = short(self.good);
        let text = if primary.task_definition == self.good {
            let (running, desired) = (primary.running, primary.desired);
            let others = service.deployments.iter().filter(|one| one.id != primary.id);
            let old: u32 = others.map(|one| one.running).sum();
            let leaving = if old > 0 { format!("; {old} leaving") } else { String::new() };
            format!("to {good}: {running} of {desired} running{leaving}")
        } else {
            format!("to {good}: asked for")
        };
        self.context.tell.row("back", self.order.who.as_str(), &text);
    }
}
