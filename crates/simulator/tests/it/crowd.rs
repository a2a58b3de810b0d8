//! Many clients at once, under faults: no message lost, none shown twice, every receipt arrives.
//!
//! Pairs of clients write to each other, both ways, and in groups, while faults of a printed seed
//! strike. When the writing ends, each must have each text that was for it exactly once, and a
//! delivery receipt of every reader for each of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tokio::time::timeout;
use wacore::types::events::Event;
use wacore::types::presence::ReceiptType;
use wacore_binary::Jid;

use crate::groups::group_of;
use crate::harness::{Sandbox, TestClient};

/// Clients that link at once; more would only wait for the processor.
const LINKING: usize = 8;
/// Enough that a sender key has several receivers.
const GROUP_MEMBERS: usize = 6;
/// What was cut off comes back with growing pauses between attempts.
const SETTLING: Duration = Duration::from_secs(120);

/// One crowd.
struct Scale {
    pairs: usize,
    groups: usize,
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

/// A message that the network took, and who must show it.
struct Sent {
    id: String,
    text: String,
    readers: Vec<usize>,
}

/// Where a client writes in a round, and who reads there.
type Address = (Jid, Vec<usize>);

/// Each client's partner, and its group when it is in one.
fn addresses(clients: &[TestClient], groups: &[(Jid, Vec<usize>)]) -> Vec<Vec<Address>> {
    let of = |index: usize| {
        // Partners are neighbours: 0 and 1, 2 and 3.
        let partner = index ^ 1;
        let pair = (Jid::pn(clients[partner].phone.as_str()), vec![partner]);
        let groups = groups.iter().filter(|(_, members)| members.contains(&index)).map(
            |(group, members)| {
                let others = members.iter().copied().filter(|member| *member != index);
                (group.clone(), others.collect())
            },
        );
        std::iter::once(pair).chain(groups).collect()
    };
    (0..clients.len()).map(of).collect()
}

/// Every `members` clients in a row, those of a few groups.
async fn make_groups(clients: &[TestClient], groups: usize) -> Vec<(Jid, Vec<usize>)> {
    let members = GROUP_MEMBERS.min(clients.len());
    let step = clients.len() / groups.max(1);
    let founded = (0..groups).map(|number| {
        let indexes: Vec<usize> =
            (0..members).map(|member| (number * step + member) % clients.len()).collect();
        async move {
            let others: Vec<&TestClient> = indexes[1..].iter().map(|i| &clients[*i]).collect();
            (group_of(&clients[indexes[0]], &others).await, indexes)
        }
    });
    join_all(founded).await
}

/// Rounds of messages to partners and groups, a fault on somebody in each. By sender.
async fn write_for_a_while(
    sandbox: &Sandbox,
    clients: &[TestClient],
    addresses: &[Vec<Address>],
    rng: &mut StdRng,
    scale: &Scale,
) -> Vec<Vec<Sent>> {
    let mut sent: Vec<Vec<Sent>> = clients.iter().map(|_| Vec::new()).collect();
    let start = Instant::now();
    let mut round = 0;
    while start.elapsed() < scale.time {
        let sends = clients.iter().zip(addresses).enumerate().map(|(index, (client, places))| {
            let (to, readers) = &places[round % places.len()];
            async move {
                let text = format!("{round} from {index}");
                // A client without a connection says so; its user would press the button again.
                let message = client.client.send_text(to.clone(), &*text).await.ok()?;
                Some(Sent { id: message.message_id, text, readers: readers.clone() })
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

/// Those that reached the network. What a client writes to a connection that is being cut looks sent to
/// it; it is the missing ack that tells, and sending again is its user's business.
async fn accepted(sandbox: &Sandbox, mut sent: Vec<Vec<Sent>>) -> Vec<Vec<Sent>> {
    let record = sandbox.get("/admin/record").await;
    let accepted = record["accepted"].as_array().expect("a list").iter();
    let ids: BTreeSet<&str> = accepted.filter_map(|one| one["id"].as_str()).collect();
    for messages in &mut sent {
        messages.retain(|message| ids.contains(message.id.as_str()));
    }
    sent
}

/// Waits until a client has what others sent it and the receipts for what it sent.
async fn settle(sandbox: &Sandbox, client: &TestClient, sent: &[Sent], due: &[&Sent]) {
    let done = async {
        loop {
            let texts: BTreeSet<String> = client.texts().into_iter().collect();
            let has_all = due.iter().all(|message| texts.contains(&message.text));
            if has_all && unconfirmed(client, sent).is_empty() {
                return;
            }
            client.next_event().await;
        }
    };
    if timeout(SETTLING, done).await.is_err() {
        let texts = client.texts();
        let lost = due.iter().filter(|message| !texts.contains(&message.text));
        let record = sandbox.get("/admin/record").await;
        let lost: Vec<String> = lost.map(|message| story(client, message, &record)).collect();
        let unconfirmed = unconfirmed(client, sent);
        panic!("{}: lost {lost:#?}, receipts missing for {unconfirmed:?}", client.phone);
    }
}

/// What is known of a message that a client did not show.
fn story(client: &TestClient, message: &Sent, record: &Value) -> String {
    let acked = record["acked"].as_array().expect("a list").iter();
    let acked = acked.filter(|ack| ack["id"] == *message.id && ack["to"] == *client.phone).count();
    let mut unreadable = 0;
    client.each_event(|event| {
        if let Event::UndecryptableMessage(one) = event {
            unreadable += usize::from(one.info.id == message.id);
        }
    });
    let Sent { id, text, .. } = message;
    format!("{text:?} ({id}): acked by {acked} devices, unreadable {unreadable} times")
}

/// Texts that not every reader has confirmed.
fn unconfirmed<'a>(client: &TestClient, sent: &'a [Sent]) -> Vec<&'a str> {
    let mut readers: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    client.each_event(|event| {
        if let Event::Receipt(receipt) = event
            && receipt.r#type == ReceiptType::Delivered
        {
            for id in &receipt.message_ids {
                let reader = receipt.source.sender.user.to_string();
                readers.entry(id.clone()).or_default().insert(reader);
            }
        }
    });
    let confirmed = |message: &Sent| readers.get(&message.id).map_or(0, BTreeSet::len);
    let missing = sent.iter().filter(|message| confirmed(message) < message.readers.len());
    missing.map(|message| message.text.as_str()).collect()
}

/// What each client must show.
fn due(sent: &[Vec<Sent>]) -> Vec<Vec<&Sent>> {
    let mut due: Vec<Vec<&Sent>> = sent.iter().map(|_| Vec::new()).collect();
    for message in sent.iter().flatten() {
        for reader in &message.readers {
            due[*reader].push(message);
        }
    }
    due
}

async fn chat(scale: Scale) {
    let seed = crate::harness::seed();
    println!("crowd of {} pairs and {} groups: seed {seed}", scale.pairs, scale.groups);
    let mut rng = StdRng::seed_from_u64(seed);
    let sandbox = Sandbox::start().await;
    let clients = linked(&sandbox, scale.pairs * 2).await;
    let groups = make_groups(&clients, scale.groups).await;
    let addresses = addresses(&clients, &groups);
    let written = write_for_a_while(&sandbox, &clients, &addresses, &mut rng, &scale).await;
    let sent = accepted(&sandbox, written).await;
    let due = due(&sent);
    let settles = clients.iter().zip(&sent).zip(&due);
    join_all(settles.map(|((client, sent), due)| settle(&sandbox, client, sent, due))).await;
    for (client, due) in clients.iter().zip(&due) {
        let texts = client.texts();
        for Sent { text, .. } in due {
            let shown = texts.iter().filter(|shown| *shown == text).count();
            assert_eq!(shown, 1, "{text:?} for {}", client.phone);
        }
    }
    let total: usize = sent.iter().map(Vec::len).sum();
    println!("{total} messages, each decrypted once by each reader, each confirmed by each");
    assert!(total >= scale.pairs * 4, "only {total} messages");
    let stats = sandbox.stats().await;
    assert_eq!(stats["refused"], json!({}), "{stats}");
    join_all(clients.into_iter().map(TestClient::stop)).await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_under_faults_loses_and_doubles_nothing() {
    let pause = Duration::from_millis(250);
    chat(Scale { pairs: 8, groups: 2, time: Duration::from_secs(6), pause }).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes: scripts/soak crowd"]
async fn soak_crowd() {
    let pause = Duration::from_secs(1);
    chat(Scale { pairs: 100, groups: 10, time: Duration::from_secs(60), pause }).await;
}
