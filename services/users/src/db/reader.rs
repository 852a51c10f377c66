//! The connection by which a worker reads: one, shared by all of the worker's requests.
//!
//! A server answers the statements of a connection in their order, and takes the next one before
//! it has answered the last (pipelining). So nobody waits for a free connection, the statements of
//! many requests go out with one write and come back with few reads, and the server switches
//! between few processes. That is worth more than statements that run side by side, as long as
//! each takes a fraction of a millisecond: only look-ups by an index belong here. Whatever writes,
//! or needs several statements to see the same state, takes a connection of the pool; a
//! transaction cannot be begun here, since it needs the connection for itself (`&mut`).
//!
//! # Limits
//!
//! [`STATEMENT_LIMIT`] for a statement (kept by the server), [`ANSWER_LIMIT`] for the answer, the
//! wait behind other statements included. A connection that is that late is given up, with all
//! that wait for it: a server process that hangs must not hold requests for longer.
//!
//! # A connection that ends
//!
//! It is replaced by the next request; requests at that moment share the attempt and its outcome.
//! A read changes nothing, so one that the end of the connection has cut off is asked once more.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use diesel_async::AsyncPgConnection;
use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};

use super::{
    Error,
    link::Link,
    pool::{ConnectError, Connector},
};
use crate::config::DatabaseConfig;

/// How long a statement may run; the server cancels it then. No look-up takes a hundredth of it.
pub const STATEMENT_LIMIT: Duration = Duration::from_secs(3);
/// How long an answer may take before the connection is given up.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// What a read may fail with.
pub trait Failure: From<Error> {
    /// Whether it is that the connection has ended, or is about to: the server says so, and a busy one
    /// closes it only a while later.
    fn ends_connection(&self) -> bool;
}

/// The attempt to connect, and what became of it.
type Opening = Shared<BoxFuture<'static, Result<Arc<Link>, ConnectError>>>;

/// A connection for all that one worker reads. Made when it is first needed.
#[derive(Debug)]
pub struct Reader {
    connector: Arc<Connector>,
    current: Mutex<Option<Opening>>,
    waiting: AtomicUsize,
}

/// An answer did not come within [`ANSWER_LIMIT`].
#[derive(Debug, thiserror::Error)]
#[error("no answer within {} s; the connection is given up", ANSWER_LIMIT.as_secs())]
struct Late;

impl Reader {
    /// Connects nothing yet.
    ///
    /// # Errors
    /// When the settings are wrong.
    pub fn new(config: &DatabaseConfig) -> Result<Self, ConnectError> {
        let connector = Arc::new(Connector::new(config, STATEMENT_LIMIT)?);
        Ok(Self { connector, current: Mutex::new(None), waiting: AtomicUsize::new(0) })
    }

    /// Has `work` read. It may run twice: where the connection ends under it, on the next one.
    ///
    /// # Errors
    /// Those of `work`; [`Error::Unavailable`] where there is no connection or no answer.
    pub async fn read<T, E: Failure>(
        &self,
        work: impl AsyncFn(&AsyncPgConnection) -> Result<T, E>,
    ) -> Result<T, E> {
        let _waiting = Waiting::enter(&self.waiting);
        let mut again = true;
        loop {
            let link = self.link().await.map_err(Error::from)?;
            match tokio::time::timeout(ANSWER_LIMIT, work(&link)).await {
                Ok(Err(error)) if again && error.ends_connection() => {
                    link.close();
                    again = false;
                }
                Ok(result) => return result,
                Err(_) => {
                    link.close();
                    return Err(Error::Unavailable(Late.into()).into());
                }
            }
        }
    }

    /// Whether there is a connection.
    pub fn is_connected(&self) -> bool {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let opened = current.as_ref().and_then(Shared::peek);
        opened.is_some_and(|opened| opened.as_ref().is_ok_and(|link| !link.has_ended()))
    }

    /// How many requests wait for an answer.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// The connection; a new one where there is none.
    async fn link(&self) -> Result<Arc<Link>, ConnectError> {
        let opening = {
            let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            match current.as_ref().map(|opening| (opening, opening.peek())) {
                Some((_, Some(Ok(link)))) if !link.has_ended() => return Ok(Arc::clone(link)),
                Some((opening, None)) => opening.clone(),
                // It ended, or could not be made when it was last tried, or never was.
                _ => current.insert(self.open()).clone(),
            }
        };
        opening.await
    }

    /// In a task of its own: whoever began it may be gone before it is done.
    fn open(&self) -> Opening {
        let connector = Arc::clone(&self.connector);
        let opening = tokio::spawn(async move { connector.connect().await.map(Arc::new) });
        let ended = |_| Err(ConnectError::Pool("the task that connects has ended".to_owned()));
        opening.map(move |opened| opened.unwrap_or_else(ended)).boxed().shared()
    }
}

/// Counts a request that waits for as long as this value lives.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
