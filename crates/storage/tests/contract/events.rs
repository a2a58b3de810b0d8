//! The outbox: numbered per instance, followed in the order of commits.

use crate::harness::{ALICE, Harness, Kind, NOW, event, fresh, inbound};
use flowcore_domain::clock::Millis;
use flowcore_domain::event::EventKind;
use flowcore_storage::StorageError;
use std::time::Duration;

pub(crate) async fn events_are_numbered_per_instance_and_followed_over_all(kind: Kind) {
    let harness = Harness::new(kind).await;
    let (one, two) = (harness.instance("one").await, harness.instance("two").await);
    let kind = EventKind::ConnectionUpdate;
    let mut all = vec![];
    for events in [vec![event(one, kind, ""), event(two, kind, "")], vec![event(one, kind, "")]] {
        all.extend(harness.store.append_events(events).await.expect("appended"));
    }
    assert_eq!(all.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 1, 2]);
    let read = harness.store.events_after(None, None, 10).await.expect("read");
    assert_eq!(read, all);
    let after = Some(all[0].event.id);
    let read = harness.store.events_after(None, after, 10).await.expect("read");
    assert_eq!(read, all[1..]);
    let read = harness.store.events_after(Some(one), after, 10).await.expect("read");
    assert_eq!(read, all[2..]);
    assert_eq!(harness.store.events_after(None, None, 2).await.expect("read"), all[..2]);
    assert_eq!(harness.store.last_event().await.expect("read"), Some(all[2].event.id));
    let unknown = harness.store.events_after(None, Some(fresh()), 10).await;
    assert!(matches!(unknown, Err(StorageError::NotFound("the event"))));
}

pub(crate) async fn events_of_a_deleted_instance_are_refused_together(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    let kind = EventKind::LogoutInstance;
    let mixed = vec![event(id, kind, ""), event(fresh(), kind, "")];
    let refused = harness.store.append_events(mixed).await;
    assert!(matches!(refused, Err(StorageError::NotFound("the instance"))), "{refused:?}");
    assert_eq!(harness.counts().await["events"], 0);
}

pub(crate) async fn old_events_are_swept_unless_they_are_still_on_their_way(kind: Kind) {
    let harness = Harness::new(kind).await;
    let (quiet, heard) = (harness.instance("quiet").await, harness.instance("heard").await);
    harness.webhook(heard, &[]).await;
    for id in [quiet, heard] {
        harness.store.commit_inbound(id, vec![inbound(id, ALICE, "1")], NOW).await.expect("stored");
    }
    let later = NOW.plus(Duration::from_secs(1));
    assert_eq!(harness.store.sweep_events(NOW).await.expect("swept"), 0);
    assert_eq!(harness.store.sweep_events(later).await.expect("swept"), 1);
    assert_eq!(harness.counts().await["deliveries"], 1);
    assert_eq!(harness.store.next_delivery_due(Millis(0)).await.expect("read"), Some(NOW));
}
