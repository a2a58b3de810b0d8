//! What happens around a number reaches the user's app: edits, deletions, people, groups, calls.

use crate::harness::{DEADLINE, World, named};
use flowcore_gateway::{ChatFilter, Page};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn jid(phone: &str) -> String {
    format!("{phone}@s.whatsapp.net")
}

async fn heard(world: &World, event: &str) -> Value {
    world.receiver.until(event, |body| body["event"] == event).await.body["data"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_introduced_and_what_they_change_is_told() {
    let world = World::start().await;
    let customer = world.contact("Ana").await;
    let phone = world.linked("shop").await;
    world.hook("shop").await;
    let path = format!("/admin/contacts/{customer}/messages");
    let written = world.admin(&path, json!({ "to": phone, "text": "two, please" })).await;
    let id = written["id"].as_str().expect("an id").to_owned();
    let contact = heard(&world, "contacts.upsert").await;
    assert_eq!(contact["remoteJid"], jid(&customer));
    assert_eq!(contact["pushName"], "Ana");
    assert_eq!(heard(&world, "chats.upsert").await[0]["remoteJid"], jid(&customer));
    let first = heard(&world, "messages.upsert").await;
    let edit = json!({ "to": phone, "edit": { "id": id, "text": "three, please" } });
    world.admin(&path, edit).await;
    let edited = heard(&world, "messages.edited").await;
    assert_eq!(edited["key"], first["key"]);
    assert_eq!(edited["type"], "MESSAGE_EDIT");
    assert_eq!(edited["editedMessage"]["conversation"], "three, please");
    world.admin(&path, json!({ "to": phone, "delete": { "id": id } })).await;
    let deleted = heard(&world, "messages.delete").await;
    assert_eq!((&deleted["id"], &deleted["status"]), (&json!(id), &json!("DELETED")));
    assert_eq!(deleted["remoteJid"], jid(&customer));
    let order: Vec<_> =
        world.receiver.all().iter().map(|hook| hook.body["event"].clone()).collect();
    let wanted = ["contacts.upsert", "chats.upsert", "messages.upsert", "messages.edited"];
    let of_chat = order.iter().filter(|event| wanted.iter().any(|one| event == one));
    assert_eq!(of_chat.collect::<Vec<_>>(), wanted, "in order, and each once");
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_and_calls_are_told() {
    let world = World::start().await;
    let (ana, bea) = (world.contact("Ana").await, world.contact("Bea").await);
    let phone = world.linked("shop").await;
    world.hook("shop").await;
    let made = world
        .admin(
            &format!("/admin/contacts/{ana}/groups"),
            json!({ "subject": "Orders", "participants": [phone] }),
        )
        .await;
    let group = made["jid"].as_str().expect("an address").to_owned();
    let told = heard(&world, "groups.upsert").await;
    assert_eq!((&told[0]["id"], &told[0]["subject"]), (&json!(group), &json!("Orders")));
    assert_eq!(told[0]["owner"], jid(&ana));
    let act = format!("/admin/contacts/{ana}/groups/{group}");
    world.admin(&act, json!({ "action": "add", "participants": [bea] })).await;
    let told = heard(&world, "group-participants.update").await;
    assert_eq!((&told["id"], &told["action"]), (&json!(group), &json!("add")));
    assert_eq!(told["participantsData"][0]["phoneNumber"], jid(&bea));
    assert_eq!(told["author"], jid(&ana));
    world.admin(&act, json!({ "action": "subject", "subject": "Old orders" })).await;
    let told = heard(&world, "groups.update").await;
    assert_eq!(told[0]["subject"], "Old orders");

    let call = format!("/admin/contacts/{ana}/call");
    let rung = world.admin(&call, json!({ "to": phone, "video": true })).await;
    let told = heard(&world, "call").await;
    assert_eq!((&told["id"], &told["status"]), (&rung["id"], &json!("offer")));
    assert_eq!((&told["isVideo"], &told["offline"]), (&json!(true), &json!(false)));
    assert_eq!((&told["from"], &told["chatId"]), (&json!(jid(&ana)), &json!(jid(&ana))));
    world.admin(&call, json!({ "end": rung["id"] })).await;
    let ended = |body: &Value| body["event"] == "call" && body["data"]["status"] == "terminate";
    world.receiver.until("the end of the call", ended).await;

    world.gateway.instances().log_out(&world.caller, &named("shop")).await.expect("unlinked");
    let told = heard(&world, "status.instance").await;
    assert_eq!(
        (&told["status"], &told["disconnectionReasonCode"]),
        (&json!("closed"), &json!(401))
    );
    assert_eq!(heard(&world, "logout.instance").await, Value::Null);
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_owner_reads_on_the_phone_is_no_longer_unread() {
    let world = World::start().await;
    let customer = world.contact("Ana").await;
    let phone = world.linked("shop").await;
    world.hook("shop").await;
    let path = format!("/admin/contacts/{customer}/messages");
    for text in ["hello?", "anybody there?"] {
        world.admin(&path, json!({ "to": phone, "text": text })).await;
        let arrived = |body: &Value| body["data"]["message"]["conversation"] == text;
        world.receiver.until(text, arrived).await;
    }
    let unread = async || {
        let conversations = world.gateway.conversations();
        let page = Page { skip: 0, take: 10 };
        let chats =
            conversations.chats(&world.caller, &named("shop"), &ChatFilter::default(), page).await;
        chats.expect("a list")[0].unread
    };
    assert_eq!(unread().await, 2);
    let state = format!("/admin/mock-phone/{phone}/app-state");
    let mark = json!({ "markRead": { "chat": customer, "on": true } });
    let begun = Instant::now();
    // What the phone says while a fresh link still takes over its state is part of that state and no news.
    while unread().await > 0 {
        assert!(begun.elapsed() < DEADLINE, "still unread");
        world.admin(&state, mark.clone()).await;
        let told = heard(&world, "chats.update");
        let _ = tokio::time::timeout(Duration::from_secs(2), told).await;
    }
    world.gateway.stop().await;
}
