//! What is sent by the API into a conversation: everybody knows of it, and nobody is silenced unasked.

use super::{got, hire, set_up, talk, until, waits, writes};
use crate::accounts::PASSWORD;
use crate::harness::{TestServer, answer, text};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

async fn sends(server: &TestServer, to: &str, more: Value) {
    let mut body =
        json!({ "instanceName": "shop", "number": to, "message": "Order 17 is packed." });
    for (name, value) in more.as_object().expect("fields") {
        body[name] = value.clone();
    }
    let (status, sent) = server.post("/api/whatsapp/send", body).await;
    assert_eq!(status, StatusCode::CREATED, "{sent}");
}

#[tokio::test]
async fn a_program_tells_by_the_way_and_a_person_takes_over() {
    let server = TestServer::start().await;
    let shop = server.linked("shop").await;
    let ana = server.contact("Ana").await;
    hire(&server, json!({})).await;
    sends(&server, &ana, json!({})).await;
    let one = talk(&server, &ana, "ai").await;
    let path = format!("/api/conversations/{}/messages", text(&one["id"]));
    let note = until(&server, &path, |said| said["content"] == "Order 17 is packed.").await;
    assert_eq!((&note["role"], &note["metadata"]["automatic"]), (&json!("human"), &json!(true)));
    let dialect = json!({ "number": ana, "text": "Order 18 too." });
    let (status, _) = server.post("/message/sendText/shop", dialect).await;
    assert_eq!(status, StatusCode::CREATED);
    until(&server, &path, |said| said["content"] == "Order 18 too.").await;

    server.script("chat", json!([{ "text": "Both are packed." }])).await;
    writes(&server, &ana, json!({ "to": shop, "text": "What of my orders?" })).await;
    got(&server, &ana, "Both are packed.").await;
    let asked = server.asked("chat").await[0]["messages"].to_string();
    assert!(asked.contains("Order 17 is packed.") && asked.contains("Order 18 too."), "{asked}");

    sends(&server, &ana, json!({ "takeOver": true })).await;
    talk(&server, &ana, "human").await;
    let release = format!("/api/conversations/{}/release", text(&one["id"]));
    answer(server.api(Method::POST, &release)).await;
    server.user("boss", "admin", json!({})).await;
    let login = json!({ "username": "boss", "password": PASSWORD });
    let login = answer(server.plain(Method::POST, "/api/auth/login").json(&login)).await.1;
    let body = json!({ "instanceName": "shop", "number": ana, "message": "It's me, the boss." });
    let send = server.plain(Method::POST, "/api/whatsapp/send").json(&body);
    let (status, answer) = answer(send.bearer_auth(text(&login["accessToken"]))).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
    talk(&server, &ana, "human").await;
    let note = until(&server, &path, |said| said["content"] == "It's me, the boss.").await;
    assert!(note["metadata"]["automatic"].is_null(), "{note}");
    server.stop().await;
}

#[tokio::test]
async fn what_a_program_tells_meanwhile_answers_nobody() {
    let server = TestServer::start().await;
    let shop = server.linked("shop").await;
    let (ana, tom) = (server.contact("Ana").await, server.contact("Tom").await);
    set_up(&server, &[&tom]).await;
    hire(&server, json!({ "pacing": { "debounceMs": 1500 } })).await;
    server.script("chat", json!([{ "text": "We open at nine." }])).await;
    writes(&server, &ana, json!({ "to": shop, "text": "When do you open?" })).await;
    talk(&server, &ana, "ai").await;
    sends(&server, &ana, json!({})).await;
    got(&server, &ana, "We open at nine.").await;

    writes(&server, &ana, json!({ "to": shop, "text": "a human please" })).await;
    let row = waits(&server, &ana).await;
    sends(&server, &ana, json!({})).await;
    let path = format!("/api/escalations/{}", text(&row["id"]));
    assert!(server.get(&path).await.1["firstAnswerAt"].is_null(), "no person answered");
    // Support phones are no customers.
    sends(&server, &tom, json!({})).await;
    let (_, all) = server.get("/api/conversations").await;
    assert_eq!(all["data"].as_array().map(Vec::len), Some(1), "{all}");
    server.stop().await;
}
