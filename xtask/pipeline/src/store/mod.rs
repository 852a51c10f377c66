//! Where deployments keep what must outlive them: the lock and the release records.
//!
//! The promise that all of it rests on is an atomic write: "only if there is nothing yet", or "only
//! if it is still what I have read". S3 makes it (`If-None-Match`, `If-Match`), and every account
//! has it. Here is what is asked of a store; [`lock`] and [`release`] build on it.

pub(crate) mod lock;
#[cfg(test)]
pub(crate) mod memory;
pub(crate) mod release;
pub(crate) mod s3;

use std::time::{Duration, SystemTime};

use tokio::time::{Instant, sleep};

use crate::cloud::CloudError;

/// How long a write is tried that fails again and again.
const PATIENCE: Duration = Duration::from_mins(2);
/// The longest pause between two tries.
const PAUSE: Duration = Duration::from_secs(8);

/// Why the store did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StoreError {
    #[error(
        "the bucket {bucket} for the lock and the release records is not there. The stack makes \
         it; or name another as aws.bucket in {}.",
        crate::config::PATH
    )]
    NoBucket { bucket: String },
    #[error(
        "{key} in the bucket {bucket} is not understood ({cause}): has a newer pipeline written it?"
    )]
    Odd { bucket: String, key: String, cause: String },
    #[error(transparent)]
    Cloud(#[from] CloudError),
}

impl StoreError {
    /// One of [`crate::exit_code`]'s.
    #[must_use]
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::NoBucket { .. } => crate::exit_code::CONFIGURATION,
            Self::Odd { .. } | Self::Cloud(_) => crate::exit_code::ERROR,
        }
    }
}

/// Which of the contents that a key has had. An ETag, on S3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version(pub(crate) String);

/// What a key holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Object {
    /// The contents.
    pub(crate) body: Vec<u8>,
    /// Which of them.
    pub(crate) version: Version,
}

/// When a write may be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum If {
    /// The key holds nothing yet.
    Absent,
    /// The key still holds this.
    Is(Version),
}

/// A write that fails again and again: somebody else may be faster, or the store take none.
#[derive(Debug, Default)]
struct Failing {
    since: Option<Instant>,
    tries: u32,
}

impl Failing {
    /// Pauses before another try, longer each time.
    ///
    /// # Errors
    /// It has failed for too long: this is why.
    async fn again(&mut self, error: StoreError) -> Result<(), StoreError> {
        let since = *self.since.get_or_insert_with(Instant::now);
        if since.elapsed() >= PATIENCE {
            return Err(error);
        }
        let pause = Duration::from_millis(500) * 2_u32.pow(self.tries.min(4));
        self.tries += 1;
        sleep(pause.min(PAUSE)).await;
        Ok(())
    }
}

/// A write whose condition does not hold, although nothing is in its way.
fn contended() -> StoreError {
    let cause = "its condition does not hold, although nobody else seems to write".to_owned();
    CloudError::Lost { operation: "s3:PutObject", cause }.into()
}

/// A store with atomic writes.
///
/// # Errors
/// Each call fails with a [`StoreError`] if there was no answer, or a refusal. A write whose answer
/// was lost may have been done.
pub(crate) trait Store {
    /// The time there.
    fn now(&self) -> SystemTime;

    /// How people find it: the bucket's name.
    fn name(&self) -> &str;

    /// What a key holds.
    async fn get(&self, key: &str) -> Result<Option<Object>, StoreError>;

    /// Writes, if the condition holds. `None`: it does not, and nothing was done.
    async fn put(&self, key: &str, body: &[u8], when: &If) -> Result<Option<Version>, StoreError>;

    /// The keys with a prefix, in no particular order.
    async fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError>;
}
