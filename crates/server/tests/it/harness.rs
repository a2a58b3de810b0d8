//! A server and a simulated network of their own for each test, over real HTTP.

use flowcore_domain::clock::{Clock, Millis};
use flowcore_server::app::{self, Running};
use flowcore_server::config::{AccessConfig, ServerConfig};
use flowcore_server::evolution::EvolutionSettings;
use flowcore_server::{
    AdminKey, AllowPrivate, DatabaseOptions, Mark, ModelDefaults, Provider, Room, SystemClock,
};
use flowcore_simulator::{Network, NetworkConfig};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::sync::watch;

/// Whatever a test waits for has happened by then, or it failed.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

pub(crate) const ADMIN_KEY: &str = "test-0123456789-abcdefghijklmnop-key";

/// The machine's clock, until a test moves it ahead.
#[derive(Debug, Default)]
pub(crate) struct TestClock(watch::Sender<i64>);

impl TestClock {
    pub(crate) fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).expect("some days");
        self.0.send_modify(|ahead| *ahead += by);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Millis {
        Millis(SystemClock.now().0 + *self.0.borrow())
    }

    fn leaps(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let mut moved = self.0.subscribe();
        Box::pin(async move {
            // The sender hangs in `self`.
            let _ = moved.changed().await;
        })
    }
}

pub(crate) struct TestServer {
    pub(crate) server: Running,
    pub(crate) network: Network,
    pub(crate) http: reqwest::Client,
    pub(crate) folder: TempDir,
}

#[expect(clippy::disallowed_methods, reason = "the test is the browser: no guard, no redirects")]
pub(crate) fn client() -> reqwest::Client {
    // An error means that another test of this process was first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    client.timeout(DEADLINE * 2).build().expect("a client")
}

pub(crate) fn config(folder: &Path, network: &Network) -> ServerConfig {
    ServerConfig {
        host: "127.0.0.1".to_owned(),
        port: 0,
        data_dir: folder.to_owned(),
        database: DatabaseOptions::DataDirectory,
        admin_key: Some(AdminKey::parse(ADMIN_KEY).expect("a good key")),
        master_key: None,
        public_url: None,
        keep_events: Duration::from_secs(30 * 24 * 3600),
        whatsapp_url: Some(network.socket_url(true)),
        allow_private: AllowPrivate::loopback(),
        evolution: EvolutionSettings::default(),
        access: AccessConfig::default(),
        cache_memory: None,
        room: Room::default(),
        reader: Some(env!("CARGO_BIN_EXE_flowcore").into()),
        models: ModelDefaults {
            provider: Some(Provider::OpenAi),
            base_url: Some(format!("{}/model/v1", network.base_url(false))),
            model: Some("chat-double".to_owned()),
            ..ModelDefaults::default()
        },
        clock: Arc::new(SystemClock),
    }
}

impl TestServer {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// With other settings.
    pub(crate) async fn start_with(change: impl FnOnce(&mut ServerConfig)) -> Self {
        let http = client();
        let folder = tempfile::tempdir().expect("a folder");
        let network = Network::start(NetworkConfig::default()).await.expect("a network");
        let mut config = config(folder.path(), &network);
        change(&mut config);
        let server = app::serve(config, Mark::Sandbox).await.expect("a server");
        Self { server, network, http, folder }
    }

    /// Stops the server and starts another on the same data; the network goes on.
    pub(crate) async fn restarted(self) -> Self {
        self.restarted_with(|_| {}).await
    }

    /// The same with other settings.
    pub(crate) async fn restarted_with(self, change: impl FnOnce(&mut ServerConfig)) -> Self {
        let Self { server, network, http, folder } = self;
        tokio::time::timeout(DEADLINE, server.stop()).await.expect("it stops");
        let mut config = config(folder.path(), &network);
        change(&mut config);
        let server = app::serve(config, Mark::Sandbox).await.expect("a server");
        Self { server, network, http, folder }
    }

    /// Stops both; nothing may hang.
    pub(crate) async fn stop(self) {
        let stop = async {
            self.server.stop().await;
            self.network.stop().await;
        };
        tokio::time::timeout(DEADLINE, stop).await.expect("it stops");
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.server.url())
    }

    /// A request without credentials.
    pub(crate) fn plain(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.url(path))
    }

    /// A request of the admin.
    pub(crate) fn api(&self, method: Method, path: &str) -> RequestBuilder {
        self.plain(method, path).header("apikey", ADMIN_KEY)
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, Value) {
        answer(self.api(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        answer(self.api(Method::POST, path).json(&body)).await
    }

    /// The simulator's control.
    pub(crate) async fn phones(&self, path: &str, body: Value) -> Value {
        let url = format!("{}{path}", self.network.base_url(false));
        let (status, answer) = answer(self.http.post(url).json(&body)).await;
        assert!(status.is_success(), "{path}: {status} {answer}");
        answer
    }

    /// Asks for a QR code.
    pub(crate) async fn connect(&self, name: &str) -> Value {
        let body = json!({ "instanceName": name });
        let (status, answer) = self.post("/api/whatsapp/connect?wait=30", body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }

    /// A phone scans the code; its number.
    pub(crate) async fn scan(&self, code: &str) -> String {
        let url = format!("{}/admin/mock-phone/scan-qr", self.network.base_url(false));
        let (status, answer) = answer(self.http.post(url).body(code.to_owned())).await;
        assert!(status.is_success(), "{status} {answer}");
        text(&answer["phone"])
    }

    /// An instance that is linked and connected; its number.
    pub(crate) async fn linked(&self, name: &str) -> String {
        let connected = self.connect(name).await;
        let phone = self.scan(&text(&connected["qrcode"])).await;
        self.until_status(name, "connected").await;
        phone
    }

    /// A person with a phone; its number.
    pub(crate) async fn contact(&self, name: &str) -> String {
        text(&self.phones("/admin/contacts", json!({ "name": name })).await["phone"])
    }

    pub(crate) async fn until_status(&self, name: &str, status: &str) -> Value {
        let path = format!("/api/whatsapp/status/{name}");
        let began = Instant::now();
        loop {
            let (_, answer) = self.get(&path).await;
            if answer["instance"]["status"] == status {
                return answer["instance"].clone();
            }
            assert!(began.elapsed() < DEADLINE, "{name} is not {status}: {answer}");
            tokio::time::sleep(POLL).await;
        }
    }
}

/// A program of the Python environment for a folder of `bench/`; scripts/test makes them.
#[expect(clippy::disallowed_methods, reason = "where the build is, is no setting of the server")]
pub(crate) fn python(folder: &str, program: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = target.unwrap_or_else(|| root.join("target"));
    let found = root.join(target).join("tools").join(folder).join("bin").join(program);
    assert!(found.exists(), "install bench/{folder}/requirements.txt; scripts/test does");
    found
}

pub(crate) async fn answer(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.expect("an answer");
    let status = response.status();
    let body = response.bytes().await.expect("a body");
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a text, not {value}")).to_owned()
}

pub(crate) fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().expect("ASCII"))
}
