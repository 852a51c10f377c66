//! What handlers share.

use actix_web::HttpRequest;
use chrono::{DateTime, Utc};

use crate::{
    auth::{
        password::Hasher,
        throttle::{AddressThrottle, Kind},
        token::Keys,
    },
    config::Config,
    db::{
        self,
        pool::{Connection, Pool},
        throttle::{Key, Verdict},
    },
    http::{error::Error, middleware::client_of},
};

/// What handlers share; one for all workers.
pub(crate) struct State {
    pub(crate) config: Config,
    pub(crate) pool: Pool,
    pub(crate) keys: Keys,
    pub(crate) hasher: Hasher,
    pub(crate) addresses: AddressThrottle,
}

impl State {
    /// What time it is.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.config.clock.now()
    }

    /// A connection to the database.
    pub(crate) async fn connection(&self) -> Result<Connection, Error> {
        self.pool.get().await.map_err(|error| db::Error::from(error).into())
    }

    /// Counts a try of this request's client address.
    pub(crate) fn throttle_address(&self, kind: Kind, request: &HttpRequest) -> Result<(), Error> {
        let client = client_of(request);
        self.addresses.attempt(kind, &client, self.now()).map_err(Error::too_many_requests)
    }

    /// Counts a try at an account.
    pub(crate) async fn throttle_account(&self, conn: &Connection, key: &Key) -> Result<(), Error> {
        if !self.config.throttle.enabled {
            return Ok(());
        }
        match db::throttle::attempt(conn, key, self.config.throttle.account, self.now()).await? {
            Verdict::Allowed => Ok(()),
            Verdict::Refused { retry_after } => {
                tracing::warn!(event = "throttled", retry_after, "too many tries at an account");
                Err(Error::too_many_requests(retry_after))
            }
        }
    }
}
