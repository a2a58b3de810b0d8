//! Protocol state: sealed, batched, gone with its instance.

use crate::harness::{Harness, Kind};
use bytes::Bytes;
use flowcore_domain::session_store::{Change, Namespace, SessionStoreError};
use std::time::Instant;

const PREKEY: Namespace = Namespace("prekey");
const SESSION: Namespace = Namespace("session");

fn value(number: u32) -> Vec<u8> {
    number.to_be_bytes().repeat(20)
}

pub(crate) async fn a_batch_is_read_back_and_the_last_change_of_a_key_counts(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    let entries = harness.store.session_store(id);
    let changes = vec![
        Change::put(SESSION, "a", Bytes::from_static(b"1")),
        Change::put(SESSION, "b", Bytes::from_static(b"2")),
        Change::put(PREKEY, "a", Bytes::from_static(b"3")),
        Change::put(SESSION, "a", Bytes::from_static(b"4")),
        Change::delete(SESSION, "b"),
        Change::delete(PREKEY, "z"),
        Change::put(PREKEY, "z", Bytes::new()),
    ];
    entries.apply(changes).await.expect("applied");
    assert_eq!(entries.get(SESSION, "a").await.expect("read"), Some(Bytes::from_static(b"4")));
    assert_eq!(entries.get(SESSION, "b").await.expect("read"), None);
    assert_eq!(entries.get(PREKEY, "z").await.expect("read"), Some(Bytes::new()));
    let keys = ["a", "q", "z"].map(str::to_owned);
    let mut many = entries.get_many(PREKEY, &keys).await.expect("read");
    many.sort();
    assert_eq!(many.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["a", "z"]);
}

pub(crate) async fn hundreds_of_prekeys_go_in_one_batch(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    let entries = harness.store.session_store(id);
    let changes: Vec<Change> =
        (0..812).map(|n| Change::put(PREKEY, format!("{n:06}"), value(n))).collect();
    let start = Instant::now();
    entries.apply(changes).await.expect("applied");
    println!("812 prekeys took {:?}", start.elapsed());
    let all = entries.scan(PREKEY, "").await.expect("scanned");
    assert_eq!(all.len(), 812);
    assert!(all.is_sorted_by_key(|(key, _)| key.clone()));
    assert_eq!(all[700].1, value(700));
    assert_eq!(entries.scan(PREKEY, "0000").await.expect("scanned").len(), 100);
    let keys: Vec<String> = (0..300).map(|n| format!("{n:06}")).collect();
    assert_eq!(entries.get_many(PREKEY, &keys).await.expect("read").len(), 300);
    let deletions = keys.iter().map(|key| Change::delete(PREKEY, key.clone())).collect();
    entries.apply(deletions).await.expect("applied");
    assert_eq!(entries.delete_prefix(PREKEY, "0003").await.expect("deleted"), 100);
    assert_eq!(entries.scan(PREKEY, "").await.expect("scanned").len(), 412);
    entries.clear().await.expect("cleared");
    assert_eq!(entries.scan(PREKEY, "").await.expect("scanned").len(), 0);
}

pub(crate) async fn only_what_expired_is_swept(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    let entries = harness.store.session_store(id);
    let changes = vec![
        Change::put_until(SESSION, "old", "x", 100),
        Change::put_until(SESSION, "new", "x", 101),
        Change::put(SESSION, "kept", "x"),
        Change::put_until(PREKEY, "other", "x", 1),
    ];
    entries.apply(changes).await.expect("applied");
    assert_eq!(entries.sweep(SESSION, 100).await.expect("swept"), 1);
    let left = entries.scan(SESSION, "").await.expect("scanned");
    assert_eq!(left.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["kept", "new"]);
    assert!(entries.get(PREKEY, "other").await.expect("read").is_some());
}

pub(crate) async fn a_session_whose_instance_is_gone_is_fenced(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    let entries = harness.store.session_store(id);
    entries.apply(vec![Change::put(SESSION, "a", "x")]).await.expect("applied");
    assert!(harness.store.delete_instance(id).await.expect("deleted"));
    let late = entries.apply(vec![Change::put(SESSION, "a", "x")]).await;
    assert!(matches!(late, Err(SessionStoreError::Fenced)), "{late:?}");
    assert_eq!(entries.get(SESSION, "a").await.expect("read"), None);
}

pub(crate) async fn an_entry_copied_to_another_row_is_refused_by_name(kind: Kind) {
    let harness = Harness::new(kind).await;
    let (one, two) = (harness.instance("one").await, harness.instance("two").await);
    let entries = harness.store.session_store(one);
    let both = vec![Change::put(SESSION, "a", "mine"), Change::put(SESSION, "b", "mine too")];
    entries.apply(both).await.expect("applied");
    let other = harness.store.session_store(two);
    other.apply(vec![Change::put(SESSION, "a", "theirs")]).await.expect("applied");
    let mut raw = harness.raw().await;
    for (copy, instance) in [("key = 'b'", one), ("key = 'a'", two)] {
        let sql = format!(
            "UPDATE session_entries SET value = (SELECT value FROM session_entries \
             WHERE instance_id = '{one}' AND key = 'a') WHERE instance_id = '{instance}' AND {copy}"
        );
        assert_eq!(raw.execute(&sql).await, 1);
    }
    assert!(entries.get(SESSION, "a").await.is_ok());
    for (entries, key) in [(entries, "b"), (other, "a")] {
        let error = entries.get(SESSION, key).await.expect_err("refused");
        assert!(matches!(&error, SessionStoreError::Damaged(_)), "{error}");
        assert!(error.to_string().contains("session_entries"), "{error}");
        assert!(!error.to_string().contains("mine"), "{error}");
    }
}
