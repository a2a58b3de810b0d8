//! The past that a phone tells a new companion, and what else a phone does for its companions.

use serde_json::json;
use wacore::types::events::Event;
use wacore_binary::Jid;

use crate::harness::Sandbox;

const PHONE: &str = "4915550009";
const MESSAGES: usize = 700;

#[tokio::test(flavor = "multi_thread")]
async fn a_new_companion_is_told_the_whole_past_in_chunks() {
    let sandbox = Sandbox::start().await;
    let messages: Vec<_> = (0..MESSAGES)
        .map(|number| json!({ "text": format!("message {number} of long ago"), "fromMe": number % 2 == 0 }))
        .collect();
    let past =
        json!({ "chats": [{ "phone": "4930000001", "name": "Dora", "messages": messages }] });
    let (status, answer) = sandbox.post(&format!("/admin/mock-phone/{PHONE}/history"), past).await;
    assert_eq!(status, 200, "{answer}");
    let mut client = sandbox.client("Ann").await;
    let qr = client.qr().await;
    assert_eq!(sandbox.scan(&qr, Some(PHONE)).await.0, 200);
    let mut seen = 0;
    while seen < MESSAGES {
        let chunk = client.wait("a chunk", |event| matches!(event, Event::HistorySync(_))).await;
        let Event::HistorySync(lazy) = &*chunk else { unreachable!("matched above") };
        let history = lazy.get().expect("a chunk that can be read");
        seen += history.conversations.iter().map(|chat| chat.messages.len()).sum::<usize>();
    }
    assert_eq!(seen, MESSAGES);
    client.stop().await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recycled_client_comes_back_and_a_dirty_one_syncs() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    ann.skip_past();
    sandbox.fault(json!({ "target": ann.phone, "fault": "recycle" })).await;
    ann.wait("connected again", |event| matches!(event, Event::Connected(_))).await;
    let dirty = json!({ "target": ann.phone, "fault": "dirty", "domain": "account_sync" });
    sandbox.fault(dirty).await;
    sandbox
        .until("cleaned", |stats| stats["iqs"]["urn:xmpp:whatsapp:dirty/set/clean"].is_u64())
        .await;
    ann.stop().await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_with_a_new_phone_is_announced_and_still_reached() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let carl = sandbox.contact("Carl").await;
    ann.send(&carl, "before").await;
    let path = format!("/admin/contacts/{carl}/messages");
    assert_eq!(sandbox.get(&format!("{path}?wait=10")).await["messages"][0]["text"], "before");
    let (status, answer) =
        sandbox.post(&format!("/admin/contacts/{carl}/reinstall"), json!({})).await;
    assert_eq!(status, 200, "{answer}");
    ann.wait("a new identity", |event| matches!(event, Event::IdentityChange(_))).await;
    ann.send(&carl, "after").await;
    assert_eq!(sandbox.get(&format!("{path}?wait=10")).await["messages"][0]["text"], "after");
    let write = json!({ "to": ann.phone, "text": "it is me" });
    assert_eq!(sandbox.post(&path, write).await.0, 201);
    ann.text("it is me").await;
    ann.stop().await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_wait_can_change_places() {
    let sandbox = Sandbox::start().await;
    let ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    ann.send(&bob.phone, "first contact").await;
    bob.text("first contact").await;
    sandbox.fault(json!({ "target": bob.phone, "fault": "stall", "seconds": 60 })).await;
    sandbox.fault(json!({ "target": bob.phone, "fault": "reorder", "count": 1 })).await;
    ann.send(&bob.phone, "one").await;
    let two = ann.send(&bob.phone, "two").await;
    sandbox.accepted(&json!(two)).await;
    sandbox.fault(json!({ "target": bob.phone, "fault": "stall", "seconds": 0 })).await;
    bob.text("one").await;
    assert_eq!(bob.texts(), ["first contact", "two", "one"]);
    for client in [ann, bob] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_tells_more_of_the_past_when_it_is_asked() {
    let sandbox = Sandbox::start().await;
    let other = "4930000001";
    let messages: Vec<_> = (0..10).map(|n| json!({ "text": format!("message {n}") })).collect();
    let past = json!({ "chats": [{ "phone": other, "name": "Dora", "messages": messages }] });
    let (status, answer) = sandbox.post(&format!("/admin/mock-phone/{PHONE}/history"), past).await;
    assert_eq!(status, 200, "{answer}");
    let mut client = sandbox.client("Ann").await;
    let qr = client.qr().await;
    assert_eq!(sandbox.scan(&qr, Some(PHONE)).await.0, 200);
    client.wait("connected", |event| matches!(event, Event::Connected(_))).await;
    let chat = Jid::pn(other);
    let oldest = format!("3A{other}{:08X}", 7);
    let asked = client
        .client
        .fetch_message_history(&chat, &oldest, false, 0, 4)
        .await
        .expect("the phone is asked");
    let answers = |event: &Event| match event {
        Event::HistorySync(lazy) => lazy.peer_data_request_session_id() == Some(asked.as_str()),
        _ => false,
    };
    let event = client.wait("the answer", answers).await;
    let Event::HistorySync(lazy) = &*event else { unreachable!("matched above") };
    let history = lazy.get().expect("a chunk that can be read");
    let told = history.conversations[0]
        .messages
        .iter()
        .filter_map(|entry| entry.message.as_option()?.message.as_option()?.conversation.clone());
    let expected: Vec<String> = (3..7).rev().map(|n| format!("message {n}")).collect();
    assert_eq!(told.collect::<Vec<_>>(), expected);
    client.stop().await;
    sandbox.stop().await;
}
