//! Each field of each body of this dialect: missing, of another type, too long. The reference says which there are;
//! each is refused with 400 in the dialect's shape, names the field or says how it is written, and changes nothing.

use super::{ask, create, get};
use crate::harness::{ADMIN_KEY, TestServer};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// What is said instead of a field's name.
const SENTENCES: [&str; 4] =
    ["Invalid format", "Enter a value in milliseconds", "numeric strings", "is not served by"];
/// Other dialects; and two groups whose bodies may come without their wrapper, which have tests of their own.
const OTHERS: [&str; 4] = ["api", "functions", "webhook", "websocket"];
/// Fields up to this length are tried with one letter more.
const TRIED: u64 = 100_000;

/// A value that the field can't have.
fn wrong(schema: &Value) -> Value {
    match schema["type"].as_str() {
        Some("object" | "array" | "boolean") => json!("x"),
        _ => json!({ "x": 1 }),
    }
}

fn too_long(schema: &Value) -> Option<Value> {
    let most = schema["maxLength"].as_u64().filter(|most| *most <= TRIED)?;
    Some(json!("x".repeat(usize::try_from(most).expect("short") + 1)))
}

/// The bodies that a route must refuse, with the field that each is about.
fn refused(schema: &Value) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let values = [Some(wrong(field)), too_long(field)].into_iter().flatten();
        all.extend(values.map(|value| (name.clone(), json!({ name: value }))));
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        all.push((name.as_str().expect("a name").to_owned(), json!({})));
    }
    all
}

/// The routes of this dialect that take JSON, with what they take.
fn routes(document: &Value) -> Vec<(Method, String, &Value)> {
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            let first = path.split('/').nth(1).unwrap_or_default();
            if schema["properties"].is_object() && !OTHERS.contains(&first) {
                let method = method.to_uppercase().parse().expect("a method");
                all.push((method, path.clone(), schema));
            }
        }
    }
    all
}

#[tokio::test]
async fn each_is_checked_before_anything_is_done() {
    let server = TestServer::start().await;
    create(&server, "shop").await;
    let before = get(&server, "/instance/fetchInstances").await;
    let document: Value = serde_json::from_str(flowcore_server::openapi()).expect("JSON");
    let (mut asked, mut wrongly) = (0, Vec::new());
    for (method, path, schema) in routes(&document) {
        let mut url = path.replace("{name}", "shop");
        if path.starts_with("/group/") {
            url.push_str("?groupJid=120363000000000000@g.us");
        }
        for (field, body) in refused(schema) {
            asked += 1;
            let (status, said) = ask(&server, ADMIN_KEY, (method.clone(), &url), Some(body)).await;
            let text = said.to_string();
            let helps = text.contains(&field) || SENTENCES.iter().any(|one| text.contains(one));
            if status != StatusCode::BAD_REQUEST || said["status"] != 400 || !helps {
                wrongly.push(format!("{method} {path} {field}: {status} {said}"));
            }
        }
    }
    assert!(wrongly.is_empty(), "{wrongly:#?}");
    assert!(asked > 300, "only {asked} bodies");
    assert_eq!(get(&server, "/instance/fetchInstances").await, before, "nothing changed");
    server.stop().await;
}
