//! What an instance does by itself, as its owner switched it.

use crate::harness::{World, named};
use flowcore_domain::instance::settings::Settings;
use serde_json::{Value, json};
use std::time::Duration;

async fn until(world: &World, path: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    for _ in 0..200 {
        tick.tick().await;
        let shown = world.ask(path).await;
        if holds(&shown) {
            return shown;
        }
    }
    panic!("{path} never showed it");
}

async fn switched(world: &World, settings: Settings) {
    let instances = world.gateway.instances();
    instances.set_settings(&world.caller, &named("shop"), settings).await.expect("switched");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_is_hung_up_on_and_told_why() {
    let world = World::start().await;
    let ana = world.contact("Ana").await;
    let phone = world.linked("shop").await;
    let settings = Settings {
        reject_calls: true,
        reject_calls_message: "please write".into(),
        ..Settings::default()
    };
    switched(&world, settings).await;
    let call = format!("/admin/contacts/{ana}/call");
    let rung = world.admin(&call, json!({ "to": phone, "video": false })).await;
    let seen = format!("/admin/contacts/{ana}");
    until(&world, &seen, |shown| {
        shown["calls"].as_array().is_some_and(|calls| {
            calls.iter().any(|one| one["id"] == rung["id"] && one["state"] == "rejected")
        })
    })
    .await;
    let path = format!("/admin/contacts/{ana}/messages?wait=20");
    let told = world.ask(&path).await;
    assert_eq!(told["messages"][0]["text"], "please write");
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_are_ignored_and_messages_are_marked_as_read() {
    let world = World::start().await;
    let ana = world.contact("Ana").await;
    let phone = world.linked("shop").await;
    world.hook("shop").await;
    let settings = Settings { groups_ignore: true, read_messages: true, ..Settings::default() };
    switched(&world, settings).await;
    let made = world
        .admin(
            &format!("/admin/contacts/{ana}/groups"),
            json!({ "subject": "Noise", "participants": [phone] }),
        )
        .await;
    let path = format!("/admin/contacts/{ana}/messages");
    world.admin(&path, json!({ "to": made["jid"], "text": "to all" })).await;
    let written = world.admin(&path, json!({ "to": phone, "text": "to you" })).await;
    let id = written["id"].as_str().expect("an id").to_owned();
    let told = world.receiver.until("it", |body| body["event"] == "messages.upsert").await;
    assert_eq!(told.body["data"]["message"]["conversation"], "to you");
    assert!(world.receiver.all().iter().all(|hook| hook.body["event"] != "groups.upsert"));
    until(&world, &format!("/admin/contacts/{ana}"), |shown| {
        shown["receipts"].as_array().is_some_and(|all| {
            all.iter().any(|one| one["id"] == id.as_str() && one["type"] == "read")
        })
    })
    .await;
    world.gateway.stop().await;
}
