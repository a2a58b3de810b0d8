//! The page with the phones at `/`: its parts are in the binary, and its policy lets nothing else in.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{IntoResponse, Response};

/// Own scripts and styles only; pictures and voice notes are made of what the API gave.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    connect-src 'self'; img-src 'self' blob:; media-src blob:; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";

const SCRIPT: &str = "text/javascript; charset=utf-8";

fn part(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (CONTENT_TYPE, kind),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-cache"),
    ];
    (headers, text).into_response()
}

/// The page.
pub(super) async fn index() -> Response {
    part("text/html; charset=utf-8", include_str!("index.html"))
}

/// What the page loads.
pub(super) async fn asset(Path(file): Path<String>) -> Response {
    match file.as_str() {
        "icon.svg" => part("image/svg+xml", include_str!("page/icon.svg")),
        "phones.css" => part("text/css; charset=utf-8", include_str!("page/phones.css")),
        "phones.js" => part(SCRIPT, include_str!("page/phones.js")),
        "chat.js" => part(SCRIPT, include_str!("page/chat.js")),
        "network.js" => part(SCRIPT, include_str!("page/network.js")),
        _ => (StatusCode::NOT_FOUND, "there is no such file").into_response(),
    }
}
