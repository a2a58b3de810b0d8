//! The tasks that write.
//!
//! # SQLite: one writer on a thread of its own, commits in groups
//! 1. The writer takes everything that waits, up to [`GROUP`] jobs, and begins a transaction.
//! 2. A job of several statements runs in a savepoint of its own: one that fails, or panics, is rolled
//!    back alone. A job of one statement needs none, and one that waits alone no `BEGIN` either.
//! 3. One commit makes the group durable: a thousand phones share the price of one disk sync.
//! 4. Only then is anybody answered; so what a caller saw succeed is on the disk.
//!
//! # PostgreSQL: several writers, a transaction a job
//! A job of one statement needs no `BEGIN` and `COMMIT` around it. The server shares its disk syncs among
//! transactions by itself, and a failing job need not be kept from spoiling others. What must be in order
//! is ordered by the row of its instance.
//!
//! # When it goes wrong
//! - The caller goes away: the job still runs or has run, its answer is dropped.
//! - The disk is full, the file can't be locked, the server goes away, the commit fails: nothing of the
//!   transaction is stored, its callers get the error. The connection is closed and opened anew for the
//!   next one, so writing is back as soon as the database is.
//! - The connection breaks during the commit itself: nobody can know whether it is stored. The callers get
//!   the error; what they repeat is recognised by its ids.
//! - The process is killed: each transaction is there whole or not at all.

use super::{Extent, Job};
use crate::dialect::{Connection, Location, query};
use crate::error::StorageError;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

/// Most jobs of one transaction of SQLite.
const GROUP: usize = 256;

/// Starts a transaction of SQLite that may write. IMMEDIATE: a transaction that only turns into a writer
/// later could fail with "locked" half-way.
const BEGIN: &str = "BEGIN IMMEDIATE";
/// What the statements of one job are put into, and how a job that succeeded is left.
const ENTER: &str = "SAVEPOINT job";
const LEAVE: &str = "RELEASE job";

/// How long a transaction of PostgreSQL may take: a server that went away without a word is noticed.
const PATIENCE: Duration = Duration::from_secs(30);

/// After so long without work a connection to PostgreSQL is asked whether it still stands.
const RESTED: Duration = Duration::from_secs(1);

type Jobs = mpsc::Receiver<Box<dyn Job>>;

pub(super) struct Writer {
    queue: Arc<Mutex<Jobs>>,
    location: Location,
    connection: Option<Connection>,
    /// When the connection last did its work.
    used: Instant,
    closing: CancellationToken,
    healthy: bool,
}

impl Writer {
    pub(super) fn new(
        queue: Arc<Mutex<Jobs>>,
        location: Location,
        connection: Option<Connection>,
        closing: CancellationToken,
    ) -> Self {
        Self { queue, location, connection, used: Instant::now(), closing, healthy: true }
    }

    pub(super) async fn run(mut self) {
        let mut group = Vec::with_capacity(GROUP);
        while self.take(&mut group).await {
            let jobs = group.len();
            let outcome = match &self.location {
                Location::Sqlite(_) => self.commit_group(&mut group).await,
                Location::Postgres(_) => self.commit_alone(&mut group).await,
            };
            self.note(&outcome, jobs);
            for job in group.drain(..) {
                job.settle(outcome.clone());
            }
        }
        if let Some(mut connection) = self.connection.take() {
            if let Connection::Sqlite(_) = connection {
                let checkpoint = query("PRAGMA wal_checkpoint(TRUNCATE)");
                if let Err(error) = checkpoint.execute(&mut connection).await {
                    tracing::warn!(%error, "the write-ahead log was not emptied at the end");
                }
            }
            connection.close().await;
        }
    }

    /// Waits for the jobs of the next transaction; false when there are no more.
    async fn take(&mut self, group: &mut Vec<Box<dyn Job>>) -> bool {
        let most = match self.location {
            Location::Sqlite(_) => GROUP,
            Location::Postgres(_) => 1,
        };
        let mut queue = self.queue.lock().await;
        tokio::select! {
            () = self.closing.cancelled(), if !queue.is_closed() => queue.close(),
            taken = queue.recv_many(group, most) => return taken > 0,
        }
        queue.recv_many(group, most).await > 0
    }

    /// Runs and commits a group; after a failure the connection is gone and nothing is stored.
    async fn commit_group(&mut self, group: &mut [Box<dyn Job>]) -> Result<(), StorageError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.location.connect().await?,
        };
        match run_group(&mut connection, group).await {
            Ok(()) => {
                self.connection = Some(connection);
                Ok(())
            }
            Err(error) => {
                // The transaction may be over already; either way it must not stay open.
                drop(query("ROLLBACK").execute(&mut connection).await);
                connection.close().await;
                Err(error)
            }
        }
    }

    /// Runs one job in a transaction. A failure of the job is its own; one of the connection costs it.
    async fn commit_alone(&mut self, group: &mut [Box<dyn Job>]) -> Result<(), StorageError> {
        let silent = |_| StorageError::Unavailable("PostgreSQL did not answer in time".to_owned());
        let begin = match group.first().map(|job| job.extent()) {
            Some(Extent::Transaction) => Some("BEGIN"),
            // Nothing to begin; but after a rest the connection may be dead.
            _ if self.used.elapsed() > RESTED => Some("SELECT 1"),
            _ => None,
        };
        let mut connection =
            tokio::time::timeout(PATIENCE, self.ready(begin)).await.map_err(silent)??;
        let done = tokio::time::timeout(PATIENCE, run_alone(&mut connection, group)).await;
        match done.map_err(silent).and_then(|done| done) {
            Ok(()) => {
                self.connection = Some(connection);
                self.used = Instant::now();
                Ok(())
            }
            // Dropped, not closed: it may not even take a goodbye.
            Err(error) => Err(error),
        }
    }

    /// A connection that was told how the job begins. The one of the last job may have died since.
    async fn ready(&mut self, begin: Option<&'static str>) -> Result<Connection, StorageError> {
        if let Some(mut connection) = self.connection.take() {
            let Some(begin) = begin else { return Ok(connection) };
            if query(begin).execute(&mut connection).await.is_ok() {
                return Ok(connection);
            }
        }
        let mut connection = self.location.connect().await?;
        if let Some(begin) = begin {
            query(begin).execute(&mut connection).await?;
        }
        Ok(connection)
    }

    /// Says once that writing fails, and once that it works again.
    fn note(&mut self, outcome: &Result<(), StorageError>, jobs: usize) {
        match outcome {
            Err(error) if self.healthy => {
                tracing::error!(%error, jobs, "the database takes no writes; trying on");
            }
            Ok(()) if !self.healthy => tracing::info!("the database takes writes again"),
            _ => {}
        }
        self.healthy = outcome.is_ok();
    }
}

async fn run_group(
    connection: &mut Connection,
    group: &mut [Box<dyn Job>],
) -> Result<(), StorageError> {
    if let [job] = &*group {
        // Nobody to be kept apart from: a statement commits by itself, and a transaction needs no savepoint.
        if job.extent() == Extent::Transaction {
            query(BEGIN).execute(&mut *connection).await?;
        }
        return run_alone(connection, group).await;
    }
    query(BEGIN).execute(&mut *connection).await?;
    for job in group {
        // SQLite undoes a statement that fails by itself.
        let several = job.extent() == Extent::Transaction;
        if several {
            query(ENTER).execute(&mut *connection).await?;
        }
        let done = job.run(connection).await;
        // Out of room or out of reach: SQLite may have ended the transaction by itself, with the work
        // of the jobs before in it.
        if let Err(error @ StorageError::Unavailable(_)) = done {
            return Err(error);
        }
        if several {
            if done.is_err() {
                query("ROLLBACK TO job").execute(&mut *connection).await?;
            }
            query(LEAVE).execute(&mut *connection).await?;
        }
    }
    query("COMMIT").execute(&mut *connection).await?;
    Ok(())
}

/// Runs what begun jobs do, each to its own end.
async fn run_alone(
    connection: &mut Connection,
    group: &mut [Box<dyn Job>],
) -> Result<(), StorageError> {
    for job in group {
        let end = match job.run(connection).await {
            Err(error @ StorageError::Unavailable(_)) => return Err(error),
            _ if job.extent() == Extent::Statement => continue,
            Ok(()) => "COMMIT",
            Err(_) => "ROLLBACK",
        };
        query(end).execute(&mut *connection).await?;
    }
    Ok(())
}
