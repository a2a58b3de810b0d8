//! What an idle linked number weighs, how fast numbers link, and how fast they are back.

use crate::stage::Stage;
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Linked numbers; measured at each of these
    #[arg(long, value_delimiter = ',', default_values_t = [50, 200, 1_000])]
    numbers: Vec<usize>,
    /// Messages that each number has in its history, from one person
    #[arg(long, default_value_t = 100)]
    history: u32,
    /// Between the last link and the look, in seconds
    #[arg(long, default_value_t = 60)]
    rest: u64,
}

/// Messages a second while histories are written.
const HISTORY_RATE: f64 = 800.0;
/// People who write them.
const PEOPLE: usize = 20;

pub(crate) async fn run(sandbox: &Path, options: &Options) -> anyhow::Result<()> {
    let mut stage = Stage::set(sandbox).await?;
    tokio::time::sleep(Duration::from_secs(options.rest)).await;
    let base = stage.product.memory()?;
    println!("no number: resident {} KiB, anonymous {} KiB", base.resident, base.anonymous);
    let people = stage.phones.people(PEOPLE).await?;
    let mut linked = 0;
    for &wanted in &options.numbers {
        let more = wanted.saturating_sub(linked);
        let start = Instant::now();
        let phones = stage.numbers(linked, more).await?;
        #[expect(clippy::cast_precision_loss, reason = "thousands")]
        let rate = more as f64 / start.elapsed().as_secs_f64();
        linked = wanted;
        if options.history > 0 {
            #[expect(clippy::cast_precision_loss, reason = "thousands")]
            let seconds = more as f64 * f64::from(options.history) / HISTORY_RATE;
            let load =
                json!({ "from": people, "to": phones, "rate": HISTORY_RATE, "seconds": seconds });
            stage.phones.order("/admin/traffic", &load).await?;
        }
        tokio::time::sleep(Duration::from_secs(options.rest)).await;
        let now = stage.product.memory()?;
        let each = |now: u64, base: u64| now.saturating_sub(base) / wanted as u64;
        println!(
            "{wanted} numbers: resident {} KiB ({} KiB each), anonymous {} KiB ({} KiB each), \
             linked {rate:.0} a second",
            now.resident,
            each(now.resident, base.resident),
            now.anonymous,
            each(now.anonymous, base.anonymous),
        );
    }
    let start = Instant::now();
    let (restarted, stopped) = stage.restart().await?;
    stage = restarted;
    stage.connected(linked).await?;
    println!(
        "restart: stopped in {stopped:.1?}, all {linked} connected {:.1?} after the order",
        start.elapsed()
    );
    stage.end().await
}
