//! `flowcore-sandbox`: the whole product on a simulated WhatsApp network, in one process.
//!
//! The client in this binary accepts the simulator as WhatsApp, which no real one may: its store is
//! marked as the sandbox's, `flowcore` refuses it, and this binary refuses a real one. Either half can
//! run alone (`--network-only`, `--network-url`), so that a test can kill one and keep the other.

mod admin_key;
mod codes;
mod flags;
mod printed;

use anyhow::Context as _;
use clap::Parser as _;
use codes::ProductCodes;
use flags::CommandLine;
use flowcore_server::app::{self, Running};
use flowcore_server::config::{self, LogSettings, ServerConfig};
use flowcore_server::crash_points::{self, CrashPoint};
use flowcore_server::signals::StopSignals;
use flowcore_server::{AllowPrivate, Mark, ModelDefaults, Provider, logging};
use flowcore_simulator::{Network, NetworkConfig};
use printed::Addresses;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if let Some(done) = flowcore_server::read_document_as_child() {
        return done;
    }
    match run(CommandLine::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("flowcore-sandbox: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut line: CommandLine) -> anyhow::Result<()> {
    let folder = Folder::of(&line)?;
    line.flags.data_dir = Some(folder.path.clone());
    let (mut config, log) = config::load_without_file(line.flags.clone())?;
    start_logging(&log)?;
    // An error means that a provider is there already, and ring is the only one that is compiled in.
    let _ = rustls::crypto::ring::default_provider().install_default();
    if let Some(crash) = &line.crash_at {
        arm(crash)?;
    }
    let admin_key = if line.network_only {
        None
    } else {
        let (text, key) = admin_key::choose(line.flags.admin_key.as_deref(), &folder.path)?;
        config.admin_key = Some(key);
        Some(text)
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(line, config, admin_key))
}

/// Both halves, or the one that was asked for, until a signal. The product stops first, so that its
/// clients say goodbye to a network that is still there.
async fn serve(
    line: CommandLine,
    config: ServerConfig,
    admin_key: Option<String>,
) -> anyhow::Result<()> {
    let mut signals = StopSignals::listen().context("can't listen for signals")?;
    let network = match &line.network_url {
        Some(_) => None,
        None => Some(start_network(&line, &config.data_dir).await?),
    };
    let product = if line.network_only {
        None
    } else {
        Some(start_product(&line, config, network.as_ref()).await?)
    };
    if let (Some(network), Some(product)) = (&network, &product) {
        network.offer_codes(Arc::new(ProductCodes(product.codes())));
    }
    Addresses {
        url: product.as_ref().map(|product| product.url().to_owned()),
        admin_key,
        network_url: network.as_ref().map(|network| network.base_url(false)),
        socket_url: network.as_ref().map(|network| network.socket_url(!line.plain)),
    }
    .print(line.json)?;
    signals.next().await;
    let stop = async {
        if let Some(product) = product {
            product.stop().await;
        }
        if let Some(network) = network {
            network.stop().await;
        }
    };
    tokio::select! {
        () = stop => Ok(()),
        () = signals.next() => std::process::exit(130),
    }
}

async fn start_network(line: &CommandLine, data_dir: &Path) -> anyhow::Result<Network> {
    let config = NetworkConfig {
        port: line.network_port,
        state_dir: Some(data_dir.join("network")),
        seed: line.seed,
        ..NetworkConfig::default()
    };
    Network::start(config).await.context("the simulated network did not start")
}

async fn start_product(
    line: &CommandLine,
    mut config: ServerConfig,
    network: Option<&Network>,
) -> anyhow::Result<Running> {
    let given = line.flags.allow_private.is_some();
    let allowed = if given { config.allow_private } else { AllowPrivate::loopback() };
    config.allow_private = allowed;
    config.whatsapp_url = line.network_url.clone();
    let doubles = match (network, &line.network_url) {
        (Some(network), _) => Some(network.base_url(false)),
        (None, url) => url.as_deref().and_then(plain_address),
    };
    if config.models.provider.is_none() {
        config.models = ModelDefaults {
            provider: Some(Provider::OpenAi),
            base_url: doubles.map(|address| format!("{address}/model/v1")),
            model: Some("chat-double".to_owned()),
            ..config.models
        };
    }
    if let Some(network) = network {
        config.whatsapp_url = Some(network.socket_url(!line.plain));
        // The doubles of the vendors answer there, whatever else is allowed.
        let itself = AllowPrivate::parse(&network.addr().to_string())?;
        config.allow_private = config.allow_private.and(&itself);
    }
    Ok(app::serve(config, Mark::Sandbox).await?)
}

/// Where the network of a socket's address speaks plain HTTP: at the same port.
fn plain_address(socket: &str) -> Option<String> {
    let (_, rest) = socket.split_once("://")?;
    Some(format!("http://{}", rest.split('/').next()?))
}

/// Warnings only, unless asked for: the lines to read first are on stdout.
fn start_logging(log: &LogSettings) -> anyhow::Result<()> {
    let filter = log.filter.clone().unwrap_or_else(|| "warn".to_owned());
    Ok(logging::start(&LogSettings { filter: Some(filter), ..log.clone() })?)
}

/// `point` or `point:nth`, for the test that kills this process at named places.
fn arm(crash: &str) -> anyhow::Result<()> {
    let (name, nth) = crash.split_once(':').unwrap_or((crash, "1"));
    let point = CrashPoint::parse(name).with_context(|| format!("no crash point {name:?}"))?;
    crash_points::arm(point, nth.parse().context("a crash point's count is a number")?);
    Ok(())
}

/// Where everything is kept; an ephemeral one goes with the process.
struct Folder {
    path: PathBuf,
    _removed_at_the_end: Option<tempfile::TempDir>,
}

impl Folder {
    fn of(line: &CommandLine) -> anyhow::Result<Self> {
        if line.ephemeral {
            let folder = tempfile::Builder::new().prefix("flowcore-sandbox-").tempdir()?;
            let path = folder.path().to_owned();
            return Ok(Self { path, _removed_at_the_end: Some(folder) });
        }
        let given = line.flags.data_dir.clone();
        let path = given.unwrap_or_else(|| PathBuf::from("sandbox-data"));
        std::fs::create_dir_all(&path)
            .with_context(|| format!("can't make the folder {}", path.display()))?;
        Ok(Self { path, _removed_at_the_end: None })
    }
}
