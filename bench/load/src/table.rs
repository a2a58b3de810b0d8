//! Everything that is compared, several times in turn, as a table with medians and spread.
//!
//! The runs are in turn, ours and the peer's, so that a machine that gets warmer or busier does so for
//! both. The table goes between two marks of a page, with what it was measured on.

use crate::figures::Figures;
use crate::{density, inbound, outbound, peer};
use anyhow::Context as _;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How often everything is run
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Numbers at which memory is measured, ours and the peer's
    #[arg(long, value_delimiter = ',', default_values_t = [50, 200, 1_000])]
    numbers: Vec<usize>,
    /// Further numbers, ours alone
    #[arg(long, value_delimiter = ',')]
    more: Vec<usize>,
    /// Between the last link and the look at the memory, in seconds
    #[arg(long, default_value_t = 60)]
    rest: u64,
    /// How long messages are sent, each way
    #[arg(long, default_value_t = 20.0)]
    seconds: f64,
    /// The folder of the peer, after `npm ci` in it
    #[arg(long, default_value = "bench/baileys")]
    peer: PathBuf,
    /// The page that the table goes into
    #[arg(long)]
    write: Option<PathBuf>,
}

/// Numbers that send or are written to.
const SENDERS: usize = 200;
/// Messages a second at which times are taken.
const PACE: f64 = 200.0;
/// Who writes to whom when messages come in.
const ACQUAINTED: usize = 40;
const BEGIN: &str = "<!-- flowcore-bench table: begin -->";
const END: &str = "<!-- flowcore-bench table: end -->";

/// A line of the table: what, what is wanted, the figure's name ours and the peer's, its digits.
struct Row {
    what: String,
    wanted: &'static str,
    name: String,
    digits: usize,
}

pub(crate) async fn run(sandbox: &Path, options: &Options) -> anyhow::Result<Figures> {
    let (mut ours, mut peers) = (Vec::new(), Vec::new());
    for run in 1..=options.runs {
        println!("run {run} of {}", options.runs);
        // Said at once: a failure later must not take them along.
        let figures = product(sandbox, options).await?;
        println!("{}", serde_json::to_string(&figures)?);
        ours.push(figures);
        let figures = baileys(sandbox, options).await?;
        println!("{}", serde_json::to_string(&figures)?);
        peers.push(figures);
    }
    let table = render(&rows(options), (&ours, &peers), &measured_on(sandbox, options)?);
    println!("{table}");
    if let Some(page) = &options.write {
        put(page, &table)?;
    }
    Ok(Figures::default())
}

async fn product(sandbox: &Path, options: &Options) -> anyhow::Result<Figures> {
    let mut all = Figures::default();
    let numbers = options.numbers.iter().chain(&options.more).copied().collect();
    let idle = density::Options {
        numbers,
        history: 100,
        history_rate: density::HISTORY_RATE,
        rest: options.rest,
    };
    all.extend("", density::run(sandbox, &idle).await?);
    let seconds = options.seconds;
    let fast = outbound::Options { pairs: SENDERS, rate: None, seconds, lanes: 1 };
    all.extend("out_", outbound::run(sandbox, &fast).await?);
    let paced = outbound::Options { rate: Some(PACE), ..fast };
    all.extend("out_paced_", outbound::run(sandbox, &paced).await?);
    let written = |rate| inbound::Options {
        numbers: ACQUAINTED,
        people: ACQUAINTED,
        rate,
        seconds,
        event: vec!["messages.upsert".to_owned()],
        deaf: false,
    };
    all.extend("in_", inbound::run(sandbox, &written(PACE)).await?);
    all.extend("in_full_", inbound::run(sandbox, &written(10.0 * PACE)).await?);
    Ok(all)
}

async fn baileys(sandbox: &Path, options: &Options) -> anyhow::Result<Figures> {
    let folder = options.peer.clone();
    let work = peer::Options {
        folder: folder.clone(),
        sessions: options.numbers.iter().copied().filter(|count| *count <= SENDERS).collect(),
        rest: options.rest,
        seconds: options.seconds,
        rate: PACE,
    };
    let mut all = peer::run(sandbox, &work).await?;
    let more: Vec<_> = options.numbers.iter().copied().filter(|count| *count > SENDERS).collect();
    if !more.is_empty() {
        let idle = peer::Options { sessions: more, seconds: 0.0, ..work };
        all.extend("", peer::run(sandbox, &idle).await?);
    }
    Ok(all)
}

fn rows(options: &Options) -> Vec<Row> {
    let row = |what: String, wanted, name: String, digits| Row { what, wanted, name, digits };
    let plain = |what: &str, wanted, name: &str, digits| {
        row(what.to_owned(), wanted, name.to_owned(), digits)
    };
    let mut rows = vec![
        plain("process without a number, resident, KiB", "51,200", "base_resident_kib", 0),
        plain("start to first answer, ms", "", "first_request_ms", 0),
    ];
    for count in options.numbers.iter().chain(&options.more) {
        let wanted = if *count >= 200 { "512" } else { "" };
        let name = format!("resident_kib_each_at_{count}");
        rows.push(row(format!("resident KiB a number at {count}"), wanted, name, 0));
        let name = format!("anonymous_kib_each_at_{count}");
        rows.push(row(format!("… anonymous KiB a number at {count}"), "", name, 0));
        let name = format!("collected_kib_each_at_{count}");
        rows.push(row(format!("… after a forced collection, at {count}"), "", name, 0));
        let name = format!("links_a_second_to_{count}");
        rows.push(row(format!("links a second up to {count}"), "", name, 0));
    }
    if let Some(most) = options.numbers.iter().chain(&options.more).max() {
        let name = format!("restarted_kib_each_at_{most}");
        rows.push(row(format!("resident KiB a number at {most}, after a restart"), "", name, 0));
    }
    rows.extend([
        plain("restart to all connected, s", "15 at 1,000", "restart_seconds", 1),
        plain("stop of all, s", "10 at 1,000", "stop_seconds", 1),
        plain("out: messages a second", "2,500", "out_messages_a_second", 0),
        plain("out: lost or refused", "0", "out_lost", 0),
        plain("out: processor time a message, µs", "", "out_product_us", 0),
        plain("out at 200/s: p50, ms", "", "out_paced_request_p50_ms", 1),
        plain("out at 200/s: p99, ms", "30", "out_paced_request_p99_ms", 1),
        plain("in at 200/s, stanza to webhook: p50, ms", "", "in_delivery_p50_ms", 1),
        plain("in at 200/s, stanza to webhook: p99, ms", "30", "in_delivery_p99_ms", 1),
        plain("in at 200/s: processor time a message, µs", "", "in_product_us", 0),
        plain("in at 200/s: lost", "0", "in_lost", 0),
        plain("in at 2,000/s offered: messages a second", "2,500", "in_full_messages_a_second", 0),
        plain("in at 2,000/s offered: processor time, µs", "", "in_full_product_us", 0),
        plain("in at 2,000/s offered: lost", "0", "in_full_lost", 0),
    ]);
    rows
}

fn render(rows: &[Row], (ours, peers): (&[Figures], &[Figures]), measured: &str) -> String {
    let mut table = String::from("| | wanted | Flowcore | Baileys |\n|---|---|---|---|\n");
    for row in rows {
        let [ours, peers] = [ours, peers].map(|runs| spread(runs, &row.name, row.digits));
        let _ = writeln!(table, "| {} | {} | {ours} | {peers} |", row.what, row.wanted);
    }
    let _ = write!(table, "\n{measured}\n");
    table
}

/// The median of the runs that have the figure, and their extremes.
fn spread(runs: &[Figures], name: &str, digits: usize) -> String {
    let mut values: Vec<f64> = runs.iter().filter_map(|run| run.0.get(name).copied()).collect();
    values.sort_by(f64::total_cmp);
    let (Some(least), Some(most)) = (values.first(), values.last()) else {
        return "–".to_owned();
    };
    let median = values[values.len() / 2];
    if values.len() == 1 {
        return format!("{median:.digits$}");
    }
    format!("{median:.digits$} ({least:.digits$}–{most:.digits$})")
}

fn measured_on(sandbox: &Path, options: &Options) -> anyhow::Result<String> {
    let said = |program: &str, arguments: &[&str]| -> anyhow::Result<String> {
        let output = Command::new(program).args(arguments).output().context("can't ask")?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let lock = std::fs::read_to_string(options.peer.join("package-lock.json"))?;
    let lock: serde_json::Value = serde_json::from_str(&lock)?;
    let version = &lock["packages"]["node_modules/@whiskeysockets/baileys"]["version"];
    let product = sandbox.with_file_name("flowcore");
    let size = std::fs::metadata(&product)
        .map_or_else(|_| "not built".to_owned(), |binary| format!("{} KiB", binary.len() / 1024));
    Ok(format!(
        "Medians of {} runs, least and most in brackets. Commit {}, {}; Baileys {}, Node {}; {} \
         processors; binary of `flowcore`: {size}.",
        options.runs,
        said("git", &["describe", "--always", "--dirty"])?,
        said("rustc", &["--version"])?,
        version.as_str().unwrap_or("?"),
        said("node", &["--version"])?,
        std::thread::available_parallelism()?,
    ))
}

/// Replaces what is between the marks of a page.
fn put(page: &Path, table: &str) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(page)?;
    let (before, rest) = text.split_once(BEGIN).context("the page has no place for the table")?;
    let (_, after) = rest.split_once(END).context("the table's place has no end")?;
    Ok(std::fs::write(page, format!("{before}{BEGIN}\n{table}{END}{after}"))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(values: &[f64]) -> Vec<Figures> {
        let run = |value: &f64| {
            let mut figures = Figures::default();
            figures.set("restart_seconds", *value);
            figures
        };
        values.iter().map(run).collect()
    }

    #[test]
    fn a_cell_tells_the_median_and_the_extremes() {
        assert_eq!(spread(&runs(&[3.0, 1.0, 2.0]), "restart_seconds", 1), "2.0 (1.0–3.0)");
        assert_eq!(spread(&runs(&[3.0]), "restart_seconds", 0), "3");
        assert_eq!(spread(&runs(&[3.0]), "unknown", 0), "–");
    }

    #[test]
    fn only_what_is_between_the_marks_is_replaced() {
        let page = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(page.path(), format!("a\n{BEGIN}\nold\n{END}\nb\n")).expect("written");
        put(page.path(), "new\n").expect("put");
        let text = std::fs::read_to_string(page.path()).expect("read");
        assert_eq!(text, format!("a\n{BEGIN}\nnew\n{END}\nb\n"));
    }
}
