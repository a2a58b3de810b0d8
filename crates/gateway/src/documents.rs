//! The documents that the assistant answers from: taken in, read one after the other, found again.
//!
//! A document is its user's; instances answer from those that are mapped to them. A credential that knows
//! some instances only may search what is mapped to them, and touches no document: those are the account's.

mod embedder;
mod embedders;
mod embedding;
mod library;
mod queue;
pub(crate) mod reading;

use crate::accounts::Caller;
use crate::clients::AllowPrivate;
use crate::error::{ServiceError, StartError};
use crate::{Instances, Shared, fresh_id};
use bytes::Bytes;
use embedders::Embedders;
use flowcore_domain::id::{DocumentId, UserId};
use flowcore_domain::instance::InstanceName;
use flowcore_domain::webhook::Scope;
use flowcore_knowledge::query::Line;
use flowcore_storage::{
    Document, DocumentFilter, DocumentPassage, MAX_UNREAD, NewContent, NewDocument, StorageError,
};
use library::Library;
use sha2::{Digest as _, Sha256};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::Notify;

pub use embedders::{DefaultEmbedder, EmbedderView};
pub use library::FoundPassage;

/// Longest file that is read, in bytes.
pub const MAX_DOCUMENT: usize = 20 << 20;
/// Most passages of one page of a document's.
pub const MAX_PASSAGES: usize = 200;
/// Most passages of one search.
pub const MAX_FOUND: usize = 50;
/// Longest name of a file, in characters.
const MAX_NAME: usize = 255;

/// Where a new document comes from.
#[derive(Clone)]
pub enum DocumentSource {
    /// A file that was sent.
    File {
        /// What it is called.
        name: String,
        /// What is in it.
        bytes: Bytes,
    },
    /// A page of the web, fetched when its turn comes.
    Page(String),
}

/// Never shows what is in it.
impl std::fmt::Debug for DocumentSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::File { .. } => "File(…)",
            Self::Page(_) => "Page(…)",
        })
    }
}

/// The documents. Clones share them.
#[derive(Debug, Clone)]
pub struct Documents {
    shared: Arc<Shared>,
    instances: Instances,
    library: Arc<Library>,
    embedders: Arc<Embedders>,
    arrived: Arc<Notify>,
}

impl Documents {
    /// Starts reading what waits; `reader` is the program that reads when it is called with `extract`. What is
    /// read gets vectors of its account's embedder, or of the operator's.
    pub(crate) async fn start(
        shared: Arc<Shared>,
        reader: PathBuf,
        embedder: Option<DefaultEmbedder>,
        allow: AllowPrivate,
    ) -> Result<Self, StartError> {
        let embedders = Arc::new(Embedders::new(Arc::clone(&shared), embedder, allow)?);
        let arrived = Arc::new(Notify::new());
        let news = queue::News { arrived: Arc::clone(&arrived), embedders: Arc::clone(&embedders) };
        queue::start(Arc::clone(&shared), reader, news).await?;
        embedding::start(&shared, Arc::clone(&embedders));
        let instances = Instances::new(Arc::clone(&shared));
        let library = Arc::new(Library::new(Arc::clone(&shared), Arc::clone(&embedders)));
        Ok(Self { shared, instances, library, embedders, arrived })
    }

    /// Takes a document in; it is read when its turn comes.
    ///
    /// # Errors
    /// [`ServiceError::OverQuota`], [`ServiceError::UrlNotAllowed`], or what is wrong with the file.
    pub async fn add(
        &self,
        caller: &Caller,
        source: DocumentSource,
    ) -> Result<Document, ServiceError> {
        of_the_account(caller)?;
        let (name, content) = match source {
            DocumentSource::File { name, bytes } => (file_name(&name), upload(&bytes)?),
            DocumentSource::Page(url) => {
                self.shared.fetcher.check(&url)?;
                (page_name(&url), NewContent::Page(url))
            }
        };
        let id: DocumentId = fresh_id();
        let new =
            NewDocument { id, user_id: caller.user_id, name, content, now: self.shared.now() };
        let created = self.shared.store.create_document(new).await;
        let document = created.map_err(|error| match error {
            StorageError::Conflict(_) => ServiceError::LimitReached {
                what: "documents waiting to be read",
                limit: usize::try_from(MAX_UNREAD).unwrap_or(usize::MAX),
            },
            other => other.into(),
        })?;
        self.arrived.notify_one();
        Ok(document)
    }

    /// The documents of the caller, or those of an instance, newest first.
    ///
    /// # Errors
    /// [`ServiceError::InstanceNotFound`] also for those of others.
    pub async fn list(
        &self,
        caller: &Caller,
        instance: Option<&InstanceName>,
        before: Option<DocumentId>,
        limit: usize,
    ) -> Result<Vec<Document>, ServiceError> {
        let filter = if let Some(name) = instance {
            let instance = self.instances.find(caller, name).await?;
            DocumentFilter { instance: Some(instance.id), before, user: None }
        } else {
            of_the_account(caller)?;
            DocumentFilter { user: caller.user_of_lists(), before, instance: None }
        };
        Ok(self.shared.store.documents(filter, limit).await?)
    }

    /// The document that this one is a copy of, where it is one.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn original(&self, document: &Document) -> Result<Option<DocumentId>, ServiceError> {
        Ok(self.shared.store.original_of(document.id).await?)
    }

    /// A document, the names of the instances that answer from it, and how many of its passages have a vector,
    /// where there is an embedder.
    ///
    /// # Errors
    /// [`ServiceError::DocumentNotFound`] also for those of others.
    pub async fn get(
        &self,
        caller: &Caller,
        id: DocumentId,
    ) -> Result<(Document, Vec<String>, Option<u64>), ServiceError> {
        let document = self.find(caller, id).await?;
        let instances = self.shared.store.instances_of_document(id).await?;
        let (owner, store) = (document.user_id, &self.shared.store);
        let embedded = match self.embedders.of(owner).await? {
            None => None,
            Some(embedder) => {
                let fingerprint = embedder.config.fingerprint();
                Some(store.embedding_progress(owner, Some(id), &fingerprint).await?.embedded)
            }
        };
        Ok((document, instances, embedded))
    }

    /// The passages of a document in its order, from a number on, counted from nought; at most [`MAX_PASSAGES`].
    ///
    /// # Errors
    /// [`ServiceError::DocumentNotFound`] also for those of others.
    pub async fn passages(
        &self,
        caller: &Caller,
        id: DocumentId,
        (first, limit): (usize, usize),
    ) -> Result<Vec<DocumentPassage>, ServiceError> {
        self.find(caller, id).await?;
        Ok(self.shared.store.passages_from(id, first, limit.min(MAX_PASSAGES)).await?)
    }

    /// Deletes a document with everything that was made of it.
    ///
    /// # Errors
    /// [`ServiceError::DocumentNotFound`] also for those of others.
    pub async fn delete(&self, caller: &Caller, id: DocumentId) -> Result<(), ServiceError> {
        self.find(caller, id).await?;
        if self.shared.store.delete_document(id).await? {
            Ok(())
        } else {
            Err(ServiceError::DocumentNotFound)
        }
    }

    /// Lets an instance answer from a document of the same user.
    ///
    /// # Errors
    /// [`ServiceError::DocumentNotFound`] also when it is somebody else's than the instance.
    pub async fn map(
        &self,
        caller: &Caller,
        name: &InstanceName,
        id: DocumentId,
    ) -> Result<(), ServiceError> {
        let instance = self.instances.find(caller, name).await?;
        let document = self.find(caller, id).await?;
        if document.user_id != instance.user_id {
            return Err(ServiceError::DocumentNotFound);
        }
        let mapped = self.shared.store.map_document(instance.id, id, self.shared.now()).await;
        mapped.map_err(|error| match error {
            StorageError::NotFound(_) => ServiceError::DocumentNotFound,
            other => other.into(),
        })
    }

    /// Takes a document away from an instance.
    ///
    /// # Errors
    /// [`ServiceError::DocumentNotFound`] when the instance does not answer from it.
    pub async fn unmap(
        &self,
        caller: &Caller,
        name: &InstanceName,
        id: DocumentId,
    ) -> Result<(), ServiceError> {
        let instance = self.instances.find(caller, name).await?;
        of_the_account(caller)?;
        if self.shared.store.unmap_document(instance.id, id).await? {
            Ok(())
        } else {
            Err(ServiceError::DocumentNotFound)
        }
    }

    /// The passages that fit a question best: of an instance's documents, or of all of the caller's.
    ///
    /// # Errors
    /// [`ServiceError::InstanceNotFound`] also for those of others.
    pub async fn search(
        &self,
        caller: &Caller,
        instance: Option<&InstanceName>,
        (history, asked): (&[Line], &str),
        limit: usize,
    ) -> Result<Vec<FoundPassage>, ServiceError> {
        let scope = if let Some(name) = instance {
            Scope::Instance(self.instances.find(caller, name).await?.id)
        } else {
            of_the_account(caller)?;
            Scope::User(caller.user_id)
        };
        self.retrieve(scope, history, asked, limit).await
    }

    /// The same without a caller, for who answers by itself.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn retrieve(
        &self,
        scope: Scope,
        history: &[Line],
        asked: &str,
        limit: usize,
    ) -> Result<Vec<FoundPassage>, ServiceError> {
        self.library.retrieve(scope, history, asked, limit.min(MAX_FOUND)).await
    }

    async fn find(&self, caller: &Caller, id: DocumentId) -> Result<Document, ServiceError> {
        of_the_account(caller)?;
        let sees = |owner: UserId| owner == caller.user_id || caller.is_admin();
        let found = self.shared.store.document(id).await?;
        found.filter(|one| sees(one.user_id)).ok_or(ServiceError::DocumentNotFound)
    }
}

/// Documents are the account's: a credential for some instances does not touch them.
fn of_the_account(caller: &Caller) -> Result<(), ServiceError> {
    if caller.only.is_none() { Ok(()) } else { Err(ServiceError::Forbidden) }
}

fn upload(bytes: &Bytes) -> Result<NewContent, ServiceError> {
    match bytes.len() {
        0 => Err(ServiceError::Invalid("The file is empty.".to_owned())),
        1..=MAX_DOCUMENT => Ok(NewContent::Upload(bytes.to_vec(), Sha256::digest(bytes).to_vec())),
        _ => Err(ServiceError::MediaTooLong { limit: MAX_DOCUMENT }),
    }
}

/// The last part of what a file is called, without what no name should hold.
fn file_name(said: &str) -> String {
    let last = said.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = last.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect();
    let name = name.trim();
    if name.is_empty() { "document".to_owned() } else { name.to_owned() }
}

/// The last part of the page's address, or its host.
fn page_name(url: &str) -> String {
    let Ok(url) = url::Url::parse(url) else { return "page".to_owned() };
    let last = url.path_segments().and_then(|mut parts| parts.rfind(|part| !part.is_empty()));
    file_name(last.or(url.host_str()).unwrap_or("page"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_last_part_of_what_was_said() {
        assert_eq!(file_name("C:\\docs\\prices 2025.pdf"), "prices 2025.pdf");
        assert_eq!(file_name("../../etc/passwd"), "passwd");
        assert_eq!(file_name("\u{7}\n"), "document");
        assert_eq!(page_name("https://example.com/a/hours.html?x=1"), "hours.html");
        assert_eq!(page_name("https://example.com/"), "example.com");
    }
}
