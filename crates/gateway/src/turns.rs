//! What happens to a message besides being told: it becomes a turn of the conversation with the customer.
//!
//! A message of an instance that has an assistant or support switched on is stored with a job `turn`. The
//! job notes it in the conversation, once, and then: what the owner wrote on the phone takes the conversation
//! over; a support contact's words go to the customer whom they are about; a customer who waits for a person
//! is passed on, and one who needs a person is handed over. The owner's own messages and the customers' are
//! chains of their own, so that a takeover waits for nothing that is made of a customer's message.

use crate::assistant::Assistant;
use crate::assistant::addressed::is_addressed;
use crate::jobs::{Failure, Work};
use crate::support::escalations::{self, Trigger};
use crate::support::moves::{self, Move};
use crate::support::relay;
use crate::{Shared, fresh_id};
use async_trait::async_trait;
use flowcore_domain::clock::Millis;
use flowcore_domain::conversation::{ConversationStatus, Owner, Role, Step};
use flowcore_domain::id::{InstanceId, MessageRowId};
use flowcore_domain::instance::Instance;
use flowcore_domain::jid::{Jid, Server};
use flowcore_domain::message::InboundMessage;
use flowcore_domain::support::keyword::Keywords;
use flowcore_domain::support::{Reason, SupportConfig, is_repeated};
use flowcore_storage::{
    Attention, ClaimedJob, Conversation, NewJob, Said, StorageError, Store, StoredMessage,
};
use lru::LruCache;
use serde_json::json;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

/// The kind of these jobs.
const TURN: &str = "turn";
/// How many are under way at once.
const AT_ONCE: usize = 16;
/// So many of the last messages tell whether the same is asked again.
const LOOK_BACK: usize = 20;
/// How many instances' switches are at hand.
const AT_HAND: NonZeroUsize = NonZeroUsize::new(10_000).expect("not zero");
/// What is sent as a message and says nothing to anybody.
const SILENT: [&str; 8] = [
    "reactionMessage",
    "encReactionMessage",
    "pollUpdateMessage",
    "pinInChatMessage",
    "keepInChatMessage",
    "protocolMessage",
    "senderKeyDistributionMessage",
    "unknown",
];

/// What is switched on, at hand: every message asks for it.
pub(crate) struct Attentions(Mutex<Known>);

struct Known {
    of: LruCache<InstanceId, Attention>,
    /// How often something changed: what was read before a change is not kept after it.
    changes: u64,
}

impl std::fmt::Debug for Attentions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Attentions(…)")
    }
}

impl Default for Attentions {
    fn default() -> Self {
        Self(Mutex::new(Known { of: LruCache::new(AT_HAND), changes: 0 }))
    }
}

impl Attentions {
    /// What is switched on for an instance.
    pub(crate) async fn of(
        &self,
        store: &Store,
        id: InstanceId,
    ) -> Result<Attention, StorageError> {
        let changes = {
            let mut known = self.lock();
            if let Some(known) = known.of.get(&id) {
                return Ok(*known);
            }
            known.changes
        };
        let found = store.attention(id).await?;
        let mut known = self.lock();
        if known.changes == changes {
            known.of.put(id, found);
        }
        Ok(found)
    }

    /// It has changed.
    pub(crate) fn forget(&self, id: InstanceId) {
        let mut known = self.lock();
        known.changes += 1;
        known.of.pop(&id);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether what is said in a chat is a conversation.
pub(crate) fn is_heard(attention: Attention, chat: &Jid) -> bool {
    match chat.server() {
        Server::Person | Server::Lid => attention.assistant || attention.support,
        Server::Group => attention.assistant && attention.groups,
        _ => false,
    }
}

/// The job that a message causes, if it causes one.
pub(crate) fn job_of(
    attention: Attention,
    instance_id: InstanceId,
    (row, message): (MessageRowId, &InboundMessage),
    due: Millis,
) -> Option<NewJob> {
    if !is_heard(attention, &message.chat) || SILENT.contains(&message.kind.as_str()) {
        return None;
    }
    let chat = crate::outbox::render::chain(&message.chat, message.chat_alt.as_ref());
    let ordering_key = if message.from_me { format!("own:{chat}") } else { chat };
    let payload = json!({ "message": row });
    Some(NewJob { instance_id, kind: TURN, ordering_key, payload, due })
}

/// Something that was said in a conversation just now.
pub(crate) struct Heard {
    /// On which number.
    pub(crate) instance: Instance,
    /// In which conversation, as it was when this was noted.
    pub(crate) conversation: Conversation,
    /// The message.
    pub(crate) message: StoredMessage,
}

/// Does the jobs.
pub(crate) struct Turns {
    pub(crate) shared: Arc<Shared>,
    pub(crate) assistant: Assistant,
}

#[async_trait]
impl Work for Turns {
    fn kinds(&self) -> &'static [&'static str] {
        &[TURN]
    }

    fn at_once(&self) -> usize {
        AT_ONCE
    }

    async fn work(&self, job: &ClaimedJob) -> Result<(), Failure> {
        let row = serde_json::from_value(job.payload["message"].clone());
        let row: MessageRowId = row.map_err(|error| Failure::Final(error.to_string()))?;
        let store = &self.shared.store;
        let message = store.message_by_row(row).await?;
        let instance = store.instance(job.instance_id).await?;
        // Deleted meanwhile: nothing is left to be done.
        let (Some(message), Some(instance)) = (message, instance) else { return Ok(()) };
        let chat = (&message.chat, message.chat_alt.as_ref());
        if is_own_chat(&instance, chat) {
            return Ok(());
        }
        let config = store.support_config(instance.id).await?.filter(|one| one.is_active);
        if let Some(config) = &config
            && let Some(phone) = relay::phone_of(&self.shared, config, (instance.id, chat)).await?
        {
            if message.from_me {
                return Ok(());
            }
            if let Some(about) = relay::subject(&self.shared, &phone, &message).await? {
                let said = (phone.as_str(), &message);
                return relay::from_support(&self.shared, &instance, said, &about).await;
            }
        }
        let conversation = store.open_conversation(instance.id, chat, self.shared.now()).await?;
        let heard = Heard { instance, conversation, message };
        if heard.message.from_me {
            self.owner_wrote(&heard).await
        } else {
            self.customer_wrote(&heard, config.as_ref()).await
        }
    }
}

impl Turns {
    /// The owner wrote on the phone: the conversation is a person's from now on.
    async fn owner_wrote(&self, heard: &Heard) -> Result<(), Failure> {
        let change = Move::of(heard.conversation.id, Step::TakeOver, "phone");
        moves::make(&self.shared, &heard.instance, change).await?;
        self.note(heard).await?;
        Ok(())
    }

    async fn customer_wrote(
        &self,
        heard: &Heard,
        config: Option<&SupportConfig>,
    ) -> Result<(), Failure> {
        let (is_new, text) = self.note(heard).await?;
        if let Some(config) = config.filter(|_| is_addressed(&heard.instance, &heard.message)) {
            self.support_hears(heard, config, (is_new, &text)).await?;
        }
        self.assistant.heard(&heard.instance, &heard.conversation, &heard.message).await?;
        Ok(())
    }

    async fn support_hears(
        &self,
        heard: &Heard,
        config: &SupportConfig,
        (is_new, text): (bool, &str),
    ) -> Result<(), Failure> {
        let standing = heard.conversation.standing;
        let trigger = self.trigger(heard, text).await?;
        if standing.status == ConversationStatus::Escalated {
            // What called the person is in what they were told.
            if is_new || trigger.is_none() {
                relay::to_support(&self.shared, heard, config).await?;
            }
        } else if let Some(trigger) = trigger
            && standing.owner != Owner::Human
        {
            let (instance, conversation) = (&heard.instance, &heard.conversation);
            escalations::escalate(&self.shared, instance, conversation, trigger).await?;
        }
        Ok(())
    }

    /// Why the customer needs a person, as far as their words tell.
    async fn trigger(&self, heard: &Heard, text: &str) -> Result<Option<Trigger>, Failure> {
        let store = &self.shared.store;
        let all = store.support_keywords(heard.instance.id).await?;
        let keywords = Keywords::new(all.iter().map(|one| one.keyword.as_str()));
        let trigger = |reason, keyword: Option<String>| Trigger {
            reason,
            keyword,
            cause: "customer".to_owned(),
            expected: None,
        };
        if let Some(keyword) = keywords.find(text) {
            return Ok(Some(trigger(Reason::Keyword, Some(keyword.to_owned()))));
        }
        let said = store.said(heard.conversation.id, None, LOOK_BACK).await?;
        let repeated = is_repeated(said.iter().map(|one| (one.role, one.content.as_str())));
        Ok(repeated.then(|| trigger(Reason::Repeated, None)))
    }

    /// Notes the message: whether it was not noted before, and what it says.
    async fn note(&self, heard: &Heard) -> Result<(bool, String), Failure> {
        let message = &heard.message;
        let (role, by) =
            if message.from_me { (Role::Human, "phone") } else { (Role::User, "customer") };
        let mut metadata = json!({ "by": by, "kind": message.kind });
        let mut content = message.text.clone().unwrap_or_default();
        let about = (heard.conversation.id, message);
        if let Some(spoken) = self.assistant.spoken(&heard.instance, about).await? {
            metadata["voice"] =
                json!({ "language": spoken.language, "durationMs": spoken.duration_ms });
            content = spoken.text;
        }
        let said = Said {
            id: fresh_id(),
            message: Some(message.row_id),
            role,
            content: content.clone(),
            metadata,
            at: message.created_at,
        };
        let is_new = self.shared.store.append_said(&heard.conversation, said).await?;
        Ok((is_new, content))
    }
}

/// Whether the other side of a chat is the number itself.
pub(crate) fn is_own_chat(instance: &Instance, (chat, alt): (&Jid, Option<&Jid>)) -> bool {
    let Some(own) = &instance.identity else { return false };
    let is_own = |jid: &Jid| *jid == own.jid || own.lid.as_ref() == Some(jid);
    is_own(chat) || alt.is_some_and(is_own)
}
