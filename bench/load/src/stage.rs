//! The network, the product on it, linked numbers and the people who write to them.

use crate::process::Process;
use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::process::Command;

const KEY: &str = "1d0f6a3c9b7e4852a6c1f09d8e7b5a432c1f";
/// Links, or contacts made, at a time.
const LANES: usize = 16;
/// How often the product is asked how many are connected.
const LOOK: Duration = Duration::from_millis(100);
/// How long messages may be under way after the last one was sent.
const PATIENCE: Duration = Duration::from_secs(60);

/// The simulated network in a process of its own, and its people.
pub(crate) struct Phones {
    folder: TempDir,
    pub(crate) process: Process,
    pub(crate) url: String,
    http: reqwest::Client,
}

impl Phones {
    pub(crate) async fn start(sandbox: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("flowcore-bench-").tempdir()?;
        let mut command = Command::new(sandbox);
        command
            .args(["--network-only", "--json", "--network-port", "0", "--data-dir"])
            .arg(folder.path().join("phones"));
        let process = Process::start(command).await?;
        let url = process.address("networkUrl")?;
        Ok(Self { folder, process, url, http: client()? })
    }

    /// Asks the network to do something.
    pub(crate) async fn order(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.ordered(path, body).await
    }

    /// The same, for who goes on without waiting for it.
    pub(crate) fn ordered(
        &self,
        path: &str,
        body: &Value,
    ) -> impl Future<Output = anyhow::Result<Value>> + use<> {
        let request = self.http.post(format!("{}{path}", self.url)).json(body);
        async move { Ok(request.send().await?.error_for_status()?.json().await?) }
    }

    async fn scan(&self, qr: String) -> anyhow::Result<String> {
        let url = format!("{}/admin/mock-phone/scan-qr", self.url);
        let scanned = self.http.post(url).body(qr).send().await?.error_for_status()?;
        let scanned: Value = scanned.json().await?;
        Ok(scanned["phone"].as_str().context("no phone")?.to_owned())
    }

    /// The texts that a person has.
    async fn texts(&self, phone: &str) -> anyhow::Result<Vec<String>> {
        let url = format!("{}/admin/contacts/{phone}/messages", self.url);
        let inbox: Value = self.http.get(url).send().await?.error_for_status()?.json().await?;
        let messages = inbox["messages"].as_array().context("messages")?;
        Ok(messages.iter().filter_map(|one| one["text"].as_str()).map(str::to_owned).collect())
    }

    /// Makes people with phones; their numbers.
    pub(crate) async fn people(&self, count: usize) -> anyhow::Result<Vec<String>> {
        stream::iter(0..count)
            .map(|number| async move {
                let body = json!({ "name": format!("Customer {number}") });
                let contact = self.order("/admin/contacts", &body).await?;
                Ok(contact["phone"].as_str().context("no phone")?.to_owned())
            })
            .buffered(LANES)
            .try_collect()
            .await
    }
}

/// How many different texts that are wanted people have decrypted, once there are `count` or patience is
/// over.
pub(crate) async fn decrypted(
    phones: &Phones,
    people: &[String],
    count: usize,
    wanted: impl Fn(&str) -> bool,
) -> anyhow::Result<usize> {
    let deadline = Instant::now() + PATIENCE;
    let mut look = tokio::time::interval(Duration::from_millis(500));
    loop {
        look.tick().await;
        let mut seen = HashSet::new();
        for phone in people {
            seen.extend(phones.texts(phone).await?.into_iter().filter(|text| wanted(text)));
        }
        if seen.len() >= count || Instant::now() > deadline {
            return Ok(seen.len());
        }
    }
}

/// What everything happens on.
pub(crate) struct Stage {
    sandbox: PathBuf,
    pub(crate) phones: Phones,
    pub(crate) product: Process,
    http: reqwest::Client,
    url: String,
}

impl Stage {
    /// The network and the product, without a number.
    pub(crate) async fn set(sandbox: &Path) -> anyhow::Result<Self> {
        Self::set_with(sandbox, &[]).await
    }

    /// The same, with settings of the environment.
    pub(crate) async fn set_with(
        sandbox: &Path,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let phones = Phones::start(sandbox).await?;
        let product = start_product(sandbox, &phones, settings).await?;
        let url = product.address("url")?;
        Ok(Self { sandbox: sandbox.to_owned(), phones, product, http: client()?, url })
    }

    /// The product once more, on the same data; how long the stop took.
    pub(crate) async fn restart(self) -> anyhow::Result<(Self, Duration)> {
        let stopped = self.product.stop().await?;
        let product = start_product(&self.sandbox, &self.phones, &[]).await?;
        let url = product.address("url")?;
        Ok((Self { product, url, ..self }, stopped))
    }

    /// Asks the product; the status, too.
    pub(crate) async fn api(&self, path: &str, body: &Value) -> anyhow::Result<(u16, Value)> {
        let request = self.http.post(format!("{}{path}", self.url)).header("apikey", KEY);
        let answer = request.json(body).send().await?;
        let status = answer.status().as_u16();
        let body = answer.bytes().await?;
        Ok((status, if body.is_empty() { Value::Null } else { serde_json::from_slice(&body)? }))
    }

    /// What the product says of something.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let request = self.http.get(format!("{}{path}", self.url)).header("apikey", KEY);
        Ok(request.send().await?.error_for_status()?.json().await?)
    }

    /// Changes something; the status, too.
    pub(crate) async fn put(&self, path: &str, body: &Value) -> anyhow::Result<(u16, Value)> {
        let request = self.http.put(format!("{}{path}", self.url)).header("apikey", KEY);
        let answer = request.json(body).send().await?;
        Ok((answer.status().as_u16(), answer.json().await?))
    }

    /// Gives it a document; its id.
    pub(crate) async fn upload(&self, name: &str, text: &str) -> anyhow::Result<String> {
        let head = format!(
            "--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n"
        );
        let request = self.http.post(format!("{}/api/documents", self.url)).header("apikey", KEY);
        let request = request.header("content-type", "multipart/form-data; boundary=edge");
        let answer = request.body(format!("{head}{text}\r\n--edge--\r\n")).send().await?;
        let taken: Value = answer.error_for_status()?.json().await?;
        Ok(taken["id"].as_str().context("an id")?.to_owned())
    }

    /// Links a number by QR; its phone.
    async fn link(&self, name: &str) -> anyhow::Result<String> {
        let (status, body) =
            self.api("/api/whatsapp/connect?wait=60", &json!({ "instanceName": name })).await?;
        let qr = body["qrcode"].as_str().with_context(|| format!("{status} {body}"))?;
        self.phones.scan(qr.to_owned()).await
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
        while self.count_connected().await? < count {
            look.tick().await;
        }
        Ok(())
    }

    async fn count_connected(&self) -> anyhow::Result<usize> {
        let list = format!("{}/api/whatsapp/instances?status=connected&limit=500", self.url);
        let (mut seen, mut cursor) = (0, String::new());
        loop {
            let request = self.http.get(format!("{list}{cursor}")).header("apikey", KEY);
            let answer = request.send().await?.error_for_status()?;
            let next = answer.headers().get("x-next-cursor").cloned();
            seen += answer.json::<Vec<Value>>().await?.len();
            match next {
                Some(next) => cursor = format!("&cursor={}", next.to_str()?),
                None => return Ok(seen),
            }
        }
    }

    pub(crate) async fn end(self) -> anyhow::Result<()> {
        self.product.stop().await?;
        self.phones.process.stop().await?;
        Ok(())
    }
}

async fn start_product(
    sandbox: &Path,
    phones: &Phones,
    settings: &[(&str, &str)],
) -> anyhow::Result<Process> {
    let mut command = Command::new(sandbox);
    command
        .args(["--network-url", &phones.process.address("socketUrl")?, "--json", "--port", "0"])
        .args(["--admin-key", KEY, "--data-dir"])
        .arg(phones.folder.path().join("product"))
        .env("FLOWCORE_RATE_LIMIT", "off")
        .envs(settings.iter().copied());
    Process::start(command).await
}

#[expect(clippy::disallowed_methods, reason = "the load's own client, on loopback")]
fn client() -> anyhow::Result<reqwest::Client> {
    Ok(reqwest::Client::builder().pool_max_idle_per_host(512).no_proxy().build()?)
}
