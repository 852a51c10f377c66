//! Puts the service together and runs it.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use actix_cors::Cors;
use actix_http::HttpService;
use actix_service::{IntoServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::{
    App, Error as ActixError, HttpServer,
    dev::{AppConfig, Server, ServerHandle},
    http::{Method, header},
    middleware::{Condition, from_fn},
    web::{self, Data, PayloadConfig},
};
use futures_util::future::try_join;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{net::TcpStream, task::AbortHandle};

use crate::{
    auth::{
        password::{self, Hasher},
        throttle::AddressThrottle,
        token::Keys,
    },
    config::Config,
    db::{self, Databases, pool},
    http::{
        connections::Connections,
        error::Error,
        extract::BODY_MAX,
        middleware::{normalize_path, observe},
        stream::{Limits, Stream},
    },
    memory,
    metrics::{self, Metrics},
    routes,
    state::{Shared, State},
};

/// How long a connection may idle: longer than the 60 s after which an AWS load
/// balancer closes its own, or it would send requests into a connection that is
/// being closed.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long a client may take to send a request's head.
const REQUEST_HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How many clients may wait until they are taken on.
const BACKLOG: i32 = 2048;
/// How long nothing of an answer may go out where something has come, or the answer is not read:
/// longer than a request may take, so that it is met only where its head does not end.
const UNANSWERED_LIMIT: Duration = Duration::from_secs(30);
/// How long nothing may go out at all: longer than the framework keeps a connection.
const SILENCE_LIMIT: Duration = Duration::from_secs(85);
/// How long a connection that is being closed may take.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long after the signal requests are still taken on, but no longer than a tenth of what those in
/// flight have after that: by then what clients had sent before it has come through the queues of the system and of
/// the framework, also on a busy machine.
const LAST_CALL: Duration = Duration::from_secs(1);
/// How long it takes until the last connection that was accepted is with a worker.
const HANDING_OVER: Duration = Duration::from_millis(200);
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
    /// The metrics' address cannot be listened on.
    #[error("cannot listen on {address}: {error}. Set METRICS_PORT to a free port")]
    ListenForMetrics {
        /// The address.
        address: SocketAddr,
        /// The operating system's reason.
        error: io::Error,
    },
    /// The container has too little memory.
    #[error(transparent)]
    Memory(#[from] memory::TooLittle),
    /// A part could not be made.
    #[error("cannot start: {0}")]
    Part(Box<dyn std::error::Error + Send + Sync>),
}

/// The service, listening.
pub struct Application {
    server: Server,
    address: SocketAddr,
    metrics: Option<(Server, SocketAddr)>,
    sweeper: AbortHandle,
    connections: Connections,
    last_call: Duration,
}

impl Application {
    /// Checks the settings, listens, and begins to serve once [`Self::run`] is awaited.
    pub async fn build(config: Config) -> Result<Self, StartupError> {
        let databases = Databases::new(&config.database)?;
        let cores = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let limit = memory::limit();
        let threads = memory::hashing_threads(cores, limit)?;
        let most = memory::connections(limit.or_else(memory::machine));
        let hasher = Hasher::start(threads, password::QUEUE)
            .map_err(|error| StartupError::Part(error.into()))?;
        let previous = config.token.previous_key.as_ref().map(|key| key.expose().as_bytes());
        let wanted = config.server.metrics_port;
        let metrics = wanted.map(|_| Data::new(Metrics::new(databases.clone(), hasher.clone())));
        let connections = Connections::new(most, databases.count());
        let shared = Arc::new(Shared {
            keys: Keys::new(config.token.key.expose().as_bytes(), previous),
            hasher,
            addresses: AddressThrottle::new(config.throttle),
            connections: connections.clone(),
            metrics: metrics.clone(),
            config,
        });

        let metrics = metrics.zip(wanted).map(|(metrics, port)| {
            let address = SocketAddr::new(shared.config.server.host, port);
            let listen = |error| StartupError::ListenForMetrics { address, error };
            serve_metrics(metrics, address).map_err(listen)
        });
        let metrics = metrics.transpose()?;
        let address = SocketAddr::new(shared.config.server.host, shared.config.server.port);
        let listen = |error| StartupError::Listen { address, error };
        let (server, address) = serve(Arc::clone(&shared), databases, address).map_err(listen)?;
        let last_call = LAST_CALL.min(shared.config.server.shutdown_timeout / 10);
        let sweeper = tokio::spawn(sweep(shared)).abort_handle();
        Ok(Self { server, address, metrics, sweeper, connections, last_call })
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of the metrics, if they are wanted.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(|(_, address)| *address)
    }

    /// Stops it, from anywhere.
    pub fn handle(&self) -> ServerHandle {
        self.server.handle()
    }

    /// Stops it, from anywhere, without a loss: see [`Goodbye::say`].
    pub(crate) fn goodbye(&self) -> Goodbye {
        Goodbye {
            server: self.server.handle(),
            connections: self.connections.clone(),
            last_call: self.last_call,
        }
    }

    /// Serves until it is stopped.
    pub async fn run(self) -> io::Result<()> {
        let metrics = self.metrics.map(|(server, _)| {
            let handle = server.handle();
            tokio::spawn(server);
            handle
        });
        let result = self.server.await;
        self.sweeper.abort();
        // To the last moment: how a task ends is worth knowing too.
        if let Some(metrics) = metrics {
            metrics.stop(false).await;
        }
        result
    }
}

/// The end of a service.
#[derive(Clone)]
pub(crate) struct Goodbye {
    server: ServerHandle,
    connections: Connections,
    last_call: Duration,
}

impl Goodbye {
    /// Ends it when all that it has taken on is answered.
    ///
    /// The framework drops connections that it has accepted and not begun to serve, and of those that
    /// are kept it reads no further request, though one may have come already. So connections are
    /// served for [`LAST_CALL`], each for one more answer, which ends it. Then none is accepted
    /// any more; then all are ended on which nothing is in flight.
    pub(crate) async fn say(self) {
        self.connections.end();
        tokio::time::sleep(self.last_call).await;
        self.server.pause().await;
        tokio::time::sleep(HANDING_OVER.min(self.last_call)).await;
        self.server.stop(true).await;
    }

    /// Ends it at once, whatever is in flight.
    pub(crate) async fn leave(self) {
        self.server.stop(false).await;
    }
}

fn serve(
    shared: Arc<Shared>,
    databases: Databases,
    address: SocketAddr,
) -> io::Result<(Server, SocketAddr)> {
    let workers = databases.count();
    let shutdown_timeout = shared.config.server.shutdown_timeout.as_secs();
    let connections = shared.connections.clone();
    let next = Arc::new(AtomicUsize::new(0));
    // Called once by each worker, in its own thread.
    let app = move || {
        let database = databases.of_worker(next.fetch_add(1, Ordering::Relaxed));
        let state = State { shared: Arc::clone(&shared), database };
        let origins = &shared.config.server.cors_allowed_origins;
        App::new()
            .app_data(Data::new(state))
            .app_data(PayloadConfig::new(BODY_MAX))
            .configure(routes::configure)
            .configure(|services| {
                if let Some(dir) = &shared.config.server.client_dir {
                    routes::client::configure(services, dir);
                }
            })
            .default_service(web::to(|| async { Err::<String, _>(Error::not_found()) }))
            .wrap(from_fn(normalize_path))
            .wrap(Condition::new(!origins.is_empty(), cors(origins)))
            .wrap(from_fn(observe))
    };
    let limits = Limits { asked: UNANSWERED_LIMIT, idle: SILENCE_LIMIT };
    let listener = listen(address)?;
    let address = listener.local_addr()?;
    let builder = Server::build();
    let ending = builder.graceful_shutdown_signal();
    // As `HttpServer` does it, but for the stream.
    let server = builder
        .workers(workers)
        .max_concurrent_connections(connections.of_worker())
        .shutdown_timeout(shutdown_timeout)
        .disable_signals()
        .listen("users", listener, move || {
            let (ending, counter) = (ending.clone(), connections.counter());
            let app = app().into_factory().map_err(|error: ActixError| error.error_response());
            let http = HttpService::build()
                .graceful_shutdown_signal(move || {
                    let ending = ending.clone();
                    async move { ending.notified().await }
                })
                .keep_alive(KEEP_ALIVE)
                .client_request_timeout(REQUEST_HEAD_TIMEOUT)
                .client_disconnect_timeout(DISCONNECT_TIMEOUT)
                .local_addr(address)
                .on_connect_ext(move |_: &Stream<TcpStream>, data| counter(data))
                .finish(map_config(app, |()| AppConfig::default()));
            fn_service(move |io: TcpStream| async move {
                let peer = io.peer_addr().ok();
                Ok((Stream::accept(io, limits), actix_http::Protocol::Http1, peer))
            })
            .and_then(http)
        })?
        .run();
    Ok((server, address))
}

/// Listens as the framework does. The standard library would let 128 clients wait, and who comes after
/// them try again a second later.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Connections of the process before linger.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn serve_metrics(metrics: Data<Metrics>, address: SocketAddr) -> io::Result<(Server, SocketAddr)> {
    let server = HttpServer::new(move || {
        App::new().app_data(Data::clone(&metrics)).configure(metrics::configure)
    })
    .workers(1)
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
async fn sweep(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(SWEEP_INTERVAL).await;
        match clear_expired(&shared).await {
            Ok((sessions, keys)) => tracing::debug!(sessions, keys, "cleared what expired"),
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, "could not clear what expired");
            }
        }
    }
}

/// Over a connection of its own, for a moment: those of the workers are the requests'.
async fn clear_expired(shared: &Shared) -> db::Result<(usize, usize)> {
    let conn = pool::connect(&shared.config.database, None).await?;
    let now = shared.config.clock.now();
    try_join(db::sessions::sweep(&conn, now), db::throttle::sweep(&conn, now)).await
}
