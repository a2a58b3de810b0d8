//! Does the work that is stored as jobs: after its cause is committed, in order within a chain, again when it
//! failed, and never by two at once.
//!
//! Each kind of work has a lane with a bounded number under way, so that slow work (a model that thinks) does
//! not hold up quick work (a person who takes over). A lane sleeps until something of its kinds is due; who
//! stores jobs rings the [`Bell`]. What a killed process had taken is due again at the next start. A job that
//! was dropped in the middle by a stop is done again too, so work has to be such that a second time does no
//! harm: what it sends has the job's id as its idempotency key.

use crate::Shared;
use async_trait::async_trait;
use flowcore_domain::backoff::Backoff;
use flowcore_domain::clock::Millis;
use flowcore_storage::{ClaimedJob, JobOutcome, StorageError};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};

/// How long a claim holds; longer than any work may take.
const LEASE: Duration = Duration::from_secs(600);
/// How long one attempt may take.
const LIMIT: Duration = Duration::from_secs(540);
/// How long a lane sleeps at most before it looks again.
const IDLE: Duration = Duration::from_secs(60);
/// How long a lane waits after the store failed.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// Work that failed so often is given up.
const ATTEMPTS: i64 = 12;
/// Work that waits for a connection is given up after so long; shorter than idempotency keys are remembered.
const PATIENCE: Duration = Duration::from_secs(20 * 3600);

/// Why an attempt came to nothing.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It may succeed when it is tried again.
    Again(String),
    /// It has to wait for something that may take long, as a connection does.
    Waits(String),
    /// Trying again does not help.
    Final(String),
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Unavailable(_) => Self::Waits(error.to_string()),
            other => Self::Again(other.to_string()),
        }
    }
}

/// What does the jobs of some kinds.
#[async_trait]
pub(crate) trait Work: Send + Sync + 'static {
    /// Which kinds.
    fn kinds(&self) -> &'static [&'static str];

    /// How many are under way at most.
    fn at_once(&self) -> usize;

    /// Does one. It may be dropped at any await when the server stops.
    async fn work(&self, job: &ClaimedJob) -> Result<(), Failure>;
}

/// Tells the lanes that jobs were stored.
#[derive(Debug)]
pub(crate) struct Bell(watch::Sender<()>);

impl Bell {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(()))
    }

    pub(crate) fn ring(&self) {
        self.0.send_replace(());
    }

    /// Hears every ring from now on.
    pub(crate) fn subscribe(&self) -> watch::Receiver<()> {
        self.0.subscribe()
    }
}

/// Makes what an earlier process left half done due again. Before the first lane starts.
pub(crate) async fn release(shared: &Shared) -> Result<(), StorageError> {
    let released = shared.store.release_jobs(shared.now()).await?;
    if released > 0 {
        tracing::info!(jobs = released, "work of an earlier run goes on");
    }
    Ok(())
}

/// Starts a lane.
pub(crate) fn start(shared: &Arc<Shared>, work: impl Work) {
    let free = Arc::new(Semaphore::new(work.at_once()));
    let lane = Lane { shared: Arc::clone(shared), work: Arc::new(work), free };
    shared.lifecycle.tracker().spawn(lane.run());
}

struct Lane<W> {
    shared: Arc<Shared>,
    work: Arc<W>,
    free: Arc<Semaphore>,
}

impl<W: Work> Lane<W> {
    async fn run(self) {
        let stopping = self.shared.lifecycle.stopping().clone();
        let mut bell = self.shared.bell.subscribe();
        loop {
            bell.mark_unchanged();
            let leap = self.shared.clock.leaps();
            let wait = self.take().await;
            tokio::select! {
                biased;
                () = stopping.cancelled() => return,
                // The bell hangs in `shared`, which this task holds.
                _ = bell.changed() => {}
                () = leap => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Takes and starts what is due; how long to wait when there is nothing more to do.
    async fn take(&self) -> Duration {
        let (store, kinds) = (&self.shared.store, self.work.kinds());
        let due = async {
            loop {
                let now = self.shared.now();
                let due = store.next_job_due(kinds, now).await?;
                let room = self.free.available_permits();
                // A claim is a commit: not without need.
                if due.is_none_or(|at| at > now) || room == 0 {
                    return Ok::<_, StorageError>(due.map(|at| (at.0 - now.0, room)));
                }
                for job in store.claim_jobs(kinds, room, now, LEASE).await? {
                    self.begin(job);
                }
            }
        };
        match due.await {
            // Whoever ends rings.
            Ok(None | Some((_, 0))) => IDLE,
            Ok(Some((wait, _))) => {
                Duration::from_millis(u64::try_from(wait).unwrap_or(0)).min(IDLE)
            }
            Err(error) => {
                tracing::error!(%error, ?kinds, "jobs can't be taken");
                STORE_PAUSE
            }
        }
    }

    fn begin(&self, job: ClaimedJob) {
        // There are as many permits as were claimed, and only this task takes any.
        let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() else { return };
        let (shared, work) = (Arc::clone(&self.shared), Arc::clone(&self.work));
        self.shared.lifecycle.tracker().spawn(async move {
            let stopping = shared.lifecycle.stopping();
            let attempt = tokio::time::timeout(LIMIT, work.work(&job));
            if let Some(ended) = stopping.run_until_cancelled(attempt).await {
                let ended = ended.unwrap_or_else(|_| Err(Failure::Again("took too long".into())));
                settle(&shared, &job, ended).await;
            }
            drop(permit);
            shared.bell.ring();
        });
    }
}

async fn settle(shared: &Shared, job: &ClaimedJob, ended: Result<(), Failure>) {
    let (id, kind) = (job.id, &job.kind);
    let outcome = match ended {
        Ok(()) => JobOutcome::Done,
        Err(failure) => outcome_of(job, failure, shared.now()),
    };
    match &outcome {
        JobOutcome::Done => {}
        JobOutcome::Retry { error, .. } => {
            tracing::debug!(job = %id, %kind, %error, "a job is done again later");
        }
        JobOutcome::Buried { error } => {
            tracing::error!(job = %id, %kind, %error, "a job is given up");
        }
    }
    let settle = || shared.store.settle_job(job, outcome.clone());
    shared.insist("what became of a job", settle).await;
}

fn outcome_of(job: &ClaimedJob, failure: Failure, now: Millis) -> JobOutcome {
    let (error, goes_on) = match failure {
        Failure::Again(error) => (error, job.attempt < ATTEMPTS),
        Failure::Waits(error) => (error, now < job.created_at.plus(PATIENCE)),
        Failure::Final(error) => (error, false),
    };
    if !goes_on {
        return JobOutcome::Buried { error };
    }
    let failures = u32::try_from(job.attempt).unwrap_or(u32::MAX);
    JobOutcome::Retry { at: now.plus(Backoff::JOB.delay(failures, rand::random())), error }
}
