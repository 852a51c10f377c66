//! Log lines: where they go and how they look.
//!
//! What is never logged: passwords, tokens, cookies, hashes, keys, query strings
//! and request bodies. Requests are logged by the HTTP middleware, one line each; a
//! `/ping` that went well only where debug lines are wanted.

use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, filter::ParseError, fmt, util::SubscriberInitExt};

use crate::config::{LogConfig, LogFormat};

/// Sends log lines to standard output; to be called once, by the program.
pub fn init(config: &LogConfig) -> Result<(), ParseError> {
    let filter = EnvFilter::try_new(&config.filter)?;
    let lines = fmt()
        .with_env_filter(filter)
        .with_writer(io::stdout)
        .with_ansi(io::stdout().is_terminal())
        // Whoever reads the log and goes away must not take the service along.
        .log_internal_errors(false);
    // Fails only where a subscriber is set already: then that one stays.
    let _ = match config.format {
        LogFormat::Text => lines.with_target(false).finish().try_init(),
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .finish()
            .try_init(),
    };
    Ok(())
}
