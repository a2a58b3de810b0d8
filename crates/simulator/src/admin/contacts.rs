//! The people: making one, and what it writes, reads and sees.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Json;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use wacore_binary::Server;

use super::{AdminError, parse_phone, parse_recipient};
use crate::hub::Hub;
use crate::people::{Person, Writing};
use crate::world::account::Business;
use crate::{calls, iq, presence as presences};

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

pub(super) fn find(hub: &Hub, phone: &str) -> Result<Arc<Person>, AdminError> {
    hub.people.get(phone).ok_or_else(AdminError::no_contact)
}

#[derive(Deserialize)]
pub(super) struct Seen {
    /// What the caller knows; it waits for what is newer.
    version: Option<u64>,
    wait: Option<f64>,
}

/// The contact as it is, and what it sees of others.
pub(super) async fn show(
    State(hub): State<Arc<Hub>>,
    Path(phone): Path<String>,
    Query(seen): Query<Seen>,
) -> Result<Json<Value>, AdminError> {
    let person = find(&hub, &phone)?;
    let wait = Duration::try_from_secs_f64(seen.wait.unwrap_or(0.0)).unwrap_or(LONGEST_WAIT);
    let news = person.changed_since(seen.version.unwrap_or_default(), wait.min(LONGEST_WAIT));
    let version = hub.cancel.run_until_cancelled(news).await;
    let mut shown = describe(&hub, &phone)?;
    shown["version"] = json!(version);
    let (receipts, typing) = person.observed();
    let available = presences::is_available(&hub.world(), &phone);
    shown["presence"] = json!(if available { "available" } else { "unavailable" });
    {
        let world = hub.world();
        let profile = &world.accounts.get(&phone).ok_or_else(AdminError::no_contact)?.profile;
        shown["lastSeen"] = match profile.last_seen {
            0 => Value::Null,
            seconds => json!(seconds),
        };
        shown["about"] = json!(profile.about);
        shown["picture"] = json!(profile.picture.as_ref().map(|picture| &picture.id));
    }
    shown["typing"] = json!(typing);
    shown["calls"] = json!(calls::of(&hub.world(), &phone));
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

/// The contact writes: a text, media, a reaction, an edit and so on.
pub(super) async fn write(
    State(hub): State<Arc<Hub>>,
    Path(phone): Path<String>,
    Json(mut message): Json<Writing>,
) -> Result<(StatusCode, Json<Value>), AdminError> {
    let person = find(&hub, &phone)?;
    let to = parse_recipient(&message.to)?;
    let quote = message.quote.take();
    let draft = message
        .draft()
        .map_err(|reason| AdminError::new(StatusCode::UNPROCESSABLE_ENTITY, reason))?;
    let id = person.write(&hub, &to, draft, quote.as_deref()).await?;
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

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ProfileChange {
    about: Option<String>,
    /// JPEG as base64; empty takes the picture away.
    picture: Option<String>,
    business: Option<Business>,
    /// Categories of privacy with their values.
    privacy: Option<std::collections::BTreeMap<String, String>>,
    /// Numbers that are blocked, all of them.
    blocked: Option<std::collections::BTreeSet<String>>,
}

/// Anybody changes what is seen of it, on its phone.
pub(super) async fn profile(
    State(hub): State<Arc<Hub>>,
    Path(phone): Path<String>,
    Json(change): Json<ProfileChange>,
) -> Result<Json<Value>, AdminError> {
    let picture = match change.picture {
        None => None,
        Some(text) => Some(STANDARD.decode(text).map_err(|_| {
            AdminError::new(StatusCode::UNPROCESSABLE_ENTITY, "`picture` is not base64")
        })?),
    };
    let mut world = hub.world();
    let account = world.accounts.get_mut(&phone).ok_or_else(AdminError::no_account)?;
    if let Some(business) = change.business {
        account.profile.business = Some(business);
    }
    account.profile.privacy.extend(change.privacy.into_iter().flatten());
    if let Some(blocked) = change.blocked {
        account.profile.blocked = blocked;
    }
    world.touch();
    if let Some(about) = &change.about {
        iq::set_about(&mut world, &phone, about);
    }
    let id = picture.and_then(|jpeg| {
        iq::set_picture(&mut world, &phone, Some(jpeg).filter(|jpeg| !jpeg.is_empty()))
    });
    Ok(Json(json!({ "picture": id })))
}

#[derive(Deserialize)]
pub(super) struct PresenceChange {
    state: PresenceState,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum PresenceState {
    Available,
    Unavailable,
}

/// The contact comes or goes.
pub(super) async fn presence(
    State(hub): State<Arc<Hub>>,
    Path(phone): Path<String>,
    Json(change): Json<PresenceChange>,
) -> Result<Json<Value>, AdminError> {
    let person = find(&hub, &phone)?;
    let available = change.state == PresenceState::Available;
    person.appear(available).await?;
    let state = if available { "available" } else { "unavailable" };
    Ok(Json(json!({ "state": state })))
}

/// The contact sets its phone up anew: new keys, nothing received yet.
pub(super) async fn reinstall(
    State(hub): State<Arc<Hub>>,
    Path(phone): Path<String>,
) -> Result<Json<Value>, AdminError> {
    find(&hub, &phone)?;
    hub.people.reinstall(&hub, &phone).await?;
    Ok(Json(describe(&hub, &phone)?))
}
