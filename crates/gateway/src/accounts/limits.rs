//! How many requests a caller may make: by credential, and by address for who has none that is good.
//!
//! GCRA: a burst at once, then a steady rate. In the memory of this process.

use super::{Client, Credential};
use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};
use std::net::IpAddr;
use std::num::NonZeroU32;

/// More callers than this are remembered only as long as they are near their limit.
const REMEMBERED: usize = 50_000;
/// Who comes without a good credential gets a tenth.
const STRANGERS: u32 = 10;

/// The rate of one caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Requests a minute, in the long run.
    pub per_minute: NonZeroU32,
}

impl Default for Rate {
    fn default() -> Self {
        Self { per_minute: NonZeroU32::new(6000).expect("not zero") }
    }
}

/// Whether a request is let through, and what the caller is told about their rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// The burst.
    pub limit: u32,
    /// How much of it is left.
    pub remaining: u32,
    /// Seconds to wait before the next request is let through; `None` when this one was.
    pub wait: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Credential(Credential),
    Address(IpAddr),
    Nowhere,
}

type Limiter =
    RateLimiter<Key, DefaultKeyedStateStore<Key>, DefaultClock, StateInformationMiddleware>;

/// Counts requests.
pub(crate) struct Limits {
    callers: Limiter,
    strangers: Limiter,
    clock: DefaultClock,
}

impl std::fmt::Debug for Limits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limits").finish_non_exhaustive()
    }
}

impl Limits {
    pub(crate) fn new(rate: Rate) -> Self {
        let limiter = |per_minute: NonZeroU32| -> Limiter {
            RateLimiter::keyed(Quota::per_minute(per_minute))
                .with_middleware::<StateInformationMiddleware>()
        };
        let fewer = NonZeroU32::new(rate.per_minute.get() / STRANGERS).unwrap_or(NonZeroU32::MIN);
        Self {
            callers: limiter(rate.per_minute),
            strangers: limiter(fewer),
            clock: DefaultClock::default(),
        }
    }

    /// A request of a recognised caller.
    pub(crate) fn of_caller(&self, credential: Credential) -> Allowance {
        self.ask(&self.callers, Key::Credential(credential))
    }

    /// A request of nobody: without a credential, or with a wrong one.
    pub(crate) fn of_stranger(&self, client: &Client) -> Allowance {
        let key = client.address.map_or(Key::Nowhere, |address| Key::Address(network_of(address)));
        self.ask(&self.strangers, key)
    }

    fn ask(&self, limiter: &Limiter, key: Key) -> Allowance {
        if limiter.len() > REMEMBERED {
            limiter.retain_recent();
        }
        match limiter.check_key(&key) {
            Ok(state) => Allowance {
                limit: state.quota().burst_size().get(),
                remaining: state.remaining_burst_capacity(),
                wait: None,
            },
            Err(refused) => {
                let wait = refused.wait_time_from(self.clock.now()).as_secs_f64().ceil();
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "seconds of a minute"
                )]
                let wait = wait.clamp(1.0, 3600.0) as u32;
                let limit = refused.quota().burst_size().get();
                Allowance { limit, remaining: 0, wait: Some(wait) }
            }
        }
    }
}

/// A home has as many addresses of IPv6 as it wants; they count as one.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::from((v6.to_bits() & (u128::MAX << 64)).to_be_bytes()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fresh_id;

    #[test]
    fn a_burst_passes_and_the_next_waits_while_others_go_on() {
        let limits = Limits::new(Rate { per_minute: NonZeroU32::new(20).expect("not zero") });
        let one = Credential::Key(fresh_id());
        for left in (0..20).rev() {
            let allowance = limits.of_caller(one);
            assert_eq!((allowance.limit, allowance.remaining, allowance.wait), (20, left, None));
        }
        assert!(limits.of_caller(one).wait.is_some_and(|wait| (1..=3).contains(&wait)));
        assert_eq!(limits.of_caller(Credential::Key(fresh_id())).wait, None);
        let stranger = |address: &str| {
            let address = Some(address.parse().expect("an address"));
            limits.of_stranger(&Client { address, agent: None }).wait
        };
        assert_eq!((stranger("2001:db8::1"), stranger("2001:db8::2")), (None, None));
        assert!(stranger("2001:db8::3").is_some(), "the same home");
        assert_eq!(stranger("2001:db8:0:1::1"), None);
    }
}
