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

    /// A command that means the same configuration, as a person would type it.
    #[must_use]
    fn command(&self, words: impl IntoIterator<Item = String>) -> String {
        let mut words: Vec<String> = words.into_iter().collect();
        if self.config.as_os_str() != crate::config::PATH {
            words.extend(["--config".to_owned(), self.config.to_string_lossy().into_owned()]);
        }
        for set in &self.set {
            words.extend(["--set".to_owned(), set.to_string()]);
        }
        format!("cargo xtask {}", exec::words(&words))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_to_type_means_the_same_configuration() {
        let common = |config: &str, set: &[&str]| Common {
            config: PathBuf::from(config),
            set: set.iter().map(|set| set.parse().unwrap()).collect(),
            output: Output::Text,
        };
        let command =
            |common: Common| common.command(["rollback", "2026-11-23.1"].map(str::to_owned));
        let plain = command(common(crate::config::PATH, &[]));
        assert_eq!(plain, "cargo xtask rollback 2026-11-23.1");
        let other = command(common("ecs/staging copy.toml", &["deploy.timeout=60", "name=shop"]));
        assert_eq!(
            other,
            "cargo xtask rollback 2026-11-23.1 --config 'ecs/staging copy.toml' --set \
             deploy.timeout=60 --set 'name=\"shop\"'"
        );
    }
}
