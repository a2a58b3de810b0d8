//! Sending, and what becomes of what was sent.
//!
//! A message is stored as pending before anything is encrypted, under an id that we choose and in
//! WhatsApp's own form. From then on it is sent, or reported as failed, whatever happens to the process:
//! after each login everything that WhatsApp has not acknowledged is sent again with the same id, and the
//! other phone shows it once.

mod acks;
mod drafts;
mod pipeline;
mod request;
mod status;
mod told;
pub(crate) mod turn;

pub use acks::AckDelay;
pub(crate) use acks::Acks;
pub(crate) use drafts::MAX_DELAY;
pub(crate) use pipeline::{News, Waiting, advance, resend_pending};
pub use request::{Idempotency, NewButtons, NewContent, NewMedia, NewMessage, QuotedMessage};

pub use status::{Audience, NewStatus, StatusContent};

use crate::accounts::Caller;
use crate::error::ServiceError;
use crate::instances::Online;
use crate::{Instances, Shared, fresh_id};
use flowcore_domain::clock::Millis;
use flowcore_domain::id::ConversationId;
use flowcore_domain::instance::InstanceName;
use flowcore_domain::jid::{Jid, Number};
use flowcore_domain::message::{Content, DeliveryStatus, Draft, MessageKey, Outcome};
use flowcore_storage::{OutgoingInsert, OutgoingRow, StoredMessage, Turn};
use serde_json::json;
use std::sync::Arc;

/// Longest text that WhatsApp takes, in characters.
pub const MAX_TEXT: usize = 65_536;
/// Longest reaction, in bytes: one emoji with all that may be joined to it.
const MAX_REACTION: usize = 64;

/// What a caller learns of a message that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentView {
    /// WhatsApp's id of the message.
    pub message_id: String,
    /// WhatsApp has it.
    pub acknowledged: bool,
    /// WhatsApp refused it.
    pub failed: bool,
    /// Whom it went to.
    pub to: Jid,
    /// When it was taken.
    pub timestamp: Millis,
}

impl From<&StoredMessage> for SentView {
    fn from(message: &StoredMessage) -> Self {
        Self {
            message_id: message.wa_id.clone(),
            acknowledged: message.status >= DeliveryStatus::ServerAck,
            failed: message.status == DeliveryStatus::Error,
            to: message.chat.clone(),
            timestamp: message.created_at,
        }
    }
}

/// Sending.
#[derive(Debug, Clone)]
pub struct Messages {
    shared: Arc<Shared>,
    instances: Instances,
}

impl Messages {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let instances = Instances::new(Arc::clone(&shared));
        Self { shared, instances }
    }

    /// Sends a text; see [`Self::send`].
    ///
    /// # Errors
    /// Nothing was stored and nothing will be sent.
    pub async fn send_text(
        &self,
        caller: &Caller,
        name: &InstanceName,
        (number, text): (&str, &str),
        idempotency: Option<Idempotency>,
    ) -> Result<SentView, ServiceError> {
        let message = NewMessage::plain(number, NewContent::Text(text.to_owned()));
        let sent = self.send(caller, name, message, idempotency).await?;
        Ok(SentView::from(&sent))
    }

    /// Sends a message and waits a moment for WhatsApp's acknowledgement. Once the message is stored the
    /// answer is a success: it will be sent, also when the connection breaks right now. What comes back is
    /// the message as stored, with its status of now.
    ///
    /// # Errors
    /// Nothing was stored and nothing will be sent.
    pub async fn send(
        &self,
        caller: &Caller,
        name: &InstanceName,
        message: NewMessage,
        idempotency: Option<Idempotency>,
    ) -> Result<StoredMessage, ServiceError> {
        drafts::check(&message.content)?;
        let number = Number::parse(&message.to)?;
        let online = self.instances.online(caller, name).await?;
        let (to, alternative) =
            crate::numbers::resolve(&self.shared, &*online.session, number).await?;
        let draft = drafts::of(&self.shared, &online, to, &message).await?;
        drafts::show_typing(&online, &draft, message.delay).await;
        let idempotency =
            idempotency.map(|given| (scoped_key(caller, &given.key), given.body_hash));
        let to = (&draft.to, alternative.as_ref());
        let turn = told::turn(&self.shared, caller, (&online, to), message.take_over).await?;
        let extras = Extras { alternative, idempotency, turn, ..Extras::default() };
        dispatch(&self.shared, &online, &draft, extras).await
    }

    /// Reacts to a message; an empty reaction takes it back.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn react(
        &self,
        caller: &Caller,
        name: &InstanceName,
        key: MessageKey,
        emoji: &str,
    ) -> Result<StoredMessage, ServiceError> {
        if emoji.len() > MAX_REACTION {
            return Err(ServiceError::Invalid("a reaction is one emoji, or nothing".into()));
        }
        let online = self.instances.online(caller, name).await?;
        let (key, _) = drafts::known_key(&self.shared, &online, key).await?;
        let content = Content::Reaction { key: key.clone(), emoji: emoji.to_owned() };
        send_draft(&self.shared, &online, &Draft::plain(key.chat, content)).await
    }

    /// Gives a text of ours another wording. What comes back is the change, not the message.
    ///
    /// # Errors
    /// As [`Self::send`]; [`ServiceError::MessageNotFound`] when it is none of ours.
    pub async fn edit(
        &self,
        caller: &Caller,
        name: &InstanceName,
        key: MessageKey,
        text: &str,
    ) -> Result<StoredMessage, ServiceError> {
        drafts::check_text(text)?;
        let online = self.instances.online(caller, name).await?;
        let (key, _) = drafts::known_key(&self.shared, &online, key).await?;
        if !key.from_me {
            return Err(ServiceError::Invalid("only messages of one's own can be edited".into()));
        }
        let content = Content::Edit { key: key.clone(), text: text.to_owned() };
        let outcome = Outcome::Edited(json!({ "conversation": text }));
        self.change(&online, (key, content), outcome).await
    }

    /// Takes a message back for everyone: one of ours, or any of a group where the number is an admin. What
    /// comes back is the change, not the message.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn delete(
        &self,
        caller: &Caller,
        name: &InstanceName,
        key: MessageKey,
    ) -> Result<StoredMessage, ServiceError> {
        let online = self.instances.online(caller, name).await?;
        let (key, _) = drafts::known_key(&self.shared, &online, key).await?;
        if !key.from_me && !key.chat.is_group() {
            let why = "another's message can only be taken back in groups, by an admin";
            return Err(ServiceError::Invalid(why.into()));
        }
        let content = Content::Revoke { key: key.clone() };
        self.change(&online, (key, content), Outcome::Revoked).await
    }

    /// Sends a change of a message and applies it to what is stored.
    async fn change(
        &self,
        online: &Online,
        (key, content): (MessageKey, Content),
        outcome: Outcome,
    ) -> Result<StoredMessage, ServiceError> {
        let draft = Draft::plain(key.chat.clone(), content);
        let sent = send_draft(&self.shared, online, &draft).await?;
        if sent.status != DeliveryStatus::Error {
            let (store, instance) = (&self.shared.store, online.instance.id);
            store.apply_own_change(instance, key, outcome, sent.created_at).await?;
        }
        Ok(sent)
    }

    /// Passes a stored message on.
    ///
    /// # Errors
    /// As [`Self::send`]; [`ServiceError::MessageNotFound`] when it is not stored.
    pub async fn forward(
        &self,
        caller: &Caller,
        name: &InstanceName,
        to: &str,
        message_id: &str,
    ) -> Result<StoredMessage, ServiceError> {
        let number = Number::parse(to)?;
        let online = self.instances.online(caller, name).await?;
        let stored = self.shared.store.message(online.instance.id, message_id).await?;
        let stored = stored.ok_or(ServiceError::MessageNotFound)?;
        let (to, alternative) =
            crate::numbers::resolve(&self.shared, &*online.session, number).await?;
        let draft = Draft::plain(to, Content::Forward(stored.proto));
        let to = (&draft.to, alternative.as_ref());
        let turn = told::turn(&self.shared, caller, (&online, to), None).await?;
        dispatch(&self.shared, &online, &draft, Extras { alternative, turn, ..Extras::default() })
            .await
    }
}

/// Sends a draft that comes from another service.
pub(crate) async fn send_draft(
    shared: &Shared,
    online: &Online,
    draft: &Draft,
) -> Result<StoredMessage, ServiceError> {
    dispatch(shared, online, draft, Extras::default()).await
}

/// What a message has besides its draft.
#[derive(Default)]
struct Extras {
    /// The other address of the conversation.
    alternative: Option<Jid>,
    idempotency: Option<(String, [u8; 32])>,
    /// Who sees a status.
    recipients: Vec<Jid>,
    /// Its part in a conversation.
    turn: Option<Turn>,
    /// The support phone that it tells, and of whom.
    tells: Option<(String, ConversationId)>,
}

/// Composes, stores, sends.
async fn dispatch(
    shared: &Shared,
    online: &Online,
    draft: &Draft,
    extras: Extras,
) -> Result<StoredMessage, ServiceError> {
    let composed = online.session.compose(draft).await?;
    let row = OutgoingRow {
        row_id: fresh_id(),
        instance_id: online.instance.id,
        wa_id: fresh_message_id(),
        chat: draft.to.clone(),
        chat_alt: extras.alternative,
        sender: online.own.clone(),
        kind: composed.kind,
        content: composed.content,
        text: composed.text,
        context: composed.context,
        proto: composed.proto,
        recipients: extras.recipients,
        idempotency: extras.idempotency,
        turn: extras.turn,
        tells: extras.tells,
        now: shared.now(),
    };
    let mut message = pipeline::as_stored(&row);
    let waiting = pipeline::Acknowledgement::of(shared, &row.wa_id);
    let only = row.turn.as_ref().filter(|turn| turn.only_at.is_some());
    let floor = match only {
        Some(turn) => Some(shared.floors.speak(turn.conversation).await),
        None => None,
    };
    match shared.store.insert_outgoing(row).await? {
        OutgoingInsert::Inserted => {
            let instance = &online.instance;
            let whose = (instance.id, instance.user_id, &instance.name);
            let session = &*online.session;
            let written = pipeline::send_stored(shared, whose, session, &message).await?;
            drop(floor);
            let (status, acknowledged) = waiting.settled().await;
            if let (Some(written), Some(acknowledged)) = (written, acknowledged) {
                shared.acks.note(instance.id, acknowledged.saturating_duration_since(written));
            }
            message.status = status;
            Ok(message)
        }
        OutgoingInsert::Replayed(earlier) => Ok(*earlier),
        OutgoingInsert::IdempotencyConflict => Err(ServiceError::IdempotencyConflict),
        OutgoingInsert::NotYourTurn => Err(ServiceError::ConversationTaken),
    }
}

/// Two users may use the same key for different requests.
fn scoped_key(caller: &Caller, key: &str) -> String {
    format!("{}/{key}", caller.user_id)
}

/// An id of the shape that WhatsApp Web gives to its messages.
fn fresh_message_id() -> String {
    use std::fmt::Write;
    rand::random::<[u8; 9]>().iter().fold(String::from("3EB0"), |mut id, byte| {
        // Writing to a string can't fail.
        let _ = write!(id, "{byte:02X}");
        id
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_look_like_those_of_whatsapp_web() {
        let id = fresh_message_id();
        assert_eq!(flowcore_domain::message::source_of(&id), "web");
        assert_ne!(id, fresh_message_id());
    }
}
