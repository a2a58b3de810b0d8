//! The indexes of what instances answer from, made when a question comes and kept while memory allows.
//!
//! An index says by itself whether it still holds: it is of certain readings of certain documents, and
//! the store is asked for those at each question. So another process may change them, and nothing is told twice.

mod catalog;

use super::embedder::Embedder;
use super::embedders::Embedders;
use crate::Shared;
use crate::error::ServiceError;
use catalog::Catalog;
use flowcore_domain::id::{DocumentId, UserId};
use flowcore_domain::webhook::Scope;
use flowcore_knowledge::index::{Digest, Hit, Index, Source};
use flowcore_knowledge::passages::Passage;
use flowcore_knowledge::query::{Line, Query};
use flowcore_knowledge::vectors::Matrix;
use flowcore_storage::{KnownDocument, PassageRef};
use lru::LruCache;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use tokio::sync::Mutex;

/// Most bytes of all indexes together.
const MOST_BYTES: usize = 256 << 20;

/// So many more are looked for than are wanted: of copies of a file one is enough.
const COPIES: usize = 6;

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

/// The place of a scope's index: whoever comes second waits for who makes it.
type Slot = Arc<Mutex<Option<Arc<Catalog>>>>;

/// The indexes. See the module's documentation.
#[derive(Debug)]
pub(crate) struct Library {
    shared: Arc<Shared>,
    embedders: Arc<Embedders>,
    slots: StdMutex<LruCache<Scope, (Slot, usize)>>,
}

impl Library {
    pub(super) fn new(shared: Arc<Shared>, embedders: Arc<Embedders>) -> Self {
        Self { shared, embedders, slots: StdMutex::new(LruCache::unbounded()) }
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
        let embedder = self.embedder(scope).await?;
        let fingerprint = embedder.as_ref().map(|(_, embedder)| embedder.config.fingerprint());
        let catalog = self.catalog(scope, known, fingerprint.unwrap_or_default()).await?;
        let vector = match &embedder {
            Some((user, embedder)) if catalog.has_vectors() => {
                self.embedders.question((*user, embedder), history, asked).await
            }
            _ => None,
        };
        let (history, asked) = (history.to_vec(), asked.to_owned());
        let search = {
            let catalog = Arc::clone(&catalog);
            let most = limit + COPIES;
            move || catalog.search(&Query::new(&history, &asked), vector.as_deref(), most)
        };
        let hits = self.aside(search).await?;
        let mut found: Vec<FoundPassage> = Vec::with_capacity(limit);
        for hit in hits {
            if found.len() == limit {
                break;
            }
            let fetched = self.fetch(&catalog, hit).await?;
            let is_known = |one: &FoundPassage| found.iter().any(|known| known.text == one.text);
            found.extend(fetched.filter(|one| !is_known(one)));
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

    /// Whose documents these are, and who gives them vectors.
    async fn embedder(&self, scope: Scope) -> Result<Option<(UserId, Embedder)>, ServiceError> {
        let user = match scope {
            Scope::User(user) => Some(user),
            Scope::Instance(id) => self.shared.store.instance(id).await?.map(|one| one.user_id),
        };
        let Some(user) = user else { return Ok(None) };
        Ok(self.embedders.of(user).await?.map(|embedder| (user, embedder)))
    }

    /// What is searched for `scope`; what is of other readings or another embedder is made anew.
    async fn catalog(
        &self,
        scope: Scope,
        known: Vec<KnownDocument>,
        embedder: String,
    ) -> Result<Arc<Catalog>, ServiceError> {
        let slot = self.slot(scope);
        let mut place = slot.lock().await;
        let old = place.as_ref();
        if let Some(old) = old.filter(|old| old.known == known && old.embedder == embedder) {
            return Ok(Arc::clone(old));
        }
        let (index, digests) = match old.filter(|old| old.has_words_of(&known)) {
            Some(old) => (Arc::clone(&old.index), old.digests.clone()),
            None => self.index(old, &known).await?,
        };
        let mut vectors = Vec::with_capacity(known.len());
        for document in &known {
            let has_them = document.embedded_by.as_ref().is_some_and(|by| *by == embedder);
            vectors.push(if has_them { Some(self.vectors(old, document).await?) } else { None });
        }
        let catalog = Arc::new(Catalog { known, index, digests, vectors, embedder });
        *place = Some(Arc::clone(&catalog));
        self.note(scope, catalog.bytes());
        Ok(catalog)
    }

    /// The index of words. Only documents that the old one does not hold are read.
    async fn index(
        &self,
        old: Option<&Arc<Catalog>>,
        known: &[KnownDocument],
    ) -> Result<(Arc<Index>, Vec<Arc<Digest>>), ServiceError> {
        let mut digests: Vec<Arc<Digest>> = Vec::with_capacity(known.len());
        for document in known {
            if let Some(digest) = old.and_then(|old| old.digest_of(document)) {
                digests.push(digest);
                continue;
            }
            let passages = self.shared.store.passages(document.id).await?.into_iter();
            let passages = passages.map(|p| Passage { headings: p.headings, text: p.text });
            let (passages, name): (Vec<_>, _) = (passages.collect(), document.name.clone());
            let digest = move || Digest::new(&Source { name: &name, passages: &passages });
            digests.push(Arc::new(self.aside(digest).await?));
        }
        let made = move || {
            let all: Vec<&Digest> = digests.iter().map(|digest| &**digest).collect();
            (Arc::new(Index::of(&all)), digests)
        };
        self.aside(made).await
    }

    async fn vectors(
        &self,
        old: Option<&Arc<Catalog>>,
        document: &KnownDocument,
    ) -> Result<Arc<Matrix>, ServiceError> {
        if let Some(known) = old.and_then(|old| old.vectors_of(document)) {
            return Ok(known);
        }
        let stored = self.shared.store.embeddings(document.id).await?;
        Ok(Arc::new(self.aside(move || catalog::matrix(&stored)).await?))
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
