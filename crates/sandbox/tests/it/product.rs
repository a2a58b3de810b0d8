//! The product as a process that can be killed.

use flowcore_simulator::Network;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
pub(crate) const KEY: &str = "3f7c1b2a9d8e4c5b6a7f8091a2b3c4d5e6f70812";

/// A running product. Killed when dropped.
pub(crate) struct Product {
    child: Child,
    pub(crate) url: String,
    pub(crate) http: reqwest::Client,
}

impl Product {
    /// `flowcore-sandbox --network-url`, ready to take traffic. `None` when it died before that, which
    /// an armed crash point may bring about.
    pub(crate) async fn on(network: &Network, data: &Path, crash_at: Option<&str>) -> Option<Self> {
        // A file that may not grow answers with an error then, as a full disk does, and not by a signal.
        let mut command = Command::new("sh");
        command
            .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
            .arg(sandbox_binary())
            .args(["--network-url", &network.socket_url(true), "--json", "--port", "0"])
            .args(["--admin-key", KEY, "--data-dir"])
            .arg(data);
        if let Some(point) = crash_at {
            command.env("FLOWCORE_SANDBOX_CRASH_AT", point);
        }
        let (child, line) = start(command, |_| true).await;
        let line: Value = serde_json::from_str(&line?).expect("a line of JSON");
        let url = line["url"].as_str().expect("an address").to_owned();
        Some(Self { child, url, http: client() })
    }

    /// Both halves in one process, as a newcomer starts them; with the address of the phones.
    pub(crate) async fn with_network() -> (Self, String) {
        let mut command = Command::new(sandbox_binary());
        command.args(["--ephemeral", "--json", "--port", "0", "--network-port", "0"]);
        command.args(["--admin-key", KEY]);
        let (child, line) = start(command, |_| true).await;
        let line: Value = serde_json::from_str(&line.expect("a line")).expect("JSON");
        let address = |key: &str| line[key].as_str().expect("an address").to_owned();
        (Self { child, url: address("url"), http: client() }, address("networkUrl"))
    }

    /// The default `flowcore`, pointed at another network than WhatsApp's.
    pub(crate) async fn default_binary(whatsapp: &str, data: &Path) -> Self {
        let mut command = Command::new(default_binary());
        command
            .args(["--port", "0", "--whatsapp-url", whatsapp, "--data-dir"])
            .arg(data)
            .env("FLOWCORE_ADMIN_KEY", KEY);
        let (child, line) = start(command, |line| line.contains("http://")).await;
        let line = line.expect("the server says where it is");
        let url = line.split_whitespace().last().expect("an address").to_owned();
        Self { child, url, http: client() }
    }

    pub(crate) fn pid(&self) -> rustix::process::Pid {
        let id = self.child.id().expect("a running process");
        rustix::process::Pid::from_raw(id.try_into().expect("a process id")).expect("not zero")
    }

    /// `kill -9`, and the end seen.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("killed");
    }

    /// A stop as an operator orders it; whether it ended well.
    pub(crate) async fn terminate(mut self) -> bool {
        rustix::process::kill_process(self.pid(), rustix::process::Signal::TERM)
            .expect("signalled");
        let ended = timeout(DEADLINE, self.child.wait()).await.expect("it ends in time");
        ended.expect("an end").success()
    }

    /// Waits until the process is gone by itself; false when it still runs at the deadline.
    pub(crate) async fn dies_within(&mut self, deadline: Duration) -> bool {
        timeout(deadline, self.child.wait()).await.is_ok()
    }

    pub(crate) async fn post(
        &self,
        path: &str,
        body: &Value,
    ) -> Result<(u16, Value), reqwest::Error> {
        let request =
            self.http.post(format!("{}{path}", self.url)).header("apikey", KEY).json(body);
        let answer = request.send().await?;
        Ok((answer.status().as_u16(), answer.json().await?))
    }

    pub(crate) async fn get(&self, path: &str) -> Result<(u16, Value), reqwest::Error> {
        let request = self.http.get(format!("{}{path}", self.url)).header("apikey", KEY);
        let answer = request.send().await?;
        Ok((answer.status().as_u16(), answer.json().await?))
    }

    /// What the server says to somebody with another key.
    pub(crate) async fn get_with(&self, key: &str, path: &str) -> u16 {
        let request = self.http.get(format!("{}{path}", self.url)).header("apikey", key);
        request.send().await.expect("an answer").status().as_u16()
    }

    /// Waits until the instance has that status; its view.
    pub(crate) async fn until_status(&self, name: &str, status: &str) -> Value {
        let mut tick = tokio::time::interval(Duration::from_millis(50));
        let wait = async {
            loop {
                tick.tick().await;
                let view = self.get(&format!("/api/whatsapp/status/{name}")).await;
                if let Ok((200, view)) = view
                    && view["instance"]["status"] == status
                {
                    return view["instance"].clone();
                }
            }
        };
        timeout(DEADLINE, wait).await.unwrap_or_else(|_| panic!("{name} is never {status}"))
    }

    /// A number linked by QR; its phone.
    pub(crate) async fn link(&self, network: &Network, name: &str) -> String {
        let asked = json!({ "instanceName": name });
        let (status, body) = self.post("/api/whatsapp/connect", &asked).await.expect("an answer");
        assert_eq!(status, 200, "{body}");
        let qr = body["qrcode"].as_str().expect("a code").to_owned();
        let scan = format!("{}/admin/mock-phone/scan-qr", network.base_url(false));
        let scanned = self.http.post(scan).body(qr).send().await.expect("an answer");
        let scanned: Value = scanned.json().await.expect("JSON");
        self.until_status(name, "connected").await;
        scanned["phone"].as_str().expect("a phone").to_owned()
    }
}

/// Starts a process and gives its first line that satisfies a condition; none when it dies before.
async fn start(mut command: Command, wanted: fn(&str) -> bool) -> (Child, Option<String>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .spawn()
        .expect("the binary starts");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let line = async {
        while let Some(line) = lines.next_line().await.expect("lines") {
            if wanted(&line) {
                return Some(line);
            }
        }
        None
    };
    let line = timeout(DEADLINE, line).await.expect("the first line in time");
    (child, line)
}

/// A command of the default binary on a data folder: whether it was done, and what it said.
pub(crate) async fn flowcore(command: &[&str], data: &Path) -> (bool, String) {
    let mut flowcore = Command::new(default_binary());
    let run = flowcore.args(command).arg("--data-dir").arg(data).output();
    let output = timeout(DEADLINE, run).await.expect("it ends in time").expect("it runs");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[expect(clippy::disallowed_methods, reason = "a test's own client calls nothing but this machine")]
pub(crate) fn client() -> reqwest::Client {
    reqwest::Client::builder().pool_max_idle_per_host(4).build().expect("a client")
}

fn sandbox_binary() -> PathBuf {
    env!("CARGO_BIN_EXE_flowcore-sandbox").into()
}

/// Cargo unifies features: the default binary is only what is built alone, so it comes from outside.
#[expect(clippy::disallowed_methods, reason = "the test runner's word, no setting of the product")]
fn default_binary() -> PathBuf {
    std::env::var_os("FLOWCORE_DEFAULT_BIN")
        .expect("FLOWCORE_DEFAULT_BIN names `flowcore` as built alone; scripts/test sets it")
        .into()
}
