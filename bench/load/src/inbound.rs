//! Customers write at a rate; their messages go through the product to a webhook.

use crate::figures::Figures;
use crate::receiver::{self, Receiver};
use crate::stage::Stage;
use anyhow::Context as _;
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio_util::task::TaskTracker;

/// After the last message was written.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Linked numbers
    #[arg(long, default_value_t = 500)]
    pub(crate) numbers: usize,
    /// Customers who write to them
    #[arg(long, default_value_t = 200)]
    pub(crate) people: usize,
    /// Messages a second, of all customers together
    #[arg(long, default_value_t = 1_000.0)]
    pub(crate) rate: f64,
    /// How long they write
    #[arg(long, default_value_t = 20.0)]
    pub(crate) seconds: f64,
    /// Only these events go to the webhook; all, when none is named
    #[arg(long)]
    pub(crate) event: Vec<String>,
    /// Beside it, a second webhook that never answers
    #[arg(long)]
    pub(crate) deaf: bool,
}

pub(crate) async fn run(sandbox: &Path, options: &Options) -> anyhow::Result<Figures> {
    let tasks = TaskTracker::new();
    let receiver = Receiver::start(&tasks).await?;
    let stage = Stage::set(sandbox).await?;
    let phones = stage.numbers(0, options.numbers).await?;
    let people = stage.phones.people(options.people).await?;
    let mut urls = vec![receiver.url.clone()];
    if options.deaf {
        urls.push(receiver::deaf(&tasks).await?);
    }
    for url in urls {
        let hook = json!({ "url": url, "events": options.event });
        let (status, body) = stage.api("/api/webhooks", &hook).await?;
        anyhow::ensure!(status == 201, "{status} {body}");
    }
    // Sessions between all who will write are made before the clock runs.
    let warm = json!({ "from": people, "to": phones, "rate": 400, "seconds": 5 });
    let warmed = stage.phones.order("/admin/traffic", &warm).await?;
    let before = usize::try_from(warmed["sent"].as_u64().context("sent")?)?;
    anyhow::ensure!(receiver.until(before, PATIENCE).await == before, "the warm-up is lost");
    receiver.reset();
    let figures = measure(&stage, &receiver, (&people, &phones), options).await?;
    stage.end().await?;
    Ok(figures)
}

async fn measure(
    stage: &Stage,
    receiver: &Receiver,
    (people, phones): (&[String], &[String]),
    options: &Options,
) -> anyhow::Result<Figures> {
    let busy =
        || -> anyhow::Result<_> { Ok((stage.phones.process.busy()?, stage.product.busy()?)) };
    let before = busy()?;
    let start = Instant::now();
    let load =
        json!({ "from": people, "to": phones, "rate": options.rate, "seconds": options.seconds });
    let written = stage.phones.order("/admin/traffic", &load).await?;
    let sent = usize::try_from(written["sent"].as_u64().context("sent")?)?;
    let arrived = receiver.until(sent, PATIENCE).await;
    let took = start.elapsed();
    let after = busy()?;
    let taken = receiver.taken();
    println!("from due to received: {}", taken.ages);
    let mut figures = Figures::default();
    figures.count("written", sent);
    figures.count("lost", sent.saturating_sub(arrived));
    figures.count("twice", taken.twice);
    figures.rate("messages_a_second", arrived, took);
    figures.rate("events_a_second", taken.events, took);
    figures.times("delivery", &taken.ages);
    figures.each("product_us", after.1.saturating_sub(before.1), arrived);
    figures.each("network_us", after.0.saturating_sub(before.0), arrived);
    Ok(figures)
}
