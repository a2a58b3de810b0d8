//! Which addresses users' URLs may lead to: the public internet, and what the operator opened.

use flowcore_domain::network::Network;
use std::net::IpAddr;
use std::sync::Arc;
use url::{Host, Url};

/// Private addresses that the operator lets users name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowPrivate(Arc<Vec<Rule>>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Rule {
    /// Every address of a network.
    Network(Network),
    /// A host name, on one port or on all.
    Host { name: String, port: Option<u16> },
}

/// An entry that is neither a host nor a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is neither a host, host:port, address nor network such as 10.0.0.0/8")]
pub struct AllowPrivateError(String);

impl AllowPrivate {
    /// Nothing private is allowed.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// This machine itself, for the sandbox.
    #[must_use]
    pub fn loopback() -> Self {
        Self(Arc::new(Network::loopback().map(Rule::Network).to_vec()))
    }

    /// What either of two lists allows.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self(Arc::new(self.0.iter().chain(other.0.iter()).cloned().collect()))
    }

    /// Reads a comma-separated list of hosts, `host:port`, addresses and networks.
    ///
    /// # Errors
    /// [`AllowPrivateError`] names the entry that is none of these.
    pub fn parse(text: &str) -> Result<Self, AllowPrivateError> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        entries.map(Rule::parse).collect::<Result<Vec<_>, _>>().map(|rules| Self(Arc::new(rules)))
    }

    pub(super) fn allows_address(&self, address: IpAddr) -> bool {
        self.0.iter().any(|rule| rule.covers(address))
    }

    pub(super) fn allows_host(&self, host: &str, port: Option<u16>) -> bool {
        self.0.iter().any(|rule| match rule {
            Rule::Host { name, port: only } => {
                name.eq_ignore_ascii_case(host)
                    && only.is_none_or(|only| port.is_none_or(|p| p == only))
            }
            Rule::Network(_) => false,
        })
    }

    /// Whether the operator named this host, and only with ports that are not this one. The resolver
    /// does not see ports, so what it would let through is refused before.
    fn only_other_ports(&self, host: &str, port: Option<u16>) -> bool {
        self.allows_host(host, None) && !self.allows_host(host, port)
    }
}

impl Rule {
    fn parse(entry: &str) -> Result<Self, AllowPrivateError> {
        let wrong = || AllowPrivateError(entry.to_owned());
        if let Ok(network) = entry.parse() {
            return Ok(Self::Network(network));
        }
        let (name, port) = match entry.rsplit_once(':') {
            Some((name, port)) => (name, Some(port.parse().map_err(|_| wrong())?)),
            None => (entry, None),
        };
        let fits = !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        if fits { Ok(Self::Host { name: name.to_owned(), port }) } else { Err(wrong()) }
    }

    fn covers(&self, address: IpAddr) -> bool {
        matches!(self, Self::Network(network) if network.covers(address))
    }
}

/// Whether an address belongs to the public internet.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_broadcast()
                || v4.is_documentation()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 198 && (b == 18 || b == 19))
                || (a == 192 && b == 0 && c == 0)
                || (a == 192 && b == 88 && c == 99))
        }
        IpAddr::V6(v6) => {
            let s = v6.segments();
            // Global unicast is 2000::/3; inside it the tunnels (6to4, Teredo) and documentation.
            (s[0] & 0xe000) == 0x2000
                && s[0] != 0x2002
                && !(s[0] == 0x2001 && (s[1] < 0x0200 || s[1] == 0x0db8))
                && !(s[0] == 0x3fff && s[1] < 0x1000)
        }
    }
}

/// Checks a URL that a user gave: the scheme, no credentials, and the host where it is an address.
/// Names are checked when they are resolved.
pub(crate) fn check_url(text: &str, allow: &AllowPrivate) -> Result<Url, String> {
    const LONGEST: usize = 2048;
    if text.len() > LONGEST {
        return Err(format!("it has more than {LONGEST} characters"));
    }
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("it must begin with http:// or https://".into());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("put credentials into headers, not into the URL".into());
    }
    let port = url.port_or_known_default();
    let literal = match url.host() {
        None => return Err("it has no host".into()),
        Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
        Some(Host::Domain(name)) => {
            // A dot at the end is the same name.
            let name = name.trim_end_matches('.');
            let local = name == "localhost" || name.ends_with(".localhost");
            let loopback = IpAddr::from([127, 0, 0, 1]);
            if allow.only_other_ports(name, port) {
                return Err("the operator allows this host on another port".into());
            }
            if local && !allow.allows_host(name, port) && !allow.allows_address(loopback) {
                return Err("it leads to this machine".into());
            }
            None
        }
    };
    if let Some(address) = literal
        && !is_public(address)
        && !allow.allows_address(address)
    {
        return Err("it leads to a private address; the operator can allow it".into());
    }
    Ok(url)
}
