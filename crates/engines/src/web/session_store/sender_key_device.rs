//! Which devices of a group already have our sender key.
//!
//! One entry per group with all its devices, not one per device: a send reads the whole group, and
//! a large group would otherwise cost thousands of sealed rows.

use std::collections::BTreeMap;

use flowcore_domain::session_store::Change;
use wacore::store::error::Result;

use super::keys::{self, SENDER_KEY_DEVICES};
use super::{PortBackend, values};

/// `true` for a device that has the key, `false` for one that needs it again.
type Devices = BTreeMap<String, bool>;

impl PortBackend {
    pub(super) async fn sender_key_devices(&self, group: &str) -> Result<Devices> {
        match self.get(SENDER_KEY_DEVICES, &keys::part(group)).await? {
            Some(json) => values::from_json(&json),
            None => Ok(Devices::new()),
        }
    }

    pub(super) async fn mark_sender_key_devices(
        &self,
        group: &str,
        entries: &[(&str, bool)],
    ) -> Result<()> {
        let _turn = self.turns.sender_key_devices.lock().await;
        let mut devices = self.sender_key_devices(group).await?;
        let mut changed = false;
        for &(device, has_key) in entries {
            changed |= devices.insert(device.to_owned(), has_key) != Some(has_key);
        }
        if !changed {
            return Ok(());
        }
        self.write(vec![change(keys::part(group).into_owned(), &devices)?]).await
    }

    /// Forgets these devices in every group.
    pub(super) async fn forget_sender_key_devices(&self, gone: &[&str]) -> Result<()> {
        if gone.is_empty() {
            return Ok(());
        }
        let _turn = self.turns.sender_key_devices.lock().await;
        let mut changes = Vec::new();
        for (key, json) in self.scan(SENDER_KEY_DEVICES, "").await? {
            let mut devices: Devices = values::from_json(&json)?;
            let before = devices.len();
            for device in gone {
                devices.remove(*device);
            }
            if devices.len() < before {
                changes.push(change(key, &devices)?);
            }
        }
        self.write(changes).await
    }

    pub(super) async fn forget_sender_keys_of_group(&self, group: &str) -> Result<()> {
        let _turn = self.turns.sender_key_devices.lock().await;
        self.write(vec![Change::delete(SENDER_KEY_DEVICES, keys::part(group))]).await
    }

    pub(super) async fn forget_sender_keys_of_all_groups(&self) -> Result<()> {
        let _turn = self.turns.sender_key_devices.lock().await;
        self.delete_prefix(SENDER_KEY_DEVICES, "").await
    }
}

fn change(key: String, devices: &Devices) -> Result<Change> {
    if devices.is_empty() {
        return Ok(Change::delete(SENDER_KEY_DEVICES, key));
    }
    Ok(Change::put(SENDER_KEY_DEVICES, key, values::to_json(devices)?))
}
