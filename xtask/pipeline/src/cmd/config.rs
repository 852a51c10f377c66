//! `config`: what the configuration means.

use clap::{Args, Subcommand, ValueEnum};
use schemars::{Schema, schema_for};

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
    /// Print the JSON schema of ecs/pipeline.toml, or of what a command answers with --output json
    Schema {
        /// Of what
        #[arg(value_enum, default_value_t)]
        of: Of,
    },
}

/// What has a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Of {
    /// ecs/pipeline.toml
    #[default]
    File,
    /// `config show`
    Show,
    /// `build` and `push`
    Images,
    /// `plan`, and `deploy --dry-run`
    Plan,
    /// `deploy` and `rollback`
    Deploy,
    /// `migrate`, `recreate_db`, `seed_db` and `create_admin`
    Task,
    /// `doctor`
    Doctor,
    /// `status`
    Status,
    /// `logs`; with --follow a document for each line
    Logs,
    /// `scale`
    Scale,
    /// `history`
    History,
    /// `prune`
    Prune,
    /// `infra plan`
    InfraPlan,
    /// `infra apply`
    InfraApply,
    /// `infra outputs`
    InfraOutputs,
    /// `infra drift`
    InfraDrift,
    /// `infra destroy`
    InfraDestroy,
    /// Any of them, if it fails before it has anything else to answer
    Error,
}

impl Of {
    fn schema(self) -> Schema {
        match self {
            Self::File => config::schema(),
            Self::Show => schema_for!(Settings<'static>),
            Self::Images => schema_for!(crate::report::Images),
            Self::Plan => schema_for!(crate::plan::Plan),
            Self::Deploy => schema_for!(super::release::Report),
            Self::Task => schema_for!(super::task::Report),
            Self::Doctor => schema_for!(super::doctor::Report),
            Self::Status => schema_for!(super::status::Report),
            Self::Logs => schema_for!(super::logs::Report),
            Self::Scale => schema_for!(super::scale::Report),
            Self::History => schema_for!(super::history::Report),
            Self::Prune => schema_for!(super::prune::Report),
            Self::InfraPlan => schema_for!(crate::infra::apply::Plan),
            Self::InfraApply => schema_for!(crate::infra::apply::Applied),
            Self::InfraOutputs => schema_for!(super::infra::Outputs),
            Self::InfraDrift => schema_for!(crate::infra::drift::Report),
            Self::InfraDestroy => schema_for!(crate::infra::destroy::Destroyed),
            Self::Error => schema_for!(crate::report::Failure),
        }
    }
}

impl Config {
    /// Prints it.
    pub(crate) fn run(&self, common: &Common) -> Result<(), Error> {
        match self.command {
            Command::Show => Self::show(common),
            // A schema is JSON, whatever else is asked for.
            Command::Schema { of } => Ok(crate::report::json(&of.schema())?),
        }
    }

    fn show(common: &Common) -> Result<(), Error> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_answered_has_a_schema() {
        for of in Of::value_variants() {
            let schema = serde_json::to_value(of.schema()).unwrap();
            let kind = schema.get("type").and_then(serde_json::Value::as_str);
            assert!(matches!(kind, Some("object" | "array")), "{of:?}: {schema}");
        }
    }
}
