//! Reading bodies: JSON of bounded size, checked against what a route wants before anything else looks at it.

use super::refusal::Refusal;
use super::schema::{self, Fault, Field};
use crate::app::AppState;
use crate::extract::{UPLOAD_TIMEOUT, is_form, room};
use axum::extract::multipart::{Multipart, MultipartError};
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// A body that is not there by then is not coming.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// A JSON body; an empty one is an empty object.
#[derive(Debug)]
pub(crate) struct Posted(pub(super) Value);

impl<S: Send + Sync> FromRequest<S> for Posted {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let read = Bytes::from_request(request, state);
        let bytes = match tokio::time::timeout(BODY_TIMEOUT, read).await {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(rejection)) => return Err(unread(rejection.status())),
            Err(_) => return Err(unread(StatusCode::REQUEST_TIMEOUT)),
        };
        parsed(&bytes)
    }
}

fn parsed(bytes: &[u8]) -> Result<Posted, Refusal> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Posted(json!({})));
    }
    serde_json::from_slice(bytes).map(Posted).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        Refusal::unreadable(StatusCode::BAD_REQUEST, format!("The body is not JSON: {place}"))
    })
}

fn unread(status: StatusCode) -> Refusal {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => Refusal::unreadable(
            status,
            "request entity too large: see docs/api.md for how much a route takes",
        ),
        StatusCode::REQUEST_TIMEOUT => {
            Refusal::unreadable(status, "request aborted: the body was not complete in time")
        }
        _ => Refusal::unreadable(StatusCode::BAD_REQUEST, "request aborted: the body ended early"),
    }
}

impl Posted {
    /// The body as `T`, or what is wrong with it.
    pub(super) fn read<T: DeserializeOwned>(self, fields: &[Field]) -> Result<T, Refusal> {
        read(&self.0, fields).map_err(|faults| Refusal::schema(&faults))
    }

    /// The same for the routes of groups, which say it in another shape.
    pub(super) fn read_of_group<T: DeserializeOwned>(self, fields: &[Field]) -> Result<T, Refusal> {
        read(&self.0, fields).map_err(|faults| Refusal::schema_of_groups(&faults))
    }
}

fn read<T: DeserializeOwned>(body: &Value, fields: &[Field]) -> Result<T, Vec<Fault>> {
    let faults = schema::faults(body, fields);
    if !faults.is_empty() {
        return Err(faults);
    }
    shaped(body)
}

/// A part of a body that fits.
pub(super) fn shaped<T: DeserializeOwned>(body: &Value) -> Result<T, Vec<Fault>> {
    serde_path_to_error::deserialize(body).map_err(|error| {
        let path = error.path().to_string();
        vec![Fault { message: format!("{path} {}", error.inner()), path }]
    })
}

/// The most that a request with a file may have: 100 MiB, and what base64 adds.
pub(super) const MEDIA_LIMIT: usize = 136 << 20;
/// Most parts of a form.
const MAX_PARTS: usize = 64;
/// Longest text of a part of a form.
const MAX_PART: usize = 128 << 10;

/// A body that may carry a file: JSON, or a form whose part `file` is one. Few of them are in memory at a
/// time.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(super) body: Posted,
    pub(super) file: Option<Bytes>,
    pub(super) file_name: Option<String>,
    pub(super) mimetype: Option<String>,
    /// Kept as long as the file is.
    pub(super) room: OwnedSemaphorePermit,
}

impl FromRequest<AppState> for Upload {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Refusal> {
        let room = room(state).await?;
        let reading = async {
            if is_form(request.headers()) {
                return form(request, state, room).await;
            }
            let bytes = Bytes::from_request(request, state);
            let bytes = bytes.await.map_err(|rejection| unread(rejection.status()))?;
            let body = parsed(&bytes)?;
            Ok(Self { body, file: None, file_name: None, mimetype: None, room })
        };
        match tokio::time::timeout(UPLOAD_TIMEOUT, reading).await {
            Ok(read) => read,
            Err(_) => Err(unread(StatusCode::REQUEST_TIMEOUT)),
        }
    }
}

async fn form(
    request: Request,
    state: &AppState,
    room: OwnedSemaphorePermit,
) -> Result<Upload, Refusal> {
    let broken = |error: MultipartError| unread(error.status());
    let mut parts = Multipart::from_request(request, state)
        .await
        .map_err(|_| Refusal::unreadable(StatusCode::BAD_REQUEST, "The form can't be read"))?;
    let mut upload =
        Upload { body: Posted(Value::Null), file: None, file_name: None, mimetype: None, room };
    let mut fields = Map::new();
    let mut seen = 0;
    while let Some(part) = parts.next_field().await.map_err(broken)? {
        seen += 1;
        let name = part.name().unwrap_or_default().to_owned();
        if seen > MAX_PARTS || name.len() > 64 {
            return Err(Refusal::bad("A form has at most 64 parts with short names"));
        }
        if name == "file" {
            upload.file_name = part.file_name().map(str::to_owned);
            upload.mimetype = part.content_type().map(str::to_owned);
            upload.file = Some(part.bytes().await.map_err(broken)?);
            continue;
        }
        let text = part.text().await.map_err(broken)?;
        if text.len() > MAX_PART {
            return Err(Refusal::bad(format!("{name} is too long for a part of a form")));
        }
        let value = typed(&name, text);
        fields.insert(name, value);
    }
    upload.body = Posted(Value::Object(fields));
    Ok(upload)
}

/// The parts that are numbers.
const NUMBERS: [&str; 2] = ["delay", "font"];

/// Parts of a form are texts; those that can only be meant otherwise are read so.
fn typed(name: &str, text: String) -> Value {
    match text.as_str() {
        "true" | "True" => Value::Bool(true),
        "false" | "False" => Value::Bool(false),
        number if NUMBERS.contains(&name) && number.parse::<i64>().is_ok() => {
            number.parse::<i64>().map_or(Value::Null, Value::from)
        }
        _ if text.starts_with(['{', '[']) => {
            serde_json::from_str(&text).unwrap_or(Value::String(text))
        }
        _ => Value::String(text),
    }
}
