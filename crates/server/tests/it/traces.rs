//! What happened to a message: where it went, where not, and why; and the file that came with it.

use crate::harness::{DEADLINE, TestServer, answer, header, text};
use crate::webhooks::Receiver;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Instant;

pub(crate) const PHOTO: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

async fn hook(server: &TestServer, more: Value) -> Value {
    let mut body = json!({ "events": ["messages.upsert"] });
    let fields = body.as_object_mut().expect("an object");
    fields.extend(more.as_object().expect("an object").clone());
    let (status, made) = server.post("/api/instances/shop/webhooks", body).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    made
}

/// The trace of a message, once its delivery was tried.
async fn trace(server: &TestServer, id: &str) -> Value {
    let began = Instant::now();
    loop {
        let path = format!("/api/instances/shop/messages/{id}/trace");
        let (status, trace) = server.get(&path).await;
        assert_eq!(status, StatusCode::OK, "{trace}");
        if trace["deliveries"][0]["status"] == "delivered" {
            return trace;
        }
        assert!(began.elapsed() < DEADLINE, "not delivered: {trace}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_message_is_traced_to_each_webhook_that_got_it_or_did_not() {
    let server = TestServer::start().await;
    let mut receiver = Receiver::start().await;
    let shop = server.linked("shop").await;
    let ana = server.contact("Ana").await;
    let got = hook(&server, json!({ "url": receiver.url() })).await;
    let closed = hook(&server, json!({ "url": receiver.url(), "enabled": false })).await;
    let picky = json!({ "url": receiver.url(), "events": ["call"] });
    let picky = hook(&server, picky).await;
    let say = json!({ "to": shop, "text": "are you open?" });
    server.phones(&format!("/admin/contacts/{ana}/messages"), say).await;
    let (headers, event) = receiver.next_with_headers().await;
    let id = text(&event["data"]["key"]["id"]);
    let trace = trace(&server, &id).await;
    assert_eq!(trace["event"]["id"], headers["webhook-id"].to_str().expect("ASCII"));
    let parent = headers["traceparent"].to_str().expect("ASCII");
    assert!(parent.contains(&text(&trace["event"]["id"]).replace('-', "")), "one id all the way");
    assert_eq!(trace["deliveries"][0]["webhookId"], got["id"]);
    assert_eq!(trace["deliveries"][0]["attempts"][0]["status"], 200);
    let mut passed_over: Vec<_> = trace["passedOver"].as_array().expect("a list").clone();
    passed_over.sort_by_key(|one| text(&one["reason"]));
    let expected = [
        json!({ "webhookId": closed["id"], "reason": "disabled" }),
        json!({ "webhookId": picky["id"], "reason": "event_not_wanted" }),
    ];
    assert_eq!(passed_over, expected);
    assert!(!trace.to_string().contains("are you open"), "its way, not what it says");
    let (status, problem) = server.get("/api/instances/shop/messages/nothing/trace").await;
    assert_eq!(
        (status, problem["code"].as_str()),
        (StatusCode::NOT_FOUND, Some("message_not_found"))
    );
    let purge = server.api(Method::DELETE, "/api/instances/shop/deliveries");
    assert_eq!(answer(purge).await, (StatusCode::OK, json!({ "count": 1 })));
    let (_, left) = server.get("/api/instances/shop/deliveries").await;
    assert_eq!(left["data"], json!([]));
    receiver.stop().await;
    server.stop().await;
}

#[tokio::test]
async fn a_file_comes_with_the_event_or_by_its_link_as_the_webhook_wants() {
    let server = TestServer::start().await;
    let shop = server.linked("shop").await;
    let ana = server.contact("Ana").await;
    let (mut whole, mut linked) = (Receiver::start().await, Receiver::start().await);
    let form = json!({ "url": whole.url(), "media": "base64", "bytes": "objects" });
    let made = hook(&server, form).await;
    assert_eq!((&made["media"], &made["bytes"]), (&json!("base64"), &json!("objects")));
    hook(&server, json!({ "url": linked.url(), "media": "link" })).await;
    let say = json!({ "to": shop, "type": "image", "media": PHOTO, "mimetype": "image/png" });
    server.phones(&format!("/admin/contacts/{ana}/messages"), say).await;
    let event = whole.next().await;
    let message = &event["data"]["message"];
    assert_eq!(message["base64"], PHOTO, "{}", event["data"]);
    assert!(message["imageMessage"]["mediaKey"]["31"].is_u64(), "bytes as objects");
    assert_eq!(message["imageMessage"]["fileLength"]["high"], 0);
    let event = linked.next().await;
    let message = &event["data"]["message"];
    assert!(message["imageMessage"]["mediaKey"].is_string() && message.get("base64").is_none());
    let link = text(&message["mediaUrl"]);
    let path = link.strip_prefix(&server.url("")).expect("a link to this server");
    let file = server.api(Method::GET, path).send().await.expect("an answer");
    assert_eq!(file.status(), StatusCode::OK);
    assert_eq!(header(&file, "content-type"), Some("image/png"));
    assert!(header(&file, "content-disposition").is_some_and(|how| how.starts_with("attachment")));
    assert_eq!(file.bytes().await.expect("a body"), STANDARD.decode(PHOTO).expect("base64"));
    let stranger = server.plain(Method::GET, path).send().await.expect("an answer");
    assert_eq!(stranger.status(), StatusCode::UNAUTHORIZED);
    let (_, trace) = server.get(&path.replace("/media", "/trace")).await;
    assert_eq!(trace["media"]["mimetype"], "image/png");
    whole.stop().await;
    linked.stop().await;
    server.stop().await;
}
