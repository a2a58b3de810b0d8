//! Receivers on bad days: gone, down, and failing at random.

use crate::harness::{DEADLINE, World, named};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use flowcore_domain::webhook::{BytesForm, ChatFilter, FileForm, OffBecause};
use flowcore_gateway::{NewWebhook, WebhooksOf};
use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

fn endpoint(url: String, events: &[&str]) -> NewWebhook {
    let kind = |name: &&str| flowcore_domain::event::EventKind::parse(name).expect("a kind");
    NewWebhook {
        url,
        events: events.iter().map(kind).collect(),
        chats: ChatFilter::default(),
        headers: BTreeMap::new(),
        secret: None,
        by_events: false,
        media: FileForm::None,
        bytes: BytesForm::Base64,
        enabled: true,
    }
}

async fn serve(routes: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
    TaskTracker::new().spawn(async move { axum::serve(listener, routes).await });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_says_it_is_gone_is_switched_off() {
    let world = World::start().await;
    world.connect("shop").await;
    world.hook("shop").await;
    let gone = serve(Router::new().route("/hook", post(async || StatusCode::GONE))).await;
    let webhooks = world.gateway.webhooks();
    let new = endpoint(gone, &["connection.update"]);
    let made = webhooks
        .create(&world.caller, WebhooksOf::Instance(&named("shop")), new)
        .await
        .expect("made");
    let view = world.until("shop", |view| view.qr.is_some()).await;
    world.scan(&view.qr.expect("a code").text).await;
    let told = world.receiver.until("the end", |body| body["event"] == "webhook.update").await;
    let expected = json!({ "webhookId": made.id, "state": "disabled", "reason": "gone" });
    assert_eq!(told.body["data"], expected);
    let now = webhooks
        .get(&world.caller, WebhooksOf::Instance(&named("shop")), made.id)
        .await
        .expect("there");
    assert_eq!((now.enabled, now.health.off_because), (false, Some(OffBecause::Gone)));
    world.gateway.stop().await;
}

/// A receiver that does what the dice say, and what arrived of each event it took. It loses an event a few
/// times at most: the waits between attempts double, and the test's patience does not.
struct Torturer {
    dice: Mutex<StdRng>,
    asked: Mutex<BTreeMap<String, u32>>,
    taken: Mutex<Vec<Value>>,
    count: watch::Sender<usize>,
    secret: std::sync::OnceLock<String>,
}

const MOST_LOST: u32 = 3;

async fn torture(State(me): State<Arc<Torturer>>, headers: HeaderMap, body: Bytes) -> Response {
    let secret = me.secret.get().expect("set before events");
    let independent = standardwebhooks::Webhook::new(secret).expect("a secret");
    independent.verify(&body, &headers).expect("signed");
    let id = headers["webhook-id"].to_str().expect("ASCII").to_owned();
    let asked = {
        let mut asked = me.asked.lock().expect("the record");
        let times = asked.entry(id.clone()).or_default();
        *times += 1;
        *times
    };
    let roll =
        if asked > MOST_LOST { 9 } else { me.dice.lock().expect("the dice").next_u32() % 10 };
    match roll {
        0 => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        1 => return StatusCode::FOUND.into_response(),
        // Closes early: the connection breaks before the answer.
        2 => panic!("the receiver breaks on purpose"),
        3 => tokio::time::sleep(Duration::from_millis(300)).await,
        _ => {}
    }
    let mut event: Value = serde_json::from_slice(&body).expect("JSON");
    event["id"] = json!(id);
    me.taken.lock().expect("the record").push(event);
    me.count.send_modify(|count| *count += 1);
    // Took it, and loses the answer: it comes again, under the same id.
    if roll == 4 { StatusCode::BAD_GATEWAY.into_response() } else { "ok".into_response() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_fails_at_random_gets_everything_in_order() {
    const MESSAGES: usize = 6;
    let seed: u64 = rand::rng().random();
    println!("seed {seed}");
    let world = World::start().await;
    let phone = world.linked("shop").await;
    let (count, mut counting) = watch::channel(0);
    let torturer = Arc::new(Torturer {
        dice: Mutex::new(StdRng::seed_from_u64(seed)),
        asked: Mutex::default(),
        taken: Mutex::default(),
        count,
        secret: std::sync::OnceLock::new(),
    });
    let routes = Router::new().route("/hook", post(torture)).with_state(Arc::clone(&torturer));
    let new = endpoint(serve(routes).await, &["messages.upsert"]);
    let webhooks = world.gateway.webhooks();
    let made = webhooks
        .create(&world.caller, WebhooksOf::Instance(&named("shop")), new)
        .await
        .expect("made");
    torturer.secret.set(made.secret.reveal()).expect("set once");
    let customers =
        [world.contact("Ana").await, world.contact("Bea").await, world.contact("Cid").await];
    for number in 0..MESSAGES {
        for customer in &customers {
            let path = format!("/admin/contacts/{customer}/messages");
            world.admin(&path, json!({ "to": phone, "text": number.to_string() })).await;
        }
    }
    let firsts = || {
        let mut chats: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut ids = BTreeMap::new();
        for event in torturer.taken.lock().expect("the record").iter() {
            let chat = event["data"]["key"]["remoteJid"].as_str().expect("a chat").to_owned();
            let said =
                event["data"]["message"]["conversation"].as_str().expect("a text").to_owned();
            let id = event["id"].as_str().expect("an id").to_owned();
            let key = (chat.clone(), said.clone());
            // A copy has the id of the first.
            if ids.entry(key).or_insert_with(|| id.clone()) == &id {
                let chat = chats.entry(chat).or_default();
                if !chat.contains(&said) {
                    chat.push(said);
                }
            }
        }
        chats
    };
    let expected: Vec<String> = (0..MESSAGES).map(|number| number.to_string()).collect();
    let all = async {
        while firsts().values().filter(|said| said.len() == MESSAGES).count() < customers.len() {
            counting.changed().await.expect("the receiver");
        }
    };
    tokio::time::timeout(DEADLINE * 6, all).await.unwrap_or_else(|_| panic!("{:?}", firsts()));
    for (chat, said) in firsts() {
        assert_eq!(said, expected, "{chat} with seed {seed}");
    }
    world.gateway.stop().await;
}

/// A receiver that takes requests and never answers; how many it holds at most.
async fn hanging() -> (String, Arc<AtomicUsize>) {
    let most = Arc::new(AtomicUsize::new(0));
    let state = (Arc::new(AtomicUsize::new(0)), Arc::clone(&most));
    let hang = async |State((now, most)): State<(Arc<AtomicUsize>, Arc<AtomicUsize>)>| {
        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        std::future::pending::<StatusCode>().await
    };
    let url = serve(Router::new().route("/hook", post(hang)).with_state(state)).await;
    (url, most)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_receiver_beside_a_live_one_changes_nothing() {
    // More chats than one endpoint may have under way, and than the worker once had for all.
    const CHATS: usize = 80;
    let world = World::start().await;
    let phone = world.linked("shop").await;
    let (dead, most) = hanging().await;
    let webhooks = world.gateway.webhooks();
    let shop = named("shop");
    let new = endpoint(dead, &["messages.upsert"]);
    webhooks.create(&world.caller, WebhooksOf::Instance(&shop), new).await.expect("made");
    let new = endpoint(world.receiver.url.clone(), &["messages.upsert"]);
    let everywhere = webhooks.create(&world.caller, WebhooksOf::All, new).await.expect("made");
    let heard = |world: &World| {
        let all = world.receiver.all();
        let chats = all.iter().map(|hook| hook.body["data"]["key"]["remoteJid"].to_string());
        chats.collect::<std::collections::HashSet<_>>().len()
    };
    for number in 0..CHATS {
        let customer = world.contact(&format!("Customer {number}")).await;
        let path = format!("/admin/contacts/{customer}/messages");
        world.admin(&path, json!({ "to": phone, "text": "hello" })).await;
        let jid = format!("{customer}@s.whatsapp.net");
        world.receiver.until("a message", |body| body["data"]["key"]["remoteJid"] == jid).await;
    }
    assert_eq!(heard(&world), CHATS);
    let most = most.load(Ordering::SeqCst);
    assert!((1..32).contains(&most), "the dead one held {most} requests");
    let failures = webhooks.get(&world.caller, WebhooksOf::All, everywhere.id).await;
    assert_eq!(failures.expect("there").health.failures, 0);
    let filter = flowcore_gateway::DeliveryFilter::default();
    let waiting = webhooks.deliveries(&world.caller, &shop, &filter, 2 * CHATS).await;
    assert_eq!(waiting.expect("listed").len(), 2 * CHATS, "nothing is dropped");
}
