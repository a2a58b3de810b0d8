//! What is printed once everything is ready: three lines and what to try first, or one of JSON.

use serde_json::json;
use std::fmt::Write as _;
use std::io::{self, Write as _};

/// Where things are; what a half does not have is absent.
pub(crate) struct Addresses {
    pub(crate) url: Option<String>,
    pub(crate) admin_key: Option<String>,
    pub(crate) network_url: Option<String>,
    pub(crate) socket_url: Option<String>,
}

impl Addresses {
    /// Writes it and flushes: who started us waits for it.
    pub(crate) fn print(&self, as_json: bool) -> io::Result<()> {
        let text = if as_json { self.json() } else { self.text() };
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    fn json(&self) -> String {
        let line = json!({
            "url": self.url,
            "adminKey": self.admin_key,
            "adminUser": null,
            "adminPassword": null,
            "networkUrl": self.network_url,
            "socketUrl": self.socket_url,
            "pid": std::process::id(),
        });
        format!("{line}\n")
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let lines = [
            ("Dashboard", &self.url),
            ("Admin key", &self.admin_key),
            ("Phones", &self.network_url),
        ];
        for (name, value) in lines {
            if let Some(value) = value {
                let _ = writeln!(text, "{name:<10} {value}");
            }
        }
        match (&self.url, &self.admin_key, &self.network_url) {
            (Some(url), Some(key), Some(phones)) => text.push_str(&first_steps(url, key, phones)),
            _ => {
                if let Some(socket) = &self.socket_url {
                    let _ = writeln!(text, "{:<10} {socket}", "Socket");
                }
            }
        }
        text
    }
}

/// Commands that work as they are printed.
fn first_steps(url: &str, key: &str, phones: &str) -> String {
    format!(
        "
WhatsApp is simulated here: no phone and no real number is involved. Try first:

  1. Open the dashboard, sign in with the admin key, make an instance \"shop\": it shows a QR code.
     Or: curl -s {url}/api/whatsapp/connect -H 'apikey: {key}' -H 'content-type: application/json' \\
           -d '{{\"instanceName\":\"shop\"}}'
  2. Let a simulated phone scan it (the text is \"qrcode\" in the answer above):
     curl -s {phones}/admin/mock-phone/scan-qr --data-binary '<qrcode>'
  3. A customer with a phone, who writes to your number (\"phone\" in the answer to the scan):
     curl -s {phones}/admin/contacts -H 'content-type: application/json' -d '{{\"name\":\"Ana\"}}'

The README has the whole walk. Ctrl-C stops everything.
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_three_lines_are_the_addresses_and_the_key() {
        let addresses = Addresses {
            url: Some("http://127.0.0.1:3000".to_owned()),
            admin_key: Some("k".repeat(32)),
            network_url: Some("http://127.0.0.1:8080".to_owned()),
            socket_url: Some("wss://127.0.0.1:8080/ws/chat".to_owned()),
        };
        let text = addresses.text();
        let values: Vec<_> =
            text.lines().take(3).filter_map(|line| line.split(' ').next_back()).collect();
        assert_eq!(values, ["http://127.0.0.1:3000", &"k".repeat(32), "http://127.0.0.1:8080"]);
    }

    #[test]
    fn a_half_has_null_for_what_it_lacks() {
        let network = Addresses {
            url: None,
            admin_key: None,
            network_url: None,
            socket_url: Some("s".into()),
        };
        let line: serde_json::Value = serde_json::from_str(&network.json()).expect("JSON");
        assert!(line["url"].is_null() && line["adminKey"].is_null() && line["pid"].is_number());
    }
}
