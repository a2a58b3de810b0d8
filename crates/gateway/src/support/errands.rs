//! What is sent so that people meet: templates to the customer, notices to support phones, and what they
//! write to each other. Each is a job with a key, so it is sent once; those to one recipient go in order.
//!
//! A phone that can't be reached holds up no other. It is tried again, and the list of who waits tells of
//! it.

use crate::error::ServiceError;
use crate::jobs::{Failure, Work};
use crate::messages::turn::{Spoken, address_of, speak};
use crate::{Shared, fresh_id};
use async_trait::async_trait;
use flowcore_domain::clock::Millis;
use flowcore_domain::conversation::Role;
use flowcore_domain::id::{ConversationId, EscalationId, InstanceId, MessageRowId};
use flowcore_domain::instance::Instance;
use flowcore_domain::message::Content;
use flowcore_storage::{ClaimedJob, Conversation, NewJob, Turn};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;

/// The kind of these jobs.
const ERRAND: &str = "errand";
/// How many are under way at once.
const AT_ONCE: usize = 16;
/// A recipient that was tried so often in vain is told of.
const IN_VAIN: i64 = 3;

/// Something to be sent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Errand {
    pub(crate) conversation: ConversationId,
    /// Where it is noted when it can't be sent.
    pub(crate) escalation: Option<EscalationId>,
    /// To this support phone; else to the customer.
    pub(crate) phone: Option<String>,
    pub(crate) text: String,
    /// This message is passed on, in place of the text.
    pub(crate) forward: Option<MessageRowId>,
    /// Two with the same key are one.
    pub(crate) key: String,
    /// Who says it to the customer.
    pub(crate) role: Role,
    /// What is noted of it in the conversation.
    pub(crate) metadata: Value,
}

impl Errand {
    /// A text of the owner's to the customer.
    pub(crate) fn to_customer(conversation: ConversationId, text: String, key: String) -> Self {
        Self {
            conversation,
            escalation: None,
            phone: None,
            text,
            forward: None,
            key,
            role: Role::Assistant,
            metadata: json!({ "by": "template" }),
        }
    }

    /// A text to a support phone.
    pub(crate) fn to_phone(
        conversation: ConversationId,
        phone: &str,
        text: String,
        key: String,
    ) -> Self {
        Self { phone: Some(phone.to_owned()), ..Self::to_customer(conversation, text, key) }
    }

    pub(crate) fn job(&self, instance_id: InstanceId, due: Millis) -> NewJob {
        let customer = || format!("customer:{}", self.conversation);
        NewJob {
            instance_id,
            kind: ERRAND,
            ordering_key: self.phone.clone().unwrap_or_else(customer),
            payload: json!(self),
            due,
        }
    }
}

/// Runs the errands.
pub(crate) struct Errands {
    pub(crate) shared: Arc<Shared>,
}

#[async_trait]
impl Work for Errands {
    fn kinds(&self) -> &'static [&'static str] {
        &[ERRAND]
    }

    fn at_once(&self) -> usize {
        AT_ONCE
    }

    async fn work(&self, job: &ClaimedJob) -> Result<(), Failure> {
        let errand: Errand = serde_json::from_value(job.payload.clone())
            .map_err(|error| Failure::Final(error.to_string()))?;
        let store = &self.shared.store;
        let conversation = store.conversation(errand.conversation).await?;
        let instance = store.instance(job.instance_id).await?;
        let (Some(conversation), Some(instance)) = (conversation, instance) else { return Ok(()) };
        let sent = self.run(&instance, &conversation, &errand).await;
        let Err(error) = sent else { return Ok(()) };
        let failure = failure_of(&error);
        if matches!(failure, Failure::Final(_)) || job.attempt >= IN_VAIN {
            self.alert(&instance, &errand, &error).await?;
        }
        Err(failure)
    }
}

impl Errands {
    async fn run(
        &self,
        instance: &Instance,
        conversation: &Conversation,
        errand: &Errand,
    ) -> Result<(), ServiceError> {
        let (to, alternative) = match &errand.phone {
            Some(phone) => address_of(&self.shared, instance, phone).await?,
            None => (conversation.chat.clone(), None),
        };
        let turn = errand.phone.is_none().then(|| Turn {
            conversation: conversation.id,
            only_at: None,
            id: fresh_id(),
            role: errand.role,
            metadata: errand.metadata.clone(),
        });
        let content = match errand.forward {
            Some(row) => match self.shared.store.message_by_row(row).await? {
                Some(message) => Content::Forward(message.proto),
                None => return Ok(()),
            },
            None => Content::Text { text: errand.text.clone(), preview: None },
        };
        let tells = errand.phone.clone().map(|phone| (phone, conversation.id));
        let key = Some(errand.key.clone());
        let spoken = Spoken { to, alternative, content, key, turn, tells };
        speak(&self.shared, instance, spoken).await?;
        Ok(())
    }

    /// Tells the owner that somebody could not be told.
    async fn alert(
        &self,
        instance: &Instance,
        errand: &Errand,
        error: &ServiceError,
    ) -> Result<(), Failure> {
        tracing::warn!(instance = %instance.id, %error, "a support phone or a customer can't be told");
        let Some(escalation) = errand.escalation else { return Ok(()) };
        let phone = errand.phone.as_deref().unwrap_or_default();
        let alert = format!("{phone} could not be told: {error}");
        Ok(self.shared.store.alert_escalation(escalation, alert).await?)
    }
}

fn failure_of(error: &ServiceError) -> Failure {
    let why = error.to_string();
    match error {
        ServiceError::NotConnected { .. }
        | ServiceError::TimedOut
        | ServiceError::Unavailable(_)
        | ServiceError::OverQuota(_) => Failure::Waits(why),
        ServiceError::NumberNotOnWhatsApp { .. }
        | ServiceError::InvalidNumber(_)
        | ServiceError::EmptyText
        | ServiceError::TextTooLong { .. }
        | ServiceError::IdempotencyConflict => Failure::Final(why),
        _ => Failure::Again(why),
    }
}
