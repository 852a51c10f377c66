//! `users migrate`: brings the schema up to date.

use super::{CommandError, environment, runtime, say};
use crate::{config::DatabaseConfig, db};

pub(super) fn run() -> Result<(), CommandError> {
    let config = DatabaseConfig::from_env(&environment()?)?;
    let ran = runtime()?.block_on(db::migrate(&config))?;
    if ran.is_empty() {
        return say("The schema is up to date.");
    }
    for migration in ran {
        say(&format!("Ran migration {migration}."))?;
    }
    Ok(())
}
