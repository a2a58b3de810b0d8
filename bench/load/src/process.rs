//! A child process, and what the kernel says of it.

use anyhow::{Context as _, bail};
use serde_json::Value;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

const STARTS_WITHIN: Duration = Duration::from_secs(120);
const STOPS_WITHIN: Duration = Duration::from_secs(120);
/// `sysconf(_SC_CLK_TCK)` on every Linux there is.
const TICKS: u32 = 100;

/// Killed when dropped.
pub(crate) struct Process {
    child: Child,
    /// The line in which it said where it is.
    pub(crate) said: Value,
}

/// Resident memory in KiB.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) resident: usize,
    /// The part that no file backs.
    pub(crate) anonymous: usize,
}

impl Process {
    /// Starts it and waits for its line of JSON.
    pub(crate) async fn start(mut command: Command) -> anyhow::Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("can't start a process")?;
        let output = child.stdout.take().context("its output")?;
        let mut lines = BufReader::new(output).lines();
        let line = timeout(STARTS_WITHIN, lines.next_line()).await.context("it says nothing")??;
        let Some(line) = line else { bail!("it ended at once") };
        let said = serde_json::from_str(&line).context("its first line")?;
        Ok(Self { child, said })
    }

    pub(crate) fn address(&self, key: &str) -> anyhow::Result<String> {
        Ok(self.said[key].as_str().with_context(|| format!("no {key}"))?.to_owned())
    }

    fn proc(&self, file: &str) -> anyhow::Result<String> {
        let id = self.child.id().context("it has ended")?;
        Ok(std::fs::read_to_string(format!("/proc/{id}/{file}"))?)
    }

    pub(crate) fn memory(&self) -> anyhow::Result<Memory> {
        let status = self.proc("status")?;
        let field = |name: &str| -> anyhow::Result<usize> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next()).context("status")?;
            Ok(number.parse()?)
        };
        Ok(Memory { resident: field("VmRSS:")?, anonymous: field("RssAnon:")? })
    }

    /// Processor time, user and system, since its start.
    pub(crate) fn busy(&self) -> anyhow::Result<Duration> {
        let stat = self.proc("stat")?;
        // The name in brackets may hold spaces; what counts comes after it.
        let (_, fields) = stat.rsplit_once(')').context("stat")?;
        let mut fields = fields.split_whitespace().skip(11);
        let mut ticks = || -> anyhow::Result<u32> { Ok(fields.next().context("stat")?.parse()?) };
        let ticks = ticks()? + ticks()?;
        Ok(Duration::from_secs(1) * ticks / TICKS)
    }

    /// A stop as an operator orders it; how long it took.
    pub(crate) async fn stop(mut self) -> anyhow::Result<Duration> {
        let id = self.child.id().context("it has ended")?;
        let id = rustix::process::Pid::from_raw(id.try_into()?).context("a process id")?;
        let start = std::time::Instant::now();
        rustix::process::kill_process(id, rustix::process::Signal::TERM)?;
        let status =
            timeout(STOPS_WITHIN, self.child.wait()).await.context("it does not stop")??;
        anyhow::ensure!(status.success(), "it ended with {status}");
        Ok(start.elapsed())
    }
}
