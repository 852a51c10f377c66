//! The program's subcommands, one file each.

mod create_admin;
mod healthcheck;
mod migrate;
mod recreate_db;
mod seed_db;
mod serve;

use std::{fmt::Write, io, num::NonZeroUsize, process::ExitCode};

use clap::{Parser, Subcommand};
use tokio::runtime::{Builder, Runtime};

use crate::{
    auth::password::{HashError, Hasher},
    config::{ConfigError, DatabaseConfig, Env, LogConfig, SETTINGS},
    db::{self, MigrateError, pool},
    openapi,
    startup::StartupError,
    telemetry::{self, LogError},
};

/// The users API, and the commands around it.
#[derive(Debug, Parser)]
#[command(name = "users", version = crate::VERSION, after_help = settings())]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API (the default)
    Serve,
    /// Bring the database's schema up to date
    Migrate,
    /// Drop the database's schema and build it anew; all data is lost
    #[command(name = "recreate_db")]
    RecreateDb(recreate_db::Options),
    /// Add the example users; does nothing where they are there already
    #[command(name = "seed_db")]
    SeedDb,
    /// Add an administrator, or make a user one; the password comes from standard input
    #[command(name = "create_admin")]
    CreateAdmin(create_admin::Options),
    /// Print the OpenAPI document
    Openapi,
    /// Ask the service on this machine whether it runs; for container health checks
    Healthcheck,
}

/// Why a command failed; each says what to do next.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Startup(#[from] StartupError),
    #[error(transparent)]
    Connect(#[from] pool::ConnectError),
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    #[error(transparent)]
    Database(#[from] db::Error),
    #[error("cannot hash the password: {0}")]
    Hash(#[from] HashError),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Refused(String),
}

impl Cli {
    /// Runs the command. A failure is told on standard error and by the exit code.
    pub fn run(self) -> ExitCode {
        let result = match self.command.unwrap_or(Command::Serve) {
            Command::Serve => serve::run(),
            Command::Migrate => migrate::run(),
            Command::RecreateDb(options) => recreate_db::run(&options),
            Command::SeedDb => seed_db::run(),
            Command::CreateAdmin(options) => create_admin::run(&options),
            Command::Openapi => print_openapi(),
            Command::Healthcheck => healthcheck::run(),
        };
        match result {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                for line in error.to_string().lines() {
                    complain(line);
                }
                ExitCode::FAILURE
            }
        }
    }
}

/// Says `line` on standard error. Where even that is closed, the exit code is left.
fn complain(line: &str) {
    let _ = io::Write::write_fmt(&mut io::stderr(), format_args!("users: {line}\n"));
}

/// Says `line` on standard output. A reader that has had enough, as `head`, is no failure.
fn say(line: &str) -> Result<(), CommandError> {
    match io::Write::write_fmt(&mut io::stdout(), format_args!("{line}\n")) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

fn print_openapi() -> Result<(), CommandError> {
    say(&openapi::json())
}

/// The settings as `--help` shows them.
fn settings() -> String {
    let mut text = String::from("Settings, from the environment:\n");
    for setting in SETTINGS {
        let default = match setting.default {
            "" => String::new(),
            default => format!(" [default: {default}]"),
        };
        let _ = write!(text, "  {}\n      {}{default}\n", setting.name, setting.help);
    }
    text
}

/// A runtime for a command; migrations block one of its threads.
fn runtime() -> Result<Runtime, CommandError> {
    Ok(Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}

/// The environment, with log lines going where it says.
fn environment() -> Result<Env, CommandError> {
    let env = Env::from_process();
    telemetry::init(&LogConfig::from_env(&env)?)?;
    Ok(env)
}

/// A connection for a command that needs one.
async fn connect(config: &DatabaseConfig) -> Result<diesel_async::AsyncPgConnection, CommandError> {
    Ok(pool::connect(config, None).await?)
}

/// A hasher for a command that sets passwords.
fn hasher() -> Result<Hasher, CommandError> {
    Ok(Hasher::start(NonZeroUsize::MIN, 4)?)
}
