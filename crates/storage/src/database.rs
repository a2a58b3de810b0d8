//! The database connections: a few that read, and those that write for the whole process.
//!
//! Whoever writes puts a job into a bounded queue and waits; the writers (`writer`) take jobs from it, run
//! them in transactions, and answer when a transaction is durable.

mod writer;

use crate::dialect::{Connection, Location, Readers};
use crate::error::StorageError;
use futures_util::FutureExt as _;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use writer::Writer;

/// Most jobs that wait; who comes later waits outside.
const QUEUE: usize = 1024;

/// How much a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// One statement.
    Statement,
    /// Several, all or nothing.
    Transaction,
}

/// What a job of a writer returns.
pub(crate) type JobFuture<'c, T> =
    Pin<Box<dyn Future<Output = Result<T, StorageError>> + Send + 'c>>;

/// The connections of a store.
#[derive(Debug)]
pub(crate) struct Database {
    jobs: mpsc::Sender<Box<dyn Job>>,
    readers: Readers,
    tasks: TaskTracker,
    closing: CancellationToken,
    /// Fires when the data is another server's.
    lost: CancellationToken,
}

impl Database {
    /// Starts the writers; one of them gets a connection that is open already.
    ///
    /// # Errors
    /// `Unavailable` when the system gives no thread.
    pub(crate) fn start(
        location: &Location,
        connection: Connection,
        lost: CancellationToken,
    ) -> Result<Self, StorageError> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let queue = Arc::new(Mutex::new(queue));
        let (tasks, closing) = (TaskTracker::new(), CancellationToken::new());
        let mut connection = Some(connection);
        for _ in 0..location.writers() {
            let queue = Arc::clone(&queue);
            let writer = Writer::new(queue, location.clone(), connection.take(), closing.clone());
            match location {
                Location::Sqlite(_) => on_a_thread(&tasks, writer)?,
                Location::Postgres(_) => drop(tasks.spawn(writer.run())),
            }
        }
        Ok(Self { jobs, readers: location.readers(), tasks, closing, lost })
    }

    /// Where tasks of the store are spawned.
    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// Fires when the store is closed.
    pub(crate) fn closing(&self) -> &CancellationToken {
        &self.closing
    }

    /// Where to read. Sees every write that was answered.
    pub(crate) fn readers(&self) -> &Readers {
        &self.readers
    }

    /// Runs a job in a transaction and returns when that is durable. A job that is one statement is a
    /// transaction by itself, and PostgreSQL is spared the way there and back twice.
    pub(crate) async fn write<T, F>(&self, extent: Extent, work: F) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Connection) -> JobFuture<'c, T> + Send + 'static,
    {
        if self.lost.is_cancelled() {
            let why = "another Flowcore runs on this database".to_owned();
            return Err(StorageError::Unavailable(why));
        }
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Write { work: Some(work), extent, outcome: None, reply });
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

/// Runs a writer whose statements block on a thread of its own, to whose end the tracker waits. It is none of
/// the runtime's: a test's clock would not move while one of those is at work.
fn on_a_thread(tasks: &TaskTracker, writer: Writer) -> Result<(), StorageError> {
    let (runtime, (ended, end)) = (Handle::current(), oneshot::channel::<()>());
    let body = move || {
        runtime.block_on(writer.run());
        drop(ended);
    };
    let thread = std::thread::Builder::new().name("flowcore-writer".to_owned()).spawn(body);
    thread.map_err(|error| StorageError::Unavailable(error.to_string()))?;
    tasks.spawn(end);
    Ok(())
}

/// A job whose result type is forgotten.
trait Job: Send {
    /// How much it does.
    fn extent(&self) -> Extent;

    /// Does the work; the result is kept until [`Job::settle`].
    fn run<'c>(&'c mut self, connection: &'c mut Connection) -> JobFuture<'c, ()>;

    /// Answers the caller, now that the fate of the group is known.
    fn settle(self: Box<Self>, group: Result<(), StorageError>);
}

struct Write<T, F> {
    work: Option<F>,
    extent: Extent,
    outcome: Option<Result<T, StorageError>>,
    reply: oneshot::Sender<Result<T, StorageError>>,
}

impl<T, F> Job for Write<T, F>
where
    T: Send,
    F: for<'c> FnOnce(&'c mut Connection) -> JobFuture<'c, T> + Send,
{
    fn extent(&self) -> Extent {
        self.extent
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::query;
    use std::path::Path;

    async fn database(file: &Path) -> Database {
        std::fs::write(file, "").expect("a file");
        let location = Location::Sqlite(file.to_path_buf());
        let mut connection = location.connect().await.expect("connects");
        let table = query("CREATE TABLE notes (text TEXT NOT NULL)");
        table.execute(&mut connection).await.expect("a table");
        Database::start(&location, connection, CancellationToken::new()).expect("starts")
    }

    async fn note(database: &Database, text: String) -> Result<(), StorageError> {
        let write = database.write(Extent::Transaction, move |connection| {
            Box::pin(async move {
                let insert = query("INSERT INTO notes (text) VALUES ($1)").bind(text);
                insert.execute(connection).await?;
                Ok(())
            })
        });
        write.await
    }

    async fn notes(database: &Database) -> i64 {
        let count = query("SELECT COUNT(*) FROM notes");
        count.scalar(database.readers()).await.expect("counted").expect("a number")
    }

    #[tokio::test]
    async fn a_job_that_panics_is_rolled_back_and_the_writer_goes_on() {
        let directory = tempfile::tempdir().expect("a directory");
        let database = database(&directory.path().join("test.db")).await;
        let panicking = database.write::<(), _>(Extent::Transaction, |connection| {
            Box::pin(async move {
                query("INSERT INTO notes (text) VALUES ('lost')").execute(connection).await?;
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
        let limit = database.write(Extent::Transaction, |connection| {
            Box::pin(async move {
                query("PRAGMA max_page_count = 1").execute(connection).await?;
                Ok(())
            })
        });
        limit.await.expect("limited");
        // The writer has its hands full until both wait, so that they are of one group.
        let (go_on, may_go_on) = oneshot::channel::<()>();
        let busy = database.write(Extent::Transaction, |_| {
            Box::pin(async move {
                drop(may_go_on.await);
                Ok(())
            })
        });
        let (_, small, big, ()) = tokio::join!(
            busy,
            note(&database, "small".to_owned()),
            note(&database, "x".repeat(1_000_000)),
            async { drop(go_on) }
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
