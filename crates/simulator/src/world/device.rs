//! A linked device: its keys as the server holds them, its queue, its socket.

use std::collections::VecDeque;

use buffa::Message;
use serde::{Deserialize, Serialize};
use wacore_binary::Node;
use waproto::whatsapp::ADVSignedDeviceIdentity;

use super::encoding::base64_bytes;
use super::queue::Queue;
use crate::clock::unix_seconds;
use crate::socket::mailbox::{Mailbox, SocketId};

/// A signed prekey's public half.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SignedKey {
    pub(crate) id: u32,
    #[serde(with = "base64_bytes")]
    pub(crate) public: [u8; 32],
    #[serde(with = "base64_bytes")]
    pub(crate) signature: [u8; 64],
}

/// A one-time prekey's public half.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OneTimeKey {
    pub(crate) id: u32,
    #[serde(with = "base64_bytes")]
    pub(crate) public: [u8; 32],
}

/// The Signal keys that a device keeps at the server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct DeviceKeys {
    #[serde(with = "base64_bytes")]
    pub(crate) noise: [u8; 32],
    #[serde(with = "base64_bytes")]
    pub(crate) identity: [u8; 32],
    pub(crate) registration: u32,
    pub(crate) signed: SignedKey,
    pub(crate) one_time: VecDeque<OneTimeKey>,
    /// The `ADVSignedDeviceIdentity` with both signatures, shown to whoever fetches a bundle.
    #[serde(with = "base64_bytes")]
    pub(crate) adv: Vec<u8>,
}

impl DeviceKeys {
    /// Whether this is the identity that phone and device signed when they were linked. Some
    /// clients leave the account's key out, which everybody knows.
    pub(crate) fn is_identity(&self, shown: &[u8]) -> bool {
        let read = |bytes| ADVSignedDeviceIdentity::decode_from_slice(bytes).ok();
        shown == self.adv
            || read(shown).zip(read(&self.adv)).is_some_and(|(shown, own)| {
                shown.details == own.details
                    && shown.account_signature == own.account_signature
                    && shown.device_signature == own.device_signature
            })
    }
}

/// One linked device.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Device {
    pub(crate) keys: DeviceKeys,
    pub(crate) key_index: u32,
    pub(crate) linked_at: u64,
    /// Whether the phone has greeted it: key share sent, peers told. Happens after its first
    /// prekey upload, since nobody can write to it before.
    pub(crate) welcomed: bool,
    pub(crate) queue: Queue,
    #[serde(skip)]
    pub(crate) link: Option<Link>,
}

impl Device {
    /// A device that was just linked.
    pub(crate) fn new(keys: DeviceKeys, key_index: u32) -> Self {
        Self {
            keys,
            key_index,
            linked_at: unix_seconds(),
            welcomed: false,
            queue: Queue::default(),
            link: None,
        }
    }

    /// Where in the queue the last message is that no socket was given yet.
    pub(crate) fn last_message_waiting(&self) -> Option<usize> {
        self.queue.last_message(self.link.as_ref().map_or(0, |link| link.cursor))
    }

    /// Whether the device has a socket that asked for its messages.
    pub(crate) fn is_active(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.active)
    }
}

/// A device's live connection.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) socket: SocketId,
    pub(crate) mailbox: Mailbox,
    /// Set by the client's `<active/>`; before it nothing is delivered.
    pub(crate) active: bool,
    /// Sequence number of the last entry written to this socket.
    pub(crate) cursor: u64,
    /// What announces the offline queue; written before anything of it.
    pub(crate) preface: Option<Node>,
    /// The offline queue on its way, until `<offline/>` ends it.
    pub(crate) drain: Option<Drain>,
    /// Chat states that are told once the offline queue is handed over.
    pub(crate) afterwards: Vec<Node>,
    /// What the client's presence says.
    pub(crate) available: bool,
}

impl Link {
    pub(crate) fn new(socket: SocketId, mailbox: Mailbox) -> Self {
        Self {
            socket,
            mailbox,
            active: false,
            cursor: 0,
            preface: None,
            drain: None,
            afterwards: Vec::new(),
            available: false,
        }
    }
}

/// Progress of handing over the offline queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Drain {
    /// Last entry that belongs to it.
    pub(crate) end: u64,
    pub(crate) total: usize,
    /// How many more may go out before the client asks for more.
    pub(crate) budget: usize,
}
