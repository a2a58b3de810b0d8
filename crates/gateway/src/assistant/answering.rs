//! Answering customers: a durable job per message, due when the debounce is over.
//!
//! Happy path: the turn notes a message and [`Assistant::heard`] stores a job → when it is due, the job of
//! the last message of a burst answers for all of it ([`plan`]) → passages, prompt, model ([`composing`]) →
//! each bubble goes out under the job's key and only while the conversation stands as it did.
//!
//! *It is killed in between:* nothing sent: it is composed anew; some sent: the first bubble carries them all
//! in its note, and the rest goes out as it was. *Somebody takes over:* what is composed is dropped, and the
//! store refuses what is about to be sent. *The provider fails:* once more a little later, then the owner's
//! fallback text, or silence. The chain of jobs is the conversation, so that two answers never overlap.
//!
//! [`plan`]: flowcore_domain::assistant::plan
//! [`composing`]: super::composing

use super::addressed::is_addressed;
use super::composing::Composed;
use super::matter::{self, Matter};
use super::{Assistant, ModelError, attempt, summary};
use crate::error::ServiceError;
use crate::instances::online_now;
use crate::jobs::{Failure, Work};
use crate::messages::turn::{Spoken, speak};
use crate::outbox::render::Task;
use crate::support::escalations;
use crate::support::moves::{self, Move};
use crate::{Shared, fresh_id};
use async_trait::async_trait;
use flowcore_domain::assistant::plan::{Due, Situation};
use flowcore_domain::assistant::{AssistantConfig, manners};
use flowcore_domain::conversation::{Owner, Role, Step};
use flowcore_domain::id::{ConversationId, MessageRowId};
use flowcore_domain::instance::Instance;
use flowcore_domain::message::Content;
use flowcore_storage::{ClaimedJob, Conversation, NewJob, StorageError, StoredMessage, Turn};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// The kind of these jobs.
const ANSWER: &str = "answer";
/// How many are under way at once: most of their time they wait for a provider.
const AT_ONCE: usize = 32;
/// How much of a conversation is looked at.
const LOOK_BACK: usize = 120;
const HOUR: Duration = Duration::from_secs(3600);
/// A provider that fails passingly is tried by so many attempts of the job before the fallback is sent.
const PROVIDER_ATTEMPTS: i64 = 2;

/// Does the jobs.
pub(crate) struct Answers {
    pub(crate) assistant: Assistant,
}

/// What is to be sent.
pub(super) enum Reply {
    /// Nothing.
    Silence,
    /// Nothing, for want of anything to say: somebody else has to answer.
    Unable,
    /// These, with what is known of them.
    Bubbles(Vec<String>, Value),
}

impl Assistant {
    /// A customer wrote: an answer is due after the debounce, when the assistant has the conversation. Who
    /// asks to be left alone is, at once.
    pub(crate) async fn heard(
        &self,
        instance: &Instance,
        conversation: &Conversation,
        message: &StoredMessage,
    ) -> Result<(), StorageError> {
        if conversation.standing.owner != Owner::Ai || !is_addressed(instance, message) {
            return Ok(());
        }
        let stored = self.shared.store.assistant(message.instance_id).await?;
        let Some(config) = stored.map(|stored| stored.config).filter(|config| config.is_active)
        else {
            return Ok(());
        };
        let phone = conversation.phone();
        if phone.is_some_and(|phone| config.ignored_contacts.iter().any(|one| one == phone)) {
            return Ok(());
        }
        if manners::opts_out(message.text.as_deref().unwrap_or_default(), &config.opt_out_words) {
            let change = Move::of(conversation.id, Step::Pause, "opt-out word");
            moves::make(&self.shared, instance, change).await?;
            return Ok(());
        }
        let now = self.shared.now();
        let job = NewJob {
            instance_id: message.instance_id,
            kind: ANSWER,
            ordering_key: conversation.id.text(),
            payload: json!({ "conversation": conversation.id, "message": message.row_id }),
            due: now.plus(Duration::from_millis(u64::from(config.pacing.debounce_ms))),
        };
        self.shared.store.enqueue_jobs(vec![job], now).await?;
        self.shared.bell.ring();
        Ok(())
    }
}

#[async_trait]
impl Work for Answers {
    fn kinds(&self) -> &'static [&'static str] {
        &[ANSWER]
    }

    fn at_once(&self) -> usize {
        AT_ONCE
    }

    async fn work(&self, job: &ClaimedJob) -> Result<(), Failure> {
        let Some(matter) = self.matter(job).await? else { return Ok(()) };
        let (reply, begun) = match matter.begun() {
            Some(begun) => (begun, true),
            None => (self.reply(&matter).await?, false),
        };
        let (bubbles, metadata) = match reply {
            Reply::Silence => return Ok(()),
            Reply::Unable => {
                let about = (&matter.instance, &matter.conversation);
                return Ok(escalations::without_answer(self.shared(), about.0, about.1).await?);
            }
            Reply::Bubbles(bubbles, metadata) => (bubbles, metadata),
        };
        self.send(&matter, &bubbles, (metadata, begun)).await?;
        escalations::after_answer(self.shared(), &matter.instance, &matter.conversation).await?;
        summary::keep_up(&self.assistant, &matter).await;
        Ok(())
    }
}

impl Answers {
    fn shared(&self) -> &Arc<Shared> {
        &self.assistant.shared
    }

    /// What the job is about; `None` when nothing is to be done any more.
    async fn matter(&self, job: &ClaimedJob) -> Result<Option<Matter>, Failure> {
        let store = &self.shared().store;
        let read = |error: serde_json::Error| Failure::Final(error.to_string());
        let id = serde_json::from_value(job.payload["conversation"].clone());
        let id: ConversationId = id.map_err(read)?;
        let row = serde_json::from_value(job.payload["message"].clone());
        let row: MessageRowId = row.map_err(read)?;
        let conversation = store.conversation(id).await?;
        let instance = store.instance(job.instance_id).await?;
        let assistant = store.assistant(job.instance_id).await?;
        let (Some(conversation), Some(instance), Some(assistant)) =
            (conversation, instance, assistant)
        else {
            return Ok(None);
        };
        if conversation.standing.owner != Owner::Ai || !assistant.config.is_active {
            return Ok(None);
        }
        let mut said = store.said(id, None, LOOK_BACK).await?;
        said.reverse();
        let mut said = matter::in_order(said);
        let summary = store.conversation_summary(id).await?;
        if let Some(summary) = &summary {
            said.retain(|one| one.id > summary.up_to);
        }
        let Some(at) = said.iter().position(|one| one.message == Some(row)) else {
            return Ok(None);
        };
        let (job, attempt) = (job.id.to_string(), job.attempt);
        Ok(Some(Matter { instance, conversation, assistant, summary, said, at, job, attempt }))
    }

    /// What the message calls for.
    async fn reply(&self, matter: &Matter) -> Result<Reply, Failure> {
        let config = &matter.assistant.config;
        let (said, now) = (matter.dated(None), self.shared().now());
        let debounce = Duration::from_millis(u64::from(config.pacing.debounce_ms));
        let situation = Situation { said: &said, at: matter.at, debounce, now };
        // What others of a group write is not for us: nothing of it is waited for.
        let in_group = matter.conversation.chat.is_group();
        let due = if in_group { situation.unanswered() } else { situation.due() };
        if due == Due::Nothing {
            return Ok(Reply::Silence);
        }
        if matter.replies_since(now.0 - millis(HOUR)) >= config.pacing.max_replies_per_contact_hour
        {
            tracing::info!(conversation = %matter.conversation.id, "answered often enough this hour");
            return Ok(Reply::Silence);
        }
        if manners::is_looping(&said, now) {
            tracing::warn!(conversation = %matter.conversation.id, "the other side seems to be a machine");
            return Ok(Reply::Silence);
        }
        if matter.is_deaf() {
            return Ok(one(&config.voice_message_default_response, "voice"));
        }
        // What can't be sent now is not asked for: it would be asked for again.
        online_now(self.shared(), matter.instance.clone())
            .map_err(|error| Failure::Waits(error.to_string()))?;
        if !self.may_spend(matter).await? {
            return Ok(limit_notice(matter));
        }
        self.composed(matter).await
    }

    /// Whether month and quota have room for one more answer; counts it.
    async fn may_spend(&self, matter: &Matter) -> Result<bool, Failure> {
        let (store, now, id) = (&self.shared().store, self.shared().now(), matter.instance.id);
        if let Some(limit) = matter.assistant.config.monthly_cost_limit
            && super::composing::money(store.ai_spending(id, now).await?.micros) >= limit
        {
            return Ok(false);
        }
        match store.spend_ai_reply(id, now).await {
            Ok(()) => Ok(true),
            Err(StorageError::OverQuota(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn composed(&self, matter: &Matter) -> Result<Reply, Failure> {
        let config = &matter.assistant.config;
        match attempt::compose(&self.assistant, matter).await {
            Ok(Some((composed, trace))) => {
                let Composed { bubbles, answer, said, .. } = composed;
                let metadata = json!({
                    "model": trace.model, "tokens": said.tokens, "cost": trace.cost,
                    "latencyMs": millis(said.took), "passages": trace.passages,
                    "unknown": answer.unknown, "wantsPerson": answer.person,
                    "withheld": answer.withheld,
                });
                if bubbles.is_empty() {
                    return Ok(fallback(config, "withheld"));
                }
                Ok(Reply::Bubbles(bubbles, metadata))
            }
            // Somebody took over meanwhile.
            Ok(None) => Ok(Reply::Silence),
            Err(ModelError::Stopped) => Err(Failure::Again("stopped".to_owned())),
            Err(error) => {
                let (store, now) = (&self.shared().store, self.shared().now());
                let owner = matter.instance.user_id;
                store.unspend(owner, flowcore_domain::quota::Quota::AiRepliesPerMonth, now).await?;
                if error.passes() && matter.attempt < PROVIDER_ATTEMPTS {
                    return Err(Failure::Again(error.to_string()));
                }
                tracing::error!(instance = %matter.instance.id, %error, "a customer is not answered");
                self.tell_failure(matter, &error).await?;
                Ok(fallback(config, "fallback"))
            }
        }
    }

    async fn tell_failure(&self, matter: &Matter, error: &ModelError) -> Result<(), Failure> {
        let Some(row) = matter.said[matter.at].message else { return Ok(()) };
        let Some(message) = self.shared().store.message_by_row(row).await? else { return Ok(()) };
        let about = (matter.conversation.id, &message);
        let what = (Task::Answer, error, matter.assistant.config.fallback_message.as_str());
        Ok(self.assistant.tell_failure(&matter.instance, about, what).await?)
    }

    async fn send(
        &self,
        matter: &Matter,
        bubbles: &[String],
        (metadata, begun): (Value, bool),
    ) -> Result<(), Failure> {
        let heard = matter.heard();
        for (part, text) in bubbles.iter().enumerate() {
            let mut metadata = if part == 0 { metadata.clone() } else { json!({}) };
            metadata["by"] = "assistant".into();
            metadata["heard"] = heard.clone();
            metadata["job"] = matter.job.as_str().into();
            if part == 0 && !begun {
                metadata["bubbles"] = json!(bubbles);
            } else if part > 0 {
                metadata["part"] = part.into();
            }
            let turn = Turn {
                conversation: matter.conversation.id,
                only_at: Some(matter.conversation.standing.version),
                id: fresh_id(),
                role: Role::Assistant,
                metadata,
            };
            let chat = &matter.conversation.chat;
            let spoken = Spoken {
                to: chat.clone(),
                alternative: matter.conversation.addresses.iter().find(|it| *it != chat).cloned(),
                content: Content::Text { text: text.clone(), preview: None },
                key: Some(format!("answer/{}/{part}", matter.job)),
                turn: Some(turn),
                tells: None,
            };
            match speak(self.shared(), &matter.instance, spoken).await {
                // The key is that of another text: this part went out as an earlier attempt had it.
                Ok(_) | Err(ServiceError::IdempotencyConflict) => {}
                Err(ServiceError::ConversationTaken) => return Ok(()),
                Err(error @ ServiceError::NotConnected { .. }) => {
                    return Err(Failure::Waits(error.to_string()));
                }
                Err(error @ ServiceError::OverQuota(_)) => {
                    return Err(Failure::Final(error.to_string()));
                }
                Err(error) => return Err(Failure::Again(error.to_string())),
            }
        }
        Ok(())
    }
}

/// The owner's fallback text, once: who goes on writing was told already.
fn limit_notice(matter: &Matter) -> Reply {
    let told = matter.said.iter().rev().find(|one| one.role == Role::Assistant);
    if told.is_some_and(|one| one.metadata["because"] == "limit") {
        return Reply::Unable;
    }
    fallback(&matter.assistant.config, "limit")
}

/// What the owner wants to be said in place of an answer.
fn fallback(config: &AssistantConfig, because: &str) -> Reply {
    match one(&config.fallback_message, because) {
        Reply::Silence => Reply::Unable,
        said => said,
    }
}

/// A text that was laid down beforehand; an empty one is silence.
fn one(text: &str, because: &str) -> Reply {
    if text.trim().is_empty() {
        return Reply::Silence;
    }
    Reply::Bubbles(vec![text.to_owned()], json!({ "because": because }))
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
