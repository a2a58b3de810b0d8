//! The same work by what people run today: all sessions of Baileys in one Node process.

use crate::figures::Figures;
use crate::receiver::Receiver;
use crate::stage::{self, Phones};
use anyhow::Context as _;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio_util::task::TaskTracker;

/// So many people write to so many numbers, all to all.
const ACQUAINTED: usize = 40;
/// After the last message was written.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The folder with `peer.mjs`, after `npm ci` in it
    #[arg(long, default_value = "bench/baileys")]
    pub(crate) folder: PathBuf,
    /// Linked sessions, each with a person of its own; the memory is measured at each of these
    #[arg(long, value_delimiter = ',', default_values_t = [50, 200])]
    pub(crate) sessions: Vec<usize>,
    /// Between the last link and the look at the memory, in seconds
    #[arg(long, default_value_t = 60)]
    pub(crate) rest: u64,
    /// How long they send, and are written to; 0 leaves it at the memory
    #[arg(long, default_value_t = 20.0)]
    pub(crate) seconds: f64,
    /// Messages a second at which times are taken
    #[arg(long, default_value_t = 200.0)]
    pub(crate) rate: f64,
}

/// The Node process.
struct Peer {
    node: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Peer {
    fn start(folder: &Path, network: &str) -> anyhow::Result<Self> {
        let mut node = Command::new("node")
            .args(["--expose-gc", "peer.mjs", network])
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("can't start node")?;
        let orders = node.stdin.take().context("its input")?;
        let answers = BufReader::new(node.stdout.take().context("its output")?).lines();
        Ok(Self { node, orders, answers })
    }

    async fn order(&mut self, order: Value) -> anyhow::Result<Value> {
        self.orders.write_all(format!("{order}\n").as_bytes()).await?;
        loop {
            let line = self.answers.next_line().await?.context("the peer ended early")?;
            // Libraries of the peer write to the same place.
            match serde_json::from_str(&line) {
                Ok(answer @ Value::Object(_)) => return Ok(answer),
                _ => tokio::task::yield_now().await,
            }
        }
    }

    async fn number(&mut self, order: &str, name: &str) -> anyhow::Result<f64> {
        let answer = self.order(json!({ "do": order })).await?;
        answer[name].as_f64().with_context(|| format!("no {name} of {order}"))
    }

    async fn end(mut self) -> anyhow::Result<()> {
        drop(self.orders);
        self.node.wait().await?;
        Ok(())
    }
}

pub(crate) async fn run(sandbox: &Path, options: &Options) -> anyhow::Result<Figures> {
    let mut figures = Figures::default();
    let phones = Phones::start(sandbox).await?;
    let most = options.sessions.iter().max().copied().unwrap_or_default();
    let people = phones.people(most).await?;
    let mut peer = Peer::start(&options.folder, &phones.url)?;
    let numbers = link(&mut peer, options, &mut figures).await?;
    if options.seconds > 0.0 {
        peer.order(json!({ "do": "greet", "people": people })).await?;
        send(&mut peer, (&phones, &people), options, &mut figures).await?;
        receive(&mut peer, (&phones, &people, &numbers), options, &mut figures).await?;
    }
    figures.set("restart_seconds", peer.number("restart", "seconds").await?);
    peer.end().await?;
    phones.process.stop().await?;
    Ok(figures)
}

/// Links sessions and weighs them; their phone numbers.
async fn link(
    peer: &mut Peer,
    options: &Options,
    figures: &mut Figures,
) -> anyhow::Result<Vec<String>> {
    let empty = peer.order(json!({ "do": "memory" })).await?;
    let (mut linked, mut phones) = (0, Vec::new());
    for &count in &options.sessions {
        let done = peer.order(json!({ "do": "link", "count": count })).await?;
        let seconds = Duration::from_secs_f64(done["seconds"].as_f64().context("seconds")?);
        figures.rate(format!("links_a_second_to_{count}"), count - linked, seconds);
        linked = count;
        phones = serde_json::from_value(done["phones"].clone())?;
        tokio::time::sleep(Duration::from_secs(options.rest)).await;
        let full = peer.order(json!({ "do": "memory" })).await?;
        for (when, name) in [("before", "resident"), ("after", "collected")] {
            let [full, empty] = [&full[when], &empty[when]].map(Value::as_f64);
            let weight = full.context("memory")? - empty.context("memory")?;
            #[expect(clippy::cast_precision_loss, reason = "thousands")]
            figures.set(format!("{name}_kib_each_at_{count}"), weight / count as f64);
        }
    }
    Ok(phones)
}

/// As fast as it goes, then at a rate.
async fn send(
    peer: &mut Peer,
    (phones, people): (&Phones, &[String]),
    options: &Options,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let order = json!({ "do": "send", "people": people, "seconds": options.seconds });
    let before = phones.process.busy()?;
    let fast = peer.order(order.clone()).await?;
    let network = phones.process.busy()?.saturating_sub(before);
    let sent = usize::try_from(fast["sent"].as_u64().context("sent")?)?;
    let wanted = |text: &str| text.starts_with("peer 0 ");
    let decrypted = stage::decrypted(phones, people, sent, wanted).await?;
    let seconds = |answer: &Value| -> anyhow::Result<Duration> {
        Ok(Duration::from_secs_f64(answer["seconds"].as_f64().context("seconds")?))
    };
    figures.count("out_lost", sent.saturating_sub(decrypted));
    figures.set("out_failed", fast["failed"].as_f64().context("failed")?);
    figures.rate("out_messages_a_second", decrypted, seconds(&fast)?);
    let busy = Duration::from_micros(fast["busy"].as_u64().context("busy")?);
    figures.each("out_product_us", busy, decrypted);
    figures.each("out_network_us", network, decrypted);
    let mut paced = order;
    paced["rate"] = json!(options.rate);
    let paced = peer.order(paced).await?;
    for share in ["p50", "p99"] {
        let time = paced[share].as_f64().context("a share")?;
        figures.set(format!("out_paced_request_{share}_ms"), time);
    }
    Ok(())
}

/// People write at the same rate; each text goes to a webhook.
async fn receive(
    peer: &mut Peer,
    (phones, people, numbers): (&Phones, &[String], &[String]),
    options: &Options,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let tasks = TaskTracker::new();
    let receiver = Receiver::start(&tasks).await?;
    let [people, numbers] = [people, numbers].map(|all| &all[..all.len().min(ACQUAINTED)]);
    // Sessions between all who will write are made before the clock runs.
    let warm = json!({ "from": people, "to": numbers, "rate": options.rate, "seconds": 10 });
    phones.order("/admin/traffic", &warm).await?;
    peer.order(json!({ "do": "hook", "url": receiver.url })).await?;
    let before = peer.number("busy", "busy").await?;
    let load = json!({
        "from": people, "to": numbers, "rate": options.rate, "seconds": options.seconds,
    });
    let start = Instant::now();
    let written = phones.order("/admin/traffic", &load).await?;
    let sent = usize::try_from(written["sent"].as_u64().context("sent")?)?;
    let arrived = receiver.until(sent, PATIENCE).await;
    let took = start.elapsed();
    let busy = peer.number("busy", "busy").await? - before;
    figures.count("in_lost", sent.saturating_sub(arrived));
    figures.rate("in_messages_a_second", arrived, took);
    figures.times("in_delivery", &receiver.taken().ages);
    figures.each("in_product_us", Duration::from_secs_f64(busy / 1e6), arrived);
    Ok(())
}
