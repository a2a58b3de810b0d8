//! Sends by the API, each counted when the recipient's own client has decrypted it to the right text.

use crate::figures::Figures;
use crate::receiver;
use crate::stage::{self, Stage};
use crate::times::Times;
use futures_util::future::try_join_all;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::time::{MissedTickBehavior, interval_at};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Linked numbers that send, and people who receive
    #[arg(long, default_value_t = 200)]
    pub(crate) pairs: usize,
    /// Messages a second, of all together; without it each number sends when its last send was answered
    #[arg(long)]
    pub(crate) rate: Option<f64>,
    /// How long they send
    #[arg(long, default_value_t = 20.0)]
    pub(crate) seconds: f64,
    /// Sends under way at once in each number, where there is no rate
    #[arg(long, default_value_t = 1)]
    pub(crate) lanes: usize,
}

#[derive(Default)]
struct Sent {
    texts: HashSet<String>,
    times: Times,
    failed: usize,
}

pub(crate) async fn run(sandbox: &Path, options: &Options) -> anyhow::Result<Figures> {
    let stage = Stage::set(sandbox).await?;
    stage.numbers(0, options.pairs).await?;
    let people = stage.phones.people(options.pairs).await?;
    // Sessions are made before the clock runs.
    try_join_all((0..options.pairs).map(|pair| warm(&stage, pair, &people[pair]))).await?;
    let before = (stage.phones.process.busy()?, stage.product.busy()?);
    let start = Instant::now();
    let end = start + Duration::from_secs_f64(options.seconds);
    let lanes = (0..options.pairs).flat_map(|pair| {
        let to = &people[pair];
        let stage = &stage;
        (0..options.lanes).map(move |lane| send_on(stage, (pair, lane), to, (start, end), options))
    });
    let sent = try_join_all(lanes).await?;
    let took = start.elapsed();
    let after = (stage.phones.process.busy()?, stage.product.busy()?);
    let mut all = Sent::default();
    for one in sent {
        all.failed += one.failed;
        all.texts.extend(one.texts);
        all.times.extend(one.times.into_inner());
    }
    let decrypted =
        stage::decrypted(&stage.phones, &people, all.texts.len(), |text| all.texts.contains(text))
            .await?;
    println!("a request: {}", all.times);
    let mut figures = Figures::default();
    figures.count("sent", all.texts.len());
    figures.count("failed", all.failed);
    figures.count("lost", all.texts.len().saturating_sub(decrypted));
    figures.rate("messages_a_second", decrypted, took);
    figures.times("request", &all.times);
    figures.each("product_us", after.1.saturating_sub(before.1), decrypted);
    figures.each("network_us", after.0.saturating_sub(before.0), decrypted);
    stage.end().await?;
    Ok(figures)
}

async fn warm(stage: &Stage, pair: usize, to: &str) -> anyhow::Result<()> {
    let (status, body) = send(stage, pair, to, "hello").await?;
    anyhow::ensure!(status == 201, "{status} {body}");
    Ok(())
}

async fn send(stage: &Stage, pair: usize, to: &str, text: &str) -> anyhow::Result<(u16, Value)> {
    let name = format!("n{pair}");
    let body = json!({ "instanceName": name, "number": to, "message": text });
    stage.api("/api/whatsapp/send", &body).await
}

/// One number sends on.
async fn send_on(
    stage: &Stage,
    (pair, lane): (usize, usize),
    to: &str,
    (start, end): (Instant, Instant),
    options: &Options,
) -> anyhow::Result<Sent> {
    let mut sent = Sent::default();
    #[expect(clippy::cast_precision_loss, reason = "thousands of lanes at most")]
    let mut pace = options.rate.map(|rate| {
        let lanes = (options.pairs * options.lanes) as f64;
        let pause = Duration::from_secs_f64(lanes / rate);
        let first = start + pause.mul_f64((pair * options.lanes + lane) as f64 / lanes);
        let mut pace = interval_at(first.into(), pause);
        pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
        pace
    });
    for count in 0.. {
        let due = match &mut pace {
            Some(pace) => pace.tick().await.into_std(),
            None => Instant::now(),
        };
        if due >= end {
            break;
        }
        let text = format!("{pair}.{lane}.{count} {}", receiver::now().as_micros());
        let (status, _) = send(stage, pair, to, &text).await?;
        if status == 201 {
            sent.times.add(due.elapsed());
            sent.texts.insert(text);
        } else {
            sent.failed += 1;
        }
    }
    Ok(sent)
}
