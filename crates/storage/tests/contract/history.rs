//! Old messages: found by their words, forgotten when their owner says so.

use crate::harness::{ALICE, BOB, Harness, Kind, NOW, inbound, outgoing};
use flowcore_domain::clock::Millis;
use flowcore_domain::id::InstanceId;
use flowcore_storage::{Media, Retention, StorageError};
use serde_json::json;
use std::time::Duration;

async fn write(harness: &Harness, instance: InstanceId, wa_id: &str, text: &str, now: Millis) {
    let mut row = inbound(instance, ALICE, wa_id);
    row.message.text = Some(text.to_owned());
    harness.store.commit_inbound(instance, vec![row], now).await.expect("stored");
}

async fn found(harness: &Harness, instance: InstanceId, words: &str) -> Vec<String> {
    let found = harness.store.search_messages(instance, words, None, 10).await.expect("searched");
    found.into_iter().map(|message| message.wa_id).collect()
}

pub(crate) async fn words_are_found_without_case_and_accents_in_one_instance_only(kind: Kind) {
    let harness = Harness::new(kind).await;
    let (id, other) = (harness.instance("shop").await, harness.instance("other").await);
    write(&harness, id, "1", "Olá! Você tem CAFÉ torrado? a@b.example", NOW).await;
    write(&harness, id, "2", "o cafe esta pronto - R$ 12,50", NOW).await;
    write(&harness, id, "3", "Привет, как дела", NOW).await;
    write(&harness, other, "4", "café dos outros", NOW).await;
    assert_eq!(found(&harness, id, "cafe").await, ["2", "1"]);
    assert_eq!(found(&harness, id, "CAFÉ").await, ["2", "1"]);
    assert_eq!(found(&harness, id, "cafe\u{301} vocE").await, ["1"]);
    assert_eq!(found(&harness, id, "tor").await, ["1"], "as far as it is typed");
    assert_eq!(found(&harness, id, "tor cafe").await, Vec::<String>::new());
    assert_eq!(found(&harness, id, "example").await, ["1"]);
    assert_eq!(found(&harness, id, "12,50").await, ["2"]);
    assert_eq!(found(&harness, id, "ПРИВЕТ").await, ["3"]);
    for odd in ["", "  ", "\" OR *", "' & !x", "text : café) OR (", "NOT café"] {
        found(&harness, id, odd).await;
    }
    assert_eq!(found(&harness, other, "cafe").await, ["4"]);
}

pub(crate) async fn a_search_pages_and_forgets_with_the_message(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    for number in 0..5 {
        write(&harness, id, &number.to_string(), "hello world", NOW).await;
    }
    let first = harness.store.search_messages(id, "hello", None, 3).await.expect("searched");
    let cursor = first.last().map(|message| message.row_id);
    let rest = harness.store.search_messages(id, "hello", cursor, 3).await.expect("searched");
    let all: Vec<_> = first.iter().chain(&rest).map(|message| message.wa_id.as_str()).collect();
    assert_eq!(all, ["4", "3", "2", "1", "0"]);
    harness.raw().await.execute("UPDATE messages SET text = 'changed' WHERE wa_id = '3'").await;
    harness.raw().await.execute("DELETE FROM messages WHERE wa_id = '4'").await;
    assert_eq!(found(&harness, id, "hello").await, ["2", "1", "0"]);
    assert_eq!(found(&harness, id, "changed").await, ["3"]);
    assert!(harness.store.delete_instance(id).await.expect("deleted"));
    assert_eq!(found(&harness, id, "hello").await, Vec::<String>::new());
}

pub(crate) async fn history_is_kept_for_ever_unless_its_owner_limits_it(kind: Kind) {
    let harness = Harness::new(kind).await;
    let (id, other) = (harness.instance("shop").await, harness.instance("other").await);
    let day = |number: u64| NOW.plus(Duration::from_secs(number * 24 * 3600));
    for number in 0..10 {
        write(&harness, id, &format!("{number}"), "hello", day(number)).await;
    }
    write(&harness, other, "old", "hello", NOW).await;
    harness.store.insert_outgoing(outgoing(id, BOB, "waits")).await.expect("stored");
    assert_eq!(harness.store.sweep_history(day(400)).await.expect("swept"), 0);
    assert_eq!(harness.store.retention(id).await.expect("read"), Retention::default());
    let week = Retention { days: Some(7), messages: None };
    harness.store.set_retention(id, week).await.expect("set");
    assert_eq!(harness.store.retention(id).await.expect("read"), week);
    assert_eq!(harness.store.sweep_history(day(9)).await.expect("swept"), 2);
    let few = Retention { days: Some(7), messages: Some(3) };
    harness.store.set_retention(id, few).await.expect("set");
    assert_eq!(harness.store.sweep_history(day(9)).await.expect("swept"), 5);
    assert_eq!(found(&harness, id, "hello").await.len(), 4, "three, and what is not sent yet");
    assert!(harness.store.message(other, "old").await.expect("read").is_some());
    harness.store.delete_instance(id).await.expect("deleted");
    let gone = harness.store.set_retention(id, few).await;
    assert!(matches!(gone, Err(StorageError::NotFound(_))), "{gone:?}");
}

pub(crate) async fn what_a_message_says_of_its_file_is_kept_with_it(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    let mut row = inbound(id, ALICE, "1");
    "documentMessage".clone_into(&mut row.message.kind);
    row.message.content = json!({ "documentMessage": {
        "mimetype": "application/pdf", "fileName": "menu.pdf", "fileLength": 48213,
        "fileSha256": "AAEC",
    }});
    let document = row.row_id;
    let text = inbound(id, ALICE, "2");
    let nothing = text.row_id;
    harness.store.commit_inbound(id, vec![row, text], NOW).await.expect("stored");
    let media = harness.store.media(document).await.expect("read").expect("there");
    let expected = Media {
        kind: "documentMessage".to_owned(),
        mimetype: Some("application/pdf".to_owned()),
        file_name: Some("menu.pdf".to_owned()),
        bytes: Some(48213),
        sha256: Some(vec![0, 1, 2]),
        ..Media::default()
    };
    assert_eq!(media, expected);
    assert_eq!(harness.store.media(nothing).await.expect("read"), None);
    let keep = Retention { days: None, messages: Some(0) };
    harness.store.set_retention(id, keep).await.expect("set");
    harness.store.sweep_history(NOW).await.expect("swept");
    assert_eq!(harness.store.media(document).await.expect("read"), None, "forgotten with it");
}
