//! Documents: what was uploaded, how far it is read, its passages, and which instances answer from it.
//!
//! The status is the queue: what is `queued` waits, a reader takes the oldest and makes it `reading`. A
//! server that died while it read finds it `reading` and queues it again. An upload's bytes are kept until then and
//! go with the reading; what is found afterwards are the passages.

use crate::Store;
use crate::dialect::{self, Connection, Instant, query};
use crate::error::StorageError;
use crate::quotas;
use crate::row::Record;
use flowcore_domain::clock::Millis;
use flowcore_domain::document::DocumentStatus;
use flowcore_domain::id::{DocumentId, InstanceId, UserId};
use flowcore_domain::quota::Quota;

pub(crate) mod embedders;
mod embeddings;
mod passages;

pub use embedders::StoredEmbedder;
pub use embeddings::EmbeddingProgress;
pub use passages::{DocumentPassage, KnownDocument, PassageRef};

const TABLE: &str = "documents";

/// Most documents of one user that wait to be read.
pub const MAX_UNREAD: i64 = 1_000;

/// A document.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Its id; they sort by time.
    pub id: DocumentId,
    /// Whose it is.
    pub user_id: UserId,
    /// What its file is called.
    pub name: String,
    /// The page it is fetched from.
    pub source: Option<String>,
    /// How long its file is.
    pub bytes: u64,
    /// How far it is.
    pub status: DocumentStatus,
    /// Why it could not be read.
    pub reason: Option<String>,
    /// How many passages it has.
    pub passages: u64,
    /// When it came.
    pub created_at: Millis,
    /// When it was read last.
    pub updated_at: Millis,
}

/// A document to be read.
#[derive(Debug)]
pub struct NewDocument {
    /// Its id.
    pub id: DocumentId,
    /// Whose it is.
    pub user_id: UserId,
    /// What its file is called.
    pub name: String,
    /// Where from.
    pub content: NewContent,
    /// When it came.
    pub now: Millis,
}

/// Where a document's bytes come from.
#[derive(Debug)]
pub enum NewContent {
    /// They were uploaded; with their SHA-256.
    Upload(Vec<u8>, Vec<u8>),
    /// They are fetched from this page when it is read.
    Page(String),
}

/// Which documents a list shows.
#[derive(Debug, Clone, Copy, Default)]
pub struct DocumentFilter {
    /// Only those of this user.
    pub user: Option<UserId>,
    /// Only those that this instance answers from.
    pub instance: Option<InstanceId>,
    /// Only older ones than this.
    pub before: Option<DocumentId>,
}

impl Store {
    /// Takes a document in.
    ///
    /// # Errors
    /// `OverQuota` when the user has no room for it; `Conflict` when too many of theirs are unread.
    pub async fn create_document(&self, new: NewDocument) -> Result<Document, StorageError> {
        self.write(move |connection| Box::pin(create(connection, new))).await
    }

    /// A document by id.
    pub async fn document(&self, id: DocumentId) -> Result<Option<Document>, StorageError> {
        let ask = query("SELECT * FROM documents WHERE id = $1").bind(id.text());
        let row = ask.fetch_optional(self.readers()).await?;
        row.map(|row| read(&Record::new(TABLE, &row))).transpose()
    }

    /// The oldest document of the same account with the same bytes, when that is another.
    pub async fn original_of(&self, id: DocumentId) -> Result<Option<DocumentId>, StorageError> {
        let row = query(
            "SELECT o.id FROM documents d JOIN documents o ON o.user_id = d.user_id \
             AND o.content_hash = d.content_hash AND o.id < d.id \
             WHERE d.id = $1 AND length(d.content_hash) > 0 ORDER BY o.id LIMIT 1",
        );
        let row = row.bind(id.text()).fetch_optional(self.readers()).await?;
        row.map(|row| Record::new(TABLE, &row).parsed("id")).transpose()
    }

    /// Documents, newest first.
    pub async fn documents(
        &self,
        filter: DocumentFilter,
        limit: usize,
    ) -> Result<Vec<Document>, StorageError> {
        let rows = query(
            "SELECT * FROM documents WHERE ($1 IS NULL OR user_id = $1) AND ($2 IS NULL OR id IN \
             (SELECT file_id FROM whatsapp_file_mappings WHERE whatsapp_instance_id = $2)) \
             AND ($3 IS NULL OR id < $3) ORDER BY id DESC LIMIT $4",
        )
        .bind(filter.user)
        .bind(filter.instance)
        .bind(filter.before.map(|id| id.text()))
        .bind(dialect::limit(limit))
        .fetch_all(self.readers())
        .await?;
        rows.iter().map(|row| read(&Record::new(TABLE, row))).collect()
    }

    /// Deletes a document with its passages and mappings; false when it was not there.
    pub async fn delete_document(&self, id: DocumentId) -> Result<bool, StorageError> {
        self.write(move |connection| {
            Box::pin(async move {
                let deletion = query("DELETE FROM documents WHERE id = $1").bind(id.text());
                Ok(deletion.execute(connection).await? > 0)
            })
        })
        .await
    }

    /// Lets an instance answer from a document; once more changes nothing.
    ///
    /// # Errors
    /// `NotFound` when one of them was deleted.
    pub async fn map_document(
        &self,
        instance: InstanceId,
        id: DocumentId,
        now: Millis,
    ) -> Result<(), StorageError> {
        self.write(move |connection| {
            Box::pin(async move {
                query(
                    "INSERT INTO whatsapp_file_mappings (id, whatsapp_instance_id, file_id, created_at) \
                     VALUES ($1, $2, $3, $4) ON CONFLICT (whatsapp_instance_id, file_id) DO NOTHING",
                )
                // The table's own ids name nothing else; one of an instance's kind fits both databases.
                .bind(InstanceId(uuid::Uuid::now_v7()))
                .bind(instance)
                .bind(id.text())
                .bind(Instant(now))
                .execute(connection)
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// Takes a document away from an instance; false when it did not have it.
    pub async fn unmap_document(
        &self,
        instance: InstanceId,
        id: DocumentId,
    ) -> Result<bool, StorageError> {
        let deletion = query(
            "DELETE FROM whatsapp_file_mappings WHERE whatsapp_instance_id = $1 AND file_id = $2",
        );
        let deletion = deletion.bind(instance).bind(id.text());
        self.write(move |connection| {
            Box::pin(async move { Ok(deletion.execute(connection).await? > 0) })
        })
        .await
    }

    /// The names of the instances that answer from a document.
    pub async fn instances_of_document(&self, id: DocumentId) -> Result<Vec<String>, StorageError> {
        let rows = query(
            "SELECT i.instance_name FROM whatsapp_file_mappings m \
             JOIN whatsapp_instances i ON i.id = m.whatsapp_instance_id \
             WHERE m.file_id = $1 ORDER BY i.instance_name",
        )
        .bind(id.text())
        .fetch_all(self.readers())
        .await?;
        rows.iter().map(|row| Record::new("whatsapp_file_mappings", row).first()).collect()
    }

    /// Queues again what a server that is gone was reading; returns how many.
    pub async fn requeue_documents(&self) -> Result<u64, StorageError> {
        self.write(move |connection| {
            Box::pin(async move {
                query("UPDATE documents SET status = 'queued' WHERE status = 'reading'")
                    .execute(connection)
                    .await
            })
        })
        .await
    }

    /// Takes the oldest document that waits.
    pub async fn claim_document(&self) -> Result<Option<Document>, StorageError> {
        self.write(move |connection| {
            Box::pin(async move {
                let row = query(
                    "UPDATE documents SET status = 'reading' WHERE status = 'queued' AND id = \
                     (SELECT id FROM documents WHERE status = 'queued' ORDER BY id LIMIT 1) \
                     RETURNING *",
                )
                .fetch_optional(connection)
                .await?;
                row.map(|row| read(&Record::new(TABLE, &row))).transpose()
            })
        })
        .await
    }

    /// The bytes of an upload that was not read yet.
    pub async fn document_content(&self, id: DocumentId) -> Result<Option<Vec<u8>>, StorageError> {
        let ask = query("SELECT content FROM document_contents WHERE document_id = $1");
        ask.bind(id.text()).scalar(self.readers()).await
    }

    /// Notes how long the page of a document is.
    ///
    /// # Errors
    /// `OverQuota` when the user has no room for it, `NotFound` when it was deleted.
    pub async fn weigh_document(
        &self,
        document: &Document,
        bytes: u64,
    ) -> Result<(), StorageError> {
        let (id, user) = (document.id, document.user_id);
        let more = bytes.saturating_sub(document.bytes);
        self.write(move |connection| {
            Box::pin(async move {
                quotas::room(connection, user, (Quota::DocumentBytes, more)).await?;
                let change = query("UPDATE documents SET bytes = $2 WHERE id = $1");
                let change = change.bind(id.text()).bind(number(bytes)).execute(connection).await?;
                if change == 0 { Err(StorageError::NotFound("the document")) } else { Ok(()) }
            })
        })
        .await
    }
}

async fn create(connection: &mut Connection, new: NewDocument) -> Result<Document, StorageError> {
    let (content, hash, source) = match new.content {
        NewContent::Upload(content, hash) => (Some(content), hash, None),
        NewContent::Page(url) => (None, Vec::new(), Some(url)),
    };
    let bytes = content.as_ref().map_or(0, Vec::len) as u64;
    quotas::room(connection, new.user_id, (Quota::Documents, 1)).await?;
    quotas::room(connection, new.user_id, (Quota::DocumentBytes, bytes)).await?;
    let unread = query(
        "SELECT COUNT(*) FROM documents WHERE user_id = $1 AND status IN ('queued', 'reading')",
    );
    let unread: Option<i64> = unread.bind(new.user_id).scalar(&mut *connection).await?;
    if unread.unwrap_or_default() >= MAX_UNREAD {
        return Err(StorageError::Conflict("enough to read"));
    }
    let row = query(
        "INSERT INTO documents (id, user_id, name, content_hash, bytes, status, source, created_at, \
         updated_at) VALUES ($1, $2, $3, $4, $5, 'queued', $6, $7, $7) RETURNING *",
    )
    .bind(new.id.text())
    .bind(new.user_id)
    .bind(new.name)
    .bind(hash)
    .bind(number(bytes))
    .bind(source)
    .bind(new.now.0)
    .fetch_one(&mut *connection)
    .await?;
    if let Some(content) = content {
        query("INSERT INTO document_contents (document_id, content) VALUES ($1, $2)")
            .bind(new.id.text())
            .bind(content)
            .execute(connection)
            .await?;
    }
    read(&Record::new(TABLE, &row))
}

fn number(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn read(record: &Record<'_>) -> Result<Document, StorageError> {
    let count =
        |column| Ok::<_, StorageError>(u64::try_from(record.get::<i64>(column)?).unwrap_or(0));
    Ok(Document {
        id: record.parsed("id")?,
        user_id: record.parsed("user_id")?,
        name: record.get("name")?,
        source: record.get("source")?,
        bytes: count("bytes")?,
        status: record.word("status", DocumentStatus::parse)?,
        reason: record.get("reason")?,
        passages: count("passages")?,
        created_at: Millis(record.get("created_at")?),
        updated_at: Millis(record.get("updated_at")?),
    })
}
