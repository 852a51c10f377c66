//! The lock and the record around a change: nobody else changes the same services meanwhile, and
//! whoever comes after a run that was killed reads how far it came.

use std::time::{Duration, SystemTime};

use tokio::sync::Mutex;

use super::{Around, End, Note, Outcome, ServiceEnd};
use crate::config::ServiceName;
use crate::interrupt::Stop;
use crate::process::Interrupted;
use crate::rollback::Restored;
use crate::rollout::patiently;
use crate::store::lock::{Lock, LockError};
use crate::store::release::{
    MigrationRecord, Outcome as Recorded, Record, Release, ReleaseId, ServiceState,
};
use crate::store::{Store, StoreError};
use crate::tell::{INDENT, Tell};

/// How long giving the lock back may be tried.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long work that was told twice to end has for ending, and for writing down how it did.
const GRACE: Duration = Duration::from_secs(10);

/// How long of that writing may take. What is to be told of the end comes after it.
const WRITING: Duration = Duration::from_secs(5);

/// Why something under the lock did not end by itself.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HeldError {
    #[error(transparent)]
    Lock(LockError),
    #[error(
        "{0}. Nothing more was done. What had begun goes on in AWS: \
         `cargo xtask status` shows it, and the next deploy finishes it or takes it back."
    )]
    Lost(LockError),
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl HeldError {
    /// One of [`crate::exit_code`]'s.
    #[must_use]
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Lock(LockError::Held { .. }) => crate::exit_code::LOCKED,
            Self::Lock(LockError::Store(error)) => error.exit_code(),
            Self::Lock(_) => crate::exit_code::ERROR,
            Self::Lost(_) => crate::exit_code::ROLLBACK_FAILED,
            Self::Interrupted(_) => crate::exit_code::INTERRUPTED,
        }
    }
}

/// Whose lock it is.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    /// Only this run's.
    pub(crate) token: String,
    /// The person and the machine, or the build.
    pub(crate) who: String,
    /// `deploy 8c1f2ab`.
    pub(crate) what: String,
}

impl Owner {
    /// Us, for what we are about to do.
    pub(crate) fn new(what: &str) -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let who = variable("CODEBUILD_BUILD_ID").unwrap_or_else(|| {
            let user = variable("USER").or_else(|| variable("LOGNAME"));
            let user =
                user.unwrap_or_else(|| format!("user {}", rustix::process::getuid().as_raw()));
            let host = rustix::system::uname();
            format!("{user}@{}", host.nodename().to_string_lossy())
        });
        // The process and its start are this run and no other on this machine.
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let (process, now) = (std::process::id().to_string(), now.as_nanos().to_string());
        let token = crate::rollout::token(&[&who, &process, &now]);
        Self { token, who, what: what.to_owned() }
    }
}

/// Takes the lock, does the work while renewing it, and gives it back whatever comes of the work.
///
/// # Errors
/// Somebody else has it, or it was lost: then the work was dropped where it was.
pub(crate) async fn held<S: Store, T>(
    store: &S,
    owner: &Owner,
    patience: Duration,
    tell: &dyn Tell,
    stop: &Stop,
    work: impl AsyncFnOnce() -> T,
) -> Result<T, HeldError> {
    let acquire = Lock::acquire(store, &owner.token, &owner.who, &owner.what, patience, |holder| {
        tell.line(&format!("waiting: {holder}"));
    });
    let lock = tokio::select! {
        lock = acquire => lock.map_err(HeldError::Lock)?,
        () = stop.wait() => {
            // The write may have arrived although its answer has not.
            give_back_ours(store, owner).await;
            return Err(Interrupted.into());
        }
    };
    let done = tokio::select! {
        done = work() => Ok(done),
        lost = lock.keep(store) => Err(HeldError::Lost(lost)),
        // Whatever it is that does not end by itself.
        () = stop.is_late(GRACE) => Err(Interrupted.into()),
    };
    tokio::select! {
        () = give_back(store, &lock, tell) => {}
        () = stop.is_late(GRACE) => {}
    }
    done
}

async fn give_back<S: Store>(store: &S, lock: &Lock, tell: &dyn Tell) {
    let released = patiently(PATIENCE, || async {
        match lock.release(store).await {
            Err(StoreError::Cloud(error)) => Err(error),
            // Nothing that another try would change.
            _ => Ok(()),
        }
    });
    if let Err(error) = released.await {
        tell.line(&format!(
            "{INDENT}the lock could not be given back ({error}); it frees itself {} s after its \
             last sign of life",
            crate::store::lock::LEASE.as_secs()
        ));
    }
}

/// If an interrupted try to take the lock has taken it.
async fn give_back_ours<S: Store>(store: &S, owner: &Owner) {
    let again = Lock::acquire(store, &owner.token, &owner.who, &owner.what, Duration::ZERO, |_| {});
    if let Ok(Ok(lock)) = tokio::time::timeout(PATIENCE, again).await {
        // It frees itself otherwise.
        let _ = lock.release(store).await;
    }
}

/// Writes down what a deploy does, as it does it.
pub(crate) struct Recorder<'a, S, F> {
    store: &'a S,
    record: Mutex<Record>,
    smoke: F,
}

impl<'a, S: Store, F: AsyncFn() -> Result<String, String>> Recorder<'a, S, F> {
    /// With a record that has begun.
    pub(crate) fn new(store: &'a S, record: Record, smoke: F) -> Self {
        Self { store, record: Mutex::new(record), smoke }
    }

    /// The release's name.
    pub(crate) async fn id(&self) -> ReleaseId {
        self.record.lock().await.release.id.clone()
    }

    /// Completes the record, while nobody insists on the end.
    ///
    /// # Errors
    /// It cannot be written: it stays as one of a run that was killed.
    pub(crate) async fn finish(
        &self,
        outcome: &Outcome,
        now: SystemTime,
        stop: &Stop,
    ) -> Result<(), String> {
        tokio::select! {
            finished = self.complete(outcome, now) => finished,
            () = stop.is_late(WRITING) => Err("you ended the waiting".to_owned()),
        }
    }

    async fn complete(&self, outcome: &Outcome, now: SystemTime) -> Result<(), String> {
        let mut record = self.record.lock().await;
        for service in &outcome.services {
            if let Some(entry) = record.release.services.get_mut(&service.service) {
                entry.state = match (&service.end, &service.restored) {
                    (_, Some(Restored::Back { .. })) => ServiceState::RolledBack,
                    (_, Some(_)) => ServiceState::Broken,
                    (ServiceEnd::Unchanged, None) => ServiceState::Unchanged,
                    (ServiceEnd::Rolled { .. }, None) => ServiceState::Rolled,
                    (ServiceEnd::Detached, None) => ServiceState::Rolling,
                    (ServiceEnd::NotBegun, None) => entry.state,
                    // It was not to go back, because it had not moved; or nobody can tell.
                    (ServiceEnd::Failed { .. }, None) if outcome.end.is_restored() => {
                        ServiceState::Pending
                    }
                    (ServiceEnd::Failed { .. }, None) => ServiceState::Broken,
                };
                if let ServiceEnd::Failed { evidence, .. } = &service.end {
                    entry.evidence = Some((**evidence).clone());
                }
            }
        }
        if let Some(done) = &outcome.migration {
            let task = done.task.clone();
            record.release.migration =
                Some(MigrationRecord { task, exit_code: Some(0), evidence: None });
        } else if let Some(failed) = &outcome.failed_task {
            record.release.migration = Some(MigrationRecord {
                task: failed.task.clone(),
                exit_code: failed.exit_code,
                evidence: failed.evidence.as_deref().cloned(),
            });
        }
        let timings = outcome.timings.iter();
        record.release.timings =
            timings.map(|timing| (timing.stage.to_owned(), timing.seconds)).collect();
        record.release.note = note_of(outcome);
        record.finish(recorded(outcome), now);
        self.save(&mut record).await
    }

    async fn save(&self, record: &mut Record) -> Result<(), String> {
        let started = tokio::time::Instant::now();
        loop {
            match record.save(self.store).await {
                Ok(()) => return Ok(()),
                Err(error) if started.elapsed() >= PATIENCE => return Err(error.to_string()),
                Err(crate::store::release::ReleaseError::Store(StoreError::Cloud(error)))
                    if error.is_passing() =>
                {
                    tokio::time::sleep(Duration::from_secs(2)).await;
                }
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}

/// What the record says about the end.
pub(crate) fn recorded(outcome: &Outcome) -> Recorded {
    let moved = outcome.services.iter().any(|service| {
        matches!(service.end, ServiceEnd::Rolled { .. } | ServiceEnd::Detached)
            || service.restored.is_some()
    });
    match &outcome.end {
        End::Released | End::Unchanged => Recorded::Released,
        End::Interrupted { detached: true, .. } => Recorded::Detached,
        End::TaskFailed { .. } => Recorded::NotBegun,
        End::Failed { restored: true, kept: true, .. } => Recorded::InPart,
        End::Failed { restored: true, .. }
        | End::SmokeFailed { restored: true, .. }
        | End::Interrupted { restored: true, .. }
        | End::Broken { restored: true, .. } => {
            if moved {
                Recorded::RolledBack
            } else {
                Recorded::NotBegun
            }
        }
        End::Failed { .. }
        | End::SmokeFailed { .. }
        | End::Interrupted { .. }
        | End::Broken { .. } => Recorded::Broken,
    }
}

/// Why, in a line.
fn note_of(outcome: &Outcome) -> Option<String> {
    match &outcome.end {
        End::Released | End::Unchanged => None,
        End::TaskFailed { message }
        | End::SmokeFailed { message, .. }
        | End::Broken { message, .. } => Some(message.clone()),
        End::Interrupted { .. } => Some("interrupted".to_owned()),
        End::Failed { .. } => outcome.first_failure(),
    }
}

impl<S: Store, F: AsyncFn() -> Result<String, String>> Around for Recorder<'_, S, F> {
    async fn smoke(&self) -> Result<String, String> {
        (self.smoke)().await
    }

    async fn note(&self, note: Note<'_>) -> Result<(), String> {
        let mut record = self.record.lock().await;
        let state = |record: &mut Record, who: ServiceName, state| {
            if let Some(entry) = record.release.services.get_mut(&who) {
                entry.state = state;
            }
        };
        match note {
            Note::Registered(who, arn) => {
                if let Some(entry) = record.release.services.get_mut(&who) {
                    entry.task_definition = Some(arn.to_owned());
                }
                // The next note takes it along.
                return Ok(());
            }
            Note::Migrating => {
                record.release.migration =
                    Some(MigrationRecord { task: String::new(), exit_code: None, evidence: None });
            }
            Note::Migrated => {
                if let Some(migration) = &mut record.release.migration {
                    migration.exit_code = Some(0);
                }
            }
            Note::Rolling(who) => state(&mut record, who, ServiceState::Rolling),
            Note::Rolled(who) => state(&mut record, who, ServiceState::Rolled),
            // Until it has been seen to be back, anything may run.
            Note::GoingBack(who) => state(&mut record, who, ServiceState::Broken),
        }
        self.save(&mut record)
            .await
            .map_err(|error| format!("the record cannot be written: {error}"))
    }
}

/// What a run that was killed has left, in a line.
#[must_use]
pub(crate) fn half_done(release: &Release) -> String {
    let mut parts: Vec<String> = release
        .own()
        .map(|(who, service)| {
            let state = match service.state {
                ServiceState::Unchanged => "unchanged",
                ServiceState::Pending => "not begun",
                ServiceState::Rolling => "was moving",
                ServiceState::Rolled => "moved",
                ServiceState::RolledBack => "moved back",
                ServiceState::Broken => "was moving back",
                ServiceState::Kept => "left as it was",
            };
            format!("{who} {state}")
        })
        .collect();
    if release.migration.as_ref().is_some_and(|migration| migration.exit_code.is_none()) {
        parts.insert(0, "the migration had begun".to_owned());
    }
    let version: String = release.version.chars().take(7).collect();
    let left = match release.outcome {
        Recorded::Detached => "was left to AWS",
        _ => "was cut off",
    };
    let (id, who) = (&release.id, &release.who);
    format!("release {id} ({version}, {who}) {left}: {}", parts.join(", "))
}
