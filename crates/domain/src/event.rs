//! The one vocabulary of events, for webhooks and live streams alike.
//!
//! Names are those of Evolution API 2.3.7, so that a product that listens to one can listen to the
//! other. [`Envelope`] is the body that receivers get.

use crate::clock::Millis;
use crate::id::{EventId, InstanceId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventKind {
    /// A message came in (or was written on another device of the owner).
    MessagesUpsert,
    /// A message of ours moved on: acknowledged, delivered, read, failed.
    MessagesUpdate,
    /// A message was sent through the API.
    SendMessage,
    /// The connection opened, closed, or is being made.
    ConnectionUpdate,
    /// There is a QR code to show.
    QrcodeUpdated,
    /// An instance was made.
    InstanceCreate,
    /// An instance was deleted.
    InstanceDelete,
    /// An instance was unlinked.
    LogoutInstance,
    /// A message was edited.
    MessagesEdited,
    /// A message was taken back.
    MessagesDelete,
    /// Somebody wrote for the first time.
    ContactsUpsert,
    /// Somebody is called otherwise.
    ContactsUpdate,
    /// Somebody came, went, types or stopped.
    PresenceUpdate,
    /// There is a new conversation.
    ChatsUpsert,
    /// A conversation was archived, pinned, muted or marked.
    ChatsUpdate,
    /// A conversation was deleted.
    ChatsDelete,
    /// The number is in a new group.
    GroupsUpsert,
    /// A group is called or set otherwise.
    GroupsUpdate,
    /// People came into a group, left it, or changed their rank.
    GroupParticipantsUpdate,
    /// A call rings or ends.
    Call,
    /// A label was made, changed or deleted.
    LabelsEdit,
    /// A label was put on a conversation or taken off.
    LabelsAssociation,
    /// The session of an instance ended for good.
    StatusInstance,
    /// A webhook was paused, resumed or switched off.
    WebhookUpdate,
    /// Messages of the history that the phone handed over.
    MessagesSet,
    /// People of that history.
    ContactsSet,
    /// Conversations of that history.
    ChatsSet,
    /// A message of ours was edited through the API.
    SendMessageUpdate,
    /// The number was taken off the server.
    RemoveInstance,
    /// The server started. Clients of Evolution choose it; it is never told, nor was it there.
    ApplicationStartup,
    /// A flow of Typebot began. Chosen by clients of Evolution; there is none here.
    TypebotStart,
    /// A flow of Typebot changed its state. As above.
    TypebotChangeStatus,
    /// A customer waits for a person.
    ConversationEscalated,
    /// The person is done.
    ConversationResolved,
    /// Somebody else answers a customer from now on.
    ConversationOwner,
    /// What was spoken in a voice note was written down.
    MessagesTranscribed,
    /// A customer's message was not answered, or a voice note not written down: a provider failed.
    AssistantFailed,
}

impl EventKind {
    /// Every kind, for tables and checks.
    pub const ALL: [Self; 37] = [
        Self::MessagesUpsert,
        Self::MessagesUpdate,
        Self::SendMessage,
        Self::ConnectionUpdate,
        Self::QrcodeUpdated,
        Self::InstanceCreate,
        Self::InstanceDelete,
        Self::LogoutInstance,
        Self::MessagesEdited,
        Self::MessagesDelete,
        Self::ContactsUpsert,
        Self::ContactsUpdate,
        Self::PresenceUpdate,
        Self::ChatsUpsert,
        Self::ChatsUpdate,
        Self::ChatsDelete,
        Self::GroupsUpsert,
        Self::GroupsUpdate,
        Self::GroupParticipantsUpdate,
        Self::Call,
        Self::LabelsEdit,
        Self::LabelsAssociation,
        Self::StatusInstance,
        Self::WebhookUpdate,
        Self::MessagesSet,
        Self::ContactsSet,
        Self::ChatsSet,
        Self::SendMessageUpdate,
        Self::RemoveInstance,
        Self::ApplicationStartup,
        Self::TypebotStart,
        Self::TypebotChangeStatus,
        Self::ConversationEscalated,
        Self::ConversationResolved,
        Self::ConversationOwner,
        Self::MessagesTranscribed,
        Self::AssistantFailed,
    ];

    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MessagesUpsert => "messages.upsert",
            Self::MessagesUpdate => "messages.update",
            Self::SendMessage => "send.message",
            Self::ConnectionUpdate => "connection.update",
            Self::QrcodeUpdated => "qrcode.updated",
            Self::InstanceCreate => "instance.create",
            Self::InstanceDelete => "instance.delete",
            Self::LogoutInstance => "logout.instance",
            Self::MessagesEdited => "messages.edited",
            Self::MessagesDelete => "messages.delete",
            Self::ContactsUpsert => "contacts.upsert",
            Self::ContactsUpdate => "contacts.update",
            Self::PresenceUpdate => "presence.update",
            Self::ChatsUpsert => "chats.upsert",
            Self::ChatsUpdate => "chats.update",
            Self::ChatsDelete => "chats.delete",
            Self::GroupsUpsert => "groups.upsert",
            Self::GroupsUpdate => "groups.update",
            Self::GroupParticipantsUpdate => "group-participants.update",
            Self::Call => "call",
            Self::LabelsEdit => "labels.edit",
            Self::LabelsAssociation => "labels.association",
            Self::StatusInstance => "status.instance",
            Self::WebhookUpdate => "webhook.update",
            Self::MessagesSet => "messages.set",
            Self::ContactsSet => "contacts.set",
            Self::ChatsSet => "chats.set",
            Self::SendMessageUpdate => "send.message.update",
            Self::RemoveInstance => "remove.instance",
            Self::ApplicationStartup => "application.startup",
            Self::TypebotStart => "typebot.start",
            Self::TypebotChangeStatus => "typebot.change-status",
            Self::ConversationEscalated => "conversation.escalated",
            Self::ConversationResolved => "conversation.resolved",
            Self::ConversationOwner => "conversation.owner",
            Self::MessagesTranscribed => "messages.transcribed",
            Self::AssistantFailed => "assistant.failed",
        }
    }

    /// Reads the wire's name or Evolution's selection name (`MESSAGES_UPSERT`). One of these differs from
    /// its wire name by a letter.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let folded = |name: &str| name.to_ascii_lowercase().replace(['.', '-', '_'], " ");
        let text = folded(text);
        let text = if text == "group update" { "groups update" } else { &text };
        Self::ALL.into_iter().find(|kind| folded(kind.as_str()) == text)
    }

    /// The last part of the URL when an endpoint wants one path per event: `messages-upsert`.
    #[must_use]
    pub fn slug(self) -> String {
        self.as_str().replace('.', "-")
    }
}

/// An event about to be written to the outbox.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// Its id, the same on every delivery.
    pub id: EventId,
    /// Whose event it is.
    pub instance_id: InstanceId,
    /// What happened.
    pub kind: EventKind,
    /// Events with the same key reach a receiver in order: the chat's address, or empty for those of
    /// the instance itself.
    pub ordering_key: String,
    /// When.
    pub at: Millis,
    /// The particulars, in the shape of the vocabulary.
    pub data: Value,
}

/// The body that a receiver gets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Envelope<'a> {
    /// The event's name.
    pub event: &'a str,
    /// The name of the instance.
    pub instance: &'a str,
    /// The particulars.
    pub data: Value,
    /// Where this copy goes.
    pub destination: &'a str,
    /// When it happened, in UTC.
    pub date_time: String,
    /// The instance's own address, once linked.
    pub sender: Option<String>,
    /// The address of this server.
    pub server_url: &'a str,
    /// Always null: a secret has no place in a body that is forwarded and logged.
    pub apikey: Option<String>,
    /// The event's id, the same in each copy and each attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its place among the events of its instance; a gap is what was filtered out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_of_a_name_are_read() {
        for kind in EventKind::ALL {
            assert_eq!(EventKind::parse(kind.as_str()), Some(kind));
            let selected = kind.as_str().replace(['.', '-'], "_").to_ascii_uppercase();
            assert_eq!(EventKind::parse(&selected), Some(kind));
        }
        assert_eq!(EventKind::parse("GROUP_UPDATE"), Some(EventKind::GroupsUpdate));
        assert_eq!(EventKind::GroupParticipantsUpdate.slug(), "group-participants-update");
        assert_eq!(EventKind::parse("no.such"), None);
        assert_eq!(EventKind::QrcodeUpdated.slug(), "qrcode-updated");
    }
}
