//! What can happen to a deploy, by name, and what must come of it.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::ecs::Ecs;
use super::faults::{Fault, Faults};
use super::world::{World, definition, job};
use crate::config::ServiceName::{Client, Users};
use crate::deploy::{End, Job, OnFailure, OnInterrupt, ServiceEnd, recorded};
use crate::exit_code;
use crate::rollback::{Left, Restored};
use crate::store::release::Outcome as Recorded;

fn is_kind(end: &ServiceEnd, kind: &str) -> bool {
    matches!(end, ServiceEnd::Failed { cause, .. } if format!("{cause:?}").starts_with(kind))
}

/// A broken image of `users` before a good one of `client`: the old release must serve on.
async fn broken(image: &str, kind: &str) -> String {
    let mut text = String::new();
    for (records, breaker) in [(true, true), (true, false), (false, true), (false, false)] {
        let world = World::released(|ecs| (ecs.records, ecs.breaker) = (records, breaker)).await;
        let outcome = world.deploy(&job(image, "newer")).await;
        text = world.heard.text();
        assert_eq!(outcome.end.exit_code(), exit_code::ROLLED_BACK, "{text}");
        assert!(is_kind(&outcome.services[0].end, kind), "{:?}", outcome.services[0].end);
        assert_eq!(outcome.services[1].end, ServiceEnd::NotBegun);
        assert!(outcome.services[0].restored.as_ref().is_some_and(Restored::is_back), "{text}");
        assert!(world.serves(Users, "good") && world.serves(Client, "good"), "{text}");
    }
    text
}

#[tokio::test(start_paused = true)]
async fn the_first_deployment() {
    let world = World::new(|_| {});
    let outcome = world.deploy(&job("good", "good")).await;
    assert_eq!(outcome.end, End::Released);
    assert!(world.serves(Users, "good") && world.serves(Client, "good"));
    assert!(outcome.services.iter().all(|service| service.registered));
}

#[tokio::test(start_paused = true)]
async fn the_first_deployment_fails_and_there_is_nothing_to_go_back_to() {
    let world = World::new(|_| {});
    let outcome = world.deploy(&job("crash", "good")).await;
    assert_eq!(outcome.end.exit_code(), exit_code::ROLLBACK_FAILED);
    let nothing = Restored::NothingBefore { first: true, left: Left::GivenUp };
    assert_eq!(outcome.services[0].restored, Some(nothing));
}

#[tokio::test(start_paused = true)]
async fn nothing_to_do() {
    let world = World::released(|_| {}).await;
    let before = world.sim.count("ecs:RegisterTaskDefinition");
    let mut same = job("good", "good");
    same.migrate = None;
    let outcome = world.deploy(&same).await;
    assert_eq!(outcome.end, End::Unchanged);
    assert!(outcome.services.iter().all(|service| service.end == ServiceEnd::Unchanged));
    assert_eq!(world.sim.count("ecs:RegisterTaskDefinition"), before);
    assert_eq!(world.sim.count("ecs:UpdateService"), 0);
}

#[tokio::test(start_paused = true)]
async fn what_was_cut_off_before_it_was_asked_is_asked_now() {
    for fails in [false, true] {
        // It runs what the good one before it ran: nothing is to be taken back.
        let world = World::seeded(|_| {});
        world.rest.smoke_fails.set(fails);
        let mut same = job("good", "good");
        (same.migrate, same.verify) = (None, true);
        let code = if fails { exit_code::SMOKE } else { exit_code::OK };
        assert_eq!(world.deploy(&same).await.end.exit_code(), code, "{}", world.heard.text());
        assert_eq!(world.sim.count("ecs:UpdateService"), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_release_left_that_was_cut_off_is_released_once_it_answers() {
    let world = World::seeded(|_| {});
    let mut same = Job { migrate: None, ..job("cut-off", "cut-off") };
    world.leave_to(&mut same, Users, "cut-off", true);
    world.leave_to(&mut same, Client, "cut-off", true);
    assert_eq!(world.deploy(&same).await.end, End::Released, "{}", world.heard.text());
    assert!(world.serves(Users, "cut-off") && world.serves(Client, "cut-off"));
    assert_eq!(world.sim.count("ecs:UpdateService"), 0);
}

#[tokio::test(start_paused = true)]
async fn what_a_release_left_that_was_cut_off_goes_back_if_it_does_not_answer() {
    for on_failure in [OnFailure::RollbackAll, OnFailure::Stop] {
        let world = World::seeded(|_| {});
        world.rest.smoke_fails.set(true);
        let mut same = Job { migrate: None, on_failure, ..job("cut-off", "cut-off") };
        world.leave_to(&mut same, Users, "cut-off", true);
        world.leave_to(&mut same, Client, "cut-off", true);
        let outcome = world.deploy(&same).await;
        let text = world.heard.text();
        assert_eq!(outcome.end.exit_code(), exit_code::SMOKE, "{text}");
        let (serves, record) = match on_failure {
            OnFailure::RollbackAll => ("good", Recorded::RolledBack),
            _ => ("cut-off", Recorded::Broken),
        };
        assert!(world.serves(Users, serves) && world.serves(Client, serves), "{text}");
        assert_eq!(recorded(&outcome), record);
    }
}

#[tokio::test(start_paused = true)]
async fn no_half_of_a_release_that_was_cut_off_serves_on() {
    // It had moved both or one, and is gone on with or replaced by another.
    for (left, users, client) in [
        (&[Users][..], "cut-off", "crash"),
        (&[Users, Client], "cut-off", "crash"),
        (&[Users, Client], "crash", "newer"),
        (&[Client], "crash", "cut-off"),
    ] {
        for done in [true, false] {
            let world = World::seeded(|_| {});
            let mut job = job(users, client);
            for who in left {
                world.leave_to(&mut job, *who, "cut-off", done);
            }
            let outcome = world.deploy(&job).await;
            let text = world.heard.text();
            assert_eq!(outcome.end.exit_code(), exit_code::ROLLED_BACK, "{text}");
            assert!(world.serves(Users, "good") && world.serves(Client, "good"), "{text}");
            assert_eq!(recorded(&outcome), Recorded::RolledBack);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_release_left_that_was_cut_off_may_stay_where_that_is_asked() {
    let world = World::seeded(|_| {});
    let mut job = Job { on_failure: OnFailure::Stop, ..job("cut-off", "crash") };
    world.leave_to(&mut job, Users, "cut-off", true);
    let outcome = world.deploy(&job).await;
    let kept = matches!(outcome.end, End::Failed { restored: true, kept: true, .. });
    assert!(kept, "{:?}\n{}", outcome.end, world.heard.text());
    assert!(world.serves(Users, "cut-off") && world.serves(Client, "good"));
    assert_eq!(recorded(&outcome), Recorded::InPart);
}

#[tokio::test(start_paused = true)]
async fn where_nothing_has_moved_nothing_is_taken_back() {
    let world = World::seeded(|_| {});
    let mut job = job("newer", "newer");
    world.leave_to(&mut job, Users, "cut-off", true);
    world.sim.look(|ecs| ecs.task_exit_code = 7);
    let outcome = world.deploy(&job).await;
    assert_eq!(outcome.end.exit_code(), exit_code::DATABASE_TASK);
    assert!(world.serves(Users, "cut-off"));
    assert_eq!(recorded(&outcome), Recorded::NotBegun);
}

#[tokio::test(start_paused = true)]
async fn the_time_limit_is_for_all_services_together() {
    let mut world = World::released(|ecs| ecs.breaker = false).await;
    // Enough for the task and one service, and not for two.
    world.limits.rollout = std::time::Duration::from_secs(60);
    let outcome = world.deploy(&job("newer", "newer")).await;
    assert_eq!(outcome.end.exit_code(), exit_code::TIMEOUT, "{}", world.heard.text());
    assert!(world.serves(Users, "good") && world.serves(Client, "good"));
}

#[tokio::test(start_paused = true)]
async fn a_healthy_rollout() {
    let world = World::released(|_| {}).await;
    let outcome = world.deploy(&job("newer", "newer")).await;
    assert_eq!(outcome.end, End::Released, "{}", world.heard.text());
    assert!(world.serves(Users, "newer") && world.serves(Client, "newer"));
    assert_eq!(outcome.services[0].before.as_deref(), Some("shop-users-td:1"));
    assert_eq!(outcome.services[0].task_definition.as_deref(), Some("shop-users-td:2"));
}

#[tokio::test(start_paused = true)]
async fn an_image_that_cannot_be_pulled() {
    let text = broken("pull", "Pull").await;
    assert!(text.contains("CannotPullContainerError"), "{text}");
    assert!(text.contains("never ran: Task failed to start"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_crash_loop() {
    let text = broken("crash", "Deaths").await;
    assert!(text.contains("exit code 1"), "{text}");
    assert!(text.contains("| SECRET_KEY has 12 bytes; production needs 32"), "{text}");
    assert!(text.contains("PRIMARY is shop-users-td:1 again, 2 of 2 running"), "{text}");
    assert!(text.contains("at every look 2 of 2 targets were healthy"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_missing_secret() {
    let text = broken("secret", "Resources").await;
    assert!(text.contains("can't find the specified secret"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn an_unhealthy_target() {
    let text = broken("sick", "Unhealthy").await;
    assert!(text.contains("target  unhealthy: Target.ResponseCodeMismatch"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_release_that_takes_the_old_tasks_down_is_not_waited_for() {
    let text = broken("jam", "FewerHealthy").await;
    assert!(text.contains("✗ fewer targets are healthy than before: 0 of 2"), "{text}");
    assert!(text.contains("for a while none of 2 targets was healthy"), "{text}");
    assert!(text.contains("2 of 2 running, 2 healthy"), "{text}");
    // Long before the time limit.
    let world = World::seeded(|_| {});
    let started = Instant::now();
    world.deploy(&job("jam", "newer")).await;
    assert!(started.elapsed() < Duration::from_mins(5), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn completed_with_fewer_healthy_targets_than_before_is_no_success() {
    let text = broken("half", "FewerHealthy").await;
    assert!(text.contains("✗ fewer targets are healthy than before: 1 of 2"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn what_was_down_before_may_be_released_over() {
    let world = World::seeded(|_| {});
    // Nothing answers: the way out is another release.
    world.sim.look(|ecs| {
        let down = ecs.register(&definition(Users, "sick")).arn;
        let service = ecs.services.get_mut("shop-users").unwrap();
        service.seen.deployments[0].task_definition = down.clone();
        service.seen.task_definition = down;
    });
    let outcome = world.deploy(&job("newer", "newer")).await;
    assert_eq!(outcome.end, End::Released, "{}", world.heard.text());
}

#[tokio::test(start_paused = true)]
async fn a_load_balancer_that_does_not_answer_is_no_failure() {
    let world = World::seeded(|_| {});
    let operation = "elasticloadbalancing:DescribeTargetHealth";
    world.sim.order(Faults::default().first(operation, 1000, Fault::Denied));
    let outcome = world.deploy(&job("newer", "newer")).await;
    assert_eq!(outcome.end, End::Released, "{}", world.heard.text());
}

#[tokio::test(start_paused = true)]
async fn no_capacity() {
    let text = broken("hungry", "NoPlacement").await;
    assert!(text.contains("No Container Instances had sufficient memory"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn throttling() {
    let world = World::released(|_| {}).await;
    let throttled = ["ecs:DescribeServices", "ecs:UpdateService", "ecs:RegisterTaskDefinition"];
    let faults = throttled
        .into_iter()
        .fold(Faults::default(), |faults, name| faults.first(name, 4, Fault::Throttled));
    world.sim.order(faults);
    let outcome = world.deploy(&job("newer", "newer")).await;
    assert_eq!(outcome.end, End::Released, "{}", world.heard.text());
}

#[tokio::test(start_paused = true)]
async fn stale_reads_are_no_success_and_no_failure() {
    let world = World::released(|_| {}).await;
    world.sim.order(Faults::default().first("ecs:DescribeServices", 8, Fault::Stale(12)));
    let outcome = world.deploy(&job("newer", "newer")).await;
    assert_eq!(outcome.end, End::Released, "{}", world.heard.text());
    assert!(world.serves(Users, "newer"));
}

#[tokio::test(start_paused = true)]
async fn an_old_answer_about_ecs_s_own_record_is_no_failure() {
    let operation = "ecs:DescribeServiceDeployments";
    let world = World::released(|_| {}).await;
    world.sim.order(Faults::default().first(operation, 3, Fault::Stale(12)));
    let outcome = world.deploy(&job("newer", "newer")).await;
    assert_eq!(outcome.end, End::Released, "{}", world.heard.text());
    // One that never comes back is.
    let world = World::released(|_| {}).await;
    world.sim.order(Faults::default().first(operation, 1000, Fault::Stale(39)));
    let outcome = world.deploy(&job("newer", "newer")).await;
    let text = world.heard.text();
    assert_eq!(outcome.end.exit_code(), exit_code::ROLLED_BACK, "{text}");
    assert!(world.serves(Users, "good") && world.serves(Client, "good"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn stale_reads_are_no_rollback_either() {
    let world = World::released(|ecs| ecs.breaker = false).await;
    world.sim.order(Faults::default().first("ecs:DescribeServices", 30, Fault::Stale(12)));
    let outcome = world.deploy(&job("crash", "newer")).await;
    assert_eq!(outcome.end.exit_code(), exit_code::ROLLED_BACK, "{}", world.heard.text());
    assert!(world.serves(Users, "good"), "{}", world.heard.text());
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_fails() {
    let world = World::released(|_| {}).await;
    world.sim.look(|ecs| ecs.rollback_fails = true);
    let outcome = world.deploy(&job("crash", "newer")).await;
    assert_eq!(outcome.end.exit_code(), exit_code::ROLLBACK_FAILED);
    assert!(world.heard.text().contains("NOT rolled back to shop-users-td:1"));
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_to_register_task_definition() {
    let world = World::released(|_| {}).await;
    let lost = Faults::default().first("ecs:RegisterTaskDefinition", 1, Fault::Unanswered);
    world.sim.order(lost);
    let outcome = world.deploy(&job("newer", "newer")).await;
    assert_eq!(outcome.end, End::Released);
    world.sim.look(|ecs| assert_eq!(ecs.definitions.len(), 4));
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_to_update_service() {
    for fault in [Fault::Unanswered, Fault::Unheard] {
        let world = World::released(|_| {}).await;
        world.sim.order(Faults::default().first("ecs:UpdateService", 2, fault));
        let outcome = world.deploy(&job("newer", "newer")).await;
        assert_eq!(outcome.end, End::Released, "{}", world.heard.text());
    }
}

#[tokio::test(start_paused = true)]
async fn a_migration_that_fails_moves_nothing() {
    let world = World::released(|_| {}).await;
    world.sim.look(|ecs| ecs.task_exit_code = 7);
    let outcome = world.deploy(&job("newer", "newer")).await;
    assert_eq!(outcome.end.exit_code(), exit_code::DATABASE_TASK);
    assert_eq!(world.sim.count("ecs:UpdateService"), 0);
    let text = world.heard.text();
    assert!(text.contains("✗ migrate failed: exit code 7"), "{text}");
    assert!(text.contains("| running migration 0007") && text.contains("| ended with 7"), "{text}");
    assert!(world.serves(Users, "good") && world.serves(Client, "good"));
}

#[tokio::test(start_paused = true)]
async fn a_migration_without_a_host() {
    let world = World::released(|_| {}).await;
    world.sim.look(|ecs| ecs.no_room_for_tasks = true);
    let outcome = world.deploy(&job("newer", "newer")).await;
    assert_eq!(outcome.end.exit_code(), exit_code::DATABASE_TASK);
    assert!(world.heard.text().contains("no host has enough free memory"));
}

#[tokio::test(start_paused = true)]
async fn a_task_that_ecs_does_not_know_yet_and_whose_start_was_lost() {
    let world = World::released(|_| {}).await;
    let runs = world.sim.look(|ecs| ecs.tasks.len());
    let faults = Faults::default().first("ecs:RunTask", 2, Fault::Unanswered).first(
        "ecs:DescribeTasks",
        3,
        Fault::Stale(1),
    );
    world.sim.order(faults);
    let outcome = world.deploy(&job("newer", "newer")).await;
    assert_eq!(outcome.end, End::Released, "{}", world.heard.text());
    world.sim.look(|ecs| assert_eq!(ecs.tasks.len(), runs + 1));
}

#[tokio::test(start_paused = true)]
async fn a_second_service_that_fails_takes_the_first_back_or_not_as_asked() {
    for (on_failure, users) in [
        (OnFailure::RollbackAll, "good"),
        (OnFailure::Stop, "newer"),
        (OnFailure::Continue, "newer"),
    ] {
        let world = World::released(|_| {}).await;
        let mut job = job("newer", "crash");
        job.on_failure = on_failure;
        let outcome = world.deploy(&job).await;
        assert_eq!(outcome.end.exit_code(), exit_code::ROLLED_BACK, "{}", world.heard.text());
        assert!(world.serves(Users, users) && world.serves(Client, "good"), "{on_failure:?}");
        let kept = matches!(outcome.end, End::Failed { kept: true, .. });
        assert_eq!(kept, users == "newer", "{:?}", outcome.end);
    }
}

#[tokio::test(start_paused = true)]
async fn a_release_that_does_not_answer_stays_where_that_is_asked() {
    for on_failure in [OnFailure::Stop, OnFailure::Continue] {
        let world = World::released(|_| {}).await;
        world.rest.smoke_fails.set(true);
        let outcome = world.deploy(&Job { on_failure, ..job("newer", "newer") }).await;
        assert_eq!(outcome.end.exit_code(), exit_code::SMOKE, "{}", world.heard.text());
        assert!(world.serves(Users, "newer") && world.serves(Client, "newer"));
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_moves_once_the_time_is_up() {
    let mut world = World::released(|_| {}).await;
    // The migration takes all of it.
    world.limits.rollout = Duration::from_secs(10);
    let outcome = world.deploy(&job("newer", "newer")).await;
    let text = world.heard.text();
    assert_eq!(outcome.end.exit_code(), exit_code::TIMEOUT, "{text}");
    assert_eq!(world.sim.count("ecs:UpdateService"), 0, "{text}");
    assert!(text.contains("✗ not begun: what came before took all of 10 s"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn settings_go_back_with_the_task_definition() {
    let seconds = "healthCheckGracePeriodSeconds";
    for (records, breaker) in [(true, true), (true, false), (false, true), (false, false)] {
        // A release that crashes; and one that does not answer, of which only settings changed.
        for (image, smoke_fails) in [("crash", false), ("good", true)] {
            let world = World::seeded(|ecs| (ecs.records, ecs.breaker) = (records, breaker));
            let look = |ecs: &mut Ecs| ecs.services["shop-users"].seen.document.clone();
            world.sim.look(|ecs| {
                let service = ecs.services.get_mut("shop-users").unwrap();
                service.seen.document[seconds] = json!(60);
            });
            world.rest.smoke_fails.set(smoke_fails);
            let mut job = job(image, "good");
            job.services[0].settings = json!({ seconds: 5, "placementStrategy": [{}] });
            let outcome = world.deploy(&job).await;
            let text = world.heard.text();
            assert!(outcome.services[0].restored.as_ref().is_some_and(Restored::is_back), "{text}");
            assert!(world.serves(Users, "good"), "{text}");
            let document = world.sim.look(look);
            assert_eq!(document[seconds], 60, "{image} {records} {breaker}: {text}");
            assert_eq!(document["placementStrategy"], json!([]));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_once_more_is_not_called_the_first_release() {
    let world = World::seeded(|_| {});
    world.sim.look(|ecs| {
        // Its tasks have died, and nothing else was ever good.
        let service = ecs.services.get_mut("shop-users").unwrap();
        service.seen.deployments[0].running = 0;
    });
    world.rest.smoke_fails.set(true);
    let outcome = world.deploy(&job("good", "good")).await;
    let nothing = Restored::NothingBefore { first: false, left: Left::Runs };
    assert_eq!(outcome.services[0].restored, Some(nothing), "{}", world.heard.text());
    assert!(world.heard.text().contains("nothing else is known to be good. It runs on."));
}

#[tokio::test(start_paused = true)]
async fn ctrl_c_without_room_for_the_migration_is_an_interrupt() {
    let world = World::released(|_| {}).await;
    world.sim.look(|ecs| ecs.no_room_for_tasks = true);
    world.sim.order(Faults::default().first("ecs:RunTask", 1, Fault::Interrupt));
    let outcome = world.deploy(&job("newer", "newer")).await;
    assert_eq!(outcome.end.exit_code(), exit_code::INTERRUPTED, "{}", world.heard.text());
}

#[tokio::test(start_paused = true)]
async fn a_task_that_could_not_be_stopped_is_not_called_stopped() {
    let unheard = "could NOT be stopped, and may run on";
    for (goes_on, said) in [(false, "was stopped"), (true, unheard)] {
        let mut world = World::released(|_| {}).await;
        world.limits.task = Duration::from_secs(5);
        world.sim.look(|ecs| ecs.tasks_do_not_stop = goes_on);
        let outcome = world.deploy(&job("newer", "newer")).await;
        let End::TaskFailed { message } = outcome.end else { panic!("{:?}", outcome.end) };
        assert!(message.contains(said), "{message}");
        assert!(outcome.failed_task.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_migration_that_can_no_longer_be_followed_is_named() {
    let told = "was told to stop, and nobody has seen it end: it may run on";
    for (stop_is_denied, said) in [(true, "could NOT be stopped, and may run on"), (false, told)] {
        let world = World::seeded(|_| {});
        let mut faults = Faults::default().first("ecs:DescribeTasks", 1000, Fault::Denied);
        if stop_is_denied {
            faults = faults.first("ecs:StopTask", 1000, Fault::Denied);
        }
        world.sim.order(faults);
        let outcome = world.deploy(&job("newer", "newer")).await;
        assert_eq!(outcome.end.exit_code(), exit_code::DATABASE_TASK);
        let End::TaskFailed { message } = outcome.end else { panic!("{:?}", outcome.end) };
        let task = world.sim.look(|ecs| ecs.tasks[0].task.id().to_owned());
        assert!(message.contains("can no longer be followed (AWS denies ecs:Desc"), "{message}");
        assert!(message.contains(&format!("; task {task} {said}")), "{message}");
        assert_eq!(outcome.failed_task.map(|failed| failed.task), Some(task));
        assert_eq!(world.sim.count("ecs:UpdateService"), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_migration_of_which_every_answer_was_lost_is_looked_for() {
    let world = World::released(|_| {}).await;
    world.sim.order(Faults::default().first("ecs:RunTask", 1000, Fault::Unanswered));
    let outcome = world.deploy(&job("newer", "newer")).await;
    assert_eq!(outcome.end, End::Released, "{}", world.heard.text());
    // If there is none, that is no proof.
    let world = World::released(|_| {}).await;
    world.sim.order(Faults::default().first("ecs:RunTask", 1000, Fault::Unheard));
    let outcome = world.deploy(&job("newer", "newer")).await;
    let End::TaskFailed { message } = outcome.end else { panic!("{:?}", outcome.end) };
    assert!(message.starts_with("nobody can tell whether migrate was started (AWS"), "{message}");
    assert_eq!(world.sim.count("ecs:UpdateService"), 0);
}

#[tokio::test(start_paused = true)]
async fn no_migration_begins_beside_one_that_is_being_stopped() {
    let not_seen = "was told to stop, and nobody has seen it end: it may run on";
    for (seconds, said) in [(12, "was stopped"), (60, not_seen)] {
        let world = World::seeded(|ecs| ecs.stop_takes = Duration::from_secs(seconds));
        let wanted = job("newer", "newer");
        let interrupt = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            world.stop.request();
            std::future::pending::<()>().await;
        };
        let outcome = tokio::select! {
            outcome = world.deploy(&wanted) => outcome,
            () = interrupt => unreachable!(),
        };
        assert_eq!(outcome.end.exit_code(), exit_code::INTERRUPTED, "{:?}", outcome.end);
        let text = world.heard.text();
        assert!(text.contains(&format!(") {said}")), "{text}");
        let has_stopped = world.sim.look(|ecs| ecs.tasks[0].task.has_stopped());
        assert_eq!(has_stopped, said == "was stopped", "{text}");

        let again = World { stop: crate::interrupt::Stop::default(), ..world };
        let outcome = again.deploy(&wanted).await;
        let text = again.heard.text();
        assert_eq!(outcome.end, End::Released, "{text}");
        assert_eq!(text.contains(") is about to end"), !has_stopped, "{text}");
        again.sim.look(|ecs| {
            let [first, second] = &ecs.tasks[..] else { panic!("{} tasks", ecs.tasks.len()) };
            assert!(first.task.stopped.unwrap() <= second.task.created.unwrap(), "{text}");
        });
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_log_stream() {
    let evidence = |end: &ServiceEnd| match end {
        ServiceEnd::Failed { evidence, .. } => evidence.tasks[0].containers[0].clone(),
        end => panic!("{end:?}"),
    };
    // A task that failed to start has none.
    let world = World::seeded(|_| {});
    let outcome = world.deploy(&job("pull", "newer")).await;
    let container = evidence(&outcome.services[0].end);
    assert_eq!(container.no_log.as_deref(), Some("it never ran, so there is no log"));
    let text = world.heard.text();
    assert!(text.contains("never ran: Task failed to start"), "{text}");
    assert!(!text.contains("there is no log"), "said twice: {text}");
    // Nor has a migration.
    let world = World::seeded(|ecs| ecs.tasks_do_not_start = true);
    let outcome = world.deploy(&job("newer", "newer")).await;
    let text = world.heard.text();
    assert_eq!(outcome.end.exit_code(), exit_code::DATABASE_TASK, "{text}");
    assert!(text.contains("✗ migrate failed: CannotStartContainerError: no such file"), "{text}");
    assert!(text.contains("never ran: Task failed to start"), "{text}");
    let task = outcome.failed_task.unwrap().evidence.unwrap();
    let said = task.containers[0].no_log.as_deref();
    assert_eq!(said, Some("it never ran, so there is no log"));
    // What ran should have one.
    let world = World::seeded(|ecs| ecs.no_streams = true);
    let outcome = world.deploy(&job("crash", "newer")).await;
    let said = evidence(&outcome.services[0].end).no_log.unwrap();
    assert!(said.starts_with("it ran, but CloudWatch has no stream users/api/0000"), "{said}");
    let text = world.heard.text();
    assert!(text.contains(&format!("({said})")), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_second_ctrl_c_ends_it_whatever_does_not_answer() {
    // Of any of these the answers stop coming.
    for (operation, touched) in [
        ("ecs:RegisterTaskDefinition", false),
        ("ecs:RunTask", false),
        ("ecs:UpdateService", true),
        ("ecs:DescribeServices", true),
    ] {
        let world = World::seeded(|_| {});
        let hang = Fault::Slow(3600);
        world.sim.order(Faults::default().first(operation, 1000, hang));
        let (started, wanted) = (Instant::now(), job("newer", "newer"));
        let signals = async {
            tokio::time::sleep(Duration::from_mins(1)).await;
            world.stop.request();
            world.stop.request();
            std::future::pending::<()>().await;
        };
        let outcome = tokio::select! {
            outcome = world.deploy(&wanted) => outcome,
            () = signals => unreachable!(),
        };
        let took = started.elapsed();
        assert!(took < Duration::from_secs(70), "{operation}: {took:?}");
        let expected = if touched { exit_code::ROLLBACK_FAILED } else { exit_code::INTERRUPTED };
        assert_eq!(outcome.end.exit_code(), expected, "{operation}: {:?}", outcome.end);
    }
}

/// What a run that was killed has left, while it still runs.
fn left_behind(world: &World, started_by: &str, command: &[&str]) {
    world.sim.look(|ecs| {
        let arn = ecs.register(&definition(Users, "newer")).arn;
        let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        ecs.run(&arn, "theirs", started_by, &command);
    });
}

#[tokio::test(start_paused = true)]
async fn the_migration_of_a_run_that_was_killed_is_followed() {
    let world = World::released(|_| {}).await;
    left_behind(&world, "pipeline/migrate", &["/users", "migrate"]);
    let runs = world.sim.count("ecs:RunTask");
    let outcome = world.deploy(&job("newer", "newer")).await;
    let text = world.heard.text();
    assert_eq!(outcome.end, End::Released, "{text}");
    assert_eq!(world.sim.count("ecs:RunTask"), runs);
    assert!(text.contains("runs already; following it"), "{text}");
    assert!(text.contains("| ended with 0"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn no_migration_runs_beside_another_task_on_the_database() {
    for (started_by, busy) in [("pipeline/recreate_db", true), ("pipeline/exec-77", false)] {
        let world = World::released(|_| {}).await;
        left_behind(&world, started_by, &["/users", "something"]);
        let outcome = world.deploy(&job("newer", "newer")).await;
        let text = world.heard.text();
        let expected = if busy { exit_code::DATABASE_TASK } else { exit_code::OK };
        assert_eq!(outcome.end.exit_code(), expected, "{text}");
        assert_eq!(text.contains("recreate_db runs already (task "), busy, "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_together_with_an_interrupt_that_detaches_still_goes_back() {
    let both = || {
        let mut job = job("crash", "newer");
        (job.migrate, job.on_interrupt) = (None, OnInterrupt::Detach);
        job.services[1].level = 0;
        job
    };
    let mut seen = 0;
    for call in 0..80 {
        let world = World::seeded(|ecs| ecs.breaker = false);
        world.sim.order(Faults::numbered([(call, Fault::Interrupt)]));
        let outcome = world.deploy(&both()).await;
        let failed = matches!(outcome.services[0].end, ServiceEnd::Failed { .. });
        if failed && outcome.services[1].end == ServiceEnd::Detached {
            seen += 1;
            let text = world.heard.text();
            assert!(outcome.services[0].restored.as_ref().is_some_and(Restored::is_back), "{text}");
        }
    }
    assert!(seen > 0, "it never came together");
}

#[tokio::test(start_paused = true)]
async fn others_go_on_where_that_is_wanted() {
    let world = World::released(|_| {}).await;
    let mut job = job("crash", "newer");
    job.on_failure = OnFailure::Continue;
    let outcome = world.deploy(&job).await;
    assert_eq!(outcome.end.exit_code(), exit_code::ROLLED_BACK);
    assert!(world.serves(Users, "good") && world.serves(Client, "newer"));
}

#[tokio::test(start_paused = true)]
async fn a_release_that_does_not_answer_goes_back() {
    let world = World::released(|_| {}).await;
    world.rest.smoke_fails.set(true);
    let outcome = world.deploy(&job("newer", "newer")).await;
    assert_eq!(outcome.end.exit_code(), exit_code::SMOKE, "{}", world.heard.text());
    assert!(world.serves(Users, "good") && world.serves(Client, "good"));
}

#[tokio::test(start_paused = true)]
async fn an_interrupt_at_every_call() {
    let calls = {
        let world = World::released(|_| {}).await;
        let before = world.sim.calls();
        assert_eq!(world.deploy(&job("newer", "newer")).await.end, End::Released);
        world.sim.calls() - before
    };
    for call in 0..calls {
        let world = World::released(|_| {}).await;
        world.sim.order(Faults::numbered([(call, Fault::Interrupt)]));
        let outcome = world.deploy(&job("newer", "newer")).await;
        let text = world.heard.text();
        match outcome.end {
            End::Interrupted { restored: true, .. } => {
                assert_eq!(outcome.end.exit_code(), exit_code::INTERRUPTED);
                assert!(
                    world.serves(Users, "good") && world.serves(Client, "good"),
                    "{call}: {text}"
                );
            }
            // Too late to matter.
            End::Released => assert!(world.serves(Users, "newer") && world.serves(Client, "newer")),
            end => panic!("{call}: {end:?}\n{text}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn detached_and_taken_up_again() {
    let world = World::released(|_| {}).await;
    let mut wanted = job("newer", "newer");
    wanted.on_interrupt = OnInterrupt::Detach;
    wanted.migrate = None;
    let faults = Faults::default().first("ecs:ListServiceDeployments", 1, Fault::Interrupt);
    world.sim.order(faults);
    let outcome = world.deploy(&wanted).await;
    assert_eq!(outcome.end.exit_code(), exit_code::INTERRUPTED);
    assert_eq!(outcome.services[0].end, ServiceEnd::Detached);
    let again = World { stop: crate::interrupt::Stop::default(), ..world };
    let outcome = again.deploy(&wanted).await;
    assert_eq!(outcome.end, End::Released, "{}", again.heard.text());
    assert_eq!(again.sim.count("ecs:RegisterTaskDefinition"), 4, "none is registered again");
    assert!(again.serves(Users, "newer") && again.serves(Client, "newer"));
}

#[tokio::test(start_paused = true)]
async fn what_a_release_left_that_was_cut_off_is_nothing_to_go_back_to() {
    for (records, breaker) in [(true, true), (true, false), (false, true), (false, false)] {
        let world = World::seeded(|ecs| (ecs.records, ecs.breaker) = (records, breaker));
        // It came up and was never seen to answer: whoever deployed it was killed.
        let mut job = job("crash", "newer");
        world.leave_to(&mut job, Users, "cut-off", true);
        let outcome = world.deploy(&job).await;
        let text = world.heard.text();
        assert_eq!(outcome.end.exit_code(), exit_code::ROLLED_BACK, "{text}");
        assert!(world.serves(Users, "good"), "{records} {breaker}: {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn permissions_that_are_missing_are_named() {
    let world = World::released(|_| {}).await;
    world.sim.order(Faults::default().first("ecs:UpdateService", 1, Fault::Denied));
    let outcome = world.deploy(&job("newer", "newer")).await;
    assert_eq!(outcome.end.exit_code(), exit_code::ROLLED_BACK);
    let text = world.heard.text();
    assert!(text.contains("AWS denies ecs:UpdateService"), "{text}");
    assert!(world.serves(Users, "good"));
    assert_eq!(recorded(&outcome), Recorded::NotBegun, "nothing moved, so nothing went back");
}
