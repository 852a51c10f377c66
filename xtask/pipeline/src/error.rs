//! How a command fails. Each room has an error type of its own; this one says which exit code
//! belongs to which.

use crate::aws::AwsError;
use crate::cloud::CloudError;
use crate::cmd::deploy::DeployError;
use crate::cmd::exec::ExecError;
use crate::cmd::rollback::RollbackError;
use crate::cmd::task::RunError;
use crate::cmd::tunnel::TunnelError;
use crate::deploy::HeldError;
use crate::images::build::BuildError;
use crate::images::docker::EngineError;
use crate::images::login::LoginError;
use crate::images::push::PushError;
use crate::images::registry::RegistryError;
use crate::images::source::SourceError;
use crate::infra::InfraError;
use crate::observe::ObserveError;
use crate::process::{Interrupted, ProcessError};
use crate::store::StoreError;
use crate::store::release::ReleaseError;
use crate::template::TemplateError;
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
    Aws(#[from] AwsError),
    #[error(transparent)]
    Cloud(#[from] CloudError),
    #[error(transparent)]
    Held(#[from] HeldError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Deploy(#[from] DeployError),
    #[error(transparent)]
    Rollback(#[from] RollbackError),
    #[error(transparent)]
    Release(#[from] ReleaseError),
    #[error(transparent)]
    Exec(#[from] ExecError),
    #[error(transparent)]
    Tunnel(#[from] TunnelError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Observe(#[from] ObserveError),
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error(transparent)]
    Infra(#[from] InfraError),
    #[error("{0}")]
    Process(ProcessError),
    /// A deploy that has told everything already.
    #[error("{message}")]
    Ended { message: String, exit_code: u8 },
    /// Something that has told nothing yet.
    #[error("{message}")]
    Failed { message: String, exit_code: u8 },
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl From<ProcessError> for Error {
    fn from(error: ProcessError) -> Self {
        match error {
            ProcessError::Interrupted(interrupted) => interrupted.into(),
            error => Self::Process(error),
        }
    }
}

impl Error {
    /// Whether somebody wanted the end.
    #[must_use]
    pub(crate) fn is_interruption(&self) -> bool {
        self.exit_code() == exit_code::INTERRUPTED
    }

    /// Whether the answer has been given, and this is only how it ended.
    #[must_use]
    pub(crate) fn is_answered(&self) -> bool {
        matches!(self, Self::Ended { .. } | Self::Output(_))
    }

    /// The exit code, one of [`exit_code`]'s.
    #[must_use]
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_)
            | Self::Template(_)
            | Self::Exec(_)
            | Self::Tunnel(_)
            | Self::Observe(ObserveError::WrongAccount { .. }) => exit_code::CONFIGURATION,
            Self::Store(error)
            | Self::Release(ReleaseError::Store(error))
            | Self::Observe(
                ObserveError::Store(error) | ObserveError::Release(ReleaseError::Store(error)),
            ) => error.exit_code(),
            Self::Login(error) if error.is_configuration() => exit_code::CONFIGURATION,
            Self::Source(SourceError::Interrupted(_))
            | Self::Engine(EngineError::Interrupted(_))
            | Self::Login(LoginError::Interrupted(_))
            | Self::Registry(RegistryError::Interrupted(_))
            | Self::Build(BuildError::Interrupted(_))
            | Self::Push(PushError::Interrupted(_))
            | Self::Interrupted(_) => exit_code::INTERRUPTED,
            Self::Aws(error) if error.is_configuration() => exit_code::CONFIGURATION,
            Self::Held(error) => error.exit_code(),
            Self::Infra(error) => error.exit_code(),
            Self::Run(error) => error.exit_code(),
            Self::Deploy(error) => error.exit_code(),
            Self::Rollback(_) => exit_code::CONFIGURATION,
            Self::Ended { exit_code, .. } | Self::Failed { exit_code, .. } => *exit_code,
            Self::Release(ReleaseError::Unknown(_)) => exit_code::CONFIGURATION,
            Self::Source(_)
            | Self::Engine(_)
            | Self::Login(_)
            | Self::Registry(_)
            | Self::Build(_)
            | Self::Push(_) => exit_code::BUILD,
            Self::Observe(_)
            | Self::Process(_)
            | Self::Output(_)
            | Self::Aws(_)
            | Self::Cloud(_)
            | Self::Release(_) => exit_code::ERROR,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::lock::LockError;

    #[test]
    fn a_missing_bucket_is_a_matter_of_configuration_wherever_it_is_missed() {
        let missing = || StoreError::NoBucket { bucket: "shop-pipeline-1".to_owned() };
        for error in [
            Error::Store(missing()),
            Error::Release(missing().into()),
            Error::Held(HeldError::Lock(LockError::Store(missing()))),
            Error::Observe(missing().into()),
            Error::Observe(ReleaseError::from(missing()).into()),
        ] {
            assert_eq!(error.exit_code(), exit_code::CONFIGURATION, "{error:?}");
        }
    }
}
