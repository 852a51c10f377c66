//! The pipeline: from a commit to images in a registry. People call it as `cargo xtask build`,
//! `push` and so on; `cargo xtask` executes this program for them.

mod aws;
mod cmd;
mod config;
mod error;
mod exit_code;
mod images;
mod interrupt;
mod process;
mod report;
mod secret;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::error::Error;
use crate::interrupt::Stop;

/// Ships the application.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Cli {
    #[command(flatten)]
    common: cmd::Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Build(cmd::build::Build),
    Push(cmd::push::Push),
    Config(cmd::config::Config),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let matches = command_line().try_get_matches();
    let cli = match matches.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => {
            // Nobody is left to tell that the output is closed.
            let _ = error.print();
            let wrong = error.use_stderr();
            return ExitCode::from(if wrong { exit_code::CONFIGURATION } else { exit_code::OK });
        }
    };
    match run(cli).await {
        Ok(()) => ExitCode::from(exit_code::OK),
        Err(error) => {
            images::progress::say(format_args!("error: {error}"));
            ExitCode::from(error.exit_code())
        }
    }
}

/// With the exit codes at the end of every help.
fn command_line() -> clap::Command {
    Cli::command()
        .after_help(exit_code::list())
        .mut_subcommands(|command| command.after_help(exit_code::list()))
}

async fn run(cli: Cli) -> Result<(), Error> {
    let stop = Stop::on_signals()?;
    match cli.command {
        Command::Build(build) => build.run(&cli.common, &stop).await,
        Command::Push(push) => push.run(&cli.common, &stop).await,
        Command::Config(config) => config.run(&cli.common),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command_line().debug_assert();
    }
}
