//! The network, the product on it, linked numbers and the people who write to them.

use crate::process::Process;
use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::Command;

const KEY: &str = "1d0f6a3c9b7e4852a6c1f09d8e7b5a432c1f";
/// Links, or contacts made, at a time.
const LANES: usize = 16;
/// How often the product is asked how many are connected.
const LOOK: Duration = Duration::from_millis(100);

/// What everything happens on.
pub(crate) struct Stage {
    sandbox: PathBuf,
    folder: TempDir,
    pub(crate) network: Process,
    pub(crate) product: Process,
    pub(crate) http: reqwest::Client,
    network_url: String,
    url: String,
}

impl Stage {
    /// The network and the product, without a number.
    pub(crate) async fn set(sandbox: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("flowcore-bench-").tempdir()?;
        let mut command = Command::new(sandbox);
        command.args(["--network-only", "--json", "--network-port", "0", "--data-dir"]);
        let network = Process::start({
            command.arg(folder.path().join("phones"));
            command
        })
        .await?;
        let product = start_product(sandbox, &network, folder.path()).await?;
        let http = client()?;
        let (network_url, url) = (network.address("networkUrl")?, product.address("url")?);
        let sandbox = sandbox.to_owned();
        Ok(Self { sandbox, folder, network, product, http, network_url, url })
    }

    /// The product once more, on the same data.
    pub(crate) async fn restart(self) -> anyhow::Result<(Self, Duration)> {
        let stopped = self.product.stop().await?;
        let product = start_product(&self.sandbox, &self.network, self.folder.path()).await?;
        let url = product.address("url")?;
        Ok((Self { product, url, ..self }, stopped))
    }

    /// Asks the network.
    pub(crate) async fn phones(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let url = format!("{}{path}", self.network_url);
        let answer = self.http.post(url).json(body).send().await?;
        Ok(answer.error_for_status()?.json().await?)
    }

    pub(crate) async fn phone(&self, path: &str) -> anyhow::Result<Value> {
        let url = format!("{}{path}", self.network_url);
        Ok(self.http.get(url).send().await?.error_for_status()?.json().await?)
    }

    /// Asks the product; the status, too.
    pub(crate) async fn api(&self, path: &str, body: &Value) -> anyhow::Result<(u16, Value)> {
        let request = self.http.post(format!("{}{path}", self.url)).header("apikey", KEY);
        let answer = request.json(body).send().await?;
        Ok((answer.status().as_u16(), answer.json().await?))
    }

    /// Links a number by QR; its phone.
    async fn link(&self, name: &str) -> anyhow::Result<String> {
        let (status, body) =
            self.api("/api/whatsapp/connect?wait=60", &json!({ "instanceName": name })).await?;
        let qr = body["qrcode"].as_str().with_context(|| format!("{status} {body}"))?.to_owned();
        let scan = format!("{}/admin/mock-phone/scan-qr", self.network_url);
        let scanned = self.http.post(scan).body(qr).send().await?.error_for_status()?;
        let scanned: Value = scanned.json().await?;
        Ok(scanned["phone"].as_str().context("no phone")?.to_owned())
    }

    /// Links numbers, named n0, n1, …, from `first`, and waits until all are connected.
    pub(crate) async fn numbers(&self, first: usize, count: usize) -> anyhow::Result<Vec<String>> {
        let phones: Vec<String> = stream::iter(first..first + count)
            .map(|number| async move { self.link(&format!("n{number}")).await })
            .buffered(LANES)
            .try_collect()
            .await?;
        self.connected(first + count).await?;
        Ok(phones)
    }

    /// Waits until so many are connected.
    pub(crate) async fn connected(&self, count: usize) -> anyhow::Result<()> {
        let mut look = tokio::time::interval(LOOK);
        let path = "/api/whatsapp/instances?status=connected&limit=1000";
        loop {
            look.tick().await;
            let mut seen = 0;
            let mut cursor = String::new();
            loop {
                let request = self.http.get(format!("{}{path}{cursor}", self.url));
                let answer = request.header("apikey", KEY).send().await?.error_for_status()?;
                let next = answer.headers().get("x-next-cursor").cloned();
                let page: Vec<Value> = answer.json().await?;
                seen += page.len();
                match next {
                    Some(next) => cursor = format!("&cursor={}", next.to_str()?),
                    None => break,
                }
            }
            if seen >= count {
                return Ok(());
            }
        }
    }

    /// People with phones; their numbers.
    pub(crate) async fn people(&self, count: usize) -> anyhow::Result<Vec<String>> {
        stream::iter(0..count)
            .map(|number| async move {
                let body = json!({ "name": format!("Customer {number}") });
                let contact = self.phones("/admin/contacts", &body).await?;
                Ok(contact["phone"].as_str().context("no phone")?.to_owned())
            })
            .buffered(LANES)
            .try_collect()
            .await
    }

    pub(crate) async fn end(self) -> anyhow::Result<()> {
        self.product.stop().await?;
        self.network.stop().await?;
        Ok(())
    }
}

async fn start_product(
    sandbox: &Path,
    network: &Process,
    folder: &Path,
) -> anyhow::Result<Process> {
    let mut command = Command::new(sandbox);
    command
        .args(["--network-url", &network.address("socketUrl")?, "--json", "--port", "0"])
        .args(["--admin-key", KEY, "--data-dir"])
        .arg(folder.join("product"))
        .env("FLOWCORE_RATE_LIMIT", "off");
    Process::start(command).await
}

#[expect(clippy::disallowed_methods, reason = "the load's own client, on loopback")]
fn client() -> anyhow::Result<reqwest::Client> {
    Ok(reqwest::Client::builder().pool_max_idle_per_host(512).no_proxy().build()?)
}
