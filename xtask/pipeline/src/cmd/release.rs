//! What `deploy` and `rollback` have in common: a job done under the lock, with a record, and the
//! report about it.

use std::collections::BTreeMap;
use std::fmt::{Display, Formatter};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;

use super::Common;
use super::site::Site;
use crate::cloud::Cloud as _;
use crate::config::{Config, ServiceName};
use crate::decide::Limits;
use crate::deploy::{End, Job, Outcome, Owner, Recorder, run};
use crate::error::Error;
use crate::images::login;
use crate::images::plan::{Image, PROD};
use crate::images::push::promote;
use crate::images::source::Revision;
use crate::interrupt::Stop;
use crate::observe::Observed;
use crate::report::{answer, human};
use crate::rollout::Context;
use crate::smoke::{self, Expected};
use crate::store::release::{
    Outcome as Recorded, Record, Release, ReleaseId, ServiceRecord, ServiceState,
};
use crate::tell::{INDENT, Screen, Tell as _};

/// What is known of a release before anything is done for it.
pub(super) struct Opening<'a> {
    /// What is released, in words.
    pub(super) source: &'a Revision,
    /// The images, and what goes into them.
    pub(super) images: BTreeMap<ServiceName, ServiceRecord>,
    /// The migrations that are new in it, by name.
    pub(super) migrations: Vec<String>,
    /// The release that it goes back to, if it does.
    pub(super) rollback_to: Option<ReleaseId>,
    /// Whose deploy it is.
    pub(super) owner: &'a Owner,
}

/// A release to make.
pub(super) struct Making<'a> {
    /// Its record.
    pub(super) record: Record,
    /// What has to be done.
    pub(super) job: Job,
    /// What there was.
    pub(super) observed: &'a Observed,
    /// How long it may take, from now.
    pub(super) limits: Limits,
    /// The command that goes on with it, should AWS be left to.
    pub(super) resume: String,
    /// What the stages before took.
    pub(super) began: Vec<(&'static str, Instant)>,
}

/// What became of it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Report {
    /// `2026-11-23.2`; `None` if there was nothing to do.
    pub(crate) release: Option<String>,
    /// The commit, marked if it does not tell all.
    pub(crate) version: String,
    /// The program's exit code.
    pub(crate) exit_code: u8,
    /// The command that goes on with it, if AWS was left to.
    pub(crate) resume: Option<String>,
    /// The rest.
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
}

impl Report {
    fn short(&self) -> String {
        let dirty = if self.version.ends_with("-dirty") { "-dirty" } else { "" };
        format!("{}{dirty}", self.version.chars().take(7).collect::<String>())
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let release = self.release.as_deref().unwrap_or_default();
        let (version, time) = (self.short(), self.outcome.where_the_time_went());
        match &self.outcome.end {
            End::Released => writeln!(f, "released  {release} ({version}) in {time}"),
            End::Unchanged => writeln!(f, "unchanged {version} serves already"),
            End::Interrupted { detached: true, .. } => {
                writeln!(f, "detached  {release} ({version}) after {time}")
            }
            End::Interrupted { .. } => writeln!(f, "stopped   {release} ({version}) after {time}"),
            _ => writeln!(f, "failed    {release} ({version}) after {time}"),
        }
    }
}

/// Begins the record: from now on others see that somebody is at it, and how far it came.
pub(super) async fn open(site: &Site, opening: Opening<'_>) -> Result<Record, Error> {
    let Opening { source, images, migrations, rollback_to, owner } = opening;
    let draft = |id: ReleaseId, started: u64| Release {
        id,
        run: owner.token.clone(),
        outcome: Recorded::Started,
        version: source.version(),
        subject: source.subject.clone(),
        branch: source.branch.clone(),
        who: owner.who.clone(),
        started,
        finished: None,
        rollback_to,
        services: images,
        migrations,
        migration: None,
        timings: Vec::new(),
        note: None,
    };
    Ok(Record::begin(&site.store, draft).await?)
}

/// Ends a record of a release of which nothing came.
pub(super) async fn close(site: &Site, mut record: Record, error: &Error, screen: &Screen) {
    // Its first line: what a build wrote does not belong there.
    record.release.note = error.to_string().lines().next().map(str::to_owned);
    record.finish(Recorded::NotBegun, site.aws.now());
    if let Err(error) = record.save(&site.store).await {
        let id = &record.release.id;
        screen.line(&format!("the record of {id} could not be completed: {error}"));
    }
}

/// Does it, and completes the record after the last change.
pub(super) async fn make(
    config: &Config,
    site: &Site,
    screen: &Screen,
    making: Making<'_>,
    stop: &Stop,
) -> Result<Report, Error> {
    let Making { record, job, observed, limits, resume, began } = making;
    let version = record.release.version.clone();
    let expected = expected(&record.release, &job);
    let smoke = async || check(config, site, observed, &expected).await;
    let recorder = Recorder::new(&site.store, record, smoke);
    let context = Context { cloud: &site.aws, limits: &limits, tell: screen, stop };
    let mut outcome = run(&context, &recorder, &job).await;
    outcome.took_before(&began);
    let id = recorder.id().await;
    if let Err(error) = recorder.finish(&outcome, site.aws.now(), stop).await {
        screen.line(&format!("the record of {id} could not be completed: {error}"));
    }
    if outcome.end == End::Released {
        close_unfinished(site, observed, &id, screen).await;
    }
    let exit_code = outcome.end.exit_code();
    let detached = matches!(outcome.end, End::Interrupted { detached: true, .. });
    let resume = Some(resume).filter(|_| detached);
    Ok(Report { release: Some(id.to_string()), version, exit_code, resume, outcome })
}

/// Asks the application whether it is this release.
async fn check(
    config: &Config,
    site: &Site,
    observed: &Observed,
    expected: &Expected,
) -> Result<String, String> {
    // A first deploy may have waited for long: the load balancer is looked at as it is now.
    let now = site.observe(config).await;
    let observed = now.as_ref().unwrap_or(observed);
    let output = observed.outputs.as_ref().and_then(|outputs| outputs.get("Url"));
    let balancer = observed.balancer.as_ref();
    let url = smoke::url(config.url.as_deref(), output.map(String::as_str), balancer);
    let Some(url) = url else {
        return Err("there is no address to ask: no load balancer, and no aws.url".to_owned());
    };
    let seen = smoke::check(&url, &smoke::paths(balancer), expected, smoke::PATIENCE).await;
    if seen.ok { Ok(seen.to_string()) } else { Err(seen.to_string()) }
}

/// Which commit each service of a release is to answer with. A rollback may bring back two.
fn expected(release: &Release, job: &Job) -> Expected {
    let of = |who| {
        let is_moved = job.services.iter().any(|service| service.who == who);
        release.version_of(who).filter(|_| is_moved).map(str::to_owned)
    };
    Expected { users: of(ServiceName::Users), client: of(ServiceName::Client) }
}

/// What the record of a release says of a service that it leaves as it is.
pub(super) fn kept(config: &Config, observed: &Observed, who: ServiceName) -> ServiceRecord {
    let running = observed.services.get(&who);
    let arn = running.and_then(|running| Some(running.service.as_ref()?.task_definition.clone()));
    // The release that brought it there says what ECS does not.
    let recorded = observed.releases.iter().find_map(|release| {
        let record = release.services.get(&who)?;
        let is_it = arn.is_some() && record.task_definition == arn;
        is_it.then(|| (record.clone(), release.version_of(who).unwrap_or_default().to_owned()))
    });
    let (inputs, version) = match recorded {
        Some((record, version)) => (record.inputs, version),
        None => (String::new(), String::new()),
    };
    let definition = running.and_then(|running| running.task_definition.as_ref());
    let image = definition.and_then(|one| image_of(&one.document, &config.service(who).container));
    ServiceRecord {
        image: image.unwrap_or_default(),
        inputs,
        version: Some(version),
        task_definition: arn.clone(),
        before: arn,
        state: ServiceState::Kept,
        evidence: None,
    }
}

/// The image of one of a task definition's containers.
fn image_of(document: &Value, container: &str) -> Option<String> {
    let mut containers = document.get("containerDefinitions")?.as_array()?.iter();
    let ours = containers.find(|one| one.get("name").and_then(Value::as_str) == Some(container))?;
    ours.get("image")?.as_str().map(str::to_owned)
}

/// So long that may take, while everybody else waits for the lock.
const PROMOTING: Duration = Duration::from_mins(5);

/// Has `prod` name the images that were seen to serve, each by its digest. It only tells people and
/// other builds, so that this cannot be done makes no release worse.
pub(super) async fn promote_all(
    config: &Config,
    images: Vec<(Image, String)>,
    screen: &Screen,
    stop: &Stop,
) {
    let (images, dirty): (Vec<_>, Vec<_>) =
        images.into_iter().partition(|(image, _)| image.is_release);
    for (image, _) in dirty {
        let who = image.service.name;
        screen.line(&format!(
            "{INDENT}{who}: the tag {PROD} was not moved, as uncommitted changes do not move it"
        ));
    }
    let (mut exact, mut unknown) = (Vec::new(), Vec::new());
    for (image, reference) in images {
        match reference.split_once('@') {
            Some((_, digest)) => exact.push((image, digest.to_owned())),
            None => unknown.push(image.service.name),
        }
    }
    for who in unknown {
        screen.line(&format!(
            "{INDENT}{who}: the tag {PROD} was not moved, as no record says which image it runs"
        ));
    }
    if exact.is_empty() {
        return;
    }
    let promoted = async |stop: &Stop| {
        let session = login::sign_in(config, stop).await?;
        Ok::<_, Error>(promote(&session, exact, stop).await?)
    };
    let why = match stop.within(PROMOTING, promoted).await {
        Some(Ok(())) => return,
        Some(Err(error)) => error.to_string(),
        None => format!("the registry took longer than {}", human(PROMOTING)),
    };
    screen.line(&format!("{INDENT}the tag {PROD} was not moved: {why}"));
}

/// Whether nobody has seen what serves answer: the newest release that left anything changed was cut
/// off, or did not end well.
pub(super) fn is_unproved(releases: &[Release]) -> bool {
    let mut changed = releases
        .iter()
        .filter(|one| !matches!(one.outcome, Recorded::NotBegun | Recorded::RolledBack));
    changed.next().is_some_and(Release::is_unproved)
}

/// Notes that earlier releases which were cut off are done with: this one has replaced them.
async fn close_unfinished(site: &Site, observed: &Observed, by: &ReleaseId, screen: &Screen) {
    for release in observed.releases.iter().filter(|release| release.is_unfinished()) {
        let closed = async {
            let mut record = Record::resume(&site.store, &release.id).await?;
            record.release.note = Some(format!("cut off; replaced by {by}"));
            record.finish(Recorded::Broken, site.aws.now());
            record.save(&site.store).await
        };
        if let Err(error) = closed.await {
            screen.line(&format!("the record of {} stays unfinished: {error}", release.id));
        }
    }
}

/// Tells how it ended, and gives that as the command's end.
pub(super) fn conclude(common: &Common, report: &Report) -> Result<(), Error> {
    answer(common.output, report)?;
    match last_words(report) {
        None => Ok(()),
        Some(message) => Err(Error::Ended { message, exit_code: report.exit_code }),
    }
}

/// What a person reads last of a deploy that did not go well.
pub(crate) fn last_words(report: &Report) -> Option<String> {
    let restored = "what ran before runs again";
    let failure = report.outcome.first_failure();
    let failure = failure.map(|failure| format!("{failure}; ")).unwrap_or_default();
    Some(match &report.outcome.end {
        End::Released | End::Unchanged => return None,
        End::TaskFailed { message } => format!("{message}; no service was touched"),
        End::Failed { restored: true, kept, .. } => {
            let (back, kept_on) = (report.outcome.back(), names(&report.outcome.kept()));
            match (back.is_empty(), kept) {
                (true, false) => format!("{failure}nothing had moved"),
                (true, true) => {
                    format!("{failure}{kept_on} runs the new release on, as --on-failure asks")
                }
                (false, true) => format!(
                    "{failure}{} went back, and {kept_on} runs the new release on, as \
                     --on-failure asks",
                    names(&back)
                ),
                (false, false) => format!("{failure}rolled back: {restored}"),
            }
        }
        End::Failed { .. } if report.outcome.had_nothing_before() => {
            format!("{failure}it was the first release, so there is nothing to go back to")
        }
        End::SmokeFailed { message, restored: true, .. } => {
            format!("rolled back, because {message}: {restored}")
        }
        End::SmokeFailed { message, kept: true, .. } if report.outcome.kept().is_empty() => {
            format!("{message}; nothing had moved, so nothing was taken back")
        }
        End::SmokeFailed { message, kept: true, .. } => {
            format!("{message}; the new release runs on, as --on-failure asks")
        }
        End::Interrupted { detached: true, moved, .. } => {
            let what = if *moved { "AWS" } else { "no service was touched; the migration" };
            let resume = report.resume.as_deref().unwrap_or("cargo xtask status");
            format!("interrupted; {what} goes on. To wait for the end of it: {resume}")
        }
        End::Interrupted { moved: false, .. } => "interrupted; no service was touched".to_owned(),
        End::Interrupted { restored: true, .. } => format!("interrupted; {restored}"),
        End::Broken { message, restored: true } => message.clone(),
        End::SmokeFailed { message, .. } => {
            format!("{message}; the release before was NOT restored everywhere")
        }
        End::Broken { message, .. } => {
            format!("{message}; what ran before was NOT restored everywhere")
        }
        End::Failed { .. } | End::Interrupted { .. } => format!(
            "{failure}what ran before was NOT restored everywhere; `cargo xtask status` shows what \
             runs"
        ),
    })
}

/// `users and client`.
fn names(services: &[ServiceName]) -> String {
    services.iter().map(|one| one.as_str()).collect::<Vec<_>>().join(" and ")
}

/// The limits of a deploy that may take so long in all.
pub(super) fn limits(timeout: Duration) -> Limits {
    Limits { rollout: timeout, task: timeout, ..Limits::default() }
}
