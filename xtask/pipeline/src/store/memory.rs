//! A store in memory, for tests. It can lose answers (the write is done, and nobody hears of it), be
//! slow, or take no writes at all.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use super::{If, Object, Store, StoreError, Version};
use crate::cloud::CloudError;

/// The store. Its clock is tokio's, which tests may wind.
#[derive(Debug)]
pub(crate) struct Memory {
    started: Instant,
    objects: Mutex<BTreeMap<String, Object>>,
    writes: AtomicU32,
    lose: Mutex<Vec<u32>>,
    /// How long so many of the next writes take, before they are done.
    slow: Mutex<(Duration, u32)>,
    refuses: AtomicBool,
    /// How long the machine has slept.
    slept: Mutex<Duration>,
}

impl Memory {
    /// An empty one. Needs a tokio runtime.
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            objects: Mutex::default(),
            writes: AtomicU32::new(0),
            lose: Mutex::default(),
            slow: Mutex::default(),
            refuses: AtomicBool::new(false),
            slept: Mutex::default(),
        }
    }

    /// Has so many of the next writes take that long.
    pub(crate) fn slow_writes(&self, time: Duration, writes: u32) {
        *lock(&self.slow) = (time, writes);
    }

    /// Whether every write fails from now on.
    pub(crate) fn refuse_writes(&self, refuses: bool) {
        self.refuses.store(refuses, Ordering::Relaxed);
    }

    /// How many writes were tried.
    pub(crate) fn writes(&self) -> u32 {
        self.writes.load(Ordering::Relaxed)
    }

    /// The clock on the wall goes on, and no other.
    pub(crate) fn sleep(&self, time: Duration) {
        *lock(&self.slept) += time;
    }

    /// Loses the answers to these writes, counted from 1.
    pub(crate) fn lose(&self, writes: &[u32]) {
        lock(&self.lose).extend_from_slice(writes);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store for Memory {
    fn now(&self) -> SystemTime {
        // A Tuesday in 2026.
        UNIX_EPOCH
            + Duration::from_secs(1_795_000_000)
            + self.started.elapsed()
            + *lock(&self.slept)
    }

    fn name(&self) -> &str {
        "memory"
    }

    async fn get(&self, key: &str) -> Result<Option<Object>, StoreError> {
        Ok(lock(&self.objects).get(key).cloned())
    }

    async fn put(&self, key: &str, body: &[u8], when: &If) -> Result<Option<Version>, StoreError> {
        let number = self.writes.fetch_add(1, Ordering::Relaxed) + 1;
        let slow = {
            let mut slow = lock(&self.slow);
            let is_slow = slow.1 > 0;
            slow.1 = slow.1.saturating_sub(1);
            is_slow.then_some(slow.0)
        };
        if let Some(time) = slow {
            tokio::time::sleep(time).await;
        }
        if self.refuses.load(Ordering::Relaxed) {
            let cause = "503 SlowDown".to_owned();
            return Err(CloudError::Lost { operation: "s3:PutObject", cause }.into());
        }
        let mut objects = lock(&self.objects);
        let holds = match (when, objects.get(key)) {
            (If::Absent, there) => there.is_none(),
            (If::Is(version), Some(there)) => there.version == *version,
            (If::Is(_), None) => false,
        };
        let version = Version(number.to_string());
        if holds {
            let object = Object { body: body.to_owned(), version: version.clone() };
            objects.insert(key.to_owned(), object);
        }
        if lock(&self.lose).contains(&number) {
            let cause = "the connection was closed".to_owned();
            return Err(CloudError::Lost { operation: "s3:PutObject", cause }.into());
        }
        Ok(holds.then_some(version))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let objects = lock(&self.objects);
        Ok(objects.keys().filter(|key| key.starts_with(prefix)).cloned().collect())
    }
}
