//! What an operator does from the command line, beside a server that runs or instead of one.

mod accounts;

use crate::accounts::AccountError;
use flowcore_storage::{
    BackupError, DatabaseOptions, Mark, MasterKey, MigrationPlan, OpenError, StorageError, Store,
    StoreOptions,
};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a running server may take to seal everything with a new key.
const PATIENCE: Duration = Duration::from_secs(600);

/// How often to look whether it has.
const LOOK: Duration = Duration::from_millis(200);

/// The data that a command is about.
#[derive(Debug, Clone)]
pub struct Data {
    /// Where the database, the keys and the files are.
    pub data_dir: PathBuf,
    /// Which database.
    pub database: DatabaseOptions,
    /// Whose it is.
    pub mark: Mark,
    /// The master key, when it is a setting.
    pub master_key: Option<MasterKey>,
}

/// Why a command did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// The data can't be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// There is no backup, or it was not restored.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// Something about users or keys.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The store was opened and does not work.
    #[error("the store does not work: {0}")]
    Storage(#[from] StorageError),
    /// What was asked for can't be done.
    #[error("{0}")]
    Refused(String),
    /// The key is not in a file.
    #[error(
        "the master key is a setting: start the server with FLOWCORE_MASTER_KEY set to the new key, a \
         comma and the old key; once the log says that everything is sealed with the new one, leave \
         the old one out"
    )]
    KeyIsSetting,
    /// Something can't be sealed again.
    #[error(
        "the new key is made and in use, and the old one is kept because it is still needed: {0}"
    )]
    Unfinished(String),
}

impl Data {
    /// What the next start would change about the schema. Changes nothing.
    pub async fn migration_plan(&self) -> Result<MigrationPlan, OperatorError> {
        Ok(flowcore_storage::migration_plan(&self.data_dir, &self.database).await?)
    }

    /// Makes or changes the schema, as a start would.
    pub async fn migrate(&self) -> Result<(), OperatorError> {
        self.open().await?.close().await;
        Ok(())
    }

    /// Writes everything that is committed to a new file.
    pub async fn backup(&self, file: &Path) -> Result<(), OperatorError> {
        Ok(flowcore_storage::backup(&self.data_dir, &self.database, file).await?)
    }

    /// Puts a backup into the data directory, which must have no database.
    pub async fn restore(&self, file: &Path) -> Result<(), OperatorError> {
        if self.database != DatabaseOptions::DataDirectory {
            return Err(BackupError::Postgres.into());
        }
        Ok(flowcore_storage::restore(file, &self.data_dir).await?)
    }

    /// Makes a new master key and has everything sealed with it: by the server that runs on the data, or
    /// here when none does.
    pub async fn rotate_key(&self) -> Result<(), OperatorError> {
        if self.master_key.is_some() {
            return Err(OperatorError::KeyIsSetting);
        }
        flowcore_storage::rotate_key_file(&self.data_dir)?;
        match self.open().await {
            Ok(store) => {
                let finished = store.finish_key_rotation().await;
                store.close().await;
                finished.map_err(|error| OperatorError::Unfinished(error.to_string()))?;
                Ok(())
            }
            Err(OpenError::InUse { .. }) => self.until_rotated().await,
            Err(error) => Err(error.into()),
        }
    }

    async fn until_rotated(&self) -> Result<(), OperatorError> {
        let mut looks = tokio::time::interval(LOOK);
        let waiting = async {
            while !flowcore_storage::key_is_rotated(&self.data_dir)? {
                looks.tick().await;
            }
            Ok(())
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| {
            let why = "the running server has not finished; its log tells why".to_owned();
            Err(OperatorError::Unfinished(why))
        })
    }

    async fn open(&self) -> Result<Store, OpenError> {
        Store::open(self.options()).await
    }

    fn options(&self) -> StoreOptions {
        StoreOptions {
            data_dir: self.data_dir.clone(),
            database: self.database.clone(),
            mark: self.mark,
            master_key: self.master_key.clone(),
        }
    }

    /// The store, also beside a server that runs on it.
    async fn open_beside(&self) -> Result<Store, OpenError> {
        match self.open().await {
            Err(OpenError::InUse { .. }) => Store::open_beside(self.options()).await,
            other => other,
        }
    }
}
