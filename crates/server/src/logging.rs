//! Logs: structured lines on stderr, as text or JSON.
//!
//! What may never be in them (message text, numbers, tokens, QR codes) is listed in
//! `docs/logging.md`. The WhatsApp client library logs through the `log` crate and shows addresses
//! and stanzas there under targets of its own naming, so that crate's records are not taken over
//! unless the filter names [`CLIENT`].

use crate::config::{LogFormat, LogSettings};
use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt as _;

/// How the client library's targets begin.
const CLIENT: &str = "Client";

/// A filter that can't be read, or a second call in one process.
#[derive(Debug, thiserror::Error)]
#[error("FLOWCORE_LOG: {0}")]
pub struct LoggingError(String);

/// Starts writing logs to stderr. Once a process, by `main`.
///
/// # Errors
/// [`LoggingError`] when the filter is malformed.
pub fn start(settings: &LogSettings) -> Result<(), LoggingError> {
    let text = settings.filter.as_deref().unwrap_or("info");
    let filter = EnvFilter::try_new(text).map_err(|error| LoggingError(error.to_string()))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match settings.format {
        LogFormat::Text => install(lines.with_ansi(is_terminal()).finish(), shows_client(text)),
        LogFormat::Json => install(lines.json().flatten_event(true).finish(), shows_client(text)),
    }
}

fn install(
    subscriber: impl Subscriber + Send + Sync + 'static,
    with_client: bool,
) -> Result<(), LoggingError> {
    let installed = if with_client {
        subscriber.try_init().map_err(|error| error.to_string())
    } else {
        tracing::subscriber::set_global_default(subscriber).map_err(|error| error.to_string())
    };
    installed.map_err(LoggingError)
}

fn is_terminal() -> bool {
    std::io::IsTerminal::is_terminal(&std::io::stderr())
}

fn shows_client(filter: &str) -> bool {
    filter.split(',').any(|directive| directive.trim().starts_with(CLIENT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_library_is_silent_unless_named() {
        assert!(!shows_client("trace") && !shows_client("debug,flowcore_server=trace"));
        assert!(shows_client("info,Client=debug"));
    }
}
