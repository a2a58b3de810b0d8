//! From where a request comes: the connection's other end, or who a proxy that we trust says is behind it.
//!
//! `X-Forwarded-For` and `X-Forwarded-Proto` of anybody else are what a stranger typed, and count for nothing.

use crate::app::AppState;
use axum::extract::{Request, State};
use axum::http::{Extensions, HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;
use flowcore_domain::network::Network;
use flowcore_gateway::Client;
use std::net::{IpAddr, SocketAddr};

/// More hops than this are not followed.
const MAX_HOPS: usize = 16;

/// The connection that a request came by; put there by the listener.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    /// Whether it is TLS that ends here.
    pub(crate) tls: bool,
}

/// How a request reached us.
#[derive(Debug, Clone, Default)]
pub(crate) struct Arrival {
    pub(crate) client: Client,
    /// Whether the browser's side of it is encrypted, as far as we can know.
    pub(crate) encrypted: bool,
    /// The host that the caller typed.
    pub(crate) host: String,
}

impl Arrival {
    /// Of a request that came through [`note`].
    pub(crate) fn of(extensions: &Extensions) -> Self {
        extensions.get::<Self>().cloned().unwrap_or_default()
    }

    /// Whether the caller typed the name of their own machine.
    pub(crate) fn is_loopback(&self) -> bool {
        let host = match self.host.strip_prefix('[') {
            Some(v6) => v6.split(']').next().unwrap_or_default(),
            None => self.host.split(':').next().unwrap_or_default(),
        };
        let address = host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        address || host.eq_ignore_ascii_case("localhost") || host.ends_with(".localhost")
    }
}

/// Notes it in the request.
pub(crate) async fn note(
    State(state): State<AppState>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = request.extensions().get::<Peer>().copied();
    let arrival = arrival(peer, request.headers(), &state.settings.trusted_proxies);
    request.extensions_mut().insert(arrival);
    next.run(request).await
}

fn arrival(peer: Option<Peer>, headers: &HeaderMap, trusted: &[Network]) -> Arrival {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.covers(address));
    let direct = peer.map(|peer| peer.address.ip().to_canonical());
    let by_proxy = direct.is_some_and(is_trusted);
    let address = if by_proxy { behind(headers, &is_trusted).or(direct) } else { direct };
    let forwarded = text("x-forwarded-proto").filter(|_| by_proxy);
    Arrival {
        client: Client { address, agent: text("user-agent").map(str::to_owned) },
        encrypted: peer.is_some_and(|peer| peer.tls) || forwarded == Some("https"),
        host: text(header::HOST.as_str()).unwrap_or_default().to_owned(),
    }
}

/// The last address of the chain that no proxy of ours has: what is before it anybody could have written.
fn behind(headers: &HeaderMap, is_trusted: &impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
    let chain: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    let mut last = None;
    for hop in chain.iter().rev().take(MAX_HOPS) {
        let address = hop.parse::<IpAddr>().or_else(|_| hop.parse().map(|at: SocketAddr| at.ip()));
        let address = address.ok()?.to_canonical();
        last = Some(address);
        if !is_trusted(address) {
            break;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(peer: &str, chain: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in chain {
            headers.append("x-forwarded-for", value.parse().expect("a header"));
        }
        headers.insert("x-forwarded-proto", "https".parse().expect("a header"));
        let trusted = Network::parse_list("10.0.0.0/8").expect("a list");
        let address = SocketAddr::new(peer.parse().expect("an address"), 1);
        let arrival = arrival(Some(Peer { address, tls: false }), &headers, &trusted);
        assert_eq!(arrival.encrypted, peer.starts_with("10."));
        arrival.client.address.map(|address| address.to_string())
    }

    #[test]
    fn only_trusted_proxies_say_who_is_behind_them() {
        assert_eq!(from("203.0.113.9", &["1.2.3.4"]).as_deref(), Some("203.0.113.9"));
        assert_eq!(from("10.0.0.1", &["1.2.3.4"]).as_deref(), Some("1.2.3.4"));
        assert_eq!(from("10.0.0.1", &["6.6.6.6, 1.2.3.4, 10.0.0.2"]).as_deref(), Some("1.2.3.4"));
        assert_eq!(from("10.0.0.1", &["6.6.6.6", "1.2.3.4"]).as_deref(), Some("1.2.3.4"));
        assert_eq!(from("10.0.0.1", &[]).as_deref(), Some("10.0.0.1"));
        assert_eq!(from("10.0.0.1", &["1.2.3.4, junk"]).as_deref(), Some("10.0.0.1"));
    }

    #[test]
    fn one_s_own_machine_has_many_names() {
        let typed = |host: &str| Arrival { host: host.to_owned(), ..Arrival::default() };
        for host in ["localhost", "localhost:3000", "127.0.0.1:3000", "[::1]:3000", "a.localhost"] {
            assert!(typed(host).is_loopback(), "{host}");
        }
        for host in ["", "example.com", "127.0.0.1.example.com", "10.0.0.1:3000", "[fe80::1]"] {
            assert!(!typed(host).is_loopback(), "{host}");
        }
    }
}
