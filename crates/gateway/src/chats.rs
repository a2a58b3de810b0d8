//! What is around messages: presence, typing, read marks, the state of conversations.

use crate::accounts::Caller;
use crate::error::ServiceError;
use crate::instances::Online;
use crate::messages::MAX_DELAY;
use crate::{Instances, Shared, numbers};
use flowcore_domain::engine::{Channel, LastMessage, Typing};
use flowcore_domain::instance::InstanceName;
use flowcore_domain::jid::{Jid, Number};
use flowcore_domain::message::MessageKey;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Most messages that are marked in one go.
const MAX_MARKED: usize = 1000;
/// Longest id of a label.
const MAX_LABEL: usize = 64;

/// Conversations.
#[derive(Debug, Clone)]
pub struct Chats {
    shared: Arc<Shared>,
    instances: Instances,
}

impl Chats {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let instances = Instances::new(Arc::clone(&shared));
        Self { shared, instances }
    }

    /// Shows the owner as there or not.
    ///
    /// # Errors
    /// When WhatsApp can't be told.
    pub async fn set_available(
        &self,
        caller: &Caller,
        name: &InstanceName,
        available: bool,
    ) -> Result<(), ServiceError> {
        let online = self.instances.online(caller, name).await?;
        Ok(online.session.set_available(available).await?)
    }

    /// Shows somebody that a message is being made, for a while.
    ///
    /// # Errors
    /// When the number is not on WhatsApp, or WhatsApp can't be told.
    pub async fn show_typing(
        &self,
        caller: &Caller,
        name: &InstanceName,
        number: &str,
        (typing, lasting): (Typing, Duration),
    ) -> Result<(), ServiceError> {
        let number = Number::parse(number)?;
        let online = self.instances.online(caller, name).await?;
        let (to, _) = numbers::resolve(&self.shared, &*online.session, number).await?;
        online.session.show_typing(&to, typing).await?;
        if typing != Typing::Paused && !lasting.is_zero() {
            let until = tokio::time::Instant::now() + lasting.min(MAX_DELAY);
            tokio::time::sleep_until(until).await;
            online.session.show_typing(&to, Typing::Paused).await?;
        }
        Ok(())
    }

    /// Tells the writers that their messages were read. Our own are left out.
    ///
    /// # Errors
    /// When WhatsApp can't be told.
    pub async fn mark_read(
        &self,
        caller: &Caller,
        name: &InstanceName,
        keys: &[MessageKey],
    ) -> Result<(), ServiceError> {
        let online = self.instances.online(caller, name).await?;
        for messages in &self.receipts(&online, keys).await? {
            online.session.mark_read(messages).await?;
            if let Some(key) = messages.first() {
                self.shared.store.mark_chat(online.instance.id, &key.chat, true).await?;
            }
        }
        Ok(())
    }

    /// Tells the writers that their voice messages and films were played. Our own are left out.
    ///
    /// # Errors
    /// When WhatsApp can't be told.
    pub async fn mark_played(
        &self,
        caller: &Caller,
        name: &InstanceName,
        keys: &[MessageKey],
    ) -> Result<(), ServiceError> {
        let online = self.instances.online(caller, name).await?;
        for messages in &self.receipts(&online, keys).await? {
            online.session.mark_played(messages).await?;
        }
        Ok(())
    }

    /// The channels that the owner follows.
    ///
    /// # Errors
    /// When WhatsApp can't be asked.
    pub async fn channels(
        &self,
        caller: &Caller,
        name: &InstanceName,
    ) -> Result<Vec<Channel>, ServiceError> {
        let online = self.instances.online(caller, name).await?;
        Ok(online.session.channels().await?)
    }

    /// The messages of others, by conversation and writer: a receipt is for one of each.
    async fn receipts(
        &self,
        online: &Online,
        keys: &[MessageKey],
    ) -> Result<Vec<Vec<MessageKey>>, ServiceError> {
        if keys.len() > MAX_MARKED {
            return Err(ServiceError::Invalid(format!("at most {MAX_MARKED} messages at once")));
        }
        let mut receipts: BTreeMap<(Jid, Option<Jid>), Vec<MessageKey>> = BTreeMap::new();
        for key in keys.iter().filter(|key| !key.from_me) {
            let key = self.as_received(online, key).await?;
            let receipt = (key.chat.clone(), key.participant.clone());
            receipts.entry(receipt).or_default().push(key);
        }
        Ok(receipts.into_values().collect())
    }

    /// Marks a conversation as read or unread on the owner's devices.
    ///
    /// # Errors
    /// [`ServiceError::MessageNotFound`] when nothing is known of the conversation.
    pub async fn mark(
        &self,
        caller: &Caller,
        name: &InstanceName,
        (chat, read): (&ChatRef, bool),
    ) -> Result<Jid, ServiceError> {
        let online = self.instances.online(caller, name).await?;
        let last = self.last(&online, chat).await?;
        online.session.mark_chat(&last, read).await?;
        self.shared.store.mark_chat(online.instance.id, &last.key.chat, read).await?;
        Ok(last.key.chat)
    }

    /// Puts a conversation into the archive or takes it out.
    ///
    /// # Errors
    /// [`ServiceError::MessageNotFound`] when nothing is known of the conversation.
    pub async fn archive(
        &self,
        caller: &Caller,
        name: &InstanceName,
        (chat, archived): (&ChatRef, bool),
    ) -> Result<Jid, ServiceError> {
        let online = self.instances.online(caller, name).await?;
        let last = self.last(&online, chat).await?;
        online.session.archive(&last, archived).await?;
        Ok(last.key.chat)
    }

    /// Puts a label on a conversation or takes it off.
    ///
    /// # Errors
    /// When the number is not on WhatsApp, or WhatsApp can't be told.
    pub async fn label(
        &self,
        caller: &Caller,
        name: &InstanceName,
        number: &str,
        (label, labeled): (&str, bool),
    ) -> Result<Jid, ServiceError> {
        if label.is_empty() || label.len() > MAX_LABEL {
            return Err(ServiceError::Invalid("name the label by its id".into()));
        }
        let number = Number::parse(number)?;
        let online = self.instances.online(caller, name).await?;
        let (chat, _) = numbers::resolve(&self.shared, &*online.session, number).await?;
        online.session.label_chat(&chat, label, labeled).await?;
        Ok(chat)
    }

    /// The key of a message as WhatsApp knows it: a reader's receipt goes to the address that the stanza
    /// came from.
    async fn as_received(
        &self,
        online: &Online,
        key: &MessageKey,
    ) -> Result<MessageKey, ServiceError> {
        let stored = self.shared.store.message(online.instance.id, &key.id).await?;
        Ok(stored.map_or_else(
            || key.clone(),
            |stored| MessageKey {
                participant: (stored.sender != stored.chat).then_some(stored.sender),
                chat: stored.chat,
                ..key.clone()
            },
        ))
    }

    async fn last(&self, online: &Online, chat: &ChatRef) -> Result<LastMessage, ServiceError> {
        let instance = online.instance.id;
        let given = match &chat.last {
            Some((id, _)) => self.shared.store.message(instance, id).await?,
            None => None,
        };
        let stored = match given {
            Some(stored) => Some(stored),
            None => self.shared.store.messages_of_chat(instance, &chat.jid, None, 1).await?.pop(),
        };
        if let Some(stored) = stored {
            let in_group = stored.chat.is_group() && !stored.from_me;
            let key = MessageKey {
                chat: stored.chat,
                from_me: stored.from_me,
                id: stored.wa_id,
                participant: in_group.then_some(stored.sender),
            };
            return Ok(LastMessage { key, timestamp: stored.at.seconds() });
        }
        let (id, from_me) = chat.last.clone().ok_or(ServiceError::MessageNotFound)?;
        let key = MessageKey { chat: chat.jid.clone(), from_me, id, participant: None };
        Ok(LastMessage { key, timestamp: self.shared.now().seconds() })
    }
}

/// A conversation, and its last message as far as the caller knows it.
#[derive(Debug, Clone)]
pub struct ChatRef {
    /// Which.
    pub jid: Jid,
    /// The id of its last message, and whether it was the owner's.
    pub last: Option<(String, bool)>,
}
