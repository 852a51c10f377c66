//! `build`: the images, in the engine here.

use clap::Args;

use super::Common;
use super::site::check_registry;
use crate::config::{Config, ServiceName};
use crate::error::Error;
use crate::images::build::build;
use crate::images::login::{self, Session};
use crate::images::plan::{Decision, Image, Observed, decide};
use crate::images::progress::say;
use crate::images::registry;
use crate::interrupt::Stop;
use crate::report::{self, State, answer};

/// Build the images of the commit, except those that the registry has
///
/// They are tagged with the commit and `prod`, and the stage that serves as a layer cache with
/// `builder`. Without credentials for the registry everything is built here.
#[derive(Debug, Args)]
pub(crate) struct Build {
    /// Only this service's image
    #[arg(long, value_enum)]
    service: Option<ServiceName>,
    /// Build what the registry has, too
    #[arg(long)]
    force: bool,
    /// Do not ask the registry, and use no cache from it
    #[arg(long)]
    no_registry: bool,
}

impl Build {
    /// Builds and reports.
    pub(crate) async fn run(&self, common: &Common, stop: &Stop) -> Result<(), Error> {
        let config = common.config()?;
        let (source, images) = super::observe(&config, self.service, stop).await?;
        let registry = self.registry(&config, &images, stop).await?;
        let (session, observed) = match registry {
            Some((session, observed)) => (Some(session), observed),
            None => (None, vec![Observed::default(); images.len()]),
        };
        let decided: Vec<(Image, Observed, Decision)> = images
            .into_iter()
            .zip(observed)
            .map(|(image, observed)| {
                let decision = decide(&image, &observed, self.force);
                (image, observed, decision)
            })
            .collect();
        let to_build: Vec<(Image, Observed)> = decided
            .iter()
            .filter(|(_, _, decision)| *decision == Decision::Make)
            .map(|(image, observed, _)| (image.clone(), observed.clone()))
            .collect();
        let mut built = build(&source, &to_build, session.as_ref(), stop).await?.into_iter();
        let images = decided.into_iter().map(|(image, _, decision)| match decision {
            Decision::Make => {
                let built = built.next();
                report::Image {
                    service: image.service.name,
                    state: State::Built,
                    reference: image.local(&image.version),
                    digest: None,
                    tags: image.tags().into_iter().map(str::to_owned).collect(),
                    bytes: None,
                    bytes_unpacked: built.and_then(|built| built.bytes_unpacked),
                    layers: None,
                    layers_there: None,
                    took: built.map(|built| built.took),
                }
            }
            Decision::Present { digest, .. } => {
                let host = session.as_ref().map(|session| session.host.as_str());
                present(&image, host.unwrap_or_default(), digest)
            }
        });
        let images = images.collect();
        let version = source.revision.version();
        let report = report::Images { version, source: source.revision.clone(), images };
        Ok(answer(common.output, &report)?)
    }

    /// What the registry has. It only helps here, so its silence is no failure.
    async fn registry(
        &self,
        config: &Config,
        images: &[Image],
        stop: &Stop,
    ) -> Result<Option<(Session, Vec<Observed>)>, Error> {
        if self.no_registry {
            return Ok(None);
        }
        let asked = async {
            stop.or_interrupted(check_registry(config)).await?;
            let session = login::sign_in(config, stop).await?;
            let observed = registry::observe(&session, images, stop).await?;
            Ok::<_, Error>((session, observed))
        };
        match asked.await {
            Ok(asked) => Ok(Some(asked)),
            Err(error) if error.is_interruption() => Err(error),
            Err(error) => {
                say(format_args!("note: built without the registry's help: {error}"));
                Ok(None)
            }
        }
    }
}

fn present(image: &Image, host: &str, digest: String) -> report::Image {
    report::Image {
        service: image.service.name,
        state: State::Present,
        reference: format!("{host}/{}@{digest}", image.service.repository),
        digest: Some(digest),
        tags: Vec::new(),
        bytes: None,
        bytes_unpacked: None,
        layers: None,
        layers_there: None,
        took: None,
    }
}
