//! Vectors of passages: of which embedder each is, and which still want one.
//!
//! A vector of another embedder is as good as none, so a change makes every passage want one again. That they
//! want one is all that there is of the queue: it is lost with nothing, and its length is the progress.

use super::passages::{DocumentPassage, place};
use crate::Store;
use crate::dialect::{self, query};
use crate::error::StorageError;
use crate::row::Record;
use flowcore_domain::id::{DocumentId, UserId};

const TABLE: &str = "document_chunks";

/// How far the vectors of some passages are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EmbeddingProgress {
    /// How many passages there are.
    pub passages: u64,
    /// How many have a vector of the embedder that was asked for.
    pub embedded: u64,
}

impl Store {
    /// The accounts with documents that want vectors; `default` is what accounts have that chose nothing.
    pub async fn owners_wanting_vectors(
        &self,
        default: &str,
        limit: usize,
    ) -> Result<Vec<UserId>, StorageError> {
        let rows = query(
            "SELECT DISTINCT d.user_id FROM documents d \
             LEFT JOIN document_embedders e ON e.user_id = d.user_id \
             WHERE d.status = 'indexed' AND d.passages > 0 AND COALESCE(e.fingerprint, $1) <> '' \
             AND COALESCE(d.embedded_by, '') <> COALESCE(e.fingerprint, $1) LIMIT $2",
        )
        .bind(default)
        .bind(dialect::limit(limit))
        .fetch_all(self.readers())
        .await?;
        rows.iter().map(|row| Record::new("documents", row).parsed("user_id")).collect()
    }

    /// The oldest document of an account that wants vectors.
    pub async fn document_wanting_vectors(
        &self,
        user: UserId,
        embedder: &str,
    ) -> Result<Option<DocumentId>, StorageError> {
        let row = query(
            "SELECT id FROM documents WHERE user_id = $1 AND status = 'indexed' AND passages > 0 \
             AND COALESCE(embedded_by, '') <> $2 ORDER BY id LIMIT 1",
        )
        .bind(user)
        .bind(embedder)
        .fetch_optional(self.readers())
        .await?;
        row.map(|row| Record::new("documents", &row).parsed("id")).transpose()
    }

    /// The first passages of a document that have no vector of an embedder, with their places.
    pub async fn passages_wanting_vectors(
        &self,
        id: DocumentId,
        embedder: &str,
        limit: usize,
    ) -> Result<Vec<(usize, DocumentPassage)>, StorageError> {
        let rows = query(
            "SELECT number, headings, text FROM document_chunks WHERE document_id = $1 \
             AND COALESCE(embedding_model, '') <> $2 ORDER BY number LIMIT $3",
        )
        .bind(id.text())
        .bind(embedder)
        .bind(dialect::limit(limit))
        .fetch_all(self.readers())
        .await?;
        let each = rows.iter().map(|row| {
            let record = Record::new(TABLE, row);
            let number: i64 = record.get("number")?;
            let number = usize::try_from(number).map_err(|_| record.corrupt())?;
            let (headings, text) = (record.json("headings")?, record.get("text")?);
            Ok((number, DocumentPassage { headings, text }))
        });
        each.collect()
    }

    /// Gives passages their vectors, little-endian; an empty one is that of a passage which the embedder
    /// refuses. The document is done once none is left.
    pub async fn embed_passages(
        &self,
        id: DocumentId,
        embedder: &str,
        vectors: Vec<(usize, Vec<u8>)>,
    ) -> Result<(), StorageError> {
        let embedder = embedder.to_owned();
        self.write(move |connection| {
            Box::pin(async move {
                for (number, vector) in vectors {
                    query(
                        "UPDATE document_chunks SET embedding = $3, embedding_model = $4 \
                         WHERE document_id = $1 AND number = $2",
                    )
                    .bind(id.text())
                    .bind(place(number))
                    .bind(vector)
                    .bind(embedder.as_str())
                    .execute(&mut *connection)
                    .await?;
                }
                query(
                    "UPDATE documents SET embedded_by = $2 WHERE id = $1 AND NOT EXISTS \
                     (SELECT 1 FROM document_chunks WHERE document_id = $1 \
                     AND COALESCE(embedding_model, '') <> $2)",
                )
                .bind(id.text())
                .bind(embedder.as_str())
                .execute(&mut *connection)
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// The vectors of a document's passages, in order.
    pub async fn embeddings(&self, id: DocumentId) -> Result<Vec<Vec<u8>>, StorageError> {
        let ask =
            query("SELECT embedding FROM document_chunks WHERE document_id = $1 ORDER BY number");
        let rows = ask.bind(id.text()).fetch_all(self.readers()).await?;
        let vector = |row| Record::new(TABLE, row).get::<Option<Vec<u8>>>("embedding");
        rows.iter().map(|row| Ok(vector(row)?.unwrap_or_default())).collect()
    }

    /// How far the vectors of all documents of an account are, or those of one document.
    pub async fn embedding_progress(
        &self,
        user: UserId,
        document: Option<DocumentId>,
        embedder: &str,
    ) -> Result<EmbeddingProgress, StorageError> {
        let row = query(
            "SELECT COUNT(*) AS passages, COUNT(CASE WHEN c.embedding_model = $3 THEN 1 END) \
             AS embedded FROM document_chunks c JOIN documents d ON d.id = c.document_id \
             WHERE d.user_id = $1 AND ($2 IS NULL OR d.id = $2)",
        )
        .bind(user)
        .bind(document.map(|id| id.text()))
        .bind(embedder)
        .fetch_one(self.readers())
        .await?;
        let record = Record::new(TABLE, &row);
        let count =
            |column| Ok::<_, StorageError>(u64::try_from(record.get::<i64>(column)?).unwrap_or(0));
        Ok(EmbeddingProgress { passages: count("passages")?, embedded: count("embedded")? })
    }
}
