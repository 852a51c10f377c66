//! Whether somebody has moved on: a checkout that is behind its branch, or behind what serves, would
//! take a newer release back without anybody having asked for it.

use std::path::Path;
use std::time::Duration;

use tokio::process::Command;

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

/// Looks. A remote that does not answer is no reason to refuse.
///
/// # Errors
/// Git cannot be run at all, or was interrupted.
pub(crate) async fn look(
    root: &Path,
    branch: Option<&str>,
    released: Option<(&str, &str)>,
    stop: &Stop,
) -> Result<Option<Stale>, ProcessError> {
    let git = Git { root, stop };
    let Some(head) = git.read(&["rev-parse", "HEAD"]).await? else { return Ok(None) };
    let short = |commit: &str| commit.chars().take(7).collect::<String>();
    if let Some(branch) = branch {
        let reference = format!("refs/heads/{branch}");
        let there = git.read(&["ls-remote", "--exit-code", "origin", &reference]).await?;
        let tip = there.as_deref().and_then(|line| line.split_whitespace().next());
        if let Some(tip) = tip.filter(|tip| **tip != head) {
            // One that is not here was pushed by somebody else; ours that are not pushed yet are.
            let known = git.succeeds(&["cat-file", "-e", &format!("{tip}^{{commit}}")]).await?;
            if !known || git.is_before(&head, tip).await? {
                let (head, tip) = (short(&head), short(tip));
                return Ok(Some(Stale::Branch { head, branch: branch.to_owned(), tip }));
            }
        }
    }
    if let Some((serves, release)) = released.filter(|(serves, _)| **serves != head)
        && git.succeeds(&["cat-file", "-e", &format!("{serves}^{{commit}}")]).await?
        && git.is_before(&head, serves).await?
    {
        let (head, serves, release) = (short(&head), short(serves), release.to_owned());
        return Ok(Some(Stale::Release { head, serves, release }));
    }
    Ok(None)
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
        assert_eq!(look(root, Some("main"), None, &stop).await.unwrap(), None, "no remote");
        git(root, &["remote", "add", "origin", remote.to_str().unwrap()]).await;
        git(root, &["push", "--quiet", "origin", "main"]).await;
        let second = commit(root, "two").await;
        assert_eq!(look(root, Some("main"), None, &stop).await.unwrap(), None, "ahead of it");
        assert_eq!(look(root, None, Some((&first, "r")), &stop).await.unwrap(), None);
        git(root, &["push", "--quiet", "origin", "main"]).await;
        git(root, &["reset", "--quiet", "--hard", &first]).await;
        let stale = look(root, Some("main"), None, &stop).await.unwrap();
        assert!(matches!(stale, Some(Stale::Branch { .. })), "{stale:?}");
        let stale = look(root, None, Some((&second, "2026-11-23.1")), &stop).await.unwrap();
        assert!(matches!(stale, Some(Stale::Release { .. })), "{stale:?}");
    }
}
