//! The commands, one file each: its options, and a `run`.

pub(crate) mod build;
pub(crate) mod complete;
pub(crate) mod config;
pub(crate) mod deploy;
pub(crate) mod doctor;
pub(crate) mod exec;
pub(crate) mod history;
pub(crate) mod infra;
pub(crate) mod logs;
pub(crate) mod plan;
pub(crate) mod prospect;
pub(crate) mod prune;
pub(crate) mod push;
pub(crate) mod release;
pub(crate) mod rollback;
pub(crate) mod scale;
pub(crate) mod site;
pub(crate) mod status;
pub(crate) mod task;
pub(crate) mod tunnel;

use std::path::PathBuf;

use clap::Args;

use crate::config::{Config, Set};
use crate::error::Error;
use crate::images::docker::Docker;
use crate::images::plan::Image;
use crate::images::source::Source;
use crate::interrupt::Stop;
use crate::report::Output;

/// What every command takes.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Read the configuration from another file
    #[arg(
        long, global = true, value_name = "FILE", default_value = crate::config::PATH,
        hide_default_value = true
    )]
    config: PathBuf,
    /// As if the configuration said so, as in `deploy.timeout=600`
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    set: Vec<Set>,
    /// Answer for people or for programs
    #[arg(long, global = true, value_enum, default_value_t)]
    pub(crate) output: Output,
}

impl Common {
    /// The configuration.
    ///
    /// # Errors
    /// See [`Config::load`].
    pub(crate) fn config(&self) -> Result<Config, Error> {
        Ok(Config::load(&self.config, &self.set)?)
    }
}

/// Looks at what is to be built, and that it can be.
async fn observe(
    config: &Config,
    only: Option<crate::config::ServiceName>,
    stop: &Stop,
) -> Result<(Source, Vec<Image>), Error> {
    let root = std::env::current_dir()?;
    let source = Source::observe(&root, is_ci(), stop).await?;
    Docker::default().check(stop).await?;
    let images = config
        .services(only)
        .map(|service| Image::new(config, service, &source.revision))
        .collect();
    Ok((source, images))
}

/// Whether this is continuous integration.
fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !matches!(&*value, "" | "0" | "false"))
}
