//! Reading what waits: the oldest first, a few at a time, until the server stops.
//!
//! The queue is the documents' status in the database, so nothing is lost with the process; a document that
//! was being read then is read again.

use super::MAX_DOCUMENT;
use super::embedders::Embedders;
use super::reading::{self, ReadingError};
use crate::Shared;
use flowcore_domain::backoff::Backoff;
use flowcore_knowledge::passages::Passage;
use flowcore_storage::{Document, DocumentPassage, StorageError};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};

/// How many files are read at a time.
const AT_A_TIME: usize = 2;
/// How long nothing is looked for when nobody says that something came.
const ROUND: Duration = Duration::from_secs(60);

/// Who hears of what.
#[derive(Debug, Clone)]
pub(super) struct News {
    /// A document came.
    pub(super) arrived: Arc<Notify>,
    /// A document was read: its passages want vectors.
    pub(super) embedders: Arc<Embedders>,
}

/// Starts the queue; it ends with the gateway.
pub(super) async fn start(
    shared: Arc<Shared>,
    reader: PathBuf,
    news: News,
) -> Result<(), StorageError> {
    let again = shared.store.requeue_documents().await?;
    if again > 0 {
        tracing::info!(documents = again, "were being read when the server ended; once more");
    }
    let stopping = shared.lifecycle.stopping().clone();
    let tracker = shared.lifecycle.tracker().clone();
    tracker.spawn(stopping.run_until_cancelled_owned(run(shared, reader.into(), news)));
    Ok(())
}

async fn run(shared: Arc<Shared>, reader: Arc<std::path::Path>, news: News) {
    let room = Arc::new(Semaphore::new(AT_A_TIME));
    let mut failures = 0;
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        match shared.store.claim_document().await {
            Ok(Some(document)) => {
                failures = 0;
                let (shared, reader) = (Arc::clone(&shared), Arc::clone(&reader));
                let embedders = Arc::clone(&news.embedders);
                let stopping = shared.lifecycle.stopping().clone();
                let tracker = shared.lifecycle.tracker().clone();
                tracker.spawn(stopping.run_until_cancelled_owned(async move {
                    read(&shared, &reader, document).await;
                    drop(place);
                    embedders.wanted.notify_one();
                }));
            }
            Ok(None) => {
                drop(place);
                // Late is not lost: the next round looks again.
                let _ = tokio::time::timeout(ROUND, news.arrived.notified()).await;
            }
            Err(error) => {
                drop(place);
                failures += 1;
                tracing::warn!(%error, "documents wait for the store");
                tokio::time::sleep(Backoff::STORAGE.delay(failures, rand::random())).await;
            }
        }
    }
}

/// Reads one document and stores what came of it.
async fn read(shared: &Shared, reader: &std::path::Path, document: Document) {
    let id = document.id;
    let passages = match content(shared, &document).await {
        Ok(bytes) => {
            let read = reading::passages(reader, &document.name, bytes).await;
            read.map_err(|error: ReadingError| reason(error.code(), &error.to_string()))
        }
        Err(Unfetched::Because(why)) => Err(why),
        Err(Unfetched::Gone) => return,
    };
    match &passages {
        Ok(passages) => tracing::info!(document = %id, passages = passages.len(), "read"),
        Err(why) => tracing::info!(document = %id, why, "can't be read"),
    }
    let now = shared.now();
    let finish = || async {
        let stored = passages.clone().map(|all| all.into_iter().map(stored).collect());
        match shared.store.finish_document(id, stored, now).await {
            // It was deleted meanwhile: nothing is to be kept.
            Err(StorageError::NotFound(_)) => Ok(()),
            other => other,
        }
    };
    // Without luck it stays `reading`, and the next start reads it again.
    shared.insist("passages", finish).await;
}

fn stored(passage: Passage) -> DocumentPassage {
    DocumentPassage { headings: passage.headings, text: passage.text }
}

/// As the API splits it again.
fn reason(code: &str, sentence: &str) -> String {
    format!("{code}: {sentence}")
}

enum Unfetched {
    Because(String),
    /// It was deleted meanwhile, or the store is away: nothing to note.
    Gone,
}

/// The bytes of a document: those that were uploaded, or those of its page.
async fn content(shared: &Shared, document: &Document) -> Result<Vec<u8>, Unfetched> {
    let Some(url) = &document.source else {
        let content = shared.store.document_content(document.id).await;
        return content.ok().flatten().ok_or(Unfetched::Gone);
    };
    let fetched = shared.fetcher.fetch(url, MAX_DOCUMENT).await;
    let bytes = fetched
        .map_err(|error| Unfetched::Because(reason("page_unreachable", &error.to_string())))?
        .bytes;
    match shared.store.weigh_document(document, bytes.len() as u64).await {
        Ok(()) => Ok(bytes.to_vec()),
        Err(StorageError::OverQuota(over)) => {
            Err(Unfetched::Because(reason("document_bytes_limit_reached", &over.to_string())))
        }
        Err(_) => Err(Unfetched::Gone),
    }
}
