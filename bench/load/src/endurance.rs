//! A long time at a steady pace, with connections that are cut and the product stopped and started again:
//! does the memory grow, is anything lost.

use crate::figures::Figures;
use crate::receiver::Receiver;
use crate::stage::Stage;
use anyhow::Context as _;
use serde_json::json;
use std::path::Path;
use std::time::Duration;
use tokio_util::task::TaskTracker;

/// After the last message was written.
const PATIENCE: Duration = Duration::from_secs(120);
/// People who write.
const PEOPLE: usize = 100;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Linked numbers
    #[arg(long, default_value_t = 1_000)]
    pub(crate) numbers: usize,
    /// Messages a second, of all together
    #[arg(long, default_value_t = 50.0)]
    pub(crate) rate: f64,
    /// How long, in minutes
    #[arg(long, default_value_t = 60)]
    pub(crate) minutes: u32,
    /// Connections that are cut each minute
    #[arg(long, default_value_t = 10)]
    pub(crate) drops: usize,
    /// How often the product is stopped and started again, evenly over the time
    #[arg(long, default_value_t = 2)]
    pub(crate) restarts: u32,
}

pub(crate) async fn run(sandbox: &Path, options: &Options) -> anyhow::Result<Figures> {
    let tasks = TaskTracker::new();
    let receiver = Receiver::start(&tasks).await?;
    let mut stage = Stage::set(sandbox).await?;
    let phones = stage.numbers(0, options.numbers).await?;
    let people = stage.phones.people(PEOPLE).await?;
    let hook = json!({ "url": receiver.url, "events": ["messages.upsert"] });
    let (status, body) = stage.api("/api/webhooks", &hook).await?;
    anyhow::ensure!(status == 201, "{status} {body}");

    let minute = json!({ "from": people, "to": phones, "rate": options.rate, "seconds": 60 });
    let every = options.minutes / (options.restarts + 1);
    let (mut sent, mut growth, mut lives) = (0, 0.0_f64, Life::default());
    for number in 1..=options.minutes {
        let restart = number % every.max(1) == 0 && number < options.minutes;
        let written = if restart {
            // Written while the product is down and while it comes back.
            growth = growth.max(lives.growth());
            lives = Life::default();
            let traffic = stage.phones.ordered("/admin/traffic", &minute);
            let (restarted, written) = tokio::join!(stage.restart(), traffic);
            stage = restarted?.0;
            written?
        } else {
            let traffic = stage.phones.order("/admin/traffic", &minute);
            let (written, cut) =
                tokio::join!(traffic, cut(&stage, &phones, (number, options.drops)));
            cut?;
            written?
        };
        sent += usize::try_from(written["sent"].as_u64().context("sent")?)?;
        let resident = stage.product.memory()?.resident;
        lives.note(resident);
        println!("minute {number}: {sent} written, {resident} KiB");
    }
    growth = growth.max(lives.growth());
    let arrived = receiver.until(sent, PATIENCE).await;
    let mut figures = Figures::default();
    figures.count("written", sent);
    figures.count("lost", sent.saturating_sub(arrived));
    figures.count("twice", receiver.taken().twice);
    figures.set("growth_percent", growth);
    stage.end().await?;
    Ok(figures)
}

/// Cuts connections, spread over the minute: each minute those of the next numbers.
async fn cut(
    stage: &Stage,
    phones: &[String],
    (minute, drops): (u32, usize),
) -> anyhow::Result<()> {
    let mut pace = tokio::time::interval(Duration::from_secs(50) / u32::try_from(drops.max(1))?);
    for phone in phones.iter().cycle().skip(minute as usize * drops).take(drops) {
        pace.tick().await;
        let fault = json!({ "target": phone, "fault": "drop" });
        stage.phones.order("/admin/faults", &fault).await?;
    }
    Ok(())
}

/// The memory of one life of the product, minute by minute.
#[derive(Default)]
struct Life(Vec<usize>);

impl Life {
    fn note(&mut self, resident: usize) {
        self.0.push(resident);
    }

    /// From the first third to the last minute, in percent. The first minutes fill caches.
    fn growth(&self) -> f64 {
        let first = self.0.get(self.0.len() / 3).copied();
        let (Some(first), Some(last)) = (first, self.0.last()) else { return 0.0 };
        #[expect(clippy::cast_precision_loss, reason = "KiB of one machine")]
        let share = *last as f64 / first as f64;
        (share - 1.0) * 100.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_counted_from_when_caches_are_full() {
        let life = Life(vec![100, 180, 200, 205, 208, 210]);
        assert!((life.growth() - 5.0).abs() < 1e-9);
        assert!(Life::default().growth().abs() < 1e-9);
    }
}
