//! What of the world outlives the process, and how it comes back.
//!
//! Keys of accounts are derived from the seed again, which is kept for that: a network that was given
//! another one stays what it was. Sockets, faults and statistics end with the process.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::World;
use super::account::{Account, Profile};
use super::app_state::AppState;
use super::device::Device;
use super::groups::Group;
use super::newsletters::Newsletter;
use super::record::Record;

#[derive(Deserialize)]
struct KeptWorld {
    /// Missing in files from before it was kept.
    #[serde(default)]
    seed: Option<u64>,
    accounts: Vec<KeptAccount>,
    by_push_name: BTreeMap<String, String>,
    #[serde(default)]
    groups: BTreeMap<String, Group>,
    #[serde(default)]
    newsletters: BTreeMap<String, Newsletter>,
    record: Record,
    next_number: u64,
    next_id: u64,
    next_seq: u64,
}

#[derive(Deserialize)]
struct KeptAccount {
    phone: String,
    profile: Profile,
    devices: BTreeMap<u16, Device>,
    app_state: AppState,
    peers: std::collections::BTreeSet<String>,
    next_device: u16,
    next_key_index: u32,
}

/// [`KeptWorld`] without copying.
#[derive(Serialize)]
struct WorldView<'a> {
    seed: u64,
    accounts: Vec<AccountView<'a>>,
    by_push_name: BTreeMap<&'a String, &'a String>,
    groups: &'a BTreeMap<String, Group>,
    newsletters: &'a BTreeMap<String, Newsletter>,
    record: &'a Record,
    next_number: u64,
    next_id: u64,
    next_seq: u64,
}

#[derive(Serialize)]
struct AccountView<'a> {
    phone: &'a str,
    profile: &'a Profile,
    devices: &'a BTreeMap<u16, Device>,
    app_state: &'a AppState,
    peers: &'a std::collections::BTreeSet<String>,
    next_device: u16,
    next_key_index: u32,
}

impl World {
    /// The state as JSON.
    pub(crate) fn snapshot(&self) -> serde_json::Result<Vec<u8>> {
        let accounts = self.accounts.values().map(|account| AccountView {
            phone: &account.phone,
            profile: &account.profile,
            devices: &account.devices,
            app_state: &account.app_state,
            peers: &account.peers,
            next_device: account.next_device,
            next_key_index: account.next_key_index,
        });
        let view = WorldView {
            seed: self.seed,
            accounts: accounts.collect(),
            by_push_name: self.by_push_name.iter().collect(),
            groups: &self.groups,
            newsletters: &self.newsletters,
            record: &self.record,
            next_number: self.next_number,
            next_id: self.next_id,
            next_seq: self.next_seq,
        };
        serde_json::to_vec(&view)
    }

    /// Fills a fresh world with a snapshot.
    pub(crate) fn restore(&mut self, snapshot: &[u8]) -> serde_json::Result<()> {
        let kept: KeptWorld = serde_json::from_slice(snapshot)?;
        if let Some(seed) = kept.seed.filter(|seed| *seed != self.seed) {
            tracing::warn!(kept = seed, given = self.seed, "the kept network has another seed");
            self.seed = seed;
        }
        for kept in kept.accounts {
            let mut account = Account::new(self.seed, &kept.phone, &kept.profile.push_name);
            let reinstalls = kept.profile.reinstalls;
            account.profile = kept.profile;
            if reinstalls > 0 {
                account.rekey(self.seed, reinstalls);
            }
            account.devices = kept.devices;
            account.app_state = kept.app_state;
            account.peers = kept.peers;
            account.next_device = kept.next_device;
            account.next_key_index = kept.next_key_index;
            self.adopt(account);
        }
        self.by_push_name = kept.by_push_name.into_iter().collect();
        self.groups = kept.groups;
        self.newsletters = kept.newsletters;
        self.record = kept.record;
        self.record.index();
        self.next_number = kept.next_number;
        self.next_id = kept.next_id;
        self.next_seq = kept.next_seq;
        Ok(())
    }

    /// Forgets everything; live sockets are cut.
    pub(crate) fn reset(&mut self) {
        for registration in self.registrations.values() {
            registration.mailbox.cut();
        }
        let devices = self.accounts.values().flat_map(|account| account.devices.values());
        for link in devices.filter_map(|device| device.link.as_ref()) {
            link.mailbox.cut();
        }
        let fresh = Self::new(self.seed, self.change_signal());
        let (sockets, media_host) = (self.stats.sockets, std::mem::take(&mut self.media_host));
        *self = Self { media_host, ..fresh };
        self.stats.sockets = sockets;
        self.touch();
    }
}
