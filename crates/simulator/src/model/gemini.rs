//! The chat double on Gemini's wire: what that vendor insists on, its chunks, its refusals.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use serde_json::{Value, json};

use super::chat::{answer, text_of};
use super::script::Double;
use super::{play_stream, stream_events, tokens};
use crate::hub::Hub;

/// `POST /model/gemini/v1beta/models/{model}:streamGenerateContent?alt=sse`.
pub(super) async fn generate(
    State(hub): State<Arc<Hub>>,
    Path(call): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Ok(request) = serde_json::from_slice::<Value>(&body) else {
        return invalid("Invalid JSON payload received.");
    };
    let model = call.split_once(':').filter(|(_, what)| *what == "streamGenerateContent");
    let Some((model, _)) = model.filter(|_| query.as_deref() == Some("alt=sse")) else {
        let message = "This double knows streamGenerateContent with alt=sse only.";
        return refusal(StatusCode::NOT_FOUND, "NOT_FOUND", message);
    };
    if !headers.contains_key("x-goog-api-key") {
        let message = "Method doesn't allow unregistered callers.";
        return refusal(StatusCode::FORBIDDEN, "PERMISSION_DENIED", message);
    }
    let outcome = hub.doubles.ask(Double::Chat, request.clone());
    if let Some(response) = play_stream(&hub, &outcome, refusal).await {
        return response;
    }
    let Some(contents) = request["contents"].as_array().filter(|list| !list.is_empty()) else {
        return invalid("* GenerateContentRequest.contents: contents is not specified");
    };
    let known = |turn: &Value| turn["role"] == "user" || turn["role"] == "model";
    if !contents.iter().all(known) {
        return invalid("Please use a valid role: user, model.");
    }
    let system = json!({ "role": "system", "content": request["systemInstruction"]["parts"] });
    let turns = contents.iter().map(|turn| {
        let role = if turn["role"] == "model" { "assistant" } else { "user" };
        json!({ "role": role, "content": turn["parts"] })
    });
    let messages: Vec<Value> = std::iter::once(system).chain(turns).collect();
    let text = outcome.text.clone().unwrap_or_else(|| answer(&messages));
    let read: usize = messages.iter().map(|message| tokens(&text_of(message))).sum();
    let pieces: Vec<&str> = text.split_inclusive(' ').collect();
    let (last, first) = pieces.split_last().map_or(("", &[][..]), |(last, first)| (*last, first));
    let usage = json!({
        "promptTokenCount": read, "candidatesTokenCount": tokens(&text),
        "totalTokenCount": read + tokens(&text),
    });
    let chunks = first.iter().map(|piece| chunk(model, piece, None, &usage)).collect();
    stream_events(chunks, vec![chunk(model, last, Some("STOP"), &usage)], &outcome)
}

/// A part of the answer; the lines of this vendor end as those of HTTP.
fn chunk(model: &str, text: &str, finish: Option<&str>, usage: &Value) -> Bytes {
    let mut candidate =
        json!({ "content": { "parts": [{ "text": text }], "role": "model" }, "index": 0 });
    if let Some(finish) = finish {
        candidate["finishReason"] = finish.into();
    }
    let data = json!({ "candidates": [candidate], "usageMetadata": usage, "modelVersion": model });
    Bytes::from(format!("data: {data}\r\n\r\n"))
}

fn invalid(message: &str) -> Response {
    refusal(StatusCode::BAD_REQUEST, "INVALID_ARGUMENT", message)
}

/// The vendor's shape of a refusal.
fn refusal(status: StatusCode, kind: &str, message: &str) -> Response {
    let error = json!({ "code": status.as_u16(), "message": message, "status": kind });
    (status, Json(json!({ "error": error }))).into_response()
}
