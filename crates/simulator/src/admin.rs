//! What drives the network: HTTP routes for the machine it runs on.

mod calls;
mod clock;
mod contacts;
mod faults;
mod groups;
mod newsletters;
mod observation;
mod page;
mod phones;
mod traffic;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Extension, Request};
use axum::http::StatusCode;
use axum::http::header::{HOST, ORIGIN};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use serde_json::json;
use wacore_binary::Jid;

use crate::hub::Hub;
use crate::model;
use crate::network::PeerAddr;
use crate::pairing::ScanError;
use crate::pairing::code::CodeError;
use crate::people::PersonError;
use crate::phone::PhoneError;

/// A message with a file of 64 MiB, as base64.
const LARGEST_MESSAGE: usize = 96 * 1024 * 1024;

/// All routes but the chat socket.
pub(crate) fn router() -> Router<Arc<Hub>> {
    let admin = Router::new()
        .route("/admin/mock-phone/scan-qr", post(phones::scan_qr))
        .route("/admin/mock-phone/enter-code", post(phones::enter_code))
        .route("/admin/mock-phone/{phone}/unlink", post(phones::unlink))
        .route(
            "/admin/mock-phone/{phone}/app-state",
            get(phones::show_app_state).post(phones::app_state),
        )
        .route(
            "/admin/mock-phone/{phone}/history",
            post(phones::history).layer(DefaultBodyLimit::max(LARGEST_MESSAGE)),
        )
        .route("/admin/mock-phone/{phone}/messages", post(phones::write))
        .route("/admin/mock-phone", get(phones::list))
        .route("/admin/mock-phone/waiting", get(phones::waiting))
        .route("/admin/contacts", get(contacts::list).post(contacts::add))
        .route("/admin/contacts/{phone}", get(contacts::show))
        .route(
            "/admin/contacts/{phone}/messages",
            get(contacts::messages)
                .post(contacts::write)
                .layer(DefaultBodyLimit::max(LARGEST_MESSAGE)),
        )
        .route("/admin/contacts/{phone}/read", post(contacts::read))
        .route("/admin/contacts/{phone}/typing", post(contacts::typing))
        .route("/admin/contacts/{phone}/call", post(calls::call))
        .route("/admin/contacts/{phone}/presence", post(contacts::presence))
        .route("/admin/contacts/{phone}/reinstall", post(contacts::reinstall))
        .route("/admin/contacts/{phone}/profile", post(contacts::profile))
        .route("/admin/contacts/{phone}/groups", post(groups::enter))
        .route("/admin/contacts/{phone}/groups/{group}", post(groups::act))
        .route("/admin/traffic", post(traffic::write))
        .route("/admin/groups", get(groups::list))
        .route("/admin/groups/{group}", post(groups::migrate))
        .route("/admin/newsletters", post(newsletters::make))
        .route("/admin/faults", post(faults::set))
        .route("/admin/record", get(observation::record))
        .route("/admin/certificate", get(observation::certificate))
        .route("/admin/stats", get(observation::stats))
        .route("/admin/reset", post(observation::reset))
        .route("/admin/clock", get(clock::show).post(clock::advance))
        .merge(model::admin_routes())
        .route_layer(middleware::from_fn(loopback_only));
    Router::new()
        .route("/", get(page::index))
        .route("/phones/{file}", get(page::asset))
        .route("/readyz", get(|| async { "ready" }))
        .merge(model::routes())
        .merge(admin)
}

async fn loopback_only(
    Extension(PeerAddr(peer)): Extension<PeerAddr>,
    request: Request,
    next: Next,
) -> Response {
    let refused = if !peer.ip().to_canonical().is_loopback() {
        "the admin routes are for this machine only"
    } else if is_foreign_page(&request) {
        "a page of another site may not drive the phones"
    } else {
        return next.run(request).await;
    };
    AdminError::new(StatusCode::FORBIDDEN, refused).into_response()
}

/// A browser says which page asks. Any site may send a simple request to this machine.
fn is_foreign_page(request: &Request) -> bool {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    header(ORIGIN).is_some_and(|origin| {
        let host = origin.split_once("://").map(|(_, host)| host);
        host.is_none() || host != header(HOST)
    })
}

/// A refused request: a status and a sentence.
#[derive(Debug)]
pub(crate) struct AdminError {
    status: StatusCode,
    message: String,
}

impl AdminError {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    fn no_account() -> Self {
        Self::new(StatusCode::NOT_FOUND, "there is no such account")
    }

    fn no_contact() -> Self {
        Self::new(StatusCode::NOT_FOUND, "there is no such contact")
    }
}

impl IntoResponse for AdminError {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "error": self.message }))).into_response()
    }
}

impl From<ScanError> for AdminError {
    fn from(error: ScanError) -> Self {
        let status = match error {
            ScanError::NotACode | ScanError::ForeignKeys => StatusCode::BAD_REQUEST,
            ScanError::Unknown => StatusCode::NOT_FOUND,
        };
        Self::new(status, error.to_string())
    }
}

impl From<CodeError> for AdminError {
    fn from(error: CodeError) -> Self {
        let status = match error {
            CodeError::Unknown => StatusCode::NOT_FOUND,
            CodeError::Wrong => StatusCode::UNPROCESSABLE_ENTITY,
            CodeError::TooOften => StatusCode::TOO_MANY_REQUESTS,
            CodeError::NoAnswer => StatusCode::GATEWAY_TIMEOUT,
        };
        Self::new(status, error.to_string())
    }
}

impl From<PhoneError> for AdminError {
    fn from(error: PhoneError) -> Self {
        let status = match error {
            PhoneError::NoAccount => StatusCode::NOT_FOUND,
            PhoneError::NoRecipient => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Self::new(status, error.to_string())
    }
}

impl From<PersonError> for AdminError {
    fn from(error: PersonError) -> Self {
        let status = match error {
            PersonError::Taken => StatusCode::CONFLICT,
            PersonError::NoRecipient | PersonError::NothingToQuote | PersonError::NoPoll => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            PersonError::Build(_)
            | PersonError::NotLinked
            | PersonError::Send(_)
            | PersonError::Client(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.to_string())
    }
}

/// A phone number or an address.
fn parse_recipient(text: &str) -> Result<Jid, AdminError> {
    let invalid = || {
        AdminError::new(StatusCode::UNPROCESSABLE_ENTITY, "`to` is no phone number and no address")
    };
    if text.contains('@') {
        return text.parse().map_err(|_| invalid());
    }
    parse_phone(text).map(Jid::pn).map_err(|_| invalid())
}

/// Digits, with an optional plus.
fn parse_phone(text: &str) -> Result<String, AdminError> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let valid = (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    valid.then(|| digits.to_owned()).ok_or_else(|| {
        AdminError::new(StatusCode::UNPROCESSABLE_ENTITY, "a phone number has 7 to 15 digits")
    })
}
