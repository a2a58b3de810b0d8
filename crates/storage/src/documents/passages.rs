//! What was read of documents: their passages, by number, and what an index of them is made of.

use crate::Store;
use crate::dialect::{self, query};
use crate::error::StorageError;
use crate::row::{Record, json_text};
use flowcore_domain::clock::Millis;
use flowcore_domain::id::{DocumentId, InstanceId, UserId};
use flowcore_domain::webhook::Scope;

const TABLE: &str = "document_chunks";

/// A piece of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentPassage {
    /// The headings above it, the highest first.
    pub headings: Vec<String>,
    /// Its words.
    pub text: String,
}

/// A document that has passages, as an index knows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KnownDocument {
    /// Its id.
    pub id: DocumentId,
    /// What its file is called.
    pub name: String,
    /// When it was read; another reading is another version.
    pub read_at: Millis,
    /// Of which embedder all its passages have vectors.
    pub embedded_by: Option<String>,
}

impl KnownDocument {
    /// Whether it has the same passages as another.
    #[must_use]
    pub fn is_same_reading(&self, other: &Self) -> bool {
        (self.id, self.read_at, &self.name) == (other.id, other.read_at, &other.name)
    }
}

/// Which passage of which document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PassageRef {
    /// The document.
    pub document: DocumentId,
    /// The passage's place in it.
    pub number: usize,
}

pub(super) fn place(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Store {
    /// Ends the reading of a document: its passages, or why there are none. Its bytes go.
    ///
    /// # Errors
    /// `NotFound` when it was deleted meanwhile; then nothing is kept.
    pub async fn finish_document(
        &self,
        id: DocumentId,
        read: Result<Vec<DocumentPassage>, String>,
        now: Millis,
    ) -> Result<(), StorageError> {
        self.write(move |connection| {
            Box::pin(async move {
                let (passages, reason) = match read {
                    Ok(passages) => (passages, None),
                    Err(reason) => (Vec::new(), Some(reason)),
                };
                let status = if reason.is_none() { "indexed" } else { "failed" };
                let change = query(
                    "UPDATE documents SET status = $2, reason = $3, passages = $4, updated_at = $5, \
                     embedded_by = NULL WHERE id = $1",
                );
                let change = change.bind(id.text()).bind(status).bind(reason);
                let change = change.bind(place(passages.len())).bind(now.0);
                if change.execute(&mut *connection).await? == 0 {
                    return Err(StorageError::NotFound("the document"));
                }
                for sql in [
                    "DELETE FROM document_contents WHERE document_id = $1",
                    "DELETE FROM document_chunks WHERE document_id = $1",
                ] {
                    query(sql).bind(id.text()).execute(&mut *connection).await?;
                }
                for (number, passage) in passages.into_iter().enumerate() {
                    query(
                        "INSERT INTO document_chunks (document_id, number, headings, text) \
                         VALUES ($1, $2, $3, $4)",
                    )
                    .bind(id.text())
                    .bind(place(number))
                    .bind(json_text(&passage.headings)?)
                    .bind(passage.text)
                    .execute(&mut *connection)
                    .await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// The documents with passages that an instance answers from, or all of a user.
    pub async fn known_documents(&self, scope: Scope) -> Result<Vec<KnownDocument>, StorageError> {
        let ask = match scope {
            Scope::Instance(InstanceId(_)) => query(
                "SELECT d.id, d.name, d.updated_at, d.embedded_by FROM documents d \
                 JOIN whatsapp_file_mappings m ON m.file_id = d.id \
                 WHERE m.whatsapp_instance_id = $1 AND d.status = 'indexed' ORDER BY d.id",
            ),
            Scope::User(UserId(_)) => query(
                "SELECT id, name, updated_at, embedded_by FROM documents \
                 WHERE user_id = $1 AND status = 'indexed' ORDER BY id",
            ),
        };
        let rows = ask.bind(scope).fetch_all(self.readers()).await?;
        let known = rows.iter().map(|row| {
            let record = Record::new("documents", row);
            Ok(KnownDocument {
                id: record.parsed("id")?,
                name: record.get("name")?,
                read_at: Millis(record.get("updated_at")?),
                embedded_by: record.get("embedded_by")?,
            })
        });
        known.collect()
    }

    /// All passages of a document, in order.
    pub async fn passages(&self, id: DocumentId) -> Result<Vec<DocumentPassage>, StorageError> {
        let ask = query(
            "SELECT headings, text FROM document_chunks WHERE document_id = $1 ORDER BY number",
        );
        let rows = ask.bind(id.text()).fetch_all(self.readers()).await?;
        rows.iter().map(|row| read(&Record::new(TABLE, row))).collect()
    }

    /// A page of the passages of a document, in order, from a number on.
    pub async fn passages_from(
        &self,
        id: DocumentId,
        first: usize,
        limit: usize,
    ) -> Result<Vec<DocumentPassage>, StorageError> {
        let ask = query(
            "SELECT headings, text FROM document_chunks WHERE document_id = $1 AND number >= $2 \
             ORDER BY number LIMIT $3",
        );
        let ask = ask.bind(id.text()).bind(place(first)).bind(dialect::limit(limit));
        let rows = ask.fetch_all(self.readers()).await?;
        rows.iter().map(|row| read(&Record::new(TABLE, row))).collect()
    }

    /// One passage; `None` when its document is gone.
    pub async fn passage(&self, at: PassageRef) -> Result<Option<DocumentPassage>, StorageError> {
        let ask = query(
            "SELECT headings, text FROM document_chunks WHERE document_id = $1 AND number = $2",
        );
        let ask = ask.bind(at.document.text()).bind(place(at.number));
        let row = ask.fetch_optional(self.readers()).await?;
        row.map(|row| read(&Record::new(TABLE, &row))).transpose()
    }
}

fn read(record: &Record<'_>) -> Result<DocumentPassage, StorageError> {
    Ok(DocumentPassage { headings: record.json("headings")?, text: record.get("text")? })
}
