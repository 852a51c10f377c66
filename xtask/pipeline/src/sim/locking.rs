//! The lock and the record around a deploy, while the store fails and people press Ctrl-C.

use std::cell::Cell;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use tokio::time::Instant;

use super::faults::{Fault, Faults};
use super::world::{World, job};
use crate::config::ServiceName;
use crate::deploy::{End, HeldError, Owner, Recorder, held, run};
use crate::exit_code;
use crate::interrupt::Stop;
use crate::rollout::Context;
use crate::store::lock::Lock;
use crate::store::memory::Memory;
use crate::store::release::{
    self, Outcome, Record, Release, ServiceRecord, ServiceState, last_good,
};
use crate::store::{If, Object, Store, StoreError, Version};

fn owner(token: &str) -> Owner {
    let (token, who) = (token.to_owned(), "ada@laptop".to_owned());
    Owner { token, who, what: "deploy c0ffee".to_owned() }
}

fn draft(id: release::ReleaseId, started: u64) -> Release {
    let entry = |image: &str| ServiceRecord {
        image: image.to_owned(),
        ..release::tests::record(ServiceState::Pending)
    };
    let mut draft = release::tests::draft(id, started);
    draft.services.insert(ServiceName::Users, entry("newer"));
    draft.services.insert(ServiceName::Client, entry("newer"));
    draft
}

/// A deploy as the command does it.
async fn deploy(world: &World, store: &impl Store, users: &str) -> Result<End, HeldError> {
    let context =
        Context { cloud: &world.sim, limits: &world.limits, tell: &world.heard, stop: &world.stop };
    let wanted = job(users, "newer");
    let work = async || {
        let Ok(record) = Record::begin(store, draft).await else {
            return End::Broken { message: "no record".to_owned(), restored: true };
        };
        let recorder = Recorder::new(store, record, async || Ok("fine".to_owned()));
        let outcome = run(&context, &recorder, &wanted).await;
        let _ = recorder.finish(&outcome, std::time::UNIX_EPOCH, &world.stop).await;
        outcome.end
    };
    let patience = Duration::ZERO;
    held(store, &owner("ours"), patience, &world.heard, &world.stop, work).await
}

#[tokio::test(start_paused = true)]
async fn the_record_says_what_became_of_it_and_the_lock_is_given_back() {
    for (users, recorded, state) in [
        ("newer", Outcome::Released, ServiceState::Rolled),
        ("crash", Outcome::RolledBack, ServiceState::RolledBack),
    ] {
        let (world, store) = (World::seeded(|_| {}), Memory::new());
        deploy(&world, &store, users).await.unwrap();
        let releases = release::newest(&store, 5).await.unwrap();
        assert_eq!(releases[0].outcome, recorded);
        let users = &releases[0].services[&ServiceName::Users];
        assert_eq!(users.state, state);
        assert!(users.task_definition.as_ref().unwrap().ends_with("shop-users-td:2"));
        assert_eq!(last_good(&releases, None).is_some(), recorded == Outcome::Released);
        assert_eq!(Lock::holder(&store).await.unwrap(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn the_second_of_two_is_refused_with_the_holder_s_name() {
    let (world, store) = (World::seeded(|_| {}), Memory::new());
    let held_by_other = async || {
        let refused = deploy(&world, &store, "newer").await.unwrap_err();
        assert!(refused.to_string().contains("ada@laptop is at it: deploy c0ffee"), "{refused}");
    };
    let stop = Stop::default();
    let patience = Duration::ZERO;
    held(&store, &owner("theirs"), patience, &world.heard, &stop, held_by_other).await.unwrap();
    assert_eq!(world.sim.calls(), 0);
    assert_eq!(Lock::holder(&store).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_is_lost_ends_the_work() {
    let (world, store) = (World::seeded(|_| {}), Memory::new());
    let work = async || {
        // Somebody else takes it, as if our lease had run out.
        let object = store.get("lock.json").await.unwrap().unwrap();
        let theirs = String::from_utf8(object.body).unwrap().replace("ours", "theirs");
        store.put("lock.json", theirs.as_bytes(), &If::Is(object.version)).await.unwrap();
        tokio::time::sleep(Duration::from_hours(1)).await;
    };
    let stop = Stop::default();
    let lost = held(&store, &owner("ours"), Duration::ZERO, &world.heard, &stop, work).await;
    assert!(matches!(lost, Err(HeldError::Lost(_))), "{lost:?}");
}

/// A store whose answers stop coming.
struct Silent {
    memory: Memory,
    is_silent: Cell<bool>,
}

impl Silent {
    async fn answer<T>(&self, answer: impl Future<Output = T>) -> T {
        if self.is_silent.get() {
            std::future::pending::<()>().await;
        }
        answer.await
    }
}

impl Store for Silent {
    fn now(&self) -> SystemTime {
        self.memory.now()
    }

    fn name(&self) -> &str {
        self.memory.name()
    }

    async fn get(&self, key: &str) -> Result<Option<Object>, StoreError> {
        self.answer(self.memory.get(key)).await
    }

    async fn put(&self, key: &str, body: &[u8], when: &If) -> Result<Option<Version>, StoreError> {
        self.answer(self.memory.put(key, body, when)).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        self.answer(self.memory.list(prefix)).await
    }
}

#[tokio::test(start_paused = true)]
async fn how_it_ended_is_told_also_where_nothing_answers_any_more() {
    let world = World::seeded(|_| {});
    let store = Silent { memory: Memory::new(), is_silent: Cell::new(false) };
    let signals = async {
        // Both services move or have moved, and the network is gone.
        tokio::time::sleep(Duration::from_secs(30)).await;
        world.sim.order(Faults::default().first("ecs:DescribeServices", 1000, Fault::Slow(3600)));
        store.is_silent.set(true);
        world.stop.request();
        tokio::time::sleep(Duration::from_secs(5)).await;
        world.stop.request();
        Instant::now()
    };
    let (end, insisted) = tokio::join!(deploy(&world, &store, "newer"), signals);
    let end = end.unwrap();
    assert!(matches!(end, End::Interrupted { moved: true, restored: false, .. }), "{end:?}");
    assert_eq!(end.exit_code(), exit_code::ROLLBACK_FAILED);
    assert!(insisted.elapsed() < Duration::from_secs(20), "{:?}", insisted.elapsed());
}

#[test]
fn a_lock_is_never_left_behind() {
    let config = ProptestConfig { cases: 500, failure_persistence: None, ..Default::default() };
    let lost = prop::collection::vec(1_u32..30, 0..6);
    let interrupts = prop::collection::vec(0_usize..120, 0..2);
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let images = prop_oneof![Just("newer"), Just("crash")];
    let result = runner.run(&(lost, interrupts, images), |(lost, interrupts, users)| {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let (world, store) = (World::seeded(|_| {}), Memory::new());
            store.lose(&lost);
            let interrupts = interrupts.iter().map(|call| (*call, Fault::Interrupt));
            world.sim.order(Faults::numbered(interrupts));
            let end = deploy(&world, &store, users).await;
            let holder = Lock::holder(&store).await.unwrap();
            prop_assert!(holder.is_none(), "{end:?} leaves {holder:?}\n{}", world.heard.text());
            Ok(())
        })
    });
    result.unwrap();
}
