//! The stack of `ecs/stack.yml`: all that a release finds in place. CloudFormation changes it; here
//! is what it is sent, and how its plans and reports are read.
//!
//! Pure: `body`, `changes`, `cost`, `events`, `drift`. They ask nobody. `apply` and `destroy` do,
//! through [`crate::aws::stack`].

pub(crate) mod apply;
pub(crate) mod body;
pub(crate) mod changes;
pub(crate) mod cost;
pub(crate) mod destroy;
pub(crate) mod drift;
pub(crate) mod events;

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use crate::cloud::CloudError;
use crate::exit_code;
use crate::process::Interrupted;
use crate::store::lock::Lock;
use crate::store::{Store, StoreError};

/// Why the stack is not as it was to be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InfraError {
    #[error("{path} cannot be read: {cause}. Run this from the workspace's root.")]
    NoTemplate { path: &'static str, cause: std::io::Error },
    #[error(
        "{path} has {bytes} bytes without its comments, and CloudFormation takes {most} with the \
         request: make it shorter"
    )]
    TooLarge { path: &'static str, bytes: usize, most: usize },
    #[error("[parameters] in {file}: {message}", file = crate::config::PATH)]
    Parameter { message: String },
    #[error("there is no stack {0}: `cargo xtask infra apply` makes it")]
    NoStack(String),
    #[error("somebody else changes the stack {stack} ({status}): wait until that is done")]
    Busy { stack: String, status: String },
    #[error("the stack {stack} is {status} and takes no changes. {advice}")]
    Stuck { stack: String, status: String, advice: &'static str },
    #[error("CloudFormation does not take the change: {reason}. Nothing was changed.")]
    Rejected { reason: String },
    #[error("{what}. If you mean it: {command}. Nothing was changed.")]
    NotConfirmed { what: String, command: String },
    #[error("--yes-destroy names {given:?}, but the database is {database:?}; nothing was changed")]
    OtherDatabase { given: String, database: String },
    #[error("{who} deploys (`{what}`): wait until that is done. Nothing was changed.")]
    Locked { who: String, what: String },
    #[error("not confirmed; nothing was changed")]
    Declined,
    #[error("{text}")]
    Failed { text: String, exit_code: u8 },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Cloud(#[from] CloudError),
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    #[error("the answer cannot be read: {0}")]
    Terminal(#[from] std::io::Error),
}

impl InfraError {
    /// One of [`exit_code`]'s.
    #[must_use]
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::NoTemplate { .. }
            | Self::TooLarge { .. }
            | Self::Parameter { .. }
            | Self::NoStack(_)
            | Self::NotConfirmed { .. }
            | Self::OtherDatabase { .. } => exit_code::CONFIGURATION,
            Self::Busy { .. } | Self::Locked { .. } => exit_code::LOCKED,
            Self::Failed { exit_code, .. } => *exit_code,
            Self::Declined | Self::Interrupted(_) => exit_code::INTERRUPTED,
            Self::Stuck { .. }
            | Self::Rejected { .. }
            | Self::Store(_)
            | Self::Cloud(_)
            | Self::Terminal(_) => exit_code::ERROR,
        }
    }
}

/// Refuses while somebody deploys, by the lock in any of these buckets.
///
/// # Errors
/// Somebody does, or one of the buckets that are there cannot be read.
pub(crate) async fn nobody_deploys<S: Store>(stores: &[&S]) -> Result<(), InfraError> {
    for store in stores {
        match Lock::holder(*store).await {
            Ok(Some(holder)) => {
                return Err(InfraError::Locked { who: holder.who, what: holder.what });
            }
            Ok(None) | Err(StoreError::NoBucket { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Whether somebody else's permissions, and no failure, keep us from looking.
#[must_use]
pub(crate) fn is_closed(error: &InfraError) -> bool {
    matches!(
        error,
        InfraError::Store(StoreError::Cloud(
            CloudError::Denied { .. } | CloudError::Refused { .. }
        ))
    )
}

/// Whether there is somebody who can answer a question.
pub(crate) fn somebody_is_there() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks on the terminal; gives the answer without the space around it.
///
/// # Errors
/// The terminal is gone.
pub(crate) async fn ask(question: &str) -> Result<String, InfraError> {
    let mut err = std::io::stderr().lock();
    write!(err, "{question} ")?;
    err.flush()?;
    drop(err);
    // On a thread that nobody waits for: Ctrl-C must end the question too.
    let (sender, answer) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line).map(|_| line);
        // Nobody listens after Ctrl-C.
        let _ = sender.send(read);
    });
    let line = answer.await.map_err(|_| InfraError::Declined)??;
    Ok(line.trim().to_owned())
}

/// Makes sure that the database that would be lost was named.
///
/// # Errors
/// It was not, or another was.
pub(crate) fn named(
    database: &str,
    given: Option<&str>,
    what: impl FnOnce() -> String,
    command: &str,
) -> Result<(), InfraError> {
    match given {
        Some(given) if given == database => Ok(()),
        Some(given) => Err(InfraError::OtherDatabase {
            given: given.to_owned(),
            database: database.to_owned(),
        }),
        None => Err(InfraError::NotConfirmed {
            what: what(),
            command: format!("cargo xtask {command} --yes-destroy {database}"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::memory::Memory;

    #[tokio::test(start_paused = true)]
    async fn whoever_deploys_is_named_and_not_disturbed() {
        let (configured, own) = (Memory::new(), Memory::new());
        let stores = [&configured, &own];
        nobody_deploys(&stores).await.unwrap();
        let (who, what) = ("ada@laptop", "deploy c0ffee");
        let lock = Lock::acquire(&own, "ada", who, what, Duration::ZERO, |_| {}).await.unwrap();
        let refused = nobody_deploys(&stores).await.unwrap_err();
        assert_eq!(refused.exit_code(), exit_code::LOCKED);
        assert_eq!(
            refused.to_string(),
            "ada@laptop deploys (`deploy c0ffee`): wait until that is done. Nothing was changed."
        );
        assert!(!is_closed(&refused));
        lock.release(&own).await.unwrap();
        nobody_deploys(&stores).await.unwrap();
    }

    #[test]
    fn only_a_bucket_that_may_not_be_read_is_passed_over() {
        let operation = "s3:GetObject";
        let denied = CloudError::Denied { operation, message: String::new() };
        let lost = CloudError::Lost { operation, cause: String::new() };
        assert!(is_closed(&StoreError::from(denied).into()));
        assert!(!is_closed(&StoreError::from(lost).into()));
    }

    #[test]
    fn only_the_right_name_lets_a_database_go() {
        let check = |given| named("users", given, || "it is lost".to_owned(), "infra apply");
        assert!(check(Some("users")).is_ok());
        let (none, other) = (check(None).unwrap_err(), check(Some("user")).unwrap_err());
        assert_eq!(
            none.to_string(),
            "it is lost. If you mean it: cargo xtask infra apply --yes-destroy users. Nothing was \
             changed."
        );
        assert!(other.to_string().contains("\"user\""), "{other}");
        assert_eq!((none.exit_code(), other.exit_code()), (10, 10));
    }
}
