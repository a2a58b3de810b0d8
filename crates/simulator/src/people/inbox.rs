//! What a person has received, as its own client decrypted it.

use std::collections::HashSet;
use std::sync::Arc;

use serde::Serialize;
use wacore::proto_helpers::MessageExt;
use wacore::types::events::{InboundMessage, Receipt};
use wacore::types::message::MessageCategory;
use wacore_binary::Jid;
use waproto::whatsapp as wa;

/// A message as the admin API shows it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Received {
    pub(crate) id: String,
    pub(crate) from: String,
    pub(crate) chat: String,
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) text: Option<String>,
    pub(crate) push_name: String,
    pub(crate) from_me: bool,
    pub(crate) timestamp: i64,
    pub(crate) quoted: Option<Quoted>,
    #[serde(skip)]
    pub(crate) chat_jid: Jid,
    #[serde(skip)]
    pub(crate) message: Arc<wa::Message>,
}

/// The message that a message answers.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Quoted {
    pub(crate) id: String,
}

/// A receipt for a message that the person sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct SentReceipt {
    pub(crate) id: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
}

/// Everything a person received. A message id counts once per sender: a second delivery of the
/// same message is one bubble on a phone.
#[derive(Default)]
pub(crate) struct Inbox {
    messages: Vec<Received>,
    known: HashSet<(String, String)>,
    pub(crate) receipts: Vec<SentReceipt>,
    /// Phone numbers that are typing now.
    pub(crate) typing: Vec<String>,
}

impl Inbox {
    /// Takes in a message unless it is known, or is its own phone talking to it. `phone_of` gives
    /// the number behind an address.
    pub(crate) fn receive(&mut self, inbound: &InboundMessage, phone_of: impl Fn(&Jid) -> String) {
        let info = &inbound.info;
        if info.category == MessageCategory::Peer {
            return;
        }
        let received = Received {
            id: info.id.clone(),
            from: phone_of(&info.source.sender),
            chat: phone_of(&info.source.chat),
            kind: kind_of(&inbound.message),
            text: inbound.message.text_content().map(ToOwned::to_owned),
            push_name: info.push_name.clone(),
            from_me: info.source.is_from_me,
            timestamp: info.timestamp.timestamp(),
            quoted: quoted(&inbound.message),
            chat_jid: info.source.chat.clone(),
            message: Arc::clone(&inbound.message),
        };
        if self.known.insert((received.from.clone(), received.id.clone())) {
            self.typing.retain(|phone| *phone != received.from);
            self.messages.push(received);
        }
    }

    pub(crate) fn note_receipt(&mut self, receipt: &Receipt) {
        let kind = format!("{:?}", receipt.r#type).to_lowercase();
        for id in &receipt.message_ids {
            self.receipts.push(SentReceipt { id: id.clone(), kind: kind.clone() });
        }
    }

    /// What came after a message; everything when the id is unknown or missing.
    pub(crate) fn after(&self, id: Option<&str>) -> Vec<Received> {
        let start = id
            .and_then(|id| self.messages.iter().rposition(|message| message.id == id))
            .map_or(0, |index| index + 1);
        self.messages[start..].to_vec()
    }

    pub(crate) fn find(&self, id: &str) -> Option<&Received> {
        self.messages.iter().rev().find(|message| message.id == id)
    }
}

fn kind_of(message: &wa::Message) -> &'static str {
    let base = message.get_base_message();
    if base.text_content().is_some() {
        "text"
    } else if base.reaction_message.as_option().is_some() {
        "reaction"
    } else if base.image_message.as_option().is_some() {
        "image"
    } else if base.protocol_message.as_option().is_some() {
        "protocol"
    } else {
        "other"
    }
}

fn quoted(message: &wa::Message) -> Option<Quoted> {
    let text = message.get_base_message().extended_text_message.as_option()?;
    let id = text.context_info.as_option()?.stanza_id.clone()?;
    Some(Quoted { id })
}
