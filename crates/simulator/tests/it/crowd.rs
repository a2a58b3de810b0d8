//! Many clients at once, under faults: no message lost, none shown twice, every receipt arrives.
//!
//! Pairs of clients write to each other, both ways, while faults of a printed seed strike. When the
//! writing ends, each must have each text of its partner exactly once, and a delivery receipt for
//! each of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tokio::time::timeout;
use wacore::types::events::Event;
use wacore::types::presence::ReceiptType;

use crate::harness::{Sandbox, TestClient};

/// Clients that link at once; more would only wait for the processor.
const LINKING: usize = 8;
/// What was cut off comes back with growing pauses between attempts.
const SETTLING: Duration = Duration::from_secs(120);

/// One crowd.
struct Scale {
    pairs: usize,
    time: Duration,
    /// Between two rounds of messages.
    pause: Duration,
}

async fn linked(sandbox: &Sandbox, count: usize) -> Vec<TestClient> {
    let names: Vec<String> = (0..count).map(|number| format!("client {number}")).collect();
    let mut clients = Vec::new();
    for names in names.chunks(LINKING) {
        clients.extend(join_all(names.iter().map(|name| sandbox.linked(name))).await);
    }
    clients
}

/// A fault that loses nothing when everybody keeps the protocol.
fn fault(rng: &mut StdRng, phone: &str) -> Value {
    match rng.random_range(0..5) {
        0 => json!({ "target": phone, "fault": "drop" }),
        1 => json!({ "target": phone, "fault": "stall", "seconds": 0.3 }),
        2 => json!({ "target": phone, "fault": "delay-acks", "seconds": 0.3 }),
        3 => json!({ "target": phone, "fault": "duplicate", "count": 3 }),
        _ => json!({ "target": phone, "fault": "stream-error", "code": 503 }),
    }
}

/// What each client sent: text by message id.
type Sent = Vec<BTreeMap<String, String>>;

/// Rounds of messages, each client to its partner, a fault on somebody in each.
async fn write_for_a_while(
    sandbox: &Sandbox,
    clients: &[TestClient],
    rng: &mut StdRng,
    scale: &Scale,
) -> Sent {
    let mut sent: Sent = vec![BTreeMap::new(); clients.len()];
    let start = Instant::now();
    let mut round = 0;
    while start.elapsed() < scale.time {
        let sends = clients.iter().enumerate().map(|(index, client)| {
            // Partners are neighbours: 0 and 1, 2 and 3.
            let to = &clients[index ^ 1].phone;
            async move {
                let text = format!("{round} from {index}");
                // A client without a connection says so; its user would press the button again.
                let message = client.client.send_text(wacore_binary::Jid::pn(to), &*text).await;
                message.ok().map(|message| (message.message_id, text))
            }
        });
        for (index, message) in join_all(sends).await.into_iter().enumerate() {
            sent[index].extend(message);
        }
        let unlucky = &clients[rng.random_range(0..clients.len())].phone;
        sandbox.fault(fault(rng, unlucky)).await;
        // The pace of people; nothing is waited for here.
        tokio::time::sleep(scale.pause).await;
        round += 1;
    }
    sent
}

/// Waits until a client has what its partner sent and the receipts for what it sent.
async fn settle(client: &mut TestClient, sent: &BTreeMap<String, String>, due: &[String]) {
    let done = async {
        loop {
            let texts: BTreeSet<String> = client.texts().into_iter().collect();
            let delivered = delivered(client);
            let has_all = due.iter().all(|text| texts.contains(text));
            if has_all && sent.keys().all(|id| delivered.contains(id)) {
                return;
            }
            client.next_event().await;
        }
    };
    if timeout(SETTLING, done).await.is_err() {
        let texts = client.texts();
        let lost: Vec<&String> = due.iter().filter(|text| !texts.contains(text)).collect();
        let delivered = delivered(client);
        let unconfirmed: Vec<&String> = sent.keys().filter(|id| !delivered.contains(*id)).collect();
        panic!("{}: lost {lost:?}, no receipt for {unconfirmed:?}", client.phone);
    }
}

fn delivered(client: &TestClient) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    client.each_event(|event| {
        if let Event::Receipt(receipt) = event
            && receipt.r#type == ReceiptType::Delivered
        {
            ids.extend(receipt.message_ids.iter().cloned());
        }
    });
    ids
}

async fn chat(scale: Scale) {
    let seed: u64 = rand::rng().random();
    println!("crowd of {} pairs: seed {seed}", scale.pairs);
    let mut rng = StdRng::seed_from_u64(seed);
    let sandbox = Sandbox::start().await;
    let mut clients = linked(&sandbox, scale.pairs * 2).await;
    let sent = write_for_a_while(&sandbox, &clients, &mut rng, &scale).await;
    let due: Vec<Vec<String>> =
        (0..clients.len()).map(|index| sent[index ^ 1].values().cloned().collect()).collect();
    let settles = clients.iter_mut().zip(&sent).zip(&due);
    join_all(settles.map(|((client, sent), due)| settle(client, sent, due))).await;
    for (client, due) in clients.iter().zip(&due) {
        let texts = client.texts();
        for text in due {
            let shown = texts.iter().filter(|shown| *shown == text).count();
            assert_eq!(shown, 1, "{text:?} for {}", client.phone);
        }
    }
    let total: usize = sent.iter().map(BTreeMap::len).sum();
    println!("{total} messages, each decrypted once, each confirmed");
    assert!(total >= scale.pairs * 4, "only {total} messages");
    let stats = sandbox.stats().await;
    assert_eq!(stats["refused"], json!({}), "{stats}");
    join_all(clients.into_iter().map(TestClient::stop)).await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_under_faults_loses_and_doubles_nothing() {
    let pause = Duration::from_millis(250);
    chat(Scale { pairs: 8, time: Duration::from_secs(6), pause }).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes: scripts/soak crowd"]
async fn soak_crowd() {
    let pause = Duration::from_secs(1);
    chat(Scale { pairs: 100, time: Duration::from_secs(60), pause }).await;
}
