//! Which embedder an account has, how it does, and how far its documents are.

use super::embedder::{Clients, Embedder};
use super::{Documents, of_the_account};
use crate::Shared;
use crate::accounts::Caller;
use crate::assistant::model::ModelError;
use crate::clients::AllowPrivate;
use crate::error::{ServiceError, StartError};
use flowcore_domain::assistant::ProviderKey;
use flowcore_domain::assistant::embedder::{EmbedderConfig, EmbedderKind, EmbedderOrder};
use flowcore_domain::clock::Millis;
use flowcore_domain::id::UserId;
use flowcore_knowledge::local::StaticModel;
use flowcore_knowledge::query::{Line, Speaker};
use flowcore_storage::{EmbeddingProgress, StorageError};
use lru::LruCache;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How long a question waits for its vector before it is answered by words alone.
const VECTOR_WITHIN: Duration = Duration::from_secs(3);
/// So long no question waits for an embedder that failed.
const REST: Duration = Duration::from_secs(5);
/// Most characters of a question that are embedded.
const MOST_ASKED: usize = 2_000;
/// Of how many accounts it is known how their embedders do.
const AT_HAND: NonZeroUsize = NonZeroUsize::new(10_000).expect("not zero");

/// The operator's embedder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefaultEmbedder {
    /// Which.
    pub config: EmbedderConfig,
    /// With which key.
    pub key: Option<ProviderKey>,
}

/// An account's embedder as it sees it.
#[derive(Debug, Clone)]
pub struct EmbedderView {
    /// What was chosen.
    pub config: EmbedderConfig,
    /// Whether it has a key of its own.
    pub has_key: bool,
    /// Whether there is an embedder, the account's or the operator's.
    pub is_active: bool,
    /// How far the documents are.
    pub progress: EmbeddingProgress,
    /// Why it gave no vectors the last time.
    pub problem: Option<ModelError>,
    /// Since when it is that.
    pub updated_at: Option<Millis>,
}

/// The embedders of all accounts.
#[derive(Debug)]
pub(super) struct Embedders {
    shared: Arc<Shared>,
    clients: Clients,
    default: Option<DefaultEmbedder>,
    local: Option<Arc<StaticModel>>,
    troubles: Mutex<LruCache<UserId, (ModelError, Instant)>>,
    /// There may be passages without vectors.
    pub(super) wanted: Notify,
}

impl Embedders {
    pub(super) fn new(
        shared: Arc<Shared>,
        default: Option<DefaultEmbedder>,
        allow: AllowPrivate,
    ) -> Result<Self, StartError> {
        let clients = Clients::new(allow).map_err(|error| StartError::Http(error.to_string()))?;
        let local = default.as_ref().map(|default| local(&default.config)).transpose()?.flatten();
        let troubles = Mutex::new(LruCache::new(AT_HAND));
        Ok(Self { shared, clients, default, local, troubles, wanted: Notify::new() })
    }

    /// What accounts have that chose nothing.
    pub(super) fn default_fingerprint(&self) -> String {
        self.default.as_ref().map(|default| default.config.fingerprint()).unwrap_or_default()
    }

    /// The embedder of an account, if it has one.
    pub(super) async fn of(&self, user: UserId) -> Result<Option<Embedder>, StorageError> {
        let stored = self.shared.store.embedder(user).await?;
        Ok(match stored {
            None => self.default.clone().map(|DefaultEmbedder { config, key }| Embedder {
                config,
                key,
                trusted: true,
            }),
            Some(stored) if stored.config.provider == EmbedderKind::None => None,
            Some(stored) => {
                Some(Embedder { config: stored.config, key: stored.key, trusted: false })
            }
        })
    }

    /// Vectors of an account's texts, in order.
    pub(super) async fn embed(
        &self,
        user: UserId,
        embedder: &Embedder,
        texts: &[String],
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        let vectors = match &self.local {
            Some(model) if embedder.config.provider == EmbedderKind::Local => {
                self.compute(Arc::clone(model), texts.to_vec()).await
            }
            _ => self.clients.embed(embedder, texts).await,
        };
        match &vectors {
            Ok(_) => drop(self.troubles().pop(&user)),
            Err(error) => self.note(user, error.clone()),
        }
        vectors
    }

    /// By the model that is in memory, off the threads that serve.
    async fn compute(
        &self,
        model: Arc<StaticModel>,
        texts: Vec<String>,
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        let work = move || texts.iter().map(|text| model.embed(text)).collect();
        let done = self.shared.lifecycle.tracker().spawn_blocking(work).await;
        done.map_err(|_| ModelError::Down)
    }

    /// The vector of a question, with what the customer said before it; `None` when there is none in time.
    pub(super) async fn question(
        &self,
        (user, embedder): (UserId, &Embedder),
        history: &[Line],
        asked: &str,
    ) -> Option<Vec<f32>> {
        if self.troubles().peek(&user).is_some_and(|(_, at)| at.elapsed() < REST) {
            return None;
        }
        let before = history.iter().rev().find(|line| line.speaker == Speaker::User);
        let mut texts = vec![end_of(asked)];
        texts.extend(before.map(|before| end_of(&format!("{}\n{asked}", before.text))));
        let embedding = self.embed(user, embedder, &texts);
        let vectors = match tokio::time::timeout(VECTOR_WITHIN, embedding).await {
            Ok(Ok(vectors)) => vectors,
            Ok(Err(error)) => {
                tracing::warn!(%error, "a question is answered by words alone");
                return None;
            }
            Err(_) => {
                tracing::warn!("a question is answered by words alone: the embedder is slow");
                self.note(user, ModelError::TimedOut);
                return None;
            }
        };
        // What is asked, and what it may mean after what was said, each half.
        vectors
            .into_iter()
            .reduce(|one, other| one.iter().zip(&other).map(|(one, other)| one + other).collect())
    }

    fn note(&self, user: UserId, error: ModelError) {
        self.troubles().put(user, (error, Instant::now()));
    }

    fn trouble(&self, user: UserId) -> Option<ModelError> {
        self.troubles().peek(&user).map(|(error, _)| error.clone())
    }

    fn troubles(&self) -> MutexGuard<'_, LruCache<UserId, (ModelError, Instant)>> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Documents {
    /// The caller's embedder, and how far their documents are.
    ///
    /// # Errors
    /// [`ServiceError::Forbidden`] for a credential that knows some instances only.
    pub async fn embedder(&self, caller: &Caller) -> Result<EmbedderView, ServiceError> {
        of_the_account(caller)?;
        let (user, store) = (caller.user_id, &self.shared.store);
        let stored = store.embedder(user).await?;
        let active = self.embedders.of(user).await?;
        let fingerprint = active.as_ref().map(|embedder| embedder.config.fingerprint());
        let progress =
            store.embedding_progress(user, None, fingerprint.as_deref().unwrap_or_default());
        Ok(EmbedderView {
            has_key: stored.as_ref().is_some_and(|stored| stored.key.is_some()),
            updated_at: stored.as_ref().map(|stored| stored.updated_at),
            config: stored.map(|stored| stored.config).unwrap_or_default(),
            progress: progress.await?,
            problem: match &active {
                None => None,
                Some(embedder) if !embedder.trusted => {
                    let refused = self.embedders.clients.check(&embedder.config).err();
                    refused.or_else(|| self.embedders.trouble(user))
                }
                Some(_) => self.embedders.trouble(user),
            },
            is_active: active.is_some(),
        })
    }

    /// Chooses another embedder. The documents get vectors of it one after the other; until one has them it
    /// is found by words.
    ///
    /// # Errors
    /// [`ServiceError::InvalidAssistant`] names the field that does not fit.
    pub async fn set_embedder(
        &self,
        caller: &Caller,
        order: EmbedderOrder,
    ) -> Result<EmbedderView, ServiceError> {
        of_the_account(caller)?;
        let config = EmbedderConfig::ordered(&order)?;
        if config.base_url.is_some() {
            self.embedders.clients.check(&config).map_err(|error| match error {
                ModelError::UrlNotAllowed(why) => ServiceError::UrlNotAllowed(why),
                other => other.into(),
            })?;
        }
        let (user, now) = (caller.user_id, self.shared.now());
        self.shared.store.set_embedder(user, config, order.api_key, now).await?;
        self.embedders.troubles().pop(&user);
        self.embedders.wanted.notify_one();
        self.embedder(caller).await
    }
}

/// The operator's own model, where that is what gives vectors.
fn local(config: &EmbedderConfig) -> Result<Option<Arc<StaticModel>>, StartError> {
    if config.provider != EmbedderKind::Local {
        return Ok(None);
    }
    let folder = Path::new(config.model.as_deref().unwrap_or_default());
    let unusable = |why: &dyn std::fmt::Display| StartError::Embedder {
        folder: folder.to_owned(),
        why: why.to_string(),
    };
    let file = |name| std::fs::read(folder.join(name)).map_err(|error| unusable(&error));
    let model = StaticModel::read(&file("tokenizer.json")?, &file("model.safetensors")?);
    Ok(Some(Arc::new(model.map_err(|error| unusable(&error))?)))
}

/// The end of a text: it is nearest to what is asked.
fn end_of(text: &str) -> String {
    let skipped = text.chars().count().saturating_sub(MOST_ASKED);
    text.chars().skip(skipped).collect()
}
