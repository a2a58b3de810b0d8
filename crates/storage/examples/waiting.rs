//! What a dead endpoint with a long backlog costs the others. `cargo run --release -p flowcore-storage
//! --example waiting -- [deliveries] [postgres://…]`

use flowcore_domain::clock::Millis;
use flowcore_domain::event::{EventKind, NewEvent};
use flowcore_domain::id::{InstanceId, UserId, WebhookId};
use flowcore_domain::webhook::{
    BytesForm, ChatFilter, FileForm, Health, NextStep, Scope, Secret, Turn, Webhook,
};
use flowcore_storage::{
    Claim, ClaimedDelivery, DatabaseOptions, Mark, MasterKey, NewInstance, PassedOver, Settlement,
    Store, StoreOptions,
};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use uuid::Uuid;

type Failure = Box<dyn std::error::Error>;

const NOW: Millis = Millis(1_767_603_600_000);
const CHATS: usize = 20_000;
/// Events of one transaction while the backlog is made.
const AT_ONCE: usize = 500;
const ROUNDS: usize = 300;
const LEASE: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let deliveries: usize = arguments.next().map_or(Ok(1_000_000), |text| text.parse())?;
    let directory = tempfile::tempdir()?;
    let options = StoreOptions {
        data_dir: directory.path().to_path_buf(),
        database: DatabaseOptions::parse(arguments.next().as_deref(), None)?,
        mark: Mark::Sandbox,
        master_key: Some(MasterKey::generate()),
    };
    let store = Store::open(options.clone()).await?;
    let (shop, [mut dead, _]) = make(&store).await?;
    rounds("with nothing waiting", &store, shop).await?;
    let start = Instant::now();
    for first in (0..deliveries).step_by(AT_ONCE) {
        let message = |number: usize| {
            event(shop, EventKind::MessagesUpsert, &format!("55119{:08}", number % CHATS))
        };
        let events = (first..deliveries.min(first + AT_ONCE)).map(message).collect();
        store.append_events(events).await?;
    }
    println!("{deliveries} deliveries of {CHATS} chats written in {:.0?}", start.elapsed());
    store.close().await;

    let before = resident();
    let start = Instant::now();
    let store = Store::open(options).await?;
    println!("opened in {:.2?}", start.elapsed());
    rounds("beside an endpoint that is due", &store, shop).await?;
    let start = Instant::now();
    let attempts = fail_until_paused(&store, &dead).await?;
    println!("paused after {attempts} attempts, {:.2?}", start.elapsed());
    rounds("beside an endpoint that is paused", &store, shop).await?;
    println!("resident: {before} KiB before, {} KiB with {deliveries} waiting", resident());
    let start = Instant::now();
    store.update_webhook(dead.clone(), NOW).await?;
    println!("resumed in {:.2?}", start.elapsed());
    let start = Instant::now();
    dead.enabled = false;
    store.update_webhook(dead.clone(), NOW).await?;
    println!("switched off in {:.2?}", start.elapsed());
    rounds("while all that waited is ended", &store, shop).await?;
    let start = Instant::now();
    let (deleted, measured) = tokio::join!(
        store.delete_webhook(dead.scope, dead.id),
        rounds("while it is deleted", &store, shop)
    );
    measured?;
    assert!(deleted?, "it was there");
    println!("deleted in {:.1?}; resident: {} KiB", start.elapsed(), resident());
    store.close().await;
    Ok(())
}

/// An instance with an endpoint for messages and one for its connection.
async fn make(store: &Store) -> Result<(InstanceId, [Webhook; 2]), Failure> {
    let user_id = UserId(Uuid::now_v7());
    store.ensure_admin(user_id, None, NOW).await?;
    let shop = InstanceId(Uuid::now_v7());
    let new = NewInstance { id: shop, user_id, name: "shop".parse()?, now: NOW };
    store.create_instance(new, vec![]).await?;
    let made = [EventKind::MessagesUpsert, EventKind::ConnectionUpdate].map(|kind| Webhook {
        id: WebhookId(Uuid::now_v7()),
        scope: Scope::Instance(shop),
        url: "https://app.example/hook".to_owned(),
        enabled: true,
        events: vec![kind],
        chats: ChatFilter::default(),
        headers: BTreeMap::new(),
        by_events: false,
        secret: Secret::from_bytes([7; 32]),
        previous_secrets: vec![],
        media: FileForm::None,
        bytes: BytesForm::Base64,
        health: Health::default(),
        evolution: false,
        created_at: NOW,
        updated_at: NOW,
    });
    for webhook in &made {
        assert!(store.create_webhook(webhook.clone()).await?, "few are there");
    }
    Ok((shop, made))
}

/// Events of the other endpoint: each is written, claimed and settled.
async fn rounds(what: &str, store: &Store, shop: InstanceId) -> Result<(), Failure> {
    let mut claims = Vec::with_capacity(ROUNDS);
    let mut whole = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let stored =
            store.append_events(vec![event(shop, EventKind::ConnectionUpdate, "")]).await?;
        loop {
            let claiming = Instant::now();
            let claimed = claim(store).await?;
            claims.push(claiming.elapsed());
            let ours = claimed.iter().find(|one| one.event.event.id == stored[0].event.id);
            if let Some(ours) = ours {
                settle(store, ours, NextStep::Delivered).await?;
                break;
            }
        }
        whole.push(start.elapsed());
        store.release_leases(NOW).await?;
    }
    report(&format!("a claim {what}"), claims);
    report(&format!("an event {what}, written, claimed and settled"), whole);
    Ok(())
}

async fn fail_until_paused(store: &Store, dead: &Webhook) -> Result<usize, Failure> {
    let mut attempts = 0;
    loop {
        for one in claim(store).await? {
            settle(store, &one, NextStep::RetryAt(NOW.plus(LEASE))).await?;
            attempts += 1;
        }
        let now = store.webhook(dead.id).await?.ok_or("the endpoint")?;
        if now.health.paused_until.is_some() {
            return Ok(attempts);
        }
    }
}

async fn claim(store: &Store) -> Result<Vec<ClaimedDelivery>, Failure> {
    let claim = Claim { limit: 64, each: 16, slow: &[], passed_over: PassedOver::default() };
    Ok(store.claim_deliveries(claim, NOW, LEASE).await?)
}

async fn settle(store: &Store, one: &ClaimedDelivery, step: NextStep) -> Result<(), Failure> {
    let settlement = Settlement {
        step,
        status: Some(if step == NextStep::Delivered { 200 } else { 503 }),
        duration_ms: 1,
        error: None,
        answer: None,
        asked: None,
        dice: 0.5,
        render: turned,
        at: NOW,
    };
    store.settle_delivery(one.delivery_id, settlement).await?;
    Ok(())
}

fn turned(instance: InstanceId, _: WebhookId, _: Turn, _: Millis) -> NewEvent {
    event(instance, EventKind::WebhookUpdate, "")
}

fn event(instance_id: InstanceId, kind: EventKind, ordering_key: &str) -> NewEvent {
    let (id, ordering_key) = (Uuid::now_v7().into(), ordering_key.to_owned());
    let data = json!({ "messageType": "conversation", "message": { "conversation": "hello" } });
    NewEvent { id, instance_id, kind, ordering_key, at: NOW, data }
}

/// What of this process is in memory, in KiB.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default()
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    println!("{what}: p50 {:.2?}, p99 {:.2?}, slowest {:.2?}", at(50), at(99), at(100));
}
