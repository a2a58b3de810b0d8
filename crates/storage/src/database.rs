//! The database connections: a few that read, and one that writes for the whole process.
//!
//! # The writer
//! One task owns the only connection that writes. Whoever writes puts a job into its queue and waits.
//! 1. The writer takes everything that waits, up to [`GROUP`] jobs, and begins a transaction.
//! 2. Each job runs in a savepoint of its own. One that fails, or panics, is rolled back alone.
//! 3. One commit makes the group durable: a thousand phones share the price of one disk sync.
//! 4. Only then is anybody answered; so what a caller saw succeed is on the disk.
//!
//! # When it goes wrong
//! - The caller goes away: the job still runs or has run, its answer is dropped.
//! - The disk is full, the file can't be locked, the commit fails: nothing of the group is stored, all of
//!   its callers get the error. The connection is closed and opened anew for the next group, so the
//!   writer is back as soon as there is room.
//! - The process is killed: SQLite's log has each group whole or not at all.

use crate::dialect::{self, Connection, Readers};
use crate::error::StorageError;
use futures_util::FutureExt as _;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::pin::Pin;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Most jobs of one transaction.
const GROUP: usize = 256;
/// Most jobs that wait; who comes later waits outside.
const QUEUE: usize = 1024;

/// What a job of the writer returns.
pub(crate) type JobFuture<'c, T> =
    Pin<Box<dyn Future<Output = Result<T, StorageError>> + Send + 'c>>;

/// The connections of a store.
#[derive(Debug)]
pub(crate) struct Database {
    jobs: mpsc::Sender<Box<dyn Job>>,
    readers: Readers,
    tasks: TaskTracker,
    closing: CancellationToken,
}

impl Database {
    /// Starts the writer with a connection that is open already.
    pub(crate) fn start(file: &Path, connection: Connection) -> Self {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let (tasks, closing) = (TaskTracker::new(), CancellationToken::new());
        let writer = Writer {
            queue,
            options: dialect::writer_options(file),
            connection: Some(connection),
            closing: closing.clone(),
            healthy: true,
        };
        tasks.spawn(writer.run());
        Self { jobs, readers: dialect::readers(file), tasks, closing }
    }

    /// Where to read. Sees every write that was answered.
    pub(crate) fn readers(&self) -> &Readers {
        &self.readers
    }

    /// Runs a job in the next transaction and returns when that is durable.
    pub(crate) async fn write<T, F>(&self, work: F) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Connection) -> JobFuture<'c, T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Write { work: Some(work), outcome: None, reply });
        let closed = || StorageError::Unavailable("the store is closed".to_owned());
        self.jobs.send(job).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    /// Takes no more jobs, finishes those that wait, empties the log and closes the connections.
    pub(crate) async fn close(&self) {
        self.closing.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.readers.close().await;
    }
}

/// A job whose result type is forgotten.
trait Job: Send {
    /// Does the work; the result is kept until [`Job::settle`].
    fn run<'c>(&'c mut self, connection: &'c mut Connection) -> JobFuture<'c, ()>;

    /// Answers the caller, now that the fate of the group is known.
    fn settle(self: Box<Self>, group: Result<(), StorageError>);
}

struct Write<T, F> {
    work: Option<F>,
    outcome: Option<Result<T, StorageError>>,
    reply: oneshot::Sender<Result<T, StorageError>>,
}

impl<T, F> Job for Write<T, F>
where
    T: Send,
    F: for<'c> FnOnce(&'c mut Connection) -> JobFuture<'c, T> + Send,
{
    fn run<'c>(&'c mut self, connection: &'c mut Connection) -> JobFuture<'c, ()> {
        Box::pin(async move {
            let Some(work) = self.work.take() else { return Ok(()) };
            let attempt = AssertUnwindSafe(async { work(connection).await }).catch_unwind().await;
            let outcome = attempt.unwrap_or_else(|_| {
                Err(StorageError::Unexpected("a write panicked; it was rolled back".to_owned()))
            });
            let verdict = outcome.as_ref().map(|_| ()).map_err(Clone::clone);
            self.outcome = Some(outcome);
            verdict
        })
    }

    fn settle(self: Box<Self>, group: Result<(), StorageError>) {
        let Self { outcome, reply, .. } = *self;
        let lost = || Err(StorageError::Unexpected("a write was not run".to_owned()));
        let answer = group.and_then(|()| outcome.unwrap_or_else(lost));
        // Nobody there any more: the caller was cancelled, which is its right.
        drop(reply.send(answer));
    }
}

struct Writer {
    queue: mpsc::Receiver<Box<dyn Job>>,
    options: SqliteConnectOptions,
    connection: Option<Connection>,
    closing: CancellationToken,
    healthy: bool,
}

impl Writer {
    async fn run(mut self) {
        let mut group = Vec::with_capacity(GROUP);
        loop {
            tokio::select! {
                () = self.closing.cancelled(), if !self.queue.is_closed() => self.queue.close(),
                taken = self.queue.recv_many(&mut group, GROUP) => {
                    if taken == 0 {
                        break;
                    }
                    let outcome = self.commit(&mut group).await;
                    self.note(&outcome, group.len());
                    for job in group.drain(..) {
                        job.settle(outcome.clone());
                    }
                }
            }
        }
        if let Some(mut connection) = self.connection.take() {
            if let Err(error) = sqlx::query(dialect::CHECKPOINT).execute(&mut connection).await {
                tracing::warn!(%error, "the write-ahead log was not emptied at the end");
            }
            drop(connection.close().await);
        }
    }

    /// Runs and commits a group; after a failure the connection is gone and nothing is stored.
    async fn commit(&mut self, group: &mut [Box<dyn Job>]) -> Result<(), StorageError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.options.connect().await?,
        };
        match commit_group(&mut connection, group).await {
            Ok(()) => {
                self.connection = Some(connection);
                Ok(())
            }
            Err(error) => {
                // The transaction may be over already; either way it must not stay open.
                drop(sqlx::query("ROLLBACK").execute(&mut connection).await);
                drop(connection.close().await);
                Err(error)
            }
        }
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

async fn commit_group(
    connection: &mut Connection,
    group: &mut [Box<dyn Job>],
) -> Result<(), StorageError> {
    sqlx::query(dialect::BEGIN).execute(&mut *connection).await?;
    sqlx::query(dialect::FIRST_JOB).execute(&mut *connection).await?;
    for job in group {
        let next = match job.run(connection).await {
            Ok(()) => dialect::NEXT_JOB,
            // Out of room or out of reach: SQLite may have ended the transaction by itself, with the work
            // of the jobs before in it.
            Err(error @ StorageError::Unavailable(_)) => return Err(error),
            Err(_) => dialect::UNDO_JOB,
        };
        sqlx::query(next).execute(&mut *connection).await?;
    }
    sqlx::query("COMMIT").execute(&mut *connection).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn database(file: &Path) -> Database {
        std::fs::write(file, "").expect("a file");
        let mut connection = dialect::writer_options(file).connect().await.expect("connects");
        sqlx::query("CREATE TABLE notes (text TEXT NOT NULL)")
            .execute(&mut connection)
            .await
            .expect("a table");
        Database::start(file, connection)
    }

    async fn note(database: &Database, text: String) -> Result<(), StorageError> {
        let write = database.write(move |connection| {
            Box::pin(async move {
                let insert = sqlx::query("INSERT INTO notes (text) VALUES ($1)").bind(text);
                insert.execute(connection).await?;
                Ok(())
            })
        });
        write.await
    }

    async fn notes(database: &Database) -> i64 {
        let count = sqlx::query_scalar("SELECT COUNT(*) FROM notes");
        count.fetch_one(database.readers()).await.expect("counted")
    }

    #[tokio::test]
    async fn a_job_that_panics_is_rolled_back_and_the_writer_goes_on() {
        let directory = tempfile::tempdir().expect("a directory");
        let database = database(&directory.path().join("test.db")).await;
        let panicking = database.write::<(), _>(|connection| {
            Box::pin(async move {
                sqlx::query("INSERT INTO notes (text) VALUES ('lost')").execute(connection).await?;
                panic!("on purpose");
            })
        });
        let (before, panicked, after) = tokio::join!(
            note(&database, "kept".to_owned()),
            panicking,
            note(&database, "kept too".to_owned())
        );
        assert!(matches!(panicked, Err(StorageError::Unexpected(_))), "{panicked:?}");
        before.and(after).expect("the others are stored");
        assert_eq!(notes(&database).await, 2);
        database.close().await;
    }

    #[tokio::test]
    async fn a_full_disk_fails_the_whole_group_and_the_writer_is_back_when_there_is_room() {
        let directory = tempfile::tempdir().expect("a directory");
        let database = database(&directory.path().join("test.db")).await;
        note(&database, "first".to_owned()).await.expect("stored");
        // SQLite's own limit gives the error of a full disk; it goes with the connection.
        let limit = database.write(|connection| {
            Box::pin(async move {
                sqlx::query("PRAGMA max_page_count = 1").execute(connection).await?;
                Ok(())
            })
        });
        limit.await.expect("limited");
        let (small, big) = tokio::join!(
            note(&database, "small".to_owned()),
            note(&database, "x".repeat(1_000_000))
        );
        for outcome in [small, big] {
            assert!(matches!(outcome, Err(StorageError::Unavailable(_))), "{outcome:?}");
        }
        assert_eq!(notes(&database).await, 1);
        note(&database, "x".repeat(1_000_000)).await.expect("there is room again");
        assert_eq!(notes(&database).await, 2);
        database.close().await;
    }
}
