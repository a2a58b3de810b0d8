//! Reading bodies: JSON of bounded size, checked against what a route wants before anything else looks at it.

use super::refusal::Refusal;
use super::schema::{self, Fault, Field};
use crate::extract::JSON_LIMIT;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::time::Duration;

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
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self(json!({})));
        }
        let value = serde_json::from_slice(&bytes).map_err(|error| {
            let place = format!("line {}, column {}", error.line(), error.column());
            Refusal::unreadable(StatusCode::BAD_REQUEST, format!("The body is not JSON: {place}"))
        })?;
        Ok(Self(value))
    }
}

fn unread(status: StatusCode) -> Refusal {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => Refusal::unreadable(
            status,
            format!("request entity too large: this route takes at most {JSON_LIMIT} bytes"),
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
        read(self.0, fields).map_err(|faults| Refusal::schema(&faults))
    }
}

fn read<T: DeserializeOwned>(body: Value, fields: &[Field]) -> Result<T, Vec<Fault>> {
    let faults = schema::faults(&body, fields);
    if !faults.is_empty() {
        return Err(faults);
    }
    serde_path_to_error::deserialize(body).map_err(|error| {
        let path = error.path().to_string();
        vec![Fault { message: format!("{path} {}", error.inner()), path }]
    })
}
