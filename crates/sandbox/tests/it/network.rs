//! The simulated network, in the test's own process: it outlives every kill.

use flowcore_simulator::{Network, NetworkConfig};
use serde_json::{Value, json};

/// A network and its admin API.
pub(crate) struct Phones {
    pub(crate) network: Network,
    http: reqwest::Client,
}

impl Phones {
    pub(crate) async fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let network = Network::start(NetworkConfig::default()).await.expect("a network");
        Self { network, http: crate::product::client() }
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Value {
        let url = format!("{}{path}", self.network.base_url(false));
        let answer = self.http.post(url).json(body).send().await.expect("an answer");
        let status = answer.status();
        let body: Value = answer.json().await.expect("JSON");
        assert!(status.is_success(), "{path}: {status} {body}");
        body
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let url = format!("{}{path}", self.network.base_url(false));
        self.http.get(url).send().await.expect("an answer").json().await.expect("JSON")
    }

    pub(crate) async fn contact(&self, name: &str) -> String {
        let made = self.post("/admin/contacts", &json!({ "name": name })).await;
        made["phone"].as_str().expect("a phone").to_owned()
    }

    /// A customer writes; WhatsApp's id of the message.
    pub(crate) async fn write(&self, from: &str, to: &str, text: &str) -> String {
        let path = format!("/admin/contacts/{from}/messages");
        let sent = self.post(&path, &json!({ "to": to, "text": text })).await;
        sent["id"].as_str().expect("an id").to_owned()
    }

    /// Everything a customer's phone shows.
    pub(crate) async fn shown_to(&self, customer: &str) -> Vec<Value> {
        let mut all: Vec<Value> = Vec::new();
        loop {
            let after = all.last().and_then(|m| m["id"].as_str()).unwrap_or_default();
            let path = format!("/admin/contacts/{customer}/messages?after={after}");
            let page = self.get(&path).await["messages"].as_array().expect("a list").clone();
            if page.is_empty() {
                return all;
            }
            all.extend(page);
        }
    }

    /// Ids of the messages that devices of this phone acknowledged to the network.
    pub(crate) async fn acked_by(&self, phone: &str) -> Vec<String> {
        let record = self.get(&format!("/admin/record?phone={phone}")).await;
        let acked = record["acked"].as_array().expect("a list");
        acked.iter().filter_map(|one| one["id"].as_str()).map(str::to_owned).collect()
    }
}
