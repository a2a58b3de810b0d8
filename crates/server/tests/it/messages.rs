//! Texts both ways: what the API sends arrives decrypted, what a contact writes reaches the webhook.

use crate::harness::{DEADLINE, TestServer, answer, text};
use crate::webhooks::Receiver;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

async fn received_by(server: &TestServer, contact: &str) -> Vec<Value> {
    let path = format!("/admin/contacts/{contact}/messages?wait={}", DEADLINE.as_secs());
    let url = format!("{}{path}", server.network.base_url(false));
    let (status, body) = answer(server.http.get(url)).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    body["messages"].as_array().expect("messages").clone()
}

#[tokio::test]
async fn a_text_goes_out_and_its_answer_comes_in() {
    let server = TestServer::start().await;
    let mut receiver = Receiver::start().await;
    let phone = server.linked("shop").await;
    let webhook = json!({ "url": receiver.url(), "events": ["messages.upsert"] });
    let (status, _) = server.post("/api/instances/shop/webhooks", webhook).await;
    assert_eq!(status, StatusCode::CREATED);
    let ana = server.contact("Ana").await;

    let body =
        json!({ "instanceName": "shop", "number": format!("+{ana}"), "message": "Hello, Ana" });
    let (status, sent) = server.post("/api/whatsapp/send", body).await;
    assert_eq!(status, StatusCode::CREATED, "{sent}");
    assert_eq!(sent["status"], "sent");
    let got = received_by(&server, &ana).await;
    assert_eq!(got.len(), 1);
    assert_eq!(
        (got[0]["text"].as_str(), got[0]["id"].as_str()),
        (Some("Hello, Ana"), sent["messageId"].as_str())
    );

    let path = format!("/admin/contacts/{ana}/messages");
    server.phones(&path, json!({ "to": phone, "text": "Do you have blue ones?" })).await;
    let event = receiver.next().await;
    assert_eq!(event["event"], "messages.upsert");
    assert_eq!(event["instance"], "shop");
    assert_eq!(event["data"]["message"]["conversation"], "Do you have blue ones?");
    receiver.stop().await;
    server.stop().await;
}

#[tokio::test]
async fn the_same_idempotency_key_sends_once() {
    let server = TestServer::start().await;
    server.linked("shop").await;
    let ana = server.contact("Ana").await;
    let send = |message: &str| {
        let request =
            server.api(Method::POST, "/api/whatsapp/send").header("idempotency-key", "order-7");
        request.json(&json!({ "instanceName": "shop", "number": ana, "message": message }))
    };
    let (first, made) = answer(send("once")).await;
    let (second, again) = answer(send("once")).await;
    assert_eq!((first, second), (StatusCode::CREATED, StatusCode::CREATED));
    assert_eq!(made["messageId"], again["messageId"]);
    let (status, problem) = answer(send("other")).await;
    assert_eq!(
        (status, problem["code"].as_str()),
        (StatusCode::CONFLICT, Some("idempotency_conflict"))
    );
    let last = json!({ "instanceName": "shop", "number": ana, "message": "last" });
    let (_, last) = server.post("/api/whatsapp/send", last).await;
    let mut texts: Vec<String> = Vec::new();
    while texts.last().map(String::as_str) != Some("last") {
        texts = received_by(&server, &ana).await.iter().map(|one| text(&one["text"])).collect();
    }
    assert_eq!(texts, ["once", "last"]);
    assert!(last["messageId"].is_string());
    server.stop().await;
}

#[tokio::test]
async fn a_number_that_is_not_on_whatsapp_is_refused() {
    let server = TestServer::start().await;
    server.linked("shop").await;
    let body = json!({ "instanceName": "shop", "number": "4915100000000", "message": "x" });
    let (status, problem) = server.post("/api/whatsapp/send", body).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(problem["code"], "number_not_on_whatsapp");
    assert_eq!(problem["errors"][0]["field"], "number");
    server.stop().await;
}
