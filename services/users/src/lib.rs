//! The users API: accounts, sessions and sign-in over HTTP, on PostgreSQL.
//!
//! `startup` puts the parts together; `routes` holds one file an operation or a
//! small group; `db` holds all SQL; `auth` holds what sign-in is made of; `http`
//! holds what all operations share; `metrics` tells how it all is doing; `memory`
//! knows the container's limit, `scheduling` how threads share the processors;
//! `commands` holds the program's subcommands.

pub mod auth;
pub mod clock;
pub mod commands;
pub mod config;
pub mod db;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod http;
pub mod memory;
mod metrics;
pub mod openapi;
mod routes;
pub mod scheduling;
pub mod startup;
mod state;
pub mod telemetry;

/// What this build is: the git commit, from APP_VERSION at build time.
pub const VERSION: &str = match option_env!("APP_VERSION") {
    Some(version) => version,
    None => "dev",
};
