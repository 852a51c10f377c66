//! Where things lie. Paths are made here and nowhere else.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// The directories of this checkout.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    /// The workspace's root.
    pub(crate) root: PathBuf,
    /// Cargo's target directory, wherever the user's configuration puts it.
    pub(crate) cargo_target: PathBuf,
    /// Where `cargo build` leaves the programs of the dev profile.
    programs: PathBuf,
}

impl Layout {
    /// Finds them from where cargo put this very program.
    ///
    /// # Errors
    /// Fails where the program's own path cannot be told.
    pub(crate) fn discover() -> Result<Self> {
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest.parent().context("xtask lies in no workspace")?.to_path_buf();
        let program = std::env::current_exe().context("this program's own path is unknown")?;
        let profile = program.parent().context("this program lies in no directory")?;
        let cargo_target = cargo_target(profile).unwrap_or_else(|| root.join("target"));
        let programs = if profile.ends_with("debug") && profile.starts_with(&cargo_target) {
            profile.to_path_buf()
        } else {
            cargo_target.join("debug")
        };
        Ok(Self { root, cargo_target, programs })
    }

    /// What `cargo xtask dev` keeps: the database, the built page, logs. It belongs to the
    /// checkout, so it stays here even if cargo's target directory is elsewhere.
    #[must_use]
    pub(crate) fn dev(&self) -> PathBuf {
        self.root.join("target/dev")
    }

    /// What a run of `cargo xtask test` keeps while it runs.
    #[must_use]
    pub(crate) fn test(&self) -> PathBuf {
        self.root.join("target/test")
    }

    /// What a run of `cargo xtask rehearse` keeps while it runs.
    #[must_use]
    pub(crate) fn rehearse(&self) -> PathBuf {
        self.root.join("target/rehearse")
    }

    /// Where nextest writes what became of each test: in the workspace, wherever cargo builds.
    #[must_use]
    pub(crate) fn junit(&self) -> PathBuf {
        self.root.join("target/nextest/default/junit.xml")
    }

    /// Where those files are collected, one for each part of the tests.
    #[must_use]
    pub(crate) fn reports(&self) -> PathBuf {
        self.root.join("target/reports")
    }

    /// Cargo's target directory for the client. It is apart because another compiler than the
    /// server's may write it.
    #[must_use]
    pub(crate) fn wasm_target(&self) -> PathBuf {
        self.cargo_target.join("wasm")
    }

    /// What is compiled for fuzzing, and the inputs that it has found.
    #[must_use]
    pub(crate) fn fuzz(&self) -> PathBuf {
        self.cargo_target.join("fuzz")
    }

    /// Tools that were made here because no package carries them. `cargo clean` removes them.
    #[must_use]
    pub(crate) fn tools(&self) -> PathBuf {
        self.cargo_target.join("tools")
    }

    /// The client's page, styles and source.
    #[must_use]
    pub(crate) fn client(&self) -> PathBuf {
        self.root.join("services/client")
    }

    /// A program of the workspace, as `cargo build` leaves it.
    #[must_use]
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.programs.join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
    }

    /// The same, as `cargo build --release` leaves it.
    #[must_use]
    pub(crate) fn release_program(&self, name: &str) -> PathBuf {
        self.programs
            .with_file_name("release")
            .join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
    }

    /// A short, stable name for this checkout, to tell its containers and volumes from those of
    /// others: FNV-1a over the root's path.
    #[must_use]
    pub(crate) fn id(&self) -> String {
        let hash = self
            .root
            .as_os_str()
            .as_encoded_bytes()
            .iter()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
            });
        format!("{hash:016x}")
    }

    /// A path as the user would type it from the root.
    #[must_use]
    pub(crate) fn relative<'p>(&self, path: &'p Path) -> std::path::Display<'p> {
        path.strip_prefix(&self.root).unwrap_or(path).display()
    }
}

/// Cargo marks its target directory with a cache tag.
fn cargo_target(profile: &Path) -> Option<PathBuf> {
    profile.ancestors().find(|dir| dir.join("CACHEDIR.TAG").is_file()).map(Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(root: &str) -> Layout {
        let root = PathBuf::from(root);
        Layout { cargo_target: root.join("target"), programs: root.join("target/debug"), root }
    }

    #[test]
    fn checkouts_have_ids_of_their_own() {
        assert_eq!(layout("/a").id(), layout("/a").id());
        assert_ne!(layout("/a").id(), layout("/b").id());
        assert_eq!(layout("/a").id().len(), 16);
    }

    #[test]
    fn paths_are_shown_from_the_root() {
        let layout = layout("/home/ada/users");
        assert_eq!(layout.relative(&layout.dev()).to_string(), "target/dev");
        assert_eq!(layout.relative(Path::new("/elsewhere/x")).to_string(), "/elsewhere/x");
    }
}
