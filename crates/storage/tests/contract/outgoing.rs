//! Outgoing messages: stored before sent, statuses that only move forward.

use crate::harness::{
    ALICE, ALICE_LID, BOB, Harness, Kind, NOW, event, fresh, inbound, jid, outgoing,
};
use flowcore_domain::clock::Millis;
use flowcore_domain::event::EventKind;
use flowcore_domain::message::DeliveryStatus::{
    self, DeliveryAck, Error, Pending, Read, ServerAck,
};
use flowcore_storage::{
    IDEMPOTENCY_LIFETIME, OutgoingInsert, OutgoingRow, Receipt, Render, StatusNews, StorageError,
};

fn keyed(row: OutgoingRow, key: &str, hash: u8) -> OutgoingRow {
    OutgoingRow { idempotency: Some((key.to_owned(), [hash; 32])), ..row }
}

fn render() -> Render {
    Box::new(|message| {
        let mut event = event(message.instance_id, EventKind::MessagesUpdate, "chat");
        event.data = serde_json::json!({
            "id": message.wa_id, "status": message.status, "sent": message.sent_at.is_some(),
        });
        vec![event]
    })
}

fn news(chat: Option<&str>, ids: &[&str], status: DeliveryStatus) -> StatusNews {
    let ids = ids.iter().map(|id| (*id).to_owned()).collect();
    StatusNews { chat: chat.map(jid), ids, status, participant: None, at: NOW }
}

pub(crate) async fn the_same_request_is_answered_with_its_message_and_another_is_refused(
    kind: Kind,
) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    let first = keyed(outgoing(id, ALICE, "A"), "key", 1);
    let store = &harness.store;
    assert_eq!(store.insert_outgoing(first.clone()).await.expect("ok"), OutgoingInsert::Inserted);
    let again = keyed(outgoing(id, ALICE, "B"), "key", 1);
    let OutgoingInsert::Replayed(message) = store.insert_outgoing(again).await.expect("ok") else {
        panic!("not replayed");
    };
    assert_eq!((message.row_id, message.wa_id.as_str()), (first.row_id, "A"));
    let other = keyed(outgoing(id, ALICE, "C"), "key", 2);
    let conflict = store.insert_outgoing(other.clone()).await.expect("ok");
    assert_eq!(conflict, OutgoingInsert::IdempotencyConflict);
    let elsewhere = harness.instance("office").await;
    let theirs = keyed(outgoing(elsewhere, ALICE, "A"), "key", 2);
    assert_eq!(store.insert_outgoing(theirs).await.expect("ok"), OutgoingInsert::Inserted);
    let tomorrow = OutgoingRow { now: NOW.plus(IDEMPOTENCY_LIFETIME), ..other };
    assert_eq!(
        store.insert_outgoing(tomorrow.clone()).await.expect("ok"),
        OutgoingInsert::Inserted
    );
    assert_eq!(store.sweep_idempotency_keys(tomorrow.now).await.expect("swept"), 1);
}

pub(crate) async fn a_message_with_the_same_id_to_the_same_chat_is_refused(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    harness.store.insert_outgoing(outgoing(id, ALICE, "A")).await.expect("stored");
    let again = harness.store.insert_outgoing(outgoing(id, ALICE, "A")).await;
    assert!(matches!(again, Err(StorageError::Conflict(_))), "{again:?}");
    let nobody = harness.store.insert_outgoing(outgoing(fresh(), ALICE, "A")).await;
    assert!(matches!(nobody, Err(StorageError::NotFound(_))), "{nobody:?}");
}

pub(crate) async fn what_whatsapp_has_neither_taken_nor_refused_is_found_again_oldest_first(
    kind: Kind,
) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    let rows = ["A", "B", "C"].map(|wa_id| outgoing(id, ALICE, wa_id));
    for row in &rows {
        harness.store.insert_outgoing(row.clone()).await.expect("stored");
    }
    let open = async || {
        let rows = harness.store.unacknowledged(id, 10).await.expect("listed");
        rows.into_iter().map(|message| message.wa_id).collect::<Vec<_>>()
    };
    assert_eq!(open().await, ["A", "B", "C"]);
    let told = vec![event(id, EventKind::SendMessage, ALICE)];
    let stored = harness.store.record_sent(rows[0].row_id, NOW, told.clone()).await.expect("sent");
    assert_eq!(stored.len(), 1);
    let again = harness.store.record_sent(rows[0].row_id, Millis(NOW.0 + 9), told).await;
    assert_eq!(again.expect("fine"), []);
    let sent = harness.store.message_by_row(rows[0].row_id).await.expect("read").expect("there");
    assert_eq!((sent.status, sent.sent_at), (Pending, Some(NOW)));
    assert_eq!(open().await, ["A", "B", "C"], "written is not acknowledged");
    for (wa_id, status) in [("A", ServerAck), ("B", Error)] {
        let told = news(None, &[wa_id], status);
        harness.store.advance_status(id, told, render()).await.expect("advanced");
    }
    assert_eq!(open().await, ["C"]);
    let unknown = harness.store.record_sent(fresh(), NOW, vec![]).await;
    assert!(matches!(unknown, Err(StorageError::NotFound(_))));
}

pub(crate) async fn a_status_never_goes_back_and_each_step_has_one_event(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    harness.webhook(id, &[]).await;
    for wa_id in ["A", "B"] {
        harness.store.insert_outgoing(outgoing(id, ALICE, wa_id)).await.expect("stored");
    }
    harness.store.commit_inbound(id, vec![inbound(id, ALICE, "X")], NOW).await.expect("stored");
    let steps = [
        (&["A"][..], ServerAck, 1),
        (&["A"], ServerAck, 0),
        (&["A", "B", "B", "nobody"], Read, 2),
        (&["A", "B"], DeliveryAck, 0),
        (&["A"], Error, 0),
        (&["X"], Read, 0),
    ];
    for (ids, status, moved) in steps {
        let told = harness.store.advance_status(id, news(None, ids, status), render()).await;
        let told = told.expect("advanced");
        assert_eq!(told.len(), moved, "{ids:?} {status:?}");
        for (message, stored) in told {
            assert_eq!(message.status, status);
            assert_eq!(stored.event.data["id"], message.wa_id);
            assert_eq!(stored.deliveries, 1);
        }
    }
    let message = harness.store.message(id, "A").await.expect("read").expect("there");
    assert_eq!(message.status, Read);
}

pub(crate) async fn a_receipt_from_the_other_address_is_understood_and_a_namesake_is_spared(
    kind: Kind,
) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    harness.store.insert_outgoing(outgoing(id, ALICE, "A")).await.expect("stored");
    let by_lid = news(Some(ALICE_LID), &["A"], DeliveryAck);
    assert_eq!(harness.store.advance_status(id, by_lid, render()).await.expect("ok").len(), 1);
    for chat in [ALICE, BOB] {
        harness.store.insert_outgoing(outgoing(id, chat, "S")).await.expect("stored");
    }
    let from_bob = news(Some(BOB), &["S"], Read);
    let moved = harness.store.advance_status(id, from_bob, render()).await.expect("ok");
    assert_eq!(moved.len(), 1);
    assert_eq!(moved[0].0.chat, jid(BOB));
}

pub(crate) async fn each_member_of_a_group_has_a_message_as_far_as_they_told(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    let group = "120363000000000001@g.us";
    harness.store.insert_outgoing(outgoing(id, group, "A")).await.expect("stored");
    let row = harness.store.message(id, "A").await.expect("read").expect("there").row_id;
    for (who, status, at) in [(ALICE, Read, 1), (BOB, DeliveryAck, 2), (ALICE, DeliveryAck, 3)] {
        let told = StatusNews {
            participant: Some(jid(who)),
            at: Millis(at),
            ..news(Some(group), &["A"], status)
        };
        harness.store.advance_status(id, told, render()).await.expect("advanced");
    }
    let receipt = |who, status, at| Receipt { participant: jid(who), status, at: Millis(at) };
    let receipts = harness.store.receipts(row).await.expect("read");
    assert_eq!(receipts, [receipt(BOB, DeliveryAck, 2), receipt(ALICE, Read, 1)]);
}

pub(crate) async fn what_is_acknowledged_before_it_was_noted_as_sent_is_sent(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    harness.store.insert_outgoing(outgoing(id, ALICE, "A")).await.expect("stored");
    let row = harness.store.message(id, "A").await.expect("read").expect("there").row_id;
    for (status, known) in [(ServerAck, false), (Read, true)] {
        let told = news(None, &["A"], status);
        let told = harness.store.advance_status(id, told, render()).await.expect("advanced");
        assert_eq!(told[0].1.event.data["sent"], known, "{status:?}");
    }
    let message = harness.store.message(id, "A").await.expect("read").expect("there");
    assert_eq!(message.sent_at, Some(NOW));
    let late = vec![event(id, EventKind::SendMessage, ALICE)];
    let late = harness.store.record_sent(row, Millis(NOW.0 + 9), late).await.expect("noted");
    assert_eq!(late, [], "it was told with the acknowledgement");
    harness.store.insert_outgoing(outgoing(id, ALICE, "B")).await.expect("stored");
    let refused = news(None, &["B"], Error);
    harness.store.advance_status(id, refused, render()).await.expect("advanced");
    let refused = harness.store.message(id, "B").await.expect("read").expect("there");
    assert_eq!(refused.sent_at, None);
}

pub(crate) async fn an_edit_of_ours_is_sent_like_a_message_and_shown_like_none(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    harness.store.insert_outgoing(outgoing(id, ALICE, "A")).await.expect("stored");
    let mut edit = outgoing(id, ALICE, "E");
    "protocolMessage".clone_into(&mut edit.kind);
    edit.now = Millis(NOW.0 + 60_000);
    harness.store.insert_outgoing(edit).await.expect("stored");
    let waiting = harness.store.unacknowledged(id, 10).await.expect("read");
    assert_eq!(waiting.len(), 2);
    let shown = harness.store.messages_of_chat(id, &jid(ALICE), None, 10).await.expect("read");
    assert_eq!(shown.into_iter().map(|one| one.wa_id).collect::<Vec<_>>(), ["A"]);
    let chats = harness.store.chats(id, None, 10).await.expect("read");
    assert_eq!(chats[0].last_message_at, NOW, "an edit moves no chat up");
}
