//! `users serve`: the service itself.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{CommandError, environment, runtime};
use crate::{
    config::{Config, DatabaseConfig},
    db, memory, scheduling,
    startup::{Application, Goodbye},
};

pub(super) fn run() -> Result<(), CommandError> {
    let config = Config::from_env(&environment()?)?;
    scheduling::take_turns();
    runtime()?.block_on(async {
        // Before anything else: a signal that comes during the start must stop it as any other.
        let signals = Signals::listen()?;
        let database = config.database.clone();
        let application = Application::build(config).await?;
        let address = application.address();
        tokio::spawn(signals.stop(application.goodbye()));
        tracing::info!(%address, version = crate::VERSION, "listening on http://{address}");
        if let Some(address) = application.metrics_address() {
            tracing::info!(%address, "metrics on http://{address}/metrics");
        }
        if let Some(limit) = memory::limit() {
            tokio::spawn(memory::watch(limit));
        }
        // Not before listening: a database that is away must not keep the service from starting.
        tokio::spawn(check_database(database));
        application.run().await?;
        tracing::info!("stopped");
        Ok(())
    })
}

/// SIGTERM and SIGINT.
struct Signals {
    term: Signal,
    int: Signal,
}

impl Signals {
    /// From here on neither ends the process by itself.
    fn listen() -> io::Result<Self> {
        Ok(Self { term: signal(SignalKind::terminate())?, int: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.term.recv() => "SIGTERM",
            _ = self.int.recv() => "SIGINT",
        }
    }

    /// The first: accept no more, finish what is in flight. A second one: at once.
    async fn stop(mut self, goodbye: Goodbye) {
        let name = self.next().await;
        tracing::info!(signal = name, "stopping; requests in flight are finished");
        let graceful = tokio::spawn(goodbye.clone().say());
        let name = self.next().await;
        tracing::warn!(signal = name, "stopping at once");
        graceful.abort();
        goodbye.leave().await;
    }
}

/// Tells in the log, once, what requests will meet: no database, or an old schema.
async fn check_database(config: DatabaseConfig) {
    match db::pending(&config).await {
        Ok(pending) if pending.is_empty() => tracing::debug!("the schema is up to date"),
        Ok(pending) => tracing::warn!(
            pending = pending.join(", "),
            "the database has not the schema of this release. Run: users migrate"
        ),
        Err(error) => {
            tracing::warn!("{error}. Requests that need the database get 503 until it answers");
        }
    }
}
