//! Reading bodies: JSON or a form, of bounded size, checked against what a route wants before anything else looks
//! at it.

mod pairs;

use super::refusal::Refusal;
use super::schema::{self, Fault, Field};
use crate::app::AppState;
use crate::extract::{UPLOAD_TIMEOUT, is_form, room};
use axum::extract::multipart::{Multipart, MultipartError};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// A body that is not there by then is not coming.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// A body; an empty one is an empty object. All values of a form are texts, until it is known what they are meant
/// to be.
#[derive(Debug)]
pub(crate) struct Posted(pub(super) Value, Origin);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Json,
    Form,
}

impl<S: Send + Sync> FromRequest<S> for Posted {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let origin = origin(request.headers());
        let read = Bytes::from_request(request, state);
        let bytes = match tokio::time::timeout(BODY_TIMEOUT, read).await {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(rejection)) => return Err(unread(rejection.status())),
            Err(_) => return Err(unread(StatusCode::REQUEST_TIMEOUT)),
        };
        parsed(&bytes, origin)
    }
}

fn origin(headers: &HeaderMap) -> Origin {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        Origin::Form
    } else {
        Origin::Json
    }
}

fn parsed(bytes: &[u8], origin: Origin) -> Result<Posted, Refusal> {
    let unreadable = |said| Refusal::unreadable(StatusCode::BAD_REQUEST, said);
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Posted(json!({}), origin));
    }
    // Many clients say that it is a form and send JSON, as some tools do when nobody says what it is.
    if origin == Origin::Form && !bytes.trim_ascii_start().starts_with(b"{") {
        let read = pairs::object(bytes).map(|read| Posted(read, origin));
        return read.ok_or_else(|| unreadable("The form has too many fields".to_owned()));
    }
    serde_json::from_slice(bytes).map(|read| Posted(read, Origin::Json)).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        unreadable(format!("The body is not JSON: {place}"))
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
        read(&self.meant(fields), fields).map_err(|faults| Refusal::schema(&faults))
    }

    /// The same for the routes of groups, which say it in another shape.
    pub(super) fn read_of_group<T: DeserializeOwned>(self, fields: &[Field]) -> Result<T, Refusal> {
        read(&self.meant(fields), fields).map_err(|faults| Refusal::schema_of_groups(&faults))
    }

    /// The value, with the texts of a form as what the fields want.
    pub(super) fn meant(self, fields: &[Field]) -> Value {
        match self.1 {
            Origin::Json => self.0,
            Origin::Form => schema::meant(self.0, fields),
        }
    }

    /// The same body in another shape.
    pub(super) fn map(self, change: impl FnOnce(Value) -> Value) -> Self {
        Self(change(self.0), self.1)
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
            let origin = origin(request.headers());
            let bytes = Bytes::from_request(request, state);
            let bytes = bytes.await.map_err(|rejection| unread(rejection.status()))?;
            let body = parsed(&bytes, origin)?;
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
    let body = Posted(Value::Null, Origin::Form);
    let mut upload = Upload { body, file: None, file_name: None, mimetype: None, room };
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
        fields.insert(name, Value::String(text));
    }
    upload.body = Posted(Value::Object(fields), Origin::Form);
    Ok(upload)
}
