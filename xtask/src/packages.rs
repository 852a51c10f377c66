//! Packages of the operating system: which ones are needed, and how to get them here.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use crate::process;
use crate::report::say;

/// One thing that is needed, under its name in each package manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Package {
    apt: &'static [&'static str],
    dnf: &'static str,
    pacman: &'static str,
    brew: &'static str,
}

/// A PostgreSQL server.
pub(crate) const POSTGRES: Package = Package {
    apt: &["postgresql"],
    dnf: "postgresql-server",
    pacman: "postgresql",
    brew: "postgresql@17",
};

/// The browser of the tests, and the program that drives it.
pub(crate) const CHROMIUM: Package = Package {
    apt: &["chromium", "chromium-driver"],
    dnf: "chromium chromedriver",
    pacman: "chromium",
    brew: "--cask chromium chromedriver",
};

/// What stands before the tasks in the test of rolling replacements.
pub(crate) const HAPROXY: Package =
    Package { apt: &["haproxy"], dnf: "haproxy", pacman: "haproxy", brew: "haproxy" };

/// HAProxy. Debian has it among the administrator's programs, which are not on everybody's path.
#[must_use]
pub(crate) fn haproxy() -> Option<PathBuf> {
    let elsewhere = || Some(PathBuf::from("/usr/sbin/haproxy")).filter(|file| file.is_file());
    process::which("haproxy").or_else(elsewhere)
}

/// What makes load on the API.
pub(crate) const WRK: Package = Package { apt: &["wrk"], dnf: "wrk", pacman: "wrk", brew: "wrk" };

/// What makes load on PostgreSQL.
pub(crate) const PGBENCH: Package = Package {
    apt: &["postgresql"],
    dnf: "postgresql-contrib",
    pacman: "postgresql",
    brew: "postgresql@17",
};

/// How far `setup` may go to become root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consent {
    /// Only if no password is asked for.
    Silent,
    /// `--yes`: sudo may ask for one.
    Sudo,
}

/// How this process runs something as root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Root {
    Already,
    Sudo { may_ask: bool },
    No,
}

impl Root {
    fn now(consent: Consent) -> Self {
        if rustix::process::geteuid().is_root() {
            Self::Already
        } else if process::succeeds(Command::new("sudo").args(["-n", "true"])) {
            Self::Sudo { may_ask: false }
        } else if consent == Consent::Sudo && process::which("sudo").is_some() {
            Self::Sudo { may_ask: true }
        } else {
            Self::No
        }
    }

    /// The start of a command that runs as root.
    fn words(self) -> &'static [&'static str] {
        match self {
            Self::Already => &["env"],
            Self::Sudo { may_ask: false } => &["sudo", "-n", "env"],
            Self::Sudo { may_ask: true } => &["sudo", "env"],
            Self::No => &[],
        }
    }
}

/// Whether apt can install something here without asking.
#[must_use]
pub(crate) fn can_install(consent: Consent) -> bool {
    process::which("apt-get").is_some() && Root::now(consent) != Root::No
}

/// Installs packages with apt.
///
/// # Errors
/// This is no system with apt, root's rights cannot be had, or apt fails. Each time with the
/// command that a person could type.
pub(crate) fn install(packages: &[Package], consent: Consent) -> Result<()> {
    let names: Vec<&str> = packages.iter().flat_map(|package| package.apt).copied().collect();
    let advice: Vec<String> = packages.iter().map(|package| advice(*package)).collect();
    if !can_install(consent) {
        bail!("Install what is missing: {}", advice.join(" && "));
    }
    say(format_args!("Installing with apt: {} (about a minute)", names.join(" ")));
    apt_get(&["update", "-qq"], consent)?;
    let mut install = vec!["install", "-y", "-qq", "--no-install-recommends"];
    install.extend(names);
    apt_get(&install, consent)
}

/// Runs apt-get as root, without a question.
pub(crate) fn apt_get(arguments: &[&str], consent: Consent) -> Result<()> {
    let root = Root::now(consent);
    let Some((program, before)) = root.words().split_first() else {
        bail!("apt-get needs root's rights: run `cargo xtask setup --yes`");
    };
    let mut command = Command::new(program);
    command.args(before).args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]).args(arguments);
    if root == (Root::Sudo { may_ask: true }) {
        // The password is asked for in the terminal, which belongs to our own process group.
        let status = command.status()?;
        crate::interrupt::check()?;
        if !status.success() {
            bail!("`sudo apt-get` failed ({status})");
        }
        return Ok(());
    }
    process::run(&mut command)
}

/// The command that installs a package here.
#[must_use]
pub(crate) fn advice(package: Package) -> String {
    let manager = ["apt-get", "dnf", "pacman", "brew"]
        .into_iter()
        .find(|manager| process::which(manager).is_some());
    advice_for(package, manager)
}

fn advice_for(package: Package, manager: Option<&str>) -> String {
    match manager {
        Some("apt-get") => format!("`sudo apt-get install {}`", package.apt.join(" ")),
        Some("dnf") => format!("`sudo dnf install {}`", package.dnf),
        Some("pacman") => format!("`sudo pacman -S {}`", package.pacman),
        Some("brew") => format!("`brew install {}`", package.brew),
        _ => format!("install the packages {}", package.apt.join(" ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_is_a_command_of_this_system() {
        assert_eq!(advice_for(POSTGRES, Some("brew")), "`brew install postgresql@17`");
        assert_eq!(
            advice_for(CHROMIUM, Some("apt-get")),
            "`sudo apt-get install chromium chromium-driver`"
        );
        assert!(advice_for(POSTGRES, None).contains("postgresql"));
    }
}
