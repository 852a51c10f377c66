//! Log lines: where they go and how they look.
//!
//! What is never logged: passwords, tokens, cookies, hashes, keys, query strings
//! and request bodies. Requests are logged by the HTTP middleware, one line each; a
//! `/ping` that went well only where debug lines are wanted.

mod json;

use std::{
    fs::File,
    io::{self, IsTerminal},
    os::fd::AsFd,
};

use tracing_subscriber::{EnvFilter, filter::ParseError, fmt, util::SubscriberInitExt};

use self::json::Json;
use crate::config::{LogConfig, LogFormat};

/// Why there can be no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter is not one.
    #[error("RUST_LOG: {0}. It looks like info,users=debug")]
    Filter(#[from] ParseError),
    /// There is no standard output.
    #[error("cannot write log lines to standard output: {0}")]
    Output(#[from] io::Error),
}

/// Sends log lines to standard output; to be called once, by the program.
///
/// Each is one write, which lines of other threads cannot break up (to a pipe, up to 4 KiB of it for
/// certain: `PIPE_BUF`). The standard library's handle would have the workers wait for each other: its
/// lock is held while the system writes, and to wake a worker for it takes longer than to write.
pub fn init(config: &LogConfig) -> Result<(), LogError> {
    let filter = EnvFilter::try_new(&config.filter)?;
    let output = io::stdout();
    let lines = fmt::fmt()
        .with_env_filter(filter)
        .with_writer(File::from(output.as_fd().try_clone_to_owned()?))
        .with_ansi(output.is_terminal())
        // Whoever reads the log and goes away must not take the service along.
        .log_internal_errors(false);
    // Fails only where a subscriber is set already: then that one stays.
    let _ = match config.format {
        LogFormat::Text => lines.with_target(false).finish().try_init(),
        LogFormat::Json => lines.fmt_fields(Json).event_format(Json).finish().try_init(),
    };
    Ok(())
}
