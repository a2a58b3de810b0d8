//! Customers write at a rate; their messages go through the product to a webhook.

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
    numbers: usize,
    /// Customers who write to them
    #[arg(long, default_value_t = 200)]
    people: usize,
    /// Messages a second, of all customers together
    #[arg(long, default_value_t = 1_000.0)]
    rate: f64,
    /// How long they write
    #[arg(long, default_value_t = 20.0)]
    seconds: f64,
    /// Only these events go to the webhook; all, when none is named
    #[arg(long)]
    event: Vec<String>,
    /// Beside it, a second webhook that never answers
    #[arg(long)]
    deaf: bool,
}

pub(crate) async fn run(sandbox: &Path, options: &Options) -> anyhow::Result<()> {
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
    measure(&stage, &receiver, (&people, &phones), options).await?;
    stage.end().await
}

async fn measure(
    stage: &Stage,
    receiver: &Receiver,
    (people, phones): (&[String], &[String]),
    options: &Options,
) -> anyhow::Result<()> {
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
    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    let a_second = |count: usize| count as f64 / took.as_secs_f64();
    let a_message = |busy: Duration| busy / u32::try_from(arrived.max(1)).unwrap_or(u32::MAX);
    println!(
        "{sent} messages written ({} failed), {arrived} at the webhook, {} twice, in {took:.1?}",
        written["failed"], taken.twice
    );
    println!(
        "{:.0} messages and {:.0} events a second; from due to received: {}",
        a_second(arrived),
        a_second(taken.events),
        taken.ages
    );
    println!(
        "processor time a message: product {:.2?}, network {:.2?}; product's memory {} KiB",
        a_message(after.1.saturating_sub(before.1)),
        a_message(after.0.saturating_sub(before.0)),
        stage.product.memory()?.resident
    );
    Ok(())
}
