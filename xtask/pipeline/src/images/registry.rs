//! What the registry has. Docker asks it, with whatever login and network docker has.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::docker::last_line;
use super::login::Session;
use super::plan::{BUILDER, Image, Observed, PROD};
use crate::interrupt::Stop;
use crate::process::{self, Interrupted, ProcessError};

/// What a question may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Why the registry's contents are unknown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegistryError {
    #[error("the registry gives no answer about {reference}: {said}")]
    Failed { reference: String, said: String },
    #[error("the registry's answer about {reference} is not understood")]
    Odd { reference: String },
    #[error("{0}")]
    Process(ProcessError),
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl From<ProcessError> for RegistryError {
    fn from(error: ProcessError) -> Self {
        match error {
            ProcessError::Interrupted(interrupted) => interrupted.into(),
            error => Self::Process(error),
        }
    }
}

/// An image in the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remote {
    /// `sha256:…` of its manifest.
    pub(crate) digest: String,
    /// The labels of its configuration.
    pub(crate) labels: BTreeMap<String, String>,
}

/// Asks for all of several images that decisions need.
///
/// # Errors
/// The registry does not answer, or refuses.
pub(crate) async fn observe(
    session: &Session,
    images: &[Image],
    stop: &Stop,
) -> Result<Vec<Observed>, RegistryError> {
    super::side_by_side(images.iter().cloned(), stop, |image, stop| {
        let session = session.clone();
        async move {
            let names = [&image.version, PROD, BUILDER].map(|tag| image.remote(&session.host, tag));
            let [version, prod, builder] = &names;
            let (version, prod, builder) = tokio::try_join!(
                find(&session, version, &stop),
                find(&session, prod, &stop),
                find(&session, builder, &stop),
            )?;
            Ok(Observed { version, prod, cache: builder.is_some() })
        }
    })
    .await
}

/// Asks for an image; `None` where the registry has none of that name.
///
/// # Errors
/// The registry does not answer, or refuses.
pub(crate) async fn find(
    session: &Session,
    reference: &str,
    stop: &Stop,
) -> Result<Option<Remote>, RegistryError> {
    let format = ["buildx", "imagetools", "inspect", "--format", "{{json .}}", reference];
    let answer = process::output(session.docker.command(&format), None, LIMIT, stop).await?;
    if !answer.status.success() {
        let said = last_line(&answer.stderr);
        if is_absence(&said) {
            return Ok(None);
        }
        return Err(RegistryError::Failed { reference: reference.to_owned(), said });
    }
    let odd = || RegistryError::Odd { reference: reference.to_owned() };
    let answer = serde_json::from_slice(&answer.stdout).map_err(|_| odd())?;
    remote(&answer).map(Some).ok_or_else(odd)
}

/// The bytes that a pull of an image transfers, where its manifest is a plain one.
///
/// # Errors
/// The registry does not answer, or refuses.
pub(crate) async fn size(
    session: &Session,
    reference: &str,
    stop: &Stop,
) -> Result<Option<u64>, RegistryError> {
    let raw = session.docker.command(&["buildx", "imagetools", "inspect", "--raw", reference]);
    let answer = process::output(raw, None, LIMIT, stop).await?;
    if !answer.status.success() {
        let said = last_line(&answer.stderr);
        return Err(RegistryError::Failed { reference: reference.to_owned(), said });
    }
    Ok(serde_json::from_slice(&answer.stdout).ok().as_ref().and_then(bytes))
}

/// Whether an error says that there is no such image, or no such repository.
fn is_absence(said: &str) -> bool {
    said.ends_with("not found") || said.contains("name unknown") || said.contains("NAME_UNKNOWN")
}

fn remote(answer: &Value) -> Option<Remote> {
    let digest = answer.pointer("/manifest/digest")?.as_str()?.to_owned();
    let image = answer.get("image");
    // An image for several platforms has a configuration for each; ours agree in their labels.
    let config = image.and_then(|image| {
        image
            .get("config")
            .or_else(|| image.as_object()?.values().find_map(|one| one.get("config")))
    });
    let labels = config
        .and_then(|config| config.get("Labels"))
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect();
    Some(Remote { digest, labels })
}

fn bytes(manifest: &Value) -> Option<u64> {
    let layers = manifest.get("layers")?.as_array()?;
    let parts = layers.iter().chain(manifest.get("config"));
    parts.map(|part| part.get("size").and_then(Value::as_u64)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn digest_and_labels_are_found_for_one_platform_and_for_several() {
        let config = json!({ "config": { "Labels": { "a": "b" } } });
        let manifest = json!({ "digest": "sha256:1" });
        let labels = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
        let expected = Some(Remote { digest: "sha256:1".to_owned(), labels });
        assert_eq!(remote(&json!({ "manifest": manifest, "image": config })), expected);
        let several = json!({ "linux/amd64": config });
        assert_eq!(remote(&json!({ "manifest": manifest, "image": several })), expected);
        assert_eq!(remote(&json!({ "image": config })), None);
    }

    #[test]
    fn absence_is_told_from_failure() {
        assert!(is_absence("127.0.0.1:5000/x:nope: not found"));
        assert!(is_absence("NAME_UNKNOWN: repository name not known to registry"));
        assert!(!is_absence("failed to do request: dial tcp: connection refused"));
        assert!(!is_absence("unexpected status: 401 Unauthorized"));
    }

    #[test]
    fn an_image_is_as_large_as_its_parts() {
        let manifest =
            json!({ "config": { "size": 5 }, "layers": [{ "size": 10 }, { "size": 1 }] });
        assert_eq!(bytes(&manifest), Some(16));
        assert_eq!(bytes(&json!({ "manifests": [] })), None);
    }
}
