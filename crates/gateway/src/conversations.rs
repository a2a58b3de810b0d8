//! What is stored of an instance's conversations, for who asks: messages, chats, people. Every answer is a
//! page of bounded length.

use crate::accounts::Caller;
use crate::error::ServiceError;
use crate::polls::{self, PollAnswer};
use crate::{Instances, Shared};
use flowcore_domain::id::MessageRowId;
use flowcore_domain::instance::InstanceName;
use flowcore_domain::jid::Jid;
use flowcore_storage::{
    ChatFilter, ChatOverview, Contact, ContactFilter, Label, MessageFilter, Page, StoredMessage,
};
use std::collections::HashMap;
use std::sync::Arc;

/// Most entries of one answer.
pub const MAX_ENTRIES: usize = 1000;

/// The stored conversations.
#[derive(Debug, Clone)]
pub struct Conversations {
    shared: Arc<Shared>,
    instances: Instances,
}

impl Conversations {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let instances = Instances::new(Arc::clone(&shared));
        Self { shared, instances }
    }

    /// A message by WhatsApp's id.
    ///
    /// # Errors
    /// [`ServiceError::InstanceNotFound`] also for those of others.
    pub async fn message(
        &self,
        caller: &Caller,
        name: &InstanceName,
        id: &str,
    ) -> Result<Option<StoredMessage>, ServiceError> {
        let instance = self.instances.find(caller, name).await?;
        Ok(self.shared.store.message(instance.id, id).await?)
    }

    /// How many messages pass the filter, and a page of them, newest first.
    ///
    /// # Errors
    /// [`ServiceError::InstanceNotFound`] also for those of others.
    pub async fn messages(
        &self,
        caller: &Caller,
        name: &InstanceName,
        filter: &MessageFilter,
        page: Page,
    ) -> Result<(i64, Vec<StoredMessage>), ServiceError> {
        let instance = self.instances.find(caller, name).await?;
        Ok(self.shared.store.find_messages(instance.id, filter, bounded(page)).await?)
    }

    /// Messages that hold all of these words, the last stored first, after the one that was shown last.
    ///
    /// # Errors
    /// [`ServiceError::InstanceNotFound`] also for those of others.
    pub async fn search(
        &self,
        caller: &Caller,
        name: &InstanceName,
        (words, before): (&str, Option<MessageRowId>),
        limit: usize,
    ) -> Result<Vec<StoredMessage>, ServiceError> {
        let instance = self.instances.find(caller, name).await?;
        let limit = limit.min(MAX_ENTRIES);
        Ok(self.shared.store.search_messages(instance.id, words, before, limit).await?)
    }

    /// A page of the conversations that pass the filter, the last active first.
    ///
    /// # Errors
    /// [`ServiceError::InstanceNotFound`] also for those of others.
    pub async fn chats(
        &self,
        caller: &Caller,
        name: &InstanceName,
        filter: &ChatFilter,
        page: Page,
    ) -> Result<Vec<ChatOverview>, ServiceError> {
        let instance = self.instances.find(caller, name).await?;
        Ok(self.shared.store.find_chats(instance.id, filter, bounded(page)).await?)
    }

    /// A page of the people that pass the filter, the longest known first.
    ///
    /// # Errors
    /// [`ServiceError::InstanceNotFound`] also for those of others.
    pub async fn contacts(
        &self,
        caller: &Caller,
        name: &InstanceName,
        filter: &ContactFilter,
        page: Page,
    ) -> Result<Vec<Contact>, ServiceError> {
        let instance = self.instances.find(caller, name).await?;
        Ok(self.shared.store.find_contacts(instance.id, filter, bounded(page)).await?)
    }

    /// The answers of a poll, with who chose each.
    ///
    /// # Errors
    /// [`ServiceError::MessageNotFound`] when no such poll is stored.
    pub async fn poll(
        &self,
        caller: &Caller,
        name: &InstanceName,
        id: &str,
    ) -> Result<Vec<PollAnswer>, ServiceError> {
        let instance = self.instances.find(caller, name).await?;
        let poll = self.shared.store.message(instance.id, id).await?;
        let poll = poll.ok_or(ServiceError::MessageNotFound)?;
        let votes = polls::votes(&self.shared, instance.id, &poll).await?;
        polls::tally(&poll.content, &votes).ok_or(ServiceError::MessageNotFound)
    }

    /// Where pictures are, of those of these addresses whose is known.
    ///
    /// # Errors
    /// [`ServiceError::InstanceNotFound`] also for those of others.
    pub async fn pictures(
        &self,
        caller: &Caller,
        name: &InstanceName,
        addresses: &[Jid],
    ) -> Result<HashMap<Jid, String>, ServiceError> {
        let instance = self.instances.find(caller, name).await?;
        Ok(self.shared.store.pictures(instance.id, addresses).await?)
    }

    /// What people call themselves, of those of these addresses whose name is known.
    ///
    /// # Errors
    /// [`ServiceError::InstanceNotFound`] also for those of others.
    pub async fn names(
        &self,
        caller: &Caller,
        name: &InstanceName,
        addresses: &[Jid],
    ) -> Result<HashMap<Jid, String>, ServiceError> {
        let instance = self.instances.find(caller, name).await?;
        Ok(self.shared.store.names(instance.id, addresses).await?)
    }

    /// The labels of an instance.
    ///
    /// # Errors
    /// [`ServiceError::InstanceNotFound`] also for those of others.
    pub async fn labels(
        &self,
        caller: &Caller,
        name: &InstanceName,
    ) -> Result<Vec<Label>, ServiceError> {
        let instance = self.instances.find(caller, name).await?;
        Ok(self.shared.store.labels(instance.id).await?)
    }
}

fn bounded(page: Page) -> Page {
    Page { take: page.take.min(MAX_ENTRIES), ..page }
}
