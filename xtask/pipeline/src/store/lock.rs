//! One deployment at a time.
//!
//! The lock is an object that says who holds it and until when. The holder renews it; one who was
//! killed does not, and after [`LEASE`] another may take it. Whoever wants to take a lock that
//! has run out first watches whether it is really renewed no more, so that a clock that is wrong
//! does not steal it. A lock that was given back stays as an object that says so: the pipeline
//! needs no right to delete.

use std::fmt::{Display, Formatter};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{If, Object, Store, StoreError, Version};

/// Where it lies.
const KEY: &str = "lock.json";
/// How long a lock holds without being renewed.
pub(crate) const LEASE: Duration = Duration::from_secs(90);
/// How often it is renewed: four tries before it runs out.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(20);
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
    /// It is held for longer, or the store does not answer.
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
                if let Some(lock) = Self::take(store, token, who, what, &when).await? {
                    return Ok(lock);
                }
                // Somebody was faster: look who.
                continue;
            }
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
            tokio::time::sleep(POLL).await;
        }
    }

    async fn take(
        store: &impl Store,
        token: &str,
        who: &str,
        what: &str,
        when: &If,
    ) -> Result<Option<Self>, LockError> {
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
        let version = match store.put(KEY, &bytes(&holder), when).await {
            Ok(version) => version,
            // It may be ours although nobody told us: the next look says so.
            Err(StoreError::Cloud(error)) if error.is_passing() => None,
            Err(error) => return Err(error.into()),
        };
        let version = match version {
            Some(version) => version,
            // The answer to an earlier try may have been lost, and our own write be in the way.
            None => match store.get(KEY).await? {
                Some(object) if parse(store, &object)? == holder => object.version,
                _ => return Ok(None),
            },
        };
        Ok(Some(Self { holder: Mutex::new((holder, version)) }))
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
        loop {
            tokio::time::sleep(HEARTBEAT).await;
            let (mut holder, version) = self.state();
            let expires = holder.expires;
            holder.renewed = seconds(store.now());
            holder.expires = holder.renewed + LEASE.as_secs();
            match self.write(store, holder, &version).await {
                Ok(()) => {}
                Err(LockError::Store(error)) if seconds(store.now()) < expires => {
                    // There is time for another try.
                    let _ = error;
                }
                Err(LockError::Store(error)) => {
                    return LockError::Lost(format!("it could not be renewed in time: {error}"));
                }
                Err(error) => return error,
            }
        }
    }

    /// Gives it back.
    ///
    /// # Errors
    /// The store does not answer; it runs out by itself then. That it was lost before is none.
    pub(crate) async fn release(&self, store: &impl Store) -> Result<(), StoreError> {
        let (mut holder, version) = self.state();
        holder.renewed = seconds(store.now());
        holder.released = true;
        match self.write(store, holder, &version).await {
            Ok(()) | Err(LockError::Lost(_) | LockError::Held { .. }) => Ok(()),
            Err(LockError::Store(error)) => Err(error),
        }
    }

    fn state(&self) -> (Holder, Version) {
        self.holder.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces what we wrote last. A write whose answer is lost counts if it is what lies there.
    async fn write(
        &self,
        store: &impl Store,
        holder: Holder,
        version: &Version,
    ) -> Result<(), LockError> {
        let put = store.put(KEY, &bytes(&holder), &If::Is(version.clone())).await;
        let version = match put {
            Ok(Some(version)) => version,
            Err(StoreError::Cloud(error)) if !error.is_passing() => {
                return Err(StoreError::Cloud(error).into());
            }
            Ok(None) | Err(_) => {
                let there = store.get(KEY).await?;
                let found = there.as_ref().map(|object| parse(store, object)).transpose()?;
                match (there, found) {
                    // An earlier write of ours, if not this one: the next try goes on from it.
                    (Some(object), Some(found)) if found.token == holder.token => {
                        let done = found == holder;
                        self.set(found, object.version);
                        if done {
                            return Ok(());
                        }
                        return put.map(|_| ()).map_err(LockError::from);
                    }
                    (_, Some(found)) => return Err(LockError::Lost(format!("{found}"))),
                    _ => return Err(LockError::Lost("it was removed".to_owned())),
                }
            }
        };
        self.set(holder, version);
        Ok(())
    }

    fn set(&self, holder: Holder, version: Version) {
        *self.holder.lock().unwrap_or_else(PoisonError::into_inner) = (holder, version);
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
        // And if she was only asleep, she hears of it.
        let lost = lock.keep(&store).await.to_string();
        assert!(lost.starts_with("the lock was lost: bob is at it"), "{lost}");
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
                lock.write(&store, holder, &version).await.unwrap();
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
}
