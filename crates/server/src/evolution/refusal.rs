//! Errors as clients of Evolution API 2.3.7 read them: `{"status","error","response":{"message"}}`, with a
//! list of sentences, a list in a list for what a body lacks, or a text, as each case had it there.

use super::schema::Fault;
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use flowcore_domain::instance::Reason;
use flowcore_gateway::{AccountError, ServiceError};
use serde_json::{Value, json};

/// What a handler answers when it is not what the caller wanted.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    body: Value,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, message: Value) -> Self {
        let error = status.canonical_reason().unwrap_or("Error");
        Self::titled(status, error, message)
    }

    #[expect(clippy::needless_pass_by_value, reason = "every caller makes it for this")]
    fn titled(status: StatusCode, error: &str, message: Value) -> Self {
        let response = json!({ "message": message });
        let body = json!({ "status": status.as_u16(), "error": error, "response": response });
        Self { status, body }
    }

    pub(super) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, json!("Unauthorized"))
    }

    pub(super) fn forbidden(sentence: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, json!([sentence.into()]))
    }

    pub(super) fn not_found(sentence: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, json!([sentence.into()]))
    }

    pub(super) fn no_instance(name: &str) -> Self {
        Self::not_found(format!("The \"{name}\" instance does not exist"))
    }

    /// Something that can't be done as asked.
    pub(super) fn bad(sentence: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, json!([sentence.into()]))
    }

    /// The same with several entries, or with one that is no text.
    pub(super) fn bad_list(entries: Value) -> Self {
        Self::new(StatusCode::BAD_REQUEST, entries)
    }

    /// A body that lacks something, in the shape of most routes.
    pub(super) fn schema(faults: &[Fault]) -> Self {
        let messages: Vec<&str> = faults.iter().map(|fault| fault.message.as_str()).collect();
        Self::new(StatusCode::BAD_REQUEST, json!([messages]))
    }

    /// The same in the shape of the routes of groups.
    pub(super) fn schema_of_groups(faults: &[Fault]) -> Self {
        let one = |fault: &Fault| json!({ "property": fault.path, "message": fault.message });
        Self::new(StatusCode::BAD_REQUEST, faults.iter().map(one).collect())
    }

    /// A body that can't be read at all.
    pub(super) fn unreadable(status: StatusCode, sentence: impl Into<String>) -> Self {
        Self::titled(status, "Internal Server Error", json!(sentence.into()))
    }

    /// A number that nobody has on WhatsApp.
    pub(super) fn not_on_whatsapp(jid: &str, number: &str) -> Self {
        Self::bad_list(json!([{ "jid": jid, "exists": false, "number": number }]))
    }

    /// The reply without its wrapper, which one route has.
    pub(super) fn raw(status: StatusCode, body: Value) -> Self {
        Self { status, body }
    }
}

impl From<ServiceError> for Refusal {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::InstanceNotFound => Self::not_found("The instance does not exist"),
            ServiceError::TokenTaken => Self::forbidden("This token is already in use."),
            ServiceError::Forbidden => Self::unauthorized(),
            ServiceError::NotConnected { reason, .. } => closed(reason),
            ServiceError::EmptyText => Self::bad("Text is required"),
            ServiceError::ProxyFailed(why) => {
                Self::bad_list(json!(["Invalid proxy", sentence(&why)]))
            }
            ServiceError::TimedOut => Self::bad("Error: Timed Out"),
            ServiceError::Unavailable(why) => {
                tracing::warn!(%why, "a request was turned away");
                let sentence = "The server can't store anything at the moment. Try again.";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, json!([sentence]))
            }
            ServiceError::ServerFull(_) => {
                let sentence = "The server has no room for another number.";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, json!([sentence]))
            }
            ServiceError::Account(AccountError::AddressNotAllowed) => {
                Self::forbidden(sentence(&error.to_string()))
            }
            ServiceError::LimitReached { .. } | ServiceError::OverQuota(_) => {
                Self::forbidden(sentence(&error.to_string()))
            }
            ServiceError::Internal(_) => {
                tracing::error!(%error, "a request failed");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, json!("Internal Server Error"))
            }
            other => Self::bad(sentence(&other.to_string())),
        }
    }
}

/// WhatsApp can't be reached over this instance.
fn closed(reason: Option<Reason>) -> Refusal {
    let what = "Error: Connection Closed";
    Refusal::bad_list(match reason {
        Some(reason) => json!([what, reason.sentence()]),
        None => json!([what, "The instance is not linked. Connect it and scan the QR code."]),
    })
}

fn sentence(clause: &str) -> String {
    let mut letters = clause.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    let mut text: String = first.into_iter().chain(letters).collect();
    if !text.ends_with(['.', '!', '?']) {
        text.push('.');
    }
    text
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(self.body)).into_response()
    }
}
