//! The body that brings a document: a form with a file, or JSON with the address of a page.

use crate::app::AppState;
use crate::extract::{Body, UPLOAD_TIMEOUT, is_form, room};
use crate::problem::Problem;
use axum::extract::multipart::{Multipart, MultipartError};
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use flowcore_gateway::{DocumentSource, MAX_DOCUMENT};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tokio::sync::OwnedSemaphorePermit;

/// The most that such a body may have: a document, and the form around it.
pub(crate) const UPLOAD_LIMIT: usize = MAX_DOCUMENT + (64 << 10);
/// Most parts of a form.
const MAX_PARTS: usize = 16;

/// A document that was sent, and the hash of the body for `Idempotency-Key`.
pub(crate) struct Upload {
    pub(crate) source: DocumentSource,
    pub(crate) hash: [u8; 32],
    /// Kept as long as the file is in memory: few are at a time.
    pub(crate) room: OwnedSemaphorePermit,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    url: String,
}

impl FromRequest<AppState> for Upload {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        let room = room(state).await?;
        if !is_form(request.headers()) {
            let Body { value: Page { url }, hash } = Body::from_request(request, state).await?;
            return Ok(Self { source: DocumentSource::Page(url), hash, room });
        }
        match tokio::time::timeout(UPLOAD_TIMEOUT, form(request, state)).await {
            Ok(read) => read.map(|(source, hash)| Self { source, hash, room }),
            Err(_) => Err(unread(StatusCode::REQUEST_TIMEOUT)),
        }
    }
}

async fn form(request: Request, state: &AppState) -> Result<(DocumentSource, [u8; 32]), Problem> {
    let broken = |error: MultipartError| unread(error.status());
    let form = Multipart::from_request(request, state).await;
    let mut parts = form.map_err(|_| unread(StatusCode::BAD_REQUEST))?;
    for _ in 0..MAX_PARTS {
        let Some(part) = parts.next_field().await.map_err(broken)? else { break };
        if part.name() != Some("file") {
            continue;
        }
        let name = part.file_name().unwrap_or_default().to_owned();
        let bytes = part.bytes().await.map_err(broken)?;
        let hash = Sha256::new().chain_update(&name).chain_update(&bytes).finalize();
        return Ok((DocumentSource::File { name, bytes }, hash.into()));
    }
    let rule = "send the document as the part \"file\" of the form";
    Err(Problem::field("invalid_body", "The body does not fit", "file", rule))
}

fn unread(status: StatusCode) -> Problem {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(
            status,
            "document_too_large",
            "The document is too large",
            format!("A document has at most {MAX_DOCUMENT} bytes. Split it, or save it smaller."),
        ),
        StatusCode::REQUEST_TIMEOUT => Problem::new(
            status,
            "body_timeout",
            "The body did not come",
            "The upload was not complete within 300 seconds. Send it again.",
        ),
        _ => Problem::new(
            StatusCode::BAD_REQUEST,
            "body_unreadable",
            "The form can't be read",
            "Send multipart/form-data with a part \"file\", or JSON with \"url\".",
        ),
    }
}
