//! PostgreSQL servers of their own: one that goes away and comes back, one that is reached over TLS
//! only, one that lets browsers in as Supabase does.

use crate::harness::{ALICE, Harness, NOW, inbound, options};
use crate::postgres::Server;
use flowcore_storage::{DatabaseOptions, OpenError, StorageError};
use sqlx::Connection as _;
use std::time::{Duration, Instant};
use tokio_util::task::TaskTracker;

/// A server of its own, stopped at the end whatever happens.
struct Own {
    server: Server,
    _folder: tempfile::TempDir,
}

impl Own {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self { server: Server::start(folder.path().to_path_buf()), _folder: folder }
    }

    fn start_over_tls() -> (Self, std::path::PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let (server, certificate) = Server::start_over_tls(folder.path().to_path_buf());
        (Self { server, _folder: folder }, certificate)
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.server.crash();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_crashes_in_a_transaction_is_unavailable_and_comes_back_by_itself() {
    let own = Own::start();
    let (url, schema) = (own.server.url(), "flowcore".to_owned());
    let harness = Harness::on(DatabaseOptions::Postgres { url, schema }).await;
    let id = harness.instance("shop").await;
    harness.store.commit_inbound(id, vec![inbound(id, ALICE, "1")], NOW).await.expect("stored");

    let mut other = harness.raw().await;
    other.execute("BEGIN; SELECT 1 FROM whatsapp_instances FOR UPDATE").await;
    let (store, row) = (harness.store.clone(), inbound(id, ALICE, "2"));
    let repeated = row.clone();
    let in_flight =
        TaskTracker::new().spawn(async move { store.commit_inbound(id, vec![row], NOW).await });
    let deadline = Instant::now() + Duration::from_secs(20);
    let waiting = "SELECT COUNT(*) FROM pg_locks WHERE NOT granted";
    while other.number(waiting).await == 0 {
        assert!(Instant::now() < deadline, "the transaction does not wait for the lock");
    }
    own.server.crash();

    let lost = in_flight.await.expect("no panic");
    assert!(matches!(lost, Err(StorageError::Unavailable(_))), "{lost:?}");
    let probe = harness.store.probe().await;
    assert!(matches!(probe, Err(StorageError::Unavailable(_))), "{probe:?}");
    let read = harness.store.message(id, "1").await;
    assert!(matches!(read, Err(StorageError::Unavailable(_))), "{read:?}");

    own.server.up();
    harness.store.probe().await.expect("back");
    assert!(harness.store.message(id, "1").await.expect("read").is_some());
    assert!(harness.store.message(id, "2").await.expect("read").is_none(), "nothing half");
    let stored = harness.store.commit_inbound(id, vec![repeated], NOW).await.expect("stored");
    assert_eq!(stored.len(), 1);
    harness.store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lock_that_a_restart_ended_is_taken_again_or_nothing_is_written_any_more() {
    let own = Own::start();
    let (url, schema) = (own.server.url(), "flowcore".to_owned());
    let harness = Harness::on(DatabaseOptions::Postgres { url, schema }).await;
    let locks = "SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory' AND granted";
    let restart = || {
        own.server.crash();
        own.server.up();
    };
    restart();
    let begun = Instant::now();
    while harness.raw().await.number(locks).await == 0 {
        assert!(begun.elapsed() < Duration::from_secs(20), "the lock is not taken again");
    }
    harness.store.probe().await.expect("it writes");

    restart();
    // Another server is quicker.
    let mut other = harness.raw().await;
    let take = "SELECT pg_advisory_lock(hashtext('flowcore server'), hashtext('flowcore'))::text";
    assert_eq!(other.texts(take).await.len(), 1);
    let begun = Instant::now();
    while harness.store.probe().await.is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(20), "two servers write");
    }
    harness.store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_trusted_over_tls_only_by_the_certificate_that_vouches_for_it() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (own, certificate) = Own::start_over_tls();
    let over = |parameters: String| DatabaseOptions::Postgres {
        url: format!("{}?{parameters}", own.server.url_by_name()),
        schema: "flowcore".to_owned(),
    };
    let known = format!("sslmode=verify-full&sslrootcert={}", certificate.display());
    let harness = Harness::on(over(known)).await;
    let id = harness.instance("shop").await;
    harness.store.commit_inbound(id, vec![inbound(id, ALICE, "1")], NOW).await.expect("stored");
    harness.store.close().await;

    for refused in ["sslmode=verify-full", "sslmode=disable"] {
        let folder = tempfile::tempdir().expect("a folder");
        let options = options(folder.path(), &over(refused.to_owned()));
        let error = flowcore_storage::Store::open(options).await.expect_err(refused);
        assert!(matches!(error, OpenError::Database(_)), "{refused}: {error:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_else_is_let_in_sees_own_rows_only_and_changes_of_instances_are_published() {
    let own = Own::start();
    let (url, schema) = (own.server.url(), "flowcore".to_owned());
    // What Supabase has: a function that says who asks, a role for browsers, a publication.
    let mut admin = sqlx::PgConnection::connect(&url).await.expect("connects");
    let supabase = "CREATE SCHEMA auth; CREATE FUNCTION auth.uid() RETURNS UUID LANGUAGE sql STABLE \
         AS $$ SELECT nullif(current_setting('app.uid', true), '')::uuid $$; \
         CREATE ROLE authenticated; GRANT USAGE ON SCHEMA auth TO authenticated; \
         CREATE PUBLICATION supabase_realtime";
    sqlx::raw_sql(supabase).execute(&mut admin).await.expect("made");
    let harness = Harness::on(DatabaseOptions::Postgres { url, schema }).await;
    harness.instance("shop").await;

    let mut browser = harness.raw().await;
    let published = "SELECT tablename::text FROM pg_publication_tables";
    assert_eq!(browser.texts(published).await, ["whatsapp_instances"]);
    browser
        .execute(
            "GRANT USAGE ON SCHEMA flowcore TO authenticated; \
             GRANT SELECT ON ALL TABLES IN SCHEMA flowcore TO authenticated; \
             SET ROLE authenticated",
        )
        .await;
    let (instances, keys) =
        ("SELECT COUNT(*) FROM whatsapp_instances", "SELECT COUNT(*) FROM session_entries");
    let meta = "SELECT COUNT(*) FROM meta";
    assert_eq!(browser.number(instances).await, 0, "nobody is signed in");
    browser.execute(&format!("SET app.uid = '{}'", harness.user.0)).await;
    assert_eq!(browser.number(instances).await, 1);
    assert_eq!((browser.number(keys).await, browser.number(meta).await), (0, 0));
    browser.execute("SET app.uid = '00000000-0000-7000-8000-000000000001'").await;
    assert_eq!(browser.number(instances).await, 0, "another user's");
    harness.store.close().await;
}
