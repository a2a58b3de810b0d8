//! How the server is doing, in numbers that are looked up when somebody asks.

use crate::Gateway;
use flowcore_domain::instance::Status;
use flowcore_storage::StorageError;

/// What stands at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vitals {
    /// How many instances have each status.
    pub instances: Vec<(Status, u64)>,
    /// How many deliveries wait for a webhook; more than 100,000 are not counted.
    pub deliveries_waiting: u64,
    /// Tasks that run.
    pub tasks: usize,
}

impl Gateway {
    /// Looks.
    ///
    /// # Errors
    /// When the store can't be asked.
    pub async fn vitals(&self) -> Result<Vitals, StorageError> {
        Ok(Vitals {
            instances: self.shared.store.instances_by_status().await?,
            deliveries_waiting: self.shared.store.deliveries_waiting().await?,
            tasks: self.shared.lifecycle.tracker().len(),
        })
    }
}
