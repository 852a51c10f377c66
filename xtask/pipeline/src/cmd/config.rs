//! `config`: what the configuration means.

use clap::{Args, Subcommand};

use super::Common;
use crate::config::{self, PASSWORD_VARIABLE};
use crate::error::Error;
use crate::report::{SecretSetting, Settings, answer};

/// Show the configuration
#[derive(Debug, Args)]
pub(crate) struct Config {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print every setting as it is meant, and where it comes from
    Show,
}

impl Config {
    /// Prints it.
    pub(crate) fn run(&self, common: &Common) -> Result<(), Error> {
        let Command::Show = self.command;
        let config = common.config()?;
        let set = std::env::var(PASSWORD_VARIABLE).is_ok_and(|value| !value.is_empty());
        let file = common.config.to_string_lossy();
        let settings = Settings {
            file: &file,
            settings: config.settings(),
            secrets: vec![SecretSetting { variable: config::PASSWORD_VARIABLE, set }],
        };
        Ok(answer(common.output, &settings)?)
    }
}
