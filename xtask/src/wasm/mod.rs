//! The compiler for the client: a `rustc` that has a standard library for WebAssembly.
//!
//! In this order: the one that `WASM_RUSTC` names; the toolchain's own, if it has the target; the
//! same after `rustup target add`, unless RUSTUP_AUTO_INSTALL=0 forbids downloads; on Debian, one
//! made from Debian's own packages.

mod debian;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::layout::Layout;
use crate::packages::Consent;
use crate::process;
use crate::report::{complain, say};

/// The client's target.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// A compiler that can build the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Compiler {
    /// None: cargo's own choice.
    pub(crate) rustc: Option<PathBuf>,
    /// What it is, to notice when another one takes its place.
    pub(crate) identity: String,
}

/// Leptos then compiles views behind a pointer instead of anew for each type: 11 KB less to
/// download, compressed.
const FLAGS: &str = "--cfg erase_components";

impl Compiler {
    /// Takes a compiler if it has the target's standard library.
    fn at(rustc: Option<PathBuf>) -> Option<Self> {
        let program = rustc.clone().unwrap_or_else(own_rustc);
        let target_libraries = process::read(Command::new(&program).args([
            "--print",
            "target-libdir",
            "--target",
            TARGET,
        ]));
        let libraries = PathBuf::from(target_libraries.ok()?.trim());
        let std = std::fs::read_dir(&libraries).ok()?.flatten().find(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.starts_with("libstd-") && name.ends_with(".rlib")
        })?;
        let version = process::read(Command::new(&program).arg("-vV")).ok()?;
        let made = std.metadata().ok()?.modified().ok()?;
        let made = made.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs();
        let identity = format!("{version}standard library: {} of {made}\n", std.path().display());
        Some(Self { rustc, identity })
    }

    /// Has cargo use it for the client, with the flags that everything of the client needs.
    pub(crate) fn hand_over(&self, cargo: &mut Command) {
        if let Some(rustc) = &self.rustc {
            cargo.env("RUSTC", rustc);
        }
        // Those of the environment are meant for this machine.
        cargo.env_remove("CARGO_ENCODED_RUSTFLAGS").env("RUSTFLAGS", FLAGS);
    }

    /// The compiler that is ready, if one is. Changes nothing.
    ///
    /// # Errors
    /// `WASM_RUSTC` names one that cannot build the client.
    pub(crate) fn find(layout: &Layout) -> Result<Option<Self>> {
        if let Some(configured) = std::env::var_os("WASM_RUSTC").filter(|path| !path.is_empty()) {
            let configured = PathBuf::from(configured);
            let compiler = Self::at(Some(configured.clone())).with_context(|| {
                format!(
                    "WASM_RUSTC names {}, which has no standard library for {TARGET}. \
                     Name another compiler, or unset WASM_RUSTC.",
                    configured.display()
                )
            })?;
            return Ok(Some(compiler));
        }
        let made = debian::rustc(&debian::directory(layout));
        let made = made.is_file().then_some(made);
        Ok(Self::at(None).or_else(|| Self::at(Some(made?))))
    }

    /// The compiler, made ready if need be.
    ///
    /// # Errors
    /// None of the ways leads to one; the last line says what a person can do.
    pub(crate) fn ensure(layout: &Layout, consent: Consent) -> Result<Self> {
        if let Some(compiler) = Self::find(layout)? {
            return Ok(compiler);
        }
        let mut why = Vec::new();
        for way in ways(&Situation::here(consent)) {
            let result = match way {
                Way::Rustup => add_target(),
                Way::Debian => debian::make(&debian::directory(layout), consent),
            };
            match result.and_then(|()| Self::find(layout)) {
                Ok(Some(compiler)) => return Ok(compiler),
                Ok(None) => why.push("no standard library came of it".to_owned()),
                Err(error) if error.is::<crate::interrupt::Interrupted>() => return Err(error),
                Err(error) => {
                    complain(format_args!("{error:#}"));
                    why.push(format!("{error:#}"));
                }
            }
        }
        bail!(
            "no compiler for {TARGET}{}{}. Run `rustup target add {TARGET}`, or set WASM_RUSTC to a \
             rustc that has the target.",
            if why.is_empty() { "" } else { ": " },
            why.join("; ")
        );
    }
}

fn own_rustc() -> PathBuf {
    std::env::var_os("RUSTC").map_or_else(|| PathBuf::from("rustc"), PathBuf::from)
}

/// What decides how a compiler can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Situation {
    has_rustup: bool,
    may_download: bool,
    can_use_apt: bool,
}

impl Situation {
    fn here(consent: Consent) -> Self {
        Self {
            has_rustup: process::which("rustup").is_some(),
            may_download: std::env::var_os("RUSTUP_AUTO_INSTALL").is_none_or(|value| value != "0"),
            can_use_apt: cfg!(target_os = "linux") && crate::packages::can_install(consent),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Rustup,
    Debian,
}

/// The ways to a compiler, best first.
fn ways(situation: &Situation) -> Vec<Way> {
    let mut ways = Vec::new();
    if situation.has_rustup && situation.may_download {
        ways.push(Way::Rustup);
    }
    if situation.can_use_apt {
        ways.push(Way::Debian);
    }
    ways
}

fn add_target() -> Result<()> {
    say(format_args!("Adding the target {TARGET} with rustup (about 20 s, once)"));
    process::run(Command::new("rustup").args(["target", "add", TARGET]))
}

/// Empties the client's target directory if another compiler wrote it. Cargo sees a compiler's
/// version and path, not that the standard library beneath it was made anew.
///
/// # Errors
/// The directory cannot be written.
pub(crate) fn keep_apart(target: &Path, compiler: &Compiler) -> Result<()> {
    let note = target.join("compiler");
    let written_by = std::fs::read_to_string(&note).ok();
    if written_by.as_deref() == Some(&*compiler.identity) {
        return Ok(());
    }
    if target.exists() {
        say("Another compiler than last time: building the client from the beginning");
        std::fs::remove_dir_all(target)
            .with_context(|| format!("{} cannot be emptied", target.display()))?;
    }
    std::fs::create_dir_all(target)
        .with_context(|| format!("{} cannot be made", target.display()))?;
    std::fs::write(note, &compiler.identity)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERYTHING: Situation =
        Situation { has_rustup: true, may_download: true, can_use_apt: true };

    #[test]
    fn rustup_comes_first_where_it_may_download() {
        assert_eq!(ways(&EVERYTHING), [Way::Rustup, Way::Debian]);
        assert_eq!(ways(&Situation { may_download: false, ..EVERYTHING }), [Way::Debian]);
        assert_eq!(ways(&Situation { has_rustup: false, ..EVERYTHING }), [Way::Debian]);
    }

    #[test]
    fn elsewhere_than_on_debian_only_rustup_is_left() {
        assert_eq!(ways(&Situation { can_use_apt: false, ..EVERYTHING }), [Way::Rustup]);
        let nothing = Situation { has_rustup: false, may_download: false, can_use_apt: false };
        assert!(ways(&nothing).is_empty());
    }

    #[test]
    fn the_target_directory_is_emptied_for_another_compiler_only() {
        let target = std::env::temp_dir().join(format!("xtask-wasm-{}", std::process::id()));
        let compiler = |identity: &str| Compiler { rustc: None, identity: identity.to_owned() };
        keep_apart(&target, &compiler("one")).unwrap();
        std::fs::write(target.join("artifact"), "").unwrap();
        keep_apart(&target, &compiler("one")).unwrap();
        assert!(target.join("artifact").exists());
        keep_apart(&target, &compiler("two")).unwrap();
        assert!(!target.join("artifact").exists());
        std::fs::remove_dir_all(target).unwrap();
    }

    #[test]
    fn something_that_is_no_compiler_is_refused() {
        assert_eq!(Compiler::at(Some(PathBuf::from("/bin/false"))), None);
        assert_eq!(Compiler::at(Some(PathBuf::from("/nonexistent/rustc"))), None);
    }
}
