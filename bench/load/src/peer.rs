//! The same sends by what people run today: all sessions of Baileys in one Node process.

use crate::stage::{self, Phones};
use anyhow::Context as _;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The folder with `peer.mjs`, after `npm ci` in it
    #[arg(long, default_value = "bench/baileys")]
    folder: PathBuf,
    /// Linked sessions that send, each to a person of its own
    #[arg(long, default_value_t = 200)]
    sessions: usize,
    /// Between the last link and the look at the memory, in seconds
    #[arg(long, default_value_t = 60)]
    rest: u64,
    /// How long they send
    #[arg(long, default_value_t = 20)]
    seconds: u64,
}

pub(crate) async fn run(sandbox: &Path, options: &Options) -> anyhow::Result<()> {
    let phones = Phones::start(sandbox).await?;
    let people = phones.people(options.sessions).await?;
    let mut node = Command::new("node")
        .args(["--expose-gc", "peer.mjs", &phones.url])
        .args([options.sessions as u64, options.rest, options.seconds].map(|n| n.to_string()))
        .arg(people.join(","))
        .current_dir(&options.folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("can't start node")?;
    let mut lines = BufReader::new(node.stdout.take().context("its output")?).lines();
    let mut said = async || -> anyhow::Result<Value> {
        let line = lines.next_line().await?.context("the peer ended early")?;
        Ok(serde_json::from_str(&line)?)
    };
    let idle = said().await?;
    let weight = |when: &str| {
        let [full, empty] = [&idle["resident"][when], &idle["empty"][when]].map(Value::as_f64);
        full.zip(empty).map_or(0.0, |(full, empty)| full - empty)
    };
    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    let sessions = options.sessions as f64;
    println!(
        "{} sessions of Baileys linked in {} s; {:.0} KiB each, {:.0} KiB after a forced collection",
        idle["sessions"],
        idle["linkedSeconds"],
        weight("before") / sessions,
        weight("after") / sessions,
    );
    let busy_before = phones.process.busy()?;
    let sends = said().await?;
    let network = phones.process.busy()?.saturating_sub(busy_before);
    node.wait().await?;
    let sent = usize::try_from(sends["sent"].as_u64().context("sent")?)?;
    let wanted = |text: &str| text.starts_with("peer ");
    let decrypted = stage::decrypted(&phones, &people, sent, wanted).await?;
    let each =
        |micros: f64| micros / f64::from(u32::try_from(decrypted.max(1)).unwrap_or(u32::MAX));
    let seconds = sends["seconds"].as_f64().context("seconds")?;
    println!(
        "{sent} sent ({} failed), {decrypted} decrypted by their recipients; {:.0} a second",
        sends["failed"],
        1.0 / each(seconds)
    );
    println!(
        "processor time a message: Baileys {:.0} µs, network {:.0} µs",
        each(sends["busyMicros"].as_f64().context("busyMicros")?),
        each(Duration::as_secs_f64(&network) * 1e6)
    );
    phones.process.stop().await?;
    Ok(())
}
