//! The one place where HTTP clients are made: with time-outs, without redirects, and with a guard that
//! keeps users' URLs away from private addresses.
//!
//! The guard works twice. A host that is an address literal (in any of its spellings) never reaches
//! the resolver, so the parsed URL is checked before the request. A name is checked when it is
//! resolved, and the address that was checked is the one that is dialed: there is no gap for a name
//! that changes its mind. Of an answer only the beginning is read, however much a receiver sends.

mod addresses;
#[cfg(test)]
mod tests;

pub(crate) use addresses::check_url;
pub use addresses::{AllowPrivate, AllowPrivateError};

use flowcore_domain::proxy::Proxy;
use flowcore_engines::ProxyGuard;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How long a receiver may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// How long a receiver may take to accept the connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// How long the body of an answer may take once its status is there: nothing depends on it.
const BODY_WITHIN: Duration = Duration::from_secs(2);
/// Idle connections that are kept to one receiver.
const IDLE_PER_HOST: usize = 8;
/// No more of a body is read than this.
const MAX_BODY: usize = 64 << 10;

/// How long an exchange may take.
#[derive(Debug, Clone, Copy)]
struct Limits {
    connect: Duration,
    answer: Duration,
}

const LIMITS: Limits = Limits { connect: CONNECT_WITHIN, answer: ANSWER_WITHIN };

/// The machine's own resolver.
struct SystemNames;

impl Resolve for SystemNames {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Resolves names and gives only addresses that may be dialed.
struct GuardedNames<N> {
    names: N,
    allow: AllowPrivate,
}

impl<N: Resolve> Resolve for GuardedNames<N> {
    fn resolve(&self, name: Name) -> Resolving {
        let allow = self.allow.clone();
        let trusted = allow.allows_host(name.as_str().trim_end_matches('.'), None);
        let found = self.names.resolve(name);
        Box::pin(async move {
            let may_be_dialed = |at: &SocketAddr| {
                trusted || addresses::is_public(at.ip()) || allow.allows_address(at.ip())
            };
            let allowed: Vec<SocketAddr> = found.await?.filter(may_be_dialed).collect();
            if allowed.is_empty() {
                return Err("the name leads to private addresses only".into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Which addresses the proxies of users may have: the same that their URLs may have. The operator's own may
/// be anywhere.
pub(crate) fn proxy_guard(allow: &AllowPrivate, own: Option<&Proxy>) -> ProxyGuard {
    let allow = allow.clone();
    let own = own.map(|proxy| (proxy.host.clone(), proxy.port));
    ProxyGuard::new(move |host, port, address| {
        own.as_ref().is_some_and(|own| (own.0.as_str(), own.1) == (host, port))
            || allow.allows_host(host, Some(port))
            || addresses::is_public(address)
            || allow.allows_address(address)
    })
}

/// A client for URLs that users give.
pub(crate) fn guarded(allow: &AllowPrivate) -> Result<reqwest::Client, reqwest::Error> {
    client(GuardedNames { names: SystemNames, allow: allow.clone() }, LIMITS)
}

/// How long a model may take for the whole of its answer.
const MODEL_WITHIN: Duration = Duration::from_secs(120);

/// A client for models at addresses that users give.
pub(crate) fn guarded_for_models(allow: &AllowPrivate) -> Result<reqwest::Client, reqwest::Error> {
    let limits = Limits { answer: MODEL_WITHIN, ..LIMITS };
    client(GuardedNames { names: SystemNames, allow: allow.clone() }, limits)
}

/// A client for the models that the operator chose: they may be anywhere, on this machine too.
pub(crate) fn trusted_for_models() -> Result<reqwest::Client, reqwest::Error> {
    client(SystemNames, Limits { answer: MODEL_WITHIN, ..LIMITS })
}

#[expect(clippy::disallowed_methods, reason = "this is where clients are made")]
fn client<N: Resolve + 'static>(
    names: N,
    limits: Limits,
) -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .dns_resolver(Arc::new(names))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(limits.connect)
        .timeout(limits.answer)
        .pool_max_idle_per_host(IDLE_PER_HOST)
        .user_agent(concat!("Flowcore/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// The first `keep` bytes of an answer's body. A short body is read to its end, so that the connection
/// can be used again; of a long or slow one the rest stays unread and the connection is closed.
pub(crate) async fn beginning(mut answer: reqwest::Response, keep: usize) -> Vec<u8> {
    let mut kept = Vec::new();
    let read = async {
        let mut seen = 0;
        while let Ok(Some(chunk)) = answer.chunk().await {
            seen += chunk.len();
            kept.extend_from_slice(&chunk[..chunk.len().min(keep - kept.len())]);
            if seen > MAX_BODY {
                break;
            }
        }
    };
    // The status has arrived; a body that does not come changes nothing.
    let _ = tokio::time::timeout(BODY_WITHIN, read).await;
    kept
}
