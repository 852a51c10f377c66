//! `rollback`: an earlier release, again.

use std::time::Duration;

use clap::Args;
use tokio::time::Instant;

use super::Common;
use super::release::{Making, Opening, conclude, limits, make, open};
use super::site::Site;
use crate::deploy::{Definition, Job, OnFailure, OnInterrupt, Owner, ServiceJob, held};
use crate::error::Error;
use crate::images::source::Revision;
use crate::interrupt::Stop;
use crate::store::release::{
    Release, ReleaseId, ServiceRecord, ServiceState, find, last_good, last_good_of, suspects,
};
use crate::tell::{INDENT, Screen, Tell as _};

/// Go back to an earlier release
///
/// The same task definitions run again: nothing is built and nothing is registered. The database
/// stays as it is, so the earlier release has to get along with it.
#[derive(Debug, Args)]
pub(crate) struct Rollback {
    /// Which, as `history` lists them [default: the one before the one that serves]
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
                None => earlier(&observed.releases).ok_or(RollbackError::Nothing)?,
            };
            if !target.is_good() {
                let outcome = target.outcome.to_string();
                return Err(RollbackError::NotGood { id: target.id, outcome }.into());
            }
            let source = Revision {
                commit: target.version.trim_end_matches("-dirty").to_owned(),
                subject: target.subject.clone(),
                branch: target.branch.clone(),
                dirty: target.version.ends_with("-dirty"),
                time: String::new(),
            };
            screen.line(&format!("rollback  to {}: {source}", target.id));
            let mut services = Vec::new();
            let mut images = std::collections::BTreeMap::new();
            for (who, record) in &target.services {
                let Some(arn) = &record.task_definition else { continue };
                let service = config.service(*who);
                let now = observed.services.get(who).and_then(|one| one.service.as_ref());
                let now = now.map(|service| service.task_definition.clone());
                screen.line(&format!("{INDENT}~ {who:8} {}", crate::cloud::short(arn)));
                let last_good = last_good_of(&observed.releases, *who);
                let last_good = last_good.and_then(|release| release.services.get(who));
                services.push(ServiceJob {
                    who: *who,
                    level: service.level,
                    service: service.ecs_service.clone(),
                    definition: Definition::Known(arn.clone()),
                    create: serde_json::Value::Null,
                    settings: serde_json::Value::Null,
                    last_good: last_good.and_then(|record| record.task_definition.clone()),
                    suspects: suspects(&observed.releases, *who),
                });
                let state = ServiceState::Pending;
                images.insert(
                    *who,
                    ServiceRecord { before: now, state, evidence: None, ..record.clone() },
                );
            }
            let timeout = self.timeout.map_or(config.timeout, Duration::from_secs);
            let back = ["rollback".to_owned(), target.id.to_string()];
            let id = target.id.clone();
            let opening = Opening { source: &source, images, rollback_to: Some(id), owner: &owner };
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
            make(&config, &site, &screen, making, stop).await
        };
        let patience = Duration::from_secs(self.wait);
        let report = held(&site.store, &owner, patience, &screen, stop, work).await??;
        conclude(common, &report)
    }
}

/// The good release before the one that serves. A rollback serves what it went back to: the one
/// before that counts, or two rollbacks in a row would go to and fro.
fn earlier(releases: &[Release]) -> Option<Release> {
    let serving = last_good(releases, None)?;
    let origin = serving.rollback_to.as_ref().unwrap_or(&serving.id);
    let mut than = origin.clone();
    loop {
        let found = last_good(releases, Some(&than))?;
        if found.rollback_to.is_none() && found.version != serving.version {
            return Some(found.clone());
        }
        than = found.id.clone();
    }
}
