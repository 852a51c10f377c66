//! The database as the workers see it.
//!
//! Every worker has connections of its own: they are driven by the thread that uses them, so that
//! no statement wakes another thread up, and a worker that has finished for good takes away
//! nobody else's. Of its share, one is the [`Reader`], the others form a [`Pool`] for what
//! writes.

use std::{iter, sync::Arc};

use diesel_async::AsyncPgConnection;

use super::{
    Result,
    pool::{self, ConnectError, Connection, Pool},
    reader::{Failure, Reader},
};
use crate::config::DatabaseConfig;

/// The connections of one worker.
#[derive(Debug)]
pub struct Database {
    reader: Reader,
    pool: Pool,
}

/// The connections of all workers.
#[derive(Clone, Debug)]
pub struct Databases {
    first: Arc<Database>,
    others: Arc<[Arc<Database>]>,
}

impl Databases {
    /// One for each worker. Nothing is connected yet: a server that is away does not keep the
    /// service from starting.
    ///
    /// # Errors
    /// When the settings are wrong, which no waiting would mend.
    pub fn new(config: &DatabaseConfig) -> std::result::Result<Self, ConnectError> {
        let first = Database::new(config).map(Arc::new)?;
        let others = (1..config.workers).map(|_| Database::new(config).map(Arc::new));
        Ok(Self { first, others: others.collect::<std::result::Result<_, _>>()? })
    }

    /// Those of the worker with this number, counted from 0.
    pub fn of_worker(&self, number: usize) -> Arc<Database> {
        Arc::clone(self.iter().cycle().nth(number % self.count()).unwrap_or(&self.first))
    }

    /// How many workers there are.
    pub fn count(&self) -> usize {
        1 + self.others.len()
    }

    /// How the connections of all workers are used at this moment.
    pub fn usage(&self) -> Usage {
        self.iter().map(|database| database.usage()).sum()
    }

    fn iter(&self) -> impl Iterator<Item = &Arc<Database>> + Clone {
        iter::once(&self.first).chain(self.others.iter())
    }
}

/// How connections are used at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The most connections that there may be.
    pub limit: usize,
    /// How many there are.
    pub open: usize,
    /// How many of them nobody uses.
    pub idle: usize,
    /// How many requests wait for a connection of a pool.
    pub waiting: usize,
    /// How many requests wait for what they read.
    pub reading: usize,
}

impl Database {
    fn new(config: &DatabaseConfig) -> std::result::Result<Self, ConnectError> {
        let reader = Reader::new(config)?;
        // All but the reader's.
        let pool = pool::build(config, config.connections_per_worker() - 1)?;
        Ok(Self { reader, pool })
    }

    /// Has `work` read, over the connection that the worker's requests share. Queries that are
    /// awaited together travel together. `work` may run twice.
    ///
    /// # Errors
    /// Those of `work`; [`Error::Unavailable`](super::Error::Unavailable) where there is no connection or no
    /// answer.
    pub async fn read<T, E: Failure>(
        &self,
        work: impl AsyncFn(&AsyncPgConnection) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        self.reader.read(work).await
    }

    /// A connection for what writes; nobody else uses it meanwhile.
    ///
    /// # Errors
    /// [`Error::Unavailable`](super::Error::Unavailable) where there is none, or none becomes free within
    /// [`pool::WAIT_LIMIT`].
    pub async fn connection(&self) -> Result<Connection> {
        Ok(self.pool.get().await?)
    }

    /// How the connections are used at this moment.
    pub fn usage(&self) -> Usage {
        let pool = self.pool.status();
        let connected = usize::from(self.reader.is_connected());
        let reading = self.reader.waiting();
        Usage {
            limit: pool.max_size + 1,
            open: pool.size + connected,
            idle: pool.available + if reading == 0 { connected } else { 0 },
            waiting: pool.waiting,
            reading,
        }
    }
}

impl iter::Sum for Usage {
    fn sum<I: Iterator<Item = Self>>(usages: I) -> Self {
        usages.fold(Self::default(), |sum, one| Self {
            limit: sum.limit + one.limit,
            open: sum.open + one.open,
            idle: sum.idle + one.idle,
            waiting: sum.waiting + one.waiting,
            reading: sum.reading + one.reading,
        })
    }
}
