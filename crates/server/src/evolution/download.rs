//! `POST /chat/getBase64FromMediaMessage/{name}`: the file of a stored message, a recording in MP4 if one
//! likes.

use super::body::Posted;
use super::refusal::Refusal;
use super::schema::{Field, Kind, optional, required};
use super::{Answer, Held};
use crate::app::AppState;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flowcore_gateway::ServiceError;
use serde::Deserialize;
use serde_json::json;

const KEY: [Field; 1] = [required("id", Kind::Text(128))];
const MESSAGE: [Field; 1] = [required("key", Kind::Object(&KEY))];
pub(super) const ASKED: [Field; 2] =
    [required("message", Kind::Object(&MESSAGE)), optional("convertToMp4", Kind::Flag)];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    message: Message,
    convert_to_mp4: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct Message {
    key: Key,
}

#[derive(Debug, Deserialize)]
struct Key {
    id: String,
}

pub(super) async fn base64(State(state): State<AppState>, held: Held, body: Posted) -> Answer {
    let asked: Asked = body.read(&ASKED)?;
    let id = asked.message.key.id;
    let conversations = state.gateway.conversations();
    let stored = conversations.message(&held.caller, &held.name, &id).await?;
    let stored = stored.ok_or_else(|| Refusal::bad("Message not found"))?;
    let file = state.gateway.files().of(&held.caller, &held.name, &id).await;
    let file = file.map_err(|error| match error {
        ServiceError::MessageNotFound => Refusal::bad("The message is not of the media type"),
        other => other.into(),
    })?;
    let file = if asked.convert_to_mp4 == Some(true) && stored.kind == "audioMessage" {
        state.gateway.files().in_mp4(file).await?
    } else {
        file
    };
    let media = &file.media;
    let mimetype = media.mimetype.as_deref().unwrap_or("application/octet-stream");
    let ending = mimetype.split(['/', ';']).nth(1).unwrap_or("bin");
    let name = media.file_name.clone().unwrap_or_else(|| format!("{id}.{ending}"));
    let answer = json!({
        "mediaType": media.kind,
        "fileName": name,
        "caption": stored.content[&media.kind]["caption"],
        "size": { "fileLength": file.bytes.len(), "height": media.height, "width": media.width },
        "mimetype": mimetype,
        "base64": STANDARD.encode(&file.bytes),
        "buffer": null,
    });
    Ok((StatusCode::CREATED, Json(answer)))
}
