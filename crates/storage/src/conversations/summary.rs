//! What was said so long ago that only its gist is kept at hand.

use crate::Store;
use crate::dialect::{Json, query};
use crate::error::StorageError;
use crate::row::{Record, json_text};
use flowcore_domain::id::{ConversationId, SaidId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Where it is in `conversation_data`.
const FIELD: &str = "summary";

/// The gist of a conversation's beginning.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The gist.
    pub text: String,
    /// Everything up to here is in it.
    pub up_to: SaidId,
}

/// Never shows what was said.
impl std::fmt::Debug for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Summary").field("up_to", &self.up_to).finish_non_exhaustive()
    }
}

impl Store {
    /// The gist of a conversation, where one was made.
    pub async fn conversation_summary(
        &self,
        id: ConversationId,
    ) -> Result<Option<Summary>, StorageError> {
        let row = query("SELECT id, conversation_data FROM whatsapp_conversations WHERE id = $1")
            .bind(id)
            .fetch_optional(self.readers())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let data: Value = Record::new(super::TABLE, &row).json("conversation_data")?;
        Ok(serde_json::from_value(data[FIELD].clone()).ok())
    }

    /// Keeps the gist of a conversation; one that was deleted has none.
    pub async fn set_conversation_summary(
        &self,
        id: ConversationId,
        summary: Summary,
    ) -> Result<(), StorageError> {
        self.write(move |connection| {
            Box::pin(async move {
                let row =
                    query("SELECT id, conversation_data FROM whatsapp_conversations WHERE id = $1");
                let Some(row) = row.bind(id).fetch_optional(&mut *connection).await? else {
                    return Ok(());
                };
                let mut data: Value = Record::new(super::TABLE, &row).json("conversation_data")?;
                data[FIELD] = json!(summary);
                let change =
                    query("UPDATE whatsapp_conversations SET conversation_data = $2 WHERE id = $1");
                change.bind(id).bind(Json(json_text(&data)?)).execute(connection).await?;
                Ok(())
            })
        })
        .await
    }
}
