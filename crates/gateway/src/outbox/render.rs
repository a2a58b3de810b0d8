//! The particulars of each event, in the shapes of Evolution API 2.3.7.

mod assistant;
mod conversation;
mod group;
mod happening;

pub(crate) use assistant::{Task, failed, transcribed};
pub(crate) use conversation::{Why, moved_conversation};
pub use group::group_record;
pub(crate) use happening::{changed, happened};

use crate::fresh_id;
use crate::polls::PollAnswer;
use flowcore_domain::clock::Millis;
use flowcore_domain::engine::Group;
use flowcore_domain::event::{EventKind, NewEvent};
use flowcore_domain::id::{EventId, InstanceId, MessageRowId, WebhookId};
use flowcore_domain::instance::pairing::QrCode;
use flowcore_domain::instance::{Identity, InstanceName, Reason, Status};
use flowcore_domain::jid::{Jid, Server};
use flowcore_domain::message::{Addressing, DeliveryStatus, InboundMessage, source_of};
use flowcore_domain::webhook::Turn;
use flowcore_storage::StoredMessage;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Builder;

/// The name that Evolution gives the owner in messages of their own.
const OWN_NAME: &str = "Você";

/// The chain in which events of a conversation reach a receiver: its phone number where that is known, so
/// that what comes under either address of a person stays in order.
pub(crate) fn chain(chat: &Jid, alt: Option<&Jid>) -> String {
    let phone = alt.filter(|alt| chat.server() == Server::Lid && alt.server() == Server::Person);
    phone.unwrap_or(chat).to_string()
}

fn event(id: InstanceId, kind: EventKind, key: &str, at: Millis, data: Value) -> NewEvent {
    NewEvent { id: fresh_id(), instance_id: id, kind, ordering_key: key.to_owned(), at, data }
}

/// An id that is the same whenever the same is told.
fn derived(named: &str, at: Millis) -> EventId {
    let digest = Sha256::digest(named);
    let mut random = [0; 10];
    random.copy_from_slice(&digest[..10]);
    let millis = u64::try_from(at.0).unwrap_or(0);
    EventId(Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
}

/// An instance was made.
pub(crate) fn created(id: InstanceId, name: &InstanceName, at: Millis) -> NewEvent {
    let data = json!({ "instanceName": name.as_str(), "instanceId": id.text() });
    event(id, EventKind::InstanceCreate, "", at, data)
}

/// The number is taken off the server, and its instance is gone.
pub(crate) fn farewell(id: InstanceId, name: &InstanceName, at: Millis) -> Vec<NewEvent> {
    let data = json!({ "instanceName": name.as_str(), "instanceId": id.text() });
    let removed = event(id, EventKind::RemoveInstance, "", at, Value::Null);
    vec![removed, event(id, EventKind::InstanceDelete, "", at, data)]
}

/// How a connection is.
pub(crate) struct Connection<'a> {
    pub(crate) status: Status,
    pub(crate) reason: Option<Reason>,
    pub(crate) identity: Option<&'a Identity>,
    /// Where the owner's picture is, when that is known.
    pub(crate) picture: Option<&'a str>,
}

/// The connection is being made, open or closed; or nobody scanned its codes, which has a word of its own.
pub(crate) fn connection(
    id: InstanceId,
    name: &InstanceName,
    now: &Connection<'_>,
    at: Millis,
) -> NewEvent {
    let Connection { status, reason, identity, picture } = *now;
    let (state, code) = match (status, reason) {
        (Status::Disconnected, Some(Reason::QrExpired)) => ("refused", 428),
        (Status::Disconnected, Some(reason)) => (status.evolution(), reason.evolution_code()),
        _ => (status.evolution(), 200),
    };
    let mut data = json!({ "instance": name.as_str(), "state": state, "statusReason": code });
    if let Some(reason) = reason {
        data["reason"] = json!(reason.as_str());
    }
    if let (Status::Connected, Some(identity)) = (status, identity) {
        data["wuid"] = json!(identity.jid);
        data["lid"] = json!(identity.lid);
        data["profileName"] = json!(identity.profile_name);
        data["profilePictureUrl"] = json!(picture);
    }
    event(id, EventKind::ConnectionUpdate, "", at, data)
}

/// The session ended for good.
pub(crate) fn ended(id: InstanceId, name: &InstanceName, reason: Reason, at: Millis) -> NewEvent {
    let data = json!({
        "instance": name.as_str(),
        "status": "closed",
        "disconnectionAt": at.rfc3339(),
        "disconnectionReasonCode": reason.evolution_code(),
        "disconnectionObject": json!({ "reason": reason.as_str() }).to_string(),
    });
    event(id, EventKind::StatusInstance, "", at, data)
}

/// The instance was unlinked.
pub(crate) fn logged_out(id: InstanceId, at: Millis) -> NewEvent {
    event(id, EventKind::LogoutInstance, "", at, Value::Null)
}

/// A webhook was paused, resumed or switched off.
pub(crate) fn webhook_turn(id: InstanceId, webhook: WebhookId, turn: Turn, at: Millis) -> NewEvent {
    let (state, reason) = match turn {
        Turn::Paused => ("paused", Value::Null),
        Turn::Resumed => ("active", Value::Null),
        Turn::SwitchedOff(why) => ("disabled", json!(why.as_str())),
    };
    let data = json!({ "webhookId": webhook.text(), "state": state, "reason": reason });
    event(id, EventKind::WebhookUpdate, "", at, data)
}

/// There is a code to show, and maybe one to type.
pub(crate) fn qr(
    (id, name): (InstanceId, &InstanceName),
    (code, typed): (&QrCode, Option<&str>),
    at: Millis,
) -> NewEvent {
    let data = json!({ "qrcode": {
        "instance": name.as_str(),
        "pairingCode": typed,
        "code": code.text,
        "base64": crate::qr::png_data_url(&code.text),
        "count": code.number,
    }});
    event(id, EventKind::QrcodeUpdated, "", at, data)
}

/// All codes of the round were shown.
pub(crate) fn qr_exhausted(id: InstanceId, at: Millis) -> NewEvent {
    let data = json!({ "message": "QR code limit reached, please login again", "statusCode": 500 });
    event(id, EventKind::QrcodeUpdated, "", at, data)
}

/// A message came in, or the owner wrote on another device.
pub(crate) fn upsert(id: InstanceId, message: &InboundMessage, at: Millis) -> NewEvent {
    let mut data = Map::new();
    data.insert("key".into(), key_of(message));
    let name = if message.from_me { Some(OWN_NAME) } else { message.push_name.as_deref() };
    data.insert("pushName".into(), json!(name.unwrap_or_default()));
    data.insert("status".into(), json!(DeliveryStatus::DeliveryAck.as_str()));
    data.insert("message".into(), message.content.clone());
    if let Some(context) = &message.context {
        data.insert("contextInfo".into(), context.clone());
    }
    data.insert("messageType".into(), json!(message.kind));
    data.insert("messageTimestamp".into(), json!(message.timestamp));
    data.insert("instanceId".into(), json!(id.text()));
    data.insert("source".into(), json!(source_of(&message.id)));
    let chat = chain(&message.chat, message.chat_alt.as_ref());
    event(id, EventKind::MessagesUpsert, &chat, at, Value::Object(data))
}

/// Somebody of whom nothing was known, and the conversation with them.
pub(crate) fn introduction(id: InstanceId, message: &InboundMessage, at: Millis) -> Vec<NewEvent> {
    let chat = chain(&message.chat, message.chat_alt.as_ref());
    let name = message.push_name.as_deref().filter(|_| !message.from_me).unwrap_or_default();
    let mut shown = address_pair("remoteJid", &message.chat, message.chat_alt.as_ref());
    shown.insert("instanceId".into(), json!(id.text()));
    let mut contact = shown.clone();
    contact.insert("pushName".into(), json!(name));
    contact.insert("profilePicUrl".into(), Value::Null);
    shown.insert("unreadMessages".into(), json!(0));
    vec![
        event(id, EventKind::ContactsUpsert, &chat, at, Value::Object(contact)),
        event(id, EventKind::ChatsUpsert, &chat, at, json!([shown])),
    ]
}

/// A conversation of the time before the link.
pub(crate) fn chats_set(
    id: InstanceId,
    (chat, name): (&Jid, Option<&str>),
    at: Millis,
) -> NewEvent {
    let data = json!([{ "remoteJid": chat, "instanceId": id.text(), "name": name }]);
    event(id, EventKind::ChatsSet, &chain(chat, None), at, data)
}

/// Its messages.
pub(crate) fn messages_set(
    id: InstanceId,
    chat: &Jid,
    messages: &[StoredMessage],
    at: Millis,
) -> NewEvent {
    let data = messages.iter().map(record).collect();
    event(id, EventKind::MessagesSet, &chain(chat, None), at, data)
}

/// The number is in a new group, of which WhatsApp told everything.
pub(crate) fn grouped(id: InstanceId, group: &Group, at: Millis) -> NewEvent {
    let data = json!([group_record(group)]);
    event(id, EventKind::GroupsUpsert, &group.id.to_string(), at, data)
}

/// Somebody calls themselves otherwise than before. What an owner writes says nothing of the other side.
pub(crate) fn renamed(id: InstanceId, message: &InboundMessage, at: Millis) -> Option<NewEvent> {
    let name = message.push_name.as_deref().filter(|_| !message.from_me)?;
    let mut data = address_pair("remoteJid", &message.sender, message.sender_alt.as_ref());
    data.insert("pushName".into(), json!(name));
    data.insert("profilePicUrl".into(), Value::Null);
    data.insert("instanceId".into(), json!(id.text()));
    let chat = chain(&message.chat, message.chat_alt.as_ref());
    Some(event(id, EventKind::ContactsUpdate, &chat, at, Value::Object(data)))
}

/// The answers of a poll, with who chose each.
pub(crate) fn poll_updates(answers: &[PollAnswer]) -> Value {
    answers.iter().map(|one| json!({ "name": one.name, "voters": one.voters })).collect()
}

/// Somebody voted in a poll that is stored.
pub(crate) fn voted(poll: &StoredMessage, updates: Value, at: Millis) -> NewEvent {
    let mut told = moved(poll, poll.status, None, at);
    told.data["fromMe"] = json!(poll.from_me);
    told.data["pollUpdates"] = updates;
    told
}

/// Which message, with both identities where both are known; the phone number first, as clients of
/// Evolution expect it.
fn key_of(message: &InboundMessage) -> Value {
    let mut key = address_pair("remoteJid", &message.chat, message.chat_alt.as_ref());
    key.insert("fromMe".into(), json!(message.from_me));
    key.insert("id".into(), json!(message.id));
    if message.chat.server() == Server::Group || message.chat.server() == Server::Broadcast {
        key.extend(address_pair("participant", &message.sender, message.sender_alt.as_ref()));
    }
    key.insert("addressingMode".into(), json!(mode(message.addressing)));
    Value::Object(key)
}

fn mode(addressing: Addressing) -> &'static str {
    match addressing {
        Addressing::Pn => "pn",
        Addressing::Lid => "lid",
    }
}

fn address_pair(field: &str, address: &Jid, other: Option<&Jid>) -> Map<String, Value> {
    let alternative = format!("{field}Alt");
    let (first, second) = match other {
        Some(phone) if address.server() == Server::Lid && phone.server() == Server::Person => {
            (phone, Some(address))
        }
        other => (address, other),
    };
    let mut pair = Map::new();
    pair.insert(field.into(), json!(first));
    if let Some(second) = second {
        pair.insert(alternative, json!(second));
    }
    pair
}

/// A stored message as events and answers show it.
#[must_use]
pub fn record(message: &StoredMessage) -> Value {
    let mut key = address_pair("remoteJid", &message.chat, message.chat_alt.as_ref());
    key.insert("fromMe".into(), json!(message.from_me));
    key.insert("id".into(), json!(message.wa_id));
    let by_others =
        !message.from_me && matches!(message.chat.server(), Server::Group | Server::Broadcast);
    if by_others {
        key.extend(address_pair("participant", &message.sender, message.sender_alt.as_ref()));
    }
    let name = if message.from_me { Some(OWN_NAME) } else { message.push_name.as_deref() };
    json!({
        "key": key,
        "pushName": name.unwrap_or_default(),
        "status": message.status.as_str(),
        "message": message.content,
        "contextInfo": message.context,
        "messageType": message.kind,
        "messageTimestamp": message.at.seconds(),
        "instanceId": message.instance_id.text(),
        "source": source_of(&message.wa_id),
    })
}

/// A message was sent through the API; or an earlier one was changed or taken back through it.
pub(crate) fn sent(message: &StoredMessage, at: Millis) -> NewEvent {
    let change = &message.content["protocolMessage"];
    let (kind, data) = match change["type"].as_str() {
        Some("MESSAGE_EDIT") => (EventKind::SendMessageUpdate, change.clone()),
        Some("REVOKE") => (EventKind::MessagesDelete, taken_back(message, &change["key"])),
        _ => (EventKind::SendMessage, record(message)),
    };
    let chat = chain(&message.chat, message.chat_alt.as_ref());
    // The row's id is that of its event, as with messages that come in.
    let id = EventId(message.row_id.0);
    NewEvent { id, ..event(message.instance_id, kind, &chat, at, data) }
}

/// The record of what took a message back, under the key of that message.
fn taken_back(message: &StoredMessage, key: &Value) -> Value {
    let mut data = record(message);
    data["id"] = json!(message.row_id.text());
    data["key"] = key.clone();
    data["participant"] = key["participant"].clone();
    data["status"] = json!("DELETED");
    data
}

/// A message of ours moved on.
pub(crate) fn moved(
    message: &StoredMessage,
    status: DeliveryStatus,
    participant: Option<&Jid>,
    at: Millis,
) -> NewEvent {
    let row: MessageRowId = message.row_id;
    let mut data = address_pair("remoteJid", &message.chat, message.chat_alt.as_ref());
    data.insert("messageId".into(), json!(row.text()));
    data.insert("keyId".into(), json!(message.wa_id));
    data.insert("fromMe".into(), json!(true));
    if let Some(participant) = participant {
        data.insert("participant".into(), json!(participant));
    }
    data.insert("status".into(), json!(status.as_str()));
    data.insert("instanceId".into(), json!(message.instance_id.text()));
    let chat = chain(&message.chat, message.chat_alt.as_ref());
    event(message.instance_id, EventKind::MessagesUpdate, &chat, at, Value::Object(data))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_addresses_of_a_person_are_one_chain() {
        let jid = |text: &str| text.parse::<Jid>().expect("an address");
        let (phone, lid) = (jid("5511988887777@s.whatsapp.net"), jid("1234567890@lid"));
        let chains = [chain(&phone, None), chain(&phone, Some(&lid)), chain(&lid, Some(&phone))];
        assert_eq!(chains, ["5511988887777@s.whatsapp.net"; 3]);
        assert_eq!(chain(&lid, None), "1234567890@lid");
        assert_eq!(chain(&jid("120363000000000001@g.us"), None), "120363000000000001@g.us");
    }
}
