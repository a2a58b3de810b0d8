//! Instances: names, changes, deletion.

use crate::harness::{ALICE, Harness, Kind, NOW, OWN, event, fresh, inbound, jid, job, outgoing};
use flowcore_domain::clock::Millis;
use flowcore_domain::event::EventKind;
use flowcore_domain::instance::settings::Settings;
use flowcore_domain::instance::{Identity, Reason, Status};
use flowcore_domain::session_store::{Change, Namespace};
use flowcore_domain::webhook::{NextStep, Scope};
use flowcore_storage::{
    Claim, InstanceChange, InstanceFilter, NewInstance, PassedOver, Settlement, StorageError,
};
use std::time::Duration;

fn change(status: Status) -> InstanceChange {
    InstanceChange {
        status,
        reason: None,
        identity: None,
        wanted: None,
        last_connected: None,
        now: Millis(NOW.0 + 1),
    }
}

fn identity() -> Identity {
    Identity { jid: jid(OWN), lid: Some(jid("99@lid")), profile_name: Some("Shop".to_owned()) }
}

pub(crate) async fn a_name_is_taken_whatever_its_case(kind: Kind) {
    let harness = Harness::new(kind).await;
    let new = harness.new_instance("Shop.1");
    let made = harness.store.create_instance(new.clone(), vec![]).await.expect("made");
    assert_eq!((made.id, made.status, made.wanted), (new.id, Status::Created, false));
    let again = harness.store.create_instance(harness.new_instance("sHOP.1"), vec![]).await;
    assert!(matches!(again, Err(StorageError::Conflict("an instance with this name"))));
    let found = harness.store.instance_by_name(&"SHOP.1".parse().expect("a name")).await;
    assert_eq!(found.expect("read"), Some(made));
    let nobodys = NewInstance { user_id: fresh(), ..harness.new_instance("other") };
    let refused = harness.store.create_instance(nobodys, vec![]).await;
    assert!(matches!(refused, Err(StorageError::NotFound("the user"))), "{refused:?}");
}

pub(crate) async fn a_change_touches_what_it_names(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    let connected = InstanceChange {
        identity: Some(Some(identity())),
        wanted: Some(true),
        last_connected: Some(NOW),
        ..change(Status::Connected)
    };
    let events = vec![event(id, EventKind::ConnectionUpdate, "")];
    let stored = harness.store.update_instance(id, connected, events).await.expect("changed");
    assert_eq!((stored.len(), stored[0].seq), (1, 1));
    let lost = InstanceChange { reason: Some(Reason::Network), ..change(Status::Disconnected) };
    harness.store.update_instance(id, lost, vec![]).await.expect("changed");
    harness
        .store
        .update_settings(id, Settings { groups_ignore: true, ..Settings::default() }, NOW)
        .await
        .expect("changed");
    let read = harness.store.instance(id).await.expect("read").expect("there");
    assert_eq!((read.status, read.reason), (Status::Disconnected, Some(Reason::Network)));
    assert_eq!((read.identity, read.wanted), (Some(identity()), true));
    assert_eq!((read.last_connected, read.settings.groups_ignore), (Some(NOW), true));
    let unlinked = InstanceChange { identity: Some(None), ..change(Status::Disconnected) };
    harness.store.update_instance(id, unlinked, vec![]).await.expect("changed");
    let read = harness.store.instance(id).await.expect("read").expect("there");
    assert_eq!((read.identity, read.reason), (None, None));
    let unknown = harness.store.update_instance(fresh(), change(Status::Created), vec![]).await;
    assert!(matches!(unknown, Err(StorageError::NotFound(_))));
}

pub(crate) async fn who_was_connected_is_on_the_way_back_after_a_restart(kind: Kind) {
    let harness = Harness::new(kind).await;
    let told = |status, wanted| InstanceChange {
        identity: Some(Some(identity())),
        wanted: Some(wanted),
        ..change(status)
    };
    let (back, rests) = (harness.instance("back").await, harness.instance("rests").await);
    for (id, change) in
        [(back, told(Status::Connected, true)), (rests, told(Status::Disconnected, false))]
    {
        harness.store.update_instance(id, change, vec![]).await.expect("changed");
    }
    harness.store.expect_back().await.expect("noted");
    for (id, status) in [(back, Status::Connecting), (rests, Status::Disconnected)] {
        let found = harness.store.instance(id).await.expect("read").expect("the instance");
        assert_eq!(found.status, status);
        assert!(found.identity.is_some(), "the link stands");
    }
}

pub(crate) async fn filters_combine(kind: Kind) {
    let harness = Harness::new(kind).await;
    let shop = harness.instance("My-Shop").await;
    harness.instance("office").await;
    let linked = InstanceChange { identity: Some(Some(identity())), ..change(Status::Connected) };
    harness.store.update_instance(shop, linked, vec![]).await.expect("changed");
    let found = async |filter: InstanceFilter| {
        let found = harness.store.instances(&filter).await.expect("listed");
        found.into_iter().map(|instance| instance.name.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(found(InstanceFilter::default()).await, ["My-Shop", "office"]);
    let search =
        |text: &str| InstanceFilter { search: Some(text.to_owned()), ..Default::default() };
    assert_eq!(found(search("SHOP")).await, ["My-Shop"]);
    assert_eq!(found(search("91111")).await, ["My-Shop"]);
    assert_eq!(found(search("%")).await, Vec::<String>::new());
    let created = InstanceFilter { status: Some(Status::Created), ..Default::default() };
    assert_eq!(found(created.clone()).await, ["office"]);
    let nobody = InstanceFilter { user_id: Some(fresh()), ..created };
    assert_eq!(found(nobody).await, Vec::<String>::new());
}

pub(crate) async fn deleting_an_instance_removes_everything_of_it_and_nothing_else(kind: Kind) {
    let harness = Harness::new(kind).await;
    let kept = harness.instance("kept").await;
    harness.webhook(kept, &[]).await;
    harness.store.commit_inbound(kept, vec![inbound(kept, ALICE, "1")], NOW).await.expect("stored");
    let before = harness.counts().await;

    let gone = harness.instance("gone").await;
    harness.webhook(gone, &[]).await;
    harness.store.commit_inbound(gone, vec![inbound(gone, ALICE, "1")], NOW).await.expect("stored");
    let mut sent = outgoing(gone, ALICE, "2");
    sent.idempotency = Some(("key".to_owned(), [1; 32]));
    harness.store.insert_outgoing(sent).await.expect("stored");
    let put = Change::put(Namespace("session"), "a", "x");
    harness.store.session_store(gone).apply(vec![put]).await.expect("applied");
    harness.store.enqueue_jobs(vec![job(gone, "answer", ALICE)], NOW).await.expect("stored");
    let lease = Duration::from_secs(60);
    let any = Claim { limit: 10, each: 10, slow: &[], passed_over: PassedOver::default() };
    for claimed in harness.store.claim_deliveries(any, NOW, lease).await.expect("claimed") {
        if claimed.webhook.scope == Scope::Instance(gone) {
            let settlement = Settlement {
                step: NextStep::Delivered,
                status: Some(200),
                duration_ms: 5,
                error: None,
                answer: None,
                asked: None,
                dice: 0.5,
                render: |id, _, _, _| event(id, EventKind::WebhookUpdate, ""),
                at: NOW,
            };
            harness.store.settle_delivery(claimed.delivery_id, settlement).await.expect("settled");
        }
    }
    let mut full = harness.counts().await;
    // What its owner sent today stays counted.
    assert_eq!(full.insert("usage_counters".to_owned(), 0), Some(1));
    let grown = full.iter().filter(|(table, count)| before[*table] < **count).count();
    assert_eq!(grown, 12, "every table of an instance has rows of it: {full:?}");

    assert!(harness.store.delete_instance(gone).await.expect("deleted"));
    let mut after = harness.counts().await;
    assert_eq!(after.insert("usage_counters".to_owned(), 0), Some(1));
    assert_eq!(after, before);
    assert!(!harness.store.delete_instance(gone).await.expect("no error"));
}

pub(crate) async fn a_deleted_instance_says_goodbye_and_its_name_is_free(kind: Kind) {
    let harness = Harness::new(kind).await;
    let store = &harness.store;
    let id = harness.instance("shop").await;
    let webhook = harness.webhook(id, &[]).await;
    let before = harness.counts().await["session_entries"];
    let put = Change::put(Namespace("session"), "a", "x");
    store.session_store(id).apply(vec![put]).await.expect("applied");
    let farewell = event(id, EventKind::InstanceDelete, "");
    let told = store.retire_instance(id, vec![farewell.clone()], NOW).await.expect("no error");
    assert_eq!(told.expect("it was there")[0].event, farewell);
    assert_eq!(store.instance(id).await.expect("read"), None);
    assert_eq!(store.instances(&InstanceFilter::default()).await.expect("read"), []);
    assert_eq!(harness.counts().await["session_entries"], before, "the link is gone at once");
    let late = store.append_events(vec![event(id, EventKind::ConnectionUpdate, "")]).await;
    assert!(matches!(late, Err(StorageError::NotFound(_))), "{late:?}");
    let again = store.retire_instance(id, vec![farewell.clone()], NOW).await.expect("no error");
    assert_eq!(again, None);
    harness.instance("Shop").await;

    assert_eq!(store.bury_retired(NOW).await.expect("buried"), 0, "its last event is on its way");
    let any = Claim { limit: 10, each: 10, slow: &[], passed_over: PassedOver::default() };
    let claimed = store.claim_deliveries(any, NOW, Duration::from_secs(60)).await.expect("claimed");
    assert_eq!(claimed[0].event.event, farewell);
    assert_eq!((claimed[0].webhook.id, claimed[0].instance_name.as_str()), (webhook.id, "shop"));
    assert_eq!(store.bury_retired(Millis(NOW.0 + 1)).await.expect("buried"), 1, "not for ever");
    assert_eq!(harness.counts().await["deliveries"], 0);
}

pub(crate) async fn a_deleted_instance_that_nobody_waits_for_is_gone_at_once(kind: Kind) {
    let harness = Harness::new(kind).await;
    let before = harness.counts().await;
    let id = harness.instance("shop").await;
    let farewell = event(id, EventKind::InstanceDelete, "");
    let told = harness.store.retire_instance(id, vec![farewell], NOW).await.expect("no error");
    assert_eq!(told.map(|told| told.len()), Some(1));
    assert_eq!(harness.counts().await, before);
}
