//! "Connected" means proven: something came from WhatsApp lately, or a ping was answered.
//!
//! A socket can be open with nobody behind it: a router forgot the connection, a machine slept, a proxy
//! holds it. The client pings when nothing comes and hangs up when nothing answers, which takes it most
//! of a minute; and it can be stuck itself. So each connection is watched from outside. The stages, each
//! tried when the one before did not help: a ping; a new connection; a new client on the stored state.

use std::time::Duration;
use tokio::time::Instant;
use wacore::iq::keepalive::KeepaliveSpec;
use wacore::protocol::keepalive::{DEAD_SOCKET_TIME, ms_since};
use whatsapp_rust::Client;

/// A linked number that is not logged in so long after it dialled will not be any more.
const LOGIN_WITHIN: Duration = Duration::from_secs(90);

/// When a connection is doubted, and how long it has to prove itself.
#[derive(Debug, Clone, Copy)]
pub struct Watch {
    /// A connection on which nothing came for so long is asked. WhatsApp answers the client's own pings
    /// every 15 to 30 seconds.
    pub silence: Duration,
    /// How long the answer may take.
    pub answer: Duration,
}

impl Default for Watch {
    fn default() -> Self {
        Self { silence: Duration::from_secs(35), answer: Duration::from_secs(10) }
    }
}

/// Returns when the connection of `client` did not prove itself. Never, while it does.
pub(super) async fn stalled(client: &Client, watch: Watch) {
    let dialled = Instant::now();
    loop {
        if !client.is_logged_in() {
            if client.pn().is_some() && dialled.elapsed() > LOGIN_WITHIN {
                return;
            }
            tokio::time::sleep(watch.silence).await;
            continue;
        }
        let left = watch.silence.saturating_sub(quiet(client));
        if !left.is_zero() {
            tokio::time::sleep(left).await;
            continue;
        }
        if !is_answered(client, watch).await && quiet(client) >= watch.silence {
            return;
        }
    }
}

/// Whether nothing came for so long that the client itself gives a connection up.
pub(super) fn was_silent(client: &Client) -> bool {
    quiet(client) > DEAD_SOCKET_TIME
}

async fn is_answered(client: &Client, watch: Watch) -> bool {
    metrics::counter!("flowcore_watchdog_pings_total").increment(1);
    let ping = client.execute(KeepaliveSpec::with_timeout(watch.answer));
    // The limit once more from outside: a client that is stuck does not look at its own.
    let answered = tokio::time::timeout(watch.answer * 2, ping).await;
    matches!(answered, Ok(Ok(())))
}

/// Since when nothing came.
fn quiet(client: &Client) -> Duration {
    let since = ms_since(client.stats().last_data_received_ms);
    since.map_or(Duration::ZERO, Duration::from_millis)
}
