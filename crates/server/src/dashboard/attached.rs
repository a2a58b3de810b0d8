//! A form of the dashboard that brings a file: the fields as in any other, and the file beside them. Few are in
//! memory at a time, as with those of the API.

use super::session::{Submitted, Viewer};
use crate::app::AppState;
use crate::extract::{UPLOAD_TIMEOUT, room};
use crate::problem::Problem;
use axum::extract::multipart::{Multipart, MultipartError};
use axum::extract::{FromRequest, FromRequestParts as _, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

/// Most parts of such a form: a conversation is in it, an entry a part.
const MAX_PARTS: usize = 300;

/// A form, its file where one was chosen, and the room that it takes.
pub(crate) struct Attached {
    pub(crate) submitted: Submitted,
    pub(crate) file: Option<Attachment>,
    /// Kept as long as the file is.
    pub(crate) room: OwnedSemaphorePermit,
}

/// A file as it came.
pub(crate) struct Attachment {
    pub(crate) name: String,
    pub(crate) mimetype: Option<String>,
    pub(crate) bytes: Bytes,
}

type Parts = (Vec<(String, String)>, Option<Attachment>);

impl FromRequest<AppState> for Attached {
    type Rejection = Response;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let viewer = Viewer::from_request_parts(&mut parts, state).await?;
        let room = room(state).await.map_err(|error| Problem::from(error).into_response())?;
        let read = read(Request::from_parts(parts, body), state);
        let read = match tokio::time::timeout(UPLOAD_TIMEOUT, read).await {
            Ok(read) => read,
            Err(_) => Err(unread(StatusCode::REQUEST_TIMEOUT)),
        };
        let (fields, file) = read.map_err(Problem::into_response)?;
        let submitted = Submitted::of(viewer, fields).map_err(Problem::into_response)?;
        Ok(Self { submitted, file, room })
    }
}

async fn read(request: Request, state: &AppState) -> Result<Parts, Problem> {
    let broken = |error: MultipartError| unread(error.status());
    let form = Multipart::from_request(request, state).await;
    let mut parts = form.map_err(|_| unread(StatusCode::BAD_REQUEST))?;
    let (mut fields, mut file) = (vec![], None);
    for _ in 0..MAX_PARTS {
        let Some(part) = parts.next_field().await.map_err(broken)? else {
            return Ok((fields, file));
        };
        let name = part.name().unwrap_or_default().to_owned();
        if name != "file" {
            fields.push((name, part.text().await.map_err(broken)?));
            continue;
        }
        let called = part.file_name().unwrap_or_default().to_owned();
        let mimetype = part.content_type().map(str::to_owned);
        let bytes = part.bytes().await.map_err(broken)?;
        // Where no file was chosen, browsers send one without a name.
        if !called.is_empty() || !bytes.is_empty() {
            file = Some(Attachment { name: called, mimetype, bytes });
        }
    }
    Err(unread(StatusCode::BAD_REQUEST))
}

fn unread(status: StatusCode) -> Problem {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => {
            let detail = "Choose a smaller file: documents have at most 20 MiB, recordings 16 MiB.";
            Problem::new(status, "file_too_large", "The file is too large", detail)
        }
        StatusCode::REQUEST_TIMEOUT => {
            let detail = "The file was not here within 300 seconds. Send it again.";
            Problem::new(status, "body_timeout", "The file did not come", detail)
        }
        _ => super::session::unreadable(),
    }
}
