//! `users serve`: the service itself.

use actix_web::dev::ServerHandle;
use tokio::signal::unix::{SignalKind, signal};

use super::{CommandError, environment, runtime};
use crate::{
    config::{Config, DatabaseConfig},
    db,
    startup::Application,
};

pub(super) fn run() -> Result<(), CommandError> {
    let config = Config::from_env(&environment()?)?;
    runtime()?.block_on(async {
        let database = config.database.clone();
        let application = Application::build(config).await?;
        let address = application.address();
        tracing::info!(%address, version = crate::VERSION, "listening on http://{address}");
        tokio::spawn(stop_on_signal(application.handle()));
        // Not before listening: a database that is away must not keep the service from starting.
        tokio::spawn(check_database(database));
        application.run().await?;
        tracing::info!("stopped");
        Ok(())
    })
}

/// SIGTERM and SIGINT: accept no more, finish what is in flight. A second one: at once.
async fn stop_on_signal(server: ServerHandle) {
    let (Ok(mut term), Ok(mut int)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("signals cannot be handled; stop the service with SIGKILL");
        return;
    };
    let mut next = async || {
        tokio::select! {
            _ = term.recv() => "SIGTERM",
            _ = int.recv() => "SIGINT",
        }
    };
    let name = next().await;
    tracing::info!(signal = name, "stopping; requests in flight are finished");
    let graceful = tokio::spawn(server.stop(true));
    let name = next().await;
    tracing::warn!(signal = name, "stopping at once");
    graceful.abort();
    server.stop(false).await;
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
