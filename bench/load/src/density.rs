//! What an idle linked number weighs, how fast numbers link, and how fast they are back.

use crate::figures::Figures;
use crate::process::Memory;
use crate::stage::Stage;
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Linked numbers; measured at each of these
    #[arg(long, value_delimiter = ',', default_values_t = [50, 200, 1_000])]
    pub(crate) numbers: Vec<usize>,
    /// Messages that each number has in its history, from one person
    #[arg(long, default_value_t = 100)]
    pub(crate) history: u32,
    /// Messages a second while histories are written
    #[arg(long, default_value_t = HISTORY_RATE)]
    pub(crate) history_rate: f64,
    /// Between the last link and the look, in seconds
    #[arg(long, default_value_t = 60)]
    pub(crate) rest: u64,
}

/// A third of what two cores take: more of it measures what a backlog leaves behind, not what a number needs.
pub(crate) const HISTORY_RATE: f64 = 400.0;
/// People who write them.
const PEOPLE: usize = 20;

pub(crate) async fn run(sandbox: &Path, options: &Options) -> anyhow::Result<Figures> {
    let mut figures = Figures::default();
    let began = Instant::now();
    let mut stage = Stage::set(sandbox).await?;
    figures.set("first_request_ms", began.elapsed().as_secs_f64() * 1e3);
    tokio::time::sleep(Duration::from_secs(options.rest)).await;
    let (base, network) = (stage.product.memory()?, stage.phones.process.memory()?);
    figures.count("base_resident_kib", base.resident);
    figures.count("base_anonymous_kib", base.anonymous);
    let people = stage.phones.people(PEOPLE).await?;
    let mut linked = 0;
    for &wanted in &options.numbers {
        grow(&stage, (linked, wanted), (&people, options), &mut figures).await?;
        linked = wanted;
        tokio::time::sleep(Duration::from_secs(options.rest)).await;
        weigh(wanted, (stage.product.memory()?, base), &mut figures);
        let grown = stage.phones.process.memory()?.resident.saturating_sub(network.resident);
        figures.count(format!("network_kib_each_at_{wanted}"), grown / wanted);
    }
    let start = Instant::now();
    let (restarted, stopped) = stage.restart().await?;
    stage = restarted;
    stage.connected(linked).await?;
    figures.set("stop_seconds", stopped.as_secs_f64());
    figures.set("restart_seconds", start.elapsed().as_secs_f64());
    tokio::time::sleep(Duration::from_secs(options.rest)).await;
    let grown = stage.product.memory()?.resident.saturating_sub(base.resident);
    figures.count(format!("restarted_kib_each_at_{linked}"), grown / linked.max(1));
    stage.end().await?;
    Ok(figures)
}

/// Links up to `wanted` numbers and writes each a history.
async fn grow(
    stage: &Stage,
    (linked, wanted): (usize, usize),
    (people, options): (&[String], &Options),
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let more = wanted.saturating_sub(linked);
    let start = Instant::now();
    let phones = stage.numbers(linked, more).await?;
    figures.rate(format!("links_a_second_to_{wanted}"), more, start.elapsed());
    if options.history > 0 {
        #[expect(clippy::cast_precision_loss, reason = "thousands")]
        let seconds = more as f64 * f64::from(options.history) / options.history_rate;
        let rate = options.history_rate;
        let load = json!({ "from": people, "to": phones, "rate": rate, "seconds": seconds });
        stage.phones.order("/admin/traffic", &load).await?;
    }
    Ok(())
}

/// What each of so many numbers weighs beyond the process without any.
fn weigh(numbers: usize, (now, base): (Memory, Memory), figures: &mut Figures) {
    let each = |now: usize, base: usize| now.saturating_sub(base) / numbers;
    let (resident, anonymous) =
        (each(now.resident, base.resident), each(now.anonymous, base.anonymous));
    figures.count(format!("resident_kib_each_at_{numbers}"), resident);
    figures.count(format!("anonymous_kib_each_at_{numbers}"), anonymous);
}
