//! The program `users`: the API and the commands around it.

use std::process::ExitCode;

use clap::Parser;
use users::commands::Cli;

fn main() -> ExitCode {
    Cli::parse().run()
}
