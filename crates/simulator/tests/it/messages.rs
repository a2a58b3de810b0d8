//! Texts between real clients, and what comes back: acks, receipts, typing.

use serde_json::json;
use wacore::types::events::{Event, Receipt};
use wacore::types::presence::ReceiptType;
use wacore_binary::Jid;

use crate::harness::{Sandbox, TestClient};

fn receipt_for(event: &Event, kind: &ReceiptType, id: &str) -> bool {
    let is_for = |receipt: &Receipt| {
        receipt.r#type == *kind && receipt.message_ids.iter().any(|known| *known == *id)
    };
    matches!(event, Event::Receipt(receipt) if is_for(receipt))
}

async fn wait_receipt(client: &mut TestClient, kind: ReceiptType, id: &str) {
    client.wait("a receipt", |event| receipt_for(event, &kind, id)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_go_both_ways_with_ids_and_push_names() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    let sent = ann.send(&bob.phone, "hello Bob").await;
    let is_hello = |event: &Event| match event {
        Event::Messages(batch) => batch
            .iter()
            .any(|message| message.info.push_name == "Ann" && !message.info.source.is_from_me),
        _ => false,
    };
    bob.wait("a message with Ann's name", is_hello).await;
    assert_eq!(bob.texts(), ["hello Bob"]);
    bob.send(&ann.phone, "hello Ann").await;
    ann.text("hello Ann").await;
    ann.send(&bob.phone, "how are you?").await;
    assert_ne!(bob.text("how are you?").await, sent);
    for client in [ann, bob] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_send_is_acked_then_delivered_then_read() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    let sent = ann.send(&bob.phone, "hello").await;
    let is_ack = |event: &Event| match event {
        Event::ServerAck(ack) => ack.id == sent && ack.error.is_none(),
        _ => false,
    };
    ann.wait("the server's ack", is_ack).await;
    wait_receipt(&mut ann, ReceiptType::Delivered, &sent).await;
    let received = bob.text("hello").await;
    assert_eq!(received, sent);
    bob.client
        .mark_as_read(&Jid::pn(ann.phone.as_str()), None, &[&received])
        .await
        .expect("marking as read succeeds");
    wait_receipt(&mut ann, ReceiptType::Read, &sent).await;
    let record = sandbox.get(&format!("/admin/record?phone={}", bob.phone)).await;
    assert_eq!(record["accepted"][0], json!({ "id": sent, "from": ann.phone, "to": bob.phone }));
    assert_eq!(record["acked"][0]["id"], json!(sent));
    for client in [ann, bob] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_device_of_the_account_gets_messages_and_copies_of_sent_ones() {
    let sandbox = Sandbox::start().await;
    let mut bob = sandbox.linked("Bob").await;
    let ann = sandbox.linked("Ann").await;
    ann.send(&bob.phone, "before the second device").await;
    bob.text("before the second device").await;
    let mut second = sandbox.linked("Ann").await;
    bob.send(&ann.phone, "to both").await;
    second.text("to both").await;
    ann.send(&bob.phone, "from the first").await;
    let is_copy = |event: &Event| match event {
        Event::Messages(batch) => batch.iter().any(|message| {
            message.info.source.is_from_me && message.info.source.chat.user == bob.phone
        }),
        _ => false,
    };
    second.wait("a copy of the sent message", is_copy).await;
    for client in [ann, bob, second] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_nobody_has_is_not_on_whatsapp() {
    let sandbox = Sandbox::start().await;
    let ann = sandbox.linked("Ann").await;
    let bob = sandbox.linked("Bob").await;
    let numbers = [Jid::pn(bob.phone.as_str()), Jid::pn("4930000000")];
    let found = ann.client.contacts().is_on_whatsapp(&numbers).await.expect("an answer");
    let registered =
        |phone: &str| found.iter().any(|entry| entry.jid.user == phone && entry.is_registered);
    assert!(registered(&bob.phone));
    assert!(!registered("4930000000"));
    for client in [ann, bob] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_can_write_on_the_phone_itself() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    let path = format!("/admin/mock-phone/{}/messages", ann.phone);
    for text in ["from my phone", "and again"] {
        let (status, body) = sandbox.post(&path, json!({ "to": bob.phone, "text": text })).await;
        assert_eq!(status, 201, "{body}");
        assert_eq!(json!(bob.text(text).await), body["id"]);
        assert_eq!(json!(ann.text(text).await), body["id"]);
    }
    let (status, _) = sandbox.post(&path, json!({ "to": "4930000000", "text": "?" })).await;
    assert_eq!(status, 422);
    for client in [ann, bob] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_the_network_refuses_is_nacked_and_not_delivered() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    let fault = json!({ "target": ann.phone, "fault": "nack", "count": 1, "code": 463 });
    sandbox.fault(fault).await;
    let refused = ann.send(&bob.phone, "refused").await;
    let is_nack = |event: &Event| match event {
        Event::ServerAck(ack) => ack.id == refused && ack.error.is_some(),
        _ => false,
    };
    ann.wait("the nack", is_nack).await;
    ann.send(&bob.phone, "accepted").await;
    bob.text("accepted").await;
    assert_eq!(bob.texts(), ["accepted"]);
    for client in [ann, bob] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn typing_reaches_the_other_side() {
    let sandbox = Sandbox::start().await;
    let ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    let chat = Jid::pn(bob.phone.as_str());
    ann.client.chatstate().send_composing(&chat).await.expect("the chat state is sent");
    bob.wait("typing", |event| matches!(event, Event::ChatPresence(_))).await;
    for client in [ann, bob] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_addressed_by_lid_arrives_too() {
    let sandbox = Sandbox::start().await;
    let ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    let users = [Jid::pn(bob.phone.as_str())];
    let found = ann.client.contacts().is_on_whatsapp(&users).await.expect("an answer");
    let lid = found[0].lid.clone().expect("the network tells the LID");
    ann.client.send_text(lid, "by lid").await.expect("the send succeeds");
    bob.text("by lid").await;
    for client in [ann, bob] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unlinked_device_gets_nothing_more_and_the_others_everything() {
    let sandbox = Sandbox::start().await;
    let bob = sandbox.linked("Bob").await;
    let mut first = sandbox.linked("Ann").await;
    let mut second = sandbox.linked("Ann").await;
    bob.send(&first.phone, "to both").await;
    first.text("to both").await;
    second.text("to both").await;
    let path = format!("/admin/mock-phone/{}/unlink", first.phone);
    let (status, body) = sandbox.post(&path, json!({ "device": 33 })).await;
    assert_eq!(status, 200, "{body}");
    first.wait("logged out", |event| matches!(event, Event::LoggedOut(_))).await;
    bob.send(&second.phone, "to one").await;
    second.text("to one").await;
    assert_eq!(first.texts(), ["to both"]);
    for client in [bob, first, second] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_sees_somebody_come_and_go() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let bob = sandbox.linked("Bob").await;
    bob.client.presence().set_available().await.expect("presence is sent");
    ann.client.presence().subscribe(Jid::pn(bob.phone.as_str())).await.expect("it subscribes");
    let is = |there: bool| {
        move |event: &Event| match event {
            Event::Presence(update) => update.unavailable != there,
            _ => false,
        }
    };
    ann.wait("Bob is there", is(true)).await;
    bob.stop().await;
    ann.wait("Bob is gone", is(false)).await;
    ann.stop().await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_timer_of_a_chat_and_that_of_new_chats_are_told() {
    let sandbox = Sandbox::start().await;
    let ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    ann.send(&bob.phone, "hello").await;
    bob.text("hello").await;
    let chat = Jid::pn(bob.phone.as_str());
    ann.client.set_chat_disappearing_timer(chat, 86_400).await.expect("a timer");
    let is_timer = |message: &wacore::types::events::InboundMessage| {
        let protocol = message.message.protocol_message.as_option();
        protocol.is_some_and(|protocol| protocol.ephemeral_expiration == Some(86_400))
    };
    bob.wait("the chat's timer", |event| match event {
        Event::Messages(batch) => batch.iter().any(is_timer),
        _ => false,
    })
    .await;
    ann.client.set_default_disappearing_mode(604_800).await.expect("a default");
    let is_default = |event: &Event| match event {
        Event::DisappearingModeChanged(mode) => mode.duration == 604_800,
        _ => false,
    };
    bob.wait("the default", is_default).await;
    for client in [ann, bob] {
        client.stop().await;
    }
    sandbox.stop().await;
}
