//! What is to be built and pushed: pure decisions from what there is.

use sha2::{Digest as _, Sha256};

use super::registry::Remote;
use super::source::Revision;
use crate::config::{Config, Service};

/// The label that tells what went into an image besides the commit's files.
pub(crate) const INPUTS_LABEL: &str = "pipeline.inputs";
/// The tag of the newest release.
pub(crate) const PROD: &str = "prod";
/// The tag, and the name of the stage, that serves other machines as a layer cache.
pub(crate) const BUILDER: &str = "builder";

/// An image's names, and what goes into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Image {
    /// The service that it is of.
    pub(crate) service: Service,
    /// What it runs on.
    pub(crate) platform: String,
    /// The commit, marked if that is not all.
    pub(crate) version: String,
    /// Whether it may be found again by its version, and may become the newest release.
    pub(crate) is_release: bool,
    /// A hash of the platform and the build arguments.
    pub(crate) inputs: String,
    /// Whether the stage [`BUILDER`] becomes an image too.
    pub(crate) cache: bool,
}

impl Image {
    /// The image of a service at a revision.
    #[must_use]
    pub(crate) fn new(config: &Config, service: &Service, revision: &Revision) -> Self {
        Self {
            service: service.clone(),
            platform: config.platform.clone(),
            version: revision.version(),
            is_release: !revision.dirty,
            inputs: inputs(&config.platform, service),
            cache: config.cache,
        }
    }

    /// Its tags. Uncommitted changes move no tag that others rely on.
    #[must_use]
    pub(crate) fn tags(&self) -> Vec<&str> {
        if self.is_release { vec![&self.version, PROD] } else { vec![&self.version] }
    }

    /// What the engine here calls it.
    #[must_use]
    pub(crate) fn local(&self, tag: &str) -> String {
        format!("{}:{tag}", self.service.repository)
    }

    /// What the registry calls it.
    #[must_use]
    pub(crate) fn remote(&self, host: &str, tag: &str) -> String {
        format!("{host}/{}:{tag}", self.service.repository)
    }

    /// Whether an image in the registry is this one: of this version, made from the same
    /// arguments. An image that another program pushed says nothing about them, and is not.
    #[must_use]
    pub(crate) fn is(&self, remote: &Remote) -> bool {
        self.is_release && remote.labels.get(INPUTS_LABEL) == Some(&self.inputs)
    }
}

fn inputs(platform: &str, service: &Service) -> String {
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        // With its length, so that no two lists look the same.
        hash.update(text.len().to_le_bytes());
        hash.update(text);
    };
    add(platform);
    for (name, value) in &service.build_args {
        add(name);
        add(value);
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// What the registry has of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Observed {
    /// Under its version.
    pub(crate) version: Option<Remote>,
    /// Under `prod`.
    pub(crate) prod: Option<Remote>,
    /// Whether there is a layer cache.
    pub(crate) cache: bool,
}

/// What becomes of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// The registry has it, with this digest; `prod` names it, or has to be moved.
    Present { digest: String, moves_prod: bool },
    /// It has to be made.
    Make,
}

/// Decides about one image.
#[must_use]
pub(crate) fn decide(image: &Image, observed: &Observed, force: bool) -> Decision {
    match &observed.version {
        Some(remote) if !force && image.is(remote) => Decision::Present {
            digest: remote.digest.clone(),
            moves_prod: observed.prod.as_ref().map(|prod| &prod.digest) != Some(&remote.digest),
        },
        _ => Decision::Make,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::config::ServiceName;
    use std::collections::BTreeMap;

    pub(crate) fn image(dirty: bool, url: &str) -> Image {
        let text = format!(
            "name = \"shop\"\n[services.users]\n[services.client]\n\
             build_args = {{ API_SERVICE_URL = \"{url}\" }}\n"
        );
        let service = Config::example(&text).service(ServiceName::Client).clone();
        Image {
            platform: "linux/amd64".to_owned(),
            version: if dirty { "c0ffee-dirty" } else { "c0ffee" }.to_owned(),
            is_release: !dirty,
            inputs: inputs("linux/amd64", &service),
            cache: true,
            service,
        }
    }

    fn remote(digest: &str, inputs: &str) -> Option<Remote> {
        let labels = BTreeMap::from([(INPUTS_LABEL.to_owned(), inputs.to_owned())]);
        Some(Remote { digest: digest.to_owned(), labels })
    }

    #[test]
    fn what_the_registry_has_is_not_made_again() {
        let image = image(false, "");
        let mut observed = Observed {
            version: remote("sha256:1", &image.inputs),
            prod: remote("sha256:0", ""),
            cache: true,
        };
        let present = |moves_prod| Decision::Present { digest: "sha256:1".to_owned(), moves_prod };
        assert_eq!(decide(&image, &observed, false), present(true));
        observed.prod = remote("sha256:1", "");
        assert_eq!(decide(&image, &observed, false), present(false));
        assert_eq!(decide(&image, &observed, true), Decision::Make);
        assert_eq!(decide(&image, &Observed::default(), false), Decision::Make);
    }

    #[test]
    fn the_same_commit_with_other_arguments_is_another_image() {
        let (one, other) = (image(false, "https://a"), image(false, "https://b"));
        assert_ne!(one.inputs, other.inputs);
        let observed = Observed { version: remote("sha256:1", &one.inputs), ..Observed::default() };
        assert_eq!(decide(&other, &observed, false), Decision::Make);
        let unlabelled = Remote { digest: "sha256:1".to_owned(), labels: BTreeMap::new() };
        assert!(!one.is(&unlabelled));
    }

    #[test]
    fn uncommitted_changes_are_always_made_and_move_nothing() {
        let image = image(true, "");
        let observed =
            Observed { version: remote("sha256:1", &image.inputs), ..Observed::default() };
        assert_eq!(decide(&image, &observed, false), Decision::Make);
        assert_eq!(image.tags(), ["c0ffee-dirty"]);
    }

    #[test]
    fn names_are_as_docker_writes_them() {
        let image = image(false, "");
        assert_eq!(image.local(PROD), "shop-client:prod");
        assert_eq!(image.remote("127.0.0.1:5000", "c0ffee"), "127.0.0.1:5000/shop-client:c0ffee");
        assert_eq!(image.tags(), ["c0ffee", "prod"]);
    }
}
