//! A network and real `whatsapp_rust` clients on it.
//!
//! Every wait is for an event, with a deadline; nothing sleeps.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flowcore_simulator::{Network, NetworkConfig};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::timeout;
use wacore::proto_helpers::MessageExt;
use wacore::store::InMemoryBackend;
use wacore::store::traits::Backend;
use wacore::types::events::{Event, EventHandler};
use wacore::types::message::MessageCategory;
use wacore_binary::Jid;
use whatsapp_rust::Client;
use whatsapp_rust::bot::{Bot, BotHandle};
use whatsapp_rust::transport::TokioWebSocketTransportFactory;
use whatsapp_rust_ureq_http_client::UreqHttpClient;

pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A network with its admin API.
pub(crate) struct Sandbox {
    pub(crate) network: Network,
    pub(crate) http: reqwest::Client,
}

impl Sandbox {
    pub(crate) async fn start() -> Self {
        Self::with(NetworkConfig::default()).await
    }

    pub(crate) async fn with(config: NetworkConfig) -> Self {
        // Only the first test of a process installs it.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let network = Network::start(config).await.expect("the network starts");
        let http = insecure_client();
        Self { network, http }
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let url = format!("{}{path}", self.network.base_url(false));
        let answer = self.http.post(url).json(&body).send().await.expect("an answer");
        let status = answer.status().as_u16();
        (status, answer.json().await.expect("JSON"))
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let url = format!("{}{path}", self.network.base_url(true));
        let answer = self.http.get(url).send().await.expect("an answer");
        answer.json().await.expect("JSON")
    }

    pub(crate) async fn scan(&self, qr: &str, phone: Option<&str>) -> (u16, Value) {
        let mut url = format!("{}/admin/mock-phone/scan-qr", self.network.base_url(false));
        if let Some(phone) = phone {
            url = format!("{url}?phone={phone}");
        }
        let answer = self.http.post(url).body(qr.to_owned()).send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    }

    /// A client that is not linked.
    pub(crate) async fn client(&self, push_name: &str) -> TestClient {
        TestClient::start(&self.network.socket_url(true), push_name).await
    }

    /// A client linked by QR and connected.
    pub(crate) async fn linked(&self, push_name: &str) -> TestClient {
        let mut client = self.client(push_name).await;
        let qr = client.qr().await;
        let (status, scanned) = self.scan(&qr, None).await;
        assert_eq!(status, 200, "{scanned}");
        scanned["phone"].as_str().expect("a phone").clone_into(&mut client.phone);
        client.wait("connected", |event| matches!(event, Event::Connected(_))).await;
        client
    }

    pub(crate) async fn contact(&self, name: &str) -> String {
        let (status, contact) = self.post("/admin/contacts", json!({ "name": name })).await;
        assert_eq!(status, 201, "{contact}");
        contact["phone"].as_str().expect("a phone").to_owned()
    }

    pub(crate) async fn fault(&self, fault: Value) {
        let (status, body) = self.post("/admin/faults", fault).await;
        assert_eq!(status, 200, "{body}");
    }

    pub(crate) async fn stats(&self) -> Value {
        self.get("/admin/stats").await
    }

    /// Waits until the statistics satisfy a condition.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let poll = async {
            loop {
                let stats = self.stats().await;
                if holds(&stats) {
                    return stats;
                }
                tokio::task::yield_now().await;
            }
        };
        timeout(DEADLINE, poll).await.unwrap_or_else(|_| panic!("never happened: {what}"))
    }

    /// Waits until the network has taken a message.
    pub(crate) async fn accepted(&self, id: &Value) {
        let poll = async {
            loop {
                let record = self.get("/admin/record").await;
                let entries = record["accepted"].as_array().cloned().unwrap_or_default();
                if entries.iter().any(|entry| entry["id"] == *id) {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        timeout(DEADLINE, poll).await.unwrap_or_else(|_| panic!("never accepted: {id}"));
    }

    /// Asserts that no client asked what the network does not know, then stops it.
    pub(crate) async fn stop(self) {
        let stats = self.stats().await;
        assert_eq!(stats["unknown"], json!({}), "unknown stanzas");
        timeout(DEADLINE, self.network.stop()).await.expect("the network stops");
    }
}

/// A seed for what a test leaves to chance: another one each time, or the one that failed, from
/// `FLOWCORE_TEST_SEED`.
#[expect(clippy::disallowed_methods, reason = "tests have no configuration")]
pub(crate) fn seed() -> u64 {
    let given = std::env::var("FLOWCORE_TEST_SEED").ok();
    given.map_or_else(rand::random, |seed| seed.parse().expect("a seed is a number"))
}

#[expect(clippy::disallowed_methods, reason = "a test's own client, for a certificate made now")]
fn insecure_client() -> reqwest::Client {
    reqwest::Client::builder()
        .tls_danger_accept_invalid_certs(true)
        .build()
        .expect("an HTTP client")
}

/// All events of a client, in order; each wait looks at what came after the last one. Messages of people, acks and
/// receipts are looked for among what came before, too: the client tells what they have from tasks of their own, so
/// in no certain order among other events.
#[derive(Default)]
struct EventLog {
    events: Mutex<Vec<Arc<Event>>>,
    count: watch::Sender<usize>,
}

struct Recorder(Arc<EventLog>);

impl EventHandler for Recorder {
    fn handle_event(&self, event: Arc<Event>) {
        let mut events = self.0.events.lock().expect("no panic inside");
        events.push(event);
        self.0.count.send_replace(events.len());
    }
}

/// Whether the order in which it is told among other events means nothing.
fn is_told_apart(event: &Event) -> bool {
    match event {
        Event::Messages(batch) => batch.iter().all(|m| m.info.category != MessageCategory::Peer),
        event => matches!(event, Event::ServerAck(_) | Event::Receipt(_)),
    }
}

/// A real client.
pub(crate) struct TestClient {
    pub(crate) client: Arc<Client>,
    pub(crate) phone: String,
    /// What the client keeps; another client on it is the same device.
    pub(crate) backend: Arc<dyn Backend>,
    handle: BotHandle,
    log: Arc<EventLog>,
    seen: usize,
    /// Nothing before this is looked at.
    floor: usize,
    /// Which events were waited for.
    found: HashSet<usize>,
}

impl TestClient {
    pub(crate) async fn start(url: &str, push_name: &str) -> Self {
        Self::resume(url, push_name, Arc::new(InMemoryBackend::new())).await
    }

    /// A client that goes on with what another one kept.
    pub(crate) async fn resume(url: &str, push_name: &str, backend: Arc<dyn Backend>) -> Self {
        let log = Arc::new(EventLog::default());
        let bot = Bot::builder()
            .with_backend_arc(Arc::clone(&backend))
            .with_transport_factory(TokioWebSocketTransportFactory::new().with_url(url))
            .with_http_client(UreqHttpClient::new())
            .with_push_name(push_name)
            .with_version((2, 3000, 1_023_223_821))
            .with_wanted_pre_key_count(50)
            .with_event_handler(Recorder(Arc::clone(&log)))
            .build()
            .await
            .expect("the client builds");
        let client = bot.client();
        Self {
            client,
            phone: String::new(),
            backend,
            handle: bot.spawn(),
            log,
            seen: 0,
            floor: 0,
            found: HashSet::new(),
        }
    }

    /// Waits for an event that came after the last one waited for.
    pub(crate) async fn wait(
        &mut self,
        what: &str,
        matches: impl Fn(&Event) -> bool,
    ) -> Arc<Event> {
        self.wait_within(DEADLINE, what, matches).await
    }

    /// Waits longer, for what something slow has to do first.
    pub(crate) async fn wait_within(
        &mut self,
        deadline: Duration,
        what: &str,
        matches: impl Fn(&Event) -> bool,
    ) -> Arc<Event> {
        let found = self.find_within(deadline, matches).await;
        found.unwrap_or_else(|| panic!("never happened: {what}"))
    }

    /// Looks for an event until a deadline.
    pub(crate) async fn find_within(
        &mut self,
        deadline: Duration,
        matches: impl Fn(&Event) -> bool,
    ) -> Option<Arc<Event>> {
        let mut count = self.log.count.subscribe();
        let search = async {
            loop {
                {
                    count.borrow_and_update();
                    let events = self.log.events.lock().expect("no panic inside");
                    let among = |(index, event): &(usize, &Arc<Event>)| {
                        let in_order = *index >= self.seen;
                        (in_order || is_told_apart(event)) && !self.found.contains(index)
                    };
                    let mut all = events.iter().enumerate().skip(self.floor).filter(among);
                    if let Some((index, event)) = all.find(|(_, event)| matches(event)) {
                        self.found.insert(index);
                        self.seen = self.seen.max(index + 1);
                        return Arc::clone(event);
                    }
                }
                count.changed().await.expect("the log lives");
            }
        };
        timeout(deadline, search).await.ok()
    }

    /// The next QR text.
    pub(crate) async fn qr(&mut self) -> String {
        let event = self.wait("a QR code", |event| matches!(event, Event::PairingQrCode(_))).await;
        match &*event {
            Event::PairingQrCode(code) => code.code.clone(),
            _ => unreachable!("matched above"),
        }
    }

    /// Waits for a text; gives the id of its message.
    pub(crate) async fn text(&mut self, text: &str) -> String {
        let is_it = |message: &wacore::types::events::InboundMessage| {
            message.message.text_content() == Some(text)
        };
        let event = self
            .wait(text, |event| match event {
                Event::Messages(batch) => batch.iter().any(is_it),
                _ => false,
            })
            .await;
        match &*event {
            Event::Messages(batch) => {
                batch.iter().find(|m| is_it(m)).expect("matched above").info.id.clone()
            }
            _ => unreachable!("matched above"),
        }
    }

    /// Waits for any event that comes from now on, or for a moment.
    pub(crate) async fn next_event(&self) {
        let mut count = self.log.count.subscribe();
        count.borrow_and_update();
        // What came between the caller's look and this line is seen at its next look.
        let _event_or_moment = timeout(Duration::from_millis(200), count.changed()).await;
    }

    /// Looks at everything that happened so far.
    pub(crate) fn each_event(&self, mut look: impl FnMut(&Event)) {
        let events = self.log.events.lock().expect("no panic inside");
        events.iter().for_each(|event| look(event));
    }

    /// Whether an event ever came.
    pub(crate) fn has_seen(&self, matches: impl Fn(&Event) -> bool) -> bool {
        let events = self.log.events.lock().expect("no panic inside");
        events.iter().any(|event| matches(event))
    }

    /// All texts received so far.
    pub(crate) fn texts(&self) -> Vec<String> {
        let events = self.log.events.lock().expect("no panic inside");
        let mut texts = Vec::new();
        for event in events.iter() {
            if let Event::Messages(batch) = &**event {
                texts.extend(
                    batch.iter().filter_map(|m| m.message.text_content().map(str::to_owned)),
                );
            }
        }
        texts
    }

    pub(crate) async fn send(&self, phone: &str, text: &str) -> String {
        let sent = self.client.send_text(Jid::pn(phone), text).await.expect("the send succeeds");
        sent.message_id
    }

    /// Forgets events up to now: waits look only at later ones.
    pub(crate) fn skip_past(&mut self) {
        self.seen = self.log.events.lock().expect("no panic inside").len();
        self.floor = self.seen;
    }

    pub(crate) async fn stop(self) {
        self.handle.shutdown().await;
    }
}
