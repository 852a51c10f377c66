//! Puts the service together and runs it.

use std::{io, net::SocketAddr, num::NonZeroUsize, sync::Arc, thread, time::Duration};

use actix_cors::Cors;
use actix_web::{
    App, HttpServer,
    dev::{Server, ServerHandle},
    http::{Method, header},
    middleware::{Condition, NormalizePath, TrailingSlash, from_fn},
    web::{self, Data, PayloadConfig},
};
use tokio::task::AbortHandle;

use crate::{
    auth::{
        password::{self, Hasher},
        throttle::AddressThrottle,
        token::Keys,
    },
    config::Config,
    db::{self, pool},
    http::{error::Error, extract::BODY_MAX, middleware::observe},
    routes,
    state::State,
};

/// How long a connection may idle: longer than the 60 s after which an AWS load
/// balancer closes its own, or it would send requests into a connection that is
/// being closed.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long a client may take to send a request's head.
const REQUEST_HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How often what expired is cleared from the database.
const SWEEP_INTERVAL: Duration = Duration::from_secs(3600);

/// Why the service cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartupError {
    /// The database's settings are no good.
    #[error(transparent)]
    Database(#[from] pool::ConnectError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {error}. Set HOST and PORT to a free address")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The operating system's reason.
        error: io::Error,
    },
    /// A part could not be made.
    #[error("cannot start: {0}")]
    Part(Box<dyn std::error::Error + Send + Sync>),
}

/// The service, listening.
pub struct Application {
    server: Server,
    address: SocketAddr,
    sweeper: AbortHandle,
}

impl Application {
    /// Checks the settings, listens, and begins to serve once [`Self::run`] is awaited.
    pub async fn build(config: Config) -> Result<Self, StartupError> {
        let pool = pool::build(&config.database)?;
        let threads = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let hasher = Hasher::start(threads, password::QUEUE)
            .map_err(|error| StartupError::Part(error.into()))?;
        let previous = config.token.previous_key.as_ref().map(|key| key.expose().as_bytes());
        let state = Data::new(State {
            pool,
            keys: Keys::new(config.token.key.expose().as_bytes(), previous),
            hasher,
            addresses: AddressThrottle::new(config.throttle),
            config,
        });

        let address = SocketAddr::new(state.config.server.host, state.config.server.port);
        let listen = |error| StartupError::Listen { address, error };
        let (server, address) = serve(Data::clone(&state), address).map_err(listen)?;
        let sweeper = tokio::spawn(sweep(Arc::clone(&state))).abort_handle();
        Ok(Self { server, address, sweeper })
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops it, from anywhere.
    pub fn handle(&self) -> ServerHandle {
        self.server.handle()
    }

    /// Serves until it is stopped.
    pub async fn run(self) -> io::Result<()> {
        let result = self.server.await;
        self.sweeper.abort();
        result
    }
}

fn serve(state: Data<State>, address: SocketAddr) -> io::Result<(Server, SocketAddr)> {
    let shutdown_timeout = state.config.server.shutdown_timeout.as_secs();
    let server = HttpServer::new(move || {
        let origins = &state.config.server.cors_allowed_origins;
        App::new()
            .app_data(Data::clone(&state))
            .app_data(PayloadConfig::new(BODY_MAX))
            .configure(routes::configure)
            .configure(|services| {
                if let Some(dir) = &state.config.server.client_dir {
                    routes::client::configure(services, dir);
                }
            })
            .default_service(web::to(|| async { Err::<String, _>(Error::not_found()) }))
            .wrap(NormalizePath::new(TrailingSlash::Trim))
            .wrap(Condition::new(!origins.is_empty(), cors(origins)))
            .wrap(from_fn(observe))
    })
    .keep_alive(KEEP_ALIVE)
    .client_request_timeout(REQUEST_HEAD_TIMEOUT)
    .shutdown_timeout(shutdown_timeout)
    .disable_signals()
    .bind(address)?;
    let address = server.addrs().first().copied().unwrap_or(address);
    Ok((server.run(), address))
}

/// Lets pages of `origins` call the API, cookies included.
fn cors(origins: &[String]) -> Cors {
    let cors = Cors::default()
        .allowed_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allowed_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::HeaderName::from_static(contract::TRANSPORT_HEADER),
        ])
        .expose_headers([
            header::LINK,
            header::LOCATION,
            header::RETRY_AFTER,
            header::WWW_AUTHENTICATE,
            header::HeaderName::from_static("x-request-id"),
            header::HeaderName::from_static("x-app-version"),
        ])
        .supports_credentials()
        .max_age(600);
    origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin))
}

/// Clears what expired, now and then. Every task of the service does; that is harmless.
async fn sweep(state: Arc<State>) {
    loop {
        tokio::time::sleep(SWEEP_INTERVAL).await;
        if let Ok(conn) = state.pool.get().await {
            let now = state.now();
            let swept = futures_util::future::try_join(
                db::sessions::sweep(&conn, now),
                db::throttle::sweep(&conn, now),
            );
            match swept.await {
                Ok((sessions, keys)) => tracing::debug!(sessions, keys, "cleared what expired"),
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(error, "could not clear what expired");
                }
            }
        }
    }
}
