//! Pictures, abouts, presence and what privacy makes of them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use wacore::iq::privacy::{PrivacyCategory, PrivacyValue};
use wacore::types::events::Event;
use wacore_binary::Jid;

use crate::harness::Sandbox;

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_is_set_seen_changed_and_removed() {
    let sandbox = Sandbox::start().await;
    let ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    bob.send(&ann.phone, "hello").await;
    let first = ann.client.profile().set_profile_picture(vec![1, 2, 3]).await.expect("set");
    let changed = |event: &Event| matches!(event, Event::PictureUpdate(update) if !update.removed);
    bob.wait("the picture", changed).await;
    let jid = Jid::pn(ann.phone.as_str());
    let seen = bob.client.contacts().get_profile_picture(&jid, true).await.expect("an answer");
    let seen = seen.expect("a picture");
    assert_eq!(seen.id, first.id);
    let jpeg = sandbox.http.get(&seen.url).send().await.expect("an answer");
    assert_eq!(jpeg.bytes().await.expect("a body").as_ref(), [1, 2, 3]);
    let second = ann.client.profile().set_profile_picture(vec![4]).await.expect("set");
    assert_ne!(second.id, first.id);
    ann.client.profile().remove_profile_picture().await.expect("removed");
    let removed = |event: &Event| matches!(event, Event::PictureUpdate(update) if update.removed);
    bob.wait("no picture", removed).await;
    let seen = bob.client.contacts().get_profile_picture(&jid, false).await.expect("an answer");
    assert!(seen.is_none());
    for client in [ann, bob] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_has_a_picture_an_about_and_a_business_profile() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let phone = sandbox.contact("Carl").await;
    ann.send(&phone, "hello").await;
    let change = json!({
        "about": "at the sea", "picture": STANDARD.encode("jpeg"),
        "business": { "description": "Cakes", "email": "cakes@example.org" },
    });
    let (status, answer) = sandbox.post(&format!("/admin/contacts/{phone}/profile"), change).await;
    assert_eq!(status, 200, "{answer}");
    let about = |event: &Event| matches!(event, Event::UserAboutUpdate(update) if update.status == "at the sea");
    ann.wait("the about", about).await;
    let jid = Jid::pn(phone.as_str());
    let picture = ann.client.contacts().get_profile_picture(&jid, false).await.expect("an answer");
    assert_eq!(json!(picture.expect("a picture").id), answer["picture"]);
    let business = ann.client.get_business_profile(&jid).await.expect("an answer");
    assert_eq!(business.expect("a profile").description, "Cakes");
    let shown = sandbox.get(&format!("/admin/contacts/{phone}")).await;
    assert_eq!(shown["about"], "at the sea");
    ann.stop().await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hidden_things_are_not_shown() {
    let sandbox = Sandbox::start().await;
    let ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    let jid = Jid::pn(ann.phone.as_str());
    ann.client.profile().set_profile_picture(vec![1]).await.expect("set");
    for category in [PrivacyCategory::Profile, PrivacyCategory::Status, PrivacyCategory::Last] {
        let set = ann.client.set_privacy_setting(category, PrivacyValue::None).await;
        set.expect("the setting is taken");
    }
    let seen = bob.client.contacts().get_profile_picture(&jid, false).await.expect("an answer");
    assert!(seen.is_none());
    let info = bob.client.contacts().get_user_info(std::slice::from_ref(&jid)).await;
    let info = info.expect("an answer");
    assert!(info.values().all(|user| user.status.as_deref().unwrap_or_default().is_empty()));
    ann.client.presence().set_available().await.expect("available");
    bob.client.presence().subscribe(jid).await.expect("subscribed");
    let here = |event: &Event| matches!(event, Event::Presence(update) if !update.unavailable);
    bob.wait("she is there", here).await;
    ann.client.presence().set_unavailable().await.expect("unavailable");
    let gone = |event: &Event| matches!(event, Event::Presence(update) if update.unavailable && update.last_seen.is_none());
    bob.wait("she is away, nobody knows since when", gone).await;
    for client in [ann, bob] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_comes_and_goes_and_its_last_seen_is_told() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let phone = sandbox.contact("Carl").await;
    let path = format!("/admin/contacts/{phone}/presence");
    assert_eq!(sandbox.post(&path, json!({ "state": "available" })).await.0, 200);
    ann.client.presence().subscribe(Jid::pn(phone.as_str())).await.expect("subscribed");
    let here = |event: &Event| matches!(event, Event::Presence(update) if !update.unavailable);
    ann.wait("he is there", here).await;
    assert_eq!(sandbox.post(&path, json!({ "state": "unavailable" })).await.0, 200);
    let gone = |event: &Event| matches!(event, Event::Presence(update) if update.unavailable && update.last_seen.is_some());
    ann.wait("he is gone", gone).await;
    let shown = sandbox.get(&format!("/admin/contacts/{phone}")).await;
    assert_eq!(shown["presence"], "unavailable");
    assert!(shown["lastSeen"].is_u64());
    ann.stop().await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_contact_is_not_heard_and_sees_nothing() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let phone = sandbox.contact("Carl").await;
    let write = format!("/admin/contacts/{phone}/messages");
    let body = json!({ "to": ann.phone, "text": "first" });
    assert_eq!(sandbox.post(&write, body).await.0, 201);
    ann.text("first").await;
    ann.client.blocking().block(&Jid::pn(phone.as_str())).await.expect("blocked");
    let body = json!({ "to": ann.phone, "text": "unheard" });
    let (status, unheard) = sandbox.post(&write, body).await;
    assert_eq!(status, 201);
    // The contact's client is done when it has written; the network has to have read it.
    sandbox.accepted(&unheard["id"]).await;
    ann.client.blocking().unblock(&Jid::pn(phone.as_str())).await.expect("unblocked");
    let body = json!({ "to": ann.phone, "text": "heard" });
    assert_eq!(sandbox.post(&write, body).await.0, 201);
    ann.text("heard").await;
    assert_eq!(ann.texts(), ["first", "heard"]);
    ann.stop().await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn abouts_and_names_of_any_kind_pass_through() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    bob.send(&ann.phone, "hello").await;
    ann.text("hello").await;
    let jid = Jid::pn(ann.phone.as_str());
    for about in ["Ünïcode <&> \"quotes\" 🎉\nsecond line", ""] {
        ann.client.profile().set_status_text(about).await.expect("set");
        let told = |event: &Event| match event {
            Event::UserAboutUpdate(update) => update.status == about,
            _ => false,
        };
        bob.wait("the about", told).await;
        let users = bob
            .client
            .contacts()
            .get_user_info(std::slice::from_ref(&jid))
            .await
            .expect("an answer");
        let seen = users.values().next().and_then(|user| user.status.clone());
        assert_eq!(seen.unwrap_or_default(), about);
    }
    for name in ["Анна 🎉", "  ", "abcdefghijklmnopqrstuvwxy"] {
        ann.client.profile().set_push_name(name).await.expect("set");
        ann.client.reconnect_immediately().await;
        ann.wait("connected again", |event| matches!(event, Event::Connected(_))).await;
        assert_eq!(ann.client.push_name(), name, "it survives a reconnect");
        ann.send(&bob.phone, name).await;
        let under_it = |event: &Event| match event {
            Event::Messages(batch) => batch.iter().any(|message| message.info.push_name == name),
            _ => false,
        };
        bob.wait("a message under the name", under_it).await;
    }
    for client in [ann, bob] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_without_a_name_learns_it_from_its_phone() {
    let sandbox = Sandbox::start().await;
    let ann = sandbox.linked("Ann").await;
    let mut second = sandbox.client("").await;
    let qr = second.qr().await;
    assert_eq!(sandbox.scan(&qr, Some(&ann.phone)).await.0, 200);
    let named = |event: &Event| match event {
        Event::SelfPushNameUpdated(update) => update.new_name == "Ann",
        _ => false,
    };
    second.wait("its name", named).await;
    assert_eq!(second.client.push_name(), "Ann");
    for client in [ann, second] {
        client.stop().await;
    }
    sandbox.stop().await;
}
