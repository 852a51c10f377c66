//! `cargo xtask migrate`, `recreate_db`, `seed_db`, `create_admin`: the application's own commands
//! on the database. On the development database by default; with `--on ecs` the pipeline runs them
//! on the cluster.

use std::ffi::OsString;
use std::process::Command;

use anyhow::{Context as _, Result};
use clap::Args;

use super::ship::Ship;
use crate::claim::Claim;
use crate::layout::Layout;
use crate::packages::Consent;
use crate::{exit_code, postgres, process};

/// Arguments for the program `users`, or for the pipeline.
#[derive(Debug, Args)]
pub(crate) struct Data {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTIONS")]
    arguments: Vec<OsString>,
}

/// Where a command runs.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// On the cluster: the pipeline knows how.
    Elsewhere,
    /// Here, with what is left of the arguments.
    Here(Vec<OsString>),
}

impl Data {
    /// Runs it, and gives the program's exit code.
    pub(crate) fn run(self, layout: &Layout, name: &str) -> Result<u8> {
        match place(&self.arguments) {
            Place::Elsewhere => match Ship::new(self.arguments).run(layout, name)? {},
            Place::Here(arguments) => here(layout, name, &arguments),
        }
    }
}

fn place(arguments: &[OsString]) -> Place {
    let mut left = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let on = match argument.to_str() {
            Some("--on") => rest.next().and_then(|on| on.to_str()),
            Some(argument) => argument.strip_prefix("--on="),
            None => None,
        };
        match on {
            Some("local") => {}
            // It also knows best what is wrong with any other word.
            Some(_) => return Place::Elsewhere,
            None => left.push(argument.clone()),
        }
    }
    Place::Here(left)
}

fn here(layout: &Layout, name: &str, arguments: &[OsString]) -> Result<u8> {
    process::run(process::cargo().args([
        "build",
        "--quiet",
        "--package",
        "users",
        "--bin",
        "users",
    ]))?;
    let program = layout.program("users");
    let asks = |argument: &OsString| argument == "--help" || argument == "-h";
    if arguments.iter().any(asks) {
        println!("Here: `cargo xtask {name}` runs on the development database. On the cluster:");
        println!("`cargo xtask {name} --on ecs --help`.\n");
        return follow(Command::new(program).arg(name).args(arguments));
    }
    let mut users = Command::new(program);
    users.arg(name).args(arguments);
    if std::env::var_os("APP_ENV").is_none() {
        users.env("APP_ENV", "development");
    }
    if std::env::var_os("DATABASE_URL").is_some_and(|url| !url.is_empty()) {
        return follow(&mut users);
    }
    // The database lives as long as these two. `dev` holds the same claim while it runs.
    let claim = Claim::take(&layout.dev(), "dev")?;
    super::setup::ensure_database(Consent::Silent)?;
    let server = postgres::start_dev(layout, &claim, false)?;
    users.env("DATABASE_URL", &server.url);
    follow(&mut users)
}

/// In our own place at the terminal: `create_admin` asks for a password.
fn follow(command: &mut Command) -> Result<u8> {
    let status = command.status().context("`users` could not be started")?;
    // A signal is none of its exit codes.
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.unwrap_or(exit_code::ERROR))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(arguments: &[&str]) -> Place {
        place(&arguments.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn the_cluster_is_only_meant_where_it_is_named() {
        let all = ["--username", "ada"];
        assert_eq!(of(&all), Place::Here(all.map(OsString::from).into()));
        assert_eq!(of(&["--on", "local"]), Place::Here(Vec::new()));
        assert_eq!(of(&["--on=local", "-x"]), Place::Here(vec!["-x".into()]));
        for elsewhere in [&["--on", "ecs"][..], &["--on=ecs", "--timeout", "5"], &["--on=mars"]] {
            assert_eq!(of(elsewhere), Place::Elsewhere, "{elsewhere:?}");
        }
    }
}
