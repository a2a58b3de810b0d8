//! Sending.

use crate::app::AppState;
use crate::auth::Authenticated;
use crate::extract::{Body, instance_name};
use crate::problem::Problem;
use crate::replay::key_of;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use flowcore_gateway::{Idempotency, NewContent, NewMessage, SentView};
use serde::{Deserialize, Serialize};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Send {
    instance_name: String,
    number: String,
    message: String,
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    link_preview: bool,
    take_over: Option<bool>,
}

/// A message that was taken.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sent {
    message_id: String,
    status: &'static str,
    to: String,
    timestamp: String,
}

impl From<SentView> for Sent {
    fn from(view: SentView) -> Self {
        let status = match view {
            SentView { failed: true, .. } => "failed",
            SentView { acknowledged: true, .. } => "sent",
            _ => "pending",
        };
        Self {
            message_id: view.message_id,
            status,
            to: view.to.to_string(),
            timestamp: view.timestamp.rfc3339(),
        }
    }
}

/// `POST /api/whatsapp/send`: answered when WhatsApp's server has the message, or as pending when that
/// takes longer.
pub(crate) async fn send(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    headers: HeaderMap,
    Body { value, hash }: Body<Send>,
) -> Result<(StatusCode, Json<Sent>), Problem> {
    let name = instance_name(&value.instance_name)?;
    if value.kind.as_deref().is_some_and(|kind| kind != "text") {
        return Err(Problem::field(
            "message_type_not_supported",
            "Only text for now",
            "type",
            "this server sends texts; leave the type out, or set it to \"text\"",
        ));
    }
    let idempotency = key_of(&headers)?.map(|key| Idempotency { key, body_hash: hash });
    let messages = state.gateway.messages();
    let message = NewMessage {
        link_preview: value.link_preview,
        take_over: value.take_over,
        ..NewMessage::plain(value.number, NewContent::Text(value.message))
    };
    let sent = messages.send(&caller, &name, message, idempotency).await?;
    Ok((StatusCode::CREATED, Json(SentView::from(&sent).into())))
}
