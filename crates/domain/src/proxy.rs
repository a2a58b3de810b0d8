//! The way out that an owner chose for one number: a proxy in between.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How a proxy is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProxyProtocol {
    /// `CONNECT` of HTTP/1.1.
    Http,
    /// SOCKS version 5; names are resolved by the proxy.
    Socks5,
}

impl ProxyProtocol {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Socks5 => "socks5",
        }
    }

    /// Reads the name, and those that Evolution has for SOCKS.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "http" => Self::Http,
            "socks" | "socks5" | "socks5h" => Self::Socks5,
            _ => return None,
        })
    }
}

/// A proxy.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proxy {
    /// How it is spoken to.
    pub protocol: ProxyProtocol,
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Who we are there.
    pub username: Option<String>,
    /// The word that goes with it.
    pub password: Option<String>,
}

/// Hosts of proxies and their passwords are nobody's business.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("protocol", &self.protocol).finish_non_exhaustive()
    }
}
