//! The indexes of what instances answer from, made when a question comes and kept while memory allows.
//!
//! An index says by itself whether it still holds: it is of certain readings of certain documents, and
//! the store is asked for those at each question. So another process may change them, and nothing is told twice.

use crate::Shared;
use crate::error::ServiceError;
use flowcore_domain::id::DocumentId;
use flowcore_domain::webhook::Scope;
use flowcore_knowledge::index::{Hit, Index, Source};
use flowcore_knowledge::passages::Passage;
use flowcore_knowledge::query::{Line, Query};
use flowcore_storage::{KnownDocument, PassageRef};
use lru::LruCache;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use tokio::sync::Mutex;

/// Most bytes of all indexes together.
const MOST_BYTES: usize = 256 << 20;

/// A passage that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundPassage {
    /// Whose passage it is.
    pub document_id: DocumentId,
    /// What its document's file is called.
    pub document_name: String,
    /// Its words.
    pub text: String,
    /// How well it fits; only comparable within one search.
    pub score: f32,
    /// The headings above it, the highest first.
    pub headings: Vec<String>,
}

/// An index and what it is of.
#[derive(Debug)]
struct Catalog {
    known: Vec<KnownDocument>,
    index: Index,
}

/// The place of a scope's index: whoever comes second waits for who makes it.
type Slot = Arc<Mutex<Option<Arc<Catalog>>>>;

/// The indexes. See the module's documentation.
#[derive(Debug)]
pub(crate) struct Library {
    shared: Arc<Shared>,
    slots: StdMutex<LruCache<Scope, (Slot, usize)>>,
}

impl Library {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, slots: StdMutex::new(LruCache::unbounded()) }
    }

    /// The passages of `scope` that fit best what is `asked` after `history`.
    pub(crate) async fn retrieve(
        &self,
        scope: Scope,
        history: &[Line],
        asked: &str,
        limit: usize,
    ) -> Result<Vec<FoundPassage>, ServiceError> {
        let known = self.shared.store.known_documents(scope).await?;
        if known.is_empty() || limit == 0 {
            return Ok(Vec::new());
        }
        let catalog = self.catalog(scope, known).await?;
        let (history, asked) = (history.to_vec(), asked.to_owned());
        let search = {
            let catalog = Arc::clone(&catalog);
            move || catalog.index.search(&Query::new(&history, &asked), limit)
        };
        let hits = self.aside(search).await?;
        let mut found = Vec::with_capacity(hits.len());
        for hit in hits {
            found.extend(self.fetch(&catalog, hit).await?);
        }
        Ok(found)
    }

    /// The passage itself; `None` when its document was deleted a moment ago.
    async fn fetch(
        &self,
        catalog: &Catalog,
        hit: Hit,
    ) -> Result<Option<FoundPassage>, ServiceError> {
        let document = &catalog.known[hit.document];
        let at = PassageRef { document: document.id, number: hit.passage };
        Ok(self.shared.store.passage(at).await?.map(|passage| FoundPassage {
            document_id: document.id,
            document_name: document.name.clone(),
            text: passage.text,
            score: hit.score,
            headings: passage.headings,
        }))
    }

    /// The index of `scope`, made anew when it is of other readings.
    async fn catalog(
        &self,
        scope: Scope,
        known: Vec<KnownDocument>,
    ) -> Result<Arc<Catalog>, ServiceError> {
        let slot = self.slot(scope);
        let mut place = slot.lock().await;
        if let Some(catalog) = place.as_ref().filter(|catalog| catalog.known == known) {
            return Ok(Arc::clone(catalog));
        }
        let mut documents: Vec<Vec<Passage>> = Vec::with_capacity(known.len());
        for document in &known {
            let passages = self.shared.store.passages(document.id).await?;
            let passages = passages.into_iter();
            documents
                .push(passages.map(|p| Passage { headings: p.headings, text: p.text }).collect());
        }
        let build = move || {
            let named = known.iter().zip(&documents);
            let sources: Vec<Source<'_>> =
                named.map(|(known, passages)| Source { name: &known.name, passages }).collect();
            let index = Index::new(&sources);
            Catalog { known, index }
        };
        let catalog = Arc::new(self.aside(build).await?);
        *place = Some(Arc::clone(&catalog));
        self.note(scope, catalog.index.bytes());
        Ok(catalog)
    }

    fn slot(&self, scope: Scope) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&slots.get_or_insert_mut(scope, Default::default).0)
    }

    /// Notes how long an index is, and lets go of those that were not asked for longest.
    fn note(&self, scope: Scope, bytes: usize) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, noted)) = slots.get_mut(&scope) {
            *noted = bytes;
        }
        let mut all: usize = slots.iter().map(|(_, (_, bytes))| bytes).sum();
        while all > MOST_BYTES && slots.len() > 1 {
            let Some((_, (_, bytes))) = slots.pop_lru() else { return };
            all -= bytes;
        }
    }

    /// Work for a processor, off the threads that serve.
    async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ServiceError> {
        let done = self.shared.lifecycle.tracker().spawn_blocking(work).await;
        done.map_err(|error| ServiceError::Internal(error.to_string()))
    }
}
