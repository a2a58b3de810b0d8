//! What became of the events on their way to webhooks.

use crate::app::AppState;
use crate::auth::Authenticated;
use crate::extract::{Asked, Named, instance_name};
use crate::problem::Problem;
use axum::Json;
use axum::extract::State;
use flowcore_domain::clock::Millis;
use flowcore_gateway::{Delivery, DeliveryFilter, DeliveryState};
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
    Named(name): Named<String>,
    Asked(query): Asked<Query>,
) -> Result<Json<Value>, Problem> {
    let name = instance_name(&name)?;
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
    let data: Vec<Value> = deliveries.iter().map(shown).collect();
    Ok(Json(json!({ "data": data, "nextCursor": next })))
}

fn shown(delivery: &Delivery) -> Value {
    let attempts = delivery.attempts.iter().map(|attempt| {
        json!({
            "at": attempt.at.rfc3339(),
            "status": attempt.status,
            "durationMs": attempt.duration_ms,
            "error": attempt.error,
        })
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
