//! The dialect of Evolution API over HTTP, against the simulated network: each route's answer as a snapshot,
//! what it did read elsewhere.

mod access;
mod around;
mod groups;
mod history;
mod instances;
mod messages;
mod options;
mod python;

use crate::harness::{ADMIN_KEY, TestServer, answer, text};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// A request with a key of this dialect's.
pub(crate) async fn ask(
    server: &TestServer,
    key: &str,
    (method, path): (Method, &str),
    body: Option<Value>,
) -> (StatusCode, Value) {
    let mut request = server.plain(method, path).header("apikey", key);
    if let Some(body) = body {
        request = request.json(&body);
    }
    answer(request).await
}

/// GET with the server's key.
pub(crate) async fn get(server: &TestServer, path: &str) -> (StatusCode, Value) {
    ask(server, ADMIN_KEY, (Method::GET, path), None).await
}

/// POST with the server's key.
pub(crate) async fn post(server: &TestServer, path: &str, body: Value) -> (StatusCode, Value) {
    ask(server, ADMIN_KEY, (Method::POST, path), Some(body)).await
}

/// DELETE with the server's key.
pub(crate) async fn delete(server: &TestServer, path: &str) -> (StatusCode, Value) {
    ask(server, ADMIN_KEY, (Method::DELETE, path), None).await
}

/// Makes an instance; its own key.
pub(crate) async fn create(server: &TestServer, name: &str) -> String {
    let body = json!({ "instanceName": name, "integration": "WHATSAPP-BAILEYS" });
    let (status, made) = post(server, "/instance/create", body).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    text(&made["hash"])
}

/// An instance that is linked over this dialect; its own key and its number.
pub(crate) async fn linked(server: &TestServer, name: &str) -> (String, String) {
    let key = create(server, name).await;
    let (status, shown) = get(server, &format!("/instance/connect/{name}")).await;
    assert_eq!(status, StatusCode::OK, "{shown}");
    let phone = server.scan(&text(&shown["code"])).await;
    server.until_status(name, "connected").await;
    (key, phone)
}

/// What a snapshot shows: everything but what chance and the clock decide.
pub(crate) fn settled(mut value: Value) -> Value {
    settle(&mut value, "");
    value
}

const TIMES: [&str; 5] =
    ["messageTimestamp", "creation", "subjectTime", "timestampMs", "senderTimestampMs"];

fn settle(value: &mut Value, key: &str) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(|one| settle(one, key)),
        Value::Object(fields) => fields.iter_mut().for_each(|(key, one)| settle(one, key)),
        Value::String(_) if key == "messageSecret" => *value = json!("[secret]"),
        Value::String(_) if key == "descId" => *value = json!("[drawn]"),
        Value::Number(_) if TIMES.contains(&key) => *value = json!("[when]"),
        Value::String(text) => {
            if let Some(kind) = by_chance(text) {
                *value = json!(kind);
            }
        }
        _ => {}
    }
}

fn by_chance(text: &str) -> Option<&'static str> {
    let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let digits = |text: &str| text.len() > 6 && text.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<usize> = text.split('-').map(str::len).collect();
    let (user, server) = text.split_once('@').unwrap_or((text, ""));
    match server {
        _ if text.starts_with("data:image/png") => Some("[png]"),
        _ if text.starts_with("2@") => Some("[code]"),
        _ if text.starts_with("http://127.0.0.1") => Some("[address]"),
        _ if parts == [8, 4, 4, 4, 12] && hex(&text.replace('-', "")) => Some("[uuid]"),
        _ if text.len() == 24 && text.ends_with('Z') && text.contains('T') => Some("[time]"),
        _ if text.len() == 22 && text.starts_with("3EB0") && hex(text) => Some("[id]"),
        "" if digits(text) => Some("[phone]"),
        "s.whatsapp.net" if digits(user) => Some("[person]"),
        "lid" if digits(user) => Some("[lid]"),
        "g.us" if digits(user) => Some("[group]"),
        _ => None,
    }
}
