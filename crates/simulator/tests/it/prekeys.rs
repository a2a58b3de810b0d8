//! One-time keys: used up by others, missed, and given anew by the client itself.

use serde_json::{Value, json};
use wacore::types::events::Event;
use wacore_binary::Jid;

use crate::harness::{Sandbox, TestClient};

/// How many keys the clients of these tests upload.
const UPLOADED: usize = 50;
/// Fetches after which the server tells the device that few are left.
const UNTIL_LOW: usize = 41;

/// Opens so many new sessions with a device, each with another of its keys.
async fn open_sessions(client: &TestClient, with: &TestClient, times: usize) {
    let device = with.client.lid().expect("a linked client knows its LID");
    let signal = client.client.signal();
    for _ in 0..times {
        signal.delete_sessions(std::slice::from_ref(&device)).await.expect("forgotten");
        signal.assert_sessions(std::slice::from_ref(&device)).await.expect("a new session");
    }
}

fn uploads(stats: &Value) -> u64 {
    let iqs = stats["iqs"].as_object().into_iter().flatten();
    let uploads = iqs.filter(|(name, _)| name.starts_with("encrypt/set/"));
    uploads.filter_map(|(_, count)| count.as_u64()).sum()
}

/// Ann, who knows Bob, and Bob.
async fn acquainted(sandbox: &Sandbox) -> (TestClient, TestClient) {
    let ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    ann.client.contacts().is_on_whatsapp(&[Jid::pn(bob.phone.as_str())]).await.expect("known");
    ann.send(&bob.phone, "hello").await;
    bob.text("hello").await;
    (ann, bob)
}

async fn stop(sandbox: Sandbox, clients: [TestClient; 2]) {
    for client in clients {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_with_few_keys_left_gives_new_ones() {
    let sandbox = Sandbox::start().await;
    let (ann, mut bob) = acquainted(&sandbox).await;
    let before = uploads(&sandbox.stats().await);
    open_sessions(&ann, &bob, UNTIL_LOW).await;
    sandbox.until("Bob gives new keys", |stats| uploads(stats) > before).await;
    open_sessions(&ann, &bob, 3).await;
    ann.send(&bob.phone, "with a new key").await;
    bob.text("with a new key").await;
    assert!(!bob.has_seen(|event| matches!(event, Event::UndecryptableMessage(_))));
    stop(sandbox, [ann, bob]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_keys_left_is_reached_without_one() {
    let sandbox = Sandbox::start().await;
    let (ann, mut bob) = acquainted(&sandbox).await;
    let before = uploads(&sandbox.stats().await);
    let away = json!({ "target": bob.phone, "fault": "refuse-login", "code": 503, "seconds": 3.0 });
    sandbox.fault(away).await;
    sandbox.fault(json!({ "target": bob.phone, "fault": "drop" })).await;
    sandbox.until("Bob is away", |stats| stats["online"] == 1).await;
    open_sessions(&ann, &bob, UPLOADED + 2).await;
    ann.send(&bob.phone, "without a key").await;
    bob.text("without a key").await;
    sandbox.until("Bob gives new keys", |stats| uploads(stats) > before).await;
    stop(sandbox, [ann, bob]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_finds_its_keys_at_the_server_as_it_left_them() {
    let sandbox = Sandbox::start().await;
    let (ann, mut bob) = acquainted(&sandbox).await;
    let digest = "encrypt/get/digest";
    let (keys, asked) = {
        let stats = sandbox.stats().await;
        (uploads(&stats), stats["iqs"][digest].as_u64().unwrap_or_default())
    };
    assert!(asked >= 2, "both looked once");
    bob.skip_past();
    bob.client.reconnect_immediately().await;
    bob.wait("connected again", |event| matches!(event, Event::Connected(_))).await;
    ann.send(&bob.phone, "still there").await;
    bob.text("still there").await;
    // A hash that differs from its own would make it upload everything again.
    assert_eq!(uploads(&sandbox.stats().await), keys);
    stop(sandbox, [ann, bob]).await;
}
