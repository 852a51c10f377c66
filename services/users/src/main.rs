//! The program `users`: the API and the commands around it.

use std::process::ExitCode;

use clap::Parser;
use users::commands::Cli;

/// A page of users is some two hundred small allocations; the C library's take twice as long.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    Cli::parse().run()
}
