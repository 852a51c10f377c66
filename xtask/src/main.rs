//! The workspace's command line: `cargo xtask`.
//!
//! This crate stays thin: everyone waits for it to compile. What is heavy is a program of its own.

mod axe;
mod browser;
mod claim;
mod client;
mod cmd;
mod exit_code;
mod images;
mod interrupt;
mod layout;
mod packages;
mod port;
mod postgres;
mod process;
mod python;
mod report;
mod site;
mod stage;
mod wasm;
mod watch;

use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::layout::Layout;

/// Sets up, runs and tests the application.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Setup(cmd::setup::Setup),
    Dev(cmd::dev::Dev),
    Test(cmd::test::Test),
    Bench(cmd::bench::Bench),
    Fuzz(cmd::fuzz::Fuzz),
    Screenshots(cmd::screenshots::Screenshots),
    Site(cmd::site::Site),
    Ci(cmd::ci::Ci),
    Rehearse(cmd::rehearse::Rehearse),
    /// Build the images of the commit, except those that the registry has
    #[command(disable_help_flag = true)]
    Build(cmd::ship::Ship),
    /// Push the images of the commit, after building what is missing
    #[command(disable_help_flag = true)]
    Push(cmd::ship::Ship),
    /// Show what a deployment would do, and change nothing
    #[command(disable_help_flag = true)]
    Plan(cmd::ship::Ship),
    /// Build, push, migrate, roll out, and check the result
    #[command(disable_help_flag = true)]
    Deploy(cmd::ship::Ship),
    /// Go back to an earlier release
    #[command(disable_help_flag = true)]
    Rollback(cmd::ship::Ship),
    /// Bring the database up to date; --on ecs: production's
    #[command(disable_help_flag = true)]
    Migrate(cmd::data::Data),
    /// Destroy all data and build the schema anew
    #[command(name = "recreate_db", alias = "recreate-db", disable_help_flag = true)]
    RecreateDb(cmd::data::Data),
    /// Add the example users
    #[command(name = "seed_db", alias = "seed-db", disable_help_flag = true)]
    SeedDb(cmd::data::Data),
    /// Add an administrator
    #[command(name = "create_admin", alias = "create-admin", disable_help_flag = true)]
    CreateAdmin(cmd::data::Data),
    /// Make, change, check or remove what the application runs on
    #[command(disable_help_flag = true)]
    Infra(cmd::ship::Ship),
    /// Check everything that a deployment needs
    #[command(disable_help_flag = true)]
    Doctor(cmd::ship::Ship),
    /// Show what runs: services, tasks, targets, and who deploys
    #[command(disable_help_flag = true)]
    Status(cmd::ship::Ship),
    /// Show what the containers write
    #[command(disable_help_flag = true)]
    Logs(cmd::ship::Ship),
    /// Run a command in production's image and settings
    #[command(disable_help_flag = true)]
    Exec(cmd::ship::Ship),
    /// Open a port of this machine that leads to the private database
    #[command(disable_help_flag = true)]
    Tunnel(cmd::ship::Ship),
    /// Change how many tasks a service has
    #[command(disable_help_flag = true)]
    Scale(cmd::ship::Ship),
    /// List the releases
    #[command(disable_help_flag = true)]
    History(cmd::ship::Ship),
    /// Remove task definitions and images that no release needs
    #[command(disable_help_flag = true)]
    Prune(cmd::ship::Ship),
    /// Show the pipeline's configuration
    #[command(disable_help_flag = true)]
    Config(cmd::ship::Ship),
    Completions(cmd::completions::Completions),
    #[command(hide = true)]
    Complete(cmd::completions::Complete),
}

/// The commands, by what one is about to do.
const GROUPS: [(&str, &[&str]); 5] = [
    (
        "On this machine",
        &[
            "setup",
            "dev",
            "test",
            "bench",
            "fuzz",
            "screenshots",
            "site",
            "ci",
            "rehearse",
            "completions",
        ],
    ),
    ("Ship", &["build", "push", "plan", "deploy", "rollback"]),
    ("Data, here or with --on ecs", &["migrate", "recreate_db", "seed_db", "create_admin"]),
    ("Infrastructure", &["infra"]),
    (
        "Operate",
        &["doctor", "status", "logs", "exec", "tunnel", "scale", "history", "prune", "config"],
    ),
];

fn main() -> ExitCode {
    let command = Cli::command();
    let overview = overview(&command);
    let matches = command.override_help(overview.clone()).get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let Some(command) = cli.command else {
        print!("{overview}");
        return ExitCode::from(exit_code::OK);
    };
    match run(command) {
        Ok(code) => ExitCode::from(code),
        Err(error) if error.is::<interrupt::Interrupted>() => {
            report::say("Stopped");
            ExitCode::from(exit_code::INTERRUPTED)
        }
        Err(error) => {
            report::complain(format_args!("{error:#}"));
            ExitCode::from(exit_code::ERROR)
        }
    }
}

/// Runs it, and gives the exit code.
fn run(command: Command) -> Result<u8> {
    interrupt::install()?;
    let layout = Layout::discover()?;
    // Cargo and rustup choose their configuration and toolchain by where they are started.
    std::env::set_current_dir(&layout.root)?;
    let (ship, name) = match command {
        Command::Setup(setup) => return setup.run(&layout).map(|()| exit_code::OK),
        Command::Dev(dev) => return dev.run(&layout).map(|()| exit_code::OK),
        Command::Test(test) => return test.run(&layout).map(|()| exit_code::OK),
        Command::Bench(bench) => return bench.run(&layout).map(|()| exit_code::OK),
        Command::Fuzz(fuzz) => return fuzz.run(&layout).map(|()| exit_code::OK),
        Command::Screenshots(screenshots) => {
            return screenshots.run(&layout).map(|()| exit_code::OK);
        }
        Command::Site(site) => return site.run(&layout).map(|()| exit_code::OK),
        Command::Ci(ci) => return ci.run(&layout).map(|()| exit_code::OK),
        Command::Rehearse(rehearse) => return rehearse.run(&layout).map(|()| exit_code::OK),
        Command::Completions(completions) => {
            completions.run();
            return Ok(exit_code::OK);
        }
        Command::Complete(complete) => {
            return complete.run(&layout, Cli::command()).map(|()| exit_code::OK);
        }
        Command::Migrate(data) => return data.run(&layout, "migrate"),
        Command::RecreateDb(data) => return data.run(&layout, "recreate_db"),
        Command::SeedDb(data) => return data.run(&layout, "seed_db"),
        Command::CreateAdmin(data) => return data.run(&layout, "create_admin"),
        Command::Build(ship) => (ship, "build"),
        Command::Push(ship) => (ship, "push"),
        Command::Plan(ship) => (ship, "plan"),
        Command::Deploy(ship) => (ship, "deploy"),
        Command::Rollback(ship) => (ship, "rollback"),
        Command::Infra(ship) => (ship, "infra"),
        Command::Doctor(ship) => (ship, "doctor"),
        Command::Status(ship) => (ship, "status"),
        Command::Logs(ship) => (ship, "logs"),
        Command::Exec(ship) => (ship, "exec"),
        Command::Tunnel(ship) => (ship, "tunnel"),
        Command::Scale(ship) => (ship, "scale"),
        Command::History(ship) => (ship, "history"),
        Command::Prune(ship) => (ship, "prune"),
        Command::Config(ship) => (ship, "config"),
    };
    match ship.run(&layout, name)? {}
}

/// What `cargo xtask` alone and `cargo xtask --help` print.
fn overview(command: &clap::Command) -> String {
    let mut text = String::from("Usage: cargo xtask <COMMAND> [OPTIONS]\n");
    for (group, names) in GROUPS {
        text.push_str(&format!("\n{group}:\n"));
        for subcommand in names.iter().filter_map(|name| command.find_subcommand(name)) {
            let about = subcommand.get_about().map(ToString::to_string).unwrap_or_default();
            text.push_str(&format!("  {:12} {about}\n", subcommand.get_name()));
        }
    }
    text.push_str("\n`cargo xtask <COMMAND> --help` lists a command's options.\n");
    text.push_str(&format!(
        "Exit codes: {} done, {} failed, {} wrong usage, {} interrupted; \
         those that ship have more.\n",
        exit_code::OK,
        exit_code::ERROR,
        exit_code::USAGE,
        exit_code::INTERRUPTED
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_is_in_exactly_one_group() {
        let command = Cli::command();
        let shown = command.get_subcommands().filter(|one| !one.is_hide_set());
        let mut defined: Vec<_> = shown.map(clap::Command::get_name).collect();
        let mut grouped: Vec<_> = GROUPS.iter().flat_map(|(_, names)| *names).copied().collect();
        defined.sort_unstable();
        grouped.sort_unstable();
        assert_eq!(defined, grouped);
    }

    #[test]
    fn the_overview_describes_every_command() {
        let command = Cli::command();
        let overview = overview(&command);
        for subcommand in command.get_subcommands().filter(|one| !one.is_hide_set()) {
            let about = subcommand.get_about().unwrap().to_string();
            assert!(overview.contains(&about), "{overview}");
        }
    }
}
