//! `rollback`: an earlier release, again.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use tokio::time::Instant;

use super::Common;
use super::release::{
    Making, Opening, conclude, is_unproved, kept, limits, make, open, promote_all,
};
use super::site::Site;
use crate::cloud::short;
use crate::config::ServiceName;
use crate::deploy::{Definition, End, Job, OnFailure, OnInterrupt, Owner, ServiceJob, held};
use crate::error::Error;
use crate::images::plan::Image;
use crate::images::source::Revision;
use crate::interrupt::Stop;
use crate::observe::{Observed, RECORDS};
use crate::store::Store;
use crate::store::release::{
    Release, ReleaseError, ReleaseId, ServiceRecord, ServiceState, find, last_good, last_good_of,
    newest, suspects,
};
use crate::tell::{INDENT, Screen, Tell as _};

/// Go back to an earlier release
///
/// Every service runs again the task definition that it ran after that release, also those that the
/// release left as they were: nothing is built and nothing is registered. The database stays as it
/// is, so the earlier release has to get along with it. Where what runs now never went well, as
/// after a deploy that was cut off, the one before it is the last that did.
#[derive(Debug, Args)]
pub(crate) struct Rollback {
    /// Which, as `history` lists them [default: the good one before what runs now]
    #[arg(value_name = "RELEASE")]
    release: Option<ReleaseId>,
    /// Give up after so many seconds [default: deploy.timeout]
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Wait so many seconds for somebody else who deploys
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    wait: u64,
    /// What Ctrl-C means while services move
    #[arg(long, value_enum, default_value_t)]
    on_interrupt: OnInterrupt,
}

/// Why there is nothing to go back to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RollbackError {
    #[error("there is no earlier release to go back to; `cargo xtask history` lists all")]
    Nothing,
    #[error(
        "release {id} is {outcome}: only one that has run can run again; `cargo xtask history` \
         lists all"
    )]
    NotGood { id: ReleaseId, outcome: String },
}

impl Rollback {
    /// Does it.
    pub(crate) async fn run(&self, common: &Common, stop: &Stop) -> Result<(), Error> {
        let began = Instant::now();
        let config = common.config()?;
        let site = stop.or_interrupted(Site::connect(&config)).await?;
        let what = self
            .release
            .as_ref()
            .map_or_else(|| "rollback".to_owned(), |id| format!("rollback {id}"));
        let (owner, screen) = (Owner::new(&what), Screen::new());
        let work = async || {
            let observed = stop.or_interrupted(site.observe(&config)).await?;
            let target = match &self.release {
                Some(id) => find(&site.store, id).await?,
                None => before(&site.store, &observed).await?.ok_or(RollbackError::Nothing)?,
            };
            if !target.is_good() {
                let outcome = target.outcome.to_string();
                return Err(RollbackError::NotGood { id: target.id, outcome }.into());
            }
            let source = revision(&target, &target.version);
            screen.line(&format!("rollback  to {}: {source}", target.id));
            let mut services = Vec::new();
            let mut records = BTreeMap::new();
            let mut images = Vec::new();
            for service in config.services(None) {
                let who = service.name;
                let now = kept(&config, &observed, who);
                let runs = now.task_definition.clone();
                let there = runs.as_deref().map_or("there is none", short);
                let part = part(&target, who);
                screen.line(&format!("{INDENT}{}", part.sentence(who, &target, there)));
                let Part::Back { record, arn, version } = part else {
                    records.insert(who, now);
                    continue;
                };
                let last_good = last_good_of(&observed.releases, who);
                let last_good = last_good.and_then(|release| release.services.get(&who));
                services.push(ServiceJob {
                    who,
                    level: service.level,
                    service: service.ecs_service.clone(),
                    definition: Definition::Known(arn.to_owned()),
                    create: serde_json::Value::Null,
                    settings: serde_json::Value::Null,
                    last_good: last_good.and_then(|record| record.task_definition.clone()),
                    suspects: suspects(&observed.releases, who),
                });
                let version = version.unwrap_or_default();
                let of = revision(&target, version);
                images.push((Image::new(&config, service, &of), record.image.clone()));
                let record = ServiceRecord {
                    version: Some(version.to_owned()),
                    before: runs,
                    state: ServiceState::Pending,
                    evidence: None,
                    ..record.clone()
                };
                records.insert(who, record);
            }
            let timeout = self.timeout.map_or(config.timeout, Duration::from_secs);
            let back = ["rollback".to_owned(), target.id.to_string()];
            let id = target.id.clone();
            let opening = Opening {
                source: &source,
                images: records,
                migrations: Vec::new(),
                rollback_to: Some(id),
                owner: &owner,
            };
            let making = Making {
                record: open(&site, opening).await?,
                job: Job {
                    services,
                    migrate: None,
                    verify: true,
                    on_failure: OnFailure::RollbackAll,
                    on_interrupt: self.on_interrupt,
                },
                observed: &observed,
                limits: limits(timeout),
                resume: common.command(back),
                began: vec![("plan", began), ("", Instant::now())],
            };
            let report = make(&config, &site, &screen, making, stop).await?;
            // Of services that ran this already, too: whatever moved the tag, this is what serves.
            if matches!(report.outcome.end, End::Released) {
                promote_all(&config, images, &screen, stop).await;
            }
            Ok::<_, Error>(report)
        };
        let patience = Duration::from_secs(self.wait);
        let report = held(&site.store, &owner, patience, &screen, stop, work).await??;
        conclude(common, &report)
    }
}

/// What a rollback does with a service.
#[derive(Debug, PartialEq, Eq)]
enum Part<'a> {
    /// It runs again what it ran then.
    Back {
        /// What the release says of it.
        record: &'a ServiceRecord,
        /// The ARN of what it ran.
        arn: &'a str,
        /// Its commit, if that is known.
        version: Option<&'a str>,
    },
    /// There was no such service then.
    Absent,
    /// The release is of an earlier program, which wrote down only what it changed.
    Unknown,
}

fn part(target: &Release, who: ServiceName) -> Part<'_> {
    let Some(record) = target.services.get(&who) else { return Part::Unknown };
    match &record.task_definition {
        Some(arn) => Part::Back { record, arn, version: target.version_of(who) },
        None => Part::Absent,
    }
}

impl Part<'_> {
    /// In a line; `now` is what the service runs.
    fn sentence(&self, who: ServiceName, target: &Release, now: &str) -> String {
        match self {
            Self::Back { arn, version, .. } => {
                let other = version.filter(|version| *version != target.version);
                let other = other.map(|version| version.chars().take(7).collect::<String>());
                let other = other.map(|version| format!(" ({version})")).unwrap_or_default();
                format!("~ {who:8} {}{other}", short(arn))
            }
            Self::Absent => format!("= {who:8} was not there yet: left as it is ({now})"),
            Self::Unknown => {
                format!("! {who:8} {} does not say what it ran: left as it is ({now})", target.id)
            }
        }
    }
}

/// A commit of a release, as if it lay here.
fn revision(target: &Release, version: &str) -> Revision {
    Revision {
        commit: version.trim_end_matches("-dirty").to_owned(),
        subject: target.subject.clone(),
        branch: target.branch.clone(),
        dirty: version.ends_with("-dirty"),
        time: String::new(),
    }
}

/// The good release before what runs now, however far back it is.
async fn before(store: &impl Store, observed: &Observed) -> Result<Option<Release>, ReleaseError> {
    let runs = runs(observed);
    match earlier(&observed.releases, &runs) {
        Some(found) => Ok(Some(found)),
        None => Ok(earlier(&newest(store, RECORDS).await?, &runs)),
    }
}

/// The ARN of what each service runs, of those that there are.
fn runs(observed: &Observed) -> BTreeMap<ServiceName, String> {
    let services = observed.services.iter();
    let runs = services.filter_map(|(who, one)| Some((*who, one.service.as_ref()?)));
    runs.map(|(who, service)| (who, service.task_definition.clone())).collect()
}

/// The good release before what runs now. If that is not the last good one, because a deploy was cut
/// off or ended badly since, or somebody else moved a service, it is the last good one itself.
///
/// A rollback serves what it went back to: the one before that counts, or two rollbacks in a row
/// would go to and fro.
fn earlier(releases: &[Release], runs: &BTreeMap<ServiceName, String>) -> Option<Release> {
    let serving = last_good(releases, None)?;
    if is_unproved(releases) || !is_run(serving, runs) {
        return Some(serving.clone());
    }
    let mut than = origin(releases, serving);
    loop {
        let found = last_good(releases, Some(&than))?;
        if found.rollback_to.is_none() && differs(found, serving) {
            return Some(found.clone());
        }
        than = found.id.clone();
    }
}

/// The release that a rollback went back to in the end; any other's is itself.
fn origin(releases: &[Release], release: &Release) -> ReleaseId {
    let mut origin = release.id.clone();
    let mut next = release.rollback_to.as_ref();
    while let Some(to) = next.filter(|to| **to < origin) {
        origin = to.clone();
        next =
            releases.iter().find(|one| one.id == origin).and_then(|one| one.rollback_to.as_ref());
    }
    origin
}

/// Whether services run what a release says of them, as far as it says anything.
fn is_run(release: &Release, runs: &BTreeMap<ServiceName, String>) -> bool {
    let mut both = runs.iter().filter_map(|(who, runs)| {
        Some((runs, release.services.get(who)?.task_definition.as_ref()?))
    });
    both.all(|(runs, said)| runs == said)
}

/// Whether releases run different things, as far as both say what they run.
fn differs(one: &Release, other: &Release) -> bool {
    let mut both = one.services.iter().filter_map(|(who, record)| {
        Some((&record.task_definition, &other.services.get(who)?.task_definition))
    });
    one.version != other.version || both.any(|(one, other)| one != other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::release::Outcome;
    use crate::store::release::tests::{draft, record};

    /// A good release: each service's revision, whether it is about it, and its commit.
    fn release(number: u32, version: &str, services: &[(ServiceName, u32, bool, &str)]) -> Release {
        let id = format!("2026-11-18.{number}").parse().unwrap();
        let mut release = Release { outcome: Outcome::Released, ..draft(id, 0) };
        version.clone_into(&mut release.version);
        for (who, revision, is_own, version) in services {
            let record = ServiceRecord {
                image: format!("host/shop-{who}@sha256:{revision}"),
                version: (!is_own).then(|| (*version).to_owned()),
                task_definition: Some(format!("arn:task-definition/shop-{who}-td:{revision}")),
                ..record(if *is_own { ServiceState::Rolled } else { ServiceState::Kept })
            };
            release.services.insert(*who, record);
        }
        release
    }

    const USERS: ServiceName = ServiceName::Users;
    const CLIENT: ServiceName = ServiceName::Client;

    /// Where a rollback goes while `users` and `client` run these revisions.
    fn before(releases: &[Release], [users, client]: [u32; 2]) -> Option<String> {
        let arn = |who, revision| format!("arn:task-definition/shop-{who}-td:{revision}");
        let runs = [(USERS, users), (CLIENT, client)];
        let runs = runs.map(|(who, revision)| (who, arn(who, revision)));
        earlier(releases, &runs.into()).map(|one| one.id.to_string())
    }

    #[test]
    fn a_release_of_one_service_brings_both_back() {
        let target = release(2, "beef", &[(USERS, 2, true, ""), (CLIENT, 1, false, "c0ffee")]);
        let said = |target: &Release| {
            let line = |who| part(target, who).sentence(who, target, "shop-client-td:9");
            format!("{}\n{}", line(USERS), line(CLIENT))
        };
        insta::assert_snapshot!(said(&target), @r"
        ~ users    shop-users-td:2
        ~ client   shop-client-td:1 (c0ffee)
        ");
        let old = release(2, "beef", &[(USERS, 2, true, "")]);
        assert_eq!(part(&old, CLIENT), Part::Unknown);
        insta::assert_snapshot!(said(&old), @r"
        ~ users    shop-users-td:2
        ! client   2026-11-18.2 does not say what it ran: left as it is (shop-client-td:9)
        ");
        let mut first = target;
        first.services.get_mut(&CLIENT).unwrap().task_definition = None;
        assert_eq!(part(&first, CLIENT), Part::Absent);
    }

    #[test]
    fn the_one_before_is_the_one_that_ran_something_else() {
        let releases = [
            release(4, "beef", &[(USERS, 2, true, ""), (CLIENT, 2, true, "")]),
            release(3, "beef", &[(USERS, 2, false, "beef"), (CLIENT, 2, true, "")]),
            release(2, "beef", &[(USERS, 2, true, ""), (CLIENT, 1, false, "c0ffee")]),
            release(1, "c0ffee", &[(USERS, 1, true, ""), (CLIENT, 1, true, "")]),
        ];
        assert_eq!(
            before(&releases, [2, 2]).as_deref(),
            Some("2026-11-18.2"),
            "4 only looked at what 3 did"
        );
        assert_eq!(before(&releases[2..], [2, 1]).as_deref(), Some("2026-11-18.1"));
        assert_eq!(before(&releases[3..], [1, 1]), None);
        let mut back = release(5, "beef", &[(USERS, 2, true, ""), (CLIENT, 1, true, "")]);
        back.rollback_to = Some(releases[2].id.clone());
        let after = [&[back.clone()][..], &releases].concat();
        assert_eq!(before(&after, [2, 1]).as_deref(), Some("2026-11-18.1"), "not to and fro");
        let mut again = Release { id: "2026-11-18.6".parse().unwrap(), ..back.clone() };
        again.rollback_to = Some(back.id);
        let after = [&[again][..], &after].concat();
        assert_eq!(before(&after, [2, 1]).as_deref(), Some("2026-11-18.1"), "nor in two steps");
    }

    #[test]
    fn from_what_never_went_well_it_goes_to_the_last_that_did() {
        let good = [
            release(2, "beef", &[(USERS, 2, true, ""), (CLIENT, 2, true, "")]),
            release(1, "c0ffee", &[(USERS, 1, true, ""), (CLIENT, 1, true, "")]),
        ];
        let newer = |number, outcome| {
            let newer = release(number, "dead", &[(USERS, 3, true, ""), (CLIENT, 3, true, "")]);
            Release { outcome, ..newer }
        };
        let (second, first) = (Some("2026-11-18.2".to_owned()), Some("2026-11-18.1".to_owned()));
        for outcome in [Outcome::Started, Outcome::Detached, Outcome::Broken, Outcome::InPart] {
            let releases = [&[newer(3, outcome)][..], &good].concat();
            assert_eq!(before(&releases, [3, 2]), second, "{outcome}");
            // One that left everything as it was makes it no better.
            for after in [Outcome::NotBegun, Outcome::RolledBack] {
                let releases = [&[newer(4, after)][..], &releases].concat();
                assert_eq!(before(&releases, [3, 2]), second, "{outcome}, {after}");
            }
            let only = [&[newer(3, outcome)][..], &good[1..]].concat();
            assert_eq!(before(&only, [3, 3]), first, "{outcome}");
        }
        for outcome in [Outcome::NotBegun, Outcome::RolledBack] {
            let releases = [&[newer(3, outcome)][..], &good].concat();
            assert_eq!(before(&releases, [2, 2]), first, "{outcome}");
        }
        assert_eq!(before(&good, [2, 9]), second, "somebody else has moved the client");
        let none = BTreeMap::new();
        assert_eq!(earlier(&good, &none).map(|one| one.id.to_string()), first, "nothing is known");
    }
}
