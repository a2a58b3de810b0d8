//! The media hosts over HTTP: uploads, resumed uploads, downloads with ranges.
//!
//! An upload is named by the hash of its bytes, and refused when they do not match it. A client
//! needs the authorisation of its `media_conn` to upload; to download it needs the link. A link
//! ends with 410 (or 404) after two weeks, or when a fault or the capacity says so; then only the
//! phone can help.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use futures_util::StreamExt;
use serde_json::json;

use crate::hub::Hub;
use crate::world::World;
use crate::world::faults::FaultKind;
use crate::world::media::token_of;

/// WhatsApp's own limit for a file.
const LARGEST_UPLOAD: usize = 2 * 1024 * 1024 * 1024;

/// The routes of the media hosts.
pub(crate) fn router() -> Router<Arc<Hub>> {
    Router::new()
        .route("/mms/{kind}/{token}", post(upload))
        .route("/newsletter/{kind}/{token}", post(upload))
        .route("/product/{kind}/{token}", post(upload))
        .route("/v/{folder}/{name}", get(download))
        .route("/pps/{name}", get(download))
}

fn refused(status: StatusCode, reason: &'static str) -> Response {
    (status, Json(json!({ "error": reason }))).into_response()
}

/// Parameters of a query, also of one that was appended to a link with `?` a second time.
fn parameters(query: Option<&str>) -> HashMap<String, String> {
    query
        .unwrap_or_default()
        .split(['?', '&'])
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

async fn upload(
    State(hub): State<Arc<Hub>>,
    Path((kind, token)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let parameters = parameters(query.as_deref());
    let (owner, cut) = {
        let mut world = hub.world();
        let owner = parameters.get("auth").and_then(|auth| world.media.owner_of(auth));
        let Some(owner) = owner.map(ToOwned::to_owned) else {
            return refused(StatusCode::UNAUTHORIZED, "the media authorisation has expired");
        };
        if parameters.contains_key("resume") {
            return progress(&world, &token);
        }
        if let Some(fault) = world.faults.strike(FaultKind::MediaFail, &owner) {
            let code = fault.code.and_then(|code| StatusCode::from_u16(code).ok());
            return refused(code.unwrap_or(StatusCode::SERVICE_UNAVAILABLE), "by request");
        }
        let cut = world.faults.strike(FaultKind::MediaCut, &owner).is_some();
        (owner, cut)
    };
    let offset = parameters.get("file_offset").and_then(|text| text.parse().ok()).unwrap_or(0);
    let Some(head) = hub.world().media.resume(&token, offset) else {
        return refused(StatusCode::BAD_REQUEST, "nothing to continue at this offset");
    };
    let declared = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok())
        .unwrap_or(0);
    let limit = if cut { head.len() + declared / 2 } else { LARGEST_UPLOAD };
    match receive(head, body, limit).await {
        Ok(bytes) => finish(&hub, &kind, &token, &owner, bytes),
        Err(partial) => {
            hub.world().media.keep_partial(&token, partial);
            refused(StatusCode::INTERNAL_SERVER_ERROR, "the upload was cut off")
        }
    }
}

/// Answers `resume=1`: complete, an offset, or nothing yet.
fn progress(world: &World, token: &str) -> Response {
    if let Some(direct_path) = world.media.complete(token) {
        let url = format!("https://{}{direct_path}", world.media_host);
        let answer = json!({ "resume": "complete", "url": url, "direct_path": direct_path });
        return Json(answer).into_response();
    }
    Json(json!({ "resume": world.media.received(token).to_string() })).into_response()
}

/// Reads a body behind what is there; `Err` gives what arrived when it ended early.
async fn receive(head: Vec<u8>, body: Body, limit: usize) -> Result<Vec<u8>, Vec<u8>> {
    let mut bytes = head;
    let mut stream = body.into_data_stream();
    while let Some(chunk) = stream.next().await {
        let Ok(chunk) = chunk else { return Err(bytes) };
        bytes.extend_from_slice(&chunk);
        if bytes.len() > limit {
            bytes.truncate(limit);
            return Err(bytes);
        }
    }
    Ok(bytes)
}

fn finish(hub: &Hub, kind: &str, token: &str, owner: &str, bytes: Vec<u8>) -> Response {
    if token_of(&bytes) != token {
        return refused(StatusCode::BAD_REQUEST, "the bytes do not have the announced hash");
    }
    let mut world = hub.world();
    let direct_path = world.media.store(token, kind, owner, Bytes::from(bytes));
    let url = format!("https://{}{direct_path}", world.media_host);
    Json(json!({ "url": url, "direct_path": direct_path })).into_response()
}

async fn download(
    State(hub): State<Arc<Hub>>,
    uri: Uri,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let parameters = parameters(query.as_deref());
    let (bytes, mimetype, cut) = {
        let mut world = hub.world();
        match find(&mut world, uri.path(), parameters.get("auth").map(String::as_str)) {
            Ok(found) => found,
            Err(code) => {
                let status = StatusCode::from_u16(code).unwrap_or(StatusCode::GONE);
                return refused(status, "this link does not lead to media");
            }
        }
    };
    let range = headers.get(header::RANGE).and_then(|range| range.to_str().ok());
    let total = bytes.len();
    let (status, start, end) = match range.map(|range| parse_range(range, total)) {
        None => (StatusCode::OK, 0, total),
        Some(Some((start, end))) => (StatusCode::PARTIAL_CONTENT, start, end),
        Some(None) => {
            let unsatisfied = [(header::CONTENT_RANGE, format!("bytes */{total}"))];
            return (StatusCode::RANGE_NOT_SATISFIABLE, unsatisfied).into_response();
        }
    };
    let mut response = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, mimetype)
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::CONTENT_LENGTH, end - start);
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {start}-{}/{total}", end.saturating_sub(1));
        response = response.header(header::CONTENT_RANGE, range);
    }
    let body = body_of(bytes.slice(start..end), cut);
    response.body(body).unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

/// A blob by its path, unless a fault strikes whoever asks or whoever uploaded it.
fn find(
    world: &mut World,
    path: &str,
    auth: Option<&str>,
) -> Result<(Bytes, &'static str, bool), u16> {
    let asker = match auth {
        Some(auth) => world.media.owner_of(auth).ok_or(401_u16)?.to_owned(),
        None => String::new(),
    };
    let blob = world.media.get_mut(path).ok_or(404_u16)?;
    if let Some(code) = blob.ended() {
        return Err(code);
    }
    let strike = |world: &mut World, kind, other: &str| {
        world.faults.strike(kind, &asker).or_else(|| world.faults.strike(kind, other))
    };
    let owner = blob.owner.clone();
    if let Some(fault) = strike(world, FaultKind::MediaGone, &owner) {
        let code = fault.code.unwrap_or(410);
        if let Some(blob) = world.media.get_mut(path) {
            blob.gone = Some(code);
        }
        return Err(code);
    }
    if let Some(fault) = strike(world, FaultKind::MediaFail, &owner) {
        return Err(fault.code.unwrap_or(503));
    }
    let cut = strike(world, FaultKind::MediaCut, &owner).is_some();
    let blob = world.media.get_mut(path).ok_or(404_u16)?;
    Ok((blob.bytes.clone(), blob.mimetype, cut))
}

/// All the bytes, or half of them and a broken connection.
fn body_of(bytes: Bytes, cut: bool) -> Body {
    if !cut {
        return Body::from(bytes);
    }
    let half = bytes.slice(..bytes.len() / 2);
    let broken = std::io::Error::other("cut off by request");
    Body::from_stream(futures_util::stream::iter([Ok(half), Err(broken)]))
}

/// The half-open range of one `bytes=` range; `None` when it is none or lies outside.
fn parse_range(header: &str, total: usize) -> Option<(usize, usize)> {
    let (start, end) = header.strip_prefix("bytes=")?.split_once('-')?;
    let range = match (start.parse::<usize>(), end.parse::<usize>()) {
        (Ok(start), Ok(end)) => (start, end.saturating_add(1).min(total)),
        (Ok(start), Err(_)) if end.is_empty() => (start, total),
        (Err(_), Ok(last)) if start.is_empty() => (total.saturating_sub(last), total),
        _ => return None,
    };
    (range.0 < range.1).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_http_writes_them() {
        assert_eq!(parse_range("bytes=0-9", 100), Some((0, 10)));
        assert_eq!(parse_range("bytes=90-", 100), Some((90, 100)));
        assert_eq!(parse_range("bytes=-10", 100), Some((90, 100)));
        assert_eq!(parse_range("bytes=0-999", 100), Some((0, 100)));
        assert_eq!(parse_range("bytes=100-", 100), None);
        assert_eq!(parse_range("items=0-9", 100), None);
    }

    #[test]
    fn a_query_appended_to_a_link_with_a_query_is_understood() {
        let read = parameters(Some("ccb=11-4&oh=x&_nc_sid=5e03e0?auth=A&token=T"));
        assert_eq!(read["auth"], "A");
        assert_eq!(read["token"], "T");
    }
}
