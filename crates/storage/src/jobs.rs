//! Work to do after its cause is stored: taken with a lease, settled, retried, buried.
//!
//! Jobs of one instance, kind and ordering key are a chain; only its head, the oldest unfinished one, is
//! ever given out, so what belongs together is done in order. A claim moves the due time past the lease
//! and counts the attempt: a worker that dies gives its job back by doing nothing, and one that comes back
//! late finds the count changed and settles nothing.

use crate::Store;
use crate::dialect::{self, Connection, Query, query};
use crate::error::StorageError;
use crate::row::{Record, json_text};
use flowcore_domain::clock::Millis;
use flowcore_domain::id::InstanceId;
use serde_json::Value;
use sqlx::AssertSqlSafe;
use std::time::Duration;
use uuid::Uuid;

const TABLE: &str = "jobs";

/// A job to be done.
#[derive(Debug, Clone, PartialEq)]
pub struct NewJob {
    /// Whose it is.
    pub instance_id: InstanceId,
    /// What is to be done.
    pub kind: &'static str,
    /// What it has to be in order with: among jobs of the same instance and kind.
    pub ordering_key: String,
    /// With what.
    pub payload: Value,
    /// Not before.
    pub due: Millis,
}

/// A job that was taken.
#[derive(Debug, Clone, PartialEq)]
pub struct ClaimedJob {
    /// Its id.
    pub id: Uuid,
    /// Whose it is.
    pub instance_id: InstanceId,
    /// What is to be done.
    pub kind: String,
    /// What it is in order with.
    pub ordering_key: String,
    /// With what.
    pub payload: Value,
    /// How often it was taken, this time included.
    pub attempt: i64,
    /// When it was stored.
    pub created_at: Millis,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobOutcome {
    /// It is done and forgotten.
    Done,
    /// It is tried again; what waits behind it goes on waiting.
    Retry {
        /// Not before.
        at: Millis,
        /// What went wrong.
        error: String,
    },
    /// It is given up and kept to be looked at; what waits behind it goes on.
    Buried {
        /// What went wrong.
        error: String,
    },
}

impl Store {
    /// Stores jobs that have no other cause in the database.
    ///
    /// # Errors
    /// `NotFound` when an instance was deleted; then none is stored.
    pub async fn enqueue_jobs(&self, jobs: Vec<NewJob>, now: Millis) -> Result<(), StorageError> {
        self.write(move |connection| {
            Box::pin(async move {
                for job in jobs {
                    dialect::lock_instance(connection, job.instance_id).await?;
                    enqueuing(&job, now)?.execute(&mut *connection).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Takes due jobs of these kinds, at most one of each chain, for the time of `lease`.
    pub async fn claim_jobs(
        &self,
        kinds: &'static [&'static str],
        limit: usize,
        now: Millis,
        lease: Duration,
    ) -> Result<Vec<ClaimedJob>, StorageError> {
        self.write(move |connection| {
            Box::pin(async move {
                let sql = format!(
                    "WITH due AS MATERIALIZED (SELECT id FROM jobs WHERE head AND next_at <= $1 \
                     AND kind IN ({}) ORDER BY next_at LIMIT $2{}) \
                     UPDATE jobs SET next_at = $3, attempts = attempts + 1 \
                     WHERE id IN (SELECT id FROM due) RETURNING *",
                    dialect::parameters(3, kinds.len()),
                    connection.pick("", " FOR UPDATE SKIP LOCKED"),
                );
                let claim = query(AssertSqlSafe(sql))
                    .bind(now.0)
                    .bind(dialect::limit(limit))
                    .bind(now.plus(lease).0);
                let claim = kinds.iter().fold(claim, |claim, kind| claim.bind(*kind));
                let rows = claim.fetch_all(connection).await?;
                rows.iter().map(|row| read_job(&Record::new(TABLE, row))).collect()
            })
        })
        .await
    }

    /// Ends an attempt; false when the lease had run out and the job is another's (or gone) by now.
    pub async fn settle_job(
        &self,
        job: &ClaimedJob,
        outcome: JobOutcome,
    ) -> Result<bool, StorageError> {
        let job = job.clone();
        self.write(move |connection| {
            Box::pin(async move {
                dialect::lock_instance(connection, job.instance_id).await?;
                let (settling, ends) = match outcome {
                    JobOutcome::Done => {
                        let sql = "DELETE FROM jobs WHERE id = $1 AND attempts = $2 AND head";
                        (of(query(sql), &job), true)
                    }
                    JobOutcome::Retry { at, error } => {
                        let sql = "UPDATE jobs SET next_at = $3, error = $4 \
                                   WHERE id = $1 AND attempts = $2 AND head";
                        (of(query(sql), &job).bind(at.0).bind(error), false)
                    }
                    JobOutcome::Buried { error } => {
                        let sql = "UPDATE jobs SET state = 'buried', head = FALSE, error = $3 \
                                   WHERE id = $1 AND attempts = $2 AND head";
                        (of(query(sql), &job).bind(error), true)
                    }
                };
                let settled = settling.execute(&mut *connection).await? > 0;
                if settled && ends {
                    promote(connection, &job).await?;
                }
                Ok(settled)
            })
        })
        .await
    }

    /// When the next job of these kinds can be taken; not before `now`. `None` when none waits.
    pub async fn next_job_due(
        &self,
        kinds: &'static [&'static str],
        now: Millis,
    ) -> Result<Option<Millis>, StorageError> {
        let sql = format!(
            "SELECT next_at FROM jobs WHERE head AND kind IN ({}) ORDER BY next_at LIMIT 1",
            dialect::parameters(0, kinds.len())
        );
        let ask = kinds.iter().fold(query(AssertSqlSafe(sql)), |ask, kind| ask.bind(*kind));
        let due: Option<i64> = ask.scalar(self.readers()).await?;
        Ok(due.map(|due| Millis(due).max(now)))
    }

    /// Makes what was taken and not ended due at once. For the start of a process that knows that nobody
    /// else works on this store.
    pub async fn release_jobs(&self, now: Millis) -> Result<u64, StorageError> {
        self.write(move |connection| {
            Box::pin(async move {
                let release = query(
                    "UPDATE jobs SET next_at = $1 WHERE head AND attempts > 0 AND next_at > $1",
                );
                release.bind(now.0).execute(connection).await
            })
        })
        .await
    }

    /// Jobs of an instance that were given up, newest first, each with what went wrong.
    pub async fn buried_jobs(
        &self,
        instance: InstanceId,
        limit: usize,
    ) -> Result<Vec<(ClaimedJob, String)>, StorageError> {
        let rows = query(
            "SELECT * FROM jobs WHERE instance_id = $1 AND state = 'buried' \
             ORDER BY number DESC LIMIT $2",
        )
        .bind(instance)
        .bind(dialect::limit(limit))
        .fetch_all(self.readers())
        .await?;
        let read = |row| {
            let record = Record::new(TABLE, row);
            let error: Option<String> = record.get("error")?;
            Ok((read_job(&record)?, error.unwrap_or_default()))
        };
        rows.iter().map(read).collect()
    }
}

fn of(query: Query, job: &ClaimedJob) -> Query {
    query.bind(job.id.to_string()).bind(job.attempt)
}

/// Puts a job at the end of its chain. The instance is held by the caller.
pub(crate) fn enqueuing(job: &NewJob, now: Millis) -> Result<Query, StorageError> {
    Ok(query(
        "INSERT INTO jobs (id, instance_id, kind, ordering_key, payload, state, head, attempts, \
         next_at, created_at) VALUES ($1, $2, $3, $4, $5, 'waiting', \
         NOT EXISTS (SELECT 1 FROM jobs WHERE instance_id = $2 AND kind = $3 \
         AND ordering_key = $4 AND state = 'waiting'), 0, $6, $7)",
    )
    .bind(crate::new_id(now).to_string())
    .bind(job.instance_id)
    .bind(job.kind)
    .bind(&job.ordering_key)
    .bind(json_text(&job.payload)?)
    .bind(job.due.0)
    .bind(now.0))
}

/// Makes the oldest unfinished job of a chain its head.
async fn promote(connection: &mut Connection, job: &ClaimedJob) -> Result<(), StorageError> {
    query(
        "UPDATE jobs SET head = TRUE WHERE id = (SELECT id FROM jobs WHERE instance_id = $1 \
         AND kind = $2 AND ordering_key = $3 AND state = 'waiting' ORDER BY number LIMIT 1)",
    )
    .bind(job.instance_id)
    .bind(&job.kind)
    .bind(&job.ordering_key)
    .execute(connection)
    .await?;
    Ok(())
}

fn read_job(record: &Record<'_>) -> Result<ClaimedJob, StorageError> {
    Ok(ClaimedJob {
        id: record.parsed("id")?,
        instance_id: record.parsed("instance_id")?,
        kind: record.get("kind")?,
        ordering_key: record.get("ordering_key")?,
        payload: record.json("payload")?,
        attempt: record.get("attempts")?,
        created_at: Millis(record.get("created_at")?),
    })
}
