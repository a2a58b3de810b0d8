//! Sending, and what becomes of what was sent.
//!
//! A message is stored as pending before anything is encrypted, under an id that we choose. From then
//! on it is sent, or reported as failed, whatever happens to the process: after each login everything
//! that WhatsApp has not acknowledged is sent again with the same id, and the other phone shows it once.

mod known_numbers;

use crate::accounts::Caller;
use crate::error::ServiceError;
use crate::instances::actor::Handle;
use crate::outbox::render;
use crate::{Instances, Shared, fresh_id};
use flowcore_domain::clock::Millis;
use flowcore_domain::engine::Session;
use flowcore_domain::id::{InstanceId, UserId};
use flowcore_domain::instance::{Instance, InstanceName, Status};
use flowcore_domain::jid::{Jid, Number};
use flowcore_domain::message::{Addressing, DeliveryStatus, OutgoingText};
use flowcore_storage::{OutgoingInsert, OutgoingRow, StatusNews, StoredMessage};
use known_numbers::{Known, KnownNumbers};
use serde_json::json;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Longest text that WhatsApp takes, in characters.
pub const MAX_TEXT: usize = 65_536;
/// How long a caller waits for WhatsApp's acknowledgement before the answer is "pending".
const ACK_WITHIN: Duration = Duration::from_secs(5);
/// How many unacknowledged messages are sent again in one go after a login.
const RESEND_PAGE: usize = 500;

/// A caller's promise that two requests with the same key are the same request.
#[derive(Debug, Clone)]
pub struct Idempotency {
    /// The key.
    pub key: String,
    /// SHA-256 of the request.
    pub body_hash: [u8; 32],
}

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

/// Sending.
#[derive(Debug, Clone)]
pub struct Messages {
    shared: Arc<Shared>,
    instances: Instances,
    numbers: Arc<KnownNumbers>,
}

/// Callers that wait for an acknowledgement, by WhatsApp's id of their message.
#[derive(Debug, Default)]
pub(crate) struct Waiting(Mutex<HashMap<String, watch::Sender<DeliveryStatus>>>);

impl Waiting {
    fn expect(&self, id: &str) -> watch::Receiver<DeliveryStatus> {
        let (sender, receiver) = watch::channel(DeliveryStatus::Pending);
        self.lock().insert(id.to_owned(), sender);
        receiver
    }

    fn tell(&self, id: &str, status: DeliveryStatus) {
        if let Some(sender) = self.lock().get(id) {
            sender.send_replace(status);
        }
    }

    fn forget(&self, id: &str) {
        self.lock().remove(id);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, watch::Sender<DeliveryStatus>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends a wait also when the caller goes away.
struct WaitGuard<'a>(&'a Waiting, &'a str);

impl Drop for WaitGuard<'_> {
    fn drop(&mut self) {
        self.0.forget(self.1);
    }
}

/// Whose messages: id, owner and name of the instance.
type Whose<'a> = (InstanceId, UserId, &'a InstanceName);

impl Messages {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let instances = Instances::new(Arc::clone(&shared));
        Self { shared, instances, numbers: Arc::default() }
    }

    /// Sends a text and waits a moment for WhatsApp's acknowledgement. Once the message is stored the
    /// answer is a success: it will be sent, also when the connection breaks right now.
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
        check_text(text)?;
        let number = Number::parse(number)?;
        let instance = self.instances.find(caller, name).await?;
        let (handle, session) = self.online(&instance)?;
        let (to, alternative) = self.resolve(&*session, number).await?;
        let sender = handle.snapshot().identity.map(|who| who.jid);
        let row = OutgoingRow {
            row_id: fresh_id(),
            instance_id: instance.id,
            wa_id: fresh_message_id(),
            chat: to,
            chat_alt: alternative,
            sender: sender.ok_or(ServiceError::InstanceNotFound)?,
            kind: "conversation".into(),
            content: json!({ "conversation": text }),
            text: Some(text.to_owned()),
            proto: bytes::Bytes::new(),
            idempotency: idempotency.map(|given| (scoped_key(caller, &given.key), given.body_hash)),
            now: self.shared.now(),
        };
        let message = as_stored(&row);
        let id = row.wa_id.clone();
        let status = self.shared.waiting.expect(&id);
        let _guard = WaitGuard(&self.shared.waiting, &id);
        match self.shared.store.insert_outgoing(row).await? {
            OutgoingInsert::Inserted => {
                let whose = (instance.id, instance.user_id, &instance.name);
                let status = self.send_and_wait(whose, &*session, &message, status).await?;
                Ok(sent_view(&message, status))
            }
            OutgoingInsert::Replayed(message) => Ok(sent_view(&message, message.status)),
            OutgoingInsert::IdempotencyConflict => Err(ServiceError::IdempotencyConflict),
        }
    }

    /// The session of an instance that is online.
    fn online(&self, instance: &Instance) -> Result<(Handle, Arc<dyn Session>), ServiceError> {
        let offline = |status, reason| ServiceError::NotConnected { status, reason };
        let Some(handle) = self.shared.registry.get(instance.id) else {
            return Err(offline(instance.status, instance.reason));
        };
        let now = handle.snapshot();
        match handle.session() {
            Some(session) if now.status == Status::Connected => Ok((handle, session)),
            _ => Err(offline(now.status, now.reason)),
        }
    }

    /// The address behind a number, with the other one of the same person when known.
    async fn resolve(
        &self,
        session: &dyn Session,
        number: Number,
    ) -> Result<(Jid, Option<Jid>), ServiceError> {
        let digits = match number {
            Number::Address(jid) => return Ok((jid, None)),
            Number::Phone(digits) => digits,
        };
        let now = self.shared.now();
        let known = if let Some(known) = self.numbers.get(&digits, now) {
            known
        } else {
            let spellings = Number::spellings(&digits);
            let found = session.look_up(&spellings).await?;
            let first = spellings.iter().find_map(|one| found.iter().find(|a| a.phone == *one));
            let known = first.or(found.first()).cloned().map_or(Known::Missing, Known::Account);
            self.numbers.remember(digits.clone(), known.clone(), now);
            known
        };
        match known {
            Known::Account(account) => Ok((account.jid, account.lid)),
            Known::Missing => Err(ServiceError::NumberNotOnWhatsApp { number: digits }),
        }
    }

    async fn send_and_wait(
        &self,
        whose: Whose<'_>,
        session: &dyn Session,
        message: &StoredMessage,
        mut status: watch::Receiver<DeliveryStatus>,
    ) -> Result<DeliveryStatus, ServiceError> {
        send_stored(&self.shared, whose, session, message).await?;
        let settled = status.wait_for(|status| *status != DeliveryStatus::Pending);
        // In time or not: both are answers.
        Ok(match tokio::time::timeout(ACK_WITHIN, settled).await {
            Ok(Ok(status)) => *status,
            _ => DeliveryStatus::Pending,
        })
    }
}

/// A row about to be stored, as it will be read back.
fn as_stored(row: &OutgoingRow) -> StoredMessage {
    let by_lid = row.chat.server() == flowcore_domain::jid::Server::Lid;
    StoredMessage {
        row_id: row.row_id,
        instance_id: row.instance_id,
        wa_id: row.wa_id.clone(),
        chat: row.chat.clone(),
        chat_alt: row.chat_alt.clone(),
        sender: row.sender.clone(),
        sender_alt: None,
        from_me: true,
        addressing: if by_lid { Addressing::Lid } else { Addressing::Pn },
        push_name: None,
        kind: row.kind.clone(),
        content: row.content.clone(),
        text: row.text.clone(),
        context: None,
        proto: row.proto.clone(),
        status: DeliveryStatus::Pending,
        at: row.now,
        sent_at: None,
        created_at: row.now,
    }
}

/// Two users may use the same key for different requests.
fn scoped_key(caller: &Caller, key: &str) -> String {
    format!("{}/{key}", caller.user_id)
}

fn check_text(text: &str) -> Result<(), ServiceError> {
    if text.trim().is_empty() {
        return Err(ServiceError::EmptyText);
    }
    if text.chars().count() > MAX_TEXT {
        return Err(ServiceError::TextTooLong { limit: MAX_TEXT });
    }
    Ok(())
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

fn sent_view(message: &StoredMessage, status: DeliveryStatus) -> SentView {
    SentView {
        message_id: message.wa_id.clone(),
        acknowledged: status >= DeliveryStatus::ServerAck,
        failed: status == DeliveryStatus::Error,
        to: message.chat.clone(),
        timestamp: message.created_at,
    }
}

/// Hands a stored message to the engine. A connection that breaks is no failure: the message stays
/// pending and goes out after the next login. What WhatsApp or the client refuses is marked as failed.
async fn send_stored(
    shared: &Shared,
    whose: Whose<'_>,
    session: &dyn Session,
    message: &StoredMessage,
) -> Result<(), ServiceError> {
    let outgoing = OutgoingText {
        id: message.wa_id.clone(),
        to: message.chat.clone(),
        text: message.text.clone().unwrap_or_default(),
    };
    match session.send_text(&outgoing).await {
        Ok(sent) => {
            let events = vec![render::sent(message, sent.at)];
            let stored = shared.store.record_sent(message.row_id, sent.at, events).await?;
            shared.outbox.published(whose.1, whose.2, &stored);
            Ok(())
        }
        Err(error) if error.is_retryable() => {
            tracing::debug!(instance = %whose.0, %error, "a message waits for the next login");
            Ok(())
        }
        Err(error) => {
            fail(shared, whose, message).await;
            Err(error.into())
        }
    }
}

async fn fail(shared: &Shared, whose: Whose<'_>, message: &StoredMessage) {
    let news = News {
        chat: Some(message.chat.clone()),
        ids: vec![message.wa_id.clone()],
        status: DeliveryStatus::Error,
        participant: None,
        at: shared.now(),
    };
    status_news(shared, whose, news).await;
}

/// Sends again what WhatsApp has not acknowledged. Called after each login.
pub(crate) async fn resend_pending(
    shared: &Shared,
    (id, user_id, name): (InstanceId, UserId, InstanceName),
    session: Arc<dyn Session>,
) {
    let pending = match shared.store.unacknowledged(id, RESEND_PAGE).await {
        Ok(pending) => pending,
        Err(error) => {
            tracing::error!(instance = %id, %error, "pending messages could not be read");
            return;
        }
    };
    for message in &pending {
        if let Err(error) = send_stored(shared, (id, user_id, &name), &*session, message).await {
            tracing::warn!(instance = %id, %error, "a pending message could not be sent");
        }
    }
}

/// What WhatsApp tells of messages of ours.
pub(crate) struct News {
    pub(crate) chat: Option<Jid>,
    pub(crate) ids: Vec<String>,
    pub(crate) status: DeliveryStatus,
    pub(crate) participant: Option<Jid>,
    pub(crate) at: Millis,
}

/// Moves messages of ours on, tells who watches and who waits.
pub(crate) async fn status_news(shared: &Shared, (id, user_id, name): Whose<'_>, news: News) {
    let News { chat, ids, status, participant, at } = news;
    let told = StatusNews { chat, ids: ids.clone(), status, participant: participant.clone(), at };
    let render = Box::new(move |message: &StoredMessage, status: DeliveryStatus| {
        render::moved(message, status, participant.as_ref(), at)
    });
    match shared.store.advance_status(id, told, render).await {
        Ok(moved) => {
            let events: Vec<_> = moved.into_iter().map(|(_, event)| event).collect();
            shared.outbox.published(user_id, name, &events);
        }
        Err(error) => tracing::error!(instance = %id, %error, "a receipt could not be stored"),
    }
    for message_id in &ids {
        shared.waiting.tell(message_id, status);
    }
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

    #[test]
    fn empty_and_endless_texts_are_refused() {
        assert!(matches!(check_text(" \n"), Err(ServiceError::EmptyText)));
        assert!(matches!(
            check_text(&"x".repeat(MAX_TEXT + 1)),
            Err(ServiceError::TextTooLong { .. })
        ));
        assert!(check_text("hi").is_ok());
    }
}
