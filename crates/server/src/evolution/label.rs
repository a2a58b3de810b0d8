//! `/label/*`.

use super::body::Posted;
use super::message::{NUMBER, refused};
use super::schema::{Field, Kind, required};
use super::{Answer, Held, number};
use crate::app::AppState;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use flowcore_gateway::Label;
use serde::Deserialize;
use serde_json::json;

/// `GET /label/findLabels/{name}`
pub(super) async fn find(State(state): State<AppState>, held: Held) -> Answer {
    let labels = state.gateway.conversations().labels(&held.caller, &held.name).await?;
    let shown = |label: &Label| {
        json!({
            "color": label.color.to_string(),
            "name": label.name,
            "id": label.id,
            "predefinedId": label.predefined,
        })
    };
    Ok((StatusCode::OK, Json(labels.iter().map(shown).collect())))
}

pub(super) const LABEL: [Field; 3] = [
    NUMBER,
    required("labelId", Kind::Text(64)),
    required("action", Kind::OneOf(&["add", "remove"])),
];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Labelling {
    number: String,
    label_id: String,
    action: String,
}

/// `POST /label/handleLabel/{name}`
pub(super) async fn handle(State(state): State<AppState>, held: Held, body: Posted) -> Answer {
    let asked: Labelling = body.read(&LABEL)?;
    let chat = number::wanted(&asked.number);
    let chats = state.gateway.chats();
    let change = (asked.label_id.as_str(), asked.action == "add");
    let jid = chats.label(&held.caller, &held.name, &chat, change).await;
    let jid = jid.map_err(|error| refused(error, &asked.number))?;
    let mut answer = json!({ "numberJid": jid, "labelId": asked.label_id });
    answer[&asked.action] = json!(true);
    Ok((StatusCode::OK, Json(answer)))
}
