//! What handlers take from a request, with problems in our own words when it can't be taken.
//!
//! Broken JSON is 400, a body over the limit 413, another kind of body 415, JSON of the wrong shape 422
//! with the field that is wrong.

mod upload;

pub(crate) use upload::{UPLOAD_TIMEOUT, Upload, is_form, room};

use crate::problem::Problem;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use flowcore_domain::instance::InstanceName;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use std::time::Duration;

/// The most that a JSON body of the API may have.
pub(crate) const JSON_LIMIT: usize = 1 << 20;
/// A body that is not there by then is not coming.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// A JSON body, and the hash of its bytes for `Idempotency-Key`.
pub(crate) struct Body<T> {
    pub(crate) value: T,
    pub(crate) hash: [u8; 32],
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        require_json(request.headers())?;
        let read = Bytes::from_request(request, state);
        let bytes = match tokio::time::timeout(BODY_TIMEOUT, read).await {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(rejection)) => return Err(unread(rejection.status())),
            Err(_) => return Err(unread(StatusCode::REQUEST_TIMEOUT)),
        };
        Ok(Self { value: parse(&bytes)?, hash: Sha256::digest(&bytes).into() })
    }
}

/// The first users' examples leave `Content-Type` out: absent is taken as JSON, another one is not.
fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(kind) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let kind = kind.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let kind = kind.to_ascii_lowercase();
    if kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json")) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        "Not JSON",
        "Send a JSON body with Content-Type: application/json.",
    ))
}

fn unread(status: StatusCode) -> Problem {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(
            status,
            "body_too_large",
            "The body is too large",
            format!("A JSON body has at most {JSON_LIMIT} bytes."),
        ),
        StatusCode::REQUEST_TIMEOUT => Problem::new(
            status,
            "body_timeout",
            "The body did not come",
            "The request's body was not complete within 30 seconds. Send it again.",
        ),
        _ => Problem::new(
            StatusCode::BAD_REQUEST,
            "body_unreadable",
            "The body can't be read",
            "The request's body ended early. Send it again.",
        ),
    }
}

/// Reads JSON, or says what is wrong with it.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    parse_value(json(bytes)?)
}

fn json(bytes: &[u8]) -> Result<serde_json::Value, Problem> {
    serde_json::from_slice(bytes).map_err(|error| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "invalid_json",
            "Broken JSON",
            format!("The body is not JSON: line {}, column {}.", error.line(), error.column()),
        )
    })
}

fn parse_value<T: DeserializeOwned>(value: serde_json::Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let message = error.inner().to_string();
        let field = missing_field(&message).unwrap_or_else(|| error.path().to_string());
        let field = if field == "." { String::new() } else { field };
        Problem::field("invalid_body", "The body does not fit", field, message)
    })
}

/// serde names a missing field only in its message, and the path ends above it.
fn missing_field(message: &str) -> Option<String> {
    let rest = message.strip_prefix("missing field `")?;
    Some(rest.split('`').next()?.to_owned())
}

/// The query of the URL.
pub(crate) struct Asked<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query.map(|Query(value)| Self(value)).map_err(|rejection| {
            let text = rejection.body_text();
            // axum's sentence, the field, what is wrong with it.
            let mut parts = text.splitn(3, ": ").skip(1);
            let field = parts.next().unwrap_or_default().to_owned();
            let message = parts.next().unwrap_or("the query can't be read");
            Problem::field("invalid_query", "The query does not fit", field, message)
        })
    }
}

/// The path's parameters, percent-decoded.
pub(crate) struct Named<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Named<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<T>::from_request_parts(parts, state).await;
        path.map(|Path(value)| Self(value)).map_err(|_| Problem::not_found())
    }
}

/// One of the path's parameters; nothing where the route has none of that name.
async fn parameter<S: Send + Sync>(
    parts: &mut Parts,
    state: &S,
    wanted: &str,
) -> Result<String, Problem> {
    let all = RawPathParams::from_request_parts(parts, state).await;
    let all = all.map_err(|_| Problem::not_found())?;
    let found = all.iter().find(|(name, _)| *name == wanted);
    Ok(found.map(|(_, value)| value.to_owned()).unwrap_or_default())
}

/// The instance that the path names (`{name}`).
pub(crate) struct OfInstance(pub(crate) InstanceName);

impl<S: Send + Sync> FromRequestParts<S> for OfInstance {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        instance_name(&parameter(parts, state, "name").await?).map(Self)
    }
}

/// What the path names beside its instance (`{id}`), as it stands there.
pub(crate) struct OfId(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for OfId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        parameter(parts, state, "id").await.map(Self)
    }
}

/// Reads an instance's name, or says the rule.
pub(crate) fn instance_name(text: &str) -> Result<InstanceName, Problem> {
    text.parse().map_err(|error: flowcore_domain::instance::NameError| {
        Problem::field(
            "invalid_instance_name",
            "Not a name for an instance",
            "instanceName",
            error.to_string(),
        )
    })
}
