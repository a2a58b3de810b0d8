//! `flowcore-bench`: load for the product on the simulated network, and for what people run today.
//!
//! Network, product and load are processes of their own, so that each one's memory and processor time
//! can be read. What counts is what the other side decrypted to the right text.

mod answers;
mod density;
mod endurance;
mod figures;
mod inbound;
mod outbound;
mod peer;
mod process;
mod receiver;
mod stage;
mod table;
mod times;

use clap::{Parser, Subcommand};
use std::path::PathBuf;

#[derive(Parser)]
struct CommandLine {
    /// The binary that plays the network and runs the product; by default the one beside this
    #[arg(long, global = true)]
    sandbox: Option<PathBuf>,
    /// Say what was measured as one line of JSON at the end
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    work: Work,
}

#[derive(Subcommand)]
enum Work {
    /// Customers write at a rate: how long until the webhook has it
    Inbound(inbound::Options),
    /// Sends by the API, as fast as it goes or at a rate
    Outbound(outbound::Options),
    /// Sends and memory of Baileys, in one Node process
    Peer(peer::Options),
    /// Memory per idle linked number, and the way back after a restart
    Density(density::Options),
    /// A long time at a steady pace, with cut connections and restarts: memory and losses
    Endurance(endurance::Options),
    /// Customers ask an assistant with documents: how long until the provider is asked
    Answers(answers::Options),
    /// All of it several times in turn, ours and the peer's, as a table with medians
    Table(table::Options),
}

fn main() -> anyhow::Result<()> {
    let line = CommandLine::parse();
    let sandbox = match line.sandbox {
        Some(path) => path,
        None => std::env::current_exe()?.with_file_name("flowcore-sandbox"),
    };
    anyhow::ensure!(sandbox.exists(), "build it first: cargo build --release -p flowcore-sandbox");
    raise_file_limit()?;
    // An error means that a provider is there already.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let figures = runtime.block_on(async {
        match line.work {
            Work::Inbound(options) => inbound::run(&sandbox, &options).await,
            Work::Outbound(options) => outbound::run(&sandbox, &options).await,
            Work::Peer(options) => peer::run(&sandbox, &options).await,
            Work::Density(options) => density::run(&sandbox, &options).await,
            Work::Endurance(options) => endurance::run(&sandbox, &options).await,
            Work::Answers(options) => answers::run(&sandbox, &options).await,
            Work::Table(options) => table::run(&sandbox, &options).await,
        }
    })?;
    if line.json {
        println!("{}", serde_json::to_string(&figures)?);
    } else {
        for (name, value) in &figures.0 {
            println!("{name:>32} {value:.1}");
        }
    }
    Ok(())
}

/// Children inherit it: thousands of sockets on either side.
fn raise_file_limit() -> anyhow::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    const FILES: u64 = 65_536;
    let maximum = getrlimit(Resource::Nofile).maximum;
    let wanted = maximum.map_or(FILES, |maximum| maximum.min(FILES));
    Ok(setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum })?)
}
