//! What a person has received, as its own client decrypted it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Serialize, Serializer};
use serde_json::json;
use wacore::poll::compute_option_hash;
use wacore::proto_helpers::MessageExt;
use wacore::types::events::{InboundMessage, Receipt};
use wacore::types::message::MessageCategory;
use wacore_binary::Jid;
use waproto::whatsapp as wa;

use super::content::{Content, poll_of};

/// A message as the admin API shows it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Received {
    pub(crate) id: String,
    pub(crate) from: String,
    pub(crate) chat: String,
    #[serde(flatten)]
    pub(crate) content: Content,
    pub(crate) push_name: String,
    pub(crate) from_me: bool,
    pub(crate) timestamp: i64,
    pub(crate) quoted: Option<Quoted>,
    /// The addresses of who is mentioned.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) mentioned: Vec<String>,
    /// `received`, `read` or `played`.
    pub(crate) status: &'static str,
    /// What came out of the download.
    #[serde(serialize_with = "as_base64", skip_serializing_if = "Option::is_none")]
    pub(crate) media: Option<Bytes>,
    /// Why there is no media.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) media_error: Option<String>,
    /// A later message of the sender changed or took back this one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) edited: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) deleted: bool,
    #[serde(skip)]
    pub(crate) chat_jid: Jid,
    /// Who wrote it, when the chat does not say so: in groups.
    #[serde(skip)]
    pub(crate) author: Option<Jid>,
    #[serde(skip)]
    pub(crate) sender_jid: Jid,
    #[serde(skip)]
    pub(crate) message: Arc<wa::Message>,
}

#[expect(clippy::ref_option, reason = "serde passes the field")]
fn as_base64<S: Serializer>(media: &Option<Bytes>, serializer: S) -> Result<S::Ok, S::Error> {
    match media {
        Some(bytes) => serializer.serialize_str(&STANDARD.encode(bytes)),
        None => serializer.serialize_none(),
    }
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

/// A poll that the person made or received: what is needed to vote and to open votes.
#[derive(Debug, Clone)]
pub(crate) struct KnownPoll {
    pub(crate) chat: Jid,
    pub(crate) creator: Jid,
    pub(crate) secret: Vec<u8>,
    pub(crate) options: Vec<String>,
}

/// Everything a person received. A message id counts once per sender: a second delivery of the
/// same message is one bubble on a phone.
#[derive(Default)]
pub(crate) struct Inbox {
    messages: Vec<Received>,
    known: HashSet<(String, String)>,
    polls: HashMap<String, KnownPoll>,
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
            content: Content::of(&inbound.message),
            push_name: info.push_name.clone(),
            from_me: info.source.is_from_me,
            timestamp: info.timestamp.timestamp(),
            quoted: quoted(&inbound.message),
            mentioned: context(&inbound.message)
                .map(|context| context.mentioned_jid.clone())
                .unwrap_or_default(),
            status: "received",
            media: None,
            media_error: None,
            edited: false,
            deleted: false,
            chat_jid: info.source.chat.clone(),
            author: info.source.is_group.then(|| info.source.sender.clone()),
            sender_jid: info.source.sender.clone(),
            message: Arc::clone(&inbound.message),
        };
        if !self.known.insert((received.from.clone(), received.id.clone())) {
            return;
        }
        self.typing.retain(|phone| *phone != received.from);
        self.apply(&received);
        self.note_poll(&received);
        self.messages.push(received);
    }

    /// An edit or a deletion changes the bubble it is about, when it is the same person's.
    fn apply(&mut self, change: &Received) {
        let (edit, delete) = (&change.content.edit["id"], &change.content.delete["id"]);
        let found = self.messages.iter_mut().find(|message| {
            let id = json!(message.id);
            message.from == change.from && (id == *edit || id == *delete)
        });
        let Some(message) = found else { return };
        if change.content.kind == "edit" {
            message.edited = true;
            if message.content.caption.is_some() {
                message.content.caption.clone_from(&change.content.text);
            } else {
                message.content.text.clone_from(&change.content.text);
            }
        } else {
            message.deleted = true;
        }
    }

    fn note_poll(&mut self, received: &Received) {
        let base = received.message.get_base_message();
        let Some(poll) = poll_of(base) else { return };
        let context = [&*received.message, base]
            .into_iter()
            .find_map(|message| message.message_context_info.as_option());
        let Some(secret) = context.and_then(|context| context.message_secret.clone()) else {
            return;
        };
        let known = KnownPoll {
            chat: received.chat_jid.clone(),
            creator: received.sender_jid.to_non_ad(),
            secret,
            options: poll.options.iter().filter_map(|o| o.option_name.clone()).collect(),
        };
        self.polls.insert(received.id.clone(), known);
    }

    pub(crate) fn add_poll(&mut self, id: String, poll: KnownPoll) {
        self.polls.insert(id, poll);
    }

    pub(crate) fn poll(&self, id: &str) -> Option<KnownPoll> {
        self.polls.get(id).cloned()
    }

    /// Votes that are not opened yet, with the poll they are for.
    pub(crate) fn sealed_votes(&self) -> Vec<(Received, KnownPoll)> {
        let sealed = |message: &&Received| {
            message.content.kind == "vote" && message.content.vote.get("options").is_none()
        };
        self.messages
            .iter()
            .filter(sealed)
            .filter_map(|message| {
                let id = message.content.vote["id"].as_str()?;
                Some((message.clone(), self.polls.get(id)?.clone()))
            })
            .collect()
    }

    /// Writes down what a vote said.
    pub(crate) fn open_vote(&mut self, vote_id: &str, poll: &KnownPoll, hashes: &[Vec<u8>]) {
        let chosen: Vec<&String> = poll
            .options
            .iter()
            .filter(|option| hashes.iter().any(|hash| *hash == compute_option_hash(option)))
            .collect();
        if let Some(message) = self.messages.iter_mut().find(|message| message.id == vote_id) {
            message.content.vote["options"] = json!(chosen);
        }
    }

    /// Writes down what a download gave.
    pub(crate) fn keep_media(&mut self, id: &str, outcome: Result<Bytes, String>) {
        let Some(message) = self.messages.iter_mut().find(|message| message.id == id) else {
            return;
        };
        match outcome {
            Ok(bytes) => (message.media, message.media_error) = (Some(bytes), None),
            Err(error) => message.media_error = Some(error),
        }
    }

    /// Marks messages as read or played.
    pub(crate) fn mark(&mut self, ids: &[String], status: &'static str) {
        for message in self.messages.iter_mut().filter(|message| ids.contains(&message.id)) {
            message.status = status;
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

fn quoted(message: &wa::Message) -> Option<Quoted> {
    Some(Quoted { id: context(message)?.stanza_id.clone()? })
}

/// Any kind of message can quote and mention; the first context found is the message's own.
fn context(message: &wa::Message) -> Option<&wa::ContextInfo> {
    let base = message.get_base_message();
    let contexts = [
        base.extended_text_message.as_option().map(|m| &m.context_info),
        base.image_message.as_option().map(|m| &m.context_info),
        base.video_message.as_option().map(|m| &m.context_info),
        base.audio_message.as_option().map(|m| &m.context_info),
        base.document_message.as_option().map(|m| &m.context_info),
        base.sticker_message.as_option().map(|m| &m.context_info),
        base.location_message.as_option().map(|m| &m.context_info),
        base.contact_message.as_option().map(|m| &m.context_info),
    ];
    contexts.into_iter().flatten().find_map(|context| context.as_option())
}
