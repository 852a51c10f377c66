//! A connection, and the task that reads from its socket and writes to it.
//!
//! diesel-async can have such a task of its own, which tells of its end only who has the
//! connection for himself. Ours can be asked while many share the connection, and costs a
//! statement nothing.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::atomic::{AtomicBool, Ordering},
};

use diesel_async::AsyncPgConnection;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::AbortHandle,
};
use tokio_postgres::Connection;

/// A connection to PostgreSQL; closed when it is dropped.
pub struct Link {
    connection: AsyncPgConnection,
    driver: Driver,
    /// The task ends a moment after it was told to.
    closed: AtomicBool,
}

impl Link {
    pub(super) fn new(connection: AsyncPgConnection, driver: Driver) -> Self {
        Self { connection, driver, closed: AtomicBool::new(false) }
    }

    /// Whether either side has closed it.
    pub fn has_ended(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
            || self.driver.0.as_ref().is_none_or(AbortHandle::is_finished)
    }

    /// Closes it, whoever waits for an answer.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        if let Some(task) = &self.driver.0 {
            task.abort();
        }
    }

    /// The connection alone, for one who needs no more than that.
    pub fn into_connection(mut self) -> AsyncPgConnection {
        // The task goes on by itself until the connection is dropped.
        self.driver.0 = None;
        self.connection
    }
}

impl Deref for Link {
    type Target = AsyncPgConnection;

    fn deref(&self) -> &AsyncPgConnection {
        &self.connection
    }
}

impl DerefMut for Link {
    fn deref_mut(&mut self) -> &mut AsyncPgConnection {
        &mut self.connection
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("ended", &self.has_ended()).finish_non_exhaustive()
    }
}

/// The task of a connection; ends with this value, even where a server that hangs owes an answer.
pub(super) struct Driver(Option<AbortHandle>);

impl Driver {
    /// Starts it where we run: the connection is quickest for those that run there too.
    pub(super) fn start<S, T>(connection: Connection<S, T>) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let task = tokio::spawn(async {
            if let Err(error) = connection.await {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, "a connection to PostgreSQL was lost");
            }
        });
        Self(Some(task.abort_handle()))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}
