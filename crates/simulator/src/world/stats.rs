//! Counters of the network.

use std::collections::BTreeMap;

/// What happened so far.
#[derive(Debug, Default, Clone)]
pub(crate) struct Stats {
    pub(crate) sockets: usize,
    pub(crate) stanzas_in: u64,
    pub(crate) stanzas_out: u64,
    /// Sockets closed because what they sent was no protocol, by reason.
    pub(crate) refused: BTreeMap<String, u64>,
    /// Handshakes finished, by pattern.
    pub(crate) handshakes: BTreeMap<&'static str, u64>,
    /// Answered iqs, by namespace, type and child.
    pub(crate) iqs: BTreeMap<String, u64>,
    /// Iqs and stanzas nobody handles: the fastest way to find a gap.
    pub(crate) unknown: BTreeMap<String, u64>,
    /// Patches of app state answered by 409: another device was faster.
    pub(crate) conflicts: u64,
    /// Silent clients that were asked for a sign.
    pub(crate) pings: u64,
    /// Acks that carried an error.
    pub(crate) client_nacks: u64,
}

impl Stats {
    pub(crate) fn count(table: &mut BTreeMap<String, u64>, key: String) {
        *table.entry(key).or_default() += 1;
    }
}
