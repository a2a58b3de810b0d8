//! The time before the link, as the phone tells it: conversation by conversation, so that a phone of ten years
//! takes no more memory than its longest chat.

use super::translate::{self, OwnAddresses, content};
use flowcore_domain::engine::{CommitError, SessionSink};
use flowcore_domain::jid::{Jid, Server};
use flowcore_domain::message::{Addressing, InboundMessage, Past};
use wacore::types::events::LazyHistorySync;
use wacore_binary::Jid as WireJid;
use waproto::whatsapp as wa;

/// How many messages are handed over at once.
const PART: usize = 100;

/// Hands over what a chunk holds.
pub(super) async fn hand_over(
    chunk: &LazyHistorySync,
    own: &OwnAddresses,
    sink: &dyn SessionSink,
) -> Result<(), CommitError> {
    let mut conversations = chunk.stream();
    loop {
        let conversation = match conversations.next_conversation() {
            Ok(Some(conversation)) => conversation,
            Ok(None) => return Ok(()),
            Err(error) => {
                tracing::warn!(%error, "a part of the history can't be read");
                return Ok(());
            }
        };
        let Some((chat, mut messages)) = read(&conversation, own) else { continue };
        // The newest comes first.
        messages.reverse();
        for part in messages.chunks(PART) {
            let (name, messages) = (conversation.name.clone(), part.to_vec());
            sink.recall(Past { chat: chat.clone(), name, messages }).await?;
        }
    }
}

fn read(conversation: &wa::Conversation, own: &OwnAddresses) -> Option<(Jid, Vec<InboundMessage>)> {
    let parse = |text: &str| text.parse::<WireJid>().ok().map(|jid| translate::address(&jid));
    let chat = parse(&conversation.id)?;
    let others = [conversation.pn_jid.as_deref(), conversation.lid_jid.as_deref()];
    let alt = others.into_iter().flatten().filter_map(parse).find(|other| *other != chat);
    let messages = conversation.messages.iter().filter_map(|item| item.message.as_option());
    let read = messages.filter_map(|message| past(message, (&chat, alt.as_ref()), own));
    let read = read.collect::<Vec<_>>();
    Some((chat, read))
}

/// A message of the past; `None` for notes without content, and what only changed another.
fn past(
    message: &wa::WebMessageInfo,
    (chat, alt): (&Jid, Option<&Jid>),
    own: &OwnAddresses,
) -> Option<InboundMessage> {
    let key = message.key.as_option()?;
    let inner = message.message.as_option()?;
    let content = content::of(inner)?;
    let from_me = key.from_me.unwrap_or_default();
    let writer = key.participant.as_deref().or(message.participant.as_deref());
    let writer = writer.and_then(|text| text.parse::<WireJid>().ok());
    let sender = match writer {
        Some(writer) => translate::address(&writer),
        None if from_me => own.all().next().map(translate::address)?,
        None => chat.clone(),
    };
    let direct = matches!(chat.server(), Server::Person | Server::Lid);
    Some(InboundMessage {
        id: key.id.clone()?,
        chat: chat.clone(),
        chat_alt: alt.filter(|_| direct).cloned(),
        sender_alt: alt.filter(|_| direct && !from_me).cloned(),
        sender,
        from_me,
        addressing: if chat.server() == Server::Lid { Addressing::Lid } else { Addressing::Pn },
        push_name: message.push_name.clone().filter(|name| !name.is_empty() && !from_me),
        timestamp: i64::try_from(message.message_timestamp?).ok()?,
        proto: waproto::codec::message_to_vec(inner).into(),
        content: content.json,
        kind: content.kind,
        text: content.text,
        context: content.context,
    })
}
