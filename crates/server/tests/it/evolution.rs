//! The dialect of Evolution API over HTTP, against the simulated network: each route's answer as a snapshot,
//! what it did read elsewhere.

mod access;
mod answered;
mod around;
mod codes;
mod fields;
mod forms;
mod groups;
mod history;
mod instances;
mod messages;
mod newer;
mod nodes;
mod options;
mod python;
mod routes;
mod running;
mod shown;
mod told;

use answered::answered;

use crate::events::Listener;
use crate::harness::{ADMIN_KEY, DEADLINE, TestServer, answer, text};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Instant;

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

/// What happens to an instance from now on.
pub(crate) async fn listen(server: &TestServer, name: &str) -> Listener {
    Listener::open(server, &format!("?instance={name}")).await
}

/// What a contact has, once there are so many.
pub(crate) async fn inbox(server: &TestServer, contact: &str, count: usize) -> Vec<Value> {
    let began = Instant::now();
    let path = format!("/admin/contacts/{contact}/messages");
    let url = format!("{}{path}", server.network.base_url(false));
    loop {
        let (status, body) = answer(server.http.get(&url)).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        let messages = body["messages"].as_array().expect("messages").clone();
        if messages.len() >= count {
            return messages;
        }
        assert!(began.elapsed() < DEADLINE, "{count} messages: {body}");
        let known = messages.last().map(|last| text(&last["id"])).unwrap_or_default();
        // Answers as soon as there is one after that.
        answer(server.http.get(format!("{url}?wait=5&after={known}"))).await;
    }
}

/// A contact's phone, once it shows what is waited for.
pub(crate) async fn phone_shows(
    server: &TestServer,
    contact: &str,
    fits: impl Fn(&Value) -> bool,
) -> Value {
    let began = Instant::now();
    let mut version = 0;
    loop {
        let path = format!("/admin/contacts/{contact}?wait=5&version={version}");
        let url = format!("{}{path}", server.network.base_url(false));
        let (_, shown) = answer(server.http.get(url)).await;
        if fits(&shown) {
            return shown;
        }
        assert!(began.elapsed() < DEADLINE, "{shown}");
        version = shown["version"].as_u64().expect("a number");
    }
}

/// The account of the owner as the network keeps it.
pub(crate) async fn account(server: &TestServer, phone: &str) -> Value {
    let url = format!("{}/admin/mock-phone", server.network.base_url(false));
    let (_, shown) = answer(server.http.get(url)).await;
    let phones = shown["phones"].as_array().expect("phones").clone();
    phones.into_iter().find(|one| one["phone"] == phone).expect("the owner's phone")
}

/// A group as the network keeps it.
pub(crate) async fn group_of(server: &TestServer, jid: &str) -> Value {
    let url = format!("{}/admin/groups", server.network.base_url(false));
    let (_, shown) = answer(server.http.get(url)).await;
    let groups = shown["groups"].as_array().expect("groups").clone();
    groups.into_iter().find(|one| one["jid"] == jid).expect("the group")
}

/// What the owner's own phone shows about a chat: the value of the entry of app state of that kind.
pub(crate) async fn owner_sees(server: &TestServer, phone: &str, kind: &str) -> Option<Value> {
    let path = format!("/admin/mock-phone/{phone}/app-state");
    let url = format!("{}{path}", server.network.base_url(false));
    let (_, shown) = answer(server.http.get(url)).await;
    let entries = shown["entries"].as_array().expect("entries").clone();
    entries.into_iter().find(|entry| entry["index"][0] == kind)
}

/// A contact writes to the instance; the key of the message as clients of this dialect get it.
pub(crate) async fn received(
    server: &TestServer,
    (from, to): (&str, &str),
    message: Value,
) -> Value {
    let mut news = listen(server, "shop").await;
    let mut message = message;
    message["to"] = json!(to);
    let path = format!("/admin/contacts/{from}/messages");
    let id = server.phones(&path, message).await["id"].clone();
    news.told("messages.upsert", |data| data["key"]["id"] == id).await["key"].clone()
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
        Value::Object(_) if key == "messageSecret" => *value = json!("[secret]"),
        // A long number.
        Value::Object(_) if TIMES.contains(&key) => *value = json!("[when]"),
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
        _ if text.contains("://127.0.0.1") => Some("[address]"),
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
