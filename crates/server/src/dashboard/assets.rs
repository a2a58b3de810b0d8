//! Styles, script and icon, embedded in the binary.

use crate::problem::Problem;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use rust_embed::Embed;
use std::fmt::Write as _;

#[derive(Embed)]
#[folder = "assets/"]
struct Assets;

/// `GET /assets/{path}`: checked anew each time, sent only when it changed.
pub(crate) async fn file(Path(path): Path<String>, headers: HeaderMap) -> Response {
    let Some(asset) = Assets::get(&path) else { return Problem::not_found().into_response() };
    // Weak: it is sent compressed and not.
    let mut tag = String::from("W/\"");
    for byte in &asset.metadata.sha256_hash()[..8] {
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    let known =
        headers.get(header::IF_NONE_MATCH).is_some_and(|value| value.as_bytes() == tag.as_bytes());
    let kind = asset.metadata.mimetype().to_owned();
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        asset.data.into_owned().into_response()
    };
    for (name, value) in [(header::ETAG, tag), (header::CONTENT_TYPE, kind)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    let revalidate = HeaderValue::from_static("no-cache");
    response.headers_mut().insert(header::CACHE_CONTROL, revalidate);
    response
}
