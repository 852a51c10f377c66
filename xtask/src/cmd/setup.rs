//! `cargo xtask setup`: makes ready what `dev` and `test` need.

use anyhow::{Result, bail};
use clap::Args;

use crate::browser::Browser;
use crate::layout::Layout;
use crate::packages::{self, Consent, Package};
use crate::postgres::{Installed, container};
use crate::process;
use crate::report::{complain, say};
use crate::wasm::Compiler;

/// Install what dev and test need; says what is missing and asks nothing
#[derive(Debug, Args)]
pub(crate) struct Setup {
    /// Let sudo ask for a password where root's rights are needed
    #[arg(long)]
    yes: bool,
}

impl Setup {
    /// Goes on after a failure, so that one run names everything that is missing.
    pub(crate) fn run(&self, layout: &Layout) -> Result<()> {
        let consent = if self.yes { Consent::Sudo } else { Consent::Silent };
        let mut failures = 0;
        let mut step = |result: Result<()>| match result {
            Err(error) if error.is::<crate::interrupt::Interrupted>() => Err(error),
            Err(error) => {
                complain(format_args!("{error:#}"));
                failures += 1;
                Ok(())
            }
            Ok(()) => Ok(()),
        };
        say("1/5 Crates: fetching what Cargo.lock names (about 20 s the first time)");
        step(process::run(process::cargo().args(["fetch", "--quiet", "--locked"])))?;
        say("2/5 PostgreSQL: the application's database");
        step(ensure_database(consent).map(ready))?;
        say("3/5 WebAssembly: a compiler for the client");
        step(Compiler::ensure(layout, consent).map(|compiler| match compiler.rustc {
            Some(rustc) => ready(rustc.display()),
            None => ready("the toolchain's own"),
        }))?;
        say("4/5 Chromium and its driver: for the browser tests only");
        step(browser(consent))?;
        say("5/5 HAProxy: for the test of rolling replacements only");
        step(haproxy(consent))?;
        if failures > 0 {
            bail!("{failures} of 5 steps failed; the lines above say what to do");
        }
        say("Everything is ready: `cargo xtask dev` starts the application");
        Ok(())
    }
}

fn ready(what: impl std::fmt::Display) {
    say(format_args!("  ready: {what}"));
}

/// Sees to it that there is some PostgreSQL, and says which. `dev` calls this too.
pub(crate) fn ensure_database(consent: Consent) -> Result<&'static str> {
    if std::env::var_os("DATABASE_URL").is_some_and(|url| !url.is_empty()) {
        Ok("the server that DATABASE_URL names")
    } else if Installed::find().is_some() {
        Ok("an installed server")
    } else if container::engine_answers() && container::image_is_here() {
        Ok("Docker, which runs it in a container")
    } else {
        install(packages::POSTGRES, consent, || Installed::find().is_some())?;
        Ok("an installed server")
    }
}

fn browser(consent: Consent) -> Result<()> {
    if let Some(browser) = Browser::find() {
        ready(browser.chromium.display());
        return Ok(());
    }
    install(packages::CHROMIUM, consent, || Browser::find().is_some())?;
    ready("installed");
    Ok(())
}

fn haproxy(consent: Consent) -> Result<()> {
    if packages::haproxy().is_none() {
        install(packages::HAPROXY, consent, || packages::haproxy().is_some())?;
    }
    ready("installed");
    Ok(())
}

/// A package manager's word alone is not enough.
fn install(package: Package, consent: Consent, is_there: impl Fn() -> bool) -> Result<()> {
    packages::install(&[package], consent)?;
    if !is_there() {
        bail!("it was installed but is not found; try {}", packages::advice(package));
    }
    Ok(())
}
