//! What happens to a client that is away is waiting for it, in order.

use serde_json::json;
use wacore::types::events::Event;
use wacore::types::presence::ReceiptType;
use wacore_binary::Jid;

use crate::harness::Sandbox;

/// More than the primer and one automatic batch together.
const BACKLOG: usize = 80;

#[tokio::test(flavor = "multi_thread")]
async fn messages_sent_meanwhile_arrive_in_order_after_the_return() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    ann.send(&bob.phone, "first contact").await;
    bob.text("first contact").await;
    bob.skip_past();
    sandbox
        .fault(json!({ "target": bob.phone, "fault": "refuse-login", "code": 503, "seconds": 1.0 }))
        .await;
    sandbox.fault(json!({ "target": bob.phone, "fault": "drop" })).await;
    sandbox.until("Bob is away", |stats| stats["online"] == 1).await;
    let mut expected = vec!["first contact".to_owned()];
    let mut last = String::new();
    for number in 0..BACKLOG {
        let text = format!("message {number}");
        last = ann.send(&bob.phone, &text).await;
        expected.push(text);
    }
    bob.wait("the drain ends", |event| matches!(event, Event::OfflineSyncCompleted(_))).await;
    let is_last = |event: &Event| match event {
        Event::Receipt(receipt) => {
            receipt.r#type == ReceiptType::Delivered
                && receipt.message_ids.iter().any(|id| *id == *last)
        }
        _ => false,
    };
    ann.wait("the last one is delivered", is_last).await;
    assert_eq!(bob.texts(), expected);
    sandbox.until("nothing waits", |stats| stats["queued"] == 0).await;
    for client in [ann, bob] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_waits_for_an_absent_sender() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let phone = sandbox.contact("Carl").await;
    let sent = ann.send(&phone, "hello").await;
    let path = format!("/admin/contacts/{phone}/messages?wait=10");
    let received = sandbox.get(&path).await;
    assert_eq!(received["messages"][0]["text"], "hello");
    ann.skip_past();
    sandbox.fault(json!({ "target": ann.phone, "fault": "drop" })).await;
    let body = json!({ "chat": ann.phone, "ids": [sent] });
    let (status, answer) = sandbox.post(&format!("/admin/contacts/{phone}/read"), body).await;
    assert_eq!(status, 200, "{answer}");
    let is_read = |event: &Event| match event {
        Event::Receipt(receipt) => {
            receipt.r#type == ReceiptType::Read && receipt.message_ids.iter().any(|id| *id == *sent)
        }
        _ => false,
    };
    ann.wait("the read receipt", is_read).await;
    ann.stop().await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn typing_is_told_after_the_return_unless_it_is_stale() {
    let sandbox = Sandbox::start().await;
    let ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    ann.send(&bob.phone, "first contact").await;
    bob.text("first contact").await;
    let to = Jid::pn(bob.phone.as_str());
    for (stale, seconds) in [(true, 60), (false, 0)] {
        bob.skip_past();
        let refuse = json!({
            "target": bob.phone, "fault": "refuse-login", "code": 503, "seconds": 2.0,
        });
        sandbox.fault(refuse).await;
        sandbox.fault(json!({ "target": bob.phone, "fault": "drop" })).await;
        sandbox.until("Bob is away", |stats| stats["online"] == 1).await;
        ann.client.chatstate().send_composing(&to).await.expect("sent");
        // Sending ends when it is written; once this is answered the network has read it too.
        ann.client.fetch_privacy_settings().await.expect("an answer");
        assert_eq!(sandbox.post("/admin/clock", json!({ "advance": seconds })).await.0, 200);
        if stale {
            bob.wait("back", |event| matches!(event, Event::OfflineSyncCompleted(_))).await;
            sandbox.until("nothing waits", |stats| stats["queued"] == 0).await;
            assert!(!bob.has_seen(|event| matches!(event, Event::ChatPresence(_))));
        } else {
            bob.wait("typing", |event| matches!(event, Event::ChatPresence(_))).await;
        }
    }
    for client in [ann, bob] {
        client.stop().await;
    }
    sandbox.stop().await;
}

/// A contact comes or goes, and the network knows it.
async fn appears(sandbox: &Sandbox, contact: &str, state: &str) {
    let path = format!("/admin/contacts/{contact}");
    let change = json!({ "state": state });
    assert_eq!(sandbox.post(&format!("{path}/presence"), change).await.0, 200);
    while sandbox.get(&path).await["presence"] != state {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_comings_and_goings_only_the_last_is_told_after_the_return() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let carl = sandbox.contact("Carl").await;
    appears(&sandbox, &carl, "available").await;
    ann.client.presence().subscribe(Jid::pn(carl.as_str())).await.expect("subscribed");
    let here = |event: &Event| matches!(event, Event::Presence(update) if !update.unavailable);
    ann.wait("he is there", here).await;
    let online = sandbox.stats().await["online"].clone();
    ann.skip_past();
    let away = json!({ "target": ann.phone, "fault": "refuse-login", "code": 503, "seconds": 1.0 });
    sandbox.fault(away).await;
    sandbox.fault(json!({ "target": ann.phone, "fault": "drop" })).await;
    sandbox.until("Ann is away", |stats| stats["online"] != online).await;
    for state in ["unavailable", "available", "unavailable", "available", "unavailable"] {
        appears(&sandbox, &carl, state).await;
    }
    ann.wait("he is gone", |event| matches!(event, Event::Presence(u) if u.unavailable)).await;
    ann.wait("the drain ends", |event| matches!(event, Event::OfflineSyncCompleted(_))).await;
    let mut told = Vec::new();
    ann.each_event(|event| {
        if let Event::Presence(update) = event {
            told.push(update.unavailable);
        }
    });
    // Her client subscribes again after its return and is told the same once more.
    assert!(!told[0] && told[1..].iter().all(|gone| *gone), "{told:?}");
    ann.stop().await;
    sandbox.stop().await;
}
