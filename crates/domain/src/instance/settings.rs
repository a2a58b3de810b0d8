//! What the owner of an instance can switch.

use crate::clock::Millis;
use crate::event::EventKind;
use serde::{Deserialize, Serialize};

/// Longest text that answers a rejected call, in characters.
pub const MAX_REJECTION: usize = 1000;

/// Settings of an instance. Stored as columns of `whatsapp_instances`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Settings {
    /// Calls are rejected by themselves.
    pub reject_calls: bool,
    /// What a caller is told then; empty tells nothing.
    pub reject_calls_message: String,
    /// Messages of groups are neither stored nor reported.
    pub groups_ignore: bool,
    /// The number shows as online while it is connected.
    pub always_online: bool,
    /// Incoming messages are marked as read by themselves.
    pub read_messages: bool,
    /// Status updates of others are taken in and marked as read.
    pub read_status: bool,
    /// A new link asks the phone for all of its history.
    pub sync_full_history: bool,
}

/// What Socket.IO tells of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveSelection {
    /// Whether anything is told at all.
    pub enabled: bool,
    /// Which events; empty means all.
    pub events: Vec<EventKind>,
    /// When it was first set.
    pub created_at: Millis,
    /// When it was set last.
    pub updated_at: Millis,
}
