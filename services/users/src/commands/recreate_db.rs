//! `users recreate_db`: drops the schema and builds it anew.

use clap::Args;

use super::{CommandError, environment, runtime, say};
use crate::{
    config::{DatabaseConfig, Environment},
    db::{self, pool},
};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The database's name; production asks for it, so that nobody destroys the wrong one
    #[arg(long, value_name = "DATABASE")]
    yes_destroy: Option<String>,
}

pub(super) fn run(options: &Options) -> Result<(), CommandError> {
    let env = environment()?;
    let config = DatabaseConfig::from_env(&env)?;
    let place = pool::place(&config)?;
    let name = &place.database;
    let confirmed = match &options.yes_destroy {
        Some(given) if given != name => {
            return Err(CommandError::Refused(format!(
                "--yes-destroy names {given:?}, and the database is {name:?} on {}; \
                 nothing was changed",
                place.host
            )));
        }
        given => given.is_some(),
    };
    if Environment::from_env(&env)?.is_production() && !confirmed {
        return Err(CommandError::Refused(format!(
            "this would destroy all tables and all data of the database {name:?} on {}. \
             If you mean it: users recreate_db --yes-destroy {name}",
            place.host
        )));
    }
    say(&format!("Destroying all tables and all data of {name:?} on {}.", place.host))?;
    let ran = runtime()?.block_on(db::drop_schema(&config))?;
    say(&format!("The schema is new: {} migrations.", ran.len()))
}
