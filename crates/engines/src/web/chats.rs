//! What is around messages, over one client: presence, read marks, the state of conversations, calls.

use super::session::WebSession;
use super::{error, translate};
use async_trait::async_trait;
use flowcore_domain::engine::{Channel, Chats, EngineError, LastMessage, Typing};
use flowcore_domain::jid::Jid;
use flowcore_domain::message::MessageKey;
use whatsapp_rust::features::{
    NewsletterMetadata, NewsletterVerification, SyncActionMessageRange, message_key, message_range,
};

#[async_trait]
impl Chats for WebSession {
    async fn set_available(&self, available: bool) -> Result<(), EngineError> {
        let client = self.client()?;
        let done = if available {
            client.presence().set_available().await
        } else {
            client.presence().set_unavailable().await
        };
        done.map_err(|failure| error::of_any(&failure))
    }

    async fn show_typing(&self, to: &Jid, typing: Typing) -> Result<(), EngineError> {
        let client = self.client()?;
        let (states, to) = (client.chatstate(), translate::wire_address(to));
        let done = match typing {
            Typing::Composing => states.send_composing(&to).await,
            Typing::Recording => states.send_recording(&to).await,
            Typing::Paused => states.send_paused(&to).await,
        };
        done.map_err(|failure| error::of_any(&failure))
    }

    async fn watch_presence(&self, of: &Jid) -> Result<(), EngineError> {
        let done = self.client()?.presence().subscribe(translate::wire_address(of)).await;
        done.map_err(|failure| error::of_any(&failure))
    }

    async fn mark_read(&self, messages: &[MessageKey]) -> Result<(), EngineError> {
        let Some(first) = messages.first() else { return Ok(()) };
        let client = self.client()?;
        let chat = translate::wire_address(&first.chat);
        let writer = first.participant.as_ref().map(translate::wire_address);
        let ids: Vec<&str> = messages.iter().map(|key| key.id.as_str()).collect();
        let done = client.mark_as_read(&chat, writer.as_ref(), &ids).await;
        done.map_err(|failure| error::of_anyhow(&failure))
    }

    async fn mark_played(&self, messages: &[MessageKey]) -> Result<(), EngineError> {
        let Some(first) = messages.first() else { return Ok(()) };
        let client = self.client()?;
        let chat = translate::wire_address(&first.chat);
        let writer = first.participant.as_ref().map(translate::wire_address);
        let ids: Vec<&str> = messages.iter().map(|key| key.id.as_str()).collect();
        let done = client.mark_as_played(&chat, writer.as_ref(), &ids).await;
        done.map_err(|failure| error::of_anyhow(&failure))
    }

    async fn channels(&self) -> Result<Vec<Channel>, EngineError> {
        let found = self.client()?.newsletter().list_subscribed().await;
        let found = found.map_err(|failure| error::of_any(&failure))?;
        Ok(found.into_iter().map(channel).collect())
    }

    async fn mark_chat(&self, last: &LastMessage, read: bool) -> Result<(), EngineError> {
        let client = self.client()?;
        let chat = translate::wire_address(&last.key.chat);
        let done = client.chat_actions().mark_chat_as_read(&chat, read, Some(range(last))).await;
        done.map_err(|failure| error::of_any(&failure))
    }

    async fn archive(&self, last: &LastMessage, archived: bool) -> Result<(), EngineError> {
        let client = self.client()?;
        let chat = translate::wire_address(&last.key.chat);
        let done = if archived {
            client.chat_actions().archive_chat(&chat, Some(range(last))).await
        } else {
            client.chat_actions().unarchive_chat(&chat, Some(range(last))).await
        };
        done.map_err(|failure| error::of_any(&failure))
    }

    async fn label_chat(&self, chat: &Jid, label: &str, labeled: bool) -> Result<(), EngineError> {
        let client = self.client()?;
        let chat = translate::wire_address(chat);
        let done = if labeled {
            client.labels().add_chat_label(label, &chat).await
        } else {
            client.labels().remove_chat_label(label, &chat).await
        };
        done.map_err(|failure| error::of_any(&failure))
    }

    async fn reject_call(&self, call: &str, from: &Jid) -> Result<(), EngineError> {
        let from = translate::wire_address(from);
        let done = self.client()?.voip().reject_call(call, &from, &from).await;
        done.map_err(|failure| error::of_any(&failure))
    }
}

fn channel(found: NewsletterMetadata) -> Channel {
    Channel {
        id: translate::address(&found.jid),
        name: found.name,
        description: found.description,
        followers: found.subscriber_count,
        verified: found.verification == NewsletterVerification::Verified,
        // A channel without a picture has an empty path to one.
        picture: found.picture_url.or(found.preview_url).filter(|path| !path.is_empty()),
        invite: found.invite_code,
        created: found.creation_time,
    }
}

fn range(last: &LastMessage) -> SyncActionMessageRange {
    let key = &last.key;
    let participant = key.participant.as_ref().map(translate::wire_address);
    let key = message_key(
        &*key.id,
        &translate::wire_address(&key.chat),
        key.from_me,
        participant.as_ref(),
    );
    message_range(last.timestamp, None, vec![(key, last.timestamp)])
}
