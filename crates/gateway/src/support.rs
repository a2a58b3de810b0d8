//! People who help: a conversation goes to one of them and comes back.
//!
//! [`moves`] is the only way in which the owner of a conversation changes; [`escalations`] hands customers over,
//! [`errands`] tells who has to know, [`relay`] passes on what customer and support contact write to each
//! other, [`timer`] sees to conversations in which nobody writes. [`Support`] is what callers may do.

pub(crate) mod errands;
pub(crate) mod escalations;
pub(crate) mod moves;
pub(crate) mod relay;
mod settings;
pub(crate) mod timer;

pub use escalations::{EscalationQuery, EscalationView};
pub use settings::{Held, SupportPatch};

use crate::accounts::Caller;
use crate::conversations::MAX_ENTRIES;
use crate::error::ServiceError;
use crate::messages::turn::{Spoken, speak};
use crate::{Instances, Shared, fresh_id};
use flowcore_domain::conversation::{ConversationStatus, Owner, Role, Step};
use flowcore_domain::id::{ConversationId, InstanceId, SaidId};
use flowcore_domain::instance::{Instance, InstanceName};
use flowcore_domain::message::Content;
use flowcore_storage::{
    Conversation, ConversationFilter, Moved, Page, Said, StorageError, StoredMessage, Transition,
    Turn,
};
use moves::Move;
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;

/// Which conversations a caller asks for.
#[derive(Debug, Clone, Default)]
pub struct ConversationQuery {
    /// Those of this number.
    pub instance: Option<InstanceName>,
    /// Those that stand so.
    pub status: Option<ConversationStatus>,
    /// Those that this one answers.
    pub owner: Option<Owner>,
}

/// A conversation with the name of its instance.
#[derive(Debug, Clone)]
pub struct ConversationView {
    /// The conversation.
    pub conversation: Conversation,
    /// The name.
    pub instance: InstanceName,
}

/// Conversations and the people who help in them.
#[derive(Debug, Clone)]
pub struct Support {
    shared: Arc<Shared>,
    instances: Instances,
}

impl Support {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let instances = Instances::new(Arc::clone(&shared));
        Self { shared, instances }
    }

    /// A page of the conversations that a caller may see, the last active first.
    ///
    /// # Errors
    /// [`ServiceError::InstanceNotFound`] when one is asked for that they may not see.
    pub async fn conversations(
        &self,
        caller: &Caller,
        asked: ConversationQuery,
        page: Page,
    ) -> Result<Vec<ConversationView>, ServiceError> {
        let filter = ConversationFilter {
            user: caller.user_of_lists(),
            instances: self.scope(caller, asked.instance.as_ref()).await?,
            status: asked.status,
            owner: asked.owner,
        };
        let page = Page { take: page.take.min(MAX_ENTRIES), ..page };
        let found = self.shared.store.find_conversations(&filter, page).await?;
        let mut names = HashMap::new();
        let mut shown = Vec::with_capacity(found.len());
        for conversation in found {
            let name = self.name_of(conversation.instance_id, &mut names).await?;
            shown.extend(name.map(|instance| ConversationView { conversation, instance }));
        }
        Ok(shown)
    }

    /// One conversation.
    ///
    /// # Errors
    /// [`ServiceError::ConversationNotFound`] also for those of others.
    pub async fn conversation(
        &self,
        caller: &Caller,
        id: ConversationId,
    ) -> Result<ConversationView, ServiceError> {
        let (conversation, instance) = self.find(caller, id).await?;
        Ok(ConversationView { conversation, instance: instance.name })
    }

    /// What was said in it, newest first.
    ///
    /// # Errors
    /// [`ServiceError::ConversationNotFound`] also for those of others.
    pub async fn said(
        &self,
        caller: &Caller,
        id: ConversationId,
        (before, limit): (Option<SaidId>, usize),
    ) -> Result<Vec<Said>, ServiceError> {
        self.find(caller, id).await?;
        Ok(self.shared.store.said(id, before, limit.min(MAX_ENTRIES)).await?)
    }

    /// Every change of who answers it.
    ///
    /// # Errors
    /// [`ServiceError::ConversationNotFound`] also for those of others.
    pub async fn transitions(
        &self,
        caller: &Caller,
        id: ConversationId,
    ) -> Result<Vec<Transition>, ServiceError> {
        self.find(caller, id).await?;
        Ok(self.shared.store.transitions(id, MAX_ENTRIES).await?)
    }

    /// A person answers from now on. A second time changes nothing.
    ///
    /// # Errors
    /// [`ServiceError::ConversationNotFound`]; [`ServiceError::ConversationOver`].
    pub async fn take_over(
        &self,
        caller: &Caller,
        id: ConversationId,
    ) -> Result<ConversationView, ServiceError> {
        let (conversation, instance) = self.find(caller, id).await?;
        self.step(&instance, Move::of(conversation.id, Step::TakeOver, caller.by())).await?;
        self.conversation(caller, id).await
    }

    /// The assistant answers again; a customer who waited does not any more. A second time changes nothing.
    ///
    /// # Errors
    /// [`ServiceError::ConversationNotFound`]; [`ServiceError::ConversationOver`].
    pub async fn release(
        &self,
        caller: &Caller,
        id: ConversationId,
    ) -> Result<ConversationView, ServiceError> {
        let (conversation, instance) = self.find(caller, id).await?;
        self.step(&instance, Move::of(conversation.id, Step::Release, caller.by())).await?;
        self.conversation(caller, id).await
    }

    /// A person writes to the customer, and has the conversation from then on.
    ///
    /// # Errors
    /// As for [`crate::Messages::send`]; [`ServiceError::ConversationNotFound`];
    /// [`ServiceError::ConversationOver`].
    pub async fn say(
        &self,
        caller: &Caller,
        id: ConversationId,
        text: &str,
    ) -> Result<StoredMessage, ServiceError> {
        let (conversation, instance) = self.find(caller, id).await?;
        self.step(&instance, Move::of(id, Step::TakeOver, caller.by())).await?;
        let turn = Turn {
            conversation: id,
            only_at: None,
            id: fresh_id(),
            role: Role::Human,
            metadata: json!({ "by": caller.by() }),
        };
        let spoken = Spoken {
            to: conversation.chat,
            alternative: None,
            content: Content::Text { text: text.to_owned(), preview: None },
            key: None,
            turn: Some(turn),
            tells: None,
        };
        speak(&self.shared, &instance, spoken).await
    }

    async fn step(&self, instance: &Instance, change: Move) -> Result<(), ServiceError> {
        match moves::make(&self.shared, instance, change).await {
            Ok(Moved::Done { .. } | Moved::Unchanged(_)) => Ok(()),
            Ok(Moved::Refused(_)) => Err(ServiceError::ConversationOver),
            Err(StorageError::NotFound(_)) => Err(ServiceError::ConversationNotFound),
            Err(StorageError::Conflict(_)) => Err(ServiceError::ConversationOver),
            Err(error) => Err(error.into()),
        }
    }

    /// The name of an instance; `None` when it is deleted at this moment, with all that is of it.
    async fn name_of(
        &self,
        id: InstanceId,
        known: &mut HashMap<InstanceId, InstanceName>,
    ) -> Result<Option<InstanceName>, ServiceError> {
        if !known.contains_key(&id)
            && let Some(instance) = self.shared.store.instance(id).await?
        {
            known.insert(id, instance.name);
        }
        Ok(known.get(&id).cloned())
    }

    async fn find(
        &self,
        caller: &Caller,
        id: ConversationId,
    ) -> Result<(Conversation, Instance), ServiceError> {
        let found = self.shared.store.conversation(id).await?;
        let conversation = found.ok_or(ServiceError::ConversationNotFound)?;
        let instance = self.shared.store.instance(conversation.instance_id).await?;
        let instance = instance.filter(|one| caller.sees(one));
        Ok((conversation, instance.ok_or(ServiceError::ConversationNotFound)?))
    }

    /// The only instances of a list; `None` for all of the caller's user.
    async fn scope(
        &self,
        caller: &Caller,
        name: Option<&InstanceName>,
    ) -> Result<Option<Vec<InstanceId>>, ServiceError> {
        match name {
            Some(name) => Ok(Some(vec![self.instances.find(caller, name).await?.id])),
            None => Ok(caller.only.as_ref().map(|only| only.to_vec())),
        }
    }
}
