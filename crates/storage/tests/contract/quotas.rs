//! Limits hold whoever asks at the same time.

use crate::accounts::user;
use crate::harness::{Harness, Kind, NOW, fresh, outgoing, webhook};
use flowcore_domain::clock::Millis;
use flowcore_domain::quota::{OverQuota, Quota, Quotas};
use flowcore_storage::{NewInstance, StorageError, UserChange};
use futures_util::future::join_all;

fn limited(quota: Quota, limit: u64) -> Quotas {
    Quotas::default().patched(&[(quota, Some(limit))].into())
}

pub(crate) async fn a_crowd_makes_exactly_as_many_instances_as_are_allowed(kind: Kind) {
    let harness = Harness::new(kind).await;
    let owner = user(&harness, "anna", limited(Quota::Instances, 5)).await;
    let makes = (0..200).map(|n| {
        let name = format!("shop-{n}").parse().expect("a name");
        let new = NewInstance { id: fresh(), user_id: owner.id, name, now: NOW };
        harness.store.create_instance(new, vec![])
    });
    let made = join_all(makes).await;
    assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 5);
    let over = OverQuota { quota: Quota::Instances, limit: 5, used: 5, renews: None };
    for refused in made.into_iter().filter_map(Result::err) {
        assert!(matches!(refused, StorageError::OverQuota(told) if told == over), "{refused:?}");
    }
    let usage = harness.store.usage(owner.id, NOW).await.expect("read");
    assert_eq!(usage[0], (Quota::Instances, 5));
    harness.instance("of-another").await;
}

pub(crate) async fn what_is_counted_in_a_window_begins_anew_with_the_next(kind: Kind) {
    let harness = Harness::new(kind).await;
    let store = &harness.store;
    let owner = user(&harness, "anna", limited(Quota::PromptsPerMonth, 10)).await;
    let spend = |now| store.spend(owner.id, (Quota::PromptsPerMonth, 1), now);
    let answers = join_all((0..40).map(|_| spend(NOW))).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 10);
    let refused = spend(NOW).await.expect_err("too much");
    let StorageError::OverQuota(over) = refused else { panic!("{refused:?}") };
    assert_eq!((over.limit, over.used), (10, 10));
    let next = over.renews.expect("a month ends");
    assert_eq!(spend(next).await.expect("counted"), 1);
    let patch = [(Quota::PromptsPerMonth, Some(11))].into();
    let change = UserChange { quotas: patch, ..UserChange::default() };
    store.update_user(owner.id, change).await.expect("changed");
    assert_eq!(spend(NOW).await.expect("live"), 11);
}

pub(crate) async fn a_message_too_many_is_not_stored_and_not_counted(kind: Kind) {
    let harness = Harness::new(kind).await;
    let store = &harness.store;
    let id = harness.instance("shop").await;
    let patch = [(Quota::MessagesPerDay, Some(3)), (Quota::Webhooks, Some(1))].into();
    let change = UserChange { quotas: patch, ..UserChange::default() };
    store.update_user(harness.user, change).await.expect("changed");
    let sends = (0..20)
        .map(|n| store.insert_outgoing(outgoing(id, crate::harness::ALICE, &format!("id-{n}"))));
    let sent = join_all(sends).await;
    assert_eq!(sent.iter().filter(|sent| sent.is_ok()).count(), 3);
    assert_eq!(harness.counts().await["messages"], 3);
    let usage = store.usage(harness.user, NOW).await.expect("read");
    assert!(usage.contains(&(Quota::MessagesPerDay, 3)), "{usage:?}");
    let tomorrow = Quota::MessagesPerDay.renews(NOW).expect("a day ends");
    let usage = store.usage(harness.user, tomorrow).await.expect("read");
    assert!(usage.contains(&(Quota::MessagesPerDay, 0)), "{usage:?}");
    let mut late = outgoing(id, crate::harness::ALICE, "late");
    late.now = Millis(tomorrow.0);
    store.insert_outgoing(late).await.expect("a new day");

    store.create_webhook(webhook(id, &[])).await.expect("the first");
    let refused = store.create_webhook(webhook(id, &[])).await;
    assert!(matches!(refused, Err(StorageError::OverQuota(_))), "{refused:?}");
}
