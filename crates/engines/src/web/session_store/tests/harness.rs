//! A session of a real store in a temporary directory.

use std::path::Path;

use flowcore_domain::clock::Millis;
use flowcore_domain::id::{InstanceId, UserId};
use flowcore_storage::{DatabaseOptions, Mark, NewInstance, Store, StoreOptions};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use tempfile::TempDir;
use uuid::Uuid;

use super::PortBackend;

const NOW: Millis = Millis(1_700_000_000_000);
const INSTANCE: InstanceId = InstanceId(Uuid::from_u128(1));

/// The backend of one instance, and what is under it.
pub(super) struct Bench {
    pub(super) backend: PortBackend,
    store: Store,
    directory: TempDir,
}

impl Bench {
    pub(super) async fn open() -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let store = open_store(directory.path()).await;
        let admin =
            store.ensure_admin(UserId(Uuid::from_u128(2)), None, NOW).await.expect("an admin");
        let name = "shop".parse().expect("a name");
        let new = NewInstance { id: INSTANCE, user_id: admin.user_id, name, now: NOW };
        store.create_instance(new, Vec::new()).await.expect("an instance");
        Self { backend: PortBackend::new(store.session_store(INSTANCE)), store, directory }
    }

    /// What a process finds that starts where another was killed: nothing is closed before.
    pub(super) async fn reopen(self) -> Self {
        let Self { backend, store, directory } = self;
        // Dropped, not closed: the lock of a process goes with it.
        drop((backend, store));
        let store = open_store(directory.path()).await;
        Self { backend: PortBackend::new(store.session_store(INSTANCE)), store, directory }
    }

    pub(super) async fn delete_instance(&self) {
        assert!(self.store.delete_instance(INSTANCE).await.expect("deletion"));
    }

    /// Damages an entry as an intruder with the database but without the master key would.
    pub(super) async fn put_the_value_of_one_row_into_another(
        &self,
        namespace: &str,
        from: &str,
        to: &str,
    ) {
        let file = self.directory.path().join("flowcore.db");
        let options = SqliteConnectOptions::new().filename(file);
        let mut connection = options.connect().await.expect("the database file");
        let copied = sqlx::query(
            "UPDATE session_entries SET value = (SELECT value FROM session_entries \
             WHERE namespace = $1 AND key = $2) WHERE namespace = $1 AND key = $3",
        );
        let copied = copied.bind(namespace).bind(from).bind(to).execute(&mut connection).await;
        assert_eq!(copied.expect("an update").rows_affected(), 1);
        connection.close().await.expect("closing");
    }
}

async fn open_store(directory: &Path) -> Store {
    let data_dir = directory.to_owned();
    let options = StoreOptions {
        data_dir,
        database: DatabaseOptions::DataDirectory,
        mark: Mark::Sandbox,
        master_key: None,
    };
    Store::open(options).await.expect("a store")
}
