//! How much ten thousand idle accounts weigh, and how fast messages are routed between them.
//!
//!     cargo run --release -p flowcore-simulator --example scale [accounts]
//!
//! The network runs in a child process, so that what is measured is only the network. Raw clients
//! link, log in, upload 812 prekeys each and stay. The slope of the child's memory from a tenth of
//! the accounts to all of them is printed, then the cost of 1,000 messages a second.

#[path = "../tests/it/raw.rs"]
mod raw;

use std::io::{BufRead, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flowcore_simulator::{Network, NetworkConfig};
use futures_util::StreamExt;
use raw::{Ended, RawClient, attr, link};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wacore_binary::builder::NodeBuilder;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PREKEYS: u32 = 812;
const ACCOUNTS: usize = 10_000;
/// Links at once.
const LANES: usize = 32;
const RATE: u32 = 1_000;
const SECONDS: u32 = 10;
const FILES: u64 = 20_000;
/// The network takes a client that is silent for two minutes for dead.
const KEEPALIVE: Duration = Duration::from_secs(45);

fn main() -> Result<(), Ended> {
    raise_file_limit()?;
    // An error means that a provider is there already.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let argument = std::env::args().nth(1);
    if argument.as_deref() == Some("network") {
        return runtime.block_on(network());
    }
    let accounts = argument.map_or(Ok(ACCOUNTS), |text| text.parse())?;
    runtime.block_on(measure(accounts))
}

fn raise_file_limit() -> Result<(), Ended> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    let wanted = maximum.map_or(FILES, |maximum| maximum.min(FILES));
    Ok(setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum })?)
}

/// The child: prints its port and lives until its input ends.
async fn network() -> Result<(), Ended> {
    let host = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let network = Network::start(NetworkConfig { host, ..NetworkConfig::default() }).await?;
    println!("{}", network.addr());
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    network.stop().await;
    Ok(())
}

/// The network's process, seen from outside.
struct Watched {
    child: Child,
    addr: String,
}

impl Watched {
    fn start() -> Result<Self, Ended> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("network")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut addr = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut addr)?;
        Ok(Self { child, addr: addr.trim().to_owned() })
    }

    /// Resident memory in KiB.
    fn memory(&self) -> Result<u64, Ended> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        Ok(line.and_then(|line| line.split_whitespace().next()).ok_or("no VmRSS")?.parse()?)
    }

    /// Processor time used, in seconds.
    fn processor(&self) -> Result<f64, Ended> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let fields = stat.rsplit_once(')').ok_or("no stat")?.1;
        let ticks: Vec<f64> =
            fields.split_whitespace().skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
        // The kernel counts in hundredths of a second.
        Ok(ticks.iter().sum::<f64>() / 100.0)
    }

    fn url(&self) -> String {
        format!("ws://{}/ws/chat", self.addr)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // It is gone already when this fails.
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

/// A message to send, and where its ack's time goes.
struct Order {
    to: String,
    acked: oneshot::Sender<Duration>,
}

/// An idle account: its number and how to make it write.
struct Account {
    phone: String,
    orders: mpsc::Sender<Order>,
}

struct Crowd {
    url: String,
    scan: String,
    http: reqwest::Client,
    tracker: TaskTracker,
    cancel: CancellationToken,
}

impl Crowd {
    async fn join(&self, number: usize) -> Result<Account, Ended> {
        let scan = |code: String| async move {
            let url = format!("{}?phone={}", self.scan, 15_560_000_000 + number as u64);
            let answer = self.http.post(url).body(code).send().await?.error_for_status()?;
            let answer: serde_json::Value = answer.json().await?;
            Ok::<String, Ended>(answer["phone"].as_str().ok_or("no phone")?.to_owned())
        };
        let device = link(&self.url, scan).await?;
        let mut client = device.log_in(&self.url).await?;
        device.settle(&mut client, PREKEYS).await?;
        // The phone's greeting is not what an idle account keeps.
        client.wait_for(|node| node.tag == "message").await?;
        let (orders, receiver) = mpsc::channel(16);
        let cancel = self.cancel.clone();
        self.tracker.spawn(async move {
            tokio::select! {
                () = cancel.cancelled() => {}
                ended = live(client, receiver) => {
                    if let Err(error) = ended {
                        eprintln!("a client ended: {error}");
                    }
                }
            }
        });
        Ok(Account { phone: device.phone, orders })
    }
}

/// Acks what comes and sends what is ordered.
async fn live(mut client: RawClient, mut orders: mpsc::Receiver<Order>) -> Result<(), Ended> {
    let mut waiting: Vec<(String, Instant, oneshot::Sender<Duration>)> = Vec::new();
    let mut sent = 0_u64;
    let mut beat = tokio::time::interval(KEEPALIVE);
    loop {
        tokio::select! {
            order = orders.recv() => {
                let Some(order) = order else { return Ok(()) };
                sent += 1;
                let id = format!("3EB0{sent:012X}");
                waiting.push((id.clone(), Instant::now(), order.acked));
                let enc = NodeBuilder::new("enc").attr("v", "2").attr("type", "msg");
                let copy = NodeBuilder::new("to")
                    .attr("jid", order.to.as_str())
                    .children([enc.bytes(vec![7; 200]).build()])
                    .build();
                let message = NodeBuilder::new("message")
                    .attr("to", order.to.replace(":33@", "@"))
                    .attr("id", id)
                    .attr("type", "text")
                    .children([NodeBuilder::new("participants").children([copy]).build()])
                    .build();
                client.send(&message).await?;
            }
            _ = beat.tick() => {
                let ping = NodeBuilder::new("iq").attr("type", "get").attr("xmlns", "w:p");
                client.send(&ping.attr("to", "s.whatsapp.net").attr("id", "ping").build()).await?;
            }
            node = client.next() => {
                let node = node?;
                client.acknowledge(&node).await?;
                if node.tag == "ack" {
                    let id = attr(&node, "id");
                    if let Some(index) = waiting.iter().position(|(known, ..)| *known == id) {
                        let (_, since, acked) = waiting.swap_remove(index);
                        // Who ordered it may have given up.
                        let _told = acked.send(since.elapsed());
                    }
                }
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark's own client, for its own network")]
fn http_client() -> Result<reqwest::Client, Ended> {
    Ok(reqwest::Client::builder().build()?)
}

async fn measure(count: usize) -> Result<(), Ended> {
    let watched = Watched::start()?;
    let crowd = Arc::new(Crowd {
        url: watched.url(),
        scan: format!("http://{}/admin/mock-phone/scan-qr", watched.addr),
        http: http_client()?,
        tracker: TaskTracker::new(),
        cancel: CancellationToken::new(),
    });
    let mut accounts = Vec::with_capacity(count);
    let mut weights = Vec::new();
    for goal in [count / 10, count] {
        let joins = (accounts.len()..goal).map(|number| {
            let crowd = Arc::clone(&crowd);
            async move { crowd.join(number).await }
        });
        let start = Instant::now();
        let mut joining = futures_util::stream::iter(joins).buffer_unordered(LANES);
        while let Some(account) = joining.next().await {
            accounts.push(account?);
        }
        let memory = watched.memory()?;
        println!("{goal} accounts: {memory} KiB, linked in {:.1} s", start.elapsed().as_secs_f64());
        weights.push((goal, memory));
    }
    let (few, light) = weights[0];
    let (many, heavy) = weights[1];
    #[expect(clippy::cast_precision_loss, reason = "memory and counts are small numbers")]
    let slope = (heavy - light) as f64 / (many - few) as f64;
    println!("each idle account: {slope:.1} KiB");
    route(&watched, &accounts).await?;
    crowd.cancel.cancel();
    crowd.tracker.close();
    crowd.tracker.wait().await;
    Ok(())
}

/// Messages at a steady rate, each between two accounts that did not talk before.
async fn route(watched: &Watched, accounts: &[Account]) -> Result<(), Ended> {
    let before = watched.processor()?;
    let mut acks = Vec::new();
    let mut beat = tokio::time::interval(Duration::from_millis(10));
    let per_beat = RATE / 100;
    let total = (RATE * SECONDS) as usize;
    let start = Instant::now();
    for number in 0..total {
        if number % per_beat as usize == 0 {
            beat.tick().await;
        }
        let from = &accounts[(number * 7) % accounts.len()];
        let to = &accounts[(number * 7 + accounts.len() / 2) % accounts.len()];
        let (acked, ack) = oneshot::channel();
        let to = format!("{}:33@s.whatsapp.net", to.phone);
        from.orders.send(Order { to, acked }).await.map_err(|_| "a client is gone")?;
        acks.push(ack);
    }
    let sending = start.elapsed();
    let mut times = Vec::with_capacity(total);
    for ack in acks {
        times.push(ack.await?);
    }
    times.sort_unstable();
    let processor = watched.processor()? - before;
    let at = |share: f64| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
        #[expect(clippy::cast_precision_loss, reason = "ten thousand")]
        let index = (times.len() as f64 * share) as usize;
        times[index.min(times.len() - 1)].as_secs_f64() * 1000.0
    };
    #[expect(clippy::cast_precision_loss, reason = "ten thousand")]
    let (rate, each) = (total as f64 / sending.as_secs_f64(), processor * 1000.0 / total as f64);
    println!("{total} messages at {rate:.0}/s: {each:.3} ms of the network's processor time each");
    println!("send to ack: median {:.2} ms, 99 % within {:.2} ms", at(0.5), at(0.99));
    Ok(())
}
