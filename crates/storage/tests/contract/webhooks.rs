//! Webhook endpoints: bounded, sealed.

use crate::harness::{Harness, Kind, NOW, fresh, webhook};
use flowcore_domain::clock::Millis;
use flowcore_domain::event::EventKind;
use flowcore_domain::webhook::{BytesForm, FileForm, Scope, Secret};
use flowcore_storage::{MAX_WEBHOOKS, StorageError};

pub(crate) async fn an_endpoint_is_read_back_as_it_was_written(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    let mut webhook = harness.webhook(id, &[EventKind::MessagesUpsert]).await;
    assert_eq!(harness.store.webhook(webhook.id).await.expect("read"), Some(webhook.clone()));
    webhook.url = String::from("https://other.example");
    webhook.headers.clear();
    webhook.by_events = true;
    webhook.media = FileForm::Link;
    webhook.bytes = BytesForm::Objects;
    let until = Millis(NOW.0 + 5);
    let oldest = (Secret::from_bytes([2; 32]), NOW);
    webhook.previous_secrets = vec![(webhook.secret, until), oldest];
    webhook.secret = Secret::from_bytes([1; 32]);
    webhook.chats.own = false;
    webhook.events = vec![];
    harness.store.update_webhook(webhook.clone(), NOW).await.expect("changed");
    assert_eq!(
        harness.store.webhooks(Scope::Instance(id)).await.expect("listed"),
        [webhook.clone()]
    );
    assert!(
        !harness
            .store
            .delete_webhook(Scope::Instance(fresh()), webhook.id)
            .await
            .expect("not theirs")
    );
    assert!(harness.store.delete_webhook(Scope::Instance(id), webhook.id).await.expect("deleted"));
    let gone = harness.store.update_webhook(webhook, NOW).await;
    assert!(matches!(gone, Err(StorageError::NotFound("the webhook"))));
}

pub(crate) async fn an_instance_has_a_bounded_number_of_endpoints(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    for _ in 0..MAX_WEBHOOKS {
        harness.webhook(id, &[]).await;
    }
    assert!(!harness.store.create_webhook(webhook(id, &[])).await.expect("no error"));
    assert_eq!(
        harness.store.webhooks(Scope::Instance(id)).await.expect("listed").len(),
        MAX_WEBHOOKS
    );
    let nobody = harness.store.create_webhook(webhook(fresh(), &[])).await;
    assert!(matches!(nobody, Err(StorageError::NotFound(_))));
}

pub(crate) async fn a_secret_copied_to_another_endpoint_is_refused_by_name(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    let (one, two) = (harness.webhook(id, &[]).await, harness.webhook(id, &[]).await);
    let copy = format!(
        "UPDATE webhook_endpoints SET secret = \
         (SELECT secret FROM webhook_endpoints WHERE id = '{}') WHERE id = '{}'",
        one.id, two.id
    );
    assert_eq!(harness.raw().await.execute(&copy).await, 1);
    let error = harness.store.webhook(two.id).await.expect_err("refused");
    assert!(matches!(&error, StorageError::Corrupt { table: "webhook_endpoints", row }
        if row.contains(&two.id.text())));
    assert!(harness.store.webhook(one.id).await.is_ok());
}
