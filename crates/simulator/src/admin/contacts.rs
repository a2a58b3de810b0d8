//! The people: making one, and what it writes, reads and sees.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Json;
use serde::Deserialize;
use serde_json::{Value, json};
use wacore_binary::Server;

use super::{AdminError, parse_phone, parse_recipient};
use crate::hub::Hub;
use crate::people::Person;
use crate::presence;

/// Longest wait of one request for a message.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewContact {
    phone: Option<String>,
    name: String,
    push_name: Option<String>,
}

pub(super) async fn add(
    State(hub): State<Arc<Hub>>,
    Json(contact): Json<NewContact>,
) -> Result<(StatusCode, Json<Value>), AdminError> {
    let phone = contact.phone.as_deref().map(parse_phone).transpose()?;
    let push_name = contact.push_name.unwrap_or(contact.name);
    if push_name.is_empty() {
        return Err(AdminError::new(StatusCode::UNPROCESSABLE_ENTITY, "a contact has a name"));
    }
    let person = hub.people.add(&hub, phone, &push_name).await?;
    Ok((StatusCode::CREATED, Json(describe(&hub, &person.phone)?)))
}

/// Everybody whom the network plays.
pub(super) async fn list(State(hub): State<Arc<Hub>>) -> Result<Json<Value>, AdminError> {
    let contacts: Result<Vec<Value>, AdminError> =
        hub.people.phones().iter().map(|phone| describe(&hub, phone)).collect();
    Ok(Json(json!({ "contacts": contacts? })))
}

fn describe(hub: &Hub, phone: &str) -> Result<Value, AdminError> {
    let world = hub.world();
    let account = world.accounts.get(phone).ok_or_else(AdminError::no_contact)?;
    Ok(json!({
        "phone": account.phone,
        "jid": account.user_jid(Server::Pn).to_string(),
        "lid": account.user_jid(Server::Lid).to_string(),
        "name": account.profile.push_name,
    }))
}

fn find(hub: &Hub, phone: &str) -> Result<Arc<Person>, AdminError> {
    hub.people.get(phone).ok_or_else(AdminError::no_contact)
}

/// The contact as it is, and what it sees of others.
pub(super) async fn show(
    State(hub): State<Arc<Hub>>,
    Path(phone): Path<String>,
) -> Result<Json<Value>, AdminError> {
    let person = find(&hub, &phone)?;
    let mut shown = describe(&hub, &phone)?;
    let (receipts, typing) = person.observed();
    let available = presence::is_available(&hub.world(), &phone);
    shown["presence"] = json!(if available { "available" } else { "unavailable" });
    shown["lastSeen"] = Value::Null;
    shown["typing"] = json!(typing);
    shown["calls"] = json!([]);
    shown["receipts"] = json!(receipts);
    Ok(Json(shown))
}

#[derive(Deserialize)]
pub(super) struct After {
    after: Option<String>,
    wait: Option<f64>,
}

/// What the contact received and decrypted.
pub(super) async fn messages(
    State(hub): State<Arc<Hub>>,
    Path(phone): Path<String>,
    Query(query): Query<After>,
) -> Result<Json<Value>, AdminError> {
    let person = find(&hub, &phone)?;
    let wait = Duration::try_from_secs_f64(query.wait.unwrap_or(0.0)).unwrap_or(LONGEST_WAIT);
    let messages = tokio::select! {
        () = hub.cancel.cancelled() => Vec::new(),
        messages = person.messages(query.after.as_deref(), wait.min(LONGEST_WAIT)) => messages,
    };
    Ok(Json(json!({ "messages": messages })))
}

#[derive(Deserialize)]
pub(super) struct ContactMessage {
    to: String,
    text: String,
    quote: Option<String>,
}

/// The contact writes a text.
pub(super) async fn write(
    State(hub): State<Arc<Hub>>,
    Path(phone): Path<String>,
    Json(message): Json<ContactMessage>,
) -> Result<(StatusCode, Json<Value>), AdminError> {
    let person = find(&hub, &phone)?;
    let to = parse_recipient(&message.to)?;
    let id = person.write(&to, &message.text, message.quote.as_deref()).await?;
    Ok((StatusCode::CREATED, Json(json!({ "id": id }))))
}

#[derive(Deserialize)]
pub(super) struct Read {
    chat: String,
    ids: Vec<String>,
}

/// The contact has read messages.
pub(super) async fn read(
    State(hub): State<Arc<Hub>>,
    Path(phone): Path<String>,
    Json(read): Json<Read>,
) -> Result<Json<Value>, AdminError> {
    let person = find(&hub, &phone)?;
    person.read(&parse_recipient(&read.chat)?, &read.ids).await?;
    Ok(Json(json!({ "read": read.ids.len() })))
}

#[derive(Deserialize)]
pub(super) struct Typing {
    to: String,
    state: TypingState,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum TypingState {
    Composing,
    Recording,
    Paused,
}

/// The contact types, records or pauses.
pub(super) async fn typing(
    State(hub): State<Arc<Hub>>,
    Path(phone): Path<String>,
    Json(typing): Json<Typing>,
) -> Result<Json<Value>, AdminError> {
    let person = find(&hub, &phone)?;
    let state = match typing.state {
        TypingState::Composing => "composing",
        TypingState::Recording => "recording",
        TypingState::Paused => "paused",
    };
    person.type_to(&parse_recipient(&typing.to)?, state).await?;
    Ok(Json(json!({ "state": state })))
}
