//! Bringing images into the registry.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::docker::last_line;
use super::login::Session;
use super::plan::{BUILDER, Decision, Image, PROD};
use super::progress::{Handle, Progress};
use super::registry::{self, RegistryError};
use crate::interrupt::Stop;
use crate::process::{self, Interrupted, ProcessError};

/// What renaming an image may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Why the registry did not get an image.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PushError {
    #[error("{reference} could not be pushed: {said}{}", .advice.map(|advice| format!(". {advice}")).unwrap_or_default())]
    Refused { reference: String, said: String, advice: Option<&'static str> },
    #[error("{reference} could not be prepared for the push: {said}")]
    Docker { reference: String, said: String },
    #[error("docker pushed {reference}, but did not say its digest")]
    NoDigest { reference: String },
    #[error(transparent)]
    Registry(RegistryError),
    #[error("{0}")]
    Process(ProcessError),
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl From<ProcessError> for PushError {
    fn from(error: ProcessError) -> Self {
        match error {
            ProcessError::Interrupted(interrupted) => interrupted.into(),
            error => Self::Process(error),
        }
    }
}

impl From<RegistryError> for PushError {
    fn from(error: RegistryError) -> Self {
        match error {
            RegistryError::Interrupted(interrupted) => interrupted.into(),
            error => Self::Registry(error),
        }
    }
}

/// An image that the registry has now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pushed {
    /// `sha256:…` of its manifest.
    pub(crate) digest: String,
    /// What a pull of it transfers.
    pub(crate) bytes: Option<u64>,
    /// How many layers it has, and how many of them the registry had before.
    pub(crate) layers: Option<(usize, usize)>,
    /// The tags that were written.
    pub(crate) tags: Vec<String>,
    /// How long it took.
    pub(crate) took: Duration,
}

/// Pushes images side by side.
///
/// # Errors
/// The first that could not be pushed; the others are stopped then.
pub(crate) async fn push(
    session: &Session,
    images: &[(Image, Decision)],
    promotes: bool,
    stop: &Stop,
) -> Result<Vec<Pushed>, PushError> {
    let progress = Progress::start();
    super::side_by_side(images.iter().cloned(), stop, |(image, decision), stop| {
        let push = Push { session: session.clone(), image, promotes, stop };
        let row = progress.row(push.image.service.name);
        async move {
            match decision {
                Decision::Present { digest, moves_prod } => {
                    push.present(&row, digest, moves_prod && promotes).await
                }
                Decision::Make => push.made(&row).await,
            }
        }
    })
    .await
}

/// Has `prod` name images that the registry has, by their digests: those of a release that was seen
/// to serve.
///
/// # Errors
/// The first whose tag could not be moved; the others are stopped then.
pub(crate) async fn promote(
    session: &Session,
    images: Vec<(Image, String)>,
    stop: &Stop,
) -> Result<(), PushError> {
    let named = super::side_by_side(images.iter().cloned(), stop, |(image, _), stop| {
        let session = session.clone();
        async move { registry::find(&session, &image.remote(&session.host, PROD), &stop).await }
    })
    .await?;
    let moves: Vec<_> = images
        .into_iter()
        .zip(named)
        .filter(|((_, digest), named)| named.as_ref().map(|one| &one.digest) != Some(digest))
        .map(|((image, digest), _)| (image, Decision::Present { digest, moves_prod: true }))
        .collect();
    push(session, &moves, true, stop).await?;
    Ok(())
}

struct Push {
    session: Session,
    image: Image,
    /// Whether [`PROD`] names it then.
    promotes: bool,
    stop: Stop,
}

impl Push {
    /// The registry has it. At most `prod` has to be moved to it, by its digest: another build of
    /// the same commit may lie here.
    async fn present(
        &self,
        row: &Handle,
        digest: String,
        moves_prod: bool,
    ) -> Result<Pushed, PushError> {
        let started = Instant::now();
        let repository = format!("{}/{}", self.session.host, self.image.service.repository);
        let exactly = format!("{repository}@{digest}");
        let mut tags = Vec::new();
        if moves_prod {
            let pull = self.session.docker.command(&["pull", &exactly]);
            let mut last = String::new();
            let status = process::follow(pull, &self.stop, |line| {
                line.clone_into(&mut last);
                row.line(line, Some(format!("pulling · {line}")));
            });
            if !status.await?.success() {
                let said = last_line(last.as_bytes());
                return Err(PushError::Docker { reference: exactly, said });
            }
            let reference = self.image.remote(&self.session.host, PROD);
            self.tag(&exactly, &reference).await?;
            self.send(row, &reference).await?;
            tags.push(PROD.to_owned());
        }
        let bytes = registry::size(&self.session, &exactly, &self.stop).await?;
        row.done("there already");
        Ok(Pushed { digest, bytes, layers: None, tags, took: started.elapsed() })
    }

    /// It was built here. The version is the sign that all went well, so what only helps others
    /// goes before it, and what points at it after.
    async fn made(&self, row: &Handle) -> Result<Pushed, PushError> {
        let started = Instant::now();
        let (host, version) = (&self.session.host, &*self.image.version);
        let mut tags = self.image.tags();
        tags.retain(|tag| self.promotes || *tag != PROD);
        if self.image.is_release && self.image.cache {
            tags.insert(0, BUILDER);
        }
        let (mut digest, mut layers) = (None, None);
        for tag in &tags {
            let reference = self.image.remote(host, tag);
            self.tag(&self.image.local(tag), &reference).await?;
            let sent = self.send(row, &reference).await?;
            if *tag == version {
                digest = sent.digest;
                layers = Some((sent.layers.len(), sent.there.len()));
            }
        }
        let reference = self.image.remote(host, version);
        let digest = digest.ok_or_else(|| PushError::NoDigest { reference: reference.clone() })?;
        let bytes = registry::size(&self.session, &reference, &self.stop).await?;
        row.done("pushed");
        let tags = tags.into_iter().map(str::to_owned).collect();
        Ok(Pushed { digest, bytes, layers, tags, took: started.elapsed() })
    }

    async fn tag(&self, from: &str, to: &str) -> Result<(), PushError> {
        let tag = self.session.docker.command(&["tag", from, to]);
        let answer = process::output(tag, None, LIMIT, &self.stop).await?;
        if answer.status.success() {
            return Ok(());
        }
        Err(PushError::Docker { reference: to.to_owned(), said: last_line(&answer.stderr) })
    }

    async fn send(&self, row: &Handle, reference: &str) -> Result<Transcript, PushError> {
        let tag = short(reference.rsplit(':').next().unwrap_or(reference));
        row.step(&format!("pushing {tag}"));
        let mut transcript = Transcript::default();
        let push = self.session.docker.command(&["push", reference]);
        let status = process::follow(push, &self.stop, |line| {
            transcript.read(line);
            row.line(line, Some(format!("pushing {tag} · {line}")));
        });
        if status.await?.success() {
            return Ok(transcript);
        }
        let said = last_line(transcript.last.as_bytes());
        let advice = advice(&said);
        Err(PushError::Refused { reference: reference.to_owned(), said, advice })
    }
}

/// What `docker push` says.
#[derive(Debug, Default)]
struct Transcript {
    digest: Option<String>,
    layers: BTreeSet<String>,
    there: BTreeSet<String>,
    last: String,
}

impl Transcript {
    fn read(&mut self, line: &str) {
        line.clone_into(&mut self.last);
        if let Some((_, rest)) = line.split_once("digest: ") {
            self.digest = rest.split(' ').next().map(str::to_owned);
        } else if let Some((layer, state)) = line.split_once(": ")
            && layer.len() == 12
            && layer.bytes().all(|byte| byte.is_ascii_hexdigit())
        {
            self.layers.insert(layer.to_owned());
            if state.starts_with("Layer already exists") || state.starts_with("Mounted from") {
                self.there.insert(layer.to_owned());
            }
        }
    }
}

/// A tag as a person can read it: twelve digits of a commit tell enough.
fn short(tag: &str) -> String {
    match tag.split_at_checked(40) {
        Some((commit, mark)) => format!("{}{mark}", commit.chars().take(12).collect::<String>()),
        None => tag.to_owned(),
    }
}

/// What to do about the registry's commonest refusals.
fn advice(said: &str) -> Option<&'static str> {
    let said = said.to_lowercase();
    if said.contains("name unknown") || said.contains("repository") && said.contains("not exist") {
        Some("Create the repository first: `aws ecr create-repository --repository-name NAME`")
    } else if said.contains("immutable") {
        Some("The repository forbids tags that move; `prod` and `builder` do")
    } else if said.contains("denied") || said.contains("unauthorized") {
        Some("The login is right, but may not write here")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transcript_tells_digest_and_layers() {
        let mut transcript = Transcript::default();
        for line in [
            "The push refers to repository [127.0.0.1:5000/x]",
            "f61035c3b237: Preparing",
            "f61035c3b237: Layer already exists",
            "97b377d49e9a: Pushed",
            "c1: digest: sha256:e07a size: 523",
        ] {
            transcript.read(line);
        }
        assert_eq!(transcript.digest.as_deref(), Some("sha256:e07a"));
        assert_eq!((transcript.layers.len(), transcript.there.len()), (2, 1));
    }

    #[test]
    fn commits_are_shortened_for_people() {
        let commit = "16c19f3c590987b2ef0adaa762517c2e0c742cb3";
        assert_eq!(short(commit), "16c19f3c5909");
        assert_eq!(short(&format!("{commit}-dirty")), "16c19f3c5909-dirty");
        assert_eq!(short("prod"), "prod");
    }

    #[test]
    fn refusals_come_with_advice() {
        let ecr = "name unknown: The repository with name 'x' does not exist in the registry";
        assert!(advice(ecr).is_some_and(|advice| advice.contains("create-repository")));
        assert!(
            advice("tag invalid: The image tag 'prod' already exists and is immutable")
                .is_some_and(|advice| advice.contains("move"))
        );
        assert!(advice("denied: User is not authorized to perform ecr:PutImage").is_some());
        assert_eq!(advice("connection reset by peer"), None);
    }
}
