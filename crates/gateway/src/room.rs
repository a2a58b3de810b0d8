//! How much this server takes, by its operator's word: past it, a clear refusal instead of a collapse.
//!
//! What runs goes on running, also past a limit that was lowered; only what is new is refused.

use crate::error::ServiceError;
use crate::vitals;
use flowcore_storage::Store;

/// The limits. Without one, there is no end but the machine's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Room {
    /// Most instances, of all users together.
    pub instances: Option<u64>,
    /// Resident memory in bytes past which no instance is made or started.
    pub memory: Option<u64>,
}

impl Room {
    /// Whether one more instance may be made.
    pub(crate) async fn for_instance(&self, store: &Store) -> Result<(), ServiceError> {
        self.for_session()?;
        let Some(most) = self.instances else { return Ok(()) };
        let count: u64 = store.instances_by_status().await?.iter().map(|(_, count)| count).sum();
        if count >= most { Err(ServiceError::ServerFull("instances")) } else { Ok(()) }
    }

    /// Whether one more session may be started.
    pub(crate) fn for_session(&self) -> Result<(), ServiceError> {
        let Some(most) = self.memory else { return Ok(()) };
        match vitals::resident_memory() {
            Some(bytes) if bytes >= most => Err(ServiceError::ServerFull("memory")),
            _ => Ok(()),
        }
    }
}
