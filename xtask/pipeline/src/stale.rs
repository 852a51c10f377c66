//! Whether somebody has moved on: a checkout that is behind its branch, or behind what serves, would
//! take a newer release back without anybody having asked for it.

use std::path::Path;
use std::time::Duration;

use tokio::process::Command;

use crate::images::docker::last_line;
use crate::interrupt::Stop;
use crate::process::{self, ProcessError};

/// The remote may be far away.
const LIMIT: Duration = Duration::from_secs(30);

/// What the checkout is behind of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Stale {
    #[error(
        "HEAD ({head}) is behind the tip of {branch} ({tip}): pull, or deploy it nevertheless with \
         --allow-stale"
    )]
    Branch { head: String, branch: String, tip: String },
    #[error(
        "HEAD ({head}) is behind what serves ({serves}, release {release}): to go back on purpose \
         use `cargo xtask rollback`, or --allow-stale"
    )]
    Release { head: String, serves: String, release: String },
}

/// What looking has shown.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Looked {
    /// What the checkout is behind of.
    pub(crate) stale: Option<Stale>,
    /// Why that is not known of the branch.
    pub(crate) unknown: Option<String>,
}

/// Looks. A remote that does not answer is no reason to refuse, but one to say so.
///
/// # Errors
/// Git cannot be run at all, or was interrupted.
pub(crate) async fn look(
    root: &Path,
    branch: Option<&str>,
    released: Option<(&str, &str)>,
    stop: &Stop,
) -> Result<Looked, ProcessError> {
    let git = Git { root, stop };
    let mut looked = Looked::default();
    let Some(head) = git.read(&["rev-parse", "HEAD"]).await? else { return Ok(looked) };
    let short = |commit: &str| commit.chars().take(7).collect::<String>();
    if let Some(branch) = branch {
        let tip = match git.tip(branch).await? {
            Tip::Is(tip) => Some(tip),
            Tip::None => None,
            Tip::Unknown(said) => {
                looked.unknown =
                    Some(format!("whether {branch} has moved on is not known: {said}"));
                None
            }
        };
        if let Some(tip) = tip.filter(|tip| **tip != head) {
            // One that is not here was pushed by somebody else; ours that are not pushed yet are.
            let known = git.succeeds(&["cat-file", "-e", &format!("{tip}^{{commit}}")]).await?;
            if !known || git.is_before(&head, &tip).await? {
                let (head, tip) = (short(&head), short(&tip));
                looked.stale = Some(Stale::Branch { head, branch: branch.to_owned(), tip });
                return Ok(looked);
            }
        }
    }
    if let Some((serves, release)) = released.filter(|(serves, _)| **serves != head)
        && git.succeeds(&["cat-file", "-e", &format!("{serves}^{{commit}}")]).await?
        && git.is_before(&head, serves).await?
    {
        let (head, serves, release) = (short(&head), short(serves), release.to_owned());
        looked.stale = Some(Stale::Release { head, serves, release });
    }
    Ok(looked)
}

/// Where the remote's branch is.
enum Tip {
    /// At this commit.
    Is(String),
    /// There is no such branch, or no remote.
    None,
    /// The remote does not say.
    Unknown(String),
}

struct Git<'a> {
    root: &'a Path,
    stop: &'a Stop,
}

impl Git<'_> {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = process::command("git");
        // A remote that wants a password must not ask for it here.
        command.env("GIT_TERMINAL_PROMPT", "0").current_dir(self.root).args(arguments);
        command
    }

    async fn read(&self, arguments: &[&str]) -> Result<Option<String>, ProcessError> {
        match process::output(self.command(arguments), None, LIMIT, self.stop).await {
            Ok(output) if output.status.success() => {
                Ok(Some(String::from_utf8_lossy(&output.stdout).trim().to_owned()))
            }
            Ok(_) | Err(ProcessError::TimedOut { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn tip(&self, branch: &str) -> Result<Tip, ProcessError> {
        const NO_SUCH_BRANCH: i32 = 2;
        if !self.succeeds(&["remote", "get-url", "origin"]).await? {
            return Ok(Tip::None);
        }
        let reference = format!("refs/heads/{branch}");
        let asked = self.command(&["ls-remote", "--exit-code", "origin", &reference]);
        let answer = match process::output(asked, None, LIMIT, self.stop).await {
            Ok(answer) => answer,
            Err(error @ ProcessError::TimedOut { .. }) => {
                return Ok(Tip::Unknown(error.to_string()));
            }
            Err(error) => return Err(error),
        };
        if answer.status.success() {
            let said = String::from_utf8_lossy(&answer.stdout);
            return Ok(said
                .split_whitespace()
                .next()
                .map_or(Tip::None, |tip| Tip::Is(tip.to_owned())));
        }
        if answer.status.code() == Some(NO_SUCH_BRANCH) {
            return Ok(Tip::None);
        }
        Ok(Tip::Unknown(last_line(&answer.stderr)))
    }

    async fn succeeds(&self, arguments: &[&str]) -> Result<bool, ProcessError> {
        Ok(self.read(arguments).await?.is_some())
    }

    async fn is_before(&self, older: &str, newer: &str) -> Result<bool, ProcessError> {
        self.succeeds(&["merge-base", "--is-ancestor", older, newer]).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn git(root: &Path, arguments: &[&str]) -> String {
        let git = Git { root, stop: &Stop::default() };
        let mut command = git.command(&["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]);
        let output = command.args(arguments).output().await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    async fn commit(root: &Path, message: &str) -> String {
        git(root, &["commit", "--quiet", "--allow-empty", "-m", message]).await;
        git(root, &["rev-parse", "HEAD"]).await
    }

    #[tokio::test]
    async fn behind_the_branch_or_behind_what_serves_is_stale() {
        let (remote, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (remote, root, stop) = (remote.path(), here.path(), Stop::default());
        git(remote, &["init", "--quiet", "--bare", "--initial-branch=main"]).await;
        git(root, &["init", "--quiet", "--initial-branch=main"]).await;
        let first = commit(root, "one").await;
        let nothing = Looked::default();
        assert_eq!(look(root, Some("main"), None, &stop).await.unwrap(), nothing, "no remote");
        git(root, &["remote", "add", "origin", remote.to_str().unwrap()]).await;
        git(root, &["push", "--quiet", "origin", "main"]).await;
        let second = commit(root, "two").await;
        assert_eq!(look(root, Some("main"), None, &stop).await.unwrap(), nothing, "ahead of it");
        assert_eq!(look(root, Some("other"), None, &stop).await.unwrap(), nothing, "no branch");
        assert_eq!(look(root, None, Some((&first, "r")), &stop).await.unwrap(), nothing);
        git(root, &["push", "--quiet", "origin", "main"]).await;
        git(root, &["reset", "--quiet", "--hard", &first]).await;
        let stale = look(root, Some("main"), None, &stop).await.unwrap().stale;
        assert!(matches!(stale, Some(Stale::Branch { .. })), "{stale:?}");
        let stale = look(root, None, Some((&second, "2026-11-23.1")), &stop).await.unwrap().stale;
        assert!(matches!(stale, Some(Stale::Release { .. })), "{stale:?}");
        git(root, &["remote", "set-url", "origin", "/nowhere"]).await;
        let looked = look(root, Some("main"), None, &stop).await.unwrap();
        let unknown = looked.unknown.unwrap();
        assert!(unknown.starts_with("whether main has moved on is not known: "), "{unknown}");
    }
}
