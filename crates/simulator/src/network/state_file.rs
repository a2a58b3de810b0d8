//! The kept state: one JSON file, replaced as a whole.
//!
//! A change is on disk within [`DEBOUNCE`] and a write; the file is written beside itself and
//! renamed, so a killed process leaves the old one or the new one.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use crate::hub::Hub;
use crate::world::World;

const FILE_NAME: &str = "network.json";
const DEBOUNCE: Duration = Duration::from_millis(150);

/// Why kept state cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The directory or file is not readable or writable.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not one of ours.
    #[error("{path} is not a network's state: {source}", path = path.display())]
    Json {
        /// Which file.
        path: PathBuf,
        /// Where it stops making sense.
        source: serde_json::Error,
    },
}

/// The file of one network.
pub(super) struct StateFile {
    path: PathBuf,
}

impl StateFile {
    pub(super) fn new(directory: &Path) -> Self {
        Self { path: directory.join(FILE_NAME) }
    }

    /// Fills the world with what was kept; nothing kept is a fresh network.
    pub(super) async fn load(&self, world: &mut World) -> Result<(), StateError> {
        let io = |source| StateError::Io { path: self.path.clone(), source };
        if let Some(directory) = self.path.parent() {
            tokio::fs::create_dir_all(directory).await.map_err(io)?;
        }
        let bytes = match tokio::fs::read(&self.path).await {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(io(error)),
        };
        let json = |source| StateError::Json { path: self.path.clone(), source };
        world.restore(&bytes).map_err(json)
    }

    /// Writes the state after changes, and a last time when the network stops.
    pub(super) async fn keep(self, hub: Arc<Hub>) {
        loop {
            let stopping = tokio::select! {
                biased;
                () = hub.cancel.cancelled() => true,
                () = hub.changed.notified() => false,
            };
            if !stopping {
                tokio::select! {
                    () = hub.cancel.cancelled() => {}
                    () = sleep(DEBOUNCE) => {}
                }
            }
            if let Err(error) = self.write(&hub).await {
                tracing::error!(%error, "the network's state could not be kept");
            }
            if stopping {
                return;
            }
        }
    }

    async fn write(&self, hub: &Arc<Hub>) -> Result<(), StateError> {
        let io = |source| StateError::Io { path: self.path.clone(), source };
        let json = |source| StateError::Json { path: self.path.clone(), source };
        let bytes = hub.world().snapshot().map_err(json)?;
        let beside = beside(&self.path);
        tokio::fs::write(&beside, bytes).await.map_err(io)?;
        tokio::fs::rename(&beside, &self.path).await.map_err(io)
    }
}

fn beside(path: &Path) -> PathBuf {
    path.with_extension("json.new")
}
