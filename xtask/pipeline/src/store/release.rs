//! Release records: what was deployed, by whom, and what became of it.
//!
//! A record is written before anything changes and completed after the last step. One that was
//! never completed is a deployment that was killed: the next one reads in it how far it came.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::{Display, Formatter};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Failing, If, Store, StoreError, Version, contended};
use crate::config::ServiceName;
use crate::evidence::{DeadTask, Evidence};

/// Where they lie.
const PREFIX: &str = "releases/";

/// Why there is no record.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReleaseError {
    #[error("there is no release {0}: `cargo xtask history` lists them")]
    Unknown(String),
    #[error("{0} was changed by somebody else meanwhile")]
    Changed(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A day and a number on it, as in `2026-11-23.2`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub(crate) struct ReleaseId {
    day: String,
    number: u32,
}

impl Display for ReleaseId {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.pad(&format!("{}.{}", self.day, self.number))
    }
}

impl From<ReleaseId> for String {
    fn from(id: ReleaseId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for ReleaseId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl std::str::FromStr for ReleaseId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("{text:?} is no release: they look like 2026-11-23.2");
        let (day, number) = text.split_once('.').ok_or_else(wrong)?;
        let real = chrono::NaiveDate::parse_from_str(day, "%Y-%m-%d").is_ok() && day.len() == 10;
        let number: u32 = number.parse().map_err(|_| wrong())?;
        if !real || number == 0 {
            return Err(wrong());
        }
        Ok(Self { day: day.to_owned(), number })
    }
}

/// What became of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    /// It is under way, or was killed.
    Started,
    /// It was left to go on in AWS, and nobody has looked since.
    Detached,
    /// It runs and answers.
    Released,
    /// It failed before any service was touched.
    NotBegun,
    /// It failed, and the last good one was restored.
    RolledBack,
    /// A service failed and went back, and others run it on, as was asked: nobody has seen them
    /// answer together.
    InPart,
    /// It failed, and what runs now is not known to be good.
    Broken,
}

impl Display for Outcome {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Started => "unfinished",
            Self::Detached => "detached",
            Self::Released => "released",
            Self::NotBegun => "failed, nothing moved",
            Self::RolledBack => "rolled back",
            Self::InPart => "released in part",
            Self::Broken => "broken",
        })
    }
}

/// What a release has of one service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct ServiceRecord {
    /// The image, by digest; empty until it is built.
    pub(crate) image: String,
    /// What went into it besides the commit, as a hash: `pipeline.inputs`.
    pub(crate) inputs: String,
    /// The commit that it is of, where that is not the release's; empty where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
    /// The ARN of the task definition; `None` until it is registered.
    pub(crate) task_definition: Option<String>,
    /// The ARN of the one that ran before: where a rollback goes. `None` for a new service.
    pub(crate) before: Option<String>,
    /// How far it came.
    pub(crate) state: ServiceState,
    /// What tells why it failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) evidence: Option<Evidence>,
}

/// How far a service came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ServiceState {
    /// It runs this already.
    Unchanged,
    /// Nothing was done.
    Pending,
    /// It moves.
    Rolling,
    /// It runs this.
    Rolled,
    /// It runs again what it ran before.
    RolledBack,
    /// It may run anything.
    Broken,
    /// It is no part of the release, and runs on what it ran.
    Kept,
}

impl Display for ServiceState {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Unchanged => "unchanged",
            Self::Pending => "not begun",
            Self::Rolling => "rolling",
            Self::Rolled => "rolled",
            Self::RolledBack => "rolled back",
            Self::Broken => "broken",
            Self::Kept => "left as it was",
        })
    }
}

/// The task that migrated the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct MigrationRecord {
    /// The task's id; empty until it has ended, or been left alone.
    pub(crate) task: String,
    /// What the program returned; `None` if it never ran, or runs.
    pub(crate) exit_code: Option<i32>,
    /// What tells why it failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) evidence: Option<DeadTask>,
}

/// A release.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Release {
    /// Its name.
    pub(crate) id: ReleaseId,
    /// Only this run's, so that two that begin at once never take each other's record for theirs.
    pub(crate) run: String,
    /// What became of it.
    pub(crate) outcome: Outcome,
    /// The commit, in full; with `-dirty` if that does not tell all.
    pub(crate) version: String,
    /// The first line of the commit's message.
    pub(crate) subject: String,
    /// The branch, if there was one.
    pub(crate) branch: Option<String>,
    /// The person and the machine, or the build.
    pub(crate) who: String,
    /// When it began, in seconds since 1970.
    pub(crate) started: u64,
    /// When it ended, in seconds since 1970.
    pub(crate) finished: Option<u64>,
    /// The release that it goes back to, if it is a rollback.
    pub(crate) rollback_to: Option<ReleaseId>,
    /// Each service, also those that it left as they were: together they are what a rollback
    /// brings back. Records of earlier programs leave those out.
    pub(crate) services: BTreeMap<ServiceName, ServiceRecord>,
    /// The migrations that were new in it, by name, where that is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) migrations: Vec<String>,
    /// The task that ran them, if one did.
    pub(crate) migration: Option<MigrationRecord>,
    /// Seconds that each phase took, in order.
    pub(crate) timings: Vec<(String, f64)>,
    /// Why it ended as it did, in a line. Never a secret.
    pub(crate) note: Option<String>,
}

impl Release {
    /// When it began.
    #[must_use]
    pub(crate) fn started(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.started)
    }

    /// What it has of the services that it is about.
    pub(crate) fn own(&self) -> impl Iterator<Item = (&ServiceName, &ServiceRecord)> {
        self.services.iter().filter(|(_, record)| record.state != ServiceState::Kept)
    }

    /// What it has of a service, if it is about that.
    #[must_use]
    pub(crate) fn own_of(&self, who: ServiceName) -> Option<&ServiceRecord> {
        self.services.get(&who).filter(|record| record.state != ServiceState::Kept)
    }

    /// The commit of a service in it, if that is known.
    #[must_use]
    pub(crate) fn version_of(&self, who: ServiceName) -> Option<&str> {
        let record = self.services.get(&who)?;
        let version = record.version.as_deref().unwrap_or(&self.version);
        Some(version).filter(|version| !version.is_empty())
    }

    /// Whether it may be gone back to: it has run.
    #[must_use]
    pub(crate) fn is_good(&self) -> bool {
        self.outcome == Outcome::Released
    }

    /// Whether nobody has seen what it left behind answer.
    #[must_use]
    pub(crate) fn is_unproved(&self) -> bool {
        self.is_unfinished() || matches!(self.outcome, Outcome::InPart | Outcome::Broken)
    }

    /// Whether nobody has written down how it ended.
    #[must_use]
    pub(crate) fn is_unfinished(&self) -> bool {
        matches!(self.outcome, Outcome::Started | Outcome::Detached)
    }
}

/// A record that this run writes.
#[derive(Debug)]
pub(crate) struct Record {
    /// What it says, or will after the next [`Record::save`].
    pub(crate) release: Release,
    version: Version,
}

impl Record {
    /// Writes a new record, under the day's next number. The draft's `id` and `started` are set
    /// here.
    ///
    /// # Errors
    /// The store does not answer.
    pub(crate) async fn begin(
        store: &impl Store,
        draft: impl FnOnce(ReleaseId, u64) -> Release,
    ) -> Result<Self, ReleaseError> {
        let now: DateTime<Utc> = store.now().into();
        let day = now.format("%Y-%m-%d").to_string();
        let keys = store.list(&format!("{PREFIX}{day}.")).await?;
        let last = keys.iter().filter_map(|key| id_of(key)).map(|id| id.number).max();
        let started = u64::try_from(now.timestamp()).unwrap_or_default();
        let id = ReleaseId { day, number: last.unwrap_or(0) + 1 };
        let mut release = draft(id, started);
        let mut failing = Failing::default();
        loop {
            let (key, body) = (key(&release.id), bytes(&release));
            let error = match store.put(&key, &body, &If::Absent).await {
                Ok(Some(version)) => return Ok(Self { release, version }),
                Err(StoreError::Cloud(error)) if !error.is_passing() => {
                    return Err(StoreError::Cloud(error).into());
                }
                Err(error @ (StoreError::NoBucket { .. } | StoreError::Odd { .. })) => {
                    return Err(error.into());
                }
                Ok(None) => contended(),
                Err(error) => error,
            };
            // Taken; or taken by us, and the answer was lost.
            match store.get(&key).await? {
                Some(object) if object.body == body => {
                    return Ok(Self { release, version: object.version });
                }
                Some(_) => release.id.number += 1,
                None => failing.again(error).await?,
            }
        }
    }

    /// Takes over a record that another run left unfinished.
    ///
    /// # Errors
    /// There is none, or the store does not answer.
    pub(crate) async fn resume(store: &impl Store, id: &ReleaseId) -> Result<Self, ReleaseError> {
        let object = store.get(&key(id)).await?;
        let object = object.ok_or_else(|| ReleaseError::Unknown(id.to_string()))?;
        let release = parse(store, &key(id), &object.body)?;
        Ok(Self { release, version: object.version })
    }

    /// Writes it as it is now.
    ///
    /// # Errors
    /// The store does not answer, or somebody else has written it.
    pub(crate) async fn save(&mut self, store: &impl Store) -> Result<(), ReleaseError> {
        let (key, body) = (key(&self.release.id), bytes(&self.release));
        let put = store.put(&key, &body, &If::Is(self.version.clone())).await;
        self.version = match put {
            Ok(Some(version)) => version,
            Err(StoreError::Cloud(error)) if !error.is_passing() => {
                return Err(StoreError::Cloud(error).into());
            }
            Ok(None) | Err(_) => match store.get(&key).await? {
                Some(object) if object.body == body => object.version,
                _ => {
                    put?;
                    return Err(ReleaseError::Changed(self.release.id.to_string()));
                }
            },
        };
        Ok(())
    }

    /// Notes how it ended.
    pub(crate) fn finish(&mut self, outcome: Outcome, now: SystemTime) {
        self.release.outcome = outcome;
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.release.finished = Some(since.as_secs());
    }
}

/// The newest releases, at most so many, the newest first.
///
/// # Errors
/// The store does not answer, or has something that is no record.
pub(crate) async fn newest(store: &impl Store, most: usize) -> Result<Vec<Release>, ReleaseError> {
    let keys = store.list(PREFIX).await?;
    let mut ids: Vec<ReleaseId> = keys.iter().filter_map(|key| id_of(key)).collect();
    ids.sort_unstable_by_key(|id| Reverse(id.clone()));
    ids.truncate(most);
    let found = futures_util::future::join_all(ids.iter().map(|id| find(store, id))).await;
    found.into_iter().collect()
}

/// A release.
///
/// # Errors
/// There is none of that name, or the store does not answer.
pub(crate) async fn find(store: &impl Store, id: &ReleaseId) -> Result<Release, ReleaseError> {
    Ok(Record::resume(store, id).await?.release)
}

/// The newest that has run, before `than` if that is given: where a rollback goes.
#[must_use]
pub(crate) fn last_good<'a>(
    releases: &'a [Release],
    than: Option<&ReleaseId>,
) -> Option<&'a Release> {
    let earlier = |release: &&Release| than.is_none_or(|than| release.id < *than);
    releases.iter().filter(earlier).filter(|release| release.is_good()).max_by_key(|one| &one.id)
}

/// The newest that has run and has a service of its own: a release of one service alone says nothing
/// about the other.
#[must_use]
pub(crate) fn last_good_of(releases: &[Release], who: ServiceName) -> Option<&Release> {
    let has = |release: &&Release| release.is_good() && release.own_of(who).is_some();
    releases.iter().filter(has).max_by_key(|one| &one.id)
}

/// What a service runs, or ran, because of releases that were cut off or ended badly, and of no
/// good one: nothing to go back to.
#[must_use]
pub(crate) fn suspects(releases: &[Release], who: ServiceName) -> Vec<String> {
    let run_by = |release: &Release| release.own_of(who)?.task_definition.clone();
    let good: Vec<String> =
        releases.iter().filter(|one| one.is_good()).filter_map(run_by).collect();
    let bad = |one: &&Release| one.is_unproved();
    let bad = releases.iter().filter(bad).filter_map(run_by);
    bad.filter(|arn| !good.contains(arn)).collect()
}

fn key(id: &ReleaseId) -> String {
    format!("{PREFIX}{id}.json")
}

fn id_of(key: &str) -> Option<ReleaseId> {
    key.strip_prefix(PREFIX)?.strip_suffix(".json")?.parse().ok()
}

fn parse(store: &impl Store, key: &str, body: &[u8]) -> Result<Release, StoreError> {
    serde_json::from_slice(body).map_err(|cause| StoreError::Odd {
        bucket: store.name().to_owned(),
        key: key.to_owned(),
        cause: cause.to_string(),
    })
}

fn bytes(release: &Release) -> Vec<u8> {
    // A struct of texts and numbers can always be written.
    serde_json::to_vec_pretty(release).unwrap_or_default()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::memory::Memory;
    use super::*;

    pub(crate) fn draft(id: ReleaseId, started: u64) -> Release {
        Release {
            id,
            run: "a".to_owned(),
            outcome: Outcome::Started,
            version: "c0ffee".to_owned(),
            subject: "Ask before removing a user".to_owned(),
            branch: Some("main".to_owned()),
            who: "ada@laptop".to_owned(),
            started,
            finished: None,
            rollback_to: None,
            services: BTreeMap::new(),
            migrations: Vec::new(),
            migration: None,
            timings: vec![("build".to_owned(), 1.5)],
            note: None,
        }
    }

    /// What a release has of a service, before anything is known of it.
    pub(crate) fn record(state: ServiceState) -> ServiceRecord {
        ServiceRecord {
            image: String::new(),
            inputs: String::new(),
            version: None,
            task_definition: None,
            before: None,
            state,
            evidence: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn numbers_go_up_within_a_day_also_past_nine() {
        let store = Memory::new();
        for number in 1..=11 {
            let record = Record::begin(&store, draft).await.unwrap();
            assert_eq!(record.release.id.to_string(), format!("2026-11-18.{number}"));
        }
        let newest = newest(&store, 3).await.unwrap();
        let ids: Vec<_> = newest.iter().map(|release| release.id.to_string()).collect();
        assert_eq!(ids, ["2026-11-18.11", "2026-11-18.10", "2026-11-18.9"]);
    }

    #[tokio::test(start_paused = true)]
    async fn two_at_once_get_two_numbers_and_a_lost_answer_costs_none() {
        let store = Memory::new();
        store.lose(&[1]);
        let (one, other) = tokio::join!(Record::begin(&store, draft), Record::begin(&store, draft));
        let ids = [one.unwrap().release.id.number, other.unwrap().release.id.number];
        assert!(ids == [1, 2] || ids == [1, 1], "{ids:?}");
        // The same contents under one name are one record: whoever deploys holds the lock.
        let mut record = Record::begin(&store, draft).await.unwrap();
        record.finish(Outcome::Released, store.now());
        store.lose(&[4]);
        record.save(&store).await.unwrap();
        assert!(find(&store, &record.release.id).await.unwrap().is_good());
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_takes_no_writes_is_not_asked_for_ever() {
        let store = Memory::new();
        store.refuse_writes(true);
        let begin = tokio::time::Instant::now();
        let error = Record::begin(&store, draft).await.unwrap_err();
        assert!(error.to_string().contains("s3:PutObject"), "{error}");
        let took = begin.elapsed();
        assert!(took >= Duration::from_mins(2) && took < Duration::from_secs(130), "{took:?}");
        assert!(store.writes() < 40, "{} tries", store.writes());
    }

    #[tokio::test(start_paused = true)]
    async fn somebody_else_s_writing_is_not_overwritten() {
        let store = Memory::new();
        let mut mine = Record::begin(&store, draft).await.unwrap();
        let mut theirs = Record::resume(&store, &mine.release.id).await.unwrap();
        theirs.finish(Outcome::RolledBack, store.now());
        theirs.save(&store).await.unwrap();
        mine.finish(Outcome::Released, store.now());
        assert!(matches!(mine.save(&store).await, Err(ReleaseError::Changed(_))));
    }

    #[test]
    fn a_rollback_goes_to_the_last_that_has_run() {
        let release = |number, outcome| {
            let id = ReleaseId { day: "2026-11-18".to_owned(), number };
            Release { outcome, ..draft(id, 0) }
        };
        let releases = [
            release(12, Outcome::Started),
            release(11, Outcome::RolledBack),
            release(10, Outcome::Released),
            release(9, Outcome::Released),
        ];
        assert_eq!(last_good(&releases, None).unwrap().id.number, 10);
        assert_eq!(last_good(&releases, Some(&releases[2].id)).unwrap().id.number, 9);
        assert_eq!(last_good(&releases, Some(&releases[3].id)), None);
    }

    #[test]
    fn a_release_of_one_service_says_nothing_about_the_other() {
        let release = |number, services: &[ServiceName]| {
            let id = ReleaseId { day: "2026-11-18".to_owned(), number };
            let mut release = Release { outcome: Outcome::Released, ..draft(id, 0) };
            for who in services {
                release.services.insert(*who, record(ServiceState::Rolled));
            }
            release
        };
        let (users, client) = (ServiceName::Users, ServiceName::Client);
        let mut releases = [release(2, &[client]), release(1, &[users, client])];
        assert_eq!(last_good_of(&releases, users).unwrap().id.number, 1);
        // That it names what the other runs makes no difference.
        let mut kept = releases[1].services[&users].clone();
        (kept.state, kept.version) = (ServiceState::Kept, Some(String::new()));
        releases[0].services.insert(users, kept);
        assert_eq!(last_good_of(&releases, users).unwrap().id.number, 1);
        assert_eq!(releases[0].version_of(users), None);
        assert_eq!(releases[0].version_of(client), Some("c0ffee"));
        assert_eq!(last_good_of(&releases, client).unwrap().id.number, 2);
        assert_eq!(last_good_of(&releases[..1], users), None);
    }

    #[test]
    fn a_record_of_an_earlier_program_is_read() {
        let record = r#"{ "image": "a", "inputs": "b", "task_definition": null, "before": null,
                          "state": "rolled" }"#;
        let record: ServiceRecord = serde_json::from_str(record).unwrap();
        assert_eq!((record.version, record.state), (None, ServiceState::Rolled));
    }

    #[test]
    fn what_is_no_release_is_said_so() {
        for text in ["", "2026-11-23", "2026-11-23.0", "2026-13-01.1", "2026-1-1.1", "prod"] {
            assert!(text.parse::<ReleaseId>().is_err(), "{text}");
        }
        let id: ReleaseId = "2026-11-23.2".parse().unwrap();
        assert!(id < "2026-11-23.10".parse().unwrap());
    }
}
