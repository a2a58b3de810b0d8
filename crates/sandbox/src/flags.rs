//! The command line: the product's flags, and the sandbox's own. Each is an environment variable too.

use clap::Parser;
use flowcore_server::config::Flags;

/// The whole product on a simulated WhatsApp network: no phone, no number, no account needed.
#[derive(Debug, Parser)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
#[command(name = "flowcore-sandbox", version, max_term_width = 100)]
pub(crate) struct CommandLine {
    #[command(flatten)]
    pub(crate) flags: Flags,
    /// Port of the simulated network; 0 takes a free one
    #[arg(long, env = "FLOWCORE_NETWORK_PORT", default_value_t = 8080)]
    pub(crate) network_port: u16,
    /// Run the network alone
    #[arg(long, env = "FLOWCORE_NETWORK_ONLY", conflicts_with = "network_url")]
    pub(crate) network_only: bool,
    /// Run the product alone, on the network whose chat socket this is
    #[arg(long, env = "FLOWCORE_NETWORK_URL")]
    pub(crate) network_url: Option<String>,
    /// Print one line of JSON instead of the text
    #[arg(long, env = "FLOWCORE_JSON")]
    pub(crate) json: bool,
    /// Keep everything in a folder that is removed at the end
    #[arg(long, env = "FLOWCORE_EPHEMERAL", conflicts_with = "data_dir")]
    pub(crate) ephemeral: bool,
    /// Dial the network without TLS
    #[arg(long, env = "FLOWCORE_PLAIN")]
    pub(crate) plain: bool,
    /// The same seed gives the same accounts of the network
    #[arg(long, env = "FLOWCORE_SEED", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Where this process dies, for tests: `point` or `point:nth`
    #[arg(long, env = "FLOWCORE_SANDBOX_CRASH_AT", hide = true)]
    pub(crate) crash_at: Option<String>,
}
