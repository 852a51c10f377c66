//! Seeing a deployment through: looking until it can be judged, and keeping what tells why.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::{Context, Failure, Followed, Order, PATIENCE, Way, targets};
use crate::cloud::{self, Cloud, CloudError, Service, ServiceDeployment, Target, Task, Tasks};
use crate::config::ServiceName;
use crate::decide::{self, Cause, Health, Seen, Verdict, decide};
use crate::evidence;
use crate::report::human;

/// DescribeTasks takes so many.
const BATCH: usize = 100;
/// Clocks differ: records that are younger than our start by this much may be ours.
const SKEW: Duration = Duration::from_secs(90);

/// What has been learned of a deployment while following it.
#[derive(Debug, Default)]
struct Knowledge {
    record: Option<ServiceDeployment>,
    /// Since when ECS does not know its own record.
    unrecorded_since: Option<Instant>,
    known_tasks: BTreeSet<String>,
    deaths: Vec<Task>,
    unplaced_since: Option<Instant>,
    missing_since: Option<Instant>,
    fewer_since: Option<Instant>,
    failing_since: Option<Instant>,
    targets: Vec<Target>,
    health: Option<Health>,
    /// The fewest healthy targets so far, and how many there were before.
    fewest: Option<(u32, u32)>,
    /// What the load balancer has said against targets since the beginning.
    complaints: BTreeSet<String>,
    events: Vec<cloud::Event>,
}

/// Waits for the end of a deployment.
pub(crate) async fn follow<C: Cloud>(
    context: &Context<'_, C>,
    order: &Order,
    way: &Way,
) -> Followed {
    let mut knowledge = Knowledge::default();
    let mut polls = 0;
    let cause = loop {
        polls += 1;
        match look(context, order, way, &mut knowledge).await {
            Ok((Verdict::Done, service)) => {
                let took = way.started.elapsed();
                let running = service.deployment(&way.deployment).map_or(0, |ours| ours.running);
                return Followed::Done { took, running };
            }
            Ok((Verdict::Failed(cause), _)) => break cause,
            Ok((Verdict::Wait, service)) => {
                context.tell.row("roll", order.who.as_str(), &progress(&service, way, &knowledge));
            }
            Err(error) => {
                let since = *knowledge.failing_since.get_or_insert_with(Instant::now);
                let too_long = since.elapsed() >= PATIENCE;
                if !error.is_passing()
                    || too_long
                    || way.started.elapsed() >= context.limits.rollout
                {
                    break Cause::Cloud { message: error.to_string() };
                }
                let text = format!("AWS does not answer ({error}); asking again");
                context.tell.row("roll", order.who.as_str(), &text);
            }
        }
        tokio::select! {
            () = tokio::time::sleep(pause(way, polls)) => {}
            () = context.stop.wait() => return Followed::Interrupted,
        }
    };
    // Only now, and before anything is undone: what ended in the last seconds may be the reason.
    let _ = deaths(context, order, way, &mut knowledge).await;
    let scene = evidence::Scene {
        deaths: &knowledge.deaths,
        events: &knowledge.events,
        complaints: &knowledge.complaints,
        record: knowledge.record.as_ref(),
        healthy: knowledge.fewest,
    };
    let evidence = evidence::collect(context.cloud, &scene).await;
    Followed::Failed(Box::new(Failure { cause, evidence }))
}

/// Every 2 s at first, later every 5 s; two services never in step.
fn pause(way: &Way, polls: u32) -> Duration {
    let base = if polls <= 15 { 2000 } else { 5000 };
    let seed: u64 = way.deployment.bytes().map(u64::from).sum::<u64>() + u64::from(polls) * 7919;
    Duration::from_millis(base - base / 10 + seed % (base / 5))
}

async fn look<C: Cloud>(
    context: &Context<'_, C>,
    order: &Order,
    way: &Way,
    knowledge: &mut Knowledge,
) -> Result<(Verdict, Service), CloudError> {
    let cloud = context.cloud;
    let services = cloud.services(std::slice::from_ref(&order.service)).await?;
    let Some(service) = services.into_iter().next() else {
        // Right after CreateService an old answer may not know the service yet.
        let since = *knowledge.missing_since.get_or_insert_with(Instant::now);
        if since.elapsed() < context.limits.missing {
            return Err(CloudError::Lost {
                operation: "ecs:DescribeServices",
                cause: format!("it does not know {} yet", order.service),
            });
        }
        return Err(CloudError::NotFound {
            operation: "ecs:DescribeServices",
            message: format!("there is no service {} any more", order.service),
        });
    };
    find_record(context, order, way, knowledge).await?;
    deaths(context, order, way, knowledge).await?;
    knowledge.failing_since = None;
    knowledge.events = recent(&service, way.since);
    look_at_targets(cloud, &service, way, knowledge).await;
    let ours = service.deployment(&way.deployment);
    knowledge.missing_since = match ours {
        Some(_) => None,
        None => knowledge.missing_since.or_else(|| Some(Instant::now())),
    };
    let waits = ours.is_some_and(|ours| ours.running < ours.desired && ours.pending == 0);
    let unplaced = knowledge.events.iter().any(|event| decide::is_unplaced(&event.message));
    knowledge.unplaced_since =
        (waits && unplaced).then(|| knowledge.unplaced_since.unwrap_or_else(Instant::now));
    let fewer = knowledge.health.is_some_and(|health| health.is_less(&service, ours));
    knowledge.fewer_since = fewer.then(|| knowledge.fewer_since.unwrap_or_else(Instant::now));
    let since = |start: Option<Instant>| start.map(|start| start.elapsed()).unwrap_or_default();
    let seen = Seen {
        service: &service,
        ours: &way.deployment,
        record: knowledge.record.as_ref(),
        deaths: &knowledge.deaths,
        unplaced: since(knowledge.unplaced_since),
        missing: since(knowledge.missing_since),
        health: knowledge.health,
        fewer: since(knowledge.fewer_since),
        elapsed: way.started.elapsed(),
    };
    Ok((decide(&seen, context.limits), service))
}

/// Asks the load balancer, while it can still tell: targets vanish with their tasks. That it does
/// not answer is no reason to fail.
async fn look_at_targets<C: Cloud>(
    cloud: &C,
    service: &Service,
    way: &Way,
    knowledge: &mut Knowledge,
) {
    let is_running = service.deployment(&way.deployment).is_some_and(|ours| ours.running > 0);
    knowledge.health = None;
    if !is_running && way.healthy.is_none() {
        return;
    }
    if let Some(targets) = targets(cloud, service).await {
        knowledge.complaints.extend(targets.all.iter().filter_map(evidence::complaint));
        knowledge.health = way.healthy.map(|before| Health { before, now: targets.healthy });
        if let Some(Health { before, now }) = knowledge.health {
            let fewest = knowledge.fewest.map_or(before.min(now), |(fewest, _)| fewest.min(now));
            knowledge.fewest = Some((fewest, before));
        }
        knowledge.targets = targets.all;
    }
}

/// What ECS has said since a time.
fn recent(service: &Service, since: SystemTime) -> Vec<cloud::Event> {
    let since = since - Duration::from_secs(2);
    let recent = service.events.iter().filter(|event| event.at.is_none_or(|at| at >= since));
    recent.cloned().collect()
}

/// Finds ECS's record of our deployment once, and reads it again from then on.
async fn find_record<C: Cloud>(
    context: &Context<'_, C>,
    order: &Order,
    way: &Way,
    knowledge: &mut Knowledge,
) -> Result<(), CloudError> {
    if let Some(record) = &knowledge.record {
        match context.cloud.service_deployment(&record.arn).await {
            Ok(record) => {
                knowledge.record = Some(record);
                knowledge.unrecorded_since = None;
            }
            // An old answer does not know it yet: what was seen last holds as long as such answers
            // may come.
            Err(error @ (CloudError::NotFound { .. } | CloudError::Refused { .. })) => {
                let since = *knowledge.unrecorded_since.get_or_insert_with(Instant::now);
                if since.elapsed() >= context.limits.missing {
                    return Err(error);
                }
            }
            Err(error) => return Err(error),
        }
        return Ok(());
    }
    let records = context.cloud.service_deployments(&order.service, way.since - SKEW).await;
    let records = match records {
        Ok(records) => records,
        // An older role, or an emulator: the deployment itself tells enough.
        Err(
            CloudError::Denied { .. } | CloudError::NotFound { .. } | CloudError::Refused { .. },
        ) => Vec::new(),
        Err(error) => return Err(error),
    };
    knowledge.record = records
        .into_iter()
        .find(|record| record.task_definition == order.task_definition && is_young(record, way));
    Ok(())
}

/// Whether it can be of our deployment, and not of an earlier one of the same task definition.
fn is_young(record: &ServiceDeployment, way: &Way) -> bool {
    way.before.is_none() || record.created.is_none_or(|at| at + Duration::from_secs(5) >= way.since)
}

/// Looks for tasks of our deployment that have ended since the last look.
async fn deaths<C: Cloud>(
    context: &Context<'_, C>,
    order: &Order,
    way: &Way,
    knowledge: &mut Knowledge,
) -> Result<(), CloudError> {
    let which = Tasks::Service(order.service.clone());
    let mut arns = context.cloud.list_tasks(&which, true).await?;
    arns.retain(|arn| !knowledge.known_tasks.contains(arn));
    for batch in arns.chunks(BATCH) {
        for task in context.cloud.tasks(batch).await? {
            if !task.has_stopped() {
                continue;
            }
            knowledge.known_tasks.insert(task.arn.clone());
            if is_ours(&task, order, way) && decide::is_death(&task) {
                knowledge.deaths.push(task);
            }
        }
    }
    knowledge.deaths.sort_by_key(|task| task.stopped);
    Ok(())
}

/// Whether a task is of our deployment: it says so itself, except to those who have not written
/// ECS. Then it is what it runs, and since when.
fn is_ours(task: &Task, order: &Order, way: &Way) -> bool {
    if task.started_by.starts_with("ecs-svc/") {
        return task.started_by == way.deployment;
    }
    let young = task.created.is_none_or(|at| at + Duration::from_secs(5) >= way.since);
    task.task_definition == order.task_definition && young
}

/// How far it is, in one line.
fn progress(service: &Service, way: &Way, knowledge: &Knowledge) -> String {
    let Some(ours) = service.deployment(&way.deployment) else {
        return "waiting for ECS to show the deployment".to_owned();
    };
    let mut text = format!("{} of {} new running", ours.running, ours.desired);
    if ours.pending > 0 {
        text.push_str(&format!(", {} starting", ours.pending));
    }
    let others = service.deployments.iter().filter(|one| one.id != way.deployment);
    let old: u32 = others.map(|one| one.running).sum();
    if old > 0 {
        text.push_str(&format!("; {old} old still running"));
    } else if ours.running >= ours.desired {
        text.push_str("; ECS waits for the health checks");
    }
    let in_state = |state: &str| knowledge.targets.iter().filter(|one| one.state == state).count();
    let known = [("healthy", "healthy"), ("unhealthy", "NOT healthy"), ("draining", "draining")];
    let counts = known.map(|(state, word)| (in_state(state), word));
    let counts: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    if !counts.is_empty() {
        text.push_str(&format!("; targets: {}", counts.join(", ")));
    }
    if !knowledge.deaths.is_empty() {
        text.push_str(&format!("; {} stopped", knowledge.deaths.len()));
    }
    if knowledge.unplaced_since.is_some() {
        text.push_str("; ECS finds no host with room");
    }
    text
}

/// Follows several at once; the first failure or an interruption ends none of the others early.
pub(crate) async fn follow_all<C: Cloud>(
    context: &Context<'_, C>,
    ways: &[(Order, Way)],
) -> BTreeMap<ServiceName, Followed> {
    let all = ways.iter().map(|(order, way)| async {
        let followed = follow(context, order, way).await;
        if let Followed::Done { took, running } = &followed {
            let text = format!("{running} of {running} new running after {}", human(*took));
            context.tell.done("roll", order.who.as_str(), &text);
        }
        (order.who, followed)
    });
    futures_util::future::join_all(all).await.into_iter().collect()
}
