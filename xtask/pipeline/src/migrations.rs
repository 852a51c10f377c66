//! Which migrations a release brings: those in the repository that the last good release's commit
//! did not have. The database itself is in a private network and is not asked; the program that
//! migrates does nothing where there is nothing to do.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use crate::interrupt::Stop;
use crate::process::{self, ProcessError};

/// Where they lie, from the workspace's root: a directory each.
const DIRECTORY: &str = "services/users/migrations";
/// Git answers at once, except in huge repositories.
const LIMIT: Duration = Duration::from_secs(30);

/// What there is to do for the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "state", content = "names")]
pub(crate) enum Migrations {
    /// Nothing: the last good release had them all.
    None,
    /// These are new, or were changed.
    Pending(Vec<String>),
    /// It is not known what the database has: `migrate` finds out.
    Unknown,
}

/// Compares the checkout in `root` with the version of the last good release.
///
/// # Errors
/// Git cannot be run, or was interrupted.
pub(crate) async fn pending(
    root: &Path,
    released: Option<&str>,
    stop: &Stop,
) -> Result<Migrations, ProcessError> {
    // The sources of a dirty release are nobody's to compare with any more.
    let Some(commit) = released.filter(|version| !version.ends_with("-dirty")) else {
        return Ok(Migrations::Unknown);
    };
    let mut git = process::command("git");
    git.current_dir(root).args(["diff", "--name-only", "--no-renames", commit, "--", DIRECTORY]);
    let changed = process::output(git, None, LIMIT, stop).await?;
    let mut git = process::command("git");
    git.current_dir(root).args(["ls-files", "--others", "--exclude-standard", "--", DIRECTORY]);
    let new = process::output(git, None, LIMIT, stop).await?;
    if !changed.status.success() || !new.status.success() {
        // A shallow clone may not have that commit.
        return Ok(Migrations::Unknown);
    }
    let text = [changed.stdout, new.stdout].concat();
    let names = names(&String::from_utf8_lossy(&text));
    Ok(if names.is_empty() { Migrations::None } else { Migrations::Pending(names) })
}

/// The directories of files, each once.
fn names(files: &str) -> Vec<String> {
    let names: BTreeSet<&str> = files
        .lines()
        .filter_map(|file| file.strip_prefix(DIRECTORY)?.strip_prefix('/')?.split('/').next())
        .collect();
    names.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn git(root: &Path, arguments: &[&str]) -> String {
        let mut git = process::command("git");
        git.current_dir(root).args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]);
        git.args(arguments);
        let output = process::output(git, None, LIMIT, &Stop::default()).await.unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn add(root: &Path, name: &str) {
        let directory = root.join(DIRECTORY).join(name);
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("up.sql"), name).unwrap();
        std::fs::write(directory.join("down.sql"), name).unwrap();
    }

    #[tokio::test]
    async fn what_the_last_release_did_not_have_is_pending() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        git(root, &["init", "--quiet"]).await;
        add(root, "0001_users");
        git(root, &["add", "."]).await;
        git(root, &["commit", "--quiet", "-m", "Begin"]).await;
        let released = git(root, &["rev-parse", "HEAD"]).await;
        let pending =
            async |released| super::pending(root, released, &Stop::default()).await.unwrap();
        assert_eq!(pending(Some(&*released)).await, Migrations::None);
        add(root, "0002_sessions");
        git(root, &["add", "."]).await;
        git(root, &["commit", "--quiet", "-m", "Add"]).await;
        add(root, "0003_throttle");
        let two = ["0002_sessions", "0003_throttle"].map(str::to_owned);
        assert_eq!(pending(Some(&*released)).await, Migrations::Pending(two.into()));
        assert_eq!(pending(None).await, Migrations::Unknown);
        let absent = "0123456789012345678901234567890123456789";
        assert_eq!(pending(Some(absent)).await, Migrations::Unknown);
        assert_eq!(pending(Some("c0ffee-dirty")).await, Migrations::Unknown);
    }
}
