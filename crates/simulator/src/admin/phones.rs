//! The phones: scanning a code, unlinking a device, writing on the phone itself.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Json;
use serde::Deserialize;
use serde_json::{Value, json};
use wacore_binary::Server;

use super::{AdminError, parse_phone, parse_recipient};
use crate::hub::Hub;
use crate::phone::app_state::{self, Doing};
use crate::phone::history::PastChat;
use crate::world::DeviceAddress;
use crate::world::account::Account;
use crate::{iq, pairing, phone, presence};

#[derive(Deserialize)]
pub(super) struct ScanQuery {
    phone: Option<String>,
}

/// The body is the QR text as it is. The answer comes when the phone has signed; the client then
/// finishes the link by itself.
pub(super) async fn scan_qr(
    State(hub): State<Arc<Hub>>,
    Query(query): Query<ScanQuery>,
    text: String,
) -> Result<Json<Value>, AdminError> {
    let phone = query.phone.as_deref().map(parse_phone).transpose()?;
    let scanned = pairing::scan(&mut hub.world(), &text, phone.as_deref())?;
    Ok(Json(json!({
        "phone": scanned.phone,
        "jid": scanned.jid.to_string(),
        "lid": scanned.lid.to_string(),
        "device": scanned.device,
    })))
}

/// The phones of the product's numbers, with the devices linked to each.
pub(super) async fn list(State(hub): State<Arc<Hub>>) -> Json<Value> {
    let world = hub.world();
    let shown = |account: &Account| {
        let devices = account.devices.iter().map(|(device, linked)| {
            let online = linked.is_active();
            json!({ "device": device, "linkedAt": linked.linked_at, "online": online })
        });
        json!({
            "phone": account.phone,
            "jid": account.user_jid(Server::Pn).to_string(),
            "lid": account.user_jid(Server::Lid).to_string(),
            "name": account.profile.push_name,
            "about": account.profile.about,
            "picture": account.profile.picture.as_ref().map(|picture| &picture.id),
            "privacy": account.profile.privacy,
            "blocked": account.profile.blocked,
            "available": presence::is_available(&world, &account.phone),
            "devices": devices.collect::<Vec<_>>(),
        })
    };
    let played = world.accounts.values().filter(|account| !account.profile.person);
    Json(json!({ "phones": played.map(shown).collect::<Vec<_>>() }))
}

/// Codes that can be scanned now. The text of a code is known where the network was given a
/// source for it; of other clients only the announced name is.
pub(super) async fn waiting(State(hub): State<Arc<Hub>>) -> Json<Value> {
    let offered = match hub.codes.get() {
        Some(source) => source.waiting().await,
        None => Vec::new(),
    };
    let names: Vec<String> =
        hub.world().registrations.values().filter_map(|client| client.push_name.clone()).collect();
    Json(json!({ "codes": offered, "clients": names }))
}

#[derive(Deserialize)]
pub(super) struct TypedCode {
    phone: String,
    code: String,
}

/// The owner types a pairing code. The answer comes when the client has proved to know it too.
pub(super) async fn enter_code(
    State(hub): State<Arc<Hub>>,
    Json(typed): Json<TypedCode>,
) -> Result<Json<Value>, AdminError> {
    let phone = parse_phone(&typed.phone)?;
    let scanned = pairing::code::enter(&hub, &phone, &typed.code).await?;
    Ok(Json(json!({
        "phone": scanned.phone,
        "jid": scanned.jid.to_string(),
        "lid": scanned.lid.to_string(),
        "device": scanned.device,
    })))
}

#[derive(Default, Deserialize)]
pub(super) struct Unlink {
    device: Option<u16>,
}

/// Unlinks one device, or all of them.
pub(super) async fn unlink(
    State(hub): State<Arc<Hub>>,
    Path(phone): Path<String>,
    body: Option<Json<Unlink>>,
) -> Result<Json<Value>, AdminError> {
    let wanted = body.and_then(|Json(body)| body.device);
    let mut world = hub.world();
    if !world.accounts.contains_key(&phone) {
        return Err(AdminError::no_account());
    }
    let devices: Vec<DeviceAddress> = world
        .companions(&phone)
        .into_iter()
        .filter(|address| wanted.is_none_or(|device| device == address.device))
        .collect();
    if devices.is_empty() {
        return Err(AdminError::new(StatusCode::NOT_FOUND, "no such device is linked"));
    }
    for device in &devices {
        iq::unlink(&mut world, device);
    }
    let unlinked: Vec<u16> = devices.iter().map(|address| address.device).collect();
    Ok(Json(json!({ "unlinked": unlinked })))
}

#[derive(Deserialize)]
pub(super) struct PhoneMessage {
    to: String,
    text: String,
}

/// The owner writes on the phone: an own message that no linked device sent.
pub(super) async fn write(
    State(hub): State<Arc<Hub>>,
    Path(phone): Path<String>,
    Json(message): Json<PhoneMessage>,
) -> Result<(StatusCode, Json<Value>), AdminError> {
    let to = parse_recipient(&message.to)?;
    let id = phone::write(&hub, &phone, &to, &message.text).await?;
    Ok((StatusCode::CREATED, Json(json!({ "id": id }))))
}

/// The owner does something with chats, contacts or labels.
pub(super) async fn app_state(
    State(hub): State<Arc<Hub>>,
    Path(phone): Path<String>,
    Json(doing): Json<Doing>,
) -> Result<Json<Value>, AdminError> {
    let (collection, version) = app_state::perform(&mut hub.world(), &phone, doing)?;
    Ok(Json(json!({ "collection": collection, "version": version })))
}

/// What the owner sees of chats, contacts and labels: the entries of app state, as the phone reads them.
pub(super) async fn show_app_state(
    State(hub): State<Arc<Hub>>,
    Path(phone): Path<String>,
) -> Result<Json<Value>, AdminError> {
    let world = hub.world();
    let account = world.accounts.get(&phone).ok_or_else(AdminError::no_account)?;
    let entries = account.app_state.entries();
    let shown = entries.iter().map(|(index, value)| {
        let mut value = json!(value);
        if let Some(fields) = value.as_object_mut() {
            fields.retain(|_, field| !field.is_null());
        }
        json!({ "index": index, "value": value })
    });
    Ok(Json(json!({ "entries": shown.collect::<Vec<_>>() })))
}

#[derive(Deserialize)]
pub(super) struct Past {
    chats: Vec<PastChat>,
}

/// What happened before a companion was linked; the account is made when it is new.
pub(super) async fn history(
    State(hub): State<Arc<Hub>>,
    Path(phone): Path<String>,
    Json(past): Json<Past>,
) -> Result<Json<Value>, AdminError> {
    let phone = parse_phone(&phone)?;
    let chats = past.chats.len();
    let mut world = hub.world();
    world.account_for(&phone, None).profile.past = past.chats;
    world.touch();
    Ok(Json(json!({ "chats": chats })))
}
