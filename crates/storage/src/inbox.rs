//! The way in: messages that were decrypted, stored with everything they cause in one transaction.

use crate::Store;
use crate::contacts::{self, Acquaintance, Arrival, Sighting};
use crate::dialect::{self, Batch, Connection};
use crate::error::StorageError;
use crate::events::{self, Appending, StoredEvent};
use crate::jobs::{self, NewJob};
use crate::media;
use crate::messages::{self, StoredMessage};
use crate::pictures;
use crate::row::Record;
use flowcore_domain::clock::Millis;
use flowcore_domain::event::NewEvent;
use flowcore_domain::id::{InstanceId, MessageRowId};
use flowcore_domain::jid::Jid;
use flowcore_domain::message::{DeliveryStatus, InboundMessage};

/// A message and the event that tells of it.
#[derive(Debug, Clone)]
pub struct InboundRow {
    /// The row it gets.
    pub row_id: MessageRowId,
    /// The message.
    pub message: InboundMessage,
    /// What receivers are told.
    pub event: NewEvent,
    /// What they are told before, when nothing was known of the other person.
    pub introduction: Vec<NewEvent>,
    /// What they are told before, when the writer was known by another name. Its `profilePicUrl` becomes the
    /// picture that is stored.
    pub renamed: Option<NewEvent>,
    /// What they are told after.
    pub consequences: Vec<NewEvent>,
    /// Work that it causes; of this instance.
    pub jobs: Vec<NewJob>,
}

impl Store {
    /// Stores messages with chats, contacts, events and deliveries, all or nothing. A message that is
    /// there already (same instance, chat, sender and id) causes nothing; events of the others are
    /// returned.
    ///
    /// # Errors
    /// `NotFound` when the instance was deleted.
    pub async fn commit_inbound(
        &self,
        instance: InstanceId,
        rows: Vec<InboundRow>,
        now: Millis,
    ) -> Result<Vec<StoredEvent>, StorageError> {
        let committed = self.write(move |connection| {
            Box::pin(async move {
                if rows.is_empty() {
                    return Ok(Vec::new());
                }
                let numbers = rows.iter().map(InboundRow::most_events).sum();
                let mut events = Appending::begin(connection, instance, numbers, now).await?;
                let mut news = Vec::with_capacity(rows.len());
                let last = rows.len() - 1;
                for (index, row) in rows.into_iter().enumerate() {
                    let message = stored(instance, row.row_id, row.message, now);
                    if let Some((mut batch, known)) =
                        storing(connection, &message, (now, true)).await?
                    {
                        let before = match known {
                            Acquaintance::New => row.introduction,
                            Acquaintance::Renamed => {
                                pictured(connection, &message, row.renamed).await?
                            }
                            Acquaintance::Known => Vec::new(),
                        };
                        for event in before {
                            // Each by itself: whether one is the head of its chain depends on those before.
                            let mut batch = Batch::new();
                            news.push(events.append(event, &mut batch)?);
                            batch.execute(connection).await?;
                        }
                        news.push(events.append(row.event, &mut batch)?);
                        if index == last && row.consequences.is_empty() {
                            events.give_back(&mut batch);
                        }
                        batch.execute(connection).await?;
                        for event in row.consequences {
                            let mut batch = Batch::new();
                            news.push(events.append(event, &mut batch)?);
                            batch.execute(connection).await?;
                        }
                        for job in &row.jobs {
                            jobs::enqueuing(job, now)?.execute(&mut *connection).await?;
                        }
                    }
                }
                events.finish(connection).await?;
                Ok(news)
            })
        });
        committed.await.map_err(|error| match error {
            StorageError::NotFound(_) => StorageError::NotFound("the instance"),
            other => other,
        })
    }
}

impl InboundRow {
    fn most_events(&self) -> usize {
        let before = self.introduction.len().max(usize::from(self.renamed.is_some()));
        1 + before + self.consequences.len()
    }
}

/// The event about a writer's new name, with the picture that is stored of them.
async fn pictured(
    connection: &mut Connection,
    message: &StoredMessage,
    event: Option<NewEvent>,
) -> Result<Vec<NewEvent>, StorageError> {
    let Some(mut event) = event else { return Ok(Vec::new()) };
    let addresses = [Some(&message.sender), message.sender_alt.as_ref()];
    let addresses: Vec<String> = addresses.into_iter().flatten().map(Jid::to_string).collect();
    let found = pictures::of(message.instance_id, &addresses).fetch_optional(connection).await?;
    if let Some(row) = found {
        event.data["profilePicUrl"] = Record::new("pictures", &row).get::<String>("url")?.into();
    }
    Ok(vec![event])
}

/// Renders the events about messages of the past, from those that were not stored before.
pub type TellPast = Box<dyn FnOnce(&[StoredMessage]) -> Vec<NewEvent> + Send>;

impl Store {
    /// Stores messages of the time before a link, and the events that tell of those that are new. Nothing of it
    /// is unread.
    ///
    /// # Errors
    /// `NotFound` when the instance was deleted.
    pub async fn commit_past(
        &self,
        instance: InstanceId,
        (past, now): (Vec<(MessageRowId, InboundMessage)>, Millis),
        tell: TellPast,
    ) -> Result<Vec<StoredEvent>, StorageError> {
        self.write(move |connection| {
            Box::pin(async move {
                dialect::lock_instance(connection, instance).await?;
                let mut new = Vec::with_capacity(past.len());
                for (row_id, message) in past {
                    let message = stored(instance, row_id, message, now);
                    if let Some((batch, _)) = storing(connection, &message, (now, false)).await? {
                        batch.execute(connection).await?;
                        new.push(message);
                    }
                }
                let events = if new.is_empty() { Vec::new() } else { tell(&new) };
                events::append(connection, instance, now, events).await
            })
        })
        .await
    }
}

/// What stores one message and moves its chat up, and how well its writer was known; `None` when it is
/// there already. Its contact is stored at once.
async fn storing(
    connection: &mut Connection,
    message: &StoredMessage,
    (now, unread): (Millis, bool),
) -> Result<Option<(Batch, Acquaintance)>, StorageError> {
    let instance = message.instance_id;
    // The name in a stanza is the writer's; in one's own message it says nothing about the other side.
    let push_name = message.push_name.as_deref().filter(|_| !message.from_me);
    let chat = Sighting { address: &message.chat, alt: message.chat_alt.as_ref(), push_name };
    let found = contacts::chat_key_of_new(connection, message, chat, now).await?;
    let Some((chat_key, mut known)) = found else { return Ok(None) };
    if !message.from_me && contacts::is_person(&message.sender) && message.sender != message.chat {
        let sender =
            Sighting { address: &message.sender, alt: message.sender_alt.as_ref(), push_name };
        let (_, member) = contacts::resolve(connection, instance, sender, now).await?;
        if member == Acquaintance::Renamed {
            known = member;
        }
    }
    let mut batch = Batch::new();
    batch.add(messages::insertion(message, &chat_key)?);
    if let Some(media) = media::insertion(message) {
        batch.add(media);
    }
    batch.add(contacts::touching(&Arrival {
        instance,
        chat_key: &chat_key,
        address: &message.chat,
        unread: unread && !message.from_me,
        at: message.at,
    }));
    Ok(Some((batch, known)))
}

fn stored(
    instance_id: InstanceId,
    row_id: MessageRowId,
    message: InboundMessage,
    now: Millis,
) -> StoredMessage {
    // What is here was delivered here; what the owner wrote elsewhere is on WhatsApp's server.
    let status =
        if message.from_me { DeliveryStatus::ServerAck } else { DeliveryStatus::DeliveryAck };
    StoredMessage {
        row_id,
        instance_id,
        wa_id: message.id,
        chat: message.chat,
        chat_alt: message.chat_alt,
        sender: message.sender,
        sender_alt: message.sender_alt,
        from_me: message.from_me,
        addressing: message.addressing,
        push_name: message.push_name,
        kind: message.kind,
        content: message.content,
        text: message.text,
        context: message.context,
        proto: message.proto,
        status,
        at: Millis(message.timestamp.saturating_mul(1000)),
        sent_at: None,
        created_at: now,
        edited_at: None,
        revoked_at: None,
        recipients: Vec::new(),
    }
}
