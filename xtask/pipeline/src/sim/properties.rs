//! What holds whatever goes wrong: over thousands of random schedules of faults, images, and ways
//! to answer them.

use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::faults::{Fault, Faults};
use super::world::{World, job};
use crate::cmd::release::{Report, last_words};
use crate::config::ServiceName;
use crate::deploy::{
    End, Job, OnFailure, OnInterrupt, Outcome, ServiceEnd, ServiceOutcome, recorded,
};
use crate::exit_code;
use crate::rollback::Restored;
use crate::store::release::Outcome as Recorded;
use crate::task_definition::normalise;

/// Each family has so many; there are ten, so that no test runs for long.
const CASES: u32 = 1300;
/// No deploy takes longer: two rollouts, two ways back, a task, and the patience between them.
const LONGEST: Duration = Duration::from_mins(90);

#[derive(Debug, Clone)]
struct Case {
    users: &'static str,
    client: &'static str,
    faults: Vec<(usize, Fault)>,
    records: bool,
    breaker: bool,
    rollback_fails: bool,
    task_exit_code: i32,
    migrate: bool,
    on_failure: OnFailure,
    on_interrupt: OnInterrupt,
    smoke_fails: bool,
    /// What a release that was cut off has left in users and client, and whether it has come up.
    left: [Option<bool>; 2],
}

/// The image of a release that was cut off.
const CUT_OFF: &str = "cut-off";

fn image() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        6 => Just("newer"),
        1 => Just("good"),
        2 => Just("crash"),
        1 => Just("pull"),
        1 => Just("secret"),
        1 => Just("sick"),
        1 => Just("hungry"),
        1 => Just("jam"),
        1 => Just("half"),
    ]
}

fn harmless() -> impl Strategy<Value = Fault> {
    prop_oneof![
        Just(Fault::Throttled),
        Just(Fault::Unheard),
        Just(Fault::Unanswered),
        (1_u64..20).prop_map(Fault::Slow),
        (1_u64..15).prop_map(Fault::Stale),
    ]
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![8 => harmless(), 1 => Just(Fault::Denied), 2 => Just(Fault::Interrupt)]
}

fn case() -> impl Strategy<Value = Case> {
    let world = (any::<bool>(), any::<bool>(), prop::bool::weighted(0.1), any::<bool>());
    let images = (image(), image(), prop::bool::weighted(0.1));
    let task = prop_oneof![4 => Just(0), 1 => Just(3)];
    let on_failure = prop_oneof![
        2 => Just(OnFailure::RollbackAll),
        1 => Just(OnFailure::Stop),
        1 => Just(OnFailure::Continue),
    ];
    let on_interrupt = prop_oneof![Just(OnInterrupt::Rollback), Just(OnInterrupt::Detach)];
    let faults = prop::collection::vec((0_usize..140, fault()), 0..14);
    (world, images, task, on_failure, on_interrupt, faults).prop_map(
        |(world, images, task_exit_code, on_failure, on_interrupt, faults)| {
            let (records, breaker, rollback_fails, migrate) = world;
            let (users, client, smoke_fails) = images;
            Case {
                users,
                client,
                faults,
                records,
                breaker,
                rollback_fails,
                task_exit_code,
                migrate,
                on_failure,
                on_interrupt,
                smoke_fails,
                left: [None, None],
            }
        },
    )
}

/// One that begins where another was cut off: with the same release, or with another.
fn resumed() -> impl Strategy<Value = Case> {
    let state = || prop_oneof![1 => Just(None), 2 => Just(Some(true)), 1 => Just(Some(false))];
    let same = prop::bool::weighted(0.4);
    (case(), state(), state(), same, same).prop_map(|(case, users, client, one, other)| Case {
        users: if one { CUT_OFF } else { case.users },
        client: if other { CUT_OFF } else { case.client },
        left: [users, client],
        ..case
    })
}

fn virtually<T>(work: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().unwrap().block_on(work)
}

async fn play(case: &Case) -> (World, Job, Outcome, Duration) {
    let world = World::seeded(|ecs| (ecs.records, ecs.breaker) = (case.records, case.breaker));
    world.sim.look(|ecs| {
        ecs.rollback_fails = case.rollback_fails;
        ecs.task_exit_code = case.task_exit_code;
    });
    world.rest.smoke_fails.set(case.smoke_fails);
    world.sim.order(Faults::numbered(case.faults.iter().copied()));
    let mut job = job(case.users, case.client);
    (job.on_failure, job.on_interrupt) = (case.on_failure, case.on_interrupt);
    if !case.migrate {
        job.migrate = None;
    }
    for (who, left) in [ServiceName::Users, ServiceName::Client].into_iter().zip(case.left) {
        if let Some(done) = left {
            world.leave_to(&mut job, who, CUT_OFF, done);
        }
    }
    let started = Instant::now();
    let outcome = world.deploy(&job).await;
    let took = started.elapsed();
    (world, job, outcome, took)
}

/// Whether a service runs what it ran before. One that was moving then may have come up since, or
/// ECS may have taken it back.
fn is_as_before(case: &Case, world: &World, who: ServiceName) -> bool {
    let left = if who == ServiceName::Users { case.left[0] } else { case.left[1] };
    world.serves(who, "good")
        || match left {
            Some(true) => world.serves(who, CUT_OFF),
            Some(false) => world.runs(who).is_some_and(|(image, _)| image == CUT_OFF),
            None => false,
        }
}

/// Whether what is said about a service is true.
fn is_true(case: &Case, world: &World, said: &ServiceOutcome, all_back: bool) -> bool {
    let who = said.service;
    let wanted = case.wanted(who);
    match (&said.end, &said.restored) {
        (_, Some(Restored::Back { .. })) => world.serves(who, "good"),
        // It says that it has not.
        (_, Some(Restored::NothingBefore { .. } | Restored::Failed { .. })) => true,
        (ServiceEnd::Rolled { .. } | ServiceEnd::Unchanged, None) => world.serves(who, wanted),
        (ServiceEnd::NotBegun | ServiceEnd::Failed { .. }, None) => {
            !all_back || is_as_before(case, world, who) || wanted == "good"
        }
        (ServiceEnd::Detached, None) => !all_back,
    }
}

impl Case {
    /// The image that a service is to run.
    fn wanted(&self, who: ServiceName) -> &'static str {
        if who == ServiceName::Users { self.users } else { self.client }
    }
}

fn claims_all_back(end: &End) -> bool {
    matches!(
        end,
        End::TaskFailed { .. }
            | End::Failed { restored: true, .. }
            | End::SmokeFailed { restored: true, .. }
            | End::Interrupted { restored: true, .. }
            | End::Broken { restored: true, .. }
    )
}

fn check(case: &Case) -> Result<(), TestCaseError> {
    let (world, _, outcome, took) = virtually_played(case);
    let text = world.heard.text();
    let success = matches!(outcome.end, End::Released | End::Unchanged);
    prop_assert_eq!(success, outcome.end.exit_code() == 0);
    let both = [ServiceName::Users, ServiceName::Client];
    if success {
        for who in both {
            prop_assert!(world.serves(who, case.wanted(who)), "{who} does not serve\n{text}");
        }
    }
    let all_back = claims_all_back(&outcome.end);
    let as_before = || both.into_iter().all(|who| is_as_before(case, &world, who));
    // What was left comes back with the rest, unless only what fails is to go back.
    let all_good = || match case.on_failure {
        OnFailure::RollbackAll => both.into_iter().all(|who| world.serves(who, "good")),
        OnFailure::Stop | OnFailure::Continue => as_before(),
    };
    // What a person reads, what the record says, and the exit code: none of them says more.
    let exit_code = outcome.end.exit_code();
    let said = last_words(&Report {
        release: None,
        version: String::new(),
        exit_code,
        resume: None,
        outcome: outcome.clone(),
    });
    let said = said.unwrap_or_default();
    if said.contains("what ran before runs again") {
        prop_assert!(all_good(), "“{said}”\n{text}");
    }
    if ["nothing had moved", "no service was touched"].iter().any(|claim| said.contains(claim)) {
        prop_assert!(as_before(), "“{said}”\n{text}");
    }
    if said.contains("runs the new release on") {
        let kept = outcome.kept();
        let runs = kept.iter().all(|who| world.serves(*who, case.wanted(*who)));
        prop_assert!(!kept.is_empty() && runs, "“{said}” {kept:?}\n{text}");
    }
    match recorded(&outcome) {
        Recorded::Released => prop_assert!(success),
        Recorded::RolledBack => prop_assert!(all_good(), "{said}\n{text}"),
        Recorded::NotBegun => prop_assert!(as_before(), "{said}\n{text}"),
        Recorded::InPart => prop_assert!(!outcome.kept().is_empty()),
        Recorded::Started => prop_assert!(false, "it has ended"),
        Recorded::Detached | Recorded::Broken => {}
    }
    let asked = case.on_failure != OnFailure::RollbackAll;
    if matches!(outcome.end, End::SmokeFailed { .. }) && asked {
        prop_assert_eq!(exit_code, exit_code::SMOKE);
    }
    for said in &outcome.services {
        let true_ = is_true(case, &world, said, all_back);
        prop_assert!(true_, "not true: {said:?} {:?}\n{text}", outcome.end);
    }
    world.sim.look(|ecs| {
        let mut known: Vec<String> =
            ecs.definitions.iter().map(|one| normalise(&one.document).to_string()).collect();
        let all = known.len();
        known.sort();
        known.dedup();
        prop_assert_eq!(known.len(), all, "registered twice");
        Ok(())
    })?;
    prop_assert!(took < LONGEST, "it took {took:?}\n{text}");
    Ok(())
}

fn virtually_played(case: &Case) -> (World, Job, Outcome, Duration) {
    // The world is looked at afterwards, so its clock has to outlive the deploy.
    virtually(play(case))
}

fn family(
    seed: u8,
    cases: impl Strategy<Value = Case>,
) -> Result<(), proptest::test_runner::TestError<Case>> {
    let config = ProptestConfig { cases: CASES, failure_persistence: None, ..Default::default() };
    // Families that differ: the same schedules eight times would show nothing new.
    let rng = proptest::test_runner::TestRng::from_seed(
        proptest::test_runner::RngAlgorithm::ChaCha,
        &[seed; 32],
    );
    let mut runner = proptest::test_runner::TestRunner::new_with_rng(config, rng);
    runner.run(&cases, |case| check(&case))
}

macro_rules! nothing_is_said_that_is_not_so {
    ($($name:ident $seed:literal of $cases:ident),*) => {$(
        #[test]
        fn $name() {
            family($seed, $cases()).unwrap();
        }
    )*};
}

nothing_is_said_that_is_not_so!(
    nothing_false_is_said_1 1 of case,
    nothing_false_is_said_2 2 of case,
    nothing_false_is_said_3 3 of case,
    nothing_false_is_said_4 4 of case,
    nothing_false_is_said_5 5 of case,
    nothing_false_is_said_6 6 of case,
    nothing_false_is_said_7 7 of case,
    nothing_false_is_said_8 8 of case,
    nothing_false_is_said_after_one_that_was_cut_off_1 9 of resumed,
    nothing_false_is_said_after_one_that_was_cut_off_2 10 of resumed
);

#[test]
fn a_good_release_survives_a_few_faults() {
    let config = ProptestConfig { cases: 1000, failure_persistence: None, ..Default::default() };
    let faults = prop::collection::vec((0_usize..140, harmless()), 0..5);
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let result = runner.run(&(faults, any::<bool>()), |(faults, records)| {
        let case = Case {
            users: "newer",
            client: "newer",
            faults,
            records,
            breaker: true,
            rollback_fails: false,
            task_exit_code: 0,
            migrate: true,
            on_failure: OnFailure::RollbackAll,
            on_interrupt: OnInterrupt::Rollback,
            smoke_fails: false,
            left: [None, None],
        };
        let (world, _, outcome, _) = virtually(play(&case));
        prop_assert_eq!(outcome.end, End::Released, "{}", world.heard.text());
        Ok(())
    });
    result.unwrap();
}
