//! Giving passages their vectors: as documents come, and anew when an embedder changed.
//!
//! What is to be done stands in the database (see `storage`), so a restart goes on where it was. One batch of
//! each account that wants vectors is a round; an account whose embedder fails rests longer each time, and the
//! others do not wait for it.

use super::embedder::{Embedder, packed};
use super::embedders::Embedders;
use crate::Shared;
use crate::assistant::model::ModelError;
use crate::error::ServiceError;
use flowcore_domain::backoff::Backoff;
use flowcore_domain::id::{DocumentId, UserId};
use flowcore_storage::DocumentPassage;
use futures_util::{StreamExt as _, stream};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many passages are sent at a time.
const BATCH: usize = 32;
/// How many embedders are asked at a time.
const AT_A_TIME: usize = 4;
/// Most accounts of one round.
const MOST_OWNERS: usize = 1_000;
/// How long nothing is looked for when nobody says that there is something.
const ROUND: Duration = Duration::from_secs(60);
/// How long an account rests whose embedder fails.
const PAUSE: Backoff =
    Backoff { first: Duration::from_secs(1), cap: Duration::from_secs(300), jitter_percent: 20 };

/// Whoever wants more is asked again all the same.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// Who rests until when, after how many failures.
type Resting = HashMap<UserId, (u32, Instant)>;

/// Starts the task; it ends with the gateway.
pub(super) fn start(shared: &Arc<Shared>, embedders: Arc<Embedders>) {
    let (stopping, tracker) = (shared.lifecycle.stopping().clone(), shared.lifecycle.tracker());
    let shared = Arc::clone(shared);
    tracker.spawn(stopping.run_until_cancelled_owned(async move {
        let mut resting = Resting::new();
        loop {
            let until = round(&shared, &embedders, &mut resting).await;
            // Late is not lost: the next round looks again.
            let _ = tokio::time::timeout_at(until.into(), embedders.wanted.notified()).await;
        }
    }));
}

/// One batch of each account that wants vectors; when to look again at the latest.
async fn round(shared: &Shared, embedders: &Embedders, resting: &mut Resting) -> Instant {
    let default = embedders.default_fingerprint();
    let owners = match shared.store.owners_wanting_vectors(&default, MOST_OWNERS).await {
        Ok(owners) => owners,
        Err(error) => {
            tracing::warn!(%error, "passages wait for their vectors");
            return Instant::now() + PAUSE.delay(1, rand::random());
        }
    };
    let now = Instant::now();
    resting.retain(|user, _| owners.contains(user));
    let awake = |user: &UserId| resting.get(user).is_none_or(|(_, until)| *until <= now);
    let work: Vec<UserId> = owners.into_iter().filter(awake).collect();
    let done: Vec<_> = stream::iter(work)
        .map(async |user| (user, batch(shared, embedders, user).await))
        .buffer_unordered(AT_A_TIME)
        .collect()
        .await;
    let mut next = Instant::now() + ROUND;
    for (user, result) in done {
        if let Err(error) = result {
            let failures = resting.get(&user).map_or(1, |(failures, _)| failures + 1);
            tracing::warn!(%error, %user, failures, "passages wait for their vectors");
            let pause = PAUSE.delay(failures, rand::random()).max(wanted_pause(&error));
            resting.insert(user, (failures, Instant::now() + pause));
        } else {
            resting.remove(&user);
            next = Instant::now();
        }
    }
    resting.values().map(|(_, until)| *until).fold(next, Instant::min)
}

/// How long an embedder that is asked too much wants to be left alone.
fn wanted_pause(error: &ServiceError) -> Duration {
    match error {
        ServiceError::Model(ModelError::Busy { retry_after: Some(wanted) }) => {
            LONGEST_PAUSE.min(*wanted)
        }
        _ => Duration::ZERO,
    }
}

/// Gives some passages of an account their vectors.
async fn batch(shared: &Shared, embedders: &Embedders, user: UserId) -> Result<(), ServiceError> {
    let Some(embedder) = embedders.of(user).await? else { return Ok(()) };
    let (store, fingerprint) = (&shared.store, embedder.config.fingerprint());
    let Some(document) = store.document_wanting_vectors(user, &fingerprint).await? else {
        return Ok(());
    };
    let wanting = store.passages_wanting_vectors(document, &fingerprint, BATCH).await?;
    let texts: Vec<String> = wanting.iter().map(|(_, passage)| text(passage)).collect();
    let vectors = if texts.is_empty() {
        vec![]
    } else {
        vectors(embedders, (user, document), &embedder, &texts).await?
    };
    let rows = wanting.iter().map(|(number, _)| *number);
    let rows = rows.zip(vectors.iter().map(|vector| packed(vector))).collect();
    Ok(store.embed_passages(document, &fingerprint, rows).await?)
}

/// A vector of each text. One that the embedder does not take gets none; when it takes nothing at all, it is
/// not the texts' fault.
async fn vectors(
    embedders: &Embedders,
    (user, document): (UserId, DocumentId),
    embedder: &Embedder,
    texts: &[String],
) -> Result<Vec<Vec<f32>>, ModelError> {
    let is_theirs = |error: &ModelError| matches!(error, ModelError::Refused(400 | 413 | 422));
    let refused = match embedders.embed(user, embedder, texts).await {
        Err(error) if is_theirs(&error) => error,
        other => return other,
    };
    let mut vectors = Vec::with_capacity(texts.len());
    for text in texts {
        match embedders.embed(user, embedder, std::slice::from_ref(text)).await {
            Ok(one) => vectors.extend(one),
            Err(error) if is_theirs(&error) => vectors.push(vec![]),
            Err(error) => return Err(error),
        }
    }
    if vectors.iter().all(Vec::is_empty) {
        return Err(refused);
    }
    let left = vectors.iter().filter(|vector| vector.is_empty()).count();
    tracing::warn!(%document, passages = left, "the embedder does not take some passages");
    Ok(vectors)
}

fn text(passage: &DocumentPassage) -> String {
    let headings = passage.headings.iter().map(String::as_str);
    headings.chain([passage.text.as_str()]).collect::<Vec<_>>().join("\n")
}
