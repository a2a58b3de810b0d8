//! Conversations that an assistant is tried on again, and what came out the last time.

use crate::Store;
use crate::dialect::{self, query};
use crate::error::StorageError;
use crate::row::{Record, json_text};
use flowcore_domain::clock::Millis;
use flowcore_domain::id::{AiCaseId, InstanceId};
use serde_json::Value;

const TABLE: &str = "ai_cases";

/// A stored conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct AiCase {
    /// Its id.
    pub id: AiCaseId,
    /// What is said, and what is expected.
    pub content: Value,
    /// What came out the last time.
    pub outcome: Option<Value>,
    /// When it was stored.
    pub created_at: Millis,
}

impl Store {
    /// Stores a case; false when there are `most` already.
    ///
    /// # Errors
    /// `NotFound` when the instance was deleted.
    pub async fn add_ai_case(
        &self,
        instance: InstanceId,
        case: AiCase,
        most: usize,
    ) -> Result<bool, StorageError> {
        let content = json_text(&case.content)?;
        self.write(move |connection| {
            Box::pin(async move {
                dialect::lock_instance(connection, instance).await?;
                let there: Option<i64> =
                    query("SELECT COUNT(*) FROM ai_cases WHERE whatsapp_instance_id = $1")
                        .bind(instance)
                        .scalar(&mut *connection)
                        .await?;
                if there.and_then(|there| usize::try_from(there).ok()) >= Some(most) {
                    return Ok(false);
                }
                query(
                    "INSERT INTO ai_cases (id, whatsapp_instance_id, content, created_at) \
                     VALUES ($1, $2, $3, $4)",
                )
                .bind(case.id.text())
                .bind(instance)
                .bind(content)
                .bind(case.created_at.0)
                .execute(connection)
                .await?;
                Ok(true)
            })
        })
        .await
    }

    /// The cases of an instance, the oldest first.
    pub async fn ai_cases(&self, instance: InstanceId) -> Result<Vec<AiCase>, StorageError> {
        let rows = query("SELECT * FROM ai_cases WHERE whatsapp_instance_id = $1 ORDER BY id")
            .bind(instance)
            .fetch_all(self.readers())
            .await?;
        let read = |record: Record<'_>| {
            Ok(AiCase {
                id: record.parsed("id")?,
                content: record.json("content")?,
                outcome: record.json_option("outcome")?,
                created_at: record.millis("created_at")?,
            })
        };
        rows.iter().map(|row| read(Record::new(TABLE, row))).collect()
    }

    /// Notes what came out of a case.
    pub async fn note_ai_outcome(&self, id: AiCaseId, outcome: Value) -> Result<(), StorageError> {
        let outcome = json_text(&outcome)?;
        self.write(move |connection| {
            Box::pin(async move {
                let note = query("UPDATE ai_cases SET outcome = $2 WHERE id = $1");
                note.bind(id.text()).bind(outcome).execute(connection).await?;
                Ok(())
            })
        })
        .await
    }

    /// Deletes a case of an instance; false when it was not there.
    pub async fn delete_ai_case(
        &self,
        instance: InstanceId,
        id: AiCaseId,
    ) -> Result<bool, StorageError> {
        self.write(move |connection| {
            Box::pin(async move {
                let delete =
                    query("DELETE FROM ai_cases WHERE id = $1 AND whatsapp_instance_id = $2");
                Ok(delete.bind(id.text()).bind(instance).execute(connection).await? > 0)
            })
        })
        .await
    }
}
