//! Every rule of the verdict, a line each.

use super::*;
use crate::cloud::{Container, Event};
use serde_json::Value;

const OURS: &str = "ecs-svc/2";

fn deployment(id: &str, status: &str, rollout: Rollout, running: u32) -> Deployment {
    Deployment {
        id: id.to_owned(),
        status: status.to_owned(),
        rollout,
        reason: "ECS's words".to_owned(),
        task_definition: format!("arn:aws:ecs:us-west-1:123456789012:task-definition/shop:{id}"),
        desired: 2,
        pending: 0,
        running,
        failed: 0,
        created: None,
    }
}

fn service(deployments: Vec<Deployment>) -> Service {
    Service {
        name: "shop".to_owned(),
        arn: "arn:shop".to_owned(),
        status: "ACTIVE".to_owned(),
        task_definition: String::new(),
        desired: 2,
        running: 2,
        pending: 0,
        deployments,
        target_groups: Vec::new(),
        events: Vec::new(),
        document: Value::Null,
    }
}

fn record(status: ServiceDeploymentStatus) -> ServiceDeployment {
    ServiceDeployment {
        arn: "arn:record".to_owned(),
        status,
        reason: "its words".to_owned(),
        task_definition: String::new(),
        breaker: None,
        created: None,
    }
}

fn task(stop_code: &str, reason: &str, container: &str) -> Task {
    Task {
        arn: "arn:task/1".to_owned(),
        status: "STOPPED".to_owned(),
        desired_status: "STOPPED".to_owned(),
        health: "UNKNOWN".to_owned(),
        started_by: OURS.to_owned(),
        task_definition: String::new(),
        command: Vec::new(),
        stop_code: Some(stop_code.to_owned()),
        stopped_reason: Some(reason.to_owned()),
        created: None,
        stopped: None,
        containers: vec![Container {
            name: "shop".to_owned(),
            exit_code: None,
            reason: Some(container.to_owned()),
            image_digest: None,
            host_ports: Vec::new(),
        }],
    }
}

fn seen(service: &Service) -> Seen<'_> {
    Seen {
        service,
        ours: OURS,
        record: None,
        deaths: &[],
        unplaced: Duration::ZERO,
        missing: Duration::ZERO,
        health: None,
        fewer: Duration::ZERO,
        elapsed: Duration::ZERO,
    }
}

fn judge(seen: &Seen<'_>) -> Verdict {
    decide(seen, &Limits::default())
}

#[test]
fn only_primary_and_completed_with_all_tasks_is_a_success() {
    let old = deployment("ecs-svc/1", "ACTIVE", Rollout::Completed, 2);
    for (status, rollout, running, good) in [
        ("PRIMARY", Rollout::Completed, 2, true),
        ("PRIMARY", Rollout::Completed, 1, false),
        ("PRIMARY", Rollout::InProgress, 2, false),
        ("PRIMARY", Rollout::Unknown, 2, false),
        ("PRIMARY", Rollout::Failed, 2, false),
        ("ACTIVE", Rollout::Completed, 2, false),
        ("INACTIVE", Rollout::Completed, 2, false),
    ] {
        let service = service(vec![deployment(OURS, status, rollout, running), old.clone()]);
        let verdict = judge(&seen(&service));
        assert_eq!(verdict == Verdict::Done, good, "{status} {rollout:?} {running}: {verdict:?}");
    }
    // The old one is PRIMARY and COMPLETED: that is the most common false success.
    let others = service(vec![deployment("ecs-svc/1", "PRIMARY", Rollout::Completed, 2)]);
    assert_eq!(judge(&seen(&others)), Verdict::Wait);
}

#[test]
fn where_ecs_keeps_a_record_it_must_say_so_too() {
    let service = service(vec![deployment(OURS, "PRIMARY", Rollout::Completed, 2)]);
    use ServiceDeploymentStatus as Status;
    for (status, verdict) in [
        (Status::Successful, Verdict::Done),
        (Status::Pending, Verdict::Wait),
        (Status::InProgress, Verdict::Wait),
        (Status::Unknown("NEW".to_owned()), Verdict::Wait),
        (Status::Stopped, Verdict::Failed(Cause::GivenUp { reason: "its words".to_owned() })),
        (Status::StopRequested, Verdict::Failed(Cause::GivenUp { reason: "its words".to_owned() })),
    ] {
        let record = record(status);
        assert_eq!(judge(&Seen { record: Some(&record), ..seen(&service) }), verdict, "{record:?}");
    }
    for status in [
        Status::RollbackRequested,
        Status::RollbackInProgress,
        Status::RollbackSuccessful,
        Status::RollbackFailed,
    ] {
        let record = record(status);
        let verdict = judge(&Seen { record: Some(&record), ..seen(&service) });
        assert!(matches!(verdict, Verdict::Failed(Cause::RolledBack { .. })), "{record:?}");
    }
}

#[test]
fn a_newer_deployment_and_a_missing_one_are_failures() {
    let newer = deployment("ecs-svc/3", "PRIMARY", Rollout::InProgress, 0);
    let both = service(vec![newer.clone(), deployment(OURS, "ACTIVE", Rollout::InProgress, 1)]);
    assert_eq!(judge(&seen(&both)), Verdict::Failed(Cause::Superseded { by: "3".to_owned() }),);
    let gone = service(vec![newer]);
    assert_eq!(judge(&seen(&gone)), Verdict::Wait, "the answer may be an old one");
    let missing = Limits::default().missing;
    assert_eq!(judge(&Seen { missing, ..seen(&gone) }), Verdict::Failed(Cause::Vanished));
}

#[test]
fn the_breaker_has_a_cause() {
    let failed = service(vec![
        deployment("ecs-svc/3", "PRIMARY", Rollout::InProgress, 0),
        deployment(OURS, "ACTIVE", Rollout::Failed, 0),
    ]);
    let reason = "ECS's words".to_owned();
    assert_eq!(judge(&seen(&failed)), Verdict::Failed(Cause::GivenUp { reason }));
    let deaths = [task("EssentialContainerExited", "Essential container in task exited", "")];
    assert_eq!(
        judge(&Seen { deaths: &deaths, ..seen(&failed) }),
        Verdict::Failed(Cause::Deaths { count: 1, at_start: true })
    );
}

#[test]
fn what_never_heals_is_not_waited_for() {
    let service = service(vec![deployment(OURS, "PRIMARY", Rollout::InProgress, 0)]);
    let exit = task("EssentialContainerExited", "Essential container in task exited", "");
    let missing = task("TaskFailedToStart", "", "CannotPullContainerError: x:1: not found");
    let busy = task("TaskFailedToStart", "", "CannotPullContainerError: i/o timeout");
    let secret = task(
        "TaskFailedToStart",
        "ResourceInitializationError: unable to pull secrets: AccessDeniedException",
        "",
    );
    let sick = task("ServiceSchedulerInitiated", "Task failed ELB health checks in (x)", "");
    let deaths = |deaths: &[&Task]| {
        let deaths: Vec<Task> = deaths.iter().copied().cloned().collect();
        judge(&Seen { deaths: &deaths, ..seen(&service) })
    };
    let fails = |verdict: &Verdict, name: &str| match verdict {
        Verdict::Failed(cause) => format!("{cause:?}").starts_with(name),
        _ => false,
    };
    assert!(fails(&deaths(&[&missing]), "Pull"));
    assert_eq!(deaths(&[&busy]), Verdict::Wait);
    assert!(fails(&deaths(&[&busy, &busy]), "Pull"));
    assert!(fails(&deaths(&[&secret]), "Resources"));
    assert_eq!(deaths(&[&exit, &exit]), Verdict::Wait);
    assert!(fails(&deaths(&[&exit, &exit, &exit]), "Deaths"));
    assert_eq!(deaths(&[&sick, &sick]), Verdict::Wait);
    assert!(fails(&deaths(&[&sick, &sick, &exit]), "Unhealthy"));
}

#[test]
fn no_room_is_a_failure_after_a_minute() {
    let mut service = service(vec![deployment(OURS, "PRIMARY", Rollout::InProgress, 0)]);
    service.events.push(Event {
        id: "1".to_owned(),
        at: None,
        message: "(service shop) was unable to place a task because no container instance met all \
                  of its requirements. Reason: No Container Instances were found in your cluster. \
                  For more information, see the Troubleshooting section."
            .to_owned(),
    });
    let at = |seconds| judge(&Seen { unplaced: Duration::from_secs(seconds), ..seen(&service) });
    assert_eq!(at(59), Verdict::Wait);
    let Verdict::Failed(cause) = at(60) else { panic!("it waits") };
    assert_eq!(
        cause.to_string(),
        "no host has room for a task: No Container Instances were found in your cluster"
    );
}

#[test]
fn fewer_healthy_targets_than_before_are_waited_for_and_then_a_failure() {
    let of = |rollout, percent: u64| {
        let mut service = service(vec![deployment(OURS, "PRIMARY", rollout, 2)]);
        service.document = serde_json::json!({
            "deploymentConfiguration": { "minimumHealthyPercent": percent }
        });
        service
    };
    // While tasks are replaced, the percentage is what counts, and it is rounded up.
    for (rollout, percent, before, now, less) in [
        (Rollout::InProgress, 100, 2, 2, false),
        (Rollout::InProgress, 100, 2, 1, true),
        (Rollout::InProgress, 50, 2, 1, false),
        (Rollout::InProgress, 51, 2, 1, true),
        (Rollout::InProgress, 0, 2, 0, false),
        (Rollout::Completed, 50, 2, 1, true),
        // What was down already, and what is not wanted any more.
        (Rollout::Completed, 100, 0, 0, false),
        (Rollout::Completed, 100, 3, 2, false),
    ] {
        let service = of(rollout, percent);
        let health = Health { before, now };
        let ours = service.deployment(OURS);
        assert_eq!(health.is_less(&service, ours), less, "{rollout:?} {percent} {health:?}");
    }
    let at = |rollout, now, fewer| {
        let health = Some(Health { before: 2, now });
        judge(&Seen { health, fewer, ..seen(&of(rollout, 100)) })
    };
    let limit = Limits::default().fewer;
    let almost = limit - Duration::from_secs(1);
    let failed = Verdict::Failed(Cause::FewerHealthy { healthy: 1, before: 2 });
    assert_eq!(at(Rollout::Completed, 2, Duration::ZERO), Verdict::Done);
    for rollout in [Rollout::InProgress, Rollout::Completed] {
        assert_eq!(at(rollout, 1, almost), Verdict::Wait, "{rollout:?}");
        assert_eq!(at(rollout, 1, limit), failed, "{rollout:?}");
    }
}

#[test]
fn the_time_limit_holds_for_the_very_first_deployment_too() {
    let service = service(vec![deployment(OURS, "PRIMARY", Rollout::InProgress, 1)]);
    let elapsed = Limits::default().rollout;
    let Verdict::Failed(cause) = judge(&Seen { elapsed, ..seen(&service) }) else {
        panic!("it waits")
    };
    assert_eq!(cause.to_string(), "not done after 15m00s; 1 of 2 tasks run");
}

#[test]
fn what_was_asked_for_is_no_death() {
    for (code, reason, death) in [
        ("TaskFailedToStart", "", true),
        ("EssentialContainerExited", "Essential container in task exited", true),
        ("ServiceSchedulerInitiated", "Scaling activity initiated by (deployment x)", false),
        ("ServiceSchedulerInitiated", "Task failed ELB health checks in (x)", true),
        ("ServiceSchedulerInitiated", "Task failed container health checks", true),
        ("UserInitiated", "Task stopped by user", false),
        ("SpotInterruption", "", false),
    ] {
        assert_eq!(is_death(&task(code, reason, "")), death, "{code} {reason}");
    }
    let running = Task { status: "RUNNING".to_owned(), ..task("TaskFailedToStart", "", "") };
    assert!(!is_death(&running));
}

#[test]
fn a_service_that_is_being_deleted_is_a_failure() {
    let mut service = service(vec![deployment(OURS, "PRIMARY", Rollout::Completed, 2)]);
    service.status = "DRAINING".to_owned();
    let status = "DRAINING".to_owned();
    assert_eq!(judge(&seen(&service)), Verdict::Failed(Cause::ServiceGone { status }));
}
