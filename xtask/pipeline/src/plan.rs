//! What a deployment would do: from what is wanted and what there is to steps. Pure: nothing here
//! asks or changes anything, and what `plan` prints is what `deploy` does.

use std::collections::BTreeMap;
use std::fmt::{Display, Formatter};

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::cloud::{Rollout, short};
use crate::config::{Config, ServiceName};
use crate::desired::{Desired, TO_BE_BUILT};
use crate::images::source::Revision;
use crate::migrations::Migrations;
use crate::observe::{Observed, Running};
use crate::room::{self, Move};
use crate::store::release::Outcome;
use crate::task_definition::{Change, diff};
use crate::template::TemplateError;

/// So many characters about a service go on one line.
const LINE: usize = 110;

/// What a deployment would do.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Plan {
    /// As in `production`.
    pub(crate) environment: String,
    /// Where.
    pub(crate) region: String,
    /// In whose account.
    pub(crate) account: String,
    /// The cluster.
    pub(crate) cluster: String,
    /// What would run: the commit, marked if it does not tell all.
    pub(crate) version: String,
    /// The same for people.
    pub(crate) source: String,
    /// What one should know before.
    pub(crate) notes: Vec<String>,
    /// Each service, in the order in which they move.
    pub(crate) services: Vec<ServicePlan>,
    /// The database.
    pub(crate) migrations: Migrations,
    /// Whether the migrations would be run.
    pub(crate) migrates: bool,
}

/// What becomes of a service.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct ServicePlan {
    /// Which.
    pub(crate) service: ServiceName,
    /// In which round.
    pub(crate) level: u8,
    /// In a word.
    pub(crate) action: Action,
    /// The image, by digest; `None` if it is to be built.
    pub(crate) image: Option<String>,
    /// `family:revision` of what it runs.
    pub(crate) running: Option<String>,
    /// `family:revision` of what it would run, where that is known.
    pub(crate) next: Option<String>,
    /// Whether `next` is registered already.
    pub(crate) registered: bool,
    /// What changes in the task definition.
    pub(crate) changes: Vec<Change>,
    /// Members of the service that change.
    pub(crate) settings: Vec<String>,
    /// Why it moves although nothing changes.
    pub(crate) because: Option<String>,
}

/// What becomes of a service, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Action {
    /// There is none yet.
    Create,
    /// It is to run something else, or otherwise.
    Update,
    /// It runs what is wanted.
    Unchanged,
}

impl Plan {
    /// Whether anything would change.
    #[must_use]
    pub(crate) fn is_pending(&self) -> bool {
        self.migrates || self.services.iter().any(|one| one.action != Action::Unchanged)
    }
}

/// Makes the plan.
///
/// # Errors
/// A document under `ecs/` is not right.
pub(crate) fn plan(
    config: &Config,
    source: &Revision,
    observed: &Observed,
    desired: &Desired,
    images: &BTreeMap<ServiceName, Option<String>>,
    migrations: Migrations,
) -> Result<Plan, TemplateError> {
    let nothing = Running::default();
    let (mut services, mut moves) = (Vec::new(), BTreeMap::new());
    for (name, image) in images {
        let running = observed.services.get(name).unwrap_or(&nothing);
        let filled = desired.task_definition(*name, image.as_deref().unwrap_or(TO_BE_BUILT))?;
        let service = config.service(*name);
        let settings = desired.settings(*name, observed);
        let mut one = ServicePlan {
            service: *name,
            level: service.level,
            action: Action::Create,
            image: image.clone(),
            running: running.service.as_ref().map(|one| short(&one.task_definition).to_owned()),
            next: None,
            registered: false,
            changes: Vec::new(),
            settings: members(&settings),
            because: None,
        };
        let current = running.task_definition.as_ref();
        let registered = running.registered(&filled.document);
        let newest = running.newest.as_ref().or(current);
        one.registered = registered.is_some();
        one.next = Some(match (registered, newest) {
            (Some(registered), _) => registered.short(),
            // The next number, if nobody else registers one meanwhile.
            (None, newest) => {
                format!("{}:{}", service.family, newest.map_or(0, |one| one.revision) + 1)
            }
        });
        if running.service.is_some() {
            let empty = Value::Null;
            let before = current.map_or(&empty, |current| &current.document);
            one.changes = diff(&filled.document, before, &filled.secrets);
            one.because = unsettled(running);
            let moves = !one.changes.is_empty() || !one.settings.is_empty();
            let acts = moves || one.because.is_some();
            one.action = if acts { Action::Update } else { Action::Unchanged };
        }
        let place = (*name, service.level);
        let (wanted, cluster) = (desired.create(*name), observed.cluster.as_ref());
        moves.insert(*name, Move::new(place, &wanted, running, &filled.document, cluster));
        services.push(one);
    }
    services.sort_by_key(|one| (one.level, one.service));
    let users_move = services
        .iter()
        .any(|one| one.service == ServiceName::Users && one.action != Action::Unchanged);
    let migrates = users_move && migrations != Migrations::None;
    let migration = moves.get(&ServiceName::Users).filter(|_| migrates);
    // What runs on, or only waits for its tasks, starts none beside them.
    let starts = |one: &&ServicePlan| one.action == Action::Create || !one.changes.is_empty();
    let starting = services.iter().filter(starts).filter_map(|one| moves.get(&one.service));
    let starting: Vec<Move> = starting.cloned().collect();
    let lacks = room::lacks(&observed.hosts, migration, &starting);
    let mut notes = notes(observed);
    notes.extend(lacks.iter().map(ToString::to_string));
    Ok(Plan {
        environment: config.environment.clone(),
        region: observed.identity.region.clone(),
        account: observed.identity.account.clone(),
        cluster: config.cluster.clone(),
        version: source.version(),
        source: source.to_string(),
        notes,
        services,
        migrates,
        migrations,
    })
}

fn members(settings: &Value) -> Vec<String> {
    settings.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
}

/// Why a service that runs the right task definition is not done.
fn unsettled(running: &Running) -> Option<String> {
    let primary = running.service.as_ref()?.primary()?;
    match primary.rollout {
        // Its tasks have ended since, and ECS has not replaced them.
        Rollout::Completed if primary.running < primary.desired => {
            Some(format!("only {} of {} tasks run", primary.running, primary.desired))
        }
        Rollout::Completed => None,
        Rollout::InProgress => Some("its rollout is still under way".to_owned()),
        Rollout::Failed => Some("its rollout failed".to_owned()),
        Rollout::Unknown => None,
    }
}

fn notes(observed: &Observed) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(holder) = &observed.holder {
        notes.push(holder.to_string());
    } else if let Some(newest) = observed.releases.first()
        && newest.outcome == Outcome::Started
    {
        let states: Vec<_> =
            newest.own().map(|(name, service)| format!("{name} {}", service.state)).collect();
        let states =
            if states.is_empty() { String::new() } else { format!(" ({})", states.join(", ")) };
        notes.push(format!(
            "release {} by {} was cut off{states}; this deployment finishes or replaces it",
            newest.id, newest.who
        ));
    }
    if let Some(newest) = observed.releases.first()
        && newest.outcome == Outcome::Broken
    {
        notes.push(format!(
            "release {} ended badly: what runs now is not known to be good",
            newest.id
        ));
    }
    if let Some(newest) = observed.releases.first()
        && newest.outcome == Outcome::InPart
    {
        notes.push(format!("of release {} only a part serves", newest.id));
    }
    match &observed.cluster {
        None => notes.push("there is no cluster yet: nothing can run".to_owned()),
        Some(cluster) if cluster.status != "ACTIVE" => {
            notes.push(format!("the cluster {} is {}", cluster.name, cluster.status));
        }
        Some(_) => {}
    }
    notes
}

impl Display for Plan {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let Self { environment, region, source, .. } = self;
        writeln!(f, "plan      {environment} · {region} · {source}")?;
        for note in &self.notes {
            writeln!(f, "          ! {note}")?;
        }
        for service in &self.services {
            writeln!(f, "          {service}")?;
        }
        match (&self.migrations, self.migrates) {
            (Migrations::Pending(names), true) => {
                writeln!(f, "          + migrate  {} pending: {}", names.len(), names.join(", "))
            }
            (Migrations::Unknown, true) => {
                writeln!(f, "          ~ migrate  brings the database up to date, if it is not")
            }
            _ => writeln!(f, "          = migrate  nothing pending"),
        }
    }
}

impl Display for ServicePlan {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let name = self.service;
        let running = self.running.as_deref().map_or("none", revision);
        let next = self.next.as_deref().map_or("?", revision);
        match self.action {
            Action::Unchanged => {
                return write!(f, "= {name:8} unchanged (task definition {running})");
            }
            Action::Create => {
                let image = self.image.as_deref().map_or(TO_BE_BUILT, digest);
                return write!(f, "+ {name:8} new service, image {image}; task definition {next}");
            }
            Action::Update => write!(f, "~ {name:8} ")?,
        }
        let changes: Vec<String> = self.changes.iter().map(ToString::to_string).collect();
        let mut rest: Vec<String> = Vec::new();
        if !changes.is_empty() {
            let known = if self.registered { ", registered already" } else { "" };
            rest.push(format!("task definition {running} → {next}{known}"));
        }
        if !self.settings.is_empty() {
            rest.push(format!("service's {}", self.settings.join(", ")));
        }
        rest.extend(self.because.clone());
        let (changes_line, rest) = (changes.join(", "), rest.join("; "));
        if changes.is_empty() {
            f.write_str(&rest)
        } else if changes_line.chars().count() + rest.chars().count() <= LINE {
            write!(f, "{changes_line}; {rest}")
        } else {
            // One below the other, where one after the other would be too long to read.
            f.write_str(&rest)?;
            changes.iter().try_for_each(|change| write!(f, "\n{:21}{change}", ""))
        }
    }
}

/// `41` of `shop-users-td:41`.
fn revision(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or(name)
}

/// `sha256:…` of an image that is named by digest.
fn digest(image: &str) -> &str {
    image.split_once('@').map_or(image, |(_, digest)| digest.get(..19).unwrap_or(digest))
}

#[cfg(test)]
mod tests;
