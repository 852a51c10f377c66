//! `push`: the images, in the registry.

use clap::Args;

use super::Common;
use super::site::check_registry;
use crate::config::{Config, ServiceName};
use crate::error::Error;
use crate::images::build::build;
use crate::images::login;
use crate::images::plan::{Decision, Image, decide};
use crate::images::push::push;
use crate::images::registry;
use crate::images::source::Source;
use crate::interrupt::Stop;
use crate::report::{self, State, answer};

/// Push the images of the commit, after building what is missing
///
/// The credentials for the registry lie in a private directory while this runs, and nowhere
/// afterwards. Uncommitted changes are pushed as COMMIT-dirty and move neither `prod` nor
/// `builder`; in continuous integration they are refused.
#[derive(Debug, Args)]
pub(crate) struct Push {
    /// Only this service's image
    #[arg(long, value_enum)]
    service: Option<ServiceName>,
    /// Build and push what the registry has, too
    #[arg(long)]
    force: bool,
}

impl Push {
    /// Builds, pushes and reports.
    pub(crate) async fn run(&self, common: &Common, stop: &Stop) -> Result<(), Error> {
        let config = common.config()?;
        stop.or_interrupted(check_registry(&config)).await?;
        let (source, images) = super::observe(&config, self.service, stop).await?;
        let images = ship(&config, &source, images, self.force, true, stop).await?;
        let version = source.revision.version();
        let report = report::Images { version, source: source.revision.clone(), images };
        Ok(answer(common.output, &report)?)
    }
}

/// Builds what the registry lacks, and brings it there, in the order of `images`. Whether `prod` names
/// them then is the caller's to say: a deploy has not seen them serve yet.
///
/// # Errors
/// The first image that could not be made or pushed.
pub(crate) async fn ship(
    config: &Config,
    source: &Source,
    images: Vec<Image>,
    force: bool,
    promotes: bool,
    stop: &Stop,
) -> Result<Vec<report::Image>, Error> {
    let session = login::sign_in(config, stop).await?;
    let observed = registry::observe(&session, &images, stop).await?;
    let (mut to_build, mut to_push) = (Vec::new(), Vec::new());
    for (image, observed) in images.into_iter().zip(observed) {
        let decision = decide(&image, &observed, force);
        if decision == Decision::Make {
            to_build.push((image.clone(), observed));
        }
        to_push.push((image, decision));
    }
    let mut built = build(source, &to_build, Some(&session), stop).await?.into_iter();
    let pushed = push(&session, &to_push, promotes, stop).await?;
    let images = to_push.iter().zip(pushed).map(|((image, decision), pushed)| {
        let built = if *decision == Decision::Make { built.next() } else { None };
        let repository = format!("{}/{}", session.host, image.service.repository);
        report::Image {
            service: image.service.name,
            state: state(decision),
            reference: format!("{repository}@{}", pushed.digest),
            digest: Some(pushed.digest),
            tags: pushed.tags,
            bytes: pushed.bytes,
            bytes_unpacked: built.and_then(|built| built.bytes_unpacked),
            layers: pushed.layers.map(|(all, _)| all),
            layers_there: pushed.layers.map(|(_, there)| there),
            took: Some(built.map_or(pushed.took, |built| built.took + pushed.took)),
        }
    });
    Ok(images.collect())
}

fn state(decision: &Decision) -> State {
    match decision {
        Decision::Present { .. } => State::Present,
        Decision::Make => State::Pushed,
    }
}
