//! Around every request: an id, a line in the log, the headers that keep browsers safe, and a 500
//! instead of a dead connection when a handler panics.

use crate::app::AppState;
use crate::problem::Problem;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use rand::RngExt as _;
use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::Instrument as _;

/// The header that carries the id, both ways.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Only our own files: no inline script or style, no other host, no frame around us.
const POLICY: &str = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; \
                      form-action 'self'; frame-ancestors 'none'";

/// What a request is called in logs and problems.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub(crate) Arc<str>);

impl RequestId {
    /// The caller's own id when it is harmless, so that logs can be joined; else a new one.
    fn of(request: &Request) -> Self {
        let harmless = |id: &&str| {
            (8..=64).contains(&id.len())
                && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        let given = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok());
        match given.filter(harmless) {
            Some(id) => Self(id.into()),
            None => Self(format!("{:016x}", rand::rng().random::<u64>()).into()),
        }
    }
}

/// By the route as it is written, so that nobody's names are in it and there are few of them.
fn count((method, route): (&Method, &str), status: StatusCode, took: Duration) {
    // Anybody can make up methods.
    let known = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
    let method = known.iter().find(|known| *known == method).map_or("other", Method::as_str);
    let labels = [
        ("method", method.to_owned()),
        ("route", route.to_owned()),
        ("status", status.as_str().to_owned()),
    ];
    metrics::counter!("flowcore_http_requests_total", &labels).increment(1);
    metrics::histogram!("flowcore_http_request_seconds").record(took);
}

/// Gives the request its id and writes one line about it. The path is logged as the route has it:
/// names and ids in it belong to users.
pub(crate) async fn trace(mut request: Request, next: Next) -> Response {
    let id = RequestId::of(&request);
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("(none)", MatchedPath::as_str).to_owned();
    let method = request.method().clone();
    request.extensions_mut().insert(id.clone());
    let span = tracing::info_span!("request", id = %id.0, %method, route);
    let began = Instant::now();
    let mut response = next.run(request).instrument(span.clone()).await;
    count((&method, &route), response.status(), began.elapsed());
    let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    span.in_scope(|| tracing::debug!(status = response.status().as_u16(), ms, "answered"));
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// The headers that every answer has. Answers are not to be kept by caches unless they say so.
pub(crate) async fn secure(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let policy = headers.entry(header::CONTENT_SECURITY_POLICY);
    policy.or_insert(HeaderValue::from_static(POLICY));
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), microphone=(), geolocation=()"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if state.cookies.are_secure() {
        let two_years = HeaderValue::from_static("max-age=63072000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, two_years);
    }
    let cache = headers.entry(header::CACHE_CONTROL);
    cache.or_insert(HeaderValue::from_static("no-store"));
    response
}

/// What a panic is to the caller. The panic itself is on stderr already.
pub(crate) fn panicked(_: Box<dyn Any + Send>) -> Response {
    tracing::error!("a handler panicked");
    Problem::internal().into_response()
}
