//! `kill -9` while messages flow, at random moments and between named steps.
//!
//! What has to hold afterwards, by the network's own record: every message that a device of the number
//! acknowledged is in the database and reached the user's app; the app saw each customer's messages in
//! the order in which they were written; every send that was accepted is on the customer's phone once.

use crate::network::Phones;
use crate::product::{DEADLINE, KEY, Product};
use crate::receiver::Receiver;
use flowcore_storage::{DatabaseOptions, InstanceFilter, Mark, Store, StoreOptions};
use rand::{RngExt, SeedableRng};
use serde_json::json;
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

const CUSTOMERS: usize = 3;
/// Each named point is armed twice: for its first pass and for a later one.
const POINTS: [&str; 5] =
    ["after_decrypt", "after_commit", "after_ack", "before_send_write", "after_send_write"];

/// Where the product of the moment is; none while it is dead.
type Address = Arc<RwLock<Option<String>>>;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_shown_twice_over_twenty_kills() {
    kills(10, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a hundred kills take a few minutes: scripts/soak kills"]
async fn soak_kills() {
    kills(50, 10).await;
}

/// So many kills at random moments, and at each named point.
async fn kills(random: usize, each_point: u64) {
    let seed = rand::random::<u64>();
    eprintln!("the kills come from seed {seed}");
    let mut rng = rand::rngs::StdRng::seed_from_u64(seed);
    let phones = Arc::new(Phones::start().await);
    let data = tempfile::tempdir().expect("a directory");
    let receiver = Receiver::start().await;
    let product = Product::on(&phones.network, data.path(), None).await.expect("it starts");
    let phone = product.link(&phones.network, "shop").await;
    let hook = json!({ "url": receiver.url, "events": ["messages.upsert"] });
    let (status, hook) =
        product.post("/api/instances/shop/webhooks", &hook).await.expect("an answer");
    assert_eq!(status, 201, "{hook}");

    let address: Address = Arc::new(RwLock::new(Some(product.url.clone())));
    let traffic = Traffic::start(Arc::clone(&phones), &phone, Arc::clone(&address)).await;
    settle(product, Duration::from_millis(400), &address).await;
    for nth in 0..each_point {
        for point in POINTS {
            let armed = format!("{point}:{}", 1 + nth * 7);
            let started = Product::on(&phones.network, data.path(), Some(&armed)).await;
            if let Some(mut product) = started {
                set(&address, Some(product.url.clone()));
                assert!(product.dies_within(DEADLINE).await, "{armed} was never passed");
            }
            set(&address, None);
        }
    }
    for _ in 0..random {
        let product = Product::on(&phones.network, data.path(), None).await.expect("it starts");
        let alive = Duration::from_millis(rng.random_range(20..1500));
        settle(product, alive, &address).await;
    }

    let product = Product::on(&phones.network, data.path(), None).await.expect("it starts");
    set(&address, Some(product.url.clone()));
    product.until_status("shop", "connected").await;
    let sent = traffic.finish().await;
    verify(&phones, &receiver, &sent, &phone).await;
    check_signatures(&receiver, hook["secret"].as_str().expect("a secret"));
    assert!(product.terminate().await, "it stops as asked");
    verify_database(&phones, data.path(), &phone).await;
}

/// Lets the product live for a while and kills it.
async fn settle(product: Product, alive: Duration, address: &Address) {
    set(address, Some(product.url.clone()));
    // The moment of the kill is the point of it: no event to wait for.
    tokio::time::sleep(alive).await;
    set(address, None);
    product.kill().await;
}

fn set(address: &Address, url: Option<String>) {
    *address.write().expect("the address") = url;
}

/// Customers that write and a shop that writes to them, without pause.
struct Traffic {
    stop: Arc<AtomicBool>,
    tasks: tokio_util::task::TaskTracker,
    written: Arc<Mutex<Vec<(String, String)>>>,
    accepted: Arc<Mutex<HashMap<String, Vec<String>>>>,
    customers: Vec<String>,
}

/// What was written in the end.
struct Sent {
    /// Id and text of each message of a customer, in order for each of them.
    written: Vec<(String, String)>,
    /// Texts that the API accepted, by customer.
    accepted: HashMap<String, Vec<String>>,
    customers: Vec<String>,
}

impl Traffic {
    async fn start(phones: Arc<Phones>, phone: &str, address: Address) -> Self {
        let mut customers = Vec::new();
        for n in 0..CUSTOMERS {
            customers.push(phones.contact(&format!("Customer {n}")).await);
        }
        let traffic = Self {
            stop: Arc::default(),
            tasks: tokio_util::task::TaskTracker::new(),
            written: Arc::default(),
            accepted: Arc::default(),
            customers,
        };
        for (n, customer) in traffic.customers.iter().enumerate() {
            traffic.spawn_customer(n, customer.clone(), phone.to_owned(), Arc::clone(&phones));
            traffic.spawn_shop(customer.clone(), Arc::clone(&address));
        }
        traffic
    }

    /// A customer writes to the shop.
    fn spawn_customer(&self, n: usize, customer: String, phone: String, phones: Arc<Phones>) {
        let (stop, written) = (Arc::clone(&self.stop), Arc::clone(&self.written));
        self.tasks.spawn(async move {
            let mut pace = tokio::time::interval(Duration::from_millis(40));
            for count in 0.. {
                pace.tick().await;
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let text = format!("c{n} {count}");
                let id = phones.write(&customer, &phone, &text).await;
                written.lock().expect("the list").push((id, text));
            }
        });
    }

    /// The shop writes to one customer; a request that breaks is repeated under its key.
    fn spawn_shop(&self, customer: String, address: Address) {
        let (stop, accepted) = (Arc::clone(&self.stop), Arc::clone(&self.accepted));
        self.tasks.spawn(async move {
            let http = crate::product::client();
            let mut pace = tokio::time::interval(Duration::from_millis(60));
            let mut count = 0;
            while !stop.load(Ordering::SeqCst) {
                pace.tick().await;
                let Some(url) = address.read().expect("the address").clone() else { continue };
                let text = format!("reply {count}");
                let body = json!({ "instanceName": "shop", "number": customer, "message": text });
                let request = http
                    .post(format!("{url}/api/whatsapp/send"))
                    .header("apikey", KEY)
                    .header("idempotency-key", format!("{customer}-{count}"))
                    .json(&body);
                if request.send().await.is_ok_and(|answer| answer.status() == 201) {
                    let mut accepted = accepted.lock().expect("the list");
                    accepted.entry(customer.clone()).or_default().push(text);
                    count += 1;
                }
            }
        });
    }

    async fn finish(self) -> Sent {
        self.stop.store(true, Ordering::SeqCst);
        self.tasks.close();
        tokio::time::timeout(DEADLINE, self.tasks.wait()).await.expect("the traffic ends");
        let written = self.written.lock().expect("the list").clone();
        let accepted = self.accepted.lock().expect("the list").clone();
        Sent { written, accepted, customers: self.customers }
    }
}

async fn verify(phones: &Phones, receiver: &Receiver, sent: &Sent, phone: &str) {
    let arrived = receiver
        .until(DEADLINE, |receiver| {
            let got: std::collections::HashSet<_> =
                receiver.messages().into_iter().map(|(id, _)| id).collect();
            sent.written.iter().all(|(id, _)| got.contains(id))
        })
        .await;
    let got = receiver.messages();
    let missing: Vec<_> = sent
        .written
        .iter()
        .filter(|(id, _)| !got.iter().any(|(seen, _)| seen == id))
        .map(|(_, text)| text)
        .collect();
    assert!(
        arrived,
        "{} of {} never reached the app: {missing:?}",
        missing.len(),
        sent.written.len()
    );
    for n in 0..CUSTOMERS {
        in_order(&got, &format!("c{n} "));
    }
    for id in phones.acked_by(phone).await {
        let known = got.iter().any(|(seen, _)| *seen == id);
        let of_customer = sent.written.iter().any(|(written, _)| *written == id);
        assert!(known || !of_customer, "{id} was acknowledged and never reached the app");
    }
    for customer in &sent.customers {
        if let Some(accepted) = sent.accepted.get(customer) {
            shown_once(phones, customer, accepted).await;
        }
    }
    eprintln!(
        "{} messages in, {} out, {} events",
        sent.written.len(),
        sent.accepted.values().map(Vec::len).sum::<usize>(),
        receiver.all().len()
    );
}

/// The first arrivals of a customer's messages are in the order of the count in their text.
fn in_order(got: &[(String, String)], prefix: &str) {
    let mut seen = std::collections::HashSet::new();
    let counts: Vec<u32> = got
        .iter()
        .filter(|(id, text)| text.starts_with(prefix) && seen.insert(id.clone()))
        .map(|(_, text)| text[prefix.len()..].parse().expect("a count"))
        .collect();
    assert!(counts.is_sorted(), "out of order for {prefix}: {counts:?}");
}

/// Every accepted text is on the customer's phone exactly once.
async fn shown_once(phones: &Phones, customer: &str, accepted: &[String]) {
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    let last = accepted.last().expect("something was sent").clone();
    let all_there = async {
        loop {
            tick.tick().await;
            let shown = phones.shown_to(customer).await;
            if shown.iter().any(|m| m["text"] == last.as_str()) && shown.len() >= accepted.len() {
                return shown;
            }
        }
    };
    let shown = tokio::time::timeout(DEADLINE, all_there).await;
    let shown = shown.unwrap_or_else(|_| panic!("the last message never came"));
    for text in accepted {
        let times = shown.iter().filter(|m| m["text"] == text.as_str()).count();
        assert_eq!(times, 1, "{text:?} is shown {times} times");
    }
}

/// Signatures hold by an independent library, and an event keeps its id when it comes again.
fn check_signatures(receiver: &Receiver, secret: &str) {
    let verifier = standardwebhooks::Webhook::new(secret).expect("a secret");
    let mut ids: HashMap<String, String> = HashMap::new();
    for hook in receiver.all() {
        verifier.verify(&hook.raw, &hook.headers).expect("a true signature");
        let message = hook.body["data"]["key"]["id"].as_str().expect("an id").to_owned();
        let first = ids.entry(message).or_insert_with(|| hook.id.clone());
        assert_eq!(*first, hook.id, "a repeated event has another id");
    }
}

async fn verify_database(phones: &Phones, data: &Path, phone: &str) {
    let options = StoreOptions {
        data_dir: data.to_owned(),
        database: DatabaseOptions::DataDirectory,
        mark: Mark::Sandbox,
        master_key: None,
    };
    let store = Store::open(options).await.expect("the store opens");
    let instances = store.instances(&InstanceFilter::default()).await.expect("a list");
    let acked = phones.acked_by(phone).await;
    assert!(acked.len() > 100, "too little happened: {}", acked.len());
    for id in acked {
        let found = store.message(instances[0].id, &id).await.expect("an answer");
        assert!(found.is_some(), "{id} was acknowledged and is not in the database");
    }
    store.close().await;
}
