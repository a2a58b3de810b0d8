//! What became of the events on their way to webhooks.

use super::webhooks::webhook_id;
use crate::app::AppState;
use crate::auth::Authenticated;
use crate::extract::{Asked, Body, OfId, OfInstance};
use crate::problem::Problem;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use flowcore_domain::account::Role;
use flowcore_domain::clock::Millis;
use flowcore_gateway::{Delivery, DeliveryFilter, DeliveryState, ServiceError};
use serde::Deserialize;
use serde_json::{Value, json};

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1000;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Query {
    webhook_id: Option<String>,
    status: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

/// `GET /api/instances/{name}/deliveries`, newest first.
pub(crate) async fn list(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    OfInstance(name): OfInstance,
    Asked(query): Asked<Query>,
) -> Result<Json<Value>, Problem> {
    let wrong = |field: &'static str, rule: &str| {
        Problem::field("invalid_query", "The query does not fit", field, rule)
    };
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(wrong("limit", "limit is a number from 1 to 1000"));
    }
    let webhook = query.webhook_id.map(|id| id.parse()).transpose();
    let status = query.status.map(|word| {
        DeliveryState::parse(&word)
            .ok_or_else(|| wrong("status", "status is pending, delivered, failed or dead"))
    });
    let before = query.cursor.map(|seq| seq.parse::<i64>()).transpose();
    let filter = DeliveryFilter {
        webhook_id: webhook.map_err(|_| wrong("webhookId", "give the id of a webhook"))?,
        state: status.transpose()?,
        before_seq: before.map_err(|_| wrong("cursor", "take nextCursor as it came"))?,
    };
    let webhooks = state.gateway.webhooks();
    let mut deliveries = webhooks.deliveries(&caller, &name, &filter, limit + 1).await?;
    let more = deliveries.len() > limit;
    deliveries.truncate(limit);
    let next = deliveries.last().filter(|_| more).map(|last| last.seq.to_string());
    let data: Vec<Value> = deliveries.iter().map(|one| shown(one, caller.role)).collect();
    Ok(Json(json!({ "data": data, "nextCursor": next })))
}

/// `POST /api/instances/{name}/deliveries/{id}/retry`
pub(crate) async fn retry(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    OfInstance(name): OfInstance,
    OfId(id): OfId,
) -> Result<StatusCode, Problem> {
    let id = id.parse().map_err(|_| ServiceError::DeliveryNotFound)?;
    state.gateway.webhooks().retry(&caller, &name, id).await?;
    Ok(StatusCode::ACCEPTED)
}

/// What is replayed: the events of a time, both ends included; without an end, until now.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Replay {
    from: String,
    to: Option<String>,
    webhook_id: Option<String>,
}

/// `POST /api/instances/{name}/replay`
pub(crate) async fn replay(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    OfInstance(name): OfInstance,
    Body { value, .. }: Body<Replay>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let time = |field: &'static str, text: &str| {
        Millis::parse_rfc3339(text).ok_or_else(|| {
            let rule = "give a time as 2026-01-05T09:00:00Z";
            Problem::field("invalid_body", "The body does not fit", field, rule)
        })
    };
    let from = time("from", &value.from)?;
    let to = value.to.map(|text| time("to", &text)).transpose()?;
    let webhook = value.webhook_id.map(|id| webhook_id(&id)).transpose()?;
    let webhooks = state.gateway.webhooks();
    let count = webhooks.replay(&caller, &name, (from, to), webhook).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "count": count }))))
}

/// Which finished deliveries are forgotten.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Purge {
    before: Option<String>,
    webhook_id: Option<String>,
}

/// `DELETE /api/instances/{name}/deliveries`: forgets what is finished; what waits stays.
pub(crate) async fn purge(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    OfInstance(name): OfInstance,
    Asked(query): Asked<Purge>,
) -> Result<Json<Value>, Problem> {
    let time = |text: String| {
        Millis::parse_rfc3339(&text).ok_or_else(|| {
            let rule = "give a time as 2026-01-05T09:00:00Z";
            Problem::field("invalid_query", "The query does not fit", "before", rule)
        })
    };
    let before = query.before.map(time).transpose()?;
    let webhook = query.webhook_id.map(|id| webhook_id(&id)).transpose()?;
    let count = state.gateway.webhooks().purge(&caller, &name, webhook, before).await?;
    Ok(Json(json!({ "count": count })))
}

/// What a receiver answered may hold what its owner would not show: for admins only.
pub(super) fn shown(delivery: &Delivery, role: Role) -> Value {
    let attempts = delivery.attempts.iter().map(|attempt| {
        let mut shown = json!({
            "at": attempt.at.rfc3339(),
            "status": attempt.status,
            "durationMs": attempt.duration_ms,
            "error": attempt.error,
        });
        if role == Role::Admin {
            shown["answer"] = attempt.answer.clone().into();
        }
        shown
    });
    json!({
        "id": delivery.id,
        "webhookId": delivery.webhook_id,
        "eventId": delivery.event_id,
        "event": delivery.kind.as_str(),
        "status": delivery.state.as_str(),
        "attempts": attempts.collect::<Vec<_>>(),
        "nextAttemptAt": delivery.next_at.map(Millis::rfc3339),
    })
}
