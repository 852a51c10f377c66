//! Moving one service to a task definition, and seeing it through.
//!
//! The deployment that is followed is the one that our call began, known by its id. What the
//! service as a whole looks like proves nothing: it looks well after a rollback, too. This is how
//! one begins; [`follow`] sees it through.

mod follow;

use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::cloud::{self, Cloud, CloudError, Deployment, Rollout, Service, Target, Update};
use crate::config::ServiceName;
use crate::decide::{Cause, Limits};
use crate::desired;
use crate::evidence::Evidence;
use crate::interrupt::Stop;
use crate::tell::Tell;

pub(crate) use follow::follow_all;

/// How often a call that may have been lost is made again.
const TRIES: u32 = 6;

/// What a rollout, and going back, work with.
pub(crate) struct Context<'a, C> {
    /// The cloud.
    pub(crate) cloud: &'a C,
    /// How long things may take.
    pub(crate) limits: &'a Limits,
    /// Who listens.
    pub(crate) tell: &'a dyn Tell,
    /// What ends the waiting.
    pub(crate) stop: &'a Stop,
}

/// What is wanted of one service.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Order {
    /// Which of ours.
    pub(crate) who: ServiceName,
    /// What ECS calls it.
    pub(crate) service: String,
    /// The ARN of what it is to run.
    pub(crate) task_definition: String,
    /// How it is created if there is none: CreateService in AWS's shape.
    pub(crate) create: Value,
    /// What else is to change: members of UpdateService, or null.
    pub(crate) settings: Value,
    /// The ARN of what the last release that went well runs.
    pub(crate) last_good: Option<String>,
    /// ARNs of what releases run that were cut off or went wrong: nothing to go back to.
    pub(crate) suspects: Vec<String>,
}

/// A deployment under way.
#[derive(Debug, Clone)]
pub(crate) struct Way {
    /// Its id.
    pub(crate) deployment: String,
    /// The id of the one before it.
    pub(crate) before: Option<String>,
    /// What that one runs.
    pub(crate) before_runs: Option<String>,
    /// What to go back to.
    pub(crate) last_good: Option<String>,
    /// What else to go back to: members of UpdateService, or null.
    pub(crate) settings: Value,
    /// How many targets were healthy before it began, where that is known.
    pub(crate) healthy: Option<u32>,
    /// When it began, on ECS's own clock: the one here may differ.
    pub(crate) since: SystemTime,
    /// When it began, on ours.
    pub(crate) started: Instant,
}

/// How a beginning ended.
#[derive(Debug)]
pub(crate) enum Begun {
    /// The service runs it already, proved.
    Unchanged,
    /// A deployment of it is under way, perhaps since before; or one is done that nobody has seen
    /// answer, which is followed to the same end.
    Under(Box<Way>),
}

/// A rollout that did not begin as it should.
#[derive(Debug)]
pub(crate) struct NotBegun {
    /// Why.
    pub(crate) error: CloudError,
    /// Whether something moved nevertheless.
    pub(crate) moved: Moved,
}

/// Whether a call that failed has done something.
#[derive(Debug)]
pub(crate) enum Moved {
    /// The service was looked at: no.
    No,
    /// It was done after all.
    Yes(Box<Way>),
    /// The service cannot be looked at.
    Unknown,
}

/// A rollout that came to nothing.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Why.
    pub(crate) cause: Cause,
    /// What tells more.
    pub(crate) evidence: Evidence,
}

/// How following ended.
#[derive(Debug)]
pub(crate) enum Followed {
    /// Our deployment is PRIMARY and COMPLETED.
    Done {
        /// How long it took.
        took: Duration,
        /// How many tasks run.
        running: u32,
    },
    /// It never will be.
    Failed(Box<Failure>),
    /// Somebody wants the end of it.
    Interrupted,
}

/// Reads a service, patiently: an answer that fails to come may come later.
///
/// # Errors
/// The cloud refuses, or fails for longer than the limit.
pub(crate) async fn read<C: Cloud>(
    cloud: &C,
    name: &str,
    patience: Duration,
) -> Result<Option<Service>, CloudError> {
    let names = [name.to_owned()];
    let services = patiently(patience, || cloud.services(&names)).await?;
    // A deleted service shows as INACTIVE for a while. For us there is none.
    Ok(services.into_iter().find(|service| service.status != "INACTIVE"))
}

/// What the load balancer knows of a service.
pub(crate) struct Targets {
    /// Those of all its target groups.
    pub(crate) all: Vec<Target>,
    /// How many it sends requests to, in the group with the fewest.
    pub(crate) healthy: u32,
}

/// Asks the load balancer about a service. `None` if it has no target group, or there is no answer.
pub(crate) async fn targets<C: Cloud>(cloud: &C, service: &Service) -> Option<Targets> {
    let (mut all, mut healthy) = (Vec::new(), None);
    for group in &service.target_groups {
        let found = cloud.targets(&group.arn).await.ok()?;
        let here = found.iter().filter(|target| target.state == "healthy").count();
        let here = u32::try_from(here).unwrap_or(u32::MAX);
        healthy = Some(healthy.unwrap_or(here).min(here));
        all.extend(found);
    }
    Some(Targets { all, healthy: healthy? })
}

/// Asks again while the failure may pass. Only for questions, and for calls that may be repeated.
///
/// # Errors
/// The first that does not pass, or the last.
pub(crate) async fn patiently<T>(
    patience: Duration,
    ask: impl AsyncFn() -> Result<T, CloudError>,
) -> Result<T, CloudError> {
    let started = Instant::now();
    let mut pause = Duration::from_secs(1);
    loop {
        match ask().await {
            Err(error) if error.is_passing() && started.elapsed() < patience => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(10));
            }
            answer => return answer,
        }
    }
}

/// How long a question may go unanswered before it counts.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// Begins a rollout, or finds that it has begun, or that there is nothing to do.
///
/// # Errors
/// The cloud fails us; what has moved nevertheless is found out.
pub(crate) async fn begin<C: Cloud>(
    context: &Context<'_, C>,
    order: &Order,
) -> Result<Begun, NotBegun> {
    let (cloud, started) = (context.cloud, Instant::now());
    let since = cloud.now();
    let before = read(cloud, &order.service, PATIENCE).await;
    // Nothing was asked for yet.
    let before = before.map_err(|error| NotBegun { error, moved: Moved::No })?;
    let Some(before) = before else {
        let way = Way {
            deployment: String::new(),
            before: None,
            before_runs: None,
            last_good: None,
            settings: Value::Null,
            healthy: None,
            since,
            started,
        };
        return match create(cloud, order, since).await {
            Ok(primary) => {
                let since = primary.created.unwrap_or(since);
                Ok(Begun::Under(Box::new(Way { deployment: primary.id, since, ..way })))
            }
            Err(error) => Err(after_all(context, order, way, error).await),
        };
    };
    let last_good = last_good(&before, order);
    let settings = former(&before.document, &order.settings);
    let primary = before.primary();
    let before_id = primary.map(|primary| primary.id.clone());
    let before_runs = primary.map(|primary| primary.task_definition.clone());
    let way = |deployment: Option<&Deployment>, healthy| Way {
        deployment: deployment.map(|one| one.id.clone()).unwrap_or_default(),
        before: before_id.clone(),
        before_runs: before_runs.clone(),
        last_good: last_good.clone(),
        settings: settings.clone(),
        healthy,
        since: deployment.and_then(|one| one.created).unwrap_or(since),
        started,
    };
    let mut force = false;
    if let Some(primary) = primary.filter(|one| one.task_definition == order.task_definition) {
        let is_same = order.settings.is_null();
        let is_done = primary.rollout == Rollout::Completed && primary.running >= primary.desired;
        if is_same && is_done && !order.suspects.contains(&primary.task_definition) {
            return Ok(Begun::Unchanged);
        }
        if is_same && (is_done || primary.rollout == Rollout::InProgress) {
            // What there was before it, nobody can tell any more.
            let way = Way { before: None, ..way(Some(primary), None) };
            return Ok(Begun::Under(Box::new(way)));
        }
        // The same again would change nothing: ECS must be told to try again.
        force = is_same || matches!(primary.rollout, Rollout::Failed | Rollout::Unknown);
    }
    let healthy = targets(cloud, &before).await.map(|targets| targets.healthy);
    let update = Update {
        service: order.service.clone(),
        task_definition: Some(order.task_definition.clone()),
        desired: None,
        force,
        settings: order.settings.clone(),
    };
    let error = match apply(cloud, &update, before_id.as_deref()).await {
        Ok(service) => match service.primary() {
            Some(primary) if primary.task_definition == order.task_definition => {
                return Ok(Begun::Under(Box::new(way(Some(primary), healthy))));
            }
            _ => none_shown("ecs:UpdateService", order),
        },
        Err(error) => error,
    };
    Err(after_all(context, order, way(None, healthy), error).await)
}

/// The way back of a service that has not begun, if it runs what a release left that was cut off or
/// went wrong.
///
/// # Errors
/// The cloud refuses, or fails for too long.
pub(crate) async fn left_behind<C: Cloud>(
    cloud: &C,
    order: &Order,
) -> Result<Option<Way>, CloudError> {
    let Some(service) = read(cloud, &order.service, PATIENCE).await? else { return Ok(None) };
    let suspect = |one: &&Deployment| order.suspects.contains(&one.task_definition);
    Ok(service.primary().filter(suspect).map(|primary| Way {
        deployment: primary.id.clone(),
        before: None,
        before_runs: Some(primary.task_definition.clone()),
        last_good: trusted(&service, order),
        settings: Value::Null,
        healthy: None,
        since: primary.created.unwrap_or_else(|| cloud.now()),
        started: Instant::now(),
    }))
}

fn none_shown(operation: &'static str, order: &Order) -> CloudError {
    let wanted = cloud::short(&order.task_definition);
    CloudError::Refused {
        operation,
        code: "NoDeployment".to_owned(),
        message: format!("the answer shows no deployment of {wanted}"),
    }
}

/// Whether a call that failed was carried out after all: its answer may have been lost.
async fn after_all<C: Cloud>(
    context: &Context<'_, C>,
    order: &Order,
    way: Way,
    error: CloudError,
) -> NotBegun {
    // Until old answers are over.
    tokio::time::sleep(context.limits.missing).await;
    let moved = match read(context.cloud, &order.service, PATIENCE).await {
        Ok(None) => Moved::No,
        Ok(Some(service)) => match service.primary() {
            Some(primary)
                if primary.task_definition == order.task_definition
                    && (Some(&primary.id) != way.before.as_ref()
                        || has(&service.document, &order.settings)) =>
            {
                Moved::Yes(Box::new(Way { deployment: primary.id.clone(), ..way }))
            }
            _ => Moved::No,
        },
        Err(_) => Moved::Unknown,
    };
    NotBegun { error, moved }
}

/// Whether a service has settings that were to change. Other settings do not always make another
/// deployment.
fn has(document: &Value, settings: &Value) -> bool {
    let mut members = settings.as_object().into_iter().flatten().peekable();
    members.peek().is_some()
        && members.all(|(name, wanted)| desired::covers(document.get(name), wanted))
}

/// What a service has of the settings that are to change. What ECS does not tell is not set.
fn former(document: &Value, settings: &Value) -> Value {
    let members = settings.as_object().into_iter().flatten().filter_map(|(name, wanted)| {
        let former = document.get(name).cloned().or(match wanted {
            Value::Array(_) => Some(Value::Array(Vec::new())),
            Value::Number(_) => Some(0.into()),
            Value::Bool(_) => Some(false.into()),
            _ => None,
        });
        Some((name.clone(), former?))
    });
    let members: Map<String, Value> = members.collect();
    if members.is_empty() { Value::Null } else { Value::Object(members) }
}

/// What the service can go back to.
fn last_good(before: &Service, order: &Order) -> Option<String> {
    // The same task definition is something to go back to if it had other settings.
    let is_other = |good: &String| *good != order.task_definition || !order.settings.is_null();
    trusted(before, order).filter(is_other)
}

/// What a service's newest completed deployment runs. If there is none, or it is from a release that
/// was cut off, what the last release says that went well.
fn trusted(service: &Service, order: &Order) -> Option<String> {
    let trusted = |one: &&Deployment| {
        one.rollout == Rollout::Completed && !order.suspects.contains(&one.task_definition)
    };
    let completed = service.deployments.iter().find(trusted);
    completed.map(|one| one.task_definition.clone()).or_else(|| order.last_good.clone())
}

/// Creates the service. Gives its first deployment.
async fn create<C: Cloud>(
    cloud: &C,
    order: &Order,
    since: SystemTime,
) -> Result<Deployment, CloudError> {
    let mut definition = order.create.clone();
    if let Some(members) = definition.as_object_mut() {
        members.insert("serviceName".to_owned(), order.service.clone().into());
        members.insert("taskDefinition".to_owned(), order.task_definition.clone().into());
    }
    // The same service from the same task definition is the same request.
    let token = token(&[&order.service, &order.task_definition, &seconds(since)]);
    let service = patiently(PATIENCE, || cloud.create_service(&definition, &token)).await?;
    service.primary().cloned().ok_or_else(|| none_shown("ecs:CreateService", order))
}

fn seconds(time: SystemTime) -> String {
    cloud::between(SystemTime::UNIX_EPOCH, time).as_secs().to_string()
}

/// A client token from what makes a request the same: 32 characters, as ECS allows.
#[must_use]
pub(crate) fn token(parts: &[&str]) -> String {
    use sha2::{Digest as _, Sha256};
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// UpdateService, until an answer came. The answer to the first call may be lost after it was
/// done: then the service shows a deployment that was not there before.
pub(crate) async fn apply<C: Cloud>(
    cloud: &C,
    update: &Update,
    before: Option<&str>,
) -> Result<Service, CloudError> {
    let mut tries = 0;
    loop {
        tries += 1;
        let error = match cloud.update_service(update).await {
            Ok(service) => return Ok(service),
            Err(error) if error.is_passing() && tries < TRIES => error,
            Err(error) => return Err(error),
        };
        tokio::time::sleep(Duration::from_secs(2) * tries).await;
        if let CloudError::Lost { .. } = error
            && let Ok(Some(service)) = read(cloud, &update.service, Duration::ZERO).await
            && let Some(primary) = service.primary()
            && Some(&*primary.task_definition) == update.task_definition.as_deref()
            && Some(&*primary.id) != before
        {
            return Ok(service);
        }
    }
}
