//! Who is calling.
//!
//! Three ways to say it, in this order: `Authorization: Bearer`, `apikey`, the dashboard's cookie. The
//! first that is there decides; when it is wrong, the next ones are not asked. Keys are compared by
//! hash in the gateway.

use crate::app::AppState;
use crate::problem::Problem;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use flowcore_gateway::Caller;
use sha2::{Digest as _, Sha256};

/// The header in which the dashboard's own scripts repeat the session's token.
pub(crate) const CSRF_HEADER: &str = "x-csrf-token";

/// A caller of the API with a good credential.
pub(crate) struct Authenticated(pub(crate) Caller);

enum Credential {
    Key(String),
    Cookie(String),
    Unusable,
    None,
}

impl FromRequestParts<AppState> for Authenticated {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let accounts = state.gateway.accounts();
        match credential(&parts.headers, state) {
            Credential::Key(key) => match accounts.by_key(&key).await? {
                Some(caller) => Ok(Self(caller)),
                None => Err(Problem::unauthorized("This key is not known here. Check it.")),
            },
            Credential::Cookie(token) => {
                let Some((caller, csrf)) = accounts.by_cookie(&token).await? else {
                    return Err(Problem::unauthorized("The session has ended. Sign in again."));
                };
                check_csrf(parts, &csrf)?;
                Ok(Self(caller))
            }
            Credential::Unusable => {
                Err(Problem::unauthorized("The Authorization header is not \"Bearer\" and a key."))
            }
            Credential::None => Err(Problem::unauthorized(
                "Send your key in the header \"apikey\", or as \"Authorization: Bearer\".",
            )),
        }
    }
}

fn credential(headers: &HeaderMap, state: &AppState) -> Credential {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        return match value.to_str().ok().and_then(bearer) {
            Some(key) => Credential::Key(key.to_owned()),
            None => Credential::Unusable,
        };
    }
    if let Some(value) = headers.get("apikey") {
        return Credential::Key(value.to_str().unwrap_or_default().to_owned());
    }
    match state.cookies.session_of(headers) {
        Some(token) => Credential::Cookie(token),
        None => Credential::None,
    }
}

/// The key behind `Bearer`.
pub(crate) fn bearer(value: &str) -> Option<&str> {
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim()).filter(|key| !key.is_empty())
}

fn check_csrf(parts: &Parts, expected: &str) -> Result<(), Problem> {
    if matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let given = parts.headers.get(CSRF_HEADER).and_then(|value| value.to_str().ok());
    match given {
        Some(given) if same_token(given, expected) => Ok(()),
        _ => Err(csrf_refused()),
    }
}

/// Compared by hash, so that the time tells nothing about the token.
pub(crate) fn same_token(given: &str, expected: &str) -> bool {
    Sha256::digest(given) == Sha256::digest(expected)
}

/// The form was not one of ours, or is from an older session.
pub(crate) fn csrf_refused() -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "csrf_refused",
        "This form can't be used",
        "The form is from an older session or another site. Reload the page and try again.",
    )
}
