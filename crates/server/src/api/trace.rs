//! What happened to one message, and why.

use super::deliveries;
use crate::app::AppState;
use crate::auth::Authenticated;
use crate::extract::{OfId, OfInstance};
use crate::problem::Problem;
use axum::Json;
use axum::extract::State;
use flowcore_domain::clock::Millis;
use flowcore_gateway::{Media, StoredMessage};
use serde_json::{Value, json};

/// `GET /api/instances/{name}/messages/{id}/trace`
pub(crate) async fn get(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    OfInstance(name): OfInstance,
    OfId(id): OfId,
) -> Result<Json<Value>, Problem> {
    let trace = state.gateway.traces().of(&caller, &name, &id).await?;
    let receipts = trace.receipts.iter().map(|receipt| {
        json!({
            "participant": receipt.participant,
            "status": receipt.status.as_str(),
            "at": receipt.at.rfc3339(),
        })
    });
    let event = trace.event.as_ref().map(|stored| {
        json!({
            "id": stored.event.id,
            "seq": stored.seq,
            "event": stored.event.kind.as_str(),
            "at": stored.event.at.rfc3339(),
        })
    });
    let reached = trace.deliveries.iter().map(|one| deliveries::shown(one, caller.role));
    let passed_over = trace
        .passed_over
        .iter()
        .map(|(webhook, why)| json!({ "webhookId": webhook, "reason": why.as_str() }));
    let notes = trace
        .notes
        .iter()
        .map(|note| json!({ "step": note.step, "data": note.data, "at": note.at.rfc3339() }));
    Ok(Json(json!({
        "messageId": id,
        "message": trace.message.as_ref().map(message),
        "media": trace.media.as_ref().map(media),
        "receipts": receipts.collect::<Vec<_>>(),
        "event": event,
        "deliveries": reached.collect::<Vec<_>>(),
        "passedOver": passed_over.collect::<Vec<_>>(),
        "notes": notes.collect::<Vec<_>>(),
    })))
}

/// How far it got; what it says is not part of its way.
fn message(message: &StoredMessage) -> Value {
    json!({
        "remoteJid": message.chat,
        "fromMe": message.from_me,
        "messageType": message.kind,
        "status": message.status.as_str(),
        "timestamp": message.at.rfc3339(),
        "storedAt": message.created_at.rfc3339(),
        "sentAt": message.sent_at.map(Millis::rfc3339),
    })
}

fn media(media: &Media) -> Value {
    json!({
        "mimetype": media.mimetype,
        "fileName": media.file_name,
        "bytes": media.bytes,
        "seconds": media.seconds,
        "width": media.width,
        "height": media.height,
    })
}
