//! Logs: structured lines on stderr, as text or JSON.
//!
//! What may never be in them (message text, numbers, tokens, QR codes) is listed in
//! `docs/logging.md`. The WhatsApp client library logs through the `log` crate and shows addresses
//! and stanzas there, so its modules are off unless the filter names them.

use crate::config::{LogFormat, LogSettings};
use tracing_subscriber::EnvFilter;

/// The client library's modules.
const SILENCED: [&str; 3] = ["whatsapp_rust", "wacore", "waproto"];

/// A filter that can't be read, or a second call in one process.
#[derive(Debug, thiserror::Error)]
#[error("FLOWCORE_LOG: {0}")]
pub struct LoggingError(String);

/// Starts writing logs to stderr. Once a process, by `main`.
///
/// # Errors
/// [`LoggingError`] when the filter is malformed.
pub fn start(settings: &LogSettings) -> Result<(), LoggingError> {
    let filter = EnvFilter::try_new(filter_text(settings.filter.as_deref()))
        .map_err(|error| LoggingError(error.to_string()))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match settings.format {
        LogFormat::Text => lines.with_ansi(is_terminal()).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| LoggingError(error.to_string()))
}

fn is_terminal() -> bool {
    std::io::IsTerminal::is_terminal(&std::io::stderr())
}

fn filter_text(given: Option<&str>) -> String {
    let mut filter = given.unwrap_or("info").to_owned();
    for module in SILENCED {
        if !filter.contains(module) {
            filter.push_str(&format!(",{module}=off"));
        }
    }
    filter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_library_is_silent_unless_asked_for() {
        assert_eq!(filter_text(None), "info,whatsapp_rust=off,wacore=off,waproto=off");
        let asked = filter_text(Some("debug,wacore=debug"));
        assert_eq!(asked, "debug,wacore=debug,whatsapp_rust=off,waproto=off");
        assert!(EnvFilter::try_new(asked).is_ok());
    }
}
