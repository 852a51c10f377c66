//! What `plan` and `deploy` both begin with: what is wanted, what there is, and what follows.

use std::collections::BTreeMap;

use super::site::{Site, environment};
use crate::config::{Config, ServiceName};
use crate::deploy::Owner;
use crate::desired::{Desired, known_image};
use crate::error::Error;
use crate::images::login;
use crate::images::plan::{Decision, Image, decide};
use crate::images::registry;
use crate::images::source::Source;
use crate::interrupt::Stop;
use crate::migrations;
use crate::observe::{self, Observed};
use crate::plan::{Plan, plan};
use crate::store::release::last_good_of;

/// What is about to happen.
pub(crate) struct Prospect {
    /// The sources.
    pub(crate) source: Source,
    /// The images, of the services that are meant.
    pub(crate) images: Vec<Image>,
    /// Each one's name by digest, if there is one already.
    pub(crate) known: BTreeMap<ServiceName, Option<String>>,
    /// What there is.
    pub(crate) observed: Observed,
    /// What is wanted.
    pub(crate) desired: Desired,
    /// What follows.
    pub(crate) plan: Plan,
}

impl Prospect {
    /// Looks at git, AWS and, only if no record names the images, at the registry. Without
    /// `required`, a registry that does not answer is no failure: its images count as missing. The
    /// `owner` is who holds the lock, if we do.
    ///
    /// # Errors
    /// Something does not answer, or the documents are not right.
    pub(crate) async fn new(
        config: &Config,
        site: &Site,
        only: Option<ServiceName>,
        tag: Option<&str>,
        required: bool,
        owner: Option<&Owner>,
        stop: &Stop,
    ) -> Result<Self, Error> {
        let root = std::env::current_dir()?;
        let looked = tokio::try_join!(
            async { Ok::<_, Error>(Source::observe(&root, super::is_ci(), stop).await?) },
            site.observe(config),
        );
        let (mut source, mut observed) = looked?;
        // That we are at it is no news.
        observed.holder.take_if(|holder| owner.is_some_and(|owner| holder.is(&owner.token)));
        // What lies here is what is released, unless a tag names something else.
        let is_here = tag.is_none_or(|tag| tag == source.revision.commit && !source.revision.dirty);
        if let Some(tag) = tag {
            source.revision = source.revision.tagged(tag);
        }
        let desired = Desired::new(config, &observed, &environment())?;
        let images: Vec<Image> = config
            .services(only)
            .map(|service| Image::new(config, service, &source.revision))
            .collect();
        let mut known: BTreeMap<ServiceName, Option<String>> = images
            .iter()
            .map(|image| (image.service.name, known_image(&observed, image)))
            .collect();
        let mut unanswered = None;
        if known.values().any(Option::is_none) {
            match ask(config, &images, stop).await {
                Ok(found) => {
                    for (name, reference) in found {
                        let known = known.entry(name).or_default();
                        *known = known.take().or(reference);
                    }
                }
                Err(error) if required || error.is_interruption() => return Err(error),
                Err(error) => {
                    unanswered = Some(format!(
                        "the registry was not asked, so images count as missing: {error}"
                    ));
                }
            }
        }
        for (name, image) in known.iter().filter_map(|(name, image)| Some((name, image.as_ref()?)))
        {
            let wanted = desired.task_definition(*name, image)?.document;
            if let Some(running) = observed.services.get_mut(name)
                && running.registered(&wanted).is_none()
            {
                let found = observe::others(&site.aws, &observed.releases, *name, image);
                running.others = found.await?;
            }
        }
        let good = last_good_of(&observed.releases, ServiceName::Users);
        let good = good.and_then(|release| release.version_of(ServiceName::Users));
        let good = good.filter(|_| is_here);
        let pending = migrations::pending(&root, good, stop).await?;
        let mut plan = plan(config, &source.revision, &observed, &desired, &known, pending)?;
        plan.notes.extend(unanswered);
        Ok(Self { source, images, known, observed, desired, plan })
    }
}

/// What the registry has of the images, by digest.
async fn ask(
    config: &Config,
    images: &[Image],
    stop: &Stop,
) -> Result<BTreeMap<ServiceName, Option<String>>, Error> {
    let session = login::sign_in(config, stop).await?;
    let observed = registry::observe(&session, images, stop).await?;
    let found = images.iter().zip(observed).map(|(image, observed)| {
        let reference = match decide(image, &observed, false) {
            Decision::Present { digest, .. } => {
                Some(format!("{}/{}@{digest}", session.host, image.service.repository))
            }
            Decision::Make => None,
        };
        (image.service.name, reference)
    });
    Ok(found.collect())
}
