//! `/message/*`: everything that is sent. The answer is the message as it was stored.

use super::body::{self, Posted};
use super::number;
use super::refusal::Refusal;
use super::schema::{self, Field, Kind, optional, required};
use super::{Answer, Held};
use crate::app::AppState;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use flowcore_domain::jid::Jid;
use flowcore_domain::message::{ContactCard, DeliveryStatus, MessageKey};
use flowcore_domain::webhook::BytesForm;
use flowcore_gateway::{
    NewContent, NewMessage, QuotedMessage, ServiceError, StoredMessage, record,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::time::Duration;

mod emoji;
mod former;
pub(super) mod interactive;
pub(super) mod media;
pub(super) mod status;

pub(super) use interactive::{send_buttons, send_carousel, send_list};
pub(super) use media::{FILE, source};
pub(super) use media::{send_audio, send_media, send_ptv, send_sticker};
pub(super) use status::send_status;

/// Longest that somebody is shown typing before a message, in milliseconds.
const MAX_DELAY: i64 = 120_000;
/// Longest text that a field takes; what WhatsApp takes is for the services to say.
pub(super) const TEXT: Kind = Kind::Text(100_000);
pub(super) const SHORT: Kind = Kind::Text(1024);
const JID: Kind = Kind::Text(100);

/// Whom it goes to.
pub(super) const NUMBER: Field = required("number", JID).says("Invalid format");

const KEY: [Field; 4] = [
    required("id", Kind::Text(128)),
    optional("remoteJid", JID),
    optional("fromMe", Kind::Flag),
    optional("participant", JID),
];
pub(super) const WHOLE_KEY: [Field; 4] = [
    required("id", Kind::Text(128)),
    required("remoteJid", JID),
    required("fromMe", Kind::Flag),
    optional("participant", JID),
];
const QUOTED: [Field; 2] =
    [required("key", Kind::Object(&KEY)), optional("message", Kind::AnyObject)];

/// What every message can have.
pub(super) const OPTIONS: [Field; 8] = [
    NUMBER,
    optional("delay", Kind::Whole(0, MAX_DELAY)).says("Enter a value in milliseconds"),
    optional("quoted", Kind::Object(&QUOTED)),
    optional("linkPreview", Kind::Flag),
    optional("takeOver", Kind::Flag),
    optional("mentionsEveryOne", Kind::Flag),
    optional("everyOne", Kind::Flag),
    optional("mentioned", Kind::List(&JID, 0, 1024))
        .says("\"mentioned\" must be an array of numeric strings"),
];

/// Whom a message goes to, and how.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Options {
    number: String,
    delay: Option<u64>,
    quoted: Option<QuotedBlock>,
    link_preview: Option<bool>,
    take_over: Option<bool>,
    mentions_every_one: Option<bool>,
    every_one: Option<bool>,
    mentioned: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
struct QuotedBlock {
    key: KeyBlock,
    message: Option<Value>,
}

/// Which message, as clients write it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct KeyBlock {
    id: String,
    remote_jid: Option<String>,
    #[serde(default)]
    from_me: bool,
    participant: Option<String>,
}

impl KeyBlock {
    /// The key, when it names the conversation.
    pub(super) fn key(&self) -> Result<Option<MessageKey>, Refusal> {
        let Some(chat) = &self.remote_jid else { return Ok(None) };
        let participant = self.participant.as_deref().filter(|text| !text.is_empty());
        Ok(Some(MessageKey {
            chat: address(chat)?,
            from_me: self.from_me,
            id: self.id.clone(),
            participant: participant.map(address).transpose()?,
        }))
    }

    /// The key, of which the conversation is a part.
    pub(super) fn whole(&self) -> Result<MessageKey, Refusal> {
        self.key()?.ok_or_else(|| Refusal::bad("key requires property \"remoteJid\""))
    }
}

/// An address, or what is wrong with it.
pub(super) fn address(text: &str) -> Result<Jid, Refusal> {
    number::jid_of(text)
        .ok_or_else(|| Refusal::bad(format!("\"{text}\" is not a WhatsApp address")))
}

impl QuotedBlock {
    fn quoted(&self) -> Result<QuotedMessage, Refusal> {
        let message = self.message.as_ref();
        let said = |message: &Value| {
            let plain = message["conversation"].as_str();
            plain.or(message["extendedTextMessage"]["text"].as_str()).map(str::to_owned)
        };
        Ok(QuotedMessage {
            id: self.key.id.clone(),
            key: self.key.key()?,
            text: message.and_then(said),
        })
    }
}

/// A body in today's shape or in that of version 1, as what every message has and what is its own.
pub(super) fn read<T: DeserializeOwned>(
    body: Posted,
    own: &[Field],
) -> Result<(Options, T), Refusal> {
    let fields: Vec<Field> = OPTIONS.iter().chain(own).copied().collect();
    let body = body.map(former::flattened).meant(&fields);
    let faults = schema::faults(&body, &fields);
    if !faults.is_empty() {
        return Err(Refusal::schema(&faults));
    }
    let options = body::shaped(&body).map_err(|faults| Refusal::schema(&faults))?;
    Ok((options, body::shaped(&body).map_err(|faults| Refusal::schema(&faults))?))
}

impl Options {
    fn message(self, content: NewContent) -> Result<NewMessage, Refusal> {
        Ok(NewMessage {
            to: number::wanted(&self.number),
            content,
            quoted: self.quoted.map(|block| block.quoted()).transpose()?,
            mentions: self.mentioned.iter().flatten().map(|one| number::wanted(one)).collect(),
            mention_all: self.mentions_every_one.or(self.every_one).unwrap_or(false),
            delay: Duration::from_millis(self.delay.unwrap_or_default()),
            link_preview: self.link_preview.unwrap_or(true),
            take_over: self.take_over,
        })
    }
}

/// Sends it.
pub(super) async fn send(
    state: &AppState,
    held: &Held,
    (options, content): (Options, NewContent),
) -> Answer {
    let number = options.number.clone();
    let message = options.message(content)?;
    let sending = state.gateway.messages().send(&held.caller, &held.name, message, None);
    let sent = sending.await.map_err(|error| refused(error, &number))?;
    created(&sent)
}

/// Why it is not sent; a number that nobody has is said with its address.
pub(super) fn refused(error: ServiceError, number: &str) -> Refusal {
    match error {
        ServiceError::NumberNotOnWhatsApp { number } => {
            Refusal::not_on_whatsapp(&number::address_of(&number), &number)
        }
        ServiceError::InvalidNumber(_) => {
            Refusal::not_on_whatsapp(&number::address_of(number), number)
        }
        other => other.into(),
    }
}

/// A message as its events show it here, bytes and long numbers included.
pub(super) fn shown(message: &StoredMessage) -> Value {
    let mut shown = record(message);
    BytesForm::Objects.write(&mut shown);
    shown
}

/// The answer to a message that was taken. What becomes of it is told by `messages.update`.
pub(super) fn created(sent: &StoredMessage) -> Answer {
    if sent.status == DeliveryStatus::Error {
        return Err(Refusal::bad("Error: WhatsApp refused the message"));
    }
    let mut answer = shown(sent);
    answer["status"] = json!(DeliveryStatus::Pending.as_str());
    Ok((StatusCode::CREATED, Json(answer)))
}

#[derive(Debug, Deserialize)]
struct Text {
    text: String,
}

pub(super) const WORDS: [Field; 1] = [required("text", TEXT)];

/// `POST /message/sendText/{name}`
pub(super) async fn send_text(State(state): State<AppState>, held: Held, body: Posted) -> Answer {
    let (options, own): (_, Text) = read(body, &WORDS)?;
    send(&state, &held, (options, NewContent::Text(own.text))).await
}

pub(super) const LOCATION: [Field; 4] = [
    required("latitude", Kind::Number),
    required("longitude", Kind::Number),
    required("name", SHORT),
    required("address", SHORT),
];

#[derive(Debug, Deserialize)]
struct Location {
    latitude: f64,
    longitude: f64,
    name: String,
    address: String,
}

/// `POST /message/sendLocation/{name}`
pub(super) async fn send_location(
    State(state): State<AppState>,
    held: Held,
    body: Posted,
) -> Answer {
    let (options, own): (_, Location) = read(body, &LOCATION)?;
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    let content = NewContent::Location {
        latitude: own.latitude,
        longitude: own.longitude,
        name: given(own.name),
        address: given(own.address),
    };
    send(&state, &held, (options, content)).await
}

const CARD: [Field; 6] = [
    required("fullName", SHORT),
    required("phoneNumber", Kind::Phrase(10, 64)),
    optional("wuid", Kind::Text(64)),
    optional("organization", SHORT),
    optional("email", SHORT),
    optional("url", SHORT),
];
pub(super) const CONTACTS: [Field; 1] =
    [required("contact", Kind::List(&Kind::Object(&CARD), 1, 50))];

#[derive(Debug, Deserialize)]
struct Contacts {
    contact: Vec<Card>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Card {
    full_name: String,
    phone_number: String,
    wuid: Option<String>,
    organization: Option<String>,
    email: Option<String>,
    url: Option<String>,
}

impl From<Card> for ContactCard {
    fn from(card: Card) -> Self {
        let digits = |text: &str| -> String {
            let user = text.split('@').next().unwrap_or_default();
            user.chars().filter(char::is_ascii_digit).collect()
        };
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        Self {
            number: digits(card.wuid.as_deref().unwrap_or(&card.phone_number)),
            full_name: card.full_name,
            phone: card.phone_number,
            organization: given(card.organization),
            email: given(card.email),
            url: given(card.url),
        }
    }
}

/// `POST /message/sendContact/{name}`
pub(super) async fn send_contact(
    State(state): State<AppState>,
    held: Held,
    body: Posted,
) -> Answer {
    let (options, own): (_, Contacts) = read(body, &CONTACTS)?;
    let cards = own.contact.into_iter().map(ContactCard::from).collect();
    send(&state, &held, (options, NewContent::Contacts(cards))).await
}

pub(super) const REACTION: [Field; 2] =
    [required("key", Kind::Object(&WHOLE_KEY)), required("reaction", Kind::Text(64))];

#[derive(Debug, Deserialize)]
struct Reaction {
    key: KeyBlock,
    reaction: String,
}

/// `POST /message/sendReaction/{name}`
pub(super) async fn send_reaction(
    State(state): State<AppState>,
    held: Held,
    body: Posted,
) -> Answer {
    let own: Reaction = body.map(former::flattened).read(&REACTION)?;
    if !own.reaction.is_empty() && !emoji::is_one(&own.reaction) {
        return Err(Refusal::bad("Reaction must be a single emoji or empty string"));
    }
    let key = own.key.whole()?;
    let messages = state.gateway.messages();
    created(&messages.react(&held.caller, &held.name, key, &own.reaction).await?)
}

pub(super) const POLL: [Field; 3] = [
    required("name", SHORT),
    required("selectableCount", Kind::Whole(0, 10)),
    required("values", Kind::Set(&Kind::Phrase(1, 255), 2, 10)),
];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Poll {
    name: String,
    selectable_count: u32,
    values: Vec<String>,
}

/// `POST /message/sendPoll/{name}`
pub(super) async fn send_poll(State(state): State<AppState>, held: Held, body: Posted) -> Answer {
    let (options, own): (_, Poll) = read(body, &POLL)?;
    let content =
        NewContent::Poll { name: own.name, options: own.values, selectable: own.selectable_count };
    send(&state, &held, (options, content)).await
}

pub(super) const EDIT: [Field; 3] =
    [NUMBER, required("text", TEXT), required("key", Kind::Object(&WHOLE_KEY))];

#[derive(Debug, Deserialize)]
struct Edit {
    text: String,
    key: KeyBlock,
}

/// `POST /chat/updateMessage/{name}`
pub(super) async fn edit(State(state): State<AppState>, held: Held, body: Posted) -> Answer {
    let own: Edit = body.read(&EDIT)?;
    let key = own.key.whole()?;
    let messages = state.gateway.messages();
    let (_, answer) = created(&messages.edit(&held.caller, &held.name, key, &own.text).await?)?;
    Ok((StatusCode::OK, answer))
}

/// `DELETE /chat/deleteMessageForEveryone/{name}`
pub(super) async fn delete(State(state): State<AppState>, held: Held, body: Posted) -> Answer {
    let key: KeyBlock = body.read(&WHOLE_KEY)?;
    let messages = state.gateway.messages();
    created(&messages.delete(&held.caller, &held.name, key.whole()?).await?)
}
