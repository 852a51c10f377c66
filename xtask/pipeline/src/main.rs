//! The pipeline: from a commit to a release that is seen to serve. People call it as
//! `cargo xtask deploy`, `status` and so on; `cargo xtask` executes this program for them.
//!
//! `observe` looks, `desired` reads what is wanted, `plan` compares the two, `deploy` does it, with
//! `rollout`, `task` and `rollback`; `decide` judges what is seen. The cloud is behind `cloud`, and
//! what must outlive a run is in `store`.

mod aws;
#[cfg(test)]
mod buildspec;
mod cloud;
mod cmd;
mod config;
mod decide;
mod deploy;
mod desired;
mod error;
mod evidence;
mod exit_code;
mod https;
mod images;
mod infra;
mod interrupt;
mod migrations;
mod observe;
mod plan;
mod process;
mod report;
mod rollback;
mod rollout;
mod room;
#[cfg(test)]
mod schema_check;
mod secret;
#[cfg(test)]
mod sim;
mod smoke;
mod stale;
mod store;
mod task;
mod task_definition;
mod tell;
mod template;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::error::Error;
use crate::interrupt::Stop;
use crate::report::{Failure, Output};

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
    Plan(cmd::plan::Plan),
    Deploy(cmd::deploy::Deploy),
    Rollback(cmd::rollback::Rollback),
    Migrate(cmd::task::Migrate),
    #[command(name = "recreate_db", alias = "recreate-db")]
    RecreateDb(cmd::task::RecreateDb),
    #[command(name = "seed_db", alias = "seed-db")]
    SeedDb(cmd::task::SeedDb),
    #[command(name = "create_admin", alias = "create-admin")]
    CreateAdmin(cmd::task::CreateAdmin),
    Doctor(cmd::doctor::Doctor),
    Status(cmd::status::Status),
    Logs(cmd::logs::Logs),
    Exec(cmd::exec::Exec),
    Tunnel(cmd::tunnel::Tunnel),
    Scale(cmd::scale::Scale),
    History(cmd::history::History),
    Prune(cmd::prune::Prune),
    Infra(cmd::infra::Infra),
    Config(cmd::config::Config),
    #[command(hide = true)]
    Complete(cmd::complete::Complete),
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
    let output = cli.common.output;
    match run(cli).await {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            if output == Output::Json && !error.is_answered() {
                let failure = Failure { error: error.to_string(), exit_code: error.exit_code() };
                // Nobody is left to tell that the output is closed.
                let _ = report::json(&failure);
            }
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

async fn run(cli: Cli) -> Result<u8, Error> {
    let stop = Stop::on_signals()?;
    match cli.command {
        Command::Build(build) => build.run(&cli.common, &stop).await,
        Command::Plan(plan) => return plan.run(&cli.common, &stop).await,
        Command::Push(push) => push.run(&cli.common, &stop).await,
        Command::Deploy(deploy) => deploy.run(&cli.common, &stop).await,
        Command::Rollback(rollback) => rollback.run(&cli.common, &stop).await,
        Command::Migrate(migrate) => migrate.run(&cli.common, &stop).await,
        Command::RecreateDb(recreate) => recreate.run(&cli.common, &stop).await,
        Command::SeedDb(seed) => seed.run(&cli.common, &stop).await,
        Command::CreateAdmin(create) => create.run(&cli.common, &stop).await,
        Command::Doctor(doctor) => doctor.run(&cli.common, &stop).await,
        Command::Status(status) => status.run(&cli.common, &stop).await,
        Command::Logs(logs) => logs.run(&cli.common, &stop).await,
        Command::Exec(exec) => return exec.run(&cli.common, &stop).await,
        Command::Tunnel(tunnel) => return tunnel.run(&cli.common, &stop).await,
        Command::Scale(scale) => scale.run(&cli.common, &stop).await,
        Command::History(history) => history.run(&cli.common, &stop).await,
        Command::Prune(prune) => prune.run(&cli.common, &stop).await,
        Command::Infra(infra) => return infra.run(&cli.common, &stop).await,
        Command::Config(config) => config.run(&cli.common),
        Command::Complete(complete) => Ok(complete.run(command_line())?),
    }?;
    Ok(exit_code::OK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command_line().debug_assert();
    }
}
