//! The file of a message.

use crate::app::AppState;
use crate::auth::Authenticated;
use crate::extract::{Named, instance_name};
use crate::problem::Problem;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

/// `GET /api/instances/{name}/messages/{id}/media`: to be saved, never shown: its sender chose its type.
pub(crate) async fn get(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Named((name, id)): Named<(String, String)>,
) -> Result<Response, Problem> {
    let name = instance_name(&name)?;
    let file = state.gateway.files().of(&caller, &name, &id).await?;
    let mimetype = file.media.mimetype.as_deref().unwrap_or_default();
    let kind = HeaderValue::from_str(mimetype).ok().filter(|kind| !kind.is_empty());
    let kind = kind.unwrap_or(HeaderValue::from_static("application/octet-stream"));
    let name = file.media.file_name.as_deref().unwrap_or(&id);
    let disposition = format!("attachment; filename*=UTF-8''{}", encoded(name));
    let disposition = HeaderValue::from_str(&disposition);
    let disposition = disposition.unwrap_or(HeaderValue::from_static("attachment"));
    let headers = [(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, disposition)];
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
