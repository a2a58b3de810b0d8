//! Backups, restores, and schemas of earlier versions.

use crate::harness::{ALICE, Harness, Kind, NOW, inbound, options};
use crate::raw::Raw;
use flowcore_domain::session_store::{Change, Namespace};
use flowcore_storage::{BackupError, MasterKey, OpenError, Store, StoreOptions};
use flowcore_storage::{backup, migration_plan, restore};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// The later come first: they refer to the earlier.
const ADDED_LATER: [&str; 21] = [
    "document_embedders",
    "document_contents",
    "ai_spending",
    "ai_cases",
    "ai_prompt_versions",
    "whatsapp_support_messages",
    "whatsapp_conversation_transitions",
    "message_status",
    "media",
    "debug_log",
    "audit_log",
    "usage_counters",
    "whatsapp_escalated_conversations",
    "whatsapp_support_keywords",
    "whatsapp_support_config",
    "whatsapp_file_mappings",
    "document_chunks",
    "documents",
    "whatsapp_conversation_messages",
    "whatsapp_conversations",
    "whatsapp_ai_config",
];

const SESSION: Namespace = Namespace("session");

#[tokio::test]
async fn a_backup_of_a_running_store_is_restored_elsewhere_and_goes_on_from_there() {
    let harness = Harness::new(Kind::Sqlite).await;
    let id = harness.instance("shop").await;
    harness.store.commit_inbound(id, vec![inbound(id, ALICE, "1")], NOW).await.expect("stored");
    let put = Change::put(SESSION, "a", "ratchet");
    harness.store.session_store(id).apply(vec![put]).await.expect("applied");
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("flowcore.backup");
    let (data, database) = (harness.directory.path(), &harness.database);
    backup(data, database, &file).await.expect("a backup");
    assert_eq!(file.metadata().expect("there").permissions().mode() & 0o777, 0o600);
    let again = backup(data, database, &file).await;
    assert!(matches!(again, Err(BackupError::Exists(_))), "{again:?}");
    harness.store.commit_inbound(id, vec![inbound(id, ALICE, "2")], NOW).await.expect("stored");

    let other = folder.path().join("data");
    restore(&file, &other).await.expect("restored");
    let refused = restore(&file, &other).await;
    assert!(matches!(refused, Err(BackupError::Exists(_))), "{refused:?}");
    let wrong = MasterKey::from_bytes([8; 32]);
    let wrong = StoreOptions { master_key: Some(wrong), ..options(&other, database) };
    assert!(matches!(Store::open(wrong).await, Err(OpenError::WrongKey)));
    let store = Store::open(options(&other, database)).await.expect("opens");
    let value = store.session_store(id).get(SESSION, "a").await.expect("read");
    assert_eq!(value.as_deref(), Some(&b"ratchet"[..]));
    assert!(store.message(id, "1").await.expect("read").is_some());
    assert!(store.message(id, "2").await.expect("read").is_none());
    let next = store.commit_inbound(id, vec![inbound(id, ALICE, "3")], NOW).await.expect("stored");
    assert_eq!(next[0].seq, 2);
    assert_eq!(store.search_messages(id, "hi", None, 10).await.expect("searched").len(), 2);
}

#[tokio::test]
async fn what_is_no_whole_backup_is_not_restored() {
    let folder = tempfile::tempdir().expect("a directory");
    let (file, data) = (folder.path().join("notes"), folder.path().join("data"));
    let missing = restore(&file, &data).await;
    assert!(matches!(missing, Err(BackupError::Missing(_))), "{missing:?}");
    std::fs::write(&file, "holiday notes ".repeat(1000)).expect("written");
    let refused = restore(&file, &data).await;
    assert!(matches!(refused, Err(BackupError::Unusable { .. })), "{refused:?}");
    assert!(!data.join("flowcore.db").exists());
}

pub(crate) async fn a_schema_of_an_earlier_version_is_brought_up_to_date(kind: Kind) {
    let harness = Harness::new(kind).await;
    let plan = migration_plan(harness.directory.path(), &harness.database).await.expect("a plan");
    let newest = newest(kind).await;
    assert_eq!((plan.found, plan.pending), (Some(newest), vec![]));
    let id = harness.instance("shop").await;
    harness.store.commit_inbound(id, vec![inbound(id, ALICE, "1")], NOW).await.expect("stored");
    harness.store.close().await;
    let mut raw = harness.raw().await;
    back_to_the_first_version(&mut raw).await;
    drop(raw);
    let plan = migration_plan(harness.directory.path(), &harness.database).await.expect("a plan");
    assert_eq!((plan.found, plan.pending.last().map(|one| one.0)), (Some(1), Some(newest)));
    assert_eq!(plan.pending[0], (2, "jobs and search".to_owned()));
    let store = Store::open(harness.options()).await.expect("opens");
    assert!(store.message(id, "1").await.expect("read").is_some());
    assert_eq!(store.search_messages(id, "hi", None, 10).await.expect("searched").len(), 1);
    let plan = migration_plan(harness.directory.path(), &harness.database).await.expect("a plan");
    assert_eq!(plan.found, Some(newest));
}

/// What version 1 had: everything of the later ones taken away again.
pub(crate) async fn back_to_the_first_version(raw: &mut Raw) {
    raw.execute(match raw {
        Raw::Sqlite(_) => {
            "DROP TRIGGER message_search_insert; DROP TRIGGER message_search_delete; \
             DROP TRIGGER message_search_update; DROP TABLE message_search;"
        }
        Raw::Postgres(_) => {
            "DROP INDEX messages_words; DROP FUNCTION message_words; DROP FUNCTION folded;"
        }
    })
    .await;
    for table in ADDED_LATER {
        raw.execute(&format!("DROP TABLE {table}")).await;
    }
    raw.execute(
        "DROP INDEX whatsapp_instances_retired; DROP INDEX whatsapp_instances_name; \
         ALTER TABLE whatsapp_instances DROP COLUMN retired_at; \
         CREATE UNIQUE INDEX whatsapp_instances_name ON whatsapp_instances (lower(instance_name)); \
         DROP TABLE pictures; DROP TABLE labels; DROP INDEX events_of_note; \
         DROP INDEX deliveries_window; ALTER TABLE deliveries DROP COLUMN since; \
         ALTER TABLE deliveries DROP COLUMN attempts_before; \
         DROP INDEX whatsapp_instances_token; DROP INDEX webhook_endpoints_evolution; \
         ALTER TABLE chats DROP COLUMN created_at; \
         ALTER TABLE messages DROP COLUMN edited_at; \
         ALTER TABLE messages DROP COLUMN revoked_at; \
         ALTER TABLE messages DROP COLUMN recipients; \
         ALTER TABLE webhook_endpoints DROP COLUMN evolution; \
         ALTER TABLE webhook_endpoints DROP COLUMN media; \
         ALTER TABLE webhook_endpoints DROP COLUMN bytes; \
         ALTER TABLE webhook_endpoints DROP COLUMN updated_at; \
         ALTER TABLE whatsapp_instances DROP COLUMN always_online; \
         ALTER TABLE whatsapp_instances DROP COLUMN read_status; \
         ALTER TABLE whatsapp_instances DROP COLUMN sync_full_history; \
         ALTER TABLE whatsapp_instances DROP COLUMN disconnected_at; \
         ALTER TABLE whatsapp_instances DROP COLUMN token_hash; \
         ALTER TABLE whatsapp_instances DROP COLUMN token; \
         ALTER TABLE whatsapp_instances DROP COLUMN proxy; \
         ALTER TABLE whatsapp_instances DROP COLUMN live_selection; \
         DROP INDEX profiles_username; DROP INDEX profiles_foreign; \
         DROP INDEX login_sessions_id; \
         ALTER TABLE profiles DROP COLUMN username; ALTER TABLE profiles DROP COLUMN email; \
         ALTER TABLE profiles DROP COLUMN password_hash; \
         ALTER TABLE profiles DROP COLUMN disabled; ALTER TABLE profiles DROP COLUMN quotas; \
         ALTER TABLE profiles DROP COLUMN totp; ALTER TABLE profiles DROP COLUMN totp_step; \
         ALTER TABLE profiles DROP COLUMN foreign_subject; \
         ALTER TABLE api_keys DROP COLUMN instances; ALTER TABLE api_keys DROP COLUMN addresses; \
         ALTER TABLE api_keys DROP COLUMN last_used_at; ALTER TABLE login_sessions DROP COLUMN id; \
         ALTER TABLE login_sessions DROP COLUMN refresh_hash; \
         ALTER TABLE login_sessions DROP COLUMN address; \
         ALTER TABLE login_sessions DROP COLUMN agent; \
         ALTER TABLE login_sessions DROP COLUMN last_used_at; \
         ALTER TABLE whatsapp_instances DROP COLUMN reject_calls; \
         ALTER TABLE whatsapp_instances DROP COLUMN reject_calls_message; \
         DROP TABLE jobs; ALTER TABLE whatsapp_instances DROP COLUMN keep_days; \
         ALTER TABLE whatsapp_instances DROP COLUMN keep_messages; \
         DELETE FROM _sqlx_migrations WHERE version > 1; \
         DROP INDEX deliveries_heads; \
         ALTER TABLE delivery_attempts DROP COLUMN answer; \
         ALTER TABLE webhook_endpoints DROP COLUMN previous_secret; \
         ALTER TABLE webhook_endpoints DROP COLUMN previous_until; \
         ALTER TABLE webhook_endpoints DROP COLUMN failures; \
         ALTER TABLE webhook_endpoints DROP COLUMN failing_since; \
         ALTER TABLE webhook_endpoints DROP COLUMN paused_until; \
         ALTER TABLE webhook_endpoints DROP COLUMN off_because",
    )
    .await;
}

pub(crate) async fn every_earlier_schema_is_brought_up_to_date(kind: Kind) {
    let all = migrations(kind).await;
    let newest = newest(kind).await;
    // A number that nobody took is no version.
    for version in all.iter().map(|one| one.version).filter(|version| *version < newest) {
        let (folder, database) = (tempfile::tempdir().expect("a folder"), kind.fresh());
        let options = options(folder.path(), &database);
        let old: Vec<_> = all.iter().filter(|one| one.version <= version).cloned().collect();
        let mut raw = Raw::make(&options).await;
        raw.migrate(old).await;
        drop(raw);
        let plan = migration_plan(folder.path(), &database).await.expect("a plan");
        assert_eq!(plan.found, Some(version));
        let store = Store::open(options).await.expect("opens");
        let harness = Harness::around(folder, database, store).await;
        let id = harness.instance("shop").await;
        harness.store.commit_inbound(id, vec![inbound(id, ALICE, "1")], NOW).await.expect("stored");
        assert_eq!(
            harness.store.search_messages(id, "hi", None, 10).await.expect("found").len(),
            1
        );
        harness.store.close().await;
    }
}

async fn newest(kind: Kind) -> i64 {
    migrations(kind).await.iter().map(|one| one.version).max().expect("migrations")
}

async fn migrations(kind: Kind) -> Vec<sqlx::migrate::Migration> {
    let dialect = match kind {
        Kind::Sqlite => "sqlite",
        Kind::Postgres | Kind::Pooler => "postgres",
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(dialect);
    let all = sqlx::migrate::Migrator::new(folder).await.expect("the migrations");
    all.iter().cloned().collect()
}

#[tokio::test]
async fn a_plan_makes_nothing_and_postgres_is_told_to_use_its_own_tools() {
    let folder = tempfile::tempdir().expect("a directory");
    let data = folder.path().join("data");
    let plan = migration_plan(&data, &Kind::Sqlite.fresh()).await.expect("a plan");
    let all = newest(Kind::Sqlite).await;
    assert_eq!((plan.found, plan.pending.last().map(|one| one.0)), (None, Some(all)));
    assert!(!data.exists());
    let postgres = Kind::Postgres.fresh();
    let plan = migration_plan(&data, &postgres).await.expect("a plan");
    assert_eq!((plan.found, plan.pending.last().map(|one| one.0)), (None, Some(all)));
    let refused = backup(&data, &postgres, &folder.path().join("file")).await.expect_err("refused");
    assert!(refused.to_string().contains("pg_dump"), "{refused}");
}
