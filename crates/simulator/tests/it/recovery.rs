//! What goes wrong between devices and how they come through: lost sessions, lost sender keys,
//! devices that nobody was told of, messages that only the phone could read.

use serde_json::json;
use std::sync::Arc;
use wacore::types::events::Event;
use wacore::types::message::MessageInfo;
use wacore_binary::Jid;

use crate::groups::group_of;
use crate::harness::{Sandbox, TestClient};

async fn stop(sandbox: Sandbox, clients: impl IntoIterator<Item = TestClient>) {
    for client in clients {
        client.stop().await;
    }
    sandbox.stop().await;
}

fn device(client: &TestClient) -> Jid {
    client.client.lid().expect("a linked client knows its LID")
}

fn undecryptable(event: &Event) -> bool {
    matches!(event, Event::UndecryptableMessage(_))
}

async fn send(client: &TestClient, to: &Jid, text: &str) -> String {
    client.client.send_text(to.clone(), text).await.expect("the send succeeds").message_id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_lost_its_session_gets_the_message_once_more() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    ann.send(&bob.phone, "hello").await;
    bob.text("hello").await;
    bob.send(&ann.phone, "hello Ann").await;
    ann.text("hello Ann").await;
    let sessions = [device(&ann), Jid::pn(ann.phone.as_str())];
    bob.client.signal().delete_sessions(&sessions).await.expect("forgotten");
    let sent = ann.send(&bob.phone, "can you read this?").await;
    bob.wait("it cannot", undecryptable).await;
    assert_eq!(bob.text("can you read this?").await, sent);
    ann.send(&bob.phone, "and this?").await;
    bob.text("and this?").await;
    stop(sandbox, [ann, bob]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_lost_a_sender_key_gets_the_message_once_more() {
    let sandbox = Sandbox::start().await;
    let ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    let mut carl = sandbox.linked("Carl").await;
    let group = group_of(&ann, &[&bob, &carl]).await;
    send(&ann, &group, "hello").await;
    bob.text("hello").await;
    carl.text("hello").await;
    let signal = bob.client.signal();
    // A sender key is filed under the device that made it.
    let author = device(&ann);
    signal.delete_sender_key(&group, &author).await.expect("forgotten");
    assert!(!signal.has_sender_key(&group, &author).await.expect("a look"));
    let sent = send(&ann, &group, "once more").await;
    assert_eq!(bob.text("once more").await, sent);
    carl.text("once more").await;
    assert_eq!(carl.texts(), ["hello", "once more"]);
    send(&ann, &group, "and on").await;
    bob.text("and on").await;
    stop(sandbox, [ann, bob, carl]).await;
}

/// Links another device of an account, and nobody hears of it.
async fn secretly_linked(sandbox: &Sandbox, client: &TestClient, name: &str) -> TestClient {
    let fault = json!({ "target": client.phone, "fault": "withhold-device", "count": 1 });
    sandbox.fault(fault).await;
    sandbox.linked(name).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_nobody_told_of_is_found_by_the_next_message() {
    let sandbox = Sandbox::start().await;
    let ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    ann.send(&bob.phone, "to one").await;
    bob.text("to one").await;
    let second = secretly_linked(&sandbox, &bob, "Bob").await;
    ann.send(&bob.phone, "to one again").await;
    bob.text("to one again").await;
    // The ack of that one made her look again; until then more may go to one device only.
    let mut number = 0;
    while second.texts().is_empty() {
        number += 1;
        assert!(number < 50, "the second device is never found");
        let text = format!("to both {number}");
        ann.send(&bob.phone, &text).await;
        bob.text(&text).await;
        second.next_event().await;
    }
    stop(sandbox, [ann, bob, second]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_of_a_member_that_nobody_told_of_is_found_by_the_next_message() {
    let sandbox = Sandbox::start().await;
    let ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    let group = group_of(&ann, &[&bob]).await;
    send(&ann, &group, "to one").await;
    bob.text("to one").await;
    let second = secretly_linked(&sandbox, &bob, "Bob").await;
    let mut number = 0;
    while second.texts().is_empty() {
        number += 1;
        assert!(number < 50, "the second device is never found");
        let text = format!("to both {number}");
        send(&ann, &group, &text).await;
        bob.text(&text).await;
        second.next_event().await;
    }
    stop(sandbox, [ann, bob, second]).await;
}

/// The description of a message that came.
async fn info(client: &mut TestClient, id: &str, by_phone: bool) -> Arc<MessageInfo> {
    let is_it = |message: &wacore::types::events::InboundMessage| {
        message.info.id == id && message.info.unavailable_request_id.is_some() == by_phone
    };
    let event = client
        .wait("the message", |event| match event {
            Event::Messages(batch) => batch.iter().any(is_it),
            _ => false,
        })
        .await;
    let Event::Messages(batch) = &*event else { unreachable!("matched above") };
    Arc::clone(&batch.iter().find(|message| is_it(message)).expect("matched above").info)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_tells_its_device_what_a_message_said() {
    let sandbox = Sandbox::start().await;
    let ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    let theirs = ann.send(&bob.phone, "from Ann").await;
    let known = info(&mut bob, &theirs, false).await;
    bob.client.send_pdo_placeholder_resend_request(&known).await.expect("asked");
    info(&mut bob, &theirs, true).await;
    assert_eq!(bob.texts(), ["from Ann", "from Ann"]);
    let path = format!("/admin/mock-phone/{}/messages", bob.phone);
    let body = json!({ "to": ann.phone, "text": "by thumb" });
    let (status, sent) = sandbox.post(&path, body).await;
    assert_eq!(status, 201, "{sent}");
    let own = sent["id"].as_str().expect("an id");
    let known = info(&mut bob, own, false).await;
    bob.client.send_pdo_placeholder_resend_request(&known).await.expect("asked");
    let told = info(&mut bob, own, true).await;
    assert!(told.source.is_from_me);
    assert_eq!(bob.texts()[2..], ["by thumb", "by thumb"]);
    stop(sandbox, [ann, bob]).await;
}
