//! What the owner's programs are told of the assistant.

use super::{AI, Shop};
use crate::webhooks::Receiver;
use reqwest::StatusCode;
use serde_json::{Value, json};

#[tokio::test]
async fn a_provider_that_fails_is_an_event_and_so_is_a_transcript() {
    let shop = Shop::open(json!({})).await;
    let mut receiver = Receiver::start().await;
    let events = ["assistant.failed", "messages.transcribed"];
    let webhook = json!({ "url": receiver.url(), "events": events });
    shop.server.post("/api/instances/shop/webhooks", webhook).await;
    shop.server.script("chat", json!([{ "status": 401 }])).await;
    let id = shop.writes(json!({ "text": "Hello?" })).await;
    let failed = receiver.next().await;
    assert_eq!(failed["event"], "assistant.failed", "{failed}");
    let data = &failed["data"];
    assert_eq!(
        (&data["task"], &data["code"], &data["sentInstead"]),
        (&json!("answer"), &json!("provider_key_refused"), &Value::Null)
    );
    assert_eq!((&data["key"]["id"], &data["pushName"]), (&json!(id), &json!("Carla")));
    assert!(data["conversationId"].is_string(), "{data}");

    shop.server.script("chat", json!([{ "text": "Two euros." }])).await;
    let id = shop.writes(json!({ "voice": { "text": "how much is the rye bread?" } })).await;
    let told = receiver.next().await;
    assert_eq!(told["event"], "messages.transcribed", "{told}");
    assert_eq!(told["data"]["transcript"], "how much is the rye bread?");
    assert_eq!(told["data"]["key"]["id"], json!(id));
    assert_eq!(told["data"]["durationMs"], 1000);
    assert_eq!(shop.got(1).await, ["Two euros."]);
    receiver.stop().await;
    shop.server.stop().await;
}

#[tokio::test]
async fn a_conversation_becomes_a_case_by_its_id() {
    let shop = Shop::open(json!({})).await;
    shop.server.script("chat", json!([{ "text": "At nine." }, { "text": "At ten." }])).await;
    shop.writes(json!({ "text": "When do you open?" })).await;
    shop.got(1).await;
    shop.writes(json!({ "text": "And on Sundays?" })).await;
    shop.got(2).await;
    let (_, list) = shop.server.get("/api/conversations?instanceName=shop").await;
    let cases = format!("{AI}/cases");
    let case =
        json!({ "conversationId": list["data"][0]["id"], "expect": { "contains": ["ten"] } });
    let (status, made) = shop.server.post(&cases, case.clone()).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert_eq!(made["message"], "And on Sundays?");
    let history = json!([
        { "role": "user", "text": "When do you open?" }, { "role": "assistant", "text": "At nine." },
    ]);
    assert_eq!(made["history"], history);
    shop.server.script("chat", json!([{ "text": "At eleven." }])).await;
    let (_, run) = shop.server.post(&format!("{cases}/run"), json!({})).await;
    assert_eq!((&run["passed"], &run["failed"]), (&json!(0), &json!(1)), "{run}");
    shop.server.post("/api/whatsapp/connect?wait=0", json!({ "instanceName": "other" })).await;
    let (status, _) = shop.server.post("/api/instances/other/ai/cases", case).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "of another number it is nobody's");
    shop.server.stop().await;
}
