//! Customers who are handed over: what happens then, and what people do with them.
//!
//! An escalation is one transaction: the conversation is a person's, the row is in the list, the audit row
//! and the events are written, and so are the errands that tell the customer and each support phone. From
//! then on everything is done once, whatever becomes of the process.

use super::Support;
use super::errands::Errand;
use super::moves::{self, Move};
use crate::accounts::Caller;
use crate::error::ServiceError;
use crate::{Shared, fresh_id, turns};
use flowcore_domain::clock::Millis;
use flowcore_domain::conversation::{Role, Step};
use flowcore_domain::id::{ConversationId, EscalationId};
use flowcore_domain::instance::{Instance, InstanceName};
use flowcore_domain::jid::Jid;
use flowcore_domain::support::template::{Values, fill};
use flowcore_domain::support::{Answered, Reason, SupportConfig, after_answers, summary};
use flowcore_storage::{
    Conversation, Escalation, EscalationFilter, Moved, NewEscalation, Page, Said, StorageError,
};
use std::collections::HashMap;
use std::time::Duration;

/// So many of the last messages are looked at.
pub(super) const LOOK_BACK: usize = 30;
/// A customer is told so often within this time that a person comes: a machine that answers would hear it
/// for ever.
const TOLD: usize = 3;
const TOLD_WITHIN: Duration = Duration::from_secs(3600);
/// Most rows of an export.
const MAX_EXPORT: usize = 10_000;

/// Why a customer is handed over.
#[derive(Debug)]
pub(crate) struct Trigger {
    pub(crate) reason: Reason,
    pub(crate) keyword: Option<String>,
    /// By what or whom.
    pub(crate) cause: String,
    /// Only while the conversation has this version.
    pub(crate) expected: Option<i64>,
}

/// Which escalations a caller asks for.
#[derive(Debug, Clone, Default)]
pub struct EscalationQuery {
    /// Those of this number.
    pub instance: Option<InstanceName>,
    /// Those that are over, or are not; `None` for both.
    pub resolved: Option<bool>,
    /// Those with this reason.
    pub reason: Option<String>,
    /// Not before this time.
    pub from: Option<Millis>,
    /// Not after this time.
    pub to: Option<Millis>,
}

/// An escalation with the name of its instance.
#[derive(Debug, Clone)]
pub struct EscalationView {
    /// The escalation.
    pub escalation: Escalation,
    /// The name.
    pub instance: InstanceName,
}

/// Hands a customer over; false when that is so already.
pub(crate) async fn escalate(
    shared: &Shared,
    instance: &Instance,
    conversation: &Conversation,
    trigger: Trigger,
) -> Result<bool, StorageError> {
    let store = &shared.store;
    let config = store.support_config(instance.id).await?.unwrap_or_default();
    let said = store.said(conversation.id, None, LOOK_BACK).await?;
    let id: EscalationId = fresh_id();
    let who = customer(shared, conversation, &said).await?;
    let told = Telling { config: &config, conversation, who, said: &said, now: shared.now() };
    let jobs = told.errands(id, &trigger).into_iter().map(|one| one.job(instance.id, told.now));
    let change = Move {
        escalation: Some(NewEscalation {
            id,
            reason: trigger.reason.as_str(),
            keyword: trigger.keyword.clone(),
            summary: told.summary(),
        }),
        jobs: jobs.collect(),
        expected: trigger.expected,
        ..Move::of(conversation.id, Step::Escalate, trigger.cause.clone())
    };
    let moved = moves::make(shared, instance, change).await?;
    let Moved::Done { .. } = moved else { return Ok(false) };
    if told.phones().next().is_none() {
        tracing::warn!(instance = %instance.id, "a customer waits and no support phone can be told");
        store.alert_escalation(id, "there is no support phone to be told".to_owned()).await?;
    }
    Ok(true)
}

/// Name and number of who needs the person: of a group, whoever spoke last.
async fn customer(
    shared: &Shared,
    conversation: &Conversation,
    said: &[Said],
) -> Result<(String, String), StorageError> {
    let (mut name, mut phone) =
        (conversation.name.clone(), conversation.phone().map(str::to_owned));
    let last = said.iter().find(|one| one.role == Role::User).and_then(|one| one.message);
    if let Some(row) = last.filter(|_| conversation.chat.is_group())
        && let Some(message) = shared.store.message_by_row(row).await?
    {
        let mut addresses = std::iter::once(&message.sender).chain(&message.sender_alt);
        phone = addresses.find_map(Jid::phone).map(str::to_owned);
        name = message.push_name;
    }
    let phone = phone.unwrap_or_default();
    Ok((name.unwrap_or_else(|| phone.clone()), phone))
}

/// Hands a customer over when the assistant's last answers say that they need a person. Who took the
/// conversation over meanwhile keeps it.
pub(crate) async fn after_answer(
    shared: &Shared,
    instance: &Instance,
    conversation: &Conversation,
) -> Result<(), StorageError> {
    if !is_hearing(shared, instance, conversation).await? {
        return Ok(());
    }
    let said = shared.store.said(conversation.id, None, LOOK_BACK).await?;
    // An answer of several parts tells of itself in the first.
    let answers = said
        .iter()
        .filter(|one| one.metadata["by"] == "assistant" && one.metadata["part"].is_null());
    let answers: Vec<Answered> = answers
        .map(|one| Answered {
            wants_person: one.metadata["wantsPerson"] == true,
            unknown: one.metadata["unknown"] == true,
            failed: one.metadata["because"] == "fallback" || one.metadata["because"] == "limit",
        })
        .collect();
    let Some(reason) = after_answers(&answers) else { return Ok(()) };
    by_assistant(shared, instance, conversation, reason).await
}

/// Hands a customer over whom the assistant can't answer at all. Who took the conversation over meanwhile
/// keeps it.
pub(crate) async fn without_answer(
    shared: &Shared,
    instance: &Instance,
    conversation: &Conversation,
) -> Result<(), StorageError> {
    if !is_hearing(shared, instance, conversation).await? {
        return Ok(());
    }
    by_assistant(shared, instance, conversation, Reason::Failure).await
}

/// Whether customers of this conversation can be handed over.
async fn is_hearing(
    shared: &Shared,
    instance: &Instance,
    conversation: &Conversation,
) -> Result<bool, StorageError> {
    let attention = shared.attentions.of(&shared.store, instance.id).await?;
    Ok(attention.support && turns::is_heard(attention, &conversation.chat))
}

async fn by_assistant(
    shared: &Shared,
    instance: &Instance,
    conversation: &Conversation,
    reason: Reason,
) -> Result<(), StorageError> {
    let expected = Some(conversation.standing.version);
    let cause = "assistant".to_owned();
    let trigger = Trigger { reason, keyword: None, cause, expected };
    escalate(shared, instance, conversation, trigger).await?;
    Ok(())
}

/// What the customer and the phones are told.
struct Telling<'a> {
    config: &'a SupportConfig,
    conversation: &'a Conversation,
    /// The customer's name and number.
    who: (String, String),
    /// The latest first.
    said: &'a [Said],
    now: Millis,
}

impl Telling<'_> {
    fn summary(&self) -> String {
        summary(self.said.iter().map(|one| (one.role, one.content.as_str())))
    }

    /// The support phones but the customer's own.
    fn phones(&self) -> impl Iterator<Item = &str> {
        let others = self.config.phones.iter().map(|phone| phone.number.as_str());
        let own = &self.conversation.addresses;
        others.filter(|phone| *phone != self.who.1 && !super::relay::has_number(own, phone))
    }

    fn errands(&self, id: EscalationId, trigger: &Trigger) -> Vec<Errand> {
        let last = self.said.iter().find(|one| one.role == Role::User);
        let (name, phone) = (self.who.0.as_str(), self.who.1.as_str());
        let link = if phone.is_empty() { String::new() } else { format!("https://wa.me/{phone}") };
        let (summary, reason) =
            (self.summary(), trigger.reason.sentence(trigger.keyword.as_deref()));
        let values = Values {
            customer_name: name,
            customer_phone: phone,
            last_message: last.map_or("", |one| one.content.as_str()),
            summary: &summary,
            reason: &reason,
            link: &link,
        };
        let mut errands = Vec::new();
        if !self.was_told_enough() {
            let text = fill(self.customer_text(), &values);
            errands.push(Errand::to_customer(self.conversation.id, text, format!("told:{id}")));
        }
        let text = fill(&self.config.support_template, &values);
        errands.extend(self.phones().map(|phone| Errand {
            escalation: Some(id),
            ..Errand::to_phone(
                self.conversation.id,
                phone,
                text.clone(),
                format!("told:{id}:{phone}"),
            )
        }));
        errands
    }

    fn customer_text(&self) -> &str {
        match &self.config.business_hours {
            Some(hours) if !hours.message.trim().is_empty() && !hours.is_open(self.now) => {
                &hours.message
            }
            _ => &self.config.customer_template,
        }
    }

    fn was_told_enough(&self) -> bool {
        let told = self
            .said
            .iter()
            .filter(|one| one.metadata["by"] == "template" && one.at.plus(TOLD_WITHIN) > self.now);
        told.count() >= TOLD
    }
}

impl Support {
    /// A page of the escalations that a caller may see, the latest first.
    ///
    /// # Errors
    /// [`ServiceError::InstanceNotFound`] when one is asked for that they may not see.
    pub async fn escalations(
        &self,
        caller: &Caller,
        asked: EscalationQuery,
        page: Page,
    ) -> Result<Vec<EscalationView>, ServiceError> {
        let filter = EscalationFilter {
            user: caller.user_of_lists(),
            instances: self.scope(caller, asked.instance.as_ref()).await?,
            resolved: asked.resolved,
            reason: asked.reason,
            from: asked.from,
            to: asked.to,
        };
        let page = Page { take: page.take.min(MAX_EXPORT), ..page };
        let found = self.shared.store.find_escalations(&filter, page).await?;
        let mut names = HashMap::new();
        let mut shown = Vec::with_capacity(found.len());
        for escalation in found {
            let name = self.name_of(escalation.conversation.instance_id, &mut names).await?;
            shown.extend(name.map(|instance| EscalationView { escalation, instance }));
        }
        Ok(shown)
    }

    /// One escalation.
    ///
    /// # Errors
    /// [`ServiceError::EscalationNotFound`] also for those of others.
    pub async fn escalation(
        &self,
        caller: &Caller,
        id: EscalationId,
    ) -> Result<EscalationView, ServiceError> {
        let (escalation, instance) = self.find_escalation(caller, id).await?;
        Ok(EscalationView { escalation, instance: instance.name })
    }

    /// The person is done. A second time changes nothing.
    ///
    /// # Errors
    /// [`ServiceError::EscalationNotFound`] also for those of others.
    pub async fn resolve(
        &self,
        caller: &Caller,
        id: EscalationId,
        (note, hand_back): (Option<String>, bool),
    ) -> Result<EscalationView, ServiceError> {
        let (escalation, instance) = self.find_escalation(caller, id).await?;
        if escalation.resolved_at.is_none() {
            let step = Step::Resolve { hand_back };
            let change = Move { note, ..Move::of(escalation.conversation.id, step, caller.by()) };
            self.step(&instance, change).await?;
        }
        self.escalation(caller, id).await
    }

    /// The person was not done. A second time changes nothing.
    ///
    /// # Errors
    /// [`ServiceError::EscalationNotFound`] also for those of others; [`ServiceError::ConversationOver`]
    /// when the customer has another conversation by now.
    pub async fn reopen(
        &self,
        caller: &Caller,
        id: EscalationId,
    ) -> Result<EscalationView, ServiceError> {
        let (escalation, instance) = self.find_escalation(caller, id).await?;
        if escalation.resolved_at.is_some() {
            let change = Move::of(escalation.conversation.id, Step::Reopen, caller.by());
            self.step(&instance, Move { reopened: Some(id), ..change }).await?;
        }
        self.escalation(caller, id).await
    }

    /// Hands a customer over. A second time changes nothing.
    ///
    /// # Errors
    /// [`ServiceError::ConversationNotFound`] also for those of others; [`ServiceError::ConversationOver`].
    pub async fn escalate(
        &self,
        caller: &Caller,
        id: ConversationId,
    ) -> Result<super::ConversationView, ServiceError> {
        let (conversation, instance) = self.find(caller, id).await?;
        let reason = if caller.is_person() { Reason::Owner } else { Reason::Api };
        let cause = caller.by();
        let trigger = Trigger { reason, keyword: None, cause, expected: None };
        escalate(&self.shared, &instance, &conversation, trigger).await?;
        self.conversation(caller, id).await
    }

    async fn find_escalation(
        &self,
        caller: &Caller,
        id: EscalationId,
    ) -> Result<(Escalation, Instance), ServiceError> {
        let found = self.shared.store.escalation(id).await?;
        let escalation = found.ok_or(ServiceError::EscalationNotFound)?;
        let instance = self.shared.store.instance(escalation.conversation.instance_id).await?;
        let instance = instance.filter(|one| caller.sees(one));
        Ok((escalation, instance.ok_or(ServiceError::EscalationNotFound)?))
    }
}
