//! Questions about what is stored: messages, chats, contacts, how far messages got.

use super::body::Posted;
use super::message::shown;
use super::number;
use super::refusal::Refusal;
use super::schema::{Field, Kind, optional};
use super::{Answer, Held};
use crate::app::AppState;
use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use flowcore_domain::clock::Millis;
use flowcore_domain::jid::{Jid, Server};
use flowcore_domain::message::DeliveryStatus;
use flowcore_gateway::{
    ChatFilter, ChatOverview, Contact, ContactFilter, MAX_ENTRIES, MessageFilter, Page,
    StoredMessage, record,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;

/// How many messages a page has unless asked otherwise.
const MESSAGES: usize = 50;
/// How long somebody may be answered freely after they wrote.
const WINDOW: Duration = Duration::from_secs(24 * 3600);
const PAGES: i64 = 1_000_000;
const JID: Kind = Kind::Text(100);

const TIMES: [Field; 2] =
    [optional("gte", Kind::TextOrWhole(40)), optional("lte", Kind::TextOrWhole(40))];
const KEY: [Field; 5] = [
    optional("id", Kind::Text(128)),
    optional("remoteJid", JID),
    optional("fromMe", Kind::Flag),
    optional("participant", JID),
    optional("remoteJidAlt", JID),
];
const WHERE: [Field; 7] = [
    optional("id", Kind::Text(128)),
    optional("remoteJid", JID),
    optional("pushName", Kind::Text(255)),
    optional("messageType", Kind::Text(64)),
    optional("source", Kind::Text(16)),
    optional("key", Kind::Object(&KEY)),
    optional("messageTimestamp", Kind::Object(&TIMES)),
];
pub(super) const ASKED: [Field; 5] = [
    optional("where", Kind::Object(&WHERE)),
    optional("page", Kind::Whole(1, PAGES)),
    optional("offset", Kind::Whole(1, PAGES)),
    optional("take", Kind::Whole(1, PAGES)),
    optional("skip", Kind::Whole(0, PAGES)),
];

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Asked {
    r#where: Option<Where>,
    page: Option<usize>,
    offset: Option<usize>,
    take: Option<usize>,
    skip: Option<usize>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Where {
    id: Option<String>,
    remote_jid: Option<String>,
    push_name: Option<String>,
    message_type: Option<String>,
    source: Option<String>,
    key: Option<KeyFilter>,
    message_timestamp: Option<Times>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct KeyFilter {
    id: Option<String>,
    remote_jid: Option<String>,
    from_me: Option<bool>,
    participant: Option<String>,
    remote_jid_alt: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Times {
    gte: Option<Value>,
    lte: Option<Value>,
}

impl Times {
    fn range(&self) -> Result<(Option<Millis>, Option<Millis>), Refusal> {
        Ok((time(self.gte.as_ref(), "gte")?, time(self.lte.as_ref(), "lte")?))
    }
}

/// A time as RFC 3339, or in seconds.
fn time(value: Option<&Value>, field: &str) -> Result<Option<Millis>, Refusal> {
    let read = |value: &Value| match value {
        Value::String(text) => Millis::parse_rfc3339(text)
            .or_else(|| text.parse::<i64>().ok().map(|s| Millis(s.saturating_mul(1000)))),
        other => other.as_i64().map(|s| Millis(s.saturating_mul(1000))),
    };
    let wrong =
        || Refusal::bad(format!("messageTimestamp.{field} is a time as 2026-01-05T09:00:00Z"));
    value.map(|value| read(value).ok_or_else(wrong)).transpose()
}

/// Nobody has an address that is none.
fn jid(text: Option<String>) -> Result<Option<Jid>, Refusal> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let found = number::jid_of(&text);
    found.map(Some).ok_or_else(|| Refusal::bad(format!("\"{text}\" is not a WhatsApp address")))
}

impl Asked {
    /// `offset` is the length of a page there.
    fn page(&self, length: usize) -> Page {
        let take = self.offset.unwrap_or(length).min(MAX_ENTRIES);
        let skip = self.page.unwrap_or(1).saturating_sub(1).saturating_mul(take);
        Page { skip, take }
    }
}

impl Where {
    fn messages(self) -> Result<MessageFilter, Refusal> {
        let key = self.key.unwrap_or_default();
        let (from, to) = self.message_timestamp.unwrap_or_default().range()?;
        let chat = key.remote_jid.or(key.remote_jid_alt).or(self.remote_jid);
        Ok(MessageFilter {
            chat: jid(chat)?,
            row: self.id,
            wa_id: key.id,
            from_me: key.from_me,
            sender: jid(key.participant)?,
            kind: self.message_type,
            source: self.source,
            from,
            to,
        })
    }
}

/// `POST /chat/findMessages/{name}`
pub(super) async fn messages(State(state): State<AppState>, held: Held, body: Posted) -> Answer {
    let mut asked: Asked = body.read(&ASKED)?;
    let page = asked.page(MESSAGES);
    let filter = asked.r#where.take().unwrap_or_default().messages()?;
    let conversations = state.gateway.conversations();
    let (total, found) = conversations.messages(&held.caller, &held.name, &filter, page).await?;
    let records: Vec<Value> = found.iter().map(entry).collect();
    let length = i64::try_from(page.take.max(1)).unwrap_or(i64::MAX);
    let answer = json!({
        "total": total,
        "pages": (total + length - 1) / length,
        "currentPage": asked.page.unwrap_or(1),
        "records": records,
    });
    Ok((StatusCode::OK, Json(json!({ "messages": answer }))))
}

fn entry(message: &StoredMessage) -> Value {
    let mut shown = shown(message);
    shown["id"] = json!(message.row_id.text());
    let fields = shown.as_object_mut().expect("a record is an object");
    fields.remove("status");
    let moved = message.from_me && message.status != DeliveryStatus::Pending;
    let update = moved.then(|| json!({ "status": message.status.as_str() }));
    fields.insert("MessageUpdate".to_owned(), update.into_iter().collect());
    shown
}

/// `POST /chat/findChats/{name}`
pub(super) async fn chats(State(state): State<AppState>, held: Held, body: Posted) -> Answer {
    let asked: Asked = body.read(&ASKED)?;
    let mut page = asked.page(MAX_ENTRIES);
    page.take = asked.take.unwrap_or(page.take);
    page.skip = asked.skip.unwrap_or(page.skip);
    let wanted = asked.r#where.unwrap_or_default();
    let (from, to) = wanted.message_timestamp.unwrap_or_default().range()?;
    let filter = ChatFilter { chat: jid(wanted.remote_jid)?, from, to };
    let conversations = state.gateway.conversations();
    let found = conversations.chats(&held.caller, &held.name, &filter, page).await?;
    let addresses = found.iter().map(|chat| main_address(&chat.address, &chat.addresses));
    let pictures = pictures(&state, &held, addresses).await?;
    let names = group_names(&state, &held, &found).await?;
    let now = state.gateway.now();
    let shown = found.iter().map(|chat| shown_chat(chat, (&pictures, &names), now));
    Ok((StatusCode::OK, Json(shown.collect())))
}

/// What the groups among conversations are called.
async fn group_names(
    state: &AppState,
    held: &Held,
    chats: &[ChatOverview],
) -> Result<HashMap<Jid, String>, Refusal> {
    let addresses: Vec<Jid> = chats.iter().map(|chat| chat.address.clone()).collect();
    Ok(state.gateway.groups().names(&held.caller, &held.name, &addresses).await?)
}

/// The other person's own name, or that of the group.
fn name_of<'a>(chat: &'a ChatOverview, groups: &'a HashMap<Jid, String>) -> Option<&'a String> {
    chat.push_name.as_ref().or_else(|| groups.get(&chat.address))
}

/// The pictures that are known.
async fn pictures(
    state: &AppState,
    held: &Held,
    addresses: impl Iterator<Item = &Jid>,
) -> Result<HashMap<Jid, String>, Refusal> {
    let addresses: Vec<Jid> = addresses.cloned().collect();
    let conversations = state.gateway.conversations();
    Ok(conversations.pictures(&held.caller, &held.name, &addresses).await?)
}

/// The address that people are known by: the phone's where there is one.
fn main_address<'a>(first: &'a Jid, all: &'a [Jid]) -> &'a Jid {
    all.iter().find(|jid| jid.server() == Server::Person).unwrap_or(first)
}

fn shown_chat(
    chat: &ChatOverview,
    (pictures, names): (&HashMap<Jid, String>, &HashMap<Jid, String>),
    now: Millis,
) -> Value {
    let person = !chat.addresses.is_empty();
    let ends = chat.created_at.plus(WINDOW);
    let address = main_address(&chat.address, &chat.addresses);
    json!({
        "id": person.then_some(&chat.key),
        "remoteJid": address,
        "pushName": name_of(chat, names),
        "profilePicUrl": pictures.get(address),
        "updatedAt": chat.last_message_at.rfc3339(),
        "windowStart": chat.created_at.rfc3339(),
        "windowExpires": ends.rfc3339(),
        "windowActive": now < ends,
        "lastMessage": chat.last_message.as_ref().map(last_message),
        "unreadCount": chat.unread,
        "isSaved": person,
    })
}

fn last_message(message: &StoredMessage) -> Value {
    let mut shown = shown(message);
    shown["id"] = json!(message.row_id.text());
    shown["participant"] = shown["key"]["participant"].clone();
    shown["sessionId"] = Value::Null;
    for kind in
        ["imageMessage", "videoMessage", "audioMessage", "documentMessage", "stickerMessage"]
    {
        if let Some(media) = shown["message"].get(kind) {
            let kept = json!({ "caption": media.get("caption"), "seconds": media.get("seconds") });
            shown["message"][kind] = kept;
        }
    }
    shown
}

/// `POST /chat/findContacts/{name}`
pub(super) async fn contacts(State(state): State<AppState>, held: Held, body: Posted) -> Answer {
    let asked: Asked = body.read(&ASKED)?;
    let page = asked.page(MAX_ENTRIES);
    let wanted = asked.r#where.unwrap_or_default();
    let address = jid(wanted.remote_jid)?;
    if let Some(group) = address.as_ref().filter(|jid| jid.is_group()) {
        return group_as_contact(&state, &held, group).await;
    }
    let filter = ContactFilter { address, id: wanted.id, push_name: wanted.push_name };
    let conversations = state.gateway.conversations();
    let found = conversations.contacts(&held.caller, &held.name, &filter, page).await?;
    let addresses = found.iter().filter_map(address_of);
    let pictures = pictures(&state, &held, addresses).await?;
    let shown = found.iter().filter_map(|one| shown_contact(one, &pictures, &held)).collect();
    Ok((StatusCode::OK, Json(shown)))
}

/// A group that somebody wrote in, as what is known under its address.
async fn group_as_contact(state: &AppState, held: &Held, group: &Jid) -> Answer {
    let filter = ChatFilter { chat: Some(group.clone()), ..ChatFilter::default() };
    let page = Page { skip: 0, take: 1 };
    let conversations = state.gateway.conversations();
    let found = conversations.chats(&held.caller, &held.name, &filter, page).await?;
    let names = group_names(state, held, &found).await?;
    let pictures = pictures(state, held, std::iter::once(group)).await?;
    let shown = |chat: &ChatOverview| {
        json!({
            "id": chat.key,
            "remoteJid": chat.address,
            "pushName": name_of(chat, &names),
            "profilePicUrl": pictures.get(group),
            "createdAt": chat.created_at.rfc3339(),
            "updatedAt": chat.last_message_at.rfc3339(),
            "instanceId": held.view.id.text(),
            "isGroup": true,
            "isSaved": name_of(chat, &names).is_some(),
            "type": "group",
        })
    };
    Ok((StatusCode::OK, Json(found.iter().map(shown).collect())))
}

fn address_of(contact: &Contact) -> Option<&Jid> {
    Some(main_address(contact.addresses.first()?, &contact.addresses))
}

fn shown_contact(contact: &Contact, pictures: &HashMap<Jid, String>, held: &Held) -> Option<Value> {
    let address = address_of(contact)?;
    Some(json!({
        "id": contact.id,
        "remoteJid": address,
        "pushName": contact.push_name,
        "profilePicUrl": pictures.get(address),
        "createdAt": contact.created_at.rfc3339(),
        "updatedAt": contact.updated_at.rfc3339(),
        "instanceId": held.view.id.text(),
        "isGroup": false,
        "isSaved": contact.has_chat,
        "type": if contact.has_chat { "contact" } else { "group_member" },
    }))
}

/// `POST /chat/findStatusMessage/{name}`: how far the owner's messages got, each as it is now.
pub(super) async fn statuses(State(state): State<AppState>, held: Held, body: Posted) -> Answer {
    let mut asked: Asked = body.read(&ASKED)?;
    let page = asked.page(MESSAGES);
    let wanted = asked.r#where.take().unwrap_or_default();
    let filter = {
        let named = wanted.id.clone();
        let filter = MessageFilter { from_me: Some(true), row: None, ..wanted.messages()? };
        MessageFilter { wa_id: named.or(filter.wa_id.clone()), ..filter }
    };
    let conversations = state.gateway.conversations();
    let (_, found) = conversations.messages(&held.caller, &held.name, &filter, page).await?;
    let moved = found.iter().filter(|message| message.status != DeliveryStatus::Pending);
    let rows = moved.map(|message| {
        let key = &record(message)["key"];
        json!({
            "id": message.row_id.text(),
            "keyId": message.wa_id,
            "remoteJid": key["remoteJid"],
            "fromMe": true,
            "participant": key["participant"],
            "pollUpdates": null,
            "status": message.status.as_str(),
            "messageId": message.row_id.text(),
            "instanceId": held.view.id.text(),
        })
    });
    Ok((StatusCode::OK, Json(rows.collect())))
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OneChat {
    remote_jid: Option<String>,
}

/// `GET /chat/findChatByRemoteJid/{name}`
pub(super) async fn chat(
    State(state): State<AppState>,
    held: Held,
    Query(asked): Query<OneChat>,
) -> Answer {
    let Some(chat) = jid(asked.remote_jid)? else {
        let body = json!({ "error": "remoteJid is a required query parameter" });
        return Err(Refusal::raw(StatusCode::BAD_REQUEST, body));
    };
    let filter = ChatFilter { chat: Some(chat), ..ChatFilter::default() };
    let page = Page { skip: 0, take: 1 };
    let conversations = state.gateway.conversations();
    let found = conversations.chats(&held.caller, &held.name, &filter, page).await?;
    let names = group_names(&state, &held, &found).await?;
    let row = found.first().map(|chat| {
        json!({
            "id": chat.key,
            "remoteJid": main_address(&chat.address, &chat.addresses),
            "name": name_of(chat, &names),
            "labels": null,
            "createdAt": chat.created_at.rfc3339(),
            "updatedAt": chat.last_message_at.rfc3339(),
            "instanceId": held.view.id.text(),
            "unreadMessages": chat.unread,
        })
    });
    Ok((StatusCode::OK, Json(row.unwrap_or_default())))
}
