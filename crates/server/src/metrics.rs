//! Numbers for Prometheus: what the services counted, and what the process and the store weigh now.
//!
//! Names of instances and of people are in none of them. What is counted where is listed in
//! docs/operations.md.

use crate::app::AppState;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::fmt::Write as _;
use std::sync::OnceLock;

/// Upper bounds in seconds of everything that is timed.
const SECONDS: &[f64] =
    &[0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 1_000.0, 10_000.0];

/// What the kernel counts processor time in, a second, on every Linux there is.
const TICKS: f64 = 100.0;

/// There is one recorder a process, however many servers tests start in it.
static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Begins to count. Without it nothing is counted, and nothing fails.
pub(crate) fn begin() {
    RECORDER.get_or_init(|| {
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS);
        let handle = builder.ok()?.install_recorder();
        if let Err(error) = &handle {
            tracing::error!(%error, "nothing can be counted");
        }
        handle.ok()
    });
}

/// The whole server's numbers.
pub(crate) async fn page(state: &AppState) -> String {
    let mut text = String::new();
    if let Some(Some(recorder)) = RECORDER.get() {
        recorder.run_upkeep();
        text.push_str(&recorder.render());
    }
    match state.gateway.vitals().await {
        Ok(vitals) => {
            let help = "Webhook deliveries that wait, counted to 100,000";
            gauge(&mut text, ("flowcore_deliveries_waiting", help), vitals.deliveries_waiting);
            gauge(&mut text, ("flowcore_tasks", "Tasks of the services"), vitals.tasks as u64);
            if let Some(bytes) = vitals.memory_each {
                let help = "Resident memory that a connected number takes, on average";
                gauge(&mut text, ("flowcore_memory_per_number_bytes", help), bytes);
            }
            let _ = writeln!(text, "# HELP flowcore_instances Instances by status");
            let _ = writeln!(text, "# TYPE flowcore_instances gauge");
            for (status, count) in vitals.instances {
                let _ =
                    writeln!(text, "flowcore_instances{{status=\"{}\"}} {count}", status.as_str());
            }
            gauge(&mut text, ("flowcore_up", "1 while the store answers"), 1);
        }
        Err(error) => {
            tracing::warn!(%error, "the store can't be counted");
            gauge(&mut text, ("flowcore_up", "1 while the store answers"), 0);
        }
    }
    process(&mut text);
    text
}

fn gauge(text: &mut String, (name, help): (&str, &str), value: u64) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}");
}

/// What the kernel says of this process, under Prometheus' usual names. Elsewhere than on Linux there is
/// nothing to read.
fn process(text: &mut String) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    if let Some(bytes) = flowcore_gateway::resident_memory() {
        gauge(text, ("process_resident_memory_bytes", "Resident memory"), bytes);
    }
    if let Some(threads) = field("Threads:") {
        gauge(text, ("process_threads", "Threads"), threads);
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        gauge(text, ("process_open_fds", "Open file descriptors"), open.count() as u64);
    }
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    if let Some(Ok(most)) = files.and_then(|line| line.split_whitespace().next()).map(str::parse) {
        gauge(text, ("process_max_fds", "Most open file descriptors"), most);
    }
    if let Some(seconds) = processor_seconds() {
        let _ = writeln!(text, "# HELP process_cpu_seconds_total Processor time");
        let _ = writeln!(text, "# TYPE process_cpu_seconds_total counter");
        let _ = writeln!(text, "process_cpu_seconds_total {seconds}");
    }
}

fn processor_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name in brackets may hold spaces; what counts comes after it.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut ticks = fields.split_whitespace().skip(11).map(str::parse::<u32>);
    let ticks = ticks.next()?.ok()?.checked_add(ticks.next()?.ok()?)?;
    Some(f64::from(ticks) / TICKS)
}
