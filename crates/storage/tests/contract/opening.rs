//! What is refused when a store is opened, and that a refusal changes nothing.

use crate::harness::{Harness, Kind, fresh_schema, options};
use crate::postgres::Pooling;
use flowcore_storage::{Mark, MasterKey, OpenError, Store, StoreOptions};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("exists").permissions().mode() & 0o777
}

fn contents(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = std::fs::read_dir(directory).expect("a directory").map(|entry| {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("a name");
        (name, std::fs::read(entry.path()).expect("readable"))
    });
    // The shared-memory index is no data: it is made anew by every process.
    files.filter(|(name, _)| !name.ends_with("-shm")).collect()
}

pub(crate) async fn the_first_start_makes_a_private_directory_and_a_key_that_fits_the_next(
    kind: Kind,
) {
    let parent = tempfile::tempdir().expect("a directory");
    let directory = parent.path().join("data");
    let without_key = StoreOptions { master_key: None, ..options(&directory, &kind.fresh()) };
    Store::open(without_key.clone()).await.expect("opens").close().await;
    assert_eq!(mode(&directory), 0o700);
    assert_eq!(mode(&directory.join("master.key")), 0o600);
    if kind == Kind::Sqlite {
        assert_eq!(mode(&directory.join("flowcore.db")), 0o600);
    }
    Store::open(without_key).await.expect("opens again").close().await;
}

pub(crate) async fn a_wrong_key_is_refused_and_nothing_is_changed(kind: Kind) {
    let harness = Harness::new(kind).await;
    harness.store.close().await;
    let before = contents(harness.directory.path());
    let wrong = MasterKey::from_bytes([8; 32]);
    let wrong = StoreOptions { master_key: Some(wrong), ..harness.options() };
    assert!(matches!(Store::open(wrong).await, Err(OpenError::WrongKey)));
    let missing = StoreOptions { master_key: None, ..harness.options() };
    let error = Store::open(missing).await.expect_err("refused");
    assert!(matches!(error, OpenError::KeyMissing { .. }), "{error}");
    assert!(error.to_string().contains("master.key"), "{error}");
    assert!(contents(harness.directory.path()) == before, "files were changed");
}

pub(crate) async fn a_key_file_that_others_can_read_or_that_is_damaged_is_refused(kind: Kind) {
    let directory = tempfile::tempdir().expect("a directory");
    let from_file = StoreOptions { master_key: None, ..options(directory.path(), &kind.fresh()) };
    Store::open(from_file.clone()).await.expect("opens").close().await;
    let key = directory.path().join("master.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).expect("set");
    let error = Store::open(from_file.clone()).await.expect_err("refused");
    assert!(error.to_string().contains("chmod 600"), "{error}");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).expect("set");
    std::fs::write(&key, "half a k").expect("written");
    let error = Store::open(from_file).await.expect_err("refused");
    assert!(matches!(error, OpenError::KeyFileDamaged { .. }), "{error}");
}

pub(crate) async fn real_numbers_and_a_simulated_network_never_meet(kind: Kind) {
    let harness = Harness::new(kind).await;
    harness.store.close().await;
    let real = StoreOptions { mark: Mark::Flowcore, ..harness.options() };
    let error = Store::open(real).await.expect_err("refused");
    let (found, wanted) = ("sandbox", "flowcore");
    assert!(matches!(&error, OpenError::WrongMark { found: f, wanted: w }
        if f == found && *w == wanted));
    assert!(error.to_string().contains("another data directory"), "{error}");
    Store::open(harness.options()).await.expect("still opens").close().await;
}

pub(crate) async fn a_newer_schema_is_refused(kind: Kind) {
    let harness = Harness::new(kind).await;
    harness.store.close().await;
    let future = "INSERT INTO _sqlx_migrations (version, description, success, checksum, \
                  execution_time) VALUES (9999, 'of the future', TRUE, '', 0)";
    harness.raw().await.execute(future).await;
    let error = Store::open(harness.options()).await.expect_err("refused");
    assert!(matches!(error, OpenError::NewerSchema { found: 9999, .. }), "{error}");
    assert!(error.to_string().contains("newer version"), "{error}");
}

#[tokio::test]
async fn what_is_no_database_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("flowcore.db");
    std::fs::write(&file, "these are holiday notes, not a database ".repeat(200)).expect("written");
    let error =
        Store::open(options(directory.path(), &Kind::Sqlite.fresh())).await.expect_err("refused");
    assert!(matches!(error, OpenError::Database(_)), "{error}");
    assert!(std::fs::read(&file).expect("there").starts_with(b"these are holiday notes"));
}

pub(crate) async fn two_servers_never_run_on_the_same_data(kind: Kind) {
    let harness = Harness::new(kind).await;
    let error = Store::open(harness.options()).await.expect_err("refused");
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    assert!(error.to_string().contains("stop that one first"), "{error}");
    if kind != Kind::Sqlite {
        let elsewhere = tempfile::tempdir().expect("a directory");
        let elsewhere = options(elsewhere.path(), &harness.database);
        let error = Store::open(elsewhere).await.expect_err("refused");
        assert!(error.to_string().contains("schema"), "{error}");
    }
    harness.store.probe().await.expect("undisturbed");
    harness.store.close().await;
    Store::open(harness.options()).await.expect("opens").close().await;
}

#[tokio::test]
async fn a_transaction_pooler_is_refused_with_the_way_out() {
    let directory = tempfile::tempdir().expect("a directory");
    let database = fresh_schema(Pooling::Transaction.start());
    let error = Store::open(options(directory.path(), &database)).await.expect_err("refused");
    assert!(matches!(error, OpenError::TransactionPooler), "{error}");
    assert!(error.to_string().contains("session pooler"), "{error}");
}
