//! `deploy`: from a commit to a release that is seen to serve.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use tokio::time::Instant;

use super::Common;
use super::prospect::Prospect;
use super::push::ship;
use super::release::{Making, Report, conclude, limits, make};
use super::site::Site;
use crate::config::{Config, ServiceName};
use crate::deploy::{
    Definition, End, Job, Migration, OnFailure, OnInterrupt, Outcome, Owner, ServiceJob, half_done,
    held,
};
use crate::error::Error;
use crate::interrupt::Stop;
use crate::plan::Action;
use crate::report::answer;
use crate::stale;
use crate::store::release::{Release, ServiceRecord, ServiceState, last_good, suspects};
use crate::tell::{Screen, Tell as _};

/// Build, push, migrate, roll out, and check the result
///
/// What serves already is left alone. A release that does not come up, or does not answer as it
/// should, is taken back, and only what was seen to be back is called so.
#[derive(Debug, Args)]
pub(crate) struct Deploy {
    /// Show the plan, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Only this service
    #[arg(long, value_enum)]
    service: Option<ServiceName>,
    /// Deploy the images that the registry has under this tag (a commit), and build none
    #[arg(long, value_name = "TAG")]
    image_tag: Option<String>,
    /// Fail where an image would have to be built
    #[arg(long)]
    no_build: bool,
    /// Give up after so many seconds, and roll back [default: deploy.timeout]
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Wait so many seconds for somebody else who deploys
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    wait: u64,
    /// What a failure means for the other services
    #[arg(long, value_enum, default_value_t)]
    on_failure: OnFailure,
    /// What Ctrl-C means while services move
    #[arg(long, value_enum, default_value_t)]
    on_interrupt: OnInterrupt,
    /// Deploy although the branch, or what serves, is ahead of HEAD
    #[arg(long)]
    allow_stale: bool,
}

/// Why nothing was begun.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeployError {
    #[error(
        "the registry has no image of {service} for {version}{}", if *.by_tag {
            ": push it, or name another tag"
        } else {
            ": leave out --no-build, or `cargo xtask push` first"
        }
    )]
    NoImage { service: ServiceName, version: String, by_tag: bool },
    #[error(transparent)]
    Stale(#[from] stale::Stale),
    #[error(
        "there is no cluster {name}: `cargo xtask infra apply` makes it, or set aws.cluster in {}",
        crate::config::PATH
    )]
    NoCluster { name: String },
}

impl DeployError {
    /// One of [`crate::exit_code`]'s.
    #[must_use]
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::NoImage { .. } => crate::exit_code::BUILD,
            Self::Stale(_) | Self::NoCluster { .. } => crate::exit_code::CONFIGURATION,
        }
    }
}

impl Deploy {
    /// Plans and does it.
    pub(crate) async fn run(&self, common: &Common, stop: &Stop) -> Result<(), Error> {
        let began = Instant::now();
        let config = common.config()?;
        let site = stop.or_interrupted(Site::connect(&config)).await?;
        let look = self.look(&config, &site, stop);
        let prospect = stop.or_interrupted(look).await?;
        if self.dry_run {
            return Ok(answer(common.output, &prospect.plan)?);
        }
        let screen = Screen::new();
        for line in prospect.plan.to_string().lines() {
            screen.line(line);
        }
        if prospect.observed.cluster.is_none() {
            return Err(DeployError::NoCluster { name: config.cluster.clone() }.into());
        }
        let cut_off = prospect.observed.releases.first().is_some_and(Release::is_unfinished);
        if !prospect.plan.is_pending() && !cut_off {
            let version = prospect.source.revision.version();
            let outcome = Outcome::unchanged(prospect.images.iter().map(|one| one.service.name));
            return conclude(common, &Report { release: None, version, exit_code: 0, outcome });
        }
        let version: String = prospect.source.revision.version().chars().take(7).collect();
        let owner = Owner::new(&format!("deploy {version}"));
        let patience = Duration::from_secs(self.wait);
        let asked = Instant::now();
        let work = async || {
            self.under_lock(&config, &site, prospect, &owner, &screen, (began, asked), stop).await
        };
        let report = held(&site.store, &owner, patience, &screen, stop, work).await??;
        conclude(common, &report)
    }

    async fn look(&self, config: &Config, site: &Site, stop: &Stop) -> Result<Prospect, Error> {
        let tag = self.image_tag.as_deref();
        Prospect::new(config, site, self.service, tag, !self.dry_run, stop).await
    }

    #[expect(clippy::too_many_arguments, reason = "all that a deploy is about")]
    async fn under_lock(
        &self,
        config: &Config,
        site: &Site,
        mut prospect: Prospect,
        owner: &Owner,
        screen: &Screen,
        (began, asked): (Instant, Instant),
        stop: &Stop,
    ) -> Result<Report, Error> {
        let (root, locked) = (std::env::current_dir()?, Instant::now());
        if asked.elapsed() > Duration::from_secs(1) {
            // Whoever had the lock has changed what there is.
            prospect = stop.or_interrupted(self.look(config, site, stop)).await?;
        }
        let good = last_good(&prospect.observed.releases, None).cloned();
        if !self.allow_stale && self.image_tag.is_none() {
            let serves = good.as_ref().map(|release| {
                (release.version.trim_end_matches("-dirty").to_owned(), release.id.to_string())
            });
            let serves = serves.as_ref().map(|(version, id)| (&**version, &**id));
            let stale = stale::look(&root, Some(&config.branch), serves, stop).await?;
            if let Some(stale) = stale {
                return Err(DeployError::Stale(stale).into());
            }
        }
        for release in prospect.observed.releases.iter().filter(|one| one.is_unfinished()).take(1) {
            screen.line(&format!("          {}", half_done(release)));
        }
        let mut stages = vec![("plan", began), ("lock", asked), ("check", locked)];
        stages.push(("build", Instant::now()));
        self.build(config, &mut prospect, screen, stop).await?;
        stages.push(("", Instant::now()));
        let (job, images) = self.job(config, &prospect)?;
        let timeout = self.timeout.map_or(config.timeout, Duration::from_secs);
        let making = Making {
            source: prospect.source.revision.clone(),
            job,
            images,
            rollback_to: None,
            observed: &prospect.observed,
            who: &owner.who,
            token: &owner.token,
            limits: limits(timeout.saturating_sub(began.elapsed())),
            began: stages,
        };
        make(config, site, screen, making, stop).await
    }

    /// Makes the images that are missing.
    async fn build(
        &self,
        config: &Config,
        prospect: &mut Prospect,
        screen: &Screen,
        stop: &Stop,
    ) -> Result<(), Error> {
        let missing: Vec<_> = prospect
            .images
            .iter()
            .filter(|image| prospect.known.get(&image.service.name).is_none_or(Option::is_none))
            .cloned()
            .collect();
        let Some(first) = missing.first() else { return Ok(()) };
        let by_tag = self.image_tag.is_some();
        if by_tag || self.no_build {
            let (service, version) = (first.service.name, first.version.clone());
            return Err(DeployError::NoImage { service, version, by_tag }.into());
        }
        for image in ship(config, &prospect.source, missing, false, stop).await? {
            let text = image.one_line();
            screen.done("build", image.service.as_str(), &text);
            prospect.known.insert(image.service, Some(image.reference));
        }
        Ok(())
    }

    /// What has to be done, and what the record says before it is.
    fn job(
        &self,
        config: &Config,
        prospect: &Prospect,
    ) -> Result<(Job, BTreeMap<ServiceName, ServiceRecord>), Error> {
        let observed = &prospect.observed;
        let good = last_good(&observed.releases, None);
        let mut services = Vec::new();
        let mut records = BTreeMap::new();
        for image in &prospect.images {
            let who = image.service.name;
            let Some(Some(reference)) = prospect.known.get(&who) else { continue };
            let running = observed.services.get(&who);
            let plan = prospect.plan.services.iter().find(|plan| plan.service == who);
            let current = running.and_then(|running| running.task_definition.as_ref());
            let unchanged = plan.is_some_and(|plan| plan.action == Action::Unchanged);
            let definition = match current.filter(|_| unchanged) {
                Some(current) => Definition::Known(current.arn.clone()),
                None => Definition::New(prospect.desired.task_definition(who, reference)?.document),
            };
            let known = good.and_then(|good| good.services.get(&who));
            services.push(ServiceJob {
                who,
                level: image.service.level,
                service: image.service.ecs_service.clone(),
                definition,
                create: prospect.desired.create(who),
                settings: prospect.desired.settings(who, observed),
                last_good: known.and_then(|known| known.task_definition.clone()),
                suspects: suspects(&observed.releases, who),
            });
            records.insert(
                who,
                ServiceRecord {
                    image: reference.clone(),
                    inputs: image.inputs.clone(),
                    task_definition: None,
                    before: current.map(|current| current.arn.clone()),
                    state: if unchanged { ServiceState::Unchanged } else { ServiceState::Pending },
                },
            );
        }
        let users = config.service(ServiceName::Users);
        let migrate = prospect.plan.migrates.then(|| Migration {
            who: ServiceName::Users,
            container: users.container.clone(),
            command: vec!["migrate".to_owned()],
        });
        let (on_failure, on_interrupt) = (self.on_failure, self.on_interrupt);
        let verify = observed.releases.first().is_some_and(Release::is_unfinished);
        Ok((Job { services, migrate, verify, on_failure, on_interrupt }, records))
    }
}

impl Outcome {
    /// Of a deploy that had nothing to do.
    fn unchanged(services: impl Iterator<Item = ServiceName>) -> Self {
        let mut outcome = Self::of_services(services);
        outcome.all_unchanged();
        outcome.end = End::Unchanged;
        outcome
    }
}
