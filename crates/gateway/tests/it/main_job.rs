//! Link a number, receive a message, answer it, tell the user's app.

use crate::harness::{World, named};

#[tokio::test(flavor = "multi_thread")]
async fn a_number_is_linked_receives_and_answers() {
    let world = World::start().await;
    let customer = world.contact("Ana").await;
    world.connect("shop").await;
    world.hook("shop").await;
    let phone = world.linked("shop").await;

    let path = format!("/admin/contacts/{customer}/messages");
    world.admin(&path, serde_json::json!({ "to": phone, "text": "How can I buy?" })).await;
    let hook = world
        .receiver
        .until("the customer's message", |body| body["event"] == "messages.upsert")
        .await;
    assert_eq!(hook.body["data"]["message"]["conversation"], "How can I buy?");
    assert_eq!(hook.body["data"]["key"]["remoteJid"], format!("{customer}@s.whatsapp.net"));
    assert_eq!(hook.body["data"]["pushName"], "Ana");
    assert_eq!(hook.headers["x-shop"], "one");
    let id = hook.headers["webhook-id"].to_str().expect("ASCII").replace('-', "");
    let trace = hook.headers["traceparent"].to_str().expect("ASCII");
    assert!(trace.starts_with(&format!("00-{id}-")) && trace.len() == 55, "{trace}");

    let sent = world
        .gateway
        .messages()
        .send_text(&world.caller, &named("shop"), (&customer, "At the counter."), None)
        .await
        .expect("sent");
    assert!(sent.acknowledged && !sent.failed);
    let got = world.ask(&format!("/admin/contacts/{customer}/messages?wait=10")).await;
    let texts: Vec<_> =
        got["messages"].as_array().expect("a list").iter().map(|m| &m["text"]).collect();
    assert_eq!(texts, ["At the counter."]);
    world
        .receiver
        .until("delivered", |body| {
            body["data"]["status"] == "DELIVERY_ACK" && body["event"] == "messages.update"
        })
        .await;
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_linked_number_comes_back_after_a_restart() {
    let mut world = World::start().await;
    let customer = world.contact("Ana").await;
    let phone = world.linked("shop").await;
    world.restart_gateway().await;
    world.until("shop", |view| view.status.as_str() == "connected").await;
    world.hook("shop").await;
    let path = format!("/admin/contacts/{customer}/messages");
    world.admin(&path, serde_json::json!({ "to": phone, "text": "still there?" })).await;
    world
        .receiver
        .until("the message", |body| body["data"]["message"]["conversation"] == "still there?")
        .await;
    world.gateway.stop().await;
}
