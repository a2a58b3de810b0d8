//! Webhook endpoints: bounded, sealed.

use crate::harness::{Harness, NOW, fresh, webhook};
use flowcore_domain::event::EventKind;
use flowcore_domain::webhook::Secret;
use flowcore_storage::{MAX_WEBHOOKS, StorageError};

#[tokio::test]
async fn an_endpoint_is_read_back_as_it_was_written() {
    let harness = Harness::new().await;
    let id = harness.instance("shop").await;
    let mut webhook = harness.webhook(id, &[EventKind::MessagesUpsert]).await;
    assert_eq!(harness.store.webhook(webhook.id).await.expect("read"), Some(webhook.clone()));
    webhook.url = "https://other.example".to_owned();
    webhook.headers.clear();
    webhook.by_events = true;
    webhook.secret = Secret::from_bytes([1; 32]);
    webhook.events = vec![];
    harness.store.update_webhook(webhook.clone(), NOW).await.expect("changed");
    assert_eq!(harness.store.webhooks(id).await.expect("listed"), [webhook.clone()]);
    assert!(!harness.store.delete_webhook(fresh(), webhook.id).await.expect("not theirs"));
    assert!(harness.store.delete_webhook(id, webhook.id).await.expect("deleted"));
    let gone = harness.store.update_webhook(webhook, NOW).await;
    assert!(matches!(gone, Err(StorageError::NotFound("the webhook"))));
}

#[tokio::test]
async fn an_instance_has_a_bounded_number_of_endpoints() {
    let harness = Harness::new().await;
    let id = harness.instance("shop").await;
    for _ in 0..MAX_WEBHOOKS {
        harness.webhook(id, &[]).await;
    }
    assert!(!harness.store.create_webhook(webhook(id, &[])).await.expect("no error"));
    assert_eq!(harness.store.webhooks(id).await.expect("listed").len(), MAX_WEBHOOKS);
    let nobody = harness.store.create_webhook(webhook(fresh(), &[])).await;
    assert!(matches!(nobody, Err(StorageError::NotFound(_))));
}

#[tokio::test]
async fn a_secret_copied_to_another_endpoint_is_refused_by_name() {
    let harness = Harness::new().await;
    let id = harness.instance("shop").await;
    let (one, two) = (harness.webhook(id, &[]).await, harness.webhook(id, &[]).await);
    sqlx::query(
        "UPDATE webhook_endpoints SET secret = \
         (SELECT secret FROM webhook_endpoints WHERE id = $1) WHERE id = $2",
    )
    .bind(one.id.text())
    .bind(two.id.text())
    .execute(&mut harness.raw().await)
    .await
    .expect("copied");
    let error = harness.store.webhook(two.id).await.expect_err("refused");
    assert!(matches!(&error, StorageError::Corrupt { table: "webhook_endpoints", row }
        if row.contains(&two.id.text())));
    assert!(harness.store.webhook(one.id).await.is_ok());
}
