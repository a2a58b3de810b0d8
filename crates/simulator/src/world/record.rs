//! The network's own record of messages, against which tests compare a database.
//!
//! `accepted` holds what senders were told is stored, `acked` what receiving devices confirmed.
//! Each message counts once, in the order of its first time.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

/// A message that the network acked to its sender.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Accepted {
    pub(crate) id: String,
    /// Phone numbers.
    pub(crate) from: String,
    pub(crate) to: String,
}

/// A message that a receiving device acked to the network.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Acked {
    pub(crate) id: String,
    pub(crate) from: String,
    /// Phone number and device id of the receiver.
    pub(crate) to: String,
    pub(crate) device: u16,
}

/// Both lists.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Record {
    accepted: Vec<Accepted>,
    acked: Vec<Acked>,
    #[serde(skip)]
    known_accepted: HashSet<Accepted>,
    #[serde(skip)]
    known_acked: HashSet<Acked>,
}

impl Record {
    pub(crate) fn accept(&mut self, entry: Accepted) {
        if self.known_accepted.insert(entry.clone()) {
            self.accepted.push(entry);
        }
    }

    pub(crate) fn ack(&mut self, entry: Acked) {
        if self.known_acked.insert(entry.clone()) {
            self.acked.push(entry);
        }
    }

    /// After loading: what the lists hold is known.
    pub(crate) fn index(&mut self) {
        self.known_accepted = self.accepted.iter().cloned().collect();
        self.known_acked = self.acked.iter().cloned().collect();
    }

    /// What was accepted from or for a number; everything without one.
    pub(crate) fn accepted(&self, phone: Option<&str>) -> Vec<&Accepted> {
        let of = |entry: &&Accepted| phone.is_none_or(|p| entry.from == p || entry.to == p);
        self.accepted.iter().filter(of).collect()
    }

    /// What the devices of a number acked; everything without one.
    pub(crate) fn acked(&self, phone: Option<&str>) -> Vec<&Acked> {
        self.acked.iter().filter(|entry| phone.is_none_or(|p| entry.to == p)).collect()
    }
}
