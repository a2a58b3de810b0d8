//! What the network knows: accounts, their devices and queues, the record, the faults.
//!
//! One value behind one lock that is never held across an await: a stanza is handled by plain
//! functions on the world, and what other devices shall receive is put into their queues, from
//! which their sockets pull. So acceptance order is delivery order.

pub(crate) mod account;
pub(crate) mod app_state;
pub(crate) mod device;
pub(crate) mod encoding;
pub(crate) mod faults;
pub(crate) mod groups;
pub(crate) mod media;
pub(crate) mod newsletters;
pub(crate) mod queue;
pub(crate) mod record;
pub(crate) mod snapshot;
pub(crate) mod stats;
pub(crate) mod trust;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::time::Instant;
use wacore_binary::{Jid, Node, Server};

use crate::calls::Call;
use crate::keys;
use crate::pairing::Registration;
use crate::socket::mailbox::SocketId;
use account::Account;
use device::Device;
use faults::{FaultKind, Faults};
use groups::Group;
use media::Media;
use newsletters::Newsletter;
use queue::{Class, Queued};
use record::Record;
use stats::Stats;

/// First of the numbers that the network gives out itself: a range reserved for fiction.
const FIRST_NUMBER: u64 = 15_550_100_001;

/// One device of one account. Device 0 is the phone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct DeviceAddress {
    pub(crate) phone: String,
    pub(crate) device: u16,
}

/// Everything the network knows.
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) accounts: BTreeMap<String, Account>,
    by_lid: HashMap<String, String>,
    by_push_name: HashMap<String, String>,
    /// By id, the part of the address before `@`.
    pub(crate) groups: BTreeMap<String, Group>,
    pub(crate) newsletters: BTreeMap<String, Newsletter>,
    /// Connections that show a QR code.
    pub(crate) registrations: HashMap<SocketId, Registration>,
    /// When codes were asked for a number of late.
    pub(crate) code_requests: HashMap<String, Vec<Instant>>,
    /// Who wants to hear of an account's presence: account to subscribers.
    pub(crate) presence_subscribers: HashMap<String, HashSet<DeviceAddress>>,
    pub(crate) record: Record,
    pub(crate) faults: Faults,
    pub(crate) media: Media,
    pub(crate) calls: VecDeque<Call>,
    pub(crate) stats: Stats,
    /// Host and port of the listener, where media are.
    pub(crate) media_host: String,
    next_number: u64,
    next_id: u64,
    next_seq: u64,
    /// Told at every change that should outlive a restart.
    changed: Arc<Notify>,
}

impl World {
    pub(crate) fn new(seed: u64, changed: Arc<Notify>) -> Self {
        Self {
            seed,
            accounts: BTreeMap::new(),
            by_lid: HashMap::new(),
            by_push_name: HashMap::new(),
            groups: BTreeMap::new(),
            newsletters: BTreeMap::new(),
            registrations: HashMap::new(),
            code_requests: HashMap::new(),
            presence_subscribers: HashMap::new(),
            record: Record::default(),
            faults: Faults::default(),
            media: Media::default(),
            calls: VecDeque::new(),
            stats: Stats::default(),
            media_host: String::new(),
            next_number: FIRST_NUMBER,
            next_id: 0,
            next_seq: 0,
            changed,
        }
    }

    /// Says that something worth keeping changed.
    pub(crate) fn touch(&self) {
        self.changed.notify_one();
    }

    /// What [`World::touch`] tells.
    pub(crate) fn change_signal(&self) -> Arc<Notify> {
        Arc::clone(&self.changed)
    }

    /// An id for a stanza of the server's own.
    pub(crate) fn stanza_id(&mut self, purpose: &str) -> String {
        self.next_id += 1;
        let digest = keys::derive_number(self.seed, purpose, &self.next_id.to_string());
        format!("{digest:016X}")
    }

    /// A picture's id: newer pictures have greater ones.
    pub(crate) fn next_picture_id(&mut self) -> String {
        self.next_id += 1;
        (crate::clock::unix_seconds() * 1000 + self.next_id % 1000).to_string()
    }

    /// Bytes for a pairing reference, a token, a message id.
    pub(crate) fn next_bytes(&mut self, purpose: &str) -> [u8; 32] {
        self.next_id += 1;
        keys::derive(self.seed, purpose, &self.next_id.to_string())
    }

    /// The account of this phone number, made when it is new.
    pub(crate) fn account_for(&mut self, phone: &str, push_name: Option<&str>) -> &mut Account {
        if !self.accounts.contains_key(phone) {
            let name = push_name.map_or_else(|| format!("Phone {phone}"), ToOwned::to_owned);
            let account = Account::new(self.seed, phone, &name);
            self.adopt(account);
            self.touch();
        }
        self.accounts.get_mut(phone).expect("made above when it was missing")
    }

    /// The account that a push name stands for: the same name is the same phone.
    pub(crate) fn account_named(&mut self, push_name: &str) -> String {
        if let Some(phone) = self.by_push_name.get(push_name) {
            return phone.clone();
        }
        let phone = self.free_number();
        self.account_for(&phone, Some(push_name));
        self.by_push_name.insert(push_name.to_owned(), phone.clone());
        phone
    }

    /// The next number that nobody has.
    pub(crate) fn free_number(&mut self) -> String {
        loop {
            let phone = self.next_number.to_string();
            self.next_number += 1;
            if !self.accounts.contains_key(&phone) {
                return phone;
            }
        }
    }

    fn adopt(&mut self, account: Account) {
        self.by_lid.insert(account.lid.clone(), account.phone.clone());
        self.accounts.insert(account.phone.clone(), account);
    }

    /// The phone number behind a user address, phone or LID.
    pub(crate) fn phone_of(&self, jid: &Jid) -> Option<String> {
        match jid.server {
            Server::Pn | Server::Legacy => {
                self.accounts.contains_key(jid.user.as_str()).then(|| jid.user.to_string())
            }
            Server::Lid => self.by_lid.get(jid.user.as_str()).cloned(),
            _ => None,
        }
    }

    /// The device that a device address names, when the account exists.
    pub(crate) fn address_of(&self, jid: &Jid) -> Option<DeviceAddress> {
        Some(DeviceAddress { phone: self.phone_of(jid)?, device: jid.device })
    }

    pub(crate) fn device(&self, address: &DeviceAddress) -> Option<&Device> {
        self.accounts.get(&address.phone)?.devices.get(&address.device)
    }

    pub(crate) fn device_mut(&mut self, address: &DeviceAddress) -> Option<&mut Device> {
        self.accounts.get_mut(&address.phone)?.devices.get_mut(&address.device)
    }

    /// All linked devices of an account.
    pub(crate) fn companions(&self, phone: &str) -> Vec<DeviceAddress> {
        let Some(account) = self.accounts.get(phone) else { return Vec::new() };
        account
            .devices
            .keys()
            .map(|device| DeviceAddress { phone: phone.to_owned(), device: *device })
            .collect()
    }

    /// All linked devices of an account but this one.
    pub(crate) fn siblings(&self, address: &DeviceAddress) -> Vec<DeviceAddress> {
        let mut devices = self.companions(&address.phone);
        devices.retain(|found| found != address);
        devices
    }

    /// Puts a stanza into a device's queue and wakes its socket. A phone has no queue: what is
    /// addressed to it ends here.
    pub(crate) fn deliver(&mut self, to: &DeviceAddress, class: Class, stanza: Node) {
        self.next_seq += 1;
        let entry = Queued::new(self.next_seq, class, stanza);
        let waiting = self.device(to).and_then(Device::last_message_waiting);
        let overtaken = waiting.filter(|_| {
            class == Class::Message && self.faults.strike(FaultKind::Reorder, &to.phone).is_some()
        });
        let Some(device) = self.device_mut(to) else { return };
        match overtaken {
            Some(place) => device.queue.push_overtaking(entry, place),
            None => device.queue.push(entry),
        }
        if let Some(link) = &device.link {
            link.mailbox.wake();
        }
        self.touch();
    }

    /// Two accounts that know each other hear of each other's device changes.
    pub(crate) fn acquaint(&mut self, one: &str, other: &str) {
        for (phone, peer) in [(one, other), (other, one)] {
            if let Some(account) = self.accounts.get_mut(phone)
                && phone != peer
                && !account.peers.contains(peer)
            {
                account.peers.insert(peer.to_owned());
            }
        }
    }
}
