//! `flowcore`: serves, prints the example of its settings, or does an operator's work on the data.
//!
//! Before it serves, it checks itself: a client that was compiled to accept anybody as WhatsApp (the
//! simulator needs such a one) must never run here.

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use flowcore_gateway::Mark;
use flowcore_gateway::operator::Data;
use flowcore_server::app::{self, Running};
use flowcore_server::config::{self, Flags};
use flowcore_server::logging;
use flowcore_server::signals::StopSignals;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// One server that runs WhatsApp numbers for many users.
#[derive(Debug, Parser)]
#[command(name = "flowcore", version, max_term_width = 100)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    flags: Flags,
    /// The settings file [default: flowcore.toml, when it exists]
    #[arg(long, global = true)]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server (the default)
    Serve,
    /// Print the example of the settings file
    Config,
    /// Bring the database's schema up to date, as a start does by itself
    Migrate {
        /// Only tell what would be done
        #[arg(long)]
        check: bool,
    },
    /// The key that seals secrets at rest
    #[command(subcommand)]
    Key(KeyCommand),
    /// Write the database to a new file; the server may be running
    Backup {
        /// Where to
        file: PathBuf,
    },
    /// Put a backup into a data folder that has no database
    Restore {
        /// What `backup` wrote
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Make a new key and seal everything with it; the server may be running
    Rotate,
}

fn main() -> ExitCode {
    let line = CommandLine::parse();
    let done = match line.command {
        Some(Command::Config) => {
            print!("{}", config::example_file());
            Ok(())
        }
        Some(Command::Serve) | None => serve(line.flags, line.config.as_deref()),
        Some(command) => operate(command, line.flags, line.config.as_deref()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("flowcore: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The commands on the data, whether a server runs on it or not.
fn operate(command: Command, flags: Flags, file: Option<&Path>) -> anyhow::Result<()> {
    let (config, log) = config::load(flags, file)?;
    logging::start(&log)?;
    // As in `serve`.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let data = Data {
        data_dir: config.data_dir,
        database: config.database,
        mark: Mark::Flowcore,
        master_key: config.master_key,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            Command::Migrate { check: true } => println!("{}", data.migration_plan().await?),
            Command::Migrate { check: false } => {
                data.migrate().await?;
                println!("The schema is up to date.");
            }
            Command::Key(KeyCommand::Rotate) => {
                data.rotate_key().await?;
                println!("Everything is sealed with a new key. Renew your copy of the key file.");
            }
            Command::Backup { file } => {
                data.backup(&file).await?;
                println!("Written to {}. The master key is not in it: keep both.", file.display());
            }
            Command::Restore { file } => {
                data.restore(&file).await?;
                println!("Restored. It needs the master key that it was made with.");
            }
            Command::Serve | Command::Config => {}
        }
        Ok(())
    })
}

fn serve(flags: Flags, file: Option<&Path>) -> anyhow::Result<()> {
    let (config, log) = config::load(flags, file)?;
    logging::start(&log)?;
    // An error means that a provider is there already, and ring is the only one that is compiled in.
    let _ = rustls::crypto::ring::default_provider().install_default();
    anyhow::ensure!(
        flowcore_gateway::verifies_certificates(),
        "this binary would accept anybody as WhatsApp (it was built together with the simulator); \
         build it alone: cargo build --release -p flowcore-server"
    );
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut signals = StopSignals::listen().context("can't listen for signals")?;
        let running = app::serve(config, Mark::Flowcore).await?;
        announce(&running);
        signals.next().await;
        tracing::info!("stopping; a second signal stops at once");
        tokio::select! {
            () = running.stop() => {}
            () = signals.next() => std::process::exit(130),
        }
        Ok(())
    })
}

/// The admin key is shown this once and to stdout only: logs are kept and forwarded.
fn announce(running: &Running) {
    println!("Dashboard and API: {}", running.url());
    if let Some(key) = running.new_admin_key() {
        println!("Admin key (shown only now, keep it): {key}");
    }
}
