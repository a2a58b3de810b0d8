//! What is old is forgotten by itself.

use crate::harness::{DEADLINE, World, named};
use flowcore_gateway::Retention;
use flowcore_storage::{DatabaseOptions, InstanceFilter, Mark, Store, StoreOptions};
use serde_json::json;
use std::path::Path;
use tokio::time::{Instant, timeout};

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_keeps_as_much_history_as_its_owner_wants() {
    let mut world = World::start().await;
    let customer = world.contact("Ana").await;
    let phone = world.linked("shop").await;
    world.hook("shop").await;
    let path = format!("/admin/contacts/{customer}/messages");
    for text in ["one", "two", "three"] {
        world.admin(&path, json!({ "to": phone, "text": text })).await;
        let arrived = |body: &serde_json::Value| body["data"]["message"]["conversation"] == text;
        world.receiver.until(text, arrived).await;
    }
    let kept = Retention { days: None, messages: Some(1) };
    let instances = world.gateway.instances();
    instances.set_history(&world.caller, &named("shop"), kept).await.expect("set");
    assert_eq!(instances.history(&world.caller, &named("shop")).await.expect("read"), kept);
    let begun = Instant::now();
    loop {
        // The first round comes with the start; a stop may cut it off, the next start goes on.
        world.restart_gateway().await;
        world.until("shop", |view| view.status.as_str() == "connected").await;
        world.gateway.stop().await;
        let texts = timeout(DEADLINE, stored(world.data())).await.expect("a store");
        if texts == ["three"] {
            return;
        }
        assert!(begun.elapsed() < DEADLINE, "still there: {texts:?}");
    }
}

async fn stored(data: &Path) -> Vec<String> {
    let options = StoreOptions {
        data_dir: data.to_owned(),
        database: DatabaseOptions::DataDirectory,
        mark: Mark::Sandbox,
        master_key: None,
    };
    let store = Store::open(options).await.expect("a store");
    let instance = store.instances(&InstanceFilter::default()).await.expect("a list")[0].id;
    let mut texts = Vec::new();
    for word in ["one", "two", "three"] {
        let found = store.search_messages(instance, word, None, 10).await.expect("a search");
        texts.extend(found.into_iter().filter_map(|message| message.text));
    }
    store.close().await;
    texts
}
