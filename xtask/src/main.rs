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
    Screenshots(cmd::screenshots::Screenshots),
    Site(cmd::site::Site),
    Ci(cmd::ci::Ci),
    /// Build the images of the commit, except those that the registry has
    #[command(disable_help_flag = true)]
    Build(cmd::ship::Ship),
    /// Push the images of the commit, after building what is missing
    #[command(disable_help_flag = true)]
    Push(cmd::ship::Ship),
    /// Show the pipeline's configuration
    #[command(disable_help_flag = true)]
    Config(cmd::ship::Ship),
}

/// The commands, by what one is about to do.
const GROUPS: [(&str, &[&str]); 2] = [
    ("On this machine", &["setup", "dev", "test", "bench", "screenshots", "site", "ci"]),
    ("Ship", &["build", "push", "config"]),
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
        Ok(()) => ExitCode::from(exit_code::OK),
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

fn run(command: Command) -> Result<()> {
    interrupt::install()?;
    let layout = Layout::discover()?;
    // Cargo and rustup choose their configuration and toolchain by where they are started.
    std::env::set_current_dir(&layout.root)?;
    match command {
        Command::Setup(setup) => setup.run(&layout),
        Command::Dev(dev) => dev.run(&layout),
        Command::Test(test) => test.run(&layout),
        Command::Bench(bench) => bench.run(&layout),
        Command::Screenshots(screenshots) => screenshots.run(&layout),
        Command::Site(site) => site.run(&layout),
        Command::Ci(ci) => ci.run(&layout),
        Command::Build(ship) => match ship.run(&layout, "build")? {},
        Command::Push(ship) => match ship.run(&layout, "push")? {},
        Command::Config(ship) => match ship.run(&layout, "config")? {},
    }
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
        let mut defined: Vec<_> = command.get_subcommands().map(clap::Command::get_name).collect();
        let mut grouped: Vec<_> = GROUPS.iter().flat_map(|(_, names)| *names).copied().collect();
        defined.sort_unstable();
        grouped.sort_unstable();
        assert_eq!(defined, grouped);
    }

    #[test]
    fn the_overview_describes_every_command() {
        let command = Cli::command();
        let overview = overview(&command);
        for subcommand in command.get_subcommands() {
            let about = subcommand.get_about().unwrap().to_string();
            assert!(overview.contains(&about), "{overview}");
        }
    }
}
