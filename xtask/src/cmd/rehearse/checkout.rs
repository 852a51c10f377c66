//! A clone of the user's last commit, for releases that nobody else is to see.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::layout::Layout;
use crate::process;
use crate::report::say;

/// What the task definition's DATABASE_CA names, as it lies in the checkout.
const AUTHORITIES: &str = "ecs/certs/rds-global-bundle.pem";

/// Who commits there.
const IDENTITY: [&str; 6] = [
    "-c",
    "user.name=Rehearsal",
    "-c",
    "user.email=rehearsal@localhost",
    "-c",
    "commit.gpgSign=false",
];

/// The clone. The user's own working tree is never touched.
#[derive(Debug)]
pub(super) struct Checkout {
    pub(super) root: PathBuf,
}

impl Checkout {
    /// Of HEAD, without a remote: nobody else's branch makes it look old.
    ///
    /// # Errors
    /// This is no git repository, or has no commit.
    pub(super) fn new(layout: &Layout) -> Result<Self> {
        let mut status = Command::new("git");
        let changes = process::read(status.args(["status", "--porcelain"]))
            .context("the rehearsal releases commits, and needs this to be a git checkout")?;
        if !changes.is_empty() {
            say("The working tree has uncommitted changes; rehearsed is the last commit");
        }
        let checkout = Self { root: layout.rehearse().join("checkout") };
        let head = process::read(Command::new("git").args(["rev-parse", "HEAD"]))?;
        let mut clone = Command::new("git");
        clone.args(["clone", "--quiet", "--no-checkout", "--config", "core.hooksPath=/dev/null"]);
        process::read(clone.arg(&layout.root).arg(&checkout.root))?;
        checkout.git(&["checkout", "--quiet", "-B", "main", head.trim()])?;
        checkout.git(&["remote", "remove", "origin"])?;
        Ok(checkout)
    }

    /// The commit that lies here.
    pub(super) fn head(&self) -> Result<String> {
        self.git(&["rev-parse", "HEAD"])
    }

    /// Has releases trust one more authority than those of RDS: the rehearsal's database has
    /// another one.
    pub(super) fn trust(&self, authority: &str) -> Result<()> {
        let file = self.root.join(AUTHORITIES);
        fs::create_dir_all(file.parent().context("the file lies in no directory")?)?;
        let bundle = fs::read_to_string(&file).unwrap_or_default();
        fs::write(&file, bundle + authority)?;
        self.commit("Trust the rehearsal's database")
    }

    /// A release like any other: the documentation page has another title.
    pub(super) fn change_a_title(&self) -> Result<()> {
        let file = self.root.join("services/users/src/openapi.rs");
        let text = fs::read_to_string(&file)?;
        fs::write(&file, text.replacen("title = \"", "title = \"Second release · ", 1))?;
        self.commit("Give the documentation another title")
    }

    /// A release whose program says no at once: production refuses this setting.
    pub(super) fn break_the_image(&self) -> Result<()> {
        let file = self.root.join("Dockerfile.users");
        let text = fs::read_to_string(&file)?;
        fs::write(&file, text + "ENV THROTTLE=off\n")?;
        self.commit("Lift the limits on tries")
    }

    /// A release whose migration PostgreSQL refuses.
    pub(super) fn break_the_migration(&self) -> Result<()> {
        let directory = self.root.join("services/users/migrations/9999_rehearsed");
        fs::create_dir_all(&directory)?;
        fs::write(directory.join("up.sql"), "ALTER TABLE users ADD COLUMN email text;\n")?;
        fs::write(directory.join("down.sql"), "ALTER TABLE users DROP COLUMN email;\n")?;
        self.commit("Add a column that is there already")
    }

    /// Back to a commit, as a person would after one that went wrong.
    pub(super) fn go_back_to(&self, commit: &str) -> Result<()> {
        self.git(&["reset", "--quiet", "--hard", commit]).map(drop)
    }

    fn commit(&self, message: &str) -> Result<()> {
        self.git(&["add", "--all"])?;
        let commit = ["commit", "--quiet", "--allow-empty", "--message", message];
        self.git(&[&IDENTITY[..], &commit].concat()).map(drop)
    }

    fn git(&self, arguments: &[&str]) -> Result<String> {
        let mut git = Command::new("git");
        let said = process::read(git.arg("-C").arg(&self.root).args(arguments))?;
        Ok(said.trim().to_owned())
    }
}
