//! An app on its worst days, and a product that is killed meanwhile.
//!
//! The app answers with errors, slowly, never, hangs up before it has answered, or takes an event and
//! loses the answer. What has to hold, by the customers' own count in their texts: each message reached it at
//! least once and in order for each customer, every request was signed, and what came twice had one id.

use crate::network::Phones;
use crate::product::{DEADLINE, Product};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

const CUSTOMERS: usize = 3;
const KILLS: u32 = 3;
/// How often a customer writes.
const PACE: Duration = Duration::from_millis(250);
/// After the traffic the app is well. What waits for an answer that never comes waits for its time-out.
const ALL_ARRIVED: Duration = Duration::from_secs(180);

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_receiver_and_three_kills_lose_nothing() {
    bad_days(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "ten minutes: scripts/soak receiver"]
async fn soak_receiver() {
    bad_days(Duration::from_mins(10)).await;
}

async fn bad_days(length: Duration) {
    let seed = rand::random::<u64>();
    eprintln!("the app's moods come from seed {seed}");
    let phones = Arc::new(Phones::start().await);
    let data = tempfile::tempdir().expect("a directory");
    let app = App::start(seed).await;
    let mut product = Product::on(&phones.network, data.path(), None).await.expect("it starts");
    let phone = product.link(&phones.network, "shop").await;
    let hook = json!({ "url": app.url, "events": ["messages.upsert"] });
    let (status, hook) = product.post("/api/webhooks", &hook).await.expect("an answer");
    assert_eq!(status, 201, "{hook}");
    app.secret(hook["secret"].as_str().expect("a secret"));

    let stop = Arc::new(AtomicBool::new(false));
    let written: Arc<Mutex<Vec<String>>> = Arc::default();
    let tasks = TaskTracker::new();
    for number in 0..CUSTOMERS {
        let customer = phones.contact(&format!("Customer {number}")).await;
        tasks.spawn(write_on(
            (Arc::clone(&phones), customer, phone.clone()),
            number,
            (Arc::clone(&stop), Arc::clone(&written)),
        ));
    }
    for _ in 0..KILLS {
        // The length of the traffic is the point of it: no event to wait for.
        tokio::time::sleep(length / (KILLS + 1)).await;
        product.kill().await;
        product = Product::on(&phones.network, data.path(), None).await.expect("it starts");
    }
    tokio::time::sleep(length / (KILLS + 1)).await;
    stop.store(true, Ordering::SeqCst);
    tasks.close();
    tokio::time::timeout(DEADLINE, tasks.wait()).await.expect("the traffic ends");
    app.is_well();
    let written: HashSet<String> = written.lock().expect("the list").drain(..).collect();
    app.until_taken(&written).await;
    app.verify();
    assert!(product.terminate().await, "it stops as asked");
}

/// One customer writes and counts.
async fn write_on(
    (phones, customer, phone): (Arc<Phones>, String, String),
    number: usize,
    (stop, written): (Arc<AtomicBool>, Arc<Mutex<Vec<String>>>),
) {
    let mut pace = tokio::time::interval(PACE);
    for count in 0.. {
        pace.tick().await;
        if stop.load(Ordering::SeqCst) {
            return;
        }
        let text = format!("c{number} {count}");
        phones.write(&customer, &phone, &text).await;
        written.lock().expect("the list").push(text);
    }
}

/// What the app took, in the order in which it came.
struct Taken {
    event: String,
    text: String,
}

struct Moods {
    dice: Mutex<StdRng>,
    well: AtomicBool,
    secret: OnceLock<String>,
    unsigned: AtomicUsize,
    requests: AtomicUsize,
    taken: Mutex<Vec<Taken>>,
    count: watch::Sender<usize>,
}

struct App {
    url: String,
    moods: Arc<Moods>,
}

impl App {
    async fn start(seed: u64) -> Self {
        let moods = Arc::new(Moods {
            dice: Mutex::new(StdRng::seed_from_u64(seed)),
            well: AtomicBool::new(false),
            secret: OnceLock::new(),
            unsigned: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
            taken: Mutex::default(),
            count: watch::Sender::new(0),
        });
        let routes = Router::new().route("/hook", post(receive)).with_state(Arc::clone(&moods));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        TaskTracker::new().spawn(async move { axum::serve(listener, routes).await });
        Self { url, moods }
    }

    fn secret(&self, secret: &str) {
        self.moods.secret.set(secret.to_owned()).expect("set once");
    }

    fn is_well(&self) {
        self.moods.well.store(true, Ordering::SeqCst);
    }

    async fn until_taken(&self, written: &HashSet<String>) {
        let mut count = self.moods.count.subscribe();
        let missing = || {
            let taken = self.moods.taken.lock().expect("the record");
            let got: HashSet<&String> = taken.iter().map(|one| &one.text).collect();
            written.iter().filter(|text| !got.contains(text)).count()
        };
        let all = async {
            while missing() > 0 {
                count.changed().await.expect("the app runs");
            }
        };
        let all = tokio::time::timeout(ALL_ARRIVED, all).await;
        assert!(all.is_ok(), "{} of {} never came", missing(), written.len());
    }

    fn verify(&self) {
        let moods = &self.moods;
        assert_eq!(moods.unsigned.load(Ordering::SeqCst), 0, "a request without a true signature");
        let taken = moods.taken.lock().expect("the record");
        let mut ids: HashMap<&str, &str> = HashMap::new();
        for one in taken.iter() {
            let id = ids.entry(&one.text).or_insert(&one.event);
            assert_eq!(*id, one.event, "what came again has another id: {}", one.text);
        }
        for number in 0..CUSTOMERS {
            let prefix = format!("c{number} ");
            let mut seen = HashSet::new();
            let counts = taken.iter().filter_map(|one| one.text.strip_prefix(&prefix));
            let counts = counts.filter(|count| seen.insert(*count));
            let counts: Vec<u32> = counts.map(|count| count.parse().expect("a count")).collect();
            assert!(counts.is_sorted(), "out of order for {prefix}: {counts:?}");
        }
        let (requests, texts) = (moods.requests.load(Ordering::SeqCst), ids.len());
        eprintln!("{texts} messages, {} taken, {requests} requests", taken.len());
        assert!(requests > taken.len(), "the app was never bad");
    }
}

async fn receive(State(moods): State<Arc<Moods>>, headers: HeaderMap, body: Bytes) -> Response {
    moods.requests.fetch_add(1, Ordering::SeqCst);
    let secret = moods.secret.get().expect("set before events");
    let independent = standardwebhooks::Webhook::new(secret).expect("a secret");
    if independent.verify(&body, &headers).is_err() {
        moods.unsigned.fetch_add(1, Ordering::SeqCst);
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let roll = if moods.well.load(Ordering::SeqCst) {
        u32::MAX
    } else {
        moods.dice.lock().expect("the dice").next_u32() % 100
    };
    match roll {
        0..8 => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        8..12 => return StatusCode::FOUND.into_response(),
        // Hangs up: the connection breaks before the answer.
        12..20 => panic!("the app breaks on purpose"),
        // Never answers; the product's time-out ends it.
        20 => return std::future::pending().await,
        // Slow, and no event to wait for.
        21..35 => tokio::time::sleep(Duration::from_millis(400)).await,
        _ => {}
    }
    let event: Value = serde_json::from_slice(&body).expect("JSON");
    let text = event["data"]["message"]["conversation"].as_str().expect("a text").to_owned();
    let event = headers["webhook-id"].to_str().expect("ASCII").to_owned();
    moods.taken.lock().expect("the record").push(Taken { event, text });
    moods.count.send_modify(|count| *count += 1);
    // Took it, and loses the answer: it comes again.
    if (35..45).contains(&roll) {
        StatusCode::BAD_GATEWAY.into_response()
    } else {
        "ok".into_response()
    }
}
