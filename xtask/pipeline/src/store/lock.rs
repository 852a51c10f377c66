//! One deployment at a time.
//!
//! The lock is an object that says who holds it and until when. The holder renews it; one who was
//! killed does not, and after [`LEASE`] another may take it. A holder who cannot renew it in time
//! gives up before that, by the clock on the wall: the machine may have slept. Whoever wants to take
//! a lock that has run out first watches whether it is really renewed no more, so that a clock that
//! is wrong does not steal it. A lock that was given back stays as an object that says so: the
//! pipeline needs no right to delete.

use std::fmt::{Display, Formatter};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, timeout};

use super::{Failing, If, Object, Store, StoreError, Version, contended};

/// Where it lies.
const KEY: &str = "lock.json";
/// How long a lock holds without being renewed.
pub(crate) const LEASE: Duration = Duration::from_secs(90);
/// How often it is renewed.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(20);
/// So long before it runs out its holder gives up: what has been sent by then has time to arrive.
const MARGIN: Duration = Duration::from_secs(10);
/// How long one try to renew it may take: three of them before the margin.
const TRY: Duration = Duration::from_secs(16);
/// Between a try that failed and the next.
const RETRY: Duration = Duration::from_secs(2);
/// At most so long nobody looks at the clock.
const STEP: Duration = Duration::from_secs(1);
/// How often somebody who waits looks.
const POLL: Duration = Duration::from_secs(5);

/// Why the lock is not ours.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LockError {
    #[error(
        "{holder}. `cargo xtask deploy --wait SECONDS` waits for it. If its process is gone, the \
         lock frees itself {} s after its last sign of life.", LEASE.as_secs()
    )]
    Held { holder: Box<Holder> },
    #[error("the lock was lost: {0}")]
    Lost(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Who deploys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Holder {
    /// Only this run's; who knows it, holds the lock.
    token: String,
    /// The person and the machine, or the build.
    pub(crate) who: String,
    /// What is done, as in `deploy 8c1f2ab`.
    pub(crate) what: String,
    /// Since when, in seconds since 1970.
    pub(crate) since: u64,
    /// The last sign of life, in seconds since 1970.
    pub(crate) renewed: u64,
    /// When it runs out, in seconds since 1970.
    pub(crate) expires: u64,
    /// Whether it was given back.
    pub(crate) released: bool,
}

impl Holder {
    /// Whether it is the one with this token.
    #[must_use]
    pub(crate) fn is(&self, token: &str) -> bool {
        self.token == token
    }
}

impl Display for Holder {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let Self { who, what, .. } = self;
        write!(
            f,
            "{who} is at it: {what}, since {}; last sign of life {}",
            clock(self.since),
            clock(self.renewed)
        )
    }
}

/// `11:06:40 UTC`.
fn clock(seconds: u64) -> String {
    let at = i64::try_from(seconds).ok().and_then(|at| chrono::DateTime::from_timestamp(at, 0));
    at.map(|at| at.format("%H:%M:%S UTC").to_string()).unwrap_or_default()
}

/// The lock, held. It is given back with [`Lock::release`]; who drops it lets it run out.
#[derive(Debug)]
pub(crate) struct Lock {
    holder: Mutex<(Holder, Version)>,
}

impl Lock {
    /// Takes the lock. If somebody else has it, waits up to `patience` and tells `on_wait` about
    /// each holder once.
    ///
    /// # Errors
    /// It is held for longer, or the store does not answer, or takes no writes.
    pub(crate) async fn acquire(
        store: &impl Store,
        token: &str,
        who: &str,
        what: &str,
        patience: Duration,
        mut on_wait: impl FnMut(&Holder),
    ) -> Result<Self, LockError> {
        let begin = store.now();
        let mut told = None;
        let mut watched: Option<(Version, SystemTime)> = None;
        let mut failing = Failing::default();
        loop {
            let now = store.now();
            let there = store.get(KEY).await?;
            let current = there.as_ref().map(|object| parse(store, object)).transpose()?;
            let when = match (&there, &current) {
                (None, _) | (_, None) => Some(If::Absent),
                (Some(object), Some(held)) => {
                    let free = held.released
                        || held.token == token
                        || run_out(held, object, &mut watched, now);
                    free.then(|| If::Is(object.version.clone()))
                }
            };
            if let Some(when) = when {
                match Self::take(store, token, who, what, &when).await? {
                    Ok(lock) => return Ok(lock),
                    // Somebody was faster, or it cannot be written: look who has it.
                    Err(error) => failing.again(error).await?,
                }
                continue;
            }
            failing = Failing::default();
            if let Some(held) = current {
                // Worth watching for as long as it takes to see whether it lives.
                let about_to_end = seconds(now) >= held.expires;
                let waited = now.duration_since(begin).unwrap_or_default();
                if waited >= patience && !(about_to_end && waited < patience + LEASE) {
                    return Err(LockError::Held { holder: Box::new(held) });
                }
                if told.as_ref() != Some(&held.token) {
                    on_wait(&held);
                    told = Some(held.token);
                }
            }
            sleep(POLL).await;
        }
    }

    async fn take(
        store: &impl Store,
        token: &str,
        who: &str,
        what: &str,
        when: &If,
    ) -> Result<Result<Self, StoreError>, LockError> {
        let now = seconds(store.now());
        let holder = Holder {
            token: token.to_owned(),
            who: who.to_owned(),
            what: what.to_owned(),
            since: now,
            renewed: now,
            expires: now + LEASE.as_secs(),
            released: false,
        };
        let error = match store.put(KEY, &bytes(&holder), when).await {
            Ok(Some(version)) => {
                return Ok(Ok(Self { holder: Mutex::new((holder, version)) }));
            }
            Ok(None) => contended(),
            // It may be ours although nobody told us: the next look says so.
            Err(StoreError::Cloud(error)) if error.is_passing() => error.into(),
            Err(error) => return Err(error.into()),
        };
        // The answer to an earlier try may have been lost, and our own write be in the way.
        match store.get(KEY).await? {
            Some(object) if parse(store, &object)? == holder => {
                Ok(Ok(Self { holder: Mutex::new((holder, object.version)) }))
            }
            _ => Ok(Err(error)),
        }
    }

    /// Who holds the lock now, if anybody.
    ///
    /// # Errors
    /// The store does not answer.
    pub(crate) async fn holder(store: &impl Store) -> Result<Option<Holder>, StoreError> {
        let Some(object) = store.get(KEY).await? else { return Ok(None) };
        let holder = parse(store, &object)?;
        Ok(Some(holder).filter(|holder| !holder.released && seconds(store.now()) < holder.expires))
    }

    /// Renews the lock for as long as this is polled. It ends only when the lock is lost: to be
    /// raced against the work that needs it.
    pub(crate) async fn keep(&self, store: &impl Store) -> LockError {
        let mut pause = HEARTBEAT;
        let mut failure: Option<LockError> = None;
        loop {
            let (holder, _) = self.state();
            let end = SystemTime::UNIX_EPOCH + Duration::from_secs(holder.expires) - MARGIN;
            // A clock that was put back makes no lease longer.
            let left = end.duration_since(store.now()).unwrap_or_default().min(LEASE - MARGIN);
            let renew = async {
                pass(store, pause).await;
                timeout(TRY, self.renew(store)).await
            };
            let renewed = tokio::select! {
                biased;
                () = pass(store, left) => None,
                renewed = renew => Some(renewed),
            };
            pause = match renewed {
                Some(Ok(Ok(()))) => {
                    failure = None;
                    HEARTBEAT
                }
                // There may be time for another try.
                Some(Ok(Err(error @ LockError::Store(_)))) => {
                    failure = Some(error);
                    RETRY
                }
                Some(Err(_)) => RETRY,
                Some(Ok(Err(error))) => return error,
                None => {
                    let why = failure.map_or_else(
                        || "it was not renewed in time".to_owned(),
                        |error| format!("it could not be renewed in time: {error}"),
                    );
                    return LockError::Lost(why);
                }
            };
        }
    }

    async fn renew(&self, store: &impl Store) -> Result<(), LockError> {
        let (mut holder, version) = self.state();
        holder.renewed = seconds(store.now());
        holder.expires = holder.renewed + LEASE.as_secs();
        self.write(store, holder, version).await
    }

    /// Gives it back.
    ///
    /// # Errors
    /// The store does not answer; it runs out by itself then. That it was lost before is none.
    pub(crate) async fn release(&self, store: &impl Store) -> Result<(), StoreError> {
        let (mut holder, version) = self.state();
        holder.renewed = seconds(store.now());
        holder.released = true;
        match self.write(store, holder, version).await {
            Ok(()) | Err(LockError::Lost(_) | LockError::Held { .. }) => Ok(()),
            Err(LockError::Store(error)) => Err(error),
        }
    }

    fn state(&self) -> (Holder, Version) {
        self.holder.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces what we wrote last. A write whose answer is lost counts if it is what lies there;
    /// an earlier one of ours, of which nobody waited for the answer, is gone on from.
    async fn write(
        &self,
        store: &impl Store,
        holder: Holder,
        mut version: Version,
    ) -> Result<(), LockError> {
        loop {
            let put = store.put(KEY, &bytes(&holder), &If::Is(version.clone())).await;
            let failed = match put {
                Ok(Some(version)) => {
                    self.set(holder, version);
                    return Ok(());
                }
                Ok(None) => None,
                Err(StoreError::Cloud(error)) if !error.is_passing() => {
                    return Err(StoreError::Cloud(error).into());
                }
                Err(error) => Some(error),
            };
            let there = store.get(KEY).await?;
            let found = there.as_ref().map(|object| parse(store, object)).transpose()?;
            let (Some(object), Some(found)) = (there, found) else {
                return Err(LockError::Lost("it was removed".to_owned()));
            };
            if found.token != holder.token {
                return Err(LockError::Lost(format!("{found}")));
            }
            let done = found == holder;
            self.set(found, object.version.clone());
            match failed {
                _ if done => return Ok(()),
                Some(error) => return Err(error.into()),
                None if object.version == version => return Err(contended().into()),
                None => version = object.version,
            }
        }
    }

    fn set(&self, holder: Holder, version: Version) {
        *self.holder.lock().unwrap_or_else(PoisonError::into_inner) = (holder, version);
    }
}

/// Waits so long, by whichever clock comes first: one stands still while the machine sleeps, the
/// other may be put back.
async fn pass(store: &impl Store, time: Duration) {
    let (begin, wall) = (Instant::now(), store.now());
    loop {
        let passed = store.now().duration_since(wall).unwrap_or_default().max(begin.elapsed());
        match time.checked_sub(passed) {
            None | Some(Duration::ZERO) => return,
            Some(left) => sleep(left.min(STEP)).await,
        }
    }
}

/// Whether a lock has run out, and has not been renewed for as long as its holder would have
/// needed to, twice over.
fn run_out(
    held: &Holder,
    object: &Object,
    watched: &mut Option<(Version, SystemTime)>,
    now: SystemTime,
) -> bool {
    match watched {
        Some((version, since)) if *version == object.version => {
            let silent = now.duration_since(*since).unwrap_or_default();
            seconds(now) >= held.expires && silent >= 2 * HEARTBEAT
        }
        _ => {
            *watched = Some((object.version.clone(), now));
            false
        }
    }
}

fn parse(store: &impl Store, object: &Object) -> Result<Holder, StoreError> {
    serde_json::from_slice(&object.body).map_err(|cause| StoreError::Odd {
        bucket: store.name().to_owned(),
        key: KEY.to_owned(),
        cause: cause.to_string(),
    })
}

fn bytes(holder: &Holder) -> Vec<u8> {
    // A struct of texts and numbers can always be written.
    serde_json::to_vec_pretty(holder).unwrap_or_default()
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::super::memory::Memory;
    use super::*;

    async fn acquire(store: &Memory, token: &str, patience: u64) -> Result<Lock, LockError> {
        let patience = Duration::from_secs(patience);
        Lock::acquire(store, token, token, "deploy c0ffee", patience, |_| {}).await
    }

    #[tokio::test(start_paused = true)]
    async fn only_one_has_it_and_the_other_hears_who() {
        let store = Memory::new();
        let lock = acquire(&store, "ada", 0).await.unwrap();
        let refused = acquire(&store, "bob", 0).await.unwrap_err().to_string();
        assert!(
            refused.starts_with("ada is at it: deploy c0ffee, since 11:06:40 UTC"),
            "{refused}"
        );
        lock.release(&store).await.unwrap();
        assert_eq!(Lock::holder(&store).await, Ok(None));
        acquire(&store, "bob", 0).await.unwrap();
        assert_eq!(Lock::holder(&store).await.unwrap().unwrap().who, "bob");
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_gets_it_when_it_is_free() {
        let store = Memory::new();
        let lock = acquire(&store, "ada", 0).await.unwrap();
        let mut told = 0;
        let patience = Duration::from_secs(600);
        let waits = Lock::acquire(&store, "bob", "bob", "deploy", patience, |_| told += 1);
        let work = async {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(400)) => lock.release(&store).await,
                error = lock.keep(&store) => panic!("{error}"),
            }
        };
        let (waited, released) = tokio::join!(waits, work);
        released.unwrap();
        waited.unwrap();
        assert_eq!(told, 1, "told once about each holder");
    }

    #[tokio::test(start_paused = true)]
    async fn a_lock_that_is_renewed_is_never_taken_and_one_that_is_not_frees_itself() {
        let store = Memory::new();
        let lock = acquire(&store, "ada", 0).await.unwrap();
        tokio::select! {
            error = lock.keep(&store) => panic!("{error}"),
            other = acquire(&store, "bob", 3600) => assert!(matches!(other, Err(LockError::Held { .. }))),
        }
        // Ada's process is gone.
        let begin = tokio::time::Instant::now();
        acquire(&store, "bob", 3600).await.unwrap();
        assert!(begin.elapsed() <= LEASE + 3 * HEARTBEAT, "{:?}", begin.elapsed());
        // And if she was only asleep, she ends at once, and writes nothing.
        let begin = Instant::now();
        let lost = lock.keep(&store).await.to_string();
        assert_eq!(lost, "the lock was lost: it was not renewed in time");
        assert_eq!(begin.elapsed(), Duration::ZERO);
        assert_eq!(Lock::holder(&store).await.unwrap().unwrap().who, "bob");
    }

    #[tokio::test(start_paused = true)]
    async fn a_holder_whose_clock_is_wrong_keeps_it() {
        let store = Memory::new();
        let lock = acquire(&store, "ada", 0).await.unwrap();
        let late = async {
            loop {
                tokio::time::sleep(HEARTBEAT).await;
                let (mut holder, version) = lock.state();
                // An hour slow: it looks as if the lock had run out long ago.
                holder.renewed = seconds(store.now()) - 3600;
                holder.expires = holder.renewed + LEASE.as_secs();
                lock.write(&store, holder, version).await.unwrap();
            }
        };
        tokio::select! {
            () = late => {}
            other = acquire(&store, "bob", 600) => assert!(matches!(other, Err(LockError::Held { .. }))),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn lost_answers_lose_no_lock() {
        let store = Memory::new();
        // Taking it, the first renewal, and giving it back.
        store.lose(&[1, 2, 4]);
        let lock = acquire(&store, "ada", 0).await.unwrap();
        let work = tokio::time::sleep(HEARTBEAT * 2 + HEARTBEAT / 2);
        tokio::select! {
            error = lock.keep(&store) => panic!("{error}"),
            () = work => {}
        }
        lock.release(&store).await.unwrap();
        acquire(&store, "bob", 0).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_understood_is_not_overwritten() {
        let store = Memory::new();
        store.put(KEY, b"{}", &If::Absent).await.unwrap();
        let refused = acquire(&store, "ada", 0).await.unwrap_err().to_string();
        assert!(refused.starts_with("lock.json in the bucket memory"), "{refused}");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_takes_it_past_the_lease_is_named() {
        let store = Memory::new();
        let lock = acquire(&store, "ada", 0).await.unwrap();
        let object = store.get(KEY).await.unwrap().unwrap();
        let theirs = String::from_utf8(object.body).unwrap().replace("ada", "bob");
        store.put(KEY, theirs.as_bytes(), &If::Is(object.version)).await.unwrap();
        let lost = lock.keep(&store).await.to_string();
        assert!(lost.starts_with("the lock was lost: bob is at it"), "{lost}");
    }

    #[tokio::test(start_paused = true)]
    async fn two_never_have_it_however_slowly_it_is_renewed() {
        // One try that takes too long is none too many; a store that takes none ends it in time.
        for (slow, kept) in [(1, true), (u32::MAX, false)] {
            let store = Memory::new();
            let lock = acquire(&store, "ada", 0).await.unwrap();
            let renewed = lock.state().0.renewed;
            store.slow_writes(Duration::from_secs(60), slow);
            let day = sleep(Duration::from_mins(10));
            tokio::select! {
                lost = lock.keep(&store) => {
                    assert!(!kept, "{lost}");
                    let passed = seconds(store.now()) - renewed;
                    assert!(passed <= (LEASE - MARGIN).as_secs(), "{passed} s");
                    assert!(lost.to_string().contains("not renewed in time"), "{lost}");
                }
                () = day => assert!(kept),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_machine_that_slept_past_the_lease_ends_before_it_does_anything() {
        let store = Memory::new();
        let lock = acquire(&store, "ada", 0).await.unwrap();
        let asleep = async {
            sleep(Duration::from_secs(30)).await;
            // The wall's clock goes on, ours does not.
            store.sleep(LEASE);
            std::future::pending::<()>().await;
        };
        let before = Instant::now();
        tokio::select! {
            lost = lock.keep(&store) => {
                assert!(matches!(lost, LockError::Lost(_)), "{lost}");
                assert!(before.elapsed() <= Duration::from_secs(30) + STEP, "{:?}", before.elapsed());
            }
            () = asleep => unreachable!(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_takes_no_writes_is_not_asked_for_ever() {
        let store = Memory::new();
        store.refuse_writes(true);
        let begin = Instant::now();
        let error = acquire(&store, "ada", 3600).await.unwrap_err();
        assert!(matches!(error, LockError::Store(_)), "{error}");
        assert!(error.to_string().contains("s3:PutObject"), "{error}");
        let took = begin.elapsed();
        assert!(took >= Duration::from_mins(2) && took < Duration::from_secs(130), "{took:?}");
        assert!(store.writes() < 40, "{} tries", store.writes());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_nobody_waited_for_is_in_nobodys_way() {
        let store = Memory::new();
        let lock = acquire(&store, "ada", 0).await.unwrap();
        // A renewal arrives, and the work has ended before its answer came.
        let (mut holder, version) = lock.state();
        holder.renewed += 1;
        store.put(KEY, &bytes(&holder), &If::Is(version)).await.unwrap();
        lock.release(&store).await.unwrap();
        assert_eq!(Lock::holder(&store).await, Ok(None));
    }
}
