//! `/chat/getPollVote`, of 2.4: who chose what.

use super::body::Posted;
use super::refusal::Refusal;
use super::schema::{Field, Kind, optional, required};
use super::{Answer, Held};
use crate::app::AppState;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use flowcore_gateway::ServiceError;
use serde::Deserialize;
use serde_json::json;

const KEY: [Field; 1] = [required("id", Kind::Text(128))];
const MESSAGE: [Field; 1] = [required("key", Kind::Object(&KEY))];
pub(super) const ASKED: [Field; 2] =
    [required("message", Kind::Object(&MESSAGE)), optional("remoteJid", Kind::Text(100))];

#[derive(Debug, Deserialize)]
struct Asked {
    message: Message,
}

#[derive(Debug, Deserialize)]
struct Message {
    key: Key,
}

#[derive(Debug, Deserialize)]
struct Key {
    id: String,
}

/// `POST /chat/getPollVote/{name}`
pub(super) async fn votes(State(state): State<AppState>, held: Held, body: Posted) -> Answer {
    let asked: Asked = body.read(&ASKED)?;
    let conversations = state.gateway.conversations();
    let found = conversations.poll(&held.caller, &held.name, &asked.message.key.id).await;
    let answers = found.map_err(|error| match error {
        ServiceError::MessageNotFound => Refusal::bad("Poll not found"),
        other => other.into(),
    })?;
    let shown = answers.iter().map(|one| json!({ "name": one.name, "voters": one.voters }));
    Ok((StatusCode::OK, Json(shown.collect())))
}
