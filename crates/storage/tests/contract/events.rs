//! The outbox: numbered per instance, followed in the order of commits.

use crate::harness::{ALICE, Harness, Kind, NOW, event, fresh, inbound};
use flowcore_domain::clock::Millis;
use flowcore_domain::event::{EventKind, NewEvent};
use flowcore_domain::id::InstanceId;
use flowcore_storage::{Followed, PassedOver, StorageError};
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
    assert_eq!(
        harness.store.next_delivery_due(Millis(0), PassedOver::default()).await.expect("read"),
        Some(NOW)
    );
}

/// An event that happened when its id was made, as those of the gateway do.
fn timely(instance: InstanceId, kind: EventKind) -> NewEvent {
    let event = event(instance, kind, "");
    let (seconds, nanos) = event.id.0.get_timestamp().expect("a time").to_unix();
    let ms = i64::try_from(seconds).expect("a time") * 1000 + i64::from(nanos / 1_000_000);
    NewEvent { at: Millis(ms), ..event }
}

pub(crate) async fn a_follower_goes_on_where_it_was(kind: Kind) {
    let harness = Harness::new(kind).await;
    let (one, two) = (harness.instance("one").await, harness.instance("two").await);
    let (update, qr) = (EventKind::ConnectionUpdate, EventKind::QrcodeUpdated);
    let store = &harness.store;
    let mut all = vec![];
    for new in [timely(one, update), timely(two, update), timely(one, qr)] {
        all.extend(store.append_events(vec![new]).await.expect("appended"));
    }
    let whose = Followed { user_id: Some(harness.user), instance: None, kinds: vec![] };
    let follow = async |whose: &Followed, position| {
        let read = store.follow(whose, position, 10).await.expect("read");
        read.into_iter().map(|one| one.stored).collect::<Vec<_>>()
    };
    assert_eq!(follow(&whose, 0).await, all);
    let place = store.place_after(all[0].event.id).await.expect("read");
    assert!(!place.missed);
    assert_eq!(follow(&whose, place.position).await, all[1..]);
    let only = Followed { instance: Some(one), kinds: vec![qr, update], ..whose.clone() };
    assert_eq!(follow(&only, place.position).await, all[2..]);
    let only = Followed { kinds: vec![update], ..whose.clone() };
    assert_eq!(follow(&only, place.position).await, all[1..2]);
    let everybody = Followed { user_id: None, ..whose.clone() };
    assert_eq!(follow(&everybody, 0).await, all);
    let stranger = Followed { user_id: Some(fresh()), ..whose.clone() };
    assert_eq!(follow(&stranger, 0).await, []);
    let end = store.last_place().await.expect("read");
    assert_eq!(follow(&whose, end.position).await, []);
    store.delete_instance(two).await.expect("deleted");
    let place = store.place_after(all[1].event.id).await.expect("read");
    assert!(follow(&whose, place.position).await.contains(&all[2]), "rather twice than never");
}

pub(crate) async fn an_event_of_a_known_id_is_not_told_again(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    let edited = event(id, EventKind::MessagesEdited, "5511@s.whatsapp.net");
    let once = async || harness.store.append_event_once(edited.clone()).await.expect("appended");
    assert_eq!(once().await.len(), 1);
    assert_eq!(once().await, []);
}
