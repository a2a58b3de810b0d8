//! A companion could not read a message: the phone, which could, tells it what it says.

use std::sync::Arc;

use buffa::{Message, MessageField};
use wacore_binary::{Jid, Server};
use waproto::whatsapp as wa;
use waproto::whatsapp::message::peer_data_operation_request_message::PlaceholderMessageResendRequest;
use waproto::whatsapp::message::peer_data_operation_request_response_message::PeerDataOperationResult;
use waproto::whatsapp::message::peer_data_operation_request_response_message::peer_data_operation_result::PlaceholderMessageResendResponse;
use waproto::whatsapp::message::protocol_message::Type as ProtocolType;
use waproto::whatsapp::message::{
    PeerDataOperationRequestResponseMessage, PeerDataOperationRequestType, ProtocolMessage,
};

use super::mail::KnownMessage;
use super::{deliver_peer, encrypt_or_log, protocol_message};
use crate::hub::Hub;
use crate::world::{DeviceAddress, World};

/// Answers a request; what the phone does not have either is answered without content.
pub(super) async fn answer(
    hub: &Arc<Hub>,
    to: &DeviceAddress,
    (request, wanted): (&str, &[PlaceholderMessageResendRequest]),
) {
    if wanted.is_empty() {
        return;
    }
    let results = {
        let world = hub.world();
        let keys = wanted.iter().filter_map(|wanted| wanted.message_key.as_option());
        keys.map(|key| result(&found(&world, &to.phone, key))).collect()
    };
    let response = PeerDataOperationRequestResponseMessage {
        peer_data_operation_request_type: Some(
            PeerDataOperationRequestType::PLACEHOLDER_MESSAGE_RESEND,
        ),
        stanza_id: Some(request.to_owned()),
        peer_data_operation_result: results,
    };
    let message = protocol_message(ProtocolMessage {
        r#type: Some(ProtocolType::PEER_DATA_OPERATION_REQUEST_RESPONSE_MESSAGE),
        peer_data_operation_request_response_message: MessageField::some(response),
        ..ProtocolMessage::default()
    });
    if let Some(enc) = encrypt_or_log(hub, &to.phone, to, &message).await {
        deliver_peer(hub, to, enc);
    }
}

fn result(found: &wa::WebMessageInfo) -> PeerDataOperationResult {
    let response =
        PlaceholderMessageResendResponse { web_message_info_bytes: Some(found.encode_to_vec()) };
    PeerDataOperationResult {
        placeholder_message_resend_response: MessageField::some(response),
        ..PeerDataOperationResult::default()
    }
}

fn found(world: &World, phone: &str, key: &wa::MessageKey) -> wa::WebMessageInfo {
    let account = world.accounts.get(phone);
    let known = account
        .zip(key.id.as_deref())
        .and_then(|(account, id)| account.mail.message(id))
        .filter(|known| (known.from.phone == phone) == key.from_me.unwrap_or_default());
    // Phones name people by number, whatever name the request used.
    let chat = key.remote_jid.as_deref().and_then(|chat| chat.parse::<Jid>().ok());
    let person = chat.as_ref().and_then(|chat| world.accounts.get(&world.phone_of(chat)?));
    let chat = person.map(|person| person.user_jid(Server::Pn)).or(chat);
    let key = wa::MessageKey { remote_jid: chat.map(|chat| chat.to_string()), ..key.clone() };
    let Some(KnownMessage { from, at, message, .. }) = known else {
        return wa::WebMessageInfo {
            key: MessageField::some(key),
            ..wa::WebMessageInfo::default()
        };
    };
    let author = world.accounts.get(&from.phone).map(|author| author.profile.push_name.clone());
    // The copy for the own phone is wrapped.
    let content = match message.device_sent_message.into_option() {
        Some(sent) => sent.message,
        None => {
            MessageField::some(wa::Message { device_sent_message: MessageField::none(), ..message })
        }
    };
    wa::WebMessageInfo {
        key: MessageField::some(key),
        message: content,
        message_timestamp: Some(at),
        push_name: author,
        ..wa::WebMessageInfo::default()
    }
}
