//! Doubles of the vendors: a language model, an embedder and a transcriber that speak `OpenAI`'s wire
//! format and take any key; the language model speaks those of Anthropic and Gemini too ([`anthropic`],
//! [`gemini`]), the embedder that of Ollama.
//!
//! 1. A request is recorded, then the next scripted outcome of its double is taken, if there is one.
//! 2. A scripted refusal, a broken body or a dropped connection is the answer as it is.
//! 3. Otherwise the double answers by itself: the chat double from the passages in its prompt
//!    ([`chat`]), the embedder by hashing words ([`embeddings`]), the transcriber by what is written
//!    in the voice note's own tags ([`transcriptions`]).
//!
//! The same request gets the same answer. Nothing is kept over a restart.

mod anthropic;
mod chat;
mod embeddings;
mod gemini;
mod script;
pub(crate) mod transcriptions;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::DefaultBodyLimit;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use crate::hub::Hub;
pub(crate) use script::Doubles;
use script::Outcome;

/// What the vendor takes of audio, and a bit.
const LARGEST_REQUEST: usize = 32 * 1024 * 1024;
/// A scripted delay never outlives a client's patience.
const LONGEST_DELAY: Duration = Duration::from_secs(120);

/// The vendors' routes. Who scripts them is on the admin side: [`admin_routes`].
pub(crate) fn routes() -> Router<Arc<Hub>> {
    Router::new()
        .route("/model/v1/chat/completions", post(chat::complete))
        .route("/model/v1/embeddings", post(embeddings::embed))
        .route("/model/api/embed", post(embeddings::embed_as_ollama))
        .route("/model/v1/audio/transcriptions", post(transcriptions::transcribe))
        .route("/model/v1/models", get(list))
        .route("/model/anthropic/v1/messages", post(anthropic::message))
        .route("/model/gemini/v1beta/models/{call}", post(gemini::generate))
        .layer(DefaultBodyLimit::max(LARGEST_REQUEST))
}

/// Scripting the doubles and looking at what they were asked.
pub(crate) fn admin_routes() -> Router<Arc<Hub>> {
    Router::new()
        .route("/admin/model", post(script::set))
        .route("/admin/model/requests", get(script::requests))
}

/// The models that a settings page can offer.
async fn list() -> Json<Value> {
    let model = |id: &str| json!({ "id": id, "object": "model", "owned_by": "simulator" });
    Json(json!({
        "object": "list",
        "data": [model("chat-double"), model("embeddings-double"), model("transcriptions-double")],
    }))
}

/// The vendor's shape of a refusal.
fn refusal(status: StatusCode, kind: &str, message: &str) -> Response {
    let body =
        json!({ "error": { "message": message, "type": kind, "param": null, "code": null } });
    (status, Json(body)).into_response()
}

/// A request as JSON, whatever its headers say.
fn parse(body: &Bytes) -> Result<Value, Box<Response>> {
    serde_json::from_slice(body).map_err(|_| {
        let message = "We could not parse the JSON body of your request.";
        Box::new(refusal(StatusCode::BAD_REQUEST, "invalid_request_error", message))
    })
}

/// How a vendor refuses.
type Refusal = fn(StatusCode, &str, &str) -> Response;

/// Waits as the script says; gives the answer when the script refuses to let the double speak.
async fn play(hub: &Hub, outcome: &Outcome, refusal: Refusal) -> Option<Response> {
    if let Some(delay) = outcome.delay() {
        tokio::select! {
            () = hub.cancel.cancelled() => {}
            () = tokio::time::sleep(delay.min(LONGEST_DELAY)) => {}
        }
    }
    if outcome.drop {
        return Some(Response::new(broken_off(Vec::new())));
    }
    if let Some(status) = outcome.status {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let message = if status == StatusCode::TOO_MANY_REQUESTS {
            "Rate limit reached for requests"
        } else {
            "The double was told to refuse this request"
        };
        let mut response = refusal(status, "scripted", message);
        if let Some(seconds) = outcome.retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        return Some(response);
    }
    if outcome.broken {
        let headers = [(CONTENT_TYPE, "application/json")];
        return Some((headers, "{\"choices\":[{\"message\":{\"content\":").into_response());
    }
    None
}

/// Waits as [`play`] does; a stream that is to break breaks later, in its middle.
async fn play_stream(hub: &Hub, outcome: &Outcome, refusal: Refusal) -> Option<Response> {
    let whole = Outcome { broken: false, drop: false, ..outcome.clone() };
    play(hub, &whole, refusal).await
}

/// Server-sent events: those of the answer, then those of its end. One that is to break has half of the
/// first.
fn stream_events(mut answer: Vec<Bytes>, end: Vec<Bytes>, outcome: &Outcome) -> Response {
    let headers = [(CONTENT_TYPE, "text/event-stream")];
    if !outcome.broken && !outcome.drop {
        answer.extend(end);
        return (headers, stream_of(answer)).into_response();
    }
    answer.truncate(answer.len().div_ceil(2));
    if outcome.drop {
        return (headers, broken_off(answer)).into_response();
    }
    answer.push(Bytes::from_static(b"data: {\"broken\":[{\"delta\":\n\n"));
    (headers, stream_of(answer)).into_response()
}

fn stream_of(events: Vec<Bytes>) -> Body {
    Body::from_stream(stream::iter(events.into_iter().map(Ok::<_, std::convert::Infallible>)))
}

/// A body that ends in the middle: the connection closes without the end that was announced. The
/// first part is on its way before that.
fn broken_off(first: Vec<Bytes>) -> Body {
    let waits = !first.is_empty();
    let end = stream::once(async move {
        if waits {
            tokio::task::yield_now().await;
        }
        Err(std::io::Error::other("dropped on request"))
    });
    Body::from_stream(stream::iter(first.into_iter().map(Ok)).chain(end))
}

/// Words as the doubles compare them: lower case, letters and digits only.
fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

/// What a vendor would bill: about a token a word.
fn tokens(text: &str) -> usize {
    words(text).count()
}
