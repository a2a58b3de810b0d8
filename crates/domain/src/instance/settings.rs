//! What the owner of an instance can switch.

use serde::{Deserialize, Serialize};

/// Settings of an instance. Stored as columns of `whatsapp_instances`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Settings {
    /// Messages of groups are neither stored nor reported.
    pub groups_ignore: bool,
    /// Incoming messages are marked as read by themselves.
    pub read_messages: bool,
}
