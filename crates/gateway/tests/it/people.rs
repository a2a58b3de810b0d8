//! People and conversations: what the other side and the owner's other devices see.

use crate::harness::{World, named};
use crate::sending::PNG;
use bytes::Bytes;
use flowcore_domain::engine::{PrivacyKind, PrivacyValue, Typing};
use flowcore_domain::jid::Jid;
use flowcore_domain::message::MessageKey;
use flowcore_gateway::{ChatRef, MediaSource, OwnProfile, ServiceError};
use serde_json::{Value, json};
use std::time::Duration;

/// Waits until a phone shows something.
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

fn person(phone: &str) -> Jid {
    format!("{phone}@s.whatsapp.net").parse().expect("an address")
}

async fn owner(world: &World, phone: &str) -> Value {
    let all = world.ask("/admin/mock-phone").await;
    let found = all["phones"]
        .as_array()
        .and_then(|phones| phones.iter().find(|one| one["phone"] == phone).cloned());
    found.expect("the owner's phone")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_shows_what_they_set() {
    let world = World::start().await;
    let ana = world.contact("Ana").await;
    let phone = world.linked("shop").await;
    let (people, caller, shop) = (world.gateway.people(), &world.caller, named("shop"));
    let name = OwnProfile::Name("The shop".into());
    people.set_own(caller, &shop, &name).await.expect("named");
    people.set_own(caller, &shop, &OwnProfile::About("open".into())).await.expect("told");
    let png = MediaSource::Bytes(Bytes::from_static(PNG));
    people.set_own_picture(caller, &shop, Some(&png)).await.expect("a picture");
    let shown = owner(&world, &phone).await;
    assert_eq!((&shown["name"], &shown["about"]), (&json!("The shop"), &json!("open")));
    assert!(shown["picture"].is_string());
    let own = people.profile(caller, &shop, None).await.expect("shown");
    assert_eq!(own.profile.about.as_deref(), Some("open"));
    assert!(own.picture.is_some());
    people.set_own_picture(caller, &shop, None).await.expect("no picture");
    assert!(owner(&world, &phone).await["picture"].is_null());

    let wanted = [
        (PrivacyKind::LastSeen, PrivacyValue::Contacts),
        (PrivacyKind::ReadReceipts, PrivacyValue::Nobody),
    ];
    let now = people.set_privacy(caller, &shop, &wanted).await.expect("set");
    assert!(wanted.iter().all(|one| now.contains(one)) && now.len() == 6);
    let shown = owner(&world, &phone).await;
    assert_eq!(shown["privacy"]["last"], "contacts");
    assert_eq!(shown["privacy"]["readreceipts"], "none");
    let wrong = [(PrivacyKind::Online, PrivacyValue::Contacts)];
    let refused = people.set_privacy(caller, &shop, &wrong).await;
    assert!(matches!(refused, Err(ServiceError::Invalid(_))));

    people.block(caller, &shop, (&ana, true)).await.expect("blocked");
    assert_eq!(owner(&world, &phone).await["blocked"], json!([ana]));
    assert_eq!(people.blocked(caller, &shop).await.expect("asked").len(), 1);
    people.block(caller, &shop, (&ana, false)).await.expect("let in");
    assert_eq!(owner(&world, &phone).await["blocked"], json!([]));
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_show_can_be_asked_for() {
    let world = World::start().await;
    let (ana, pub_) = (world.contact("Ana").await, world.contact("Pub").await);
    world.linked("shop").await;
    let (people, caller, shop) = (world.gateway.people(), &world.caller, named("shop"));
    let change = json!({ "about": "busy", "picture": "/9j/4AAQSkZJRg==" });
    world.admin(&format!("/admin/contacts/{ana}/profile"), change).await;
    let business = json!({ "business": { "description": "drinks", "email": "a@b.c" } });
    world.admin(&format!("/admin/contacts/{pub_}/profile"), business).await;
    let checked =
        people.check(caller, &shop, &[ana.clone(), "4915100000000".into()]).await.expect("checked");
    assert!(checked[0].account.is_some() && checked[1].account.is_none());
    assert_eq!(checked[1].jid.to_string(), "4915100000000@s.whatsapp.net");
    let shown = people.profile(caller, &shop, Some(&ana)).await.expect("shown");
    assert_eq!(shown.profile.about.as_deref(), Some("busy"));
    assert!(shown.exists && shown.picture.is_some() && shown.business.is_none());
    let (_, business) = people.business(caller, &shop, &pub_).await.expect("asked");
    assert_eq!(business.expect("a business").description.as_deref(), Some("drinks"));
    let nobody = people.profile(caller, &shop, Some("4915100000000")).await.expect("an answer");
    assert!(!nobody.exists);
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn typing_and_reading_are_seen_on_the_other_side() {
    let world = World::start().await;
    let ana = world.contact("Ana").await;
    let phone = world.linked("shop").await;
    world.hook("shop").await;
    let (chats, caller, shop) = (world.gateway.chats(), &world.caller, named("shop"));
    let path = format!("/admin/contacts/{ana}/messages");
    let written = world.admin(&path, json!({ "to": phone, "text": "there?" })).await;
    let id = written["id"].as_str().expect("an id").to_owned();
    world.receiver.until("the question", |body| body["event"] == "messages.upsert").await;
    let seen = format!("/admin/contacts/{ana}");
    chats.set_available(caller, &shop, true).await.expect("there");
    let typing = (Typing::Composing, Duration::ZERO);
    chats.show_typing(caller, &shop, &ana, typing).await.expect("typing");
    until(&world, &seen, |shown| shown["typing"] == json!([phone])).await;
    let key = MessageKey { chat: person(&ana), from_me: false, id: id.clone(), participant: None };
    chats.mark_read(caller, &shop, &[key]).await.expect("read");
    until(&world, &seen, |shown| {
        let receipts = shown["receipts"].as_array();
        receipts.is_some_and(|all| {
            all.iter().any(|one| one["id"] == id.as_str() && one["type"] == "read")
        })
    })
    .await;
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_to_a_conversation_reaches_the_owners_other_devices() {
    let world = World::start().await;
    let ana = world.contact("Ana").await;
    let phone = world.linked("shop").await;
    let view = world.connect("second").await;
    let url = format!("{}/admin/mock-phone/scan-qr?phone={phone}", world.network.base_url(false));
    world.scan_at(&url, &view.qr.expect("a code").text).await;
    world.until("second", |view| view.status.as_str() == "connected").await;
    world.hook("second").await;
    let path = format!("/admin/contacts/{ana}/messages");
    world.admin(&path, json!({ "to": phone, "text": "there?" })).await;
    world.receiver.until("the question", |body| body["event"] == "messages.upsert").await;
    let (chats, caller, shop) = (world.gateway.chats(), &world.caller, named("shop"));
    let chat = ChatRef { jid: person(&ana), last: None };
    // What a device that is new learns in its first sync is history and not told: done until one is news.
    let mut on = true;
    let mut tick = tokio::time::interval(Duration::from_millis(300));
    let heard =
        |event: &str| world.receiver.all().into_iter().find(|hook| hook.body["event"] == event);
    while heard("chats.update").is_none() || heard("labels.association").is_none() {
        chats.archive(caller, &shop, (&chat, on)).await.expect("archived");
        chats.label(caller, &shop, &ana, ("7", on)).await.expect("labeled");
        on = !on;
        tick.tick().await;
    }
    let archived = chats.mark(caller, &shop, (&chat, false)).await.expect("marked");
    let told = heard("chats.update").expect("the archive");
    assert_eq!(told.body["data"][0]["remoteJid"], archived.to_string());
    let told = heard("labels.association").expect("the label");
    assert_eq!(told.body["data"]["labelId"], "7");
    let nothing = ChatRef { jid: person("5511900000000"), last: None };
    let refused = chats.archive(caller, &shop, (&nothing, true)).await;
    assert!(matches!(refused, Err(ServiceError::MessageNotFound)));
    world.gateway.stop().await;
}
