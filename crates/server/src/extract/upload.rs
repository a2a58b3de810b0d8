//! A request that may carry a file: JSON, or a form whose part `file` is one and whose other parts are the
//! fields of the body. Few such requests are in memory at a time.

use super::{parse_value, unread};
use crate::app::AppState;
use crate::problem::Problem;
use axum::extract::multipart::{Multipart, MultipartError};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use flowcore_gateway::ServiceError;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// A file that is not there by then is not coming.
pub(crate) const UPLOAD_TIMEOUT: Duration = Duration::from_secs(300);
/// How long a request with a file waits for those before it.
const ROOM_WITHIN: Duration = Duration::from_secs(30);
/// Most parts of a form, and the longest that is no file.
const MAX_PARTS: usize = 32;
const MAX_PART: usize = 512 << 10;

/// A body, and a file where one came.
pub(crate) struct Upload<T> {
    pub(crate) value: T,
    pub(crate) file: Option<UploadedFile>,
    /// Kept as long as the file is.
    pub(crate) room: OwnedSemaphorePermit,
}

/// A file as it came.
pub(crate) struct UploadedFile {
    pub(crate) bytes: Bytes,
    pub(crate) mimetype: Option<String>,
}

impl<T: DeserializeOwned> FromRequest<AppState> for Upload<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        let room = room(state).await?;
        let reading = async {
            if is_form(request.headers()) {
                return form(request, state).await;
            }
            super::require_json(request.headers())?;
            let bytes = Bytes::from_request(request, state).await;
            let bytes = bytes.map_err(|rejection| unread(rejection.status()))?;
            Ok((super::json(&bytes)?, None))
        };
        let (body, file) = tokio::time::timeout(UPLOAD_TIMEOUT, reading)
            .await
            .map_err(|_| unread(StatusCode::REQUEST_TIMEOUT))??;
        Ok(Self { value: parse_value(body)?, file, room })
    }
}

/// Waits for room for a request with a file, in either dialect. It is kept as long as the file is.
///
/// # Errors
/// `Unavailable` when too many are before it.
pub(crate) async fn room(state: &AppState) -> Result<OwnedSemaphorePermit, ServiceError> {
    let waiting = Arc::clone(&state.uploads).acquire_owned();
    match tokio::time::timeout(ROOM_WITHIN, waiting).await {
        Ok(Ok(room)) => Ok(room),
        _ => Err(ServiceError::Unavailable("too many files at a time".into())),
    }
}

/// Whether the body is a form that may have files in it.
pub(crate) fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.to_ascii_lowercase().starts_with("multipart/form-data"))
}

async fn form(
    request: Request,
    state: &AppState,
) -> Result<(Value, Option<UploadedFile>), Problem> {
    let broken = |error: MultipartError| unread(error.status());
    let mut parts = Multipart::from_request(request, state)
        .await
        .map_err(|rejection| unread(rejection.status()))?;
    let (mut fields, mut file, mut seen) = (Map::new(), None, 0);
    while let Some(part) = parts.next_field().await.map_err(broken)? {
        seen += 1;
        let name = part.name().unwrap_or_default().to_owned();
        if seen > MAX_PARTS || name.len() > 64 {
            let rule = "a form has at most 32 parts with short names";
            return Err(Problem::field("invalid_body", "The body does not fit", "", rule));
        }
        if name == "file" || name == "voice" {
            let mimetype = part.content_type().map(str::to_owned);
            file = Some(UploadedFile { bytes: part.bytes().await.map_err(broken)?, mimetype });
            continue;
        }
        let text = part.text().await.map_err(broken)?;
        if text.len() > MAX_PART {
            let rule = "this part of the form is too long";
            return Err(Problem::field("invalid_body", "The body does not fit", name, rule));
        }
        let value = match text.as_bytes().first() {
            Some(b'{' | b'[') => serde_json::from_str(&text).unwrap_or(Value::String(text)),
            _ if text == "true" || text == "false" => Value::Bool(text == "true"),
            _ => Value::String(text),
        };
        fields.insert(name, value);
    }
    Ok((Value::Object(fields), file))
}
