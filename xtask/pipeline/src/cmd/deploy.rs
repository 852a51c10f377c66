//! `deploy`: from a commit to a release that is seen to serve.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::{Args, ValueEnum as _};
use tokio::time::Instant;

use super::Common;
use super::prospect::Prospect;
use super::push::ship;
use super::release::{
    Making, Opening, Report, close, conclude, is_unproved, kept, limits, make, open, promote_all,
};
use super::site::Site;
use crate::config::{Config, ServiceName};
use crate::deploy::{
    Definition, End, Job, Migration, OnFailure, OnInterrupt, Outcome, Owner, ServiceJob, half_done,
    held,
};
use crate::error::Error;
use crate::images::source::Revision;
use crate::interrupt::Stop;
use crate::migrations::Migrations;
use crate::plan::Action;
use crate::report::{answer, human};
use crate::stale;
use crate::store::release::{ServiceRecord, ServiceState, last_good, last_good_of, suspects};
use crate::tell::{INDENT, Screen, Tell as _};

/// So many digits a commit has, in git's two kinds of repositories.
const SHA_1: usize = 40;
const SHA_256: usize = 64;

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
    /// Deploy the images that the registry has under this tag (a commit in full), and build none
    #[arg(long, value_name = "TAG", value_parser = tag)]
    image_tag: Option<String>,
    /// Fail where an image would have to be built
    #[arg(long)]
    no_build: bool,
    /// Give up so many seconds after it has begun, and roll back [default: deploy.timeout]
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Wait so many seconds for somebody else who deploys, before it begins
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

/// A tag that can be deployed: what comes up has to say that it is of this commit, and only images
/// of commits are found again.
fn tag(text: &str) -> Result<String, String> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if matches!(text.len(), SHA_1 | SHA_256) && text.bytes().all(is_digit) {
        return Ok(text.to_owned());
    }
    Err("an image is deployed by its commit in full, as `git rev-parse COMMIT` gives it; `cargo xtask \
         status` and `history` show which ones ran, and `cargo xtask rollback` brings one back"
        .to_owned())
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
    #[error(
        "the time limit of {} was over before anything had begun to change: nothing was done. What \
         was built until then makes the next deploy faster; or allow more with --timeout",
        human(*.timeout)
    )]
    NoTimeLeft { timeout: Duration },
}

impl DeployError {
    /// One of [`crate::exit_code`]'s.
    #[must_use]
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::NoImage { .. } => crate::exit_code::BUILD,
            Self::NoTimeLeft { .. } => crate::exit_code::TIMEOUT,
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
        let look = self.look(&config, &site, None, stop);
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
        if !prospect.plan.is_pending() && !is_unproved(&prospect.observed.releases) {
            return conclude(common, &unchanged(&prospect));
        }
        let version: String = prospect.source.revision.version().chars().take(7).collect();
        let owner = Owner::new(&format!("deploy {version}"));
        let patience = Duration::from_secs(self.wait);
        let asked = Instant::now();
        let work = async || {
            let times = (began, asked);
            self.under_lock(common, &config, &site, prospect, &owner, &screen, times, stop).await
        };
        let report = held(&site.store, &owner, patience, &screen, stop, work).await??;
        conclude(common, &report)
    }

    async fn look(
        &self,
        config: &Config,
        site: &Site,
        owner: Option<&Owner>,
        stop: &Stop,
    ) -> Result<Prospect, Error> {
        let tag = self.image_tag.as_deref();
        Prospect::new(config, site, self.service, tag, !self.dry_run, owner, stop).await
    }

    #[expect(clippy::too_many_arguments, reason = "all that a deploy is about")]
    async fn under_lock(
        &self,
        common: &Common,
        config: &Config,
        site: &Site,
        mut prospect: Prospect,
        owner: &Owner,
        screen: &Screen,
        (began, asked): (Instant, Instant),
        stop: &Stop,
    ) -> Result<Report, Error> {
        let (root, locked) = (std::env::current_dir()?, Instant::now());
        // Whoever had the lock before, and be it a moment ago, may have changed what there is.
        let planned = prospect.plan;
        prospect = stop.or_interrupted(self.look(config, site, Some(owner), stop)).await?;
        if prospect.plan != planned {
            screen.line(&format!("{INDENT}meanwhile somebody has changed something:"));
            for line in prospect.plan.to_string().lines() {
                screen.line(line);
            }
        }
        if !prospect.plan.is_pending() && !is_unproved(&prospect.observed.releases) {
            return Ok(unchanged(&prospect));
        }
        let good = last_good(&prospect.observed.releases, None).cloned();
        if !self.allow_stale && self.image_tag.is_none() {
            let serves = good.as_ref().map(|release| {
                (release.version.trim_end_matches("-dirty").to_owned(), release.id.to_string())
            });
            let serves = serves.as_ref().map(|(version, id)| (&**version, &**id));
            let looked = stale::look(&root, Some(&config.branch), serves, stop).await?;
            if let Some(unknown) = looked.unknown {
                screen.line(&format!("{INDENT}! {unknown}"));
            }
            if let Some(stale) = looked.stale {
                return Err(DeployError::Stale(stale).into());
            }
        }
        for release in prospect.observed.releases.iter().filter(|one| one.is_unfinished()).take(1) {
            screen.line(&format!("{INDENT}{}", half_done(release)));
        }
        let source = prospect.source.revision.clone();
        let images = records(config, &prospect);
        let migrations = match &prospect.plan.migrations {
            Migrations::Pending(names) if prospect.plan.migrates => names.clone(),
            _ => Vec::new(),
        };
        let opening = Opening { source: &source, images, migrations, rollback_to: None, owner };
        let mut record = open(site, opening).await?;
        let mut stages = vec![("plan", began), ("lock", asked), ("check", locked)];
        stages.push(("build", Instant::now()));
        let (job, left) = match self.prepare(config, &mut prospect, screen, locked, stop).await {
            Ok(prepared) => prepared,
            Err(error) => {
                close(site, record, &error, screen).await;
                return Err(error);
            }
        };
        stages.push(("", Instant::now()));
        // The first note of what is done takes it along.
        record.release.services = records(config, &prospect);
        let making = Making {
            record,
            job,
            observed: &prospect.observed,
            limits: limits(left),
            resume: self.resume(common, &source),
            began: stages,
        };
        let report = make(config, site, screen, making, stop).await?;
        if report.outcome.end == End::Released {
            let (images, mut known) = (prospect.images, prospect.known);
            let exact = images.into_iter().filter_map(|image| {
                let reference = known.remove(&image.service.name)??;
                Some((image, reference))
            });
            promote_all(config, exact.collect(), screen, stop).await;
        }
        Ok(report)
    }

    /// The command that goes on where this one leaves it to AWS.
    fn resume(&self, common: &Common, source: &Revision) -> String {
        let mut words = vec!["deploy".to_owned()];
        // Of uncommitted changes no image is found again: the same sources make it once more.
        if !source.dirty {
            words.extend(["--image-tag".to_owned(), source.version()]);
        }
        if let Some(service) = self.service {
            words.extend(["--service".to_owned(), service.to_string()]);
        }
        if let Some(choice) = self.on_failure.to_possible_value()
            && self.on_failure != OnFailure::default()
        {
            words.extend(["--on-failure".to_owned(), choice.get_name().to_owned()]);
        }
        if source.dirty && self.allow_stale {
            words.push("--allow-stale".to_owned());
        }
        common.command(words)
    }

    /// Makes the images that are missing, in what is left of the time since the lock was taken. Gives
    /// what has to be done, and how long it may take.
    async fn prepare(
        &self,
        config: &Config,
        prospect: &mut Prospect,
        screen: &Screen,
        locked: Instant,
        stop: &Stop,
    ) -> Result<(Job, Duration), Error> {
        let timeout = self.timeout.map_or(config.timeout, Duration::from_secs);
        let build = async |stop: &Stop| self.build(config, prospect, screen, stop).await;
        let built = stop.within(left(timeout, locked)?, build).await;
        built.unwrap_or_else(|| Err(DeployError::NoTimeLeft { timeout }.into()))?;
        Ok((self.job(config, prospect)?, left(timeout, locked)?))
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
        for image in ship(config, &prospect.source, missing, false, false, stop).await? {
            let text = image.one_line();
            screen.done("build", image.service.as_str(), &text);
            prospect.known.insert(image.service, Some(image.reference));
        }
        Ok(())
    }

    /// What has to be done.
    fn job(&self, config: &Config, prospect: &Prospect) -> Result<Job, Error> {
        let observed = &prospect.observed;
        let mut services = Vec::new();
        for image in &prospect.images {
            let who = image.service.name;
            let Some(Some(reference)) = prospect.known.get(&who) else { continue };
            let running = observed.services.get(&who);
            let current = running.and_then(|running| running.task_definition.as_ref());
            let unchanged = is_unchanged(prospect, who);
            let wanted = prospect.desired.task_definition(who, reference)?.document;
            let known = match current.filter(|_| unchanged) {
                Some(current) => Some(current),
                None => running.and_then(|running| running.registered(&wanted)),
            };
            let definition = match known {
                Some(known) => Definition::Known(known.arn.clone()),
                None => Definition::New(wanted),
            };
            let known = last_good_of(&observed.releases, who);
            let known = known.and_then(|good| good.services.get(&who));
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
        }
        let users = config.service(ServiceName::Users);
        let migrate = prospect.plan.migrates.then(|| Migration {
            who: ServiceName::Users,
            container: users.container.clone(),
            command: vec!["migrate".to_owned()],
        });
        let (on_failure, on_interrupt) = (self.on_failure, self.on_interrupt);
        let verify = is_unproved(&observed.releases);
        Ok(Job { services, migrate, verify, on_failure, on_interrupt })
    }
}

/// What is left of a time limit that began at a time.
fn left(timeout: Duration, since: Instant) -> Result<Duration, DeployError> {
    let left = timeout.saturating_sub(since.elapsed());
    if left.is_zero() { Err(DeployError::NoTimeLeft { timeout }) } else { Ok(left) }
}

fn is_unchanged(prospect: &Prospect, who: ServiceName) -> bool {
    let plan = prospect.plan.services.iter().find(|plan| plan.service == who);
    plan.is_some_and(|plan| plan.action == Action::Unchanged)
}

/// What the record says of the services before anything is done.
fn records(config: &Config, prospect: &Prospect) -> BTreeMap<ServiceName, ServiceRecord> {
    let others = config.services(None).map(|service| service.name);
    let others = others.map(|who| (who, kept(config, &prospect.observed, who)));
    let records = prospect.images.iter().map(|image| {
        let who = image.service.name;
        let running = prospect.observed.services.get(&who);
        let current = running.and_then(|running| running.task_definition.as_ref());
        let state = match is_unchanged(prospect, who) {
            true => ServiceState::Unchanged,
            false => ServiceState::Pending,
        };
        let record = ServiceRecord {
            image: prospect.known.get(&who).cloned().flatten().unwrap_or_default(),
            inputs: image.inputs.clone(),
            version: None,
            task_definition: None,
            before: current.map(|current| current.arn.clone()),
            state,
            evidence: None,
        };
        (who, record)
    });
    // Of those that are meant, the second counts.
    others.chain(records).collect()
}

/// Of a deploy that has nothing to do.
fn unchanged(prospect: &Prospect) -> Report {
    let services = prospect.images.iter().map(|image| image.service.name);
    let mut outcome = Outcome::of_services(services);
    outcome.all_unchanged();
    outcome.end = End::Unchanged;
    let version = prospect.source.revision.version();
    Report { release: None, version, exit_code: outcome.end.exit_code(), resume: None, outcome }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::FromArgMatches as _;

    fn resume(line: &str, dirty: bool) -> String {
        let line = format!("xtask {line}");
        let matches = crate::command_line().get_matches_from(line.split(' '));
        let cli = crate::Cli::from_arg_matches(&matches).unwrap();
        let crate::Command::Deploy(deploy) = cli.command else { panic!("{line}") };
        let source = Revision {
            commit: "c0ffee".to_owned(),
            subject: String::new(),
            branch: None,
            dirty,
            time: String::new(),
        };
        deploy.resume(&cli.common, &source)
    }

    #[tokio::test(start_paused = true)]
    async fn once_the_time_is_over_nothing_begins() {
        let (minute, began) = (Duration::from_mins(1), Instant::now());
        tokio::time::sleep(Duration::from_secs(59)).await;
        assert_eq!(left(minute, began).ok(), Some(Duration::from_secs(1)));
        tokio::time::sleep(Duration::from_secs(1)).await;
        let over = left(minute, began).unwrap_err();
        assert_eq!(over.exit_code(), crate::exit_code::TIMEOUT);
        assert!(over.to_string().contains("1m00s"), "{over}");
    }

    #[test]
    fn only_a_commit_in_full_is_a_tag() {
        let commit = "16c19f3c590987b2ef0adaa762517c2e0c742cb3";
        assert_eq!(tag(commit).as_deref(), Ok(commit));
        let dirty = format!("{commit}-dirty");
        for no in ["", "prod", "builder", "main", "16c19f3", &dirty, &commit.to_uppercase()] {
            let line = ["xtask", "deploy", "--image-tag", no];
            let refused = crate::command_line().try_get_matches_from(line).unwrap_err();
            assert!(refused.to_string().contains("git rev-parse"), "{no}: {refused}");
        }
    }

    #[test]
    fn the_command_that_goes_on_means_the_same_deploy() {
        let plain = "cargo xtask deploy --image-tag c0ffee";
        assert_eq!(resume("deploy --on-interrupt detach --timeout 9", false), plain);
        let all = " --service users --on-failure stop --config a.toml";
        assert_eq!(resume(&format!("deploy{all}"), false), format!("{plain}{all}"));
        // No image is found by a version that does not tell all.
        assert_eq!(resume("deploy", true), "cargo xtask deploy");
    }
}
