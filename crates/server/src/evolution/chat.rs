//! `/chat/*` around messages: numbers, read marks, presence, blocking; labels.

use super::body::Posted;
use super::message::{KeyBlock, NUMBER, WHOLE_KEY, address, refused};
use super::refusal::Refusal;
use super::schema::{self, Field, Kind, optional, required};
use super::{Answer, Held, number};
use crate::app::AppState;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use flowcore_domain::engine::{Channel, Typing};
use flowcore_domain::jid::{Number, Server};
use flowcore_gateway::{ChatRef, CheckedNumber, ContactFilter, Page};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

pub(super) const NUMBERS: [Field; 1] = [required("numbers", Kind::List(&Kind::Text(100), 1, 500))];

/// `POST /chat/whatsappNumbers/{name}`: what is no number is on WhatsApp neither. Errors have no wrapper.
pub(super) async fn numbers(State(state): State<AppState>, held: Held, body: Posted) -> Answer {
    let body = body.meant(&NUMBERS);
    let faults = schema::faults(&body, &NUMBERS);
    if !faults.is_empty() {
        let messages: Vec<&str> = faults.iter().map(|fault| fault.message.as_str()).collect();
        let raw = json!({ "status": 400, "error": "Bad Request", "message": [messages] });
        return Err(Refusal::raw(StatusCode::BAD_REQUEST, raw));
    }
    let given = body["numbers"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let given: Vec<&str> = given.collect();
    let is_number = |text: &&&str| Number::parse(&number::wanted(text)).is_ok();
    let wanted: Vec<String> =
        given.iter().filter(is_number).map(|text| number::wanted(text)).collect();
    let people = state.gateway.people();
    let mut checked = people.check(&held.caller, &held.name, &wanted).await?.into_iter();
    let mut found = Vec::with_capacity(given.len());
    for text in &given {
        let one = if is_number(&text) { checked.next() } else { None };
        let server = one.as_ref().map(|one| one.jid.server());
        let rank = match server {
            Some(Server::Broadcast) => 0,
            Some(Server::Group) => 1,
            _ => 2,
        };
        found.push((rank, shown_number(&state, &held, text, one).await?));
    }
    found.sort_by_key(|(rank, _)| *rank);
    let list = found.into_iter().map(|(_, shown)| shown).collect();
    Ok((StatusCode::OK, Json(list)))
}

async fn shown_number(
    state: &AppState,
    held: &Held,
    text: &str,
    checked: Option<CheckedNumber>,
) -> Result<Value, Refusal> {
    let Some(checked) = checked else {
        return Ok(json!({ "jid": number::address_of(text), "exists": false, "number": text }));
    };
    let mut shown =
        json!({ "jid": checked.jid, "exists": checked.account.is_some(), "number": text });
    if checked.jid.is_group() {
        let group = state.gateway.groups().get(&held.caller, &held.name, &checked.jid).await;
        shown["exists"] = json!(group.is_ok());
        shown["name"] = json!(group.ok().map(|group| group.subject));
        return Ok(shown);
    }
    if let Some(account) = &checked.account {
        if account.lid.is_some() {
            shown["lid"] = json!(account.lid);
        }
        if let Some(name) = known_name(state, held, &checked.jid).await? {
            shown["name"] = json!(name);
        }
    }
    Ok(shown)
}

/// What somebody calls themselves, when that is known.
pub(super) async fn known_name(
    state: &AppState,
    held: &Held,
    jid: &flowcore_domain::jid::Jid,
) -> Result<Option<String>, Refusal> {
    let filter = ContactFilter { address: Some(jid.clone()), ..ContactFilter::default() };
    let conversations = state.gateway.conversations();
    let page = Page { skip: 0, take: 1 };
    let found = conversations.contacts(&held.caller, &held.name, &filter, page).await?;
    Ok(found.into_iter().next().and_then(|one| one.push_name))
}

pub(super) const READ: [Field; 1] =
    [required("readMessages", Kind::List(&Kind::Object(&WHOLE_KEY), 1, 1000))];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Read {
    read_messages: Vec<KeyBlock>,
}

/// `POST /chat/markMessageAsRead/{name}`
pub(super) async fn mark_read(State(state): State<AppState>, held: Held, body: Posted) -> Answer {
    let asked: Read = body.read(&READ)?;
    let keys = asked.read_messages.iter().map(KeyBlock::whole).collect::<Result<Vec<_>, _>>()?;
    state.gateway.chats().mark_read(&held.caller, &held.name, &keys).await?;
    let answer = json!({ "message": "Read messages", "read": "success" });
    Ok((StatusCode::CREATED, Json(answer)))
}

/// `POST /chat/markMessageAsPlayed/{name}`, of 2.4.
pub(super) async fn mark_played(State(state): State<AppState>, held: Held, body: Posted) -> Answer {
    let asked: Read = body.read(&READ)?;
    let keys = asked.read_messages.iter().map(KeyBlock::whole).collect::<Result<Vec<_>, _>>()?;
    state.gateway.chats().mark_played(&held.caller, &held.name, &keys).await?;
    let answer = json!({ "message": "Played messages", "played": "success" });
    Ok((StatusCode::CREATED, Json(answer)))
}

/// `POST /chat/findChannels/{name}`, of 2.4: the channels that the owner follows, as WhatsApp says.
pub(super) async fn channels(State(state): State<AppState>, held: Held) -> Answer {
    let found = state.gateway.chats().channels(&held.caller, &held.name).await?;
    let shown = |channel: &Channel| {
        json!({
            "id": channel.id,
            "remoteJid": channel.id,
            "name": channel.name,
            "description": channel.description,
            "subscribers": channel.followers,
            "verified": channel.verified,
            "picture": channel.picture,
            "invite": channel.invite,
            "creation": channel.created,
        })
    };
    Ok((StatusCode::OK, Json(found.iter().map(shown).collect())))
}

const LAST: [Field; 2] = [
    required("key", Kind::Object(&WHOLE_KEY)),
    optional("messageTimestamp", Kind::Whole(0, i64::MAX)),
];
pub(super) const ARCHIVE: [Field; 3] = [
    optional("lastMessage", Kind::Object(&LAST)),
    optional("chat", Kind::Text(100)),
    required("archive", Kind::Flag),
];
pub(super) const UNREAD: [Field; 2] =
    [optional("lastMessage", Kind::Object(&LAST)), optional("chat", Kind::Text(100))];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ChatBlock {
    last_message: Option<Last>,
    chat: Option<String>,
    #[serde(default)]
    archive: bool,
}

#[derive(Debug, Deserialize)]
struct Last {
    key: KeyBlock,
}

impl ChatBlock {
    fn chat(&self) -> Result<ChatRef, Refusal> {
        let key = self.last_message.as_ref().map(|last| last.key.whole()).transpose()?;
        let named =
            self.chat.as_deref().filter(|text| !text.is_empty()).map(address).transpose()?;
        let last = key.as_ref().map(|key| (key.id.clone(), key.from_me));
        match named.or_else(|| key.map(|key| key.chat)) {
            Some(jid) => Ok(ChatRef { jid, last }),
            None => Err(Refusal::schema(&[schema::Fault {
                path: "instance".to_owned(),
                message: "instance requires property \"lastMessage\"".to_owned(),
            }])),
        }
    }
}

/// `POST /chat/archiveChat/{name}`
pub(super) async fn archive(State(state): State<AppState>, held: Held, body: Posted) -> Answer {
    let asked: ChatBlock = body.read(&ARCHIVE)?;
    let chat = asked.chat()?;
    let chats = state.gateway.chats();
    let jid = chats.archive(&held.caller, &held.name, (&chat, asked.archive)).await?;
    Ok((StatusCode::CREATED, Json(json!({ "chatId": jid, "archived": asked.archive }))))
}

/// `POST /chat/markChatUnread/{name}`
pub(super) async fn mark_unread(State(state): State<AppState>, held: Held, body: Posted) -> Answer {
    let asked: ChatBlock = body.read(&UNREAD)?;
    let chat = asked.chat()?;
    let jid = state.gateway.chats().mark(&held.caller, &held.name, (&chat, false)).await?;
    Ok((StatusCode::CREATED, Json(json!({ "chatId": jid, "markedChatUnread": true }))))
}

const PRESENCES: [&str; 5] = ["unavailable", "available", "composing", "recording", "paused"];
pub(super) const PRESENCE: [Field; 3] = [
    NUMBER,
    required("presence", Kind::OneOf(&PRESENCES)),
    required("delay", Kind::Whole(0, 120_000)).says("Enter a value in milliseconds"),
];

#[derive(Debug, Deserialize)]
struct Presence {
    #[serde(default)]
    number: String,
    #[serde(rename = "presence")]
    word: String,
    #[serde(default)]
    delay: u64,
}

fn typing(word: &str) -> Option<Typing> {
    match word {
        "composing" => Some(Typing::Composing),
        "recording" => Some(Typing::Recording),
        "paused" => Some(Typing::Paused),
        _ => None,
    }
}

/// `POST /chat/sendPresence/{name}`: takes as long as it is shown.
pub(super) async fn presence(State(state): State<AppState>, held: Held, body: Posted) -> Answer {
    let asked: Presence = body.read(&PRESENCE)?;
    let chats = state.gateway.chats();
    if let Some(typing) = typing(&asked.word) {
        let shown = (typing, Duration::from_millis(asked.delay));
        let to = number::wanted(&asked.number);
        let done = chats.show_typing(&held.caller, &held.name, &to, shown).await;
        done.map_err(|error| refused(error, &asked.number))?;
    } else {
        chats.set_available(&held.caller, &held.name, asked.word == "available").await?;
    }
    Ok((StatusCode::CREATED, Json(json!({ "presence": asked.word }))))
}

pub(super) const OWN_PRESENCE: [Field; 1] = [required("presence", Kind::OneOf(&PRESENCES))];

/// `POST /instance/setPresence/{name}`
pub(super) async fn own_presence(
    State(state): State<AppState>,
    held: Held,
    body: Posted,
) -> Answer {
    let asked: Presence = body.read(&OWN_PRESENCE)?;
    if typing(&asked.word).is_some() {
        let sentence = "Typing is shown in a chat: use chat/sendPresence with a number.";
        return Err(Refusal::bad(sentence));
    }
    let available = asked.word == "available";
    state.gateway.chats().set_available(&held.caller, &held.name, available).await?;
    Ok((StatusCode::CREATED, Json(json!({ "presence": asked.word }))))
}

pub(super) const BLOCK: [Field; 2] =
    [NUMBER, required("status", Kind::OneOf(&["block", "unblock"]))];

#[derive(Debug, Deserialize)]
struct Block {
    number: String,
    status: String,
}

/// `POST /chat/updateBlockStatus/{name}`
pub(super) async fn block(State(state): State<AppState>, held: Held, body: Posted) -> Answer {
    let asked: Block = body.read(&BLOCK)?;
    let whom = number::wanted(&asked.number);
    let people = state.gateway.people();
    let done = people.block(&held.caller, &held.name, (&whom, asked.status == "block")).await;
    done.map_err(|error| refused(error, &asked.number))?;
    Ok((StatusCode::CREATED, Json(json!({ "block": "success" }))))
}
