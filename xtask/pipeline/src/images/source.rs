//! The sources that images are built from: what git has, never what happens to lie around.
//!
//! The build gets a snapshot in a directory of its own. Nobody's editing changes it meanwhile, and
//! what git ignores (secrets in `.env`, build output) never comes near an image.

use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use tempfile::TempDir;
use tokio::process::Command;

use crate::interrupt::Stop;
use crate::process::{self, Interrupted, ProcessError};

/// Git answers at once, except in huge repositories.
const LIMIT: Duration = Duration::from_secs(120);

/// Why there is nothing to build from.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    #[error("git has no commit to build from: {0}")]
    NoCommit(String),
    #[error(
        "the working tree differs from the commit, and in continuous integration only commits \
         are built:\n{changes}\nCommit it, or leave it out with .gitignore."
    )]
    Dirty { changes: String },
    #[error("{0}")]
    Git(String),
    #[error("the sources cannot be copied: {0}")]
    Copy(#[from] std::io::Error),
    #[error("{0}")]
    Process(ProcessError),
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl From<ProcessError> for SourceError {
    fn from(error: ProcessError) -> Self {
        match error {
            ProcessError::Interrupted(interrupted) => interrupted.into(),
            error => Self::Process(error),
        }
    }
}

/// What is built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Revision {
    /// The full id of HEAD.
    pub(crate) commit: String,
    /// The first line of its message.
    pub(crate) subject: String,
    /// The branch; `None` on a detached HEAD.
    pub(crate) branch: Option<String>,
    /// Whether the sources are not exactly the commit's.
    pub(crate) dirty: bool,
    /// When it was committed, in seconds since 1970.
    #[serde(skip)]
    pub(crate) time: String,
}

impl Revision {
    /// What the images are tagged with, and what the application says its version is: the commit,
    /// marked if it does not tell the whole truth.
    #[must_use]
    pub(crate) fn version(&self) -> String {
        format!("{}{}", self.commit, if self.dirty { "-dirty" } else { "" })
    }
}

impl Revision {
    /// What an image's tag stands for: perhaps this very revision, else only the tag is known.
    #[must_use]
    pub(crate) fn tagged(&self, tag: &str) -> Self {
        if self.version() == tag {
            return self.clone();
        }
        Self {
            commit: tag.strip_suffix("-dirty").unwrap_or(tag).to_owned(),
            subject: "by the image's tag".to_owned(),
            branch: None,
            dirty: tag.ends_with("-dirty"),
            time: self.time.clone(),
        }
    }
}

impl std::fmt::Display for Revision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let short: String = self.commit.chars().take(12).collect();
        let branch = self.branch.as_deref().unwrap_or("detached");
        let state = if self.dirty { "uncommitted changes" } else { "clean" };
        write!(f, "{short} \"{}\" ({branch}, {state})", self.subject)
    }
}

/// A revision with its files.
#[derive(Debug)]
pub(crate) struct Source {
    /// What it is.
    pub(crate) revision: Revision,
    root: PathBuf,
    tree: String,
    git_objects: PathBuf,
    /// The index and the objects of uncommitted changes, and later the snapshot.
    scratch: TempDir,
}

impl Source {
    /// Looks at the checkout in `root`.
    ///
    /// # Errors
    /// It is no checkout or has no commit; and with `strict`, it has uncommitted changes.
    pub(crate) async fn observe(
        root: &Path,
        strict: bool,
        stop: &Stop,
    ) -> Result<Self, SourceError> {
        let git = Git { root, stop };
        let log = git.read(git.command(&["log", "-1", "--format=%H%n%ct%n%s"])).await;
        let log = log.map_err(|error| match error {
            SourceError::Git(said) => SourceError::NoCommit(said),
            error => error,
        })?;
        let mut lines = log.lines().map(str::to_owned);
        let mut line = || lines.next().unwrap_or_default();
        let (commit, time, subject) = (line(), line(), line());
        let branch = git.read(git.command(&["branch", "--show-current"])).await?;
        let committed = git.read(git.command(&["rev-parse", "HEAD^{tree}"])).await?;
        let git_path = async |name: &str| {
            let path = git.read(git.command(&["rev-parse", "--git-path", name])).await?;
            Ok::<_, SourceError>(std::path::absolute(root.join(path))?)
        };
        let (index, git_objects) = (git_path("index").await?, git_path("objects").await?);

        // The tree of what lies here, as `git add --all` would make it, without touching the
        // user's index or objects.
        let scratch = tempfile::Builder::new().prefix("pipeline-source-").tempdir()?;
        std::fs::create_dir(scratch.path().join("objects"))?;
        if index.is_file() {
            std::fs::copy(index, scratch.path().join("index"))?;
        }
        let mut source = Self {
            revision: Revision {
                commit,
                subject,
                branch: Some(branch).filter(|branch| !branch.is_empty()),
                dirty: false,
                time,
            },
            root: root.to_owned(),
            tree: String::new(),
            git_objects,
            scratch,
        };
        git.read(source.apart(git.command(&["add", "--all", "--", ":/"]))).await?;
        source.tree = git.read(source.apart(git.command(&["write-tree"]))).await?;
        source.revision.dirty = source.tree != committed;
        if source.revision.dirty && strict {
            let changes = git.read(git.command(&["status", "--short"])).await?;
            return Err(SourceError::Dirty { changes: first_lines(&changes, 10) });
        }
        Ok(source)
    }

    /// Writes the files into a directory that lives as long as this value.
    ///
    /// # Errors
    /// Git or tar fails.
    pub(crate) async fn snapshot(&self, stop: &Stop) -> Result<PathBuf, SourceError> {
        let git = Git { root: &self.root, stop };
        let archive = self.scratch.path().join("context.tar");
        let context = self.scratch.path().join("context");
        std::fs::create_dir(&context)?;
        let what = if self.revision.dirty { &self.tree } else { &self.revision.commit };
        // With the permissions that a checkout has: Docker's layer cache looks at them, and what
        // was built from a checkout should serve here as well.
        let archive_as = ["-c", "tar.umask=0022", "archive", "--format=tar", "--output"];
        let mut command = self.apart(git.command(&archive_as));
        command.arg(&archive).arg(what);
        git.read(command).await?;
        let mut tar = process::command("tar");
        // Files are as old as this snapshot. With the commit's time they could look older than
        // another commit's compiled objects in a build cache, and cargo would not compile them.
        tar.args(["-x", "-m", "-f"]).arg(&archive).arg("-C").arg(&context);
        git.read(tar).await?;
        std::fs::remove_file(archive)?;
        Ok(context)
    }

    /// With an index and new objects apart from the user's.
    fn apart(&self, mut command: Command) -> Command {
        command
            .env("GIT_INDEX_FILE", self.scratch.path().join("index"))
            .env("GIT_OBJECT_DIRECTORY", self.scratch.path().join("objects"))
            .env("GIT_ALTERNATE_OBJECT_DIRECTORIES", &self.git_objects);
        command
    }
}

struct Git<'a> {
    root: &'a Path,
    stop: &'a Stop,
}

impl Git<'_> {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = process::command("git");
        command.current_dir(self.root).args(arguments);
        command
    }

    async fn read(&self, command: Command) -> Result<String, SourceError> {
        let output = process::output(command, None, LIMIT, self.stop).await?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(SourceError::Git(said));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }
}

fn first_lines(text: &str, limit: usize) -> String {
    let mut lines: Vec<_> = text.lines().take(limit).map(|line| format!("  {line}")).collect();
    let more = text.lines().count().saturating_sub(limit);
    if more > 0 {
        lines.push(format!("  and {more} more"));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    async fn git(root: &Path, arguments: &[&str]) -> String {
        let stop = Stop::default();
        let git = Git { root, stop: &stop };
        let mut command = git.command(&["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]);
        command.args(arguments);
        git.read(command).await.unwrap()
    }

    async fn checkout() -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        git(dir.path(), &["init", "--quiet", "--initial-branch=main"]).await;
        fs::write(dir.path().join(".gitignore"), "*.secret\n").unwrap();
        fs::write(dir.path().join("a.txt"), "one").unwrap();
        git(dir.path(), &["add", "."]).await;
        git(dir.path(), &["commit", "--quiet", "-m", "Begin"]).await;
        dir
    }

    async fn observe(dir: &TempDir) -> Source {
        Source::observe(dir.path(), false, &Stop::default()).await.unwrap()
    }

    #[tokio::test]
    async fn a_clean_tree_is_its_commit() {
        let dir = checkout().await;
        fs::write(dir.path().join("key.secret"), "hunter2").unwrap();
        let source = observe(&dir).await;
        assert!(!source.revision.dirty);
        assert_eq!(source.revision.version(), git(dir.path(), &["rev-parse", "HEAD"]).await);
        assert_eq!(source.revision.subject, "Begin");
        assert_eq!(source.revision.branch.as_deref(), Some("main"));
        let context = source.snapshot(&Stop::default()).await.unwrap();
        assert_eq!(fs::read_to_string(context.join("a.txt")).unwrap(), "one");
        assert!(!context.join("key.secret").exists());
    }

    #[tokio::test]
    async fn a_dirty_tree_is_marked_and_taken_as_it_lies() {
        let dir = checkout().await;
        fs::write(dir.path().join("a.txt"), "two").unwrap();
        fs::write(dir.path().join("new.txt"), "new").unwrap();
        let before = git(dir.path(), &["status", "--short"]).await;
        let source = observe(&dir).await;
        assert!(source.revision.version().ends_with("-dirty"));
        let context = source.snapshot(&Stop::default()).await.unwrap();
        assert_eq!(fs::read_to_string(context.join("a.txt")).unwrap(), "two");
        assert!(context.join("new.txt").exists());
        // Looking has changed nothing.
        assert_eq!(git(dir.path(), &["status", "--short"]).await, before);
        assert_eq!(git(dir.path(), &["fsck", "--no-reflogs", "--unreachable"]).await, "");
    }

    #[tokio::test]
    async fn a_dirty_tree_is_refused_where_only_commits_count() {
        let dir = checkout().await;
        fs::remove_file(dir.path().join("a.txt")).unwrap();
        let refused = Source::observe(dir.path(), true, &Stop::default()).await.unwrap_err();
        assert!(refused.to_string().contains(" D a.txt"), "{refused}");
    }

    #[tokio::test]
    async fn the_files_of_a_snapshot_are_younger_than_any_earlier_build() {
        let dir = checkout().await;
        let commit = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "commit"];
        let old = process::command("git")
            .env("GIT_COMMITTER_DATE", "2001-01-01T00:00:00Z")
            .arg("-C")
            .arg(dir.path())
            .args(commit)
            .args(["--quiet", "--amend", "--no-edit"])
            .status();
        assert!(old.await.unwrap().success());
        let before = std::time::SystemTime::now() - Duration::from_secs(5);
        let source = observe(&dir).await;
        let context = source.snapshot(&Stop::default()).await.unwrap();
        assert!(context.join("a.txt").metadata().unwrap().modified().unwrap() > before);
    }

    #[tokio::test]
    async fn no_checkout_is_said_so() {
        let dir = tempfile::tempdir().unwrap();
        let error = Source::observe(dir.path(), false, &Stop::default()).await.unwrap_err();
        assert!(matches!(error, SourceError::NoCommit(_)), "{error}");
    }

    #[test]
    fn long_lists_are_cut() {
        assert_eq!(first_lines("a\nb\nc", 2), "  a\n  b\n  and 1 more");
        assert_eq!(first_lines("a\nb", 2), "  a\n  b");
    }
}
