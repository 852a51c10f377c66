//! What a person reads, word for word. Read the snapshots as somebody would who was woken for them.

use super::faults::{Fault, Faults};
use super::world::{World, job};
use crate::cmd::release::{Report, last_words};
use crate::deploy::{Job, OnFailure, OnInterrupt};

/// All that a deploy says, with its end.
async fn told(world: &World, job: &Job) -> String {
    let outcome = world.deploy(job).await;
    let exit_code = outcome.end.exit_code();
    let release = Some("2026-11-23.2".to_owned());
    let version = "8c1f2ab0".to_owned();
    let resume = Some(format!("cargo xtask deploy --image-tag {version} --service users"));
    let report = Report { release, version, exit_code, resume, outcome };
    // The same, for programs: `deploy` and `rollback` answer in this form.
    crate::schema_check::holds(&report);
    let last = last_words(&report).map(|words| format!("error: {words}\n")).unwrap_or_default();
    format!("{}\n{report}{last}exit {exit_code}", world.heard.text())
}

macro_rules! told {
    ($name:ident, $job:expr, $world:expr) => {
        #[tokio::test(start_paused = true)]
        async fn $name() {
            let world = $world;
            insta::assert_snapshot!(told(&world, &$job).await);
        }
    };
}

/// A world in which a release serves, changed before the deploy.
fn world(change: impl FnOnce(&World)) -> World {
    let world = World::seeded(|_| {});
    change(&world);
    world
}

fn detaching() -> Job {
    Job { migrate: None, on_interrupt: OnInterrupt::Detach, ..job("newer", "newer") }
}

fn interrupted(world: &World) {
    world.sim.order(Faults::default().first("ecs:ListServiceDeployments", 1, Fault::Interrupt));
}

told!(a_release, job("newer", "newer"), world(|_| {}));
told!(the_first_release, job("good", "good"), World::new(|_| {}));
told!(a_crash_at_start, job("crash", "newer"), world(|_| {}));
told!(a_crash_of_the_first_release, job("crash", "good"), World::new(|_| {}));
told!(an_image_that_is_not_there, job("pull", "newer"), world(|_| {}));
told!(a_secret_that_is_not_there, job("secret", "newer"), world(|_| {}));
told!(health_checks_that_fail, job("newer", "sick"), world(|_| {}));
told!(a_release_that_takes_the_old_tasks_down, job("jam", "newer"), world(|_| {}));
told!(a_cluster_without_room, job("hungry", "newer"), world(|_| {}));
told!(
    a_migration_that_fails,
    job("newer", "newer"),
    world(|world| world.sim.look(|ecs| ecs.task_exit_code = 7))
);
told!(
    a_rollback_that_fails,
    job("crash", "newer"),
    world(|world| world.sim.look(|ecs| ecs.rollback_fails = true))
);
told!(
    a_release_that_does_not_answer,
    job("newer", "newer"),
    world(|world| world.rest.smoke_fails.set(true))
);
told!(ctrl_c_while_it_rolls, Job { migrate: None, ..job("newer", "newer") }, world(interrupted));
told!(ctrl_c_that_leaves_it_to_aws, detaching(), world(interrupted));
told!(
    a_service_that_fails_beside_one_that_stays,
    Job { migrate: None, on_failure: OnFailure::Stop, ..job("newer", "crash") },
    world(|_| {})
);
told!(
    ctrl_c_that_leaves_the_migration_to_aws,
    Job { on_interrupt: OnInterrupt::Detach, ..job("newer", "newer") },
    world(|world| {
        world.sim.order(Faults::default().first("ecs:DescribeTasks", 1, Fault::Interrupt));
    })
);
