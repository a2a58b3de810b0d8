//! The particulars of a conversation that changes hands.

use super::{chain, event};
use flowcore_domain::clock::Millis;
use flowcore_domain::conversation::{Standing, Step};
use flowcore_domain::event::{EventKind, NewEvent};
use flowcore_domain::id::EscalationId;
use flowcore_storage::Conversation;
use serde_json::{Map, Value, json};

/// What is told of a change besides the conversation.
#[derive(Debug)]
pub(crate) struct Why {
    pub(crate) step: Step,
    pub(crate) cause: String,
    /// Reason and keyword, when a customer waits from now on.
    pub(crate) reason: Option<(&'static str, Option<String>)>,
    pub(crate) note: Option<String>,
}

/// Somebody else answers, waits or is done: an escalation or its end first, then the owner where that is
/// another one.
pub(crate) fn moved_conversation(
    now: &Conversation,
    before: Standing,
    (escalation, why): (Option<EscalationId>, &Why),
    at: Millis,
) -> Vec<NewEvent> {
    let mut shown = Map::new();
    shown.insert("conversationId".into(), json!(now.id));
    shown.insert("remoteJid".into(), json!(now.chat));
    shown.insert("pushName".into(), json!(now.name));
    shown.insert("owner".into(), json!(now.standing.owner));
    shown.insert("previousOwner".into(), json!(before.owner));
    shown.insert("status".into(), json!(now.standing.status));
    shown.insert("cause".into(), json!(why.cause));
    let key = chain(&now.chat, None);
    let tell = |kind, more: Value| {
        let mut data = shown.clone();
        if let Value::Object(more) = more {
            data.extend(more);
        }
        event(now.instance_id, kind, &key, at, Value::Object(data))
    };
    let mut events = Vec::with_capacity(2);
    if let (Some((reason, keyword)), Some(escalation)) = (&why.reason, escalation) {
        let more = json!({ "escalationId": escalation, "reason": reason, "keyword": keyword });
        events.push(tell(EventKind::ConversationEscalated, more));
    } else if let Some(escalation) = escalation {
        let reopened = why.step == Step::Reopen;
        let kind = if reopened {
            EventKind::ConversationEscalated
        } else {
            EventKind::ConversationResolved
        };
        let more = if reopened {
            json!({ "escalationId": escalation, "reason": "reopened" })
        } else {
            json!({ "escalationId": escalation, "note": why.note })
        };
        events.push(tell(kind, more));
    }
    if now.standing.owner != before.owner {
        events.push(tell(EventKind::ConversationOwner, Value::Null));
    }
    events
}
