//! From a stored message to WhatsApp, and what WhatsApp tells of it.
//!
//! Happy path: the row is stored as pending → the session encrypts and writes it → `send.message` → the
//! acknowledgement moves it on and wakes who waits. A connection that breaks leaves it pending; after the
//! next login it goes out under the same id, from the same stored bytes.

use crate::Shared;
use crate::error::ServiceError;
use crate::outbox::render;
use flowcore_domain::clock::Millis;
use flowcore_domain::engine::Session;
use flowcore_domain::id::{InstanceId, UserId};
use flowcore_domain::instance::InstanceName;
use flowcore_domain::jid::{Jid, Server};
use flowcore_domain::message::{Addressing, DeliveryStatus, Outgoing};
use flowcore_storage::{OutgoingRow, StatusNews, StorageError, StoredMessage};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How long a caller waits for WhatsApp's acknowledgement before the answer is "pending".
const ACK_WITHIN: Duration = Duration::from_secs(5);
/// How many unacknowledged messages are sent again in one go after a login.
const RESEND_PAGE: usize = 500;

/// Callers that wait for an acknowledgement, by WhatsApp's id of their message.
#[derive(Debug, Default)]
pub(crate) struct Waiting(Mutex<HashMap<String, watch::Sender<Told>>>);

/// What is known of a message: how far it got, and when WhatsApp said so.
type Told = (DeliveryStatus, Option<Instant>);

/// Nothing yet.
const UNTOLD: Told = (DeliveryStatus::Pending, None);

impl Waiting {
    fn expect(&self, id: &str) -> watch::Receiver<Told> {
        let (sender, receiver) = watch::channel(UNTOLD);
        self.lock().insert(id.to_owned(), sender);
        receiver
    }

    fn tell(&self, id: &str, status: DeliveryStatus) {
        if let Some(sender) = self.lock().get(id) {
            let acknowledged = status > DeliveryStatus::Pending;
            sender.send_replace((status, acknowledged.then(Instant::now)));
        }
    }

    fn forget(&self, id: &str) {
        self.lock().remove(id);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, watch::Sender<Told>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A caller's wait for the acknowledgement of one message; ends also when the caller goes away.
pub(super) struct Acknowledgement<'a> {
    waiting: &'a Waiting,
    id: String,
    told: watch::Receiver<Told>,
}

impl<'a> Acknowledgement<'a> {
    /// Begins to wait; before the message is stored, since from then on it may be sent.
    pub(super) fn of(shared: &'a Shared, id: &str) -> Self {
        let waiting = &shared.waiting;
        Self { waiting, id: id.to_owned(), told: waiting.expect(id) }
    }

    /// Waits a moment for WhatsApp to have the message; when it said so, too.
    pub(super) async fn settled(mut self) -> Told {
        let settled = self.told.wait_for(|(status, _)| *status != DeliveryStatus::Pending);
        // In time or not: both are answers.
        match tokio::time::timeout(ACK_WITHIN, settled).await {
            Ok(Ok(told)) => *told,
            _ => UNTOLD,
        }
    }
}

impl Drop for Acknowledgement<'_> {
    fn drop(&mut self) {
        self.waiting.forget(&self.id);
    }
}

/// Whose messages: id, owner and name of the instance.
pub(super) type Whose<'a> = (InstanceId, UserId, &'a InstanceName);

/// A row about to be stored, as it will be read back.
pub(super) fn as_stored(row: &OutgoingRow) -> StoredMessage {
    let by_lid = row.chat.server() == Server::Lid;
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
        context: row.context.clone(),
        proto: row.proto.clone(),
        status: DeliveryStatus::Pending,
        at: row.now,
        sent_at: None,
        created_at: row.now,
        edited_at: None,
        revoked_at: None,
        recipients: row.recipients.clone(),
    }
}

/// Hands a stored message to the engine. A connection that breaks is no failure: the message stays
/// pending and goes out after the next login. What WhatsApp or the client refuses is marked as failed. Returns
/// when it was written.
pub(super) async fn send_stored(
    shared: &Shared,
    whose: Whose<'_>,
    session: &dyn Session,
    message: &StoredMessage,
) -> Result<Option<Instant>, ServiceError> {
    let outgoing = Outgoing {
        id: message.wa_id.clone(),
        to: message.chat.clone(),
        recipients: message.recipients.clone(),
        proto: message.proto.clone(),
    };
    let outcome = session.send(&outgoing).await;
    let word = match &outcome {
        Ok(_) => "written",
        Err(error) if error.is_retryable() => "waits",
        Err(_) => "refused",
    };
    metrics::counter!("flowcore_messages_sent_total", "outcome" => word).increment(1);
    match outcome {
        Ok(sent) => {
            let written = Instant::now();
            let events = vec![render::sent(message, sent.at)];
            let record = || shared.store.record_sent(message.row_id, sent.at, events.clone());
            // The message is on its way whatever becomes of this note.
            if let Some(stored) = shared.insist("that a message was sent", record).await {
                shared.outbox.published(whose.1, whose.2, &stored);
            }
            Ok(Some(written))
        }
        Err(error) if error.is_retryable() => {
            tracing::debug!(instance = %whose.0, %error, "a message waits for the next login");
            Ok(None)
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
    if let Err(error) = advance(shared, whose, &news).await {
        // It stays pending: the next login tries it again and is refused again.
        tracing::error!(instance = %whose.0, %error, "a failed message could not be marked");
    }
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
        if let Err(error) = resend(shared, (id, user_id, &name), &*session, message).await {
            tracing::warn!(instance = %id, %error, "a pending message could not be sent");
        }
    }
}

/// Sends one again, unless it is not to be said any more: whoever has its conversation by now waits.
async fn resend(
    shared: &Shared,
    whose: Whose<'_>,
    session: &dyn Session,
    message: &StoredMessage,
) -> Result<(), ServiceError> {
    let conversation = shared.store.conversation_of_chat(whose.0, &message.chat).await?;
    let _floor = match &conversation {
        Some(conversation) => Some(shared.floors.speak(conversation.id).await),
        None => None,
    };
    if conversation.is_some() {
        let now = shared.store.message_by_row(message.row_id).await?;
        if now.is_none_or(|now| now.status != DeliveryStatus::Pending) {
            return Ok(());
        }
    }
    send_stored(shared, whose, session, message).await.map(drop)
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
///
/// # Errors
/// When nothing was stored; then who waits is told all the same.
pub(crate) async fn advance(
    shared: &Shared,
    (id, user_id, name): Whose<'_>,
    news: &News,
) -> Result<(), StorageError> {
    for message_id in &news.ids {
        shared.waiting.tell(message_id, news.status);
    }
    let (participant, at) = (news.participant.clone(), news.at);
    let told = StatusNews {
        chat: news.chat.clone(),
        ids: news.ids.clone(),
        status: news.status,
        participant: participant.clone(),
        at,
    };
    let render = Box::new(move |message: &StoredMessage| {
        // Its acknowledgement may be quicker than our own note that it was sent.
        let sent = message.sent_at.is_none() && message.status > DeliveryStatus::Pending;
        let mut events: Vec<_> = sent.then(|| render::sent(message, at)).into_iter().collect();
        events.push(render::moved(message, message.status, participant.as_ref(), at));
        events
    });
    let moved = shared.store.advance_status(id, told, render).await?;
    let events: Vec<_> = moved.into_iter().map(|(_, event)| event).collect();
    shared.outbox.published(user_id, name, &events);
    Ok(())
}
