//! What happened to one message, and why: how far it got, what became of it in its conversation, the event that told
//! of it, which webhooks got that event and which did not, and what was noted on the way.

use crate::accounts::Caller;
use crate::error::ServiceError;
use crate::{Instances, Shared};
use flowcore_domain::clock::Millis;
use flowcore_domain::conversation::{Owner, Role};
use flowcore_domain::event::NewEvent;
use flowcore_domain::id::{ConversationId, EventId, WebhookId};
use flowcore_domain::instance::InstanceName;
use flowcore_domain::webhook::Webhook;
use flowcore_storage::{
    Delivery, Media, Note, Receipt, Said, StorageError, Store, StoredEvent, StoredMessage,
    Transition,
};
use std::collections::HashSet;
use std::sync::Arc;

/// How long notes are kept.
pub(crate) const KEEP: std::time::Duration = std::time::Duration::from_secs(7 * 24 * 3600);

/// How far a conversation is read on for the answer.
const LOOK_AHEAD: usize = 50;
/// Most changes of who answers that are looked through.
const CHANGES: usize = 1_000;

/// Finds out what happened to messages.
#[derive(Debug, Clone)]
pub struct Traces {
    shared: Arc<Shared>,
    instances: Instances,
}

/// What is known of a message's way.
#[derive(Debug, Clone)]
pub struct Trace {
    /// The message; `None` when only notes speak of it.
    pub message: Option<StoredMessage>,
    /// The file that comes with it.
    pub media: Option<Media>,
    /// In a group: how far it got to each member.
    pub receipts: Vec<Receipt>,
    /// What became of it in its conversation, when a customer wrote it there.
    pub turn: Option<TurnTaken>,
    /// The event that told of it, while events are kept.
    pub event: Option<StoredEvent>,
    /// Where the event goes or went.
    pub deliveries: Vec<Delivery>,
    /// The webhooks that did not get it.
    pub passed_over: Vec<(WebhookId, PassedOver)>,
    /// What was noted.
    pub notes: Vec<Note>,
}

/// What became of a customer's message in its conversation.
#[derive(Debug, Clone)]
pub struct TurnTaken {
    /// Which conversation.
    pub conversation: ConversationId,
    /// Who answered when it came.
    pub owner: Owner,
    /// What changed about that before the customer wrote again.
    pub changes: Vec<Transition>,
    /// The first that was said to the customer after it.
    pub answer: Option<Said>,
}

/// Why a webhook did not get an event, by what it is set to now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PassedOver {
    /// It was made after the event.
    MadeLater,
    /// It is switched off.
    Disabled,
    /// It does not want events of this kind.
    KindNotWanted,
    /// It does not want this chat, or not one's own messages.
    ChatLeftOut,
    /// It would get it today: it was set otherwise then, or the delivery was purged.
    NotKnown,
}

impl PassedOver {
    /// The word of the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MadeLater => "made_later",
            Self::Disabled => "disabled",
            Self::KindNotWanted => "event_not_wanted",
            Self::ChatLeftOut => "chat_left_out",
            Self::NotKnown => "not_known",
        }
    }

    fn of(webhook: &Webhook, event: &NewEvent) -> Self {
        if webhook.created_at > event.at {
            Self::MadeLater
        } else if !webhook.enabled {
            Self::Disabled
        } else if !(webhook.events.is_empty() || webhook.events.contains(&event.kind)) {
            Self::KindNotWanted
        } else if webhook.chats.passes(event) {
            Self::NotKnown
        } else {
            Self::ChatLeftOut
        }
    }
}

impl Traces {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let instances = Instances::new(Arc::clone(&shared));
        Self { shared, instances }
    }

    /// The way of the message with that id of WhatsApp.
    ///
    /// # Errors
    /// [`ServiceError::InstanceNotFound`] also for those of others, [`ServiceError::MessageNotFound`].
    pub async fn of(
        &self,
        caller: &Caller,
        name: &InstanceName,
        message_id: &str,
    ) -> Result<Trace, ServiceError> {
        let store = &self.shared.store;
        let instance = self.instances.find(caller, name).await?.id;
        let notes = store.notes(instance, message_id).await?;
        let Some(message) = store.message(instance, message_id).await? else {
            if notes.is_empty() {
                return Err(ServiceError::MessageNotFound);
            }
            return Ok(Trace::of_notes(notes));
        };
        let row = message.row_id;
        let event = store.event(EventId(row.0)).await?;
        let deliveries = store.deliveries_of(EventId(row.0)).await?;
        let reached: HashSet<_> = deliveries.iter().map(|delivery| delivery.webhook_id).collect();
        let mut passed_over = Vec::new();
        if let Some(stored) = &event {
            let hearing = store.webhooks_hearing(instance).await?;
            let others = hearing.iter().filter(|webhook| !reached.contains(&webhook.id));
            passed_over.extend(others.map(|one| (one.id, PassedOver::of(one, &stored.event))));
        }
        Ok(Trace {
            media: store.media(row).await?,
            turn: turn_taken(store, &message).await?,
            receipts: store.receipts(row).await?,
            message: Some(message),
            event,
            deliveries,
            passed_over,
            notes,
        })
    }
}

/// `None` where the message is in no conversation, or is the owner's own.
async fn turn_taken(
    store: &Store,
    message: &StoredMessage,
) -> Result<Option<TurnTaken>, StorageError> {
    if message.from_me {
        return Ok(None);
    }
    let Some((id, noted)) = store.noted(message.instance_id, message.row_id).await? else {
        return Ok(None);
    };
    let Some(conversation) = store.conversation(id).await? else { return Ok(None) };
    let next = store.said_after(id, noted.id, LOOK_AHEAD).await?;
    let again = next.iter().find(|one| one.role == Role::User).map(|one| one.at);
    let changes = store.transitions(id, CHANGES).await?;
    let (before, mut changes): (Vec<_>, Vec<_>) =
        changes.into_iter().partition(|one| one.at < noted.at);
    let owner = before.last().map(|one| one.owners.1);
    let owner = owner.or(changes.first().map(|one| one.owners.0));
    changes.retain(|one| again.is_none_or(|again| one.at <= again));
    Ok(Some(TurnTaken {
        conversation: id,
        owner: owner.unwrap_or(conversation.standing.owner),
        changes,
        answer: next.into_iter().find(|one| one.role != Role::User),
    }))
}

impl Trace {
    fn of_notes(notes: Vec<Note>) -> Self {
        Self {
            message: None,
            media: None,
            turn: None,
            receipts: vec![],
            event: None,
            deliveries: vec![],
            passed_over: vec![],
            notes,
        }
    }
}

impl Shared {
    /// Notes what was decided about a message. Nothing depends on a note: one that can't be stored is lost.
    pub(crate) async fn note(
        &self,
        instance: flowcore_domain::id::InstanceId,
        message_id: &str,
        step: &str,
        data: serde_json::Value,
    ) {
        let at: Millis = self.now();
        let note = Note { step: step.to_owned(), data, at };
        if let Err(error) = self.store.note(instance, message_id.to_owned(), note).await {
            tracing::debug!(%error, "a note about a message was not stored");
        }
    }
}
