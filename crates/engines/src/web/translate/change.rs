//! Edits and deletions: messages of WhatsApp's that are about another message.

use super::{OwnAddresses, addressing, chat_alternative, content};
use flowcore_domain::message::{MessageChange, Outcome};
use serde_json::json;
use wacore::proto_helpers::MessageExt as _;
use wacore::types::events::InboundMessage as WireMessage;
use wacore_binary::{Jid as WireJid, JidExt as _};
use waproto::whatsapp as wa;
use waproto::whatsapp::message::ProtocolMessage;
use waproto::whatsapp::message::protocol_message::Type;

/// What a message changes; `None` when it is a message itself, or a notice between devices.
pub(super) fn of(item: &WireMessage, own: &OwnAddresses) -> Option<MessageChange> {
    let protocol = protocol_of(item.message.get_base_message())?;
    let outcome = match protocol.r#type? {
        Type::REVOKE => Outcome::Revoked,
        Type::MESSAGE_EDIT => {
            let edited = protocol.edited_message.as_option()?;
            Outcome::Edited(content::of(edited).map_or_else(|| json!({}), |now| now.json))
        }
        _ => return None,
    };
    let (info, source) = (&item.info, &item.info.source);
    let key = protocol.key.as_option()?;
    // An admin takes back what another wrote: the key names them. The sender's own key says nothing new.
    let named = key.participant.as_deref().and_then(|text| text.parse::<WireJid>().ok());
    let other = named.filter(|one| source.is_group && !one.is_same_user_as(&source.sender));
    let sender_alt = source.sender_alt.as_ref().map(super::address);
    let sender_alt =
        if source.is_from_me { own.alternative(&source.sender).or(sender_alt) } else { sender_alt };
    let chat_alt = chat_alternative(info, sender_alt.as_ref());
    let (writer, writer_alt, from_me) = match other {
        Some(other) => {
            let mine = own.includes(&other);
            (super::address(&other), own.alternative(&other).filter(|_| mine), mine)
        }
        None => (super::address(&source.sender), sender_alt, source.is_from_me),
    };
    Some(MessageChange {
        id: info.id.clone(),
        target: key.id.clone()?,
        chat: super::address(&source.chat),
        chat_alt,
        writer,
        writer_alt,
        from_me,
        addressing: addressing(info),
        timestamp: info.timestamp.timestamp(),
        outcome,
    })
}

/// Some clients wrap the protocol message of an edit, others do not.
fn protocol_of(base: &wa::Message) -> Option<&ProtocolMessage> {
    let wrapped = base.edited_message.as_option().and_then(|edited| edited.message.as_option());
    wrapped.map_or(base, |inner| inner.get_base_message()).protocol_message.as_option()
}
