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
    /// What a connected number takes, in bytes of resident memory: what the process has beyond that with
    /// which the services began, shared among those that are connected. `None` while nobody is, or where
    /// the system does not tell.
    pub memory_each: Option<u64>,
}

/// Resident memory of this process in bytes, where the system tells.
#[must_use]
pub fn resident_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

impl Gateway {
    /// Looks.
    ///
    /// # Errors
    /// When the store can't be asked.
    pub async fn vitals(&self) -> Result<Vitals, StorageError> {
        let instances = self.shared.store.instances_by_status().await?;
        Ok(Vitals {
            memory_each: self.share_of_memory(&instances),
            instances,
            deliveries_waiting: self.shared.store.deliveries_waiting().await?,
            tasks: self.shared.lifecycle.tracker().len(),
        })
    }

    /// [`Vitals::memory_each`], without the rest.
    ///
    /// # Errors
    /// When the store can't be asked.
    pub async fn memory_each(&self) -> Result<Option<u64>, StorageError> {
        Ok(self.share_of_memory(&self.shared.store.instances_by_status().await?))
    }

    fn share_of_memory(&self, instances: &[(Status, u64)]) -> Option<u64> {
        let grown = resident_memory()?.saturating_sub(self.shared.memory_at_start?);
        let connected = instances.iter().find(|(status, _)| *status == Status::Connected)?.1;
        grown.checked_div(connected)
    }
}
