//! Work to do: in order, leased, given back, never done twice by two.

use crate::harness::{ALICE, BOB, Harness, Kind, NOW, fresh, inbound, job};
use flowcore_domain::clock::Millis;
use flowcore_storage::{ClaimedJob, JobOutcome, StorageError};
use std::time::Duration;

const LEASE: Duration = Duration::from_secs(30);

async fn claim(harness: &Harness, now: Millis) -> Vec<ClaimedJob> {
    let mut jobs = harness.store.claim_jobs(&["answer"], 10, now, LEASE).await.expect("claimed");
    jobs.sort_by(|one, other| one.ordering_key.cmp(&other.ordering_key));
    jobs
}

fn keys(jobs: &[ClaimedJob]) -> Vec<(&str, i64)> {
    jobs.iter().map(|job| (job.ordering_key.as_str(), job.attempt)).collect()
}

pub(crate) async fn jobs_of_a_chain_are_done_in_order_retried_and_buried(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    let other = job(id, "transcribe", ALICE);
    let mine = [ALICE, ALICE, BOB].map(|key| job(id, "answer", key));
    harness.store.enqueue_jobs([vec![other], mine.to_vec()].concat(), NOW).await.expect("stored");
    let first = claim(&harness, NOW).await;
    assert_eq!(keys(&first), [(BOB, 1), (ALICE, 1)]);
    assert_eq!(claim(&harness, NOW).await, [], "what is leased is not given twice");
    let at = NOW.plus(Duration::from_secs(5));
    let retry = JobOutcome::Retry { at, error: "busy".to_owned() };
    assert!(harness.store.settle_job(&first[1], retry).await.expect("settled"));
    assert!(harness.store.settle_job(&first[0], JobOutcome::Done).await.expect("settled"));
    assert_eq!(claim(&harness, NOW).await, []);
    let again = claim(&harness, at).await;
    assert_eq!(keys(&again), [(ALICE, 2)]);
    let buried = JobOutcome::Buried { error: "no model".to_owned() };
    assert!(harness.store.settle_job(&again[0], buried).await.expect("settled"));
    let next = claim(&harness, at).await;
    assert_eq!(keys(&next), [(ALICE, 1)]);
    assert!(harness.store.settle_job(&next[0], JobOutcome::Done).await.expect("settled"));
    let kept = harness.store.buried_jobs(id, 10).await.expect("read");
    assert_eq!((kept.len(), kept[0].1.as_str()), (1, "no model"));
    assert_eq!(harness.counts().await["jobs"], 2);
    assert_eq!(
        harness.store.next_job_due(&["answer", "transcribe"], at).await.expect("read"),
        Some(at)
    );
}

pub(crate) async fn a_worker_that_dies_gives_its_job_back_and_settles_nothing_later(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    harness.store.enqueue_jobs(vec![job(id, "answer", ALICE)], NOW).await.expect("stored");
    let dead = claim(&harness, NOW).await;
    let harness = harness.reopen().await;
    let end = NOW.plus(LEASE);
    assert_eq!(claim(&harness, Millis(end.0 - 1)).await, []);
    let alive = claim(&harness, end).await;
    assert_eq!(keys(&alive), [(ALICE, 2)]);
    assert!(!harness.store.settle_job(&dead[0], JobOutcome::Done).await.expect("no error"));
    assert!(harness.store.settle_job(&alive[0], JobOutcome::Done).await.expect("settled"));
    assert!(!harness.store.settle_job(&alive[0], JobOutcome::Done).await.expect("no error"));
}

pub(crate) async fn a_message_and_its_jobs_are_stored_together_and_once(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    let mut row = inbound(id, ALICE, "1");
    row.jobs = vec![job(id, "answer", ALICE), job(id, "answer", ALICE)];
    for _ in 0..2 {
        harness.store.commit_inbound(id, vec![row.clone()], NOW).await.expect("stored");
    }
    assert_eq!(harness.counts().await["jobs"], 2);
    assert_eq!(claim(&harness, NOW).await.len(), 1, "they are a chain");
    let mut spoiled = inbound(id, ALICE, "2");
    spoiled.jobs = vec![job(fresh(), "answer", ALICE)];
    let refused = harness.store.commit_inbound(id, vec![spoiled], NOW).await;
    assert!(matches!(refused, Err(StorageError::NotFound(_))), "{refused:?}");
    assert!(harness.store.message(id, "2").await.expect("read").is_none());
}

pub(crate) async fn workers_that_claim_at_once_share_the_work(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    let jobs = (0..60).map(|number| job(id, "answer", &format!("{number:02}"))).collect();
    harness.store.enqueue_jobs(jobs, NOW).await.expect("stored");
    let claims = (0..12).map(|_| harness.store.claim_jobs(&["answer"], 10, NOW, LEASE));
    let claimed = futures_util::future::join_all(claims).await;
    let mut taken: Vec<_> = claimed.into_iter().flat_map(|jobs| jobs.expect("claimed")).collect();
    taken.extend(claim(&harness, NOW).await);
    taken.sort_by(|one, other| one.ordering_key.cmp(&other.ordering_key));
    assert!(taken.windows(2).all(|pair| pair[0].id != pair[1].id), "a job was given to two");
    let rest = harness.store.claim_jobs(&["answer"], 100, NOW, LEASE).await.expect("claimed");
    assert_eq!(taken.len() + rest.len(), 60);
}
