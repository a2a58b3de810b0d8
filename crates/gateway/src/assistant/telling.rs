//! Telling the owner's programs what the assistant did with a message: each thing once, also when its job is
//! done again.

use super::{Assistant, ModelError};
use crate::outbox::render::{self, Task};
use flowcore_domain::event::NewEvent;
use flowcore_domain::id::ConversationId;
use flowcore_domain::instance::Instance;
use flowcore_storage::{StorageError, StoredMessage};

impl Assistant {
    /// What was spoken in a voice note.
    pub(crate) async fn tell_transcript(
        &self,
        instance: &Instance,
        (conversation, message): (ConversationId, &StoredMessage),
        spoken: &super::Transcript,
    ) -> Result<(), StorageError> {
        let words = (spoken.text.as_str(), spoken.language.as_deref(), spoken.duration_ms);
        let now = self.shared.now();
        self.tell(instance, render::transcribed(message, conversation, words, now)).await
    }

    /// That a provider failed, and what the customer gets instead.
    pub(crate) async fn tell_failure(
        &self,
        instance: &Instance,
        (conversation, message): (ConversationId, &StoredMessage),
        (task, error, instead): (Task, &ModelError, &str),
    ) -> Result<(), StorageError> {
        let instead = Some(instead.trim()).filter(|text| !text.is_empty());
        let what = (task, error.code(), instead);
        let now = self.shared.now();
        self.tell(instance, render::failed(message, conversation, what, now)).await
    }

    async fn tell(&self, instance: &Instance, event: NewEvent) -> Result<(), StorageError> {
        let stored = self.shared.store.append_event_once(event).await?;
        self.shared.outbox.published(instance.user_id, &instance.name, &stored);
        Ok(())
    }
}
