//! Building the images, side by side.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;

use super::docker::Docker;
use super::login::Session;
use super::plan::{BUILDER, INPUTS_LABEL, Image, Observed};
use super::progress::{Handle, Progress, Steps};
use super::source::{Source, SourceError};
use crate::config::ServiceName;
use crate::interrupt::Stop;
use crate::process::{self, Interrupted, ProcessError};

/// How many of a build's last lines are shown when it fails.
const LAST_LINES: usize = 30;
/// What a question to the engine may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
    #[error(
        "the image of {service} could not be built from {dockerfile}. Docker's last lines:\n{lines}"
    )]
    Failed { service: ServiceName, dockerfile: String, lines: String },
    #[error(
        "{dockerfile} is not among the sources: commit it, or correct services.{service}.dockerfile"
    )]
    NoDockerfile { service: ServiceName, dockerfile: String },
    #[error(transparent)]
    Source(SourceError),
    #[error("{0}")]
    Process(ProcessError),
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl From<ProcessError> for BuildError {
    fn from(error: ProcessError) -> Self {
        match error {
            ProcessError::Interrupted(interrupted) => interrupted.into(),
            error => Self::Process(error),
        }
    }
}

impl From<SourceError> for BuildError {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Interrupted(interrupted) => interrupted.into(),
            error => Self::Source(error),
        }
    }
}

/// A build to do.
#[derive(Debug, Clone)]
struct Job {
    image: Image,
    context: PathBuf,
    docker: Docker,
    /// An image in the registry whose layers may be used.
    cache: Option<String>,
    /// When the commit was made: what the image says about its age, for equal digests.
    time: String,
}

/// An image that lies in the engine here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Built {
    /// How long it took.
    pub(crate) took: Duration,
    /// Its size on disk, if the engine tells.
    pub(crate) bytes_unpacked: Option<u64>,
}

/// Builds images.
///
/// # Errors
/// The first that could not be built; the others are stopped then.
pub(crate) async fn build(
    source: &Source,
    images: &[(Image, Observed)],
    session: Option<&Session>,
    stop: &Stop,
) -> Result<Vec<Built>, BuildError> {
    if images.is_empty() {
        return Ok(Vec::new());
    }
    let context = source.snapshot(stop).await?;
    for (image, _) in images {
        if !context.join(&image.service.dockerfile).is_file() {
            let service = image.service.name;
            let dockerfile = image.service.dockerfile.clone();
            return Err(BuildError::NoDockerfile { service, dockerfile });
        }
    }
    let jobs = images.iter().map(|(image, observed)| Job {
        image: image.clone(),
        context: context.clone(),
        docker: session.map(|session| session.docker.clone()).unwrap_or_default(),
        cache: session
            .filter(|_| observed.cache)
            .map(|session| image.remote(&session.host, BUILDER)),
        time: source.revision.time.clone(),
    });
    let progress = Progress::start();
    super::side_by_side(jobs, stop, |job, stop| {
        let row = progress.row(job.image.service.name);
        async move { job.run(&row, &stop).await }
    })
    .await
}

impl Job {
    /// First the stage that serves as a cache, then the image, which is made from it.
    async fn run(&self, row: &Handle, stop: &Stop) -> Result<Built, BuildError> {
        row.step("starting");
        let cache = self.image.cache.then_some(Target::Builder);
        for target in cache.into_iter().chain([Target::Image]) {
            let mut steps = Steps::default();
            let mut last = VecDeque::new();
            let status = process::follow(self.command(target), stop, |line| {
                if !line.is_empty() {
                    last.push_back(format!("  {line}\n"));
                }
                if last.len() > LAST_LINES {
                    last.pop_front();
                }
                row.line(line, steps.read(line));
            });
            if !status.await?.success() {
                row.done("failed");
                return Err(BuildError::Failed {
                    service: self.image.service.name,
                    dockerfile: self.image.service.dockerfile.clone(),
                    lines: last.into_iter().collect::<String>().trim_end().to_owned(),
                });
            }
        }
        let bytes_unpacked = self.size(stop).await?;
        Ok(Built { took: row.done("built"), bytes_unpacked })
    }

    async fn size(&self, stop: &Stop) -> Result<Option<u64>, BuildError> {
        let reference = self.image.local(&self.image.version);
        let inspect = ["image", "inspect", "--format", "{{.Size}}", &reference];
        let answer = process::output(self.docker.command(&inspect), None, LIMIT, stop).await?;
        Ok(String::from_utf8_lossy(&answer.stdout).trim().parse().ok())
    }

    fn command(&self, target: Target) -> Command {
        let mut command = self.docker.command(&["buildx", "build"]);
        command.args(arguments(&self.image, target, self.cache.as_deref(), &self.context));
        command.env("SOURCE_DATE_EPOCH", &self.time);
        command
    }
}

/// Which of a Dockerfile's results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    /// The stage named `builder`, as an image of its own.
    Builder,
    /// The last stage.
    Image,
}

/// The arguments of `docker buildx build`.
fn arguments(image: &Image, target: Target, cache: Option<&str>, context: &Path) -> Vec<String> {
    let dockerfile = context.join(&image.service.dockerfile).to_string_lossy().into_owned();
    let mut arguments: Vec<String> = [
        "--progress=plain".to_owned(),
        "--load".to_owned(),
        format!("--platform={}", image.platform),
        format!("--file={dockerfile}"),
        format!("--build-arg=APP_VERSION={}", image.version),
        format!("--label={INPUTS_LABEL}={}", image.inputs),
    ]
    .into();
    for (name, value) in &image.service.build_args {
        arguments.push(format!("--build-arg={name}={value}"));
    }
    if let Some(cache) = cache {
        arguments.push(format!("--cache-from=type=registry,ref={cache}"));
    }
    match target {
        Target::Builder => {
            arguments.push(format!("--target={BUILDER}"));
            arguments.push(format!("--tag={}", image.local(BUILDER)));
            // Inside the image, which every builder can do. Not inside the released one as well:
            // it needs no cache, and engines before 23.0 fall over one in both.
            arguments.push("--cache-to=type=inline".to_owned());
        }
        Target::Image => {
            arguments.extend(image.tags().iter().map(|tag| format!("--tag={}", image.local(tag))));
        }
    }
    arguments.push(context.to_string_lossy().into_owned());
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::plan::tests::image;

    #[test]
    fn the_image_has_its_version_and_arguments_and_all_its_tags() {
        let image = image(false, "https://a");
        let arguments = arguments(&image, Target::Image, None, Path::new("/snapshot"));
        for expected in [
            "--build-arg=APP_VERSION=c0ffee",
            "--build-arg=API_SERVICE_URL=https://a",
            "--tag=shop-client:c0ffee",
            "--tag=shop-client:prod",
            "--file=/snapshot/Dockerfile.client",
            "--platform=linux/amd64",
        ] {
            assert!(arguments.contains(&expected.to_owned()), "{expected}: {arguments:?}");
        }
        assert!(!arguments.iter().any(|argument| argument.contains("cache")), "{arguments:?}");
        assert_eq!(arguments.last().map(String::as_str), Some("/snapshot"));
    }

    #[test]
    fn only_the_builder_carries_the_cache() {
        let image = image(false, "");
        let cache = Some("host/shop-client:builder");
        let builder = arguments(&image, Target::Builder, cache, Path::new("/snapshot"));
        for expected in [
            "--target=builder",
            "--tag=shop-client:builder",
            "--cache-to=type=inline",
            "--cache-from=type=registry,ref=host/shop-client:builder",
        ] {
            assert!(builder.contains(&expected.to_owned()), "{expected}: {builder:?}");
        }
        let released = arguments(&image, Target::Image, cache, Path::new("/snapshot"));
        assert!(!released.iter().any(|argument| argument.starts_with("--cache-to")));
    }
}
