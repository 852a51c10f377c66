//! A store in memory, for tests. It can lose answers: the write is done, and nobody hears of it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
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
}

impl Memory {
    /// An empty one. Needs a tokio runtime.
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            objects: Mutex::default(),
            writes: AtomicU32::new(0),
            lose: Mutex::default(),
        }
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
        UNIX_EPOCH + Duration::from_secs(1_795_000_000) + self.started.elapsed()
    }

    fn name(&self) -> &str {
        "memory"
    }

    async fn get(&self, key: &str) -> Result<Option<Object>, StoreError> {
        Ok(lock(&self.objects).get(key).cloned())
    }

    async fn put(&self, key: &str, body: &[u8], when: &If) -> Result<Option<Version>, StoreError> {
        let number = self.writes.fetch_add(1, Ordering::Relaxed) + 1;
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
