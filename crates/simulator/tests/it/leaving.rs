//! Clients that go: alone, all at once, with receipts still to be told, and such that never return.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;
use tokio::time::timeout;
use wacore::types::events::Event;
use wacore::types::presence::ReceiptType;

use crate::harness::{DEADLINE, Sandbox, TestClient};

fn is_delivered(event: &Event, id: &str) -> bool {
    match event {
        Event::Receipt(receipt) => {
            receipt.r#type == ReceiptType::Delivered
                && receipt.message_ids.iter().any(|known| *known == *id)
        }
        _ => false,
    }
}

/// Cuts a client off and keeps it off for a time.
async fn send_away(sandbox: &Sandbox, client: &TestClient, seconds: f64) {
    let refusal = json!({
        "target": client.phone, "fault": "refuse-login", "code": 503, "seconds": seconds,
    });
    sandbox.fault(refusal).await;
    let online = sandbox.stats().await["online"].as_u64().expect("a number");
    sandbox.fault(json!({ "target": client.phone, "fault": "drop" })).await;
    sandbox.until("it is away", |stats| stats["online"].as_u64() < Some(online)).await;
}

async fn a_crowd_leaves_at_once() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let mut crowd = Vec::new();
    for number in 0..6 {
        crowd.push(sandbox.linked(&format!("Member {number}")).await);
    }
    let mut sent = Vec::new();
    for member in &mut crowd {
        sent.push(ann.send(&member.phone, "the doors close").await);
        member.text("the doors close").await;
    }
    let leaving = join_all(crowd.iter().map(|member| member.client.disconnect()));
    timeout(Duration::from_secs(10), leaving).await.expect("they leave in time");
    sandbox.until("only Ann is left", |stats| stats["online"] == 1).await;
    // What they had to say was said before they went.
    for id in sent {
        if !ann.has_seen(|event| is_delivered(event, &id)) {
            ann.skip_past();
            ann.wait("it was delivered", |event| is_delivered(event, &id)).await;
        }
    }
    for client in crowd.into_iter().chain([ann]) {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_leave_at_once_have_told_their_receipts() {
    a_crowd_leaves_at_once().await;
}

#[tokio::test]
async fn clients_of_one_thread_that_leave_at_once_have_told_their_receipts() {
    a_crowd_leaves_at_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_with_nothing_to_say_leaves_at_once() {
    let sandbox = Sandbox::start().await;
    let client = sandbox.linked("Ann").await;
    let started = Instant::now();
    client.client.disconnect().await;
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert!(!client.client.is_connected());
    let stats = sandbox.until("it is gone", |stats| stats["online"] == 0).await;
    assert_eq!(stats["devices"], 1, "it is still linked");
    client.stop().await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_are_never_there_together_still_exchange_a_message_and_its_receipt() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    let eve = sandbox.linked("Eve").await;
    send_away(&sandbox, &eve, 3600.0).await;
    send_away(&sandbox, &bob, 1.5).await;
    let sent = ann.send(&bob.phone, "when you are back").await;
    let lost = ann.send(&eve.phone, "if you come back").await;
    for id in [&sent, &lost] {
        sandbox.accepted(&json!(id)).await;
    }
    send_away(&sandbox, &ann, 5.0).await;
    bob.text("when you are back").await;
    let told =
        sandbox.until("the receipt waits", |stats| stats["queued"].as_u64() >= Some(2)).await;
    assert_eq!(told["online"], 1, "Ann is away");
    ann.wait("it was delivered", |event| is_delivered(event, &sent)).await;
    assert!(!ann.has_seen(|event| is_delivered(event, &lost)), "Eve never returned");
    let left = timeout(DEADLINE, sandbox.until("Eve's waits", |stats| stats["queued"] != 0)).await;
    left.expect("what is for Eve stays");
    for client in [ann, bob, eve] {
        client.stop().await;
    }
    sandbox.stop().await;
}
