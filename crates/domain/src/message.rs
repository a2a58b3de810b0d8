//! Messages as Flowcore stores and reports them.
//!
//! WhatsApp's own protobuf is kept as it came; what lists, events and rules need is beside it. The
//! status of a message only ever moves forward: receipts arrive late, twice and in any order.

mod change;
mod outgoing;
mod past;

pub use change::{Inbound, MessageChange, Outcome};
pub use outgoing::{
    Button, Buttons, Composed, ContactCard, Content, Draft, GroupInvite, LinkPreview, List,
    ListRow, ListSection, Media, MediaKind, MessageKey, Outgoing, Quoted, Sent, UploadedFile,
};
pub use past::Past;

use crate::jid::Jid;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How far an outgoing message got. In the order in which it moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DeliveryStatus {
    /// Not sent and not going to be.
    Error,
    /// Accepted here, not yet by WhatsApp.
    Pending,
    /// WhatsApp's server has it.
    ServerAck,
    /// On the other phone.
    DeliveryAck,
    /// Seen.
    Read,
    /// Listened to.
    Played,
}

impl DeliveryStatus {
    /// The number under which it is stored; grows as the message moves on (Evolution's numbering).
    #[must_use]
    pub fn rank(self) -> u8 {
        match self {
            Self::Error => 0,
            Self::Pending => 1,
            Self::ServerAck => 2,
            Self::DeliveryAck => 3,
            Self::Read => 4,
            Self::Played => 5,
        }
    }

    /// Reads the stored number.
    #[must_use]
    pub fn from_rank(rank: u8) -> Option<Self> {
        Some(match rank {
            0 => Self::Error,
            1 => Self::Pending,
            2 => Self::ServerAck,
            3 => Self::DeliveryAck,
            4 => Self::Read,
            5 => Self::Played,
            _ => return None,
        })
    }

    /// The word of events and APIs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Pending => "PENDING",
            Self::ServerAck => "SERVER_ACK",
            Self::DeliveryAck => "DELIVERY_ACK",
            Self::Read => "READ",
            Self::Played => "PLAYED",
        }
    }

    /// The status after news of `other`: never backwards. A failure only counts while nothing better
    /// is known, and an acknowledgement that arrives after all heals it.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        match (self, other) {
            (Self::Pending, Self::Error) => Self::Error,
            (known, Self::Error) => known,
            (known, news) => known.max(news),
        }
    }
}

/// How a group or chat addresses people: by phone number or by private id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Addressing {
    /// By phone number.
    Pn,
    /// By private id.
    Lid,
}

/// A message that arrived (or that the owner wrote on another device), decrypted.
#[derive(Clone, PartialEq)]
pub struct InboundMessage {
    /// WhatsApp's id; unique only together with chat and sender.
    pub id: String,
    /// The conversation.
    pub chat: Jid,
    /// The other address of the conversation, when known (phone for a LID and the reverse).
    pub chat_alt: Option<Jid>,
    /// Who wrote it.
    pub sender: Jid,
    /// The writer's other address, when known.
    pub sender_alt: Option<Jid>,
    /// Written by the owner of the number, on the phone or another device.
    pub from_me: bool,
    /// How the stanza addressed people.
    pub addressing: Addressing,
    /// The writer's own name for themselves.
    pub push_name: Option<String>,
    /// When it was written, by WhatsApp's clock, in seconds.
    pub timestamp: i64,
    /// WhatsApp's protobuf, as it came.
    pub proto: Bytes,
    /// The message in the shape of Evolution's events (`{"conversation": …}`, `{"imageMessage": …}`).
    pub content: Value,
    /// Which kind it is, by the name of its field (`conversation`, `imageMessage`, …).
    pub kind: String,
    /// What lists and search show: text or caption.
    pub text: Option<String>,
    /// Quote and mentions, when there are any.
    pub context: Option<Value>,
}

/// Never shows content or addresses.
impl std::fmt::Debug for InboundMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InboundMessage")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .field("from_me", &self.from_me)
            .finish_non_exhaustive()
    }
}

/// Where a message was written, as far as its id tells.
#[must_use]
pub fn source_of(id: &str) -> &'static str {
    match (id.len(), id.get(..2)) {
        (20, Some("3A")) => "ios",
        (22, Some("3E")) => "web",
        (21 | 32, _) => "android",
        (_, Some("3F")) | (18, _) => "desktop",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_status() -> impl Strategy<Value = DeliveryStatus> {
        (0_u8..=5).prop_map(|rank| DeliveryStatus::from_rank(rank).expect("a rank"))
    }

    #[test]
    fn the_source_is_told_by_the_id() {
        assert_eq!(source_of("3EB0FCA6FD5AC08629C2B5"), "web");
        assert_eq!(source_of("3A554E20ECABF3D45BB2"), "ios");
        assert_eq!(source_of(""), "unknown");
    }

    proptest! {
        #[test]
        fn a_status_never_goes_backwards(news in proptest::collection::vec(any_status(), 0..20)) {
            let mut status = DeliveryStatus::Pending;
            for item in news {
                let next = status.merge(item);
                let failed = status == DeliveryStatus::Pending && next == DeliveryStatus::Error;
                prop_assert!(next >= status || failed);
                status = next;
            }
        }

        #[test]
        fn receipts_give_the_same_end_in_any_order(a in any_status(), b in any_status()) {
            let start = DeliveryStatus::ServerAck;
            prop_assert_eq!(start.merge(a).merge(b), start.merge(b).merge(a));
        }
    }
}
