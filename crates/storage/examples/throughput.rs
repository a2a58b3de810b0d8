//! How many inbound messages a second the store commits, with chat, contact, event and delivery, and how
//! long one commit takes. `cargo run --release -p flowcore-storage --example throughput --
//! [--messages-only] [instances] [seconds] [messages a second] [postgres://…]`. Each message is followed by a
//! ratchet step of its own, a second durable write, unless only messages are wanted. Without a rate (or with 0) each instance writes its next
//! message when the last one is stored; with one, messages come when they come, and a time counts from there.

use bytes::Bytes;
use flowcore_domain::clock::Millis;
use flowcore_domain::event::{EventKind, NewEvent};
use flowcore_domain::id::{InstanceId, UserId, WebhookId};
use flowcore_domain::jid::Jid;
use flowcore_domain::message::{Addressing, InboundMessage};
use flowcore_domain::session_store::{Change, Namespace};
use flowcore_domain::webhook::{BytesForm, ChatFilter, FileForm, Health, Scope, Secret, Webhook};
use flowcore_storage::{
    DatabaseOptions, InboundRow, Mark, MasterKey, NewInstance, Store, StoreOptions,
};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

const NOW: Millis = Millis(1_767_603_600_000);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (flags, arguments): (Vec<_>, Vec<_>) =
        std::env::args().skip(1).partition(|argument| argument.starts_with("--"));
    let ratchets = !flags.iter().any(|flag| flag == "--messages-only");
    let mut arguments = arguments.into_iter();
    let instances: u32 = arguments.next().map_or(Ok(1000), |text| text.parse())?;
    let seconds: u64 = arguments.next().map_or(Ok(10), |text| text.parse())?;
    let rate: u32 = arguments.next().map_or(Ok(0), |text| text.parse())?;
    let directory = tempfile::tempdir()?;
    let options = StoreOptions {
        data_dir: directory.path().to_path_buf(),
        database: DatabaseOptions::parse(arguments.next().as_deref(), None)?,
        mark: Mark::Sandbox,
        master_key: Some(MasterKey::generate()),
    };
    let store = Store::open(options).await?;
    let user = UserId(Uuid::now_v7());
    store.ensure_admin(user, None, NOW).await?;

    let mut prepared = Vec::new();
    for index in 0..instances {
        prepared.push(prepare(&store, user, index).await?);
    }
    let tasks = TaskTracker::new();
    let start = Instant::now();
    let end = start + Duration::from_secs(seconds);
    let mut phones = Vec::new();
    for (index, instance) in (0..).zip(prepared) {
        let store = store.clone();
        let pace = (rate > 0).then(|| Pace::of(index, instances, rate));
        phones.push(
            tasks.spawn(
                async move { receive(&store, (instance, ratchets), (start, end), pace).await },
            ),
        );
    }
    tasks.close();
    let mut times = Vec::new();
    for phone in phones {
        times.extend(phone.await?);
    }
    let elapsed = start.elapsed().as_secs_f64();
    times.sort_unstable();
    let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
    println!(
        "{instances} instances, {} messages{} in {elapsed:.1} s",
        times.len(),
        if ratchets { " and ratchets" } else { "" }
    );
    println!("a commit: p50 {:?}, p99 {:?}", at(50), at(99));
    store.close().await;
    Ok(())
}

async fn prepare(
    store: &Store,
    user_id: UserId,
    index: u32,
) -> Result<InstanceId, Box<dyn std::error::Error>> {
    let id = InstanceId(Uuid::now_v7());
    let name = format!("phone-{index}").parse()?;
    store.create_instance(NewInstance { id, user_id, name, now: NOW }, vec![]).await?;
    let webhook = Webhook {
        id: WebhookId(Uuid::now_v7()),
        scope: Scope::Instance(id),
        url: "http://127.0.0.1:9/".to_owned(),
        enabled: true,
        events: vec![],
        headers: BTreeMap::new(),
        by_events: false,
        media: FileForm::None,
        bytes: BytesForm::Base64,
        secret: Secret::from_bytes([1; 32]),
        previous_secrets: vec![],
        chats: ChatFilter::default(),
        health: Health::default(),
        evolution: false,
        created_at: NOW,
        updated_at: NOW,
    };
    store.create_webhook(webhook).await?;
    Ok(id)
}

/// When the messages of one phone come.
struct Pace {
    first: Duration,
    every: Duration,
}

impl Pace {
    /// The phones share the rate, and none writes in the same instant as another.
    fn of(index: u32, instances: u32, rate: u32) -> Self {
        let share = |part: u32| Duration::from_secs(1) * part / rate;
        Self { first: share(index), every: share(instances) }
    }
}

/// One phone: a ratchet step and a message, again and again; returns how long each message took.
async fn receive(
    store: &Store,
    (instance, ratchets): (InstanceId, bool),
    (begun, end): (Instant, Instant),
    pace: Option<Pace>,
) -> Vec<Duration> {
    let session = store.session_store(instance);
    let mut times = Vec::new();
    for number in 0_u32.. {
        let start = match &pace {
            Some(pace) => begun + pace.first + pace.every * number,
            None => Instant::now(),
        };
        if start >= end {
            break;
        }
        tokio::time::sleep_until(start.into()).await;
        let ratchet = vec![Change::put(Namespace("session"), "peer", vec![0_u8; 900])];
        let row = message(instance, u64::from(number));
        let stored = store.commit_inbound(instance, vec![row], NOW).await;
        if let Err(error) = stored {
            println!("a message failed: {error}");
            break;
        }
        times.push(start.elapsed());
        if !ratchets {
            continue;
        }
        if let Err(error) = session.apply(ratchet).await {
            println!("a ratchet failed: {error}");
            break;
        }
    }
    times
}

fn message(instance: InstanceId, number: u64) -> InboundRow {
    let chat = format!("55119{:08}@s.whatsapp.net", number % 20);
    let chat: Jid = chat.parse().expect("an address");
    let event = NewEvent {
        id: Uuid::now_v7().into(),
        instance_id: instance,
        kind: EventKind::MessagesUpsert,
        ordering_key: chat.to_string(),
        at: NOW,
        data: json!({
            "key": {"remoteJid": chat, "fromMe": false, "id": format!("3EB0{number:016X}")},
            "pushName": "Alice", "message": {"conversation": "hello there"},
            "messageType": "conversation", "messageTimestamp": NOW.seconds(), "status": "DELIVERY_ACK",
        }),
    };
    let message = InboundMessage {
        id: format!("3EB0{number:016X}"),
        chat: chat.clone(),
        chat_alt: None,
        sender: chat,
        sender_alt: None,
        from_me: false,
        addressing: Addressing::Pn,
        push_name: Some("Alice".to_owned()),
        timestamp: NOW.seconds(),
        proto: Bytes::from_static(b"\x0a\x0bhello there"),
        content: json!({"conversation": "hello there"}),
        kind: "conversation".to_owned(),
        text: Some("hello there".to_owned()),
        context: None,
    };
    InboundRow {
        row_id: Uuid::now_v7().into(),
        message,
        event,
        introduction: vec![],
        renamed: None,
        consequences: vec![],
        jobs: vec![],
    }
}
