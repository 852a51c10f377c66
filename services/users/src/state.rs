//! What handlers share.

use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use actix_web::{HttpRequest, web::Data};
use chrono::{DateTime, Utc};
use diesel_async::AsyncPgConnection;

use crate::{
    auth::{
        password::Hasher,
        throttle::{AddressThrottle, Kind},
        token::Keys,
    },
    config::Config,
    db::{
        self, Database,
        pool::Connection,
        throttle::{Key, Verdict},
    },
    http::{error::Error, middleware::client_of},
    metrics::Metrics,
};

/// What a worker's handlers share.
pub(crate) struct State {
    /// What all workers share.
    pub(crate) shared: Arc<Shared>,
    /// The worker's own connections.
    pub(crate) database: Arc<Database>,
}

/// What all workers share.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) keys: Keys,
    pub(crate) hasher: Hasher,
    pub(crate) addresses: AddressThrottle,
    /// None where nobody reads them.
    pub(crate) metrics: Option<Data<Metrics>>,
    pub(crate) closing: Closing,
}

/// Whether the service has been asked to end. From then on each answer ends its connection, and says
/// so, that no client sends one more request into a connection that is about to be closed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Closing(Arc<AtomicBool>);

impl Closing {
    /// From here on it has.
    pub(crate) fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it has.
    pub(crate) fn has_begun(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Deref for State {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.shared
    }
}

impl State {
    /// What time it is.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.config.clock.now()
    }

    /// Has `work` read from the database, perhaps twice; see [`Database::read`].
    pub(crate) async fn read<T>(
        &self,
        work: impl AsyncFn(&AsyncPgConnection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.database.read(work).await
    }

    /// A connection to write with.
    pub(crate) async fn connection(&self) -> Result<Connection, Error> {
        Ok(self.database.connection().await?)
    }

    /// Counts a try of this request's client address.
    pub(crate) fn throttle_address(&self, kind: Kind, request: &HttpRequest) -> Result<(), Error> {
        let client = client_of(request);
        self.addresses.attempt(kind, &client, self.now()).map_err(|retry_after| {
            self.throttled(match kind {
                Kind::Credentials => "address",
                Kind::Register => "register",
            });
            Error::too_many_requests(retry_after)
        })
    }

    /// Counts a try at an account.
    pub(crate) async fn throttle_account(&self, conn: &Connection, key: &Key) -> Result<(), Error> {
        if !self.config.throttle.enabled {
            return Ok(());
        }
        match db::throttle::attempt(conn, key, self.config.throttle.account, self.now()).await? {
            Verdict::Allowed => Ok(()),
            Verdict::Refused { retry_after } => {
                self.throttled("account");
                tracing::warn!(event = "throttled", retry_after, "too many tries at an account");
                Err(Error::too_many_requests(retry_after))
            }
        }
    }

    fn throttled(&self, kind: &'static str) {
        if let Some(metrics) = &self.metrics {
            metrics.throttled(kind);
        }
    }
}
