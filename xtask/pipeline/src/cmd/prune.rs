//! `prune`: what no release needs any more.
//!
//! A task definition is needed by what runs and by the releases that are kept; an image by a task
//! definition that is left. So a rollback to a kept release always finds both.

use std::collections::BTreeSet;
use std::fmt::{Display, Formatter};
use std::time::Duration;

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::Common;
use super::site::Site;
use crate::aws::repository::{Repositories, Stored};
use crate::cloud::{Cloud, short};
use crate::config::{Config, Login, Service, ServiceName};
use crate::deploy::{Owner, held};
use crate::error::Error;
use crate::images::plan::{BUILDER, PROD};
use crate::interrupt::Stop;
use crate::observe::{self, RECORDS};
use crate::report::{answer, megabytes};
use crate::store::release::{Release, newest};
use crate::tell::Screen;

/// Remove task definitions and images that no release needs
///
/// Kept is what runs, and what the last releases that went well need. Without --yes it only shows
/// what would be removed.
#[derive(Debug, Args)]
pub(crate) struct Prune {
    /// Keep so many releases [default: deploy.keep]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    keep: Option<u32>,
    /// Remove it
    #[arg(long)]
    yes: bool,
}

/// What is removed, or would be.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Report {
    /// Whether it was removed.
    removed: bool,
    /// The releases that are kept.
    kept: Vec<String>,
    services: Vec<ServiceReport>,
    /// Why the images were left alone, if they were.
    note: Option<String>,
}

/// Of one service.
#[derive(Debug, Serialize, JsonSchema)]
struct ServiceReport {
    service: ServiceName,
    /// `family:revision`.
    task_definitions: Vec<String>,
    /// How many stay.
    task_definitions_kept: usize,
    /// The digests.
    images: Vec<String>,
    /// How many stay.
    images_kept: usize,
    /// What the images take.
    bytes: u64,
    /// What AWS would not remove, and why.
    refused: Vec<String>,
}

impl Prune {
    /// Looks, and with `--yes` removes.
    pub(crate) async fn run(&self, common: &Common, stop: &Stop) -> Result<(), Error> {
        let config = common.config()?;
        let site = stop.or_interrupted(Site::connect(&config)).await?;
        let work = async || stop.or_interrupted(self.prune(&config, &site)).await;
        let report = if self.yes {
            // A deployment must not register meanwhile what is removed here.
            let (screen, owner) = (Screen::new(), Owner::new("prune"));
            held(&site.store, &owner, Duration::ZERO, &screen, stop, work).await??
        } else {
            work().await?
        };
        Ok(answer(common.output, &report)?)
    }

    async fn prune(&self, config: &Config, site: &Site) -> Result<Report, Error> {
        let releases = newest(&site.store, RECORDS).await?;
        let kept = kept(&releases, self.keep.unwrap_or(config.keep));
        let running = observe::services(&site.aws, config).await?;
        let mut needed: BTreeSet<String> = kept
            .iter()
            .flat_map(|release| release.services.values())
            .filter_map(|service| service.task_definition.clone())
            .collect();
        for one in running.values().filter_map(|running| running.service.as_ref()) {
            needed.insert(one.task_definition.clone());
            needed.extend(one.deployments.iter().map(|one| one.task_definition.clone()));
        }
        // A kept release needs its image even where its task definition is gone already.
        let digests = digests(&kept);
        let repositories = (config.login == Login::Ecr).then(|| Repositories::new(&site.sdk));
        let mut services = Vec::new();
        for service in config.services(None) {
            services
                .push(self.service(site, service, &needed, &digests, repositories.as_ref()).await?);
        }
        Ok(Report {
            removed: self.yes,
            kept: kept.iter().map(|release| release.id.to_string()).collect(),
            services,
            note: repositories.is_none().then(|| {
                "the registry is not ECR: its images are left to its own rules".to_owned()
            }),
        })
    }

    async fn service(
        &self,
        site: &Site,
        service: &Service,
        needed: &BTreeSet<String>,
        digests: &BTreeSet<String>,
        repositories: Option<&Repositories>,
    ) -> Result<ServiceReport, Error> {
        let all = site.aws.task_definitions(&service.family).await?;
        let (stay, go): (Vec<_>, Vec<_>) = all.into_iter().partition(|arn| needed.contains(arn));
        let mut report = ServiceReport {
            service: service.name,
            task_definitions: go.iter().map(|arn| short(arn).to_owned()).collect(),
            task_definitions_kept: stay.len(),
            images: Vec::new(),
            images_kept: 0,
            bytes: 0,
            refused: Vec::new(),
        };
        if let Some(repositories) = repositories {
            let mut digests = digests.clone();
            for arn in &stay {
                digests.extend(images(&site.aws.task_definition(arn).await?.document));
            }
            let stored = repositories.images(&service.repository).await?;
            let (stay, go): (Vec<_>, Vec<_>) =
                stored.into_iter().partition(|image| is_needed(image, &digests));
            report.images_kept = stay.len();
            report.bytes = go.iter().map(|image| image.bytes).sum();
            report.images = go.into_iter().map(|image| image.digest).collect();
        }
        if self.yes {
            // First what needs the images, then the images.
            for arn in &go {
                site.aws.deregister_task_definition(arn).await?;
            }
            if let Some(repositories) = repositories.filter(|_| !report.images.is_empty()) {
                let refused = repositories.remove(&service.repository, &report.images).await?;
                report.refused =
                    refused.into_iter().map(|(digest, why)| format!("{digest}: {why}")).collect();
            }
        }
        Ok(report)
    }
}

/// The releases that one may still go back to, and those that nobody has finished.
fn kept(releases: &[Release], keep: u32) -> Vec<&Release> {
    let mut left = keep;
    releases
        .iter()
        .filter(|release| {
            if release.is_good() && left > 0 {
                left -= 1;
                return true;
            }
            release.is_unfinished()
        })
        .collect()
}

/// The digests that releases name.
fn digests(releases: &[&Release]) -> BTreeSet<String> {
    let records = releases.iter().flat_map(|release| release.services.values());
    records.filter_map(|record| Some(record.image.split_once('@')?.1.to_owned())).collect()
}

/// The digests that a task definition names.
fn images(document: &Value) -> Vec<String> {
    let containers = document.get("containerDefinitions").and_then(Value::as_array);
    let images = containers.into_iter().flatten().filter_map(|one| one.get("image")?.as_str());
    images.filter_map(|image| Some(image.split_once('@')?.1.to_owned())).collect()
}

/// Whether an image stays: it is named by a task definition, is the newest, or is the layer cache.
fn is_needed(image: &Stored, digests: &BTreeSet<String>) -> bool {
    digests.contains(&image.digest)
        || image.tags.iter().any(|tag| matches!(tag.as_str(), PROD | BUILDER))
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let kept = if self.kept.is_empty() { "none".to_owned() } else { self.kept.join(", ") };
        writeln!(f, "kept    releases {kept}, and what runs")?;
        for one in &self.services {
            writeln!(
                f,
                "{:7} {} task definitions and {} images ({}) {}; {} and {} stay",
                one.service,
                one.task_definitions.len(),
                one.images.len(),
                megabytes(one.bytes),
                if self.removed { "removed" } else { "to remove" },
                one.task_definitions_kept,
                one.images_kept,
            )?;
            if !one.task_definitions.is_empty() {
                writeln!(f, "        {}", one.task_definitions.join(", "))?;
            }
            for refused in &one.refused {
                writeln!(f, "        left: {refused}")?;
            }
        }
        if let Some(note) = &self.note {
            writeln!(f, "        {note}")?;
        }
        if !self.removed {
            writeln!(f, "nothing was removed: --yes does it")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::release::tests::{draft, record};
    use crate::store::release::{Outcome, ServiceRecord, ServiceState};
    use serde_json::json;

    #[test]
    fn good_releases_are_kept_up_to_a_number_and_unfinished_ones_always() {
        let release = |number: u32, outcome| Release {
            outcome,
            ..draft(format!("2026-11-23.{number}").parse().unwrap(), 0)
        };
        let releases = [
            release(6, Outcome::Started),
            release(5, Outcome::Released),
            release(4, Outcome::RolledBack),
            release(3, Outcome::Released),
            release(2, Outcome::Released),
            release(1, Outcome::Detached),
        ];
        let kept: Vec<_> = kept(&releases, 2).iter().map(|one| one.id.to_string()).collect();
        assert_eq!(kept, ["2026-11-23.6", "2026-11-23.5", "2026-11-23.3", "2026-11-23.1"]);
    }

    #[test]
    fn a_kept_release_names_its_images() {
        let mut release = draft("2026-11-23.1".parse().unwrap(), 0);
        let of =
            |image: &str| ServiceRecord { image: image.to_owned(), ..record(ServiceState::Rolled) };
        release.services.insert(ServiceName::Users, of("host/shop-users@sha256:1"));
        release.services.insert(ServiceName::Client, of(""));
        assert_eq!(digests(&[&release]), BTreeSet::from(["sha256:1".to_owned()]));
    }

    #[test]
    fn an_image_stays_as_long_as_anything_names_it() {
        let document = json!({ "containerDefinitions": [
            { "image": "host/shop-users@sha256:1" }, { "image": "envoy:v1" },
        ] });
        let digests: BTreeSet<String> = images(&document).into_iter().collect();
        assert_eq!(digests, BTreeSet::from(["sha256:1".to_owned()]));
        let stored = |digest: &str, tags: &[&str]| Stored {
            digest: digest.to_owned(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            bytes: 1,
        };
        assert!(is_needed(&stored("sha256:1", &[]), &digests));
        assert!(is_needed(&stored("sha256:2", &["c0ffee", "prod"]), &digests));
        assert!(is_needed(&stored("sha256:2", &["builder"]), &digests));
        assert!(!is_needed(&stored("sha256:2", &["c0ffee"]), &digests));
    }
}
