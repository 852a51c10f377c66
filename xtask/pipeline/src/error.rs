//! How a command fails. Each room has an error type of its own; this one says which exit code
//! belongs to which.

use crate::images::build::BuildError;
use crate::images::docker::EngineError;
use crate::images::login::LoginError;
use crate::images::push::PushError;
use crate::images::registry::RegistryError;
use crate::images::source::SourceError;
use crate::process::Interrupted;
use crate::{config, exit_code};

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Config(#[from] config::Error),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Login(#[from] LoginError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(transparent)]
    Push(#[from] PushError),
    #[error("the report cannot be written: {0}")]
    Output(#[from] std::io::Error),
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl Error {
    /// Whether somebody wanted the end.
    #[must_use]
    pub(crate) fn is_interruption(&self) -> bool {
        self.exit_code() == exit_code::INTERRUPTED
    }

    /// The exit code, one of [`exit_code`]'s.
    #[must_use]
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) => exit_code::CONFIGURATION,
            Self::Login(error) if error.is_configuration() => exit_code::CONFIGURATION,
            Self::Source(SourceError::Interrupted(_))
            | Self::Engine(EngineError::Interrupted(_))
            | Self::Login(LoginError::Interrupted(_))
            | Self::Registry(RegistryError::Interrupted(_))
            | Self::Build(BuildError::Interrupted(_))
            | Self::Push(PushError::Interrupted(_))
            | Self::Interrupted(_) => exit_code::INTERRUPTED,
            Self::Source(_)
            | Self::Engine(_)
            | Self::Login(_)
            | Self::Registry(_)
            | Self::Build(_)
            | Self::Push(_) => exit_code::BUILD,
            Self::Output(_) => exit_code::ERROR,
        }
    }
}
