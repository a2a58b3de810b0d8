//! Networks of addresses, as operators and owners of keys write them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// One address, or all that begin alike (`10.0.0.0/8`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    prefix: u8,
}

/// A text that is neither an address nor a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is neither an address nor a network such as 10.0.0.0/8")]
pub struct NetworkError(pub String);

impl Network {
    /// All addresses whose first `prefix` bits are those of `base`; `None` when there are not so many.
    #[must_use]
    pub fn new(base: IpAddr, prefix: u8) -> Option<Self> {
        let widest = if base.is_ipv4() { 32 } else { 128 };
        (prefix <= widest).then_some(Self { base, prefix })
    }

    /// This machine itself.
    #[must_use]
    pub fn loopback() -> [Self; 2] {
        let (v4, v6) = (IpAddr::from([127, 0, 0, 0]), IpAddr::from(std::net::Ipv6Addr::LOCALHOST));
        [Self { base: v4, prefix: 8 }, Self { base: v6, prefix: 128 }]
    }

    /// Whether an address is in it. An IPv4 address in IPv6's clothes is taken for what it is.
    #[must_use]
    pub fn covers(&self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                base.to_bits() & mask == address.to_bits() & mask
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                base.to_bits() & mask == address.to_bits() & mask
            }
            _ => false,
        }
    }

    /// Reads a list with commas.
    ///
    /// # Errors
    /// [`NetworkError`] names the entry that is none.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, NetworkError> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        entries.map(str::parse).collect()
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let wrong = || NetworkError(text.to_owned());
        if let Some((base, prefix)) = text.split_once('/') {
            let base = base.parse().map_err(|_| wrong())?;
            return Self::new(base, prefix.parse().map_err(|_| wrong())?).ok_or_else(wrong);
        }
        let base: IpAddr = text.trim_matches(['[', ']']).parse().map_err(|_| wrong())?;
        Ok(Self { base, prefix: if base.is_ipv4() { 32 } else { 128 } })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_covers_its_addresses_in_every_spelling() {
        let covers = |network: &str, address: &str| {
            let network: Network = network.parse().expect("a network");
            network.covers(address.parse().expect("an address"))
        };
        assert!(covers("10.0.0.0/8", "10.1.2.3") && covers("10.0.0.0/8", "::ffff:10.1.2.3"));
        assert!(!covers("10.0.0.0/8", "11.0.0.1") && covers("0.0.0.0/0", "11.0.0.1"));
        assert!(covers("192.168.1.7", "192.168.1.7") && !covers("192.168.1.7", "192.168.1.8"));
        assert!(covers("2001:db8::/32", "2001:db8::1") && !covers("2001:db8::/32", "2001:db9::1"));
        assert!(!covers("::/0", "10.0.0.1"));
        for wrong in ["10.0.0.0/33", "example.com", "10.0.0", "", "10.0.0.0/-1"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
        assert_eq!(Network::parse_list(" 10.0.0.1 , ,::1").expect("a list").len(), 2);
    }
}
