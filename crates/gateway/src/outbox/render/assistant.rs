//! The particulars of what the assistant did with a message, and of what it could not do.

use super::{chain, derived, event, record};
use flowcore_domain::clock::Millis;
use flowcore_domain::event::{EventKind, NewEvent};
use flowcore_domain::id::ConversationId;
use flowcore_storage::StoredMessage;
use serde_json::{Value, json};

/// A voice note was written down.
pub(crate) fn transcribed(
    message: &StoredMessage,
    conversation: ConversationId,
    (transcript, language, duration_ms): (&str, Option<&str>, Option<u64>),
    at: Millis,
) -> NewEvent {
    let data = json!({
        "transcript": transcript, "language": language, "durationMs": duration_ms,
    });
    told(EventKind::MessagesTranscribed, message, (conversation, data), at)
}

/// What a provider failed at.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Task {
    /// Answering.
    Answer,
    /// Writing down what was spoken.
    Transcription,
}

/// A provider failed for good: what the customer got in place of an answer, if anything.
pub(crate) fn failed(
    message: &StoredMessage,
    conversation: ConversationId,
    (task, code, said): (Task, &str, Option<&str>),
    at: Millis,
) -> NewEvent {
    let task = match task {
        Task::Answer => "answer",
        Task::Transcription => "transcription",
    };
    let data = json!({ "task": task, "code": code, "sentInstead": said });
    told(EventKind::AssistantFailed, message, (conversation, data), at)
}

/// The same of the same message is one event, however often it is told.
fn told(
    kind: EventKind,
    message: &StoredMessage,
    (conversation, mut data): (ConversationId, Value),
    at: Millis,
) -> NewEvent {
    let mut shown = record(message);
    data["key"] = shown["key"].take();
    data["pushName"] = shown["pushName"].take();
    data["conversationId"] = json!(conversation);
    data["instanceId"] = json!(message.instance_id.text());
    let chat = chain(&message.chat, message.chat_alt.as_ref());
    let named = format!("{} {} {}", kind.as_str(), message.row_id.text(), data["task"]);
    let id = derived(&named, message.at);
    NewEvent { id, ..event(message.instance_id, kind, &chat, at, data) }
}
