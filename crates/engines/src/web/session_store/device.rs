//! The device: account, identity and noise keys, counters. One entry, in JSON.

use std::sync::Arc;

use async_trait::async_trait;
use flowcore_domain::session_store::Change;
use wacore::stats::StorageResourceReport;
use wacore::store::Device;
use wacore::store::device::DEVICE_PROPS;
use wacore::store::error::Result;
use wacore::store::traits::DeviceStore;

use super::keys::{DEVICE, DEVICE_KEY};
use super::{PortBackend, values};

/// The number the client gets for its device; a session has exactly one.
const ONLY_DEVICE: i32 = 1;

#[async_trait]
impl DeviceStore for PortBackend {
    async fn save(&self, device: &Device) -> Result<()> {
        self.write(vec![Change::put(DEVICE, DEVICE_KEY, values::to_json(device)?)]).await
    }

    async fn load(&self) -> Result<Option<Device>> {
        let Some(json) = self.get(DEVICE, DEVICE_KEY).await? else {
            return Ok(None);
        };
        let mut device: Device = values::from_json(&json)?;
        // Not part of the stored form, and empty after reading; the client expects its defaults.
        device.device_props = Arc::new(DEVICE_PROPS.clone());
        Ok(Some(device))
    }

    async fn exists(&self) -> Result<bool> {
        Ok(self.get(DEVICE, DEVICE_KEY).await?.is_some())
    }

    async fn create(&self) -> Result<i32> {
        if !self.exists().await? {
            self.save(&Device::new()).await?;
        }
        Ok(ONLY_DEVICE)
    }

    /// What the store itself keeps in memory belongs to all sessions together.
    async fn resource_report(&self) -> StorageResourceReport {
        StorageResourceReport { memory_bytes: Some(0), ..StorageResourceReport::default() }
    }
}
