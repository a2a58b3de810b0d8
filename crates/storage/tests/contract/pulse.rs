//! How an instance is doing: its traffic by the hour, what waits, what happened to it.

use crate::harness::{ALICE, BOB, Harness, Kind, NOW, event, inbound, outgoing};
use flowcore_domain::clock::Millis;
use flowcore_domain::event::EventKind;
use flowcore_domain::id::InstanceId;
use flowcore_domain::message::DeliveryStatus;
use flowcore_storage::{OutgoingRow, Queue, StatusNews, Traffic};

const HOUR: i64 = 3_600_000;
/// A full hour.
const THIS: Millis = Millis(NOW.0 - NOW.0 % HOUR);

async fn wrote(harness: &Harness, id: InstanceId, (chat, wa_id): (&str, &str), at: Millis) {
    let row = OutgoingRow { now: at, ..outgoing(id, chat, wa_id) };
    harness.store.insert_outgoing(row).await.expect("stored");
}

pub(crate) async fn messages_are_counted_by_hour_and_direction(kind: Kind) {
    let harness = Harness::new(kind).await;
    let (id, other) = (harness.instance("shop").await, harness.instance("other").await);
    for (chat, wa_id) in [(ALICE, "1"), (ALICE, "2"), (BOB, "3")] {
        let row = inbound(id, chat, wa_id);
        harness.store.commit_inbound(id, vec![row], NOW).await.expect("stored");
    }
    let earlier = Millis(THIS.0 - 1);
    wrote(&harness, id, (ALICE, "4"), earlier).await;
    wrote(&harness, id, (ALICE, "5"), Millis(THIS.0 - HOUR - 1)).await;
    wrote(&harness, other, (ALICE, "6"), NOW).await;
    let mut edit = OutgoingRow { now: NOW, ..outgoing(id, ALICE, "7") };
    "protocolMessage".clone_into(&mut edit.kind);
    harness.store.insert_outgoing(edit).await.expect("stored");
    let mut traffic = harness.store.traffic(id, Millis(THIS.0 - HOUR)).await.expect("counted");
    traffic.sort_by_key(|one| one.hour);
    let one = |from_me, hour, count, last| Traffic { from_me, hour, count, last };
    let came = one(false, THIS, 3, Millis(NOW.seconds() * 1000));
    assert_eq!(traffic, [one(true, Millis(THIS.0 - HOUR), 1, earlier), came]);
}

pub(crate) async fn what_waits_is_counted_until_it_is_taken(kind: Kind) {
    let harness = Harness::new(kind).await;
    let (id, other) = (harness.instance("shop").await, harness.instance("other").await);
    let queue = async || harness.store.queue(id).await.expect("counted");
    assert_eq!(queue().await, Queue::default());
    for webhook in [id, other] {
        harness.webhook(webhook, &[]).await;
    }
    for wa_id in ["1", "2"] {
        wrote(&harness, id, (ALICE, wa_id), NOW).await;
    }
    wrote(&harness, other, (ALICE, "3"), NOW).await;
    let events = [id, id, id, other].map(|id| event(id, EventKind::ConnectionUpdate, ""));
    harness.store.append_events(events.to_vec()).await.expect("appended");
    assert_eq!(queue().await, Queue { to_whatsapp: 2, to_webhooks: 3 });
    let (status, ids) = (DeliveryStatus::ServerAck, vec!["1".to_owned()]);
    let told = StatusNews { chat: None, ids, status, participant: None, at: NOW };
    let none = Box::new(|_: &_| vec![]);
    harness.store.advance_status(id, told, none).await.expect("advanced");
    assert_eq!(queue().await, Queue { to_whatsapp: 1, to_webhooks: 3 });
}

pub(crate) async fn what_an_owner_looks_for_is_found_among_events_of_messages(kind: Kind) {
    let harness = Harness::new(kind).await;
    let (id, other) = (harness.instance("shop").await, harness.instance("other").await);
    let kinds = [
        EventKind::ConnectionUpdate,
        EventKind::MessagesUpsert,
        EventKind::ConversationEscalated,
        EventKind::PresenceUpdate,
        EventKind::WebhookUpdate,
    ];
    for (hour, of) in (0..).zip(kinds) {
        let event = |id| {
            let at = Millis(NOW.0 + hour * HOUR);
            flowcore_domain::event::NewEvent { at, ..event(id, of, "") }
        };
        let both = vec![event(id), event(other)];
        harness.store.append_events(both).await.expect("appended");
    }
    let found = async |since, limit| {
        let found = harness.store.events_of_note(id, since, limit).await.expect("read");
        assert!(found.iter().all(|one| one.event.instance_id == id));
        found.into_iter().map(|one| one.event.kind).collect::<Vec<_>>()
    };
    let [connection, _, escalated, _, webhook] = kinds;
    assert_eq!(found(None, 10).await, [webhook, escalated, connection], "the last one first");
    assert_eq!(found(None, 1).await, [webhook]);
    assert_eq!(found(Some(Millis(NOW.0 + HOUR)), 10).await, [webhook, escalated]);
}
