//! Receipts beyond delivered and read: played, and those that are nobody else's business.

use wacore::iq::privacy::{PrivacyCategory, PrivacyValue};
use wacore::types::events::Event;
use wacore::types::presence::ReceiptType;
use wacore_binary::Jid;

use crate::harness::{DEADLINE, Sandbox};

fn is(kind: ReceiptType, id: &str) -> impl Fn(&Event) -> bool {
    let id = id.to_owned();
    move |event| match event {
        Event::Receipt(receipt) => {
            receipt.r#type == kind && receipt.message_ids.iter().any(|known| *known == *id)
        }
        _ => false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wrote_hears_that_it_was_played() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    let sent = ann.send(&bob.phone, "listen").await;
    bob.text("listen").await;
    let chat = Jid::pn(ann.phone.as_str());
    bob.client.mark_as_played(&chat, None, &[&sent]).await.expect("told");
    ann.wait("played", is(ReceiptType::Played, &sent)).await;
    for client in [ann, bob] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_in_private_is_told_to_the_own_devices_only() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    let mut second = sandbox.linked("Bob").await;
    bob.client
        .set_privacy_setting(PrivacyCategory::ReadReceipts, PrivacyValue::None)
        .await
        .expect("the setting is taken");
    // The client learns its own settings when it logs in.
    bob.skip_past();
    bob.client.reconnect_immediately().await;
    bob.wait("connected again", |event| matches!(event, Event::Connected(_))).await;
    let learned = async {
        while !bob.client.persistence_manager().get_device_snapshot().read_receipts_disabled {
            bob.next_event().await;
        }
    };
    tokio::time::timeout(DEADLINE, learned).await.expect("the client learns it");
    let first = ann.send(&bob.phone, "one").await;
    bob.text("one").await;
    let chat = Jid::pn(ann.phone.as_str());
    bob.client.mark_as_read(&chat, None, &[&first]).await.expect("told");
    second.wait("read by the other device", is(ReceiptType::ReadSelf, &first)).await;
    // What is sent later arrives later: nothing about the first one came before.
    bob.send(&ann.phone, "I am here").await;
    ann.text("I am here").await;
    assert!(!ann.has_seen(is(ReceiptType::Read, &first)));
    assert!(!ann.has_seen(is(ReceiptType::ReadSelf, &first)));
    for client in [ann, bob, second] {
        client.stop().await;
    }
    sandbox.stop().await;
}
