//! `docker` itself: whether it is there, and how it is called.

use std::sync::Arc;
use std::time::Duration;

use tokio::process::Command;

use super::login::PrivateConfig;
use crate::interrupt::Stop;
use crate::process::{self, Interrupted, ProcessError};

/// What a question to the engine may take; a remote engine starts slowly.
const LIMIT: Duration = Duration::from_secs(30);

/// Why docker is of no use here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EngineError {
    #[error("Docker is not here ({0}); see https://docs.docker.com/engine/install/")]
    Missing(ProcessError),
    #[error(
        "no Docker engine answers: {0}. Start it, or choose another with `docker context use`."
    )]
    Silent(String),
    #[error("Docker has no buildx ({0}); see https://docs.docker.com/go/buildx/")]
    NoBuildx(String),
    #[error("{0}")]
    Process(ProcessError),
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl From<ProcessError> for EngineError {
    fn from(error: ProcessError) -> Self {
        match error {
            ProcessError::Interrupted(interrupted) => interrupted.into(),
            error @ ProcessError::Start { .. } => Self::Missing(error),
            error => Self::Process(error),
        }
    }
}

/// How `docker` is called: with the user's configuration, or with a private copy of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Docker {
    config: Option<Arc<PrivateConfig>>,
}

impl Docker {
    /// One that uses a configuration which is removed with its last user.
    #[must_use]
    pub(crate) fn with(config: PrivateConfig) -> Self {
        Self { config: Some(Arc::new(config)) }
    }

    /// `docker` with arguments.
    #[must_use]
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = process::command("docker");
        command.args(arguments);
        // One plain manifest an image: what is registered by digest is then what runs.
        command.env("BUILDX_NO_DEFAULT_ATTESTATIONS", "1");
        if let Some(config) = &self.config {
            command.env("DOCKER_CONFIG", config.path());
        }
        command
    }

    /// Makes sure that an engine answers and can build.
    ///
    /// # Errors
    /// It does not or cannot.
    pub(crate) async fn check(&self, stop: &Stop) -> Result<(), EngineError> {
        let version = self.command(&["version", "--format", "{{.Server.Version}}"]);
        let answer = process::output(version, None, LIMIT, stop).await?;
        if !answer.status.success() {
            return Err(EngineError::Silent(last_line(&answer.stderr)));
        }
        let buildx = process::output(self.command(&["buildx", "version"]), None, LIMIT, stop);
        let answer = buildx.await?;
        if !answer.status.success() {
            return Err(EngineError::NoBuildx(last_line(&answer.stderr)));
        }
        Ok(())
    }
}

/// What a program said last, without the decoration.
#[must_use]
pub(crate) fn last_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
    let line = line.strip_prefix("ERROR: ").unwrap_or(line);
    line.strip_prefix("Error response from daemon: ")
        .unwrap_or(line)
        .trim_end_matches('.')
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_says_it() {
        assert_eq!(last_line(b"WARNING! x\nError response from daemon: no.\n\n"), "no");
        assert_eq!(last_line(b"ERROR: host/x:y: not found\n"), "host/x:y: not found");
        assert_eq!(last_line(b""), "");
    }
}
