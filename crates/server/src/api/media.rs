//! The file of a message.

use crate::app::AppState;
use crate::auth::Authenticated;
use crate::extract::{OfId, OfInstance};
use crate::problem::Problem;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flowcore_gateway::ServiceError;

/// `GET /api/instances/{name}/messages/{id}/media`: to be saved, never shown as a page: its sender chose its type. The file
/// of a message never changes: who has it is told so without asking WhatsApp for it.
pub(crate) async fn get(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    OfInstance(name): OfInstance,
    OfId(id): OfId,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let message = state.gateway.conversations().message(&caller, &name, &id).await?;
    let message = message.ok_or(ServiceError::MessageNotFound)?;
    let tag = HeaderValue::from_str(&format!("\"{}\"", message.row_id.text()));
    let tag = tag.unwrap_or(HeaderValue::from_static("\"\""));
    let kept = HeaderValue::from_static("private, no-cache");
    if headers.get(header::IF_NONE_MATCH) == Some(&tag) {
        let headers = [(header::ETAG, tag), (header::CACHE_CONTROL, kept)];
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    let file = state.gateway.files().of(&caller, &name, &id).await?;
    let mimetype = file.media.mimetype.as_deref().unwrap_or_default();
    let kind = HeaderValue::from_str(mimetype).ok().filter(|kind| !kind.is_empty());
    let kind = kind.unwrap_or(HeaderValue::from_static("application/octet-stream"));
    let name = file.media.file_name.as_deref().unwrap_or(&id);
    let disposition = format!("attachment; filename*=UTF-8''{}", encoded(name));
    let disposition = HeaderValue::from_str(&disposition);
    let disposition = disposition.unwrap_or(HeaderValue::from_static("attachment"));
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_DISPOSITION, disposition),
        (header::ETAG, tag),
        (header::CACHE_CONTROL, kept),
    ];
    Ok((headers, file.bytes).into_response())
}

/// A name for a header (RFC 8187).
fn encoded(name: &str) -> String {
    use std::fmt::Write as _;
    name.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() {
            text.push(char::from(byte));
        } else {
            // Writing to a string can't fail.
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}
