//! Pages of other sites that may call this server from the browser: those that the operator names, and on
//! `/functions/v1/`, where only a token in a header counts, all of them unless some are named.
//!
//! Never with credentials: the dashboard's cookie is not for other sites.

use crate::app::AppState;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

/// What clients of the dialects send.
const ALLOWED_HEADERS: &str = "authorization, x-client-info, apikey, content-type, idempotency-key, \
                               last-event-id";
const ALLOWED_METHODS: &str = "GET, POST, PUT, PATCH, DELETE, OPTIONS";
const EXPOSED_HEADERS: &str = "x-request-id, x-next-cursor, retry-after, ratelimit-limit, \
                               ratelimit-remaining, ratelimit-reset";
/// How long a browser need not ask again.
const MAX_AGE: &str = "600";

/// Answers browsers that ask first, and says on every answer who may read it.
pub(crate) async fn allow(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let Some((origin, asks)) = asked(&state.settings.cors_origins, &request) else {
        return next.run(request).await;
    };
    let mut response =
        if asks { StatusCode::NO_CONTENT.into_response() } else { next.run(request).await };
    let headers = response.headers_mut();
    say(headers, header::ACCESS_CONTROL_ALLOW_ORIGIN, &origin);
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    if asks {
        say(headers, header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS);
        say(headers, header::ACCESS_CONTROL_ALLOW_METHODS, ALLOWED_METHODS);
        say(headers, header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    } else {
        say(headers, header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS);
    }
    response
}

/// The site whose page asks, when it may, and whether its browser asks before the page does.
fn asked(named: &[String], request: &Request) -> Option<(String, bool)> {
    let origin = request.headers().get(header::ORIGIN)?.to_str().ok()?.to_ascii_lowercase();
    let asks = *request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    is_allowed(named, request.uri().path(), &origin).then_some((origin, asks))
}

fn is_allowed(named: &[String], path: &str, origin: &str) -> bool {
    let open = named.is_empty() && path.starts_with("/functions/v1/");
    open || named.iter().any(|one| one == "*" || one == origin)
}

fn say(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}
