//! A network, a gateway on it, and a receiver for its webhooks. Every wait is for an event.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use axum::{Json, Router};
use flowcore_domain::instance::InstanceName;
use flowcore_domain::webhook::{BytesForm, ChatFilter, FileForm};
use flowcore_gateway::{
    AccountsConfig, AllowPrivate, Caller, DatabaseOptions, Gateway, GatewayConfig, InstanceView,
    Linking, Mark, NewWebhook, Room, Watch, WebhooksOf,
};
use flowcore_simulator::{Network, NetworkConfig};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::RuntimeMetrics;
use tokio::sync::watch;
use tokio::time::timeout;

pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) struct World {
    pub(crate) network: Network,
    pub(crate) gateway: Gateway,
    pub(crate) caller: Caller,
    pub(crate) receiver: Receiver,
    http: reqwest::Client,
    data: tempfile::TempDir,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::watched(Watch::default()).await
    }

    /// A world whose gateway doubts silent connections sooner or later than usual.
    pub(crate) async fn watched(watch: Watch) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let _ = tracing_subscriber::fmt()
            .with_env_filter("info,flowcore=debug")
            .with_test_writer()
            .try_init();
        let network = elsewhere(Network::start(NetworkConfig::default())).await.expect("a network");
        let data = tempfile::tempdir().expect("a directory");
        let gateway = start_gateway(&network, data.path(), watch).await;
        let caller = gateway.accounts().admin();
        let http = client();
        Self { network, gateway, caller, receiver: Receiver::start().await, http, data }
    }

    /// Stops the gateway and starts another one on the same data.
    pub(crate) async fn restart_gateway(&mut self) {
        self.gateway.stop().await;
        self.gateway = start_gateway(&self.network, self.data.path(), Watch::default()).await;
    }

    /// Where the gateway keeps its data.
    pub(crate) fn data(&self) -> &std::path::Path {
        self.data.path()
    }

    pub(crate) async fn admin(&self, path: &str, body: Value) -> Value {
        let url = format!("{}{path}", self.network.base_url(false));
        let answer = self.http.post(url).json(&body).send().await.expect("an answer");
        let status = answer.status();
        let body: Value = answer.json().await.expect("JSON");
        assert!(status.is_success(), "{path}: {status} {body}");
        body
    }

    pub(crate) async fn ask(&self, path: &str) -> Value {
        let url = format!("{}{path}", self.network.base_url(false));
        self.http.get(url).send().await.expect("an answer").json().await.expect("JSON")
    }

    pub(crate) async fn contact(&self, name: &str) -> String {
        let made = self.admin("/admin/contacts", json!({ "name": name })).await;
        made["phone"].as_str().expect("a phone").to_owned()
    }

    pub(crate) async fn scan(&self, qr: &str) -> String {
        let url = format!("{}/admin/mock-phone/scan-qr", self.network.base_url(false));
        self.scan_at(&url, qr).await
    }

    pub(crate) async fn scan_at(&self, url: &str, qr: &str) -> String {
        let answer = self.http.post(url).body(qr.to_owned()).send().await.expect("an answer");
        assert!(answer.status().is_success(), "{}", answer.status());
        let body: Value = answer.json().await.expect("JSON");
        body["phone"].as_str().expect("a phone").to_owned()
    }

    pub(crate) async fn connect(&self, name: &str) -> InstanceView {
        let wait = Duration::from_secs(10);
        self.gateway.instances().connect(&self.caller, &named(name), wait).await.expect("a view")
    }

    /// An instance linked by QR and online; its phone number.
    pub(crate) async fn linked(&self, name: &str) -> String {
        let view = self.connect(name).await;
        let phone = self.scan(&view.qr.expect("a code").text).await;
        self.until(name, |view| view.status.as_str() == "connected").await;
        phone
    }

    pub(crate) async fn until(
        &self,
        name: &str,
        holds: impl Fn(&InstanceView) -> bool,
    ) -> InstanceView {
        self.until_within(DEADLINE, name, holds).await
    }

    pub(crate) async fn until_within(
        &self,
        deadline: Duration,
        name: &str,
        holds: impl Fn(&InstanceView) -> bool,
    ) -> InstanceView {
        let mut live = self.gateway.live().subscribe();
        let wait = async {
            loop {
                let view = self.gateway.instances().get(&self.caller, &named(name)).await;
                let view = view.expect("the instance");
                if holds(&view) {
                    return view;
                }
                // A lagging receiver only has to look again.
                let _ = timeout(Duration::from_secs(1), live.recv()).await;
            }
        };
        timeout(deadline, wait).await.unwrap_or_else(|_| panic!("{name} never got there"))
    }

    /// Waits until the process has no more than `most` tasks, or until their number stands still for a
    /// second: tasks of closed connections end a moment after them.
    pub(crate) async fn until_idle(&self, metrics: &RuntimeMetrics, most: usize) {
        let mut tick = tokio::time::interval(Duration::from_millis(100));
        let (mut last, mut still) = (usize::MAX, 0);
        let wait = async {
            loop {
                tick.tick().await;
                let now = metrics.num_alive_tasks();
                still = if now == last { still + 1 } else { 0 };
                last = now;
                if now <= most && still >= 10 {
                    return;
                }
            }
        };
        // The assertion that follows tells what is left.
        let _ = timeout(DEADLINE, wait).await;
    }

    /// Waits until the customer's phone has that many messages.
    pub(crate) async fn customer_has(&self, customer: &str, count: usize) {
        let mut after = String::new();
        let mut seen = 0;
        while seen < count {
            let path = format!("/admin/contacts/{customer}/messages?wait=20&after={after}");
            let got = self.ask(&path).await;
            let list = got["messages"].as_array().expect("a list").clone();
            assert!(!list.is_empty(), "only {seen} of {count} messages came");
            seen += list.len();
            let newest = list.last().and_then(|m| m["id"].as_str());
            newest.unwrap_or_default().clone_into(&mut after);
        }
    }

    pub(crate) async fn hook(&self, name: &str) {
        let new = NewWebhook {
            url: self.receiver.url.clone(),
            events: vec![],
            chats: ChatFilter::default(),
            headers: [("x-shop".to_owned(), "one".to_owned())].into(),
            secret: None,
            by_events: false,
            media: FileForm::None,
            bytes: BytesForm::Base64,
            enabled: true,
        };
        self.gateway
            .webhooks()
            .create(&self.caller, WebhooksOf::Instance(&named(name)), new)
            .await
            .expect("a webhook");
    }
}

/// Kept-alive connections of the test itself would count as tasks that are left.
#[expect(clippy::disallowed_methods, reason = "a test's own client calls nothing but this machine")]
fn client() -> reqwest::Client {
    reqwest::Client::builder().pool_max_idle_per_host(0).build().expect("a client")
}

/// Runs the network's side on threads of its own, so that the tasks of this runtime are the gateway's.
async fn elsewhere<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let done = runtime.spawn(work);
    // It ends with the test's process.
    std::mem::forget(runtime);
    done.await.expect("the network's side")
}

pub(crate) fn named(name: &str) -> InstanceName {
    name.parse().expect("a name")
}

async fn start_gateway(network: &Network, data: &std::path::Path, watch: Watch) -> Gateway {
    let config = GatewayConfig {
        data_dir: data.to_owned(),
        database: DatabaseOptions::DataDirectory,
        mark: Mark::Sandbox,
        master_key: None,
        accounts: AccountsConfig::default(),
        whatsapp_url: Some(network.socket_url(true)),
        public_url: "http://flowcore.test".into(),
        keep_events: Duration::from_secs(30 * 24 * 3600),
        allow_private: AllowPrivate::loopback(),
        linking: Linking::default(),
        watch,
        cache_memory: None,
        room: Room::default(),
        // Nobody brings documents here; the server's tests do.
        reader: "flowcore".into(),
        models: flowcore_gateway::ModelDefaults::default(),
        clock: Arc::new(flowcore_gateway::SystemClock),
    };
    Gateway::start(config).await.expect("a gateway").gateway
}

/// What a user's app got.
#[derive(Debug, Clone)]
pub(crate) struct Hook {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

/// A user's app that takes everything.
pub(crate) struct Receiver {
    pub(crate) url: String,
    got: Arc<Mutex<Vec<Hook>>>,
    count: watch::Receiver<usize>,
}

type Record = (Arc<Mutex<Vec<Hook>>>, watch::Sender<usize>);

impl Receiver {
    async fn start() -> Self {
        let (count, watching) = watch::channel(0);
        let got: Arc<Mutex<Vec<Hook>>> = Arc::default();
        let app = Router::new()
            .route("/hook", post(take))
            .with_state(Arc::new((Arc::clone(&got), count)));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        tokio_util::task::TaskTracker::new().spawn(async move { axum::serve(listener, app).await });
        Self { url, got, count: watching }
    }

    /// What came so far is not looked at again.
    pub(crate) fn forget(&self) {
        self.got.lock().expect("the record").clear();
    }

    pub(crate) fn all(&self) -> Vec<Hook> {
        self.got.lock().expect("the record").clone()
    }

    /// Waits for an event that satisfies a condition.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Hook {
        let mut count = self.count.clone();
        let wait = async {
            loop {
                count.borrow_and_update();
                if let Some(hook) = self.all().into_iter().find(|hook| holds(&hook.body)) {
                    return hook;
                }
                count.changed().await.expect("the receiver");
            }
        };
        timeout(DEADLINE, wait).await.unwrap_or_else(|_| panic!("never received: {what}"))
    }
}

async fn take(State(record): State<Arc<Record>>, headers: HeaderMap, Json(body): Json<Value>) {
    record.0.lock().expect("the record").push(Hook { headers, body });
    record.1.send_modify(|count| *count += 1);
}
