//! Many clients at once, under faults: no message lost, none shown twice, each chat in order.

use futures_util::future::join_all;
use serde_json::json;

use crate::harness::{Sandbox, TestClient};

const PAIRS: usize = 10;
const MESSAGES: usize = 20;

async fn linked(sandbox: &Sandbox, kind: &str) -> Vec<TestClient> {
    let names: Vec<String> = (0..PAIRS).map(|number| format!("{kind} {number}")).collect();
    join_all(names.iter().map(|name| sandbox.linked(name))).await
}

fn text(number: usize) -> String {
    format!("message {number}")
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_while_receivers_are_cut_off() {
    let sandbox = Sandbox::start().await;
    let senders = linked(&sandbox, "sender").await;
    let mut receivers = linked(&sandbox, "receiver").await;
    let phones: Vec<String> = receivers.iter().map(|client| client.phone.clone()).collect();
    for number in 0..MESSAGES {
        let sends = senders.iter().zip(&phones).map(|(sender, phone)| async move {
            sender.send(phone, &text(number)).await;
        });
        join_all(sends).await;
        // Another receiver each round loses its connection with messages on their way.
        let cut = &phones[number % PAIRS];
        sandbox.fault(json!({ "target": cut, "fault": "drop" })).await;
    }
    let expected: Vec<String> = (0..MESSAGES).map(text).collect();
    for receiver in &mut receivers {
        receiver.text(&text(MESSAGES - 1)).await;
        assert_eq!(receiver.texts(), expected);
    }
    let stats = sandbox.until("everything is acked", |stats| stats["queued"] == 0).await;
    assert_eq!(stats["refused"], json!({}), "{stats}");
    let record = sandbox.get("/admin/record").await;
    for list in ["accepted", "acked"] {
        assert_eq!(record[list].as_array().map(Vec::len), Some(PAIRS * MESSAGES), "{list}");
    }
    join_all(senders.into_iter().chain(receivers).map(TestClient::stop)).await;
    sandbox.stop().await;
}
