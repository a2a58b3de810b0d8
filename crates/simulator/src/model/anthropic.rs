//! The chat double on Anthropic's wire: what that vendor insists on, its events, its refusals.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use serde_json::{Value, json};

use super::chat::{answer, text_of};
use super::script::Double;
use super::{play_stream, stream_events, tokens};
use crate::hub::Hub;

/// `POST /model/anthropic/v1/messages`, as a stream.
pub(super) async fn message(
    State(hub): State<Arc<Hub>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Ok(request) = serde_json::from_slice::<Value>(&body) else {
        return invalid("The request body is not valid JSON");
    };
    if !headers.contains_key("x-api-key") {
        let message = "x-api-key header is required";
        return refusal(StatusCode::UNAUTHORIZED, "authentication_error", message);
    }
    if !headers.contains_key("anthropic-version") {
        return invalid("anthropic-version: header is required");
    }
    let outcome = hub.doubles.ask(Double::Chat, request.clone());
    if let Some(response) = play_stream(&hub, &outcome, refusal).await {
        return response;
    }
    let turns = request["messages"].as_array().cloned().unwrap_or_default();
    if !request["max_tokens"].is_u64() {
        return invalid("max_tokens: Field required");
    }
    if turns.first().is_none_or(|turn| turn["role"] != "user") {
        return invalid("messages: first message must use the \"user\" role");
    }
    if request["stream"] != json!(true) {
        return invalid("stream: this double answers in streams only");
    }
    let system = json!({ "role": "system", "content": request["system"] });
    let messages: Vec<Value> = std::iter::once(system).chain(turns).collect();
    let text = outcome.text.clone().unwrap_or_else(|| answer(&messages));
    let read: usize = messages.iter().map(|message| tokens(&text_of(message))).sum();
    let (events, end) = spoken(&request["model"], read, &text);
    stream_events(events, end, &outcome)
}

/// The events of an answer, and those of its end.
fn spoken(model: &Value, read: usize, text: &str) -> (Vec<Bytes>, Vec<Bytes>) {
    let started = json!({
        "id": "msg_double", "type": "message", "role": "assistant", "model": model, "content": [],
        "stop_reason": null, "stop_sequence": null,
        "usage": { "input_tokens": read, "output_tokens": 1 },
    });
    let block = json!({ "type": "text", "text": "" });
    let mut events = vec![
        event("message_start", json!({ "message": started })),
        event("content_block_start", json!({ "index": 0, "content_block": block })),
        event("ping", json!({})),
    ];
    events.extend(text.split_inclusive(' ').map(|piece| {
        let delta = json!({ "type": "text_delta", "text": piece });
        event("content_block_delta", json!({ "index": 0, "delta": delta }))
    }));
    let stopped = json!({ "stop_reason": "end_turn", "stop_sequence": null });
    let usage = json!({ "output_tokens": tokens(text) });
    let end = vec![
        event("content_block_stop", json!({ "index": 0 })),
        event("message_delta", json!({ "delta": stopped, "usage": usage })),
        event("message_stop", json!({})),
    ];
    (events, end)
}

fn event(kind: &str, mut data: Value) -> Bytes {
    data["type"] = kind.into();
    Bytes::from(format!("event: {kind}\ndata: {data}\n\n"))
}

fn invalid(message: &str) -> Response {
    refusal(StatusCode::BAD_REQUEST, "invalid_request_error", message)
}

/// The vendor's shape of a refusal.
fn refusal(status: StatusCode, kind: &str, message: &str) -> Response {
    let body = json!({ "type": "error", "error": { "type": kind, "message": message } });
    (status, Json(body)).into_response()
}
