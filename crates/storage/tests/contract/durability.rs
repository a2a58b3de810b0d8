//! Group commits: what was answered is on the disk, what failed is not, nobody spoils it for others.

use crate::accounts::session;
use crate::harness::{ALICE, Harness, Kind, NOW, fresh, inbound, options, webhook};
use flowcore_domain::event::EventKind;
use flowcore_domain::session_store::{Change, Namespace};
use flowcore_domain::webhook::Secret;
use flowcore_storage::{LoginSession, StorageError, Store};

pub(crate) async fn many_writers_commit_together_and_the_failing_ones_fail_alone(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    let writes = (0..400).map(|n| {
        let (store, failing) = (harness.store.clone(), n % 10 == 0);
        async move {
            let instance = if failing { fresh() } else { id };
            let rows = vec![inbound(instance, ALICE, &format!("{n}"))];
            let stored = store.commit_inbound(instance, rows, NOW).await;
            match stored {
                Ok(events) if !failing => events.len(),
                Err(StorageError::NotFound("the instance")) if failing => 0,
                other => panic!("{n}: {other:?}"),
            }
        }
    });
    let stored: usize = futures_util::future::join_all(writes).await.into_iter().sum();
    assert_eq!(stored, 360);
    let counts = harness.counts().await;
    assert_eq!((counts["messages"], counts["events"], counts["contacts"]), (360, 360, 1));
    let events = harness.store.events_after(Some(id), None, 1000).await.expect("read");
    assert!(events.iter().map(|event| event.seq).eq(1..=360));
}

#[tokio::test]
async fn what_was_answered_is_in_a_copy_of_the_files_taken_at_once() {
    let harness = Harness::new(Kind::Sqlite).await;
    let id = harness.instance("shop").await;
    for n in 0..20 {
        let rows = vec![inbound(id, ALICE, &format!("{n}"))];
        harness.store.commit_inbound(id, rows, NOW).await.expect("stored");
        let put = Change::put(Namespace("session"), format!("{n}"), "ratchet");
        harness.store.session_store(id).apply(vec![put]).await.expect("applied");
    }
    let copy = tempfile::tempdir().expect("a directory");
    for name in ["flowcore.db", "flowcore.db-wal"] {
        let from = harness.directory.path().join(name);
        std::fs::copy(from, copy.path().join(name)).expect("copied");
    }
    let store = Store::open(options(copy.path(), &harness.database)).await.expect("opens");
    assert_eq!(store.events_after(Some(id), None, 100).await.expect("read").len(), 20);
    let state = store.session_store(id).scan(Namespace("session"), "").await.expect("scanned");
    assert_eq!(state.len(), 20);
}

pub(crate) async fn a_store_that_was_dropped_without_being_closed_has_lost_nothing(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    harness.store.commit_inbound(id, vec![inbound(id, ALICE, "1")], NOW).await.expect("stored");
    let harness = harness.reopen().await;
    assert!(harness.store.message(id, "1").await.expect("read").is_some());
    let again = harness.store.commit_inbound(id, vec![inbound(id, ALICE, "1")], NOW).await;
    assert_eq!(again.expect("fine"), []);
}

pub(crate) async fn a_caller_that_goes_away_spoils_nothing(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    for n in 0..50 {
        let rows = vec![inbound(id, ALICE, &format!("{n}"))];
        let write = harness.store.commit_inbound(id, rows, NOW);
        tokio::select! {
            biased;
            _ = write => {}
            () = std::future::ready(()) => {}
        }
    }
    harness.store.commit_inbound(id, vec![inbound(id, ALICE, "last")], NOW).await.expect("stored");
    let counts = harness.counts().await;
    assert_eq!(counts["messages"], counts["events"]);
    assert!(harness.store.message(id, "last").await.expect("read").is_some());
}

pub(crate) async fn closing_finishes_what_waits_and_refuses_what_comes_later(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    let write = |n: u32| {
        let rows = vec![inbound(id, ALICE, &n.to_string())];
        harness.store.commit_inbound(id, rows, NOW)
    };
    let waiting = futures_util::future::join_all((0..100).map(write));
    let (stored, ()) = tokio::join!(waiting, harness.store.close());
    let stored = stored.iter().filter(|result| result.is_ok()).count();
    let late = write(1000).await;
    assert!(matches!(late, Err(StorageError::Unavailable(_))), "{late:?}");
    // On PostgreSQL there is none.
    let wal = harness.directory.path().join("flowcore.db-wal");
    assert!(!wal.exists() || wal.metadata().expect("there").len() == 0, "the log is emptied");
    let count = harness.raw().await.number("SELECT COUNT(*) FROM messages").await;
    assert_eq!(usize::try_from(count).expect("few"), stored);
}

#[tokio::test]
async fn a_database_that_another_process_locks_is_unavailable_and_comes_back() {
    let harness = Harness::new(Kind::Sqlite).await;
    let id = harness.instance("shop").await;
    let mut other = harness.raw().await;
    other.execute("BEGIN IMMEDIATE").await;
    let (refused, probe) = tokio::join!(
        harness.store.commit_inbound(id, vec![inbound(id, ALICE, "1")], NOW),
        harness.store.probe()
    );
    assert!(matches!(refused, Err(StorageError::Unavailable(_))), "{refused:?}");
    assert!(matches!(probe, Err(StorageError::Unavailable(_))), "{probe:?}");
    other.execute("ROLLBACK").await;
    harness.store.probe().await.expect("back");
    harness.store.commit_inbound(id, vec![inbound(id, ALICE, "1")], NOW).await.expect("stored");
}

pub(crate) async fn no_secret_is_readable_in_the_files(kind: Kind) {
    const RATCHET: &str = "ratchet-key-in-the-clear";
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    let hook = webhook(id, &[EventKind::MessagesUpsert]);
    let secret = Secret::from_bytes([9; 32]).reveal();
    harness.store.create_webhook(hook).await.expect("stored");
    let put = Change::put(Namespace("session"), "a", RATCHET);
    harness.store.session_store(id).apply(vec![put]).await.expect("applied");
    let csrf = "csrf-word-in-the-clear".to_owned();
    let session = LoginSession { csrf: csrf.clone(), ..session(harness.user) };
    harness.store.create_login_session([1; 32], None, session).await.expect("stored");
    let files = harness.dump().await;
    let found = |needle: &[u8]| holds(&files, needle);
    assert!(found(b"https://app.example/hook"), "the search finds what is there");
    for secret in [RATCHET, &csrf, &secret[6..], "hush-hush"] {
        assert!(!found(secret.as_bytes()), "{secret}");
    }
    assert!(!found(&[9; 32]));
    harness.store.close().await;
    let files = harness.dump().await;
    let found = |needle: &[u8]| holds(&files, needle);
    for secret in [RATCHET, &csrf, &secret[6..], "hush-hush"] {
        assert!(!found(secret.as_bytes()), "{secret}");
    }
}

/// PostgreSQL shows bytes as hexadecimal digits.
fn holds(dump: &[u8], needle: &[u8]) -> bool {
    let digits = needle.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    [needle, digits.as_bytes()]
        .iter()
        .any(|needle| dump.windows(needle.len()).any(|window| window == *needle))
}
