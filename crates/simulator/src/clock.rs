//! The network's clock: unix seconds as stanzas carry them.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970; what `t` attributes hold.
#[expect(clippy::disallowed_methods, reason = "this is the network's one look at the clock")]
pub(crate) fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}
