//! App state: what a device or the phone does with chats reaches the account's other devices.

use std::time::Duration;

use serde_json::{Value, json};
use wacore::types::events::Event;
use wacore_binary::Jid;

use crate::harness::{Sandbox, TestClient};

async fn on_phone(sandbox: &Sandbox, phone: &str, doing: Value) -> Value {
    let (status, answer) =
        sandbox.post(&format!("/admin/mock-phone/{phone}/app-state"), doing).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

async fn stop(sandbox: Sandbox, clients: impl IntoIterator<Item = TestClient>) {
    for client in clients {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_device_does_the_other_learns() {
    let sandbox = Sandbox::start().await;
    let first = sandbox.linked("Ann").await;
    let mut second = sandbox.linked("Ann").await;
    let chat = Jid::pn(sandbox.contact("Carl").await);
    first.client.chat_actions().pin_chat(&chat).await.expect("pinned");
    second.wait("pinned", |event| matches!(event, Event::PinUpdate(_))).await;
    first.client.chat_actions().mute_chat(&chat).await.expect("muted");
    second.wait("muted", |event| matches!(event, Event::MuteUpdate(_))).await;
    first.client.chat_actions().archive_chat(&chat, None).await.expect("archived");
    second.wait("archived", |event| matches!(event, Event::ArchiveUpdate(_))).await;
    first.client.labels().create_label("1", "new", 2).await.expect("labelled");
    second.wait("a label", |event| matches!(event, Event::LabelEditUpdate(_))).await;
    stop(sandbox, [first, second]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_phone_does_its_device_learns() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let carl = sandbox.contact("Carl").await;
    on_phone(&sandbox, &ann.phone, json!({ "pin": { "chat": carl, "on": true } })).await;
    ann.wait("pinned", |event| matches!(event, Event::PinUpdate(_))).await;
    let contact = json!({ "contact": { "phone": carl, "name": "Carl the Cook" } });
    on_phone(&sandbox, &ann.phone, contact).await;
    ann.wait("a contact", |event| matches!(event, Event::ContactUpdate(_))).await;
    on_phone(&sandbox, &ann.phone, json!({ "pushName": "Anna" })).await;
    ann.wait("a name", |event| matches!(event, Event::SelfPushNameUpdated(_))).await;
    stop(sandbox, [ann]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_devices_that_write_at_once_both_get_through() {
    let sandbox = Sandbox::start().await;
    let first = sandbox.linked("Ann").await;
    let second = sandbox.linked("Ann").await;
    let (one, other) = (Jid::pn("4930000001"), Jid::pn("4930000002"));
    let (first_actions, second_actions) =
        (first.client.chat_actions(), second.client.chat_actions());
    let (left, right) = tokio::join!(first_actions.pin_chat(&one), second_actions.pin_chat(&other));
    left.expect("the first gets through");
    right.expect("the second gets through");
    let last = on_phone(&sandbox, &first.phone, json!({ "markRead": { "chat": "1", "on": true } }));
    assert_eq!(last.await["version"], 3);
    stop(sandbox, [first, second]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_device_gets_a_long_collection_as_a_snapshot() {
    let sandbox = Sandbox::start().await;
    let first = sandbox.linked("Ann").await;
    for number in 0..8 {
        let phone = format!("493000000{number}");
        let contact = json!({ "contact": { "phone": phone, "name": format!("Number {number}") } });
        on_phone(&sandbox, &first.phone, contact).await;
    }
    let mut second = sandbox.client("Ann").await;
    let qr = second.qr().await;
    assert_eq!(sandbox.scan(&qr, None).await.0, 200);
    for _ in 0..8 {
        second.wait("a contact", |event| matches!(event, Event::ContactUpdate(_))).await;
    }
    stop(sandbox, [first, second]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_without_the_key_asks_its_phone_and_its_siblings_for_it() {
    let sandbox = Sandbox::start().await;
    let first = sandbox.linked("Ann").await;
    sandbox.fault(json!({ "target": first.phone, "fault": "withhold-key", "count": 1 })).await;
    let mut second = sandbox.client("Ann").await;
    let qr = second.qr().await;
    assert_eq!(sandbox.scan(&qr, None).await.0, 200);
    second.wait("connected", |event| matches!(event, Event::Connected(_))).await;
    second.skip_past();
    let chat = Jid::pn("4930000001");
    first.client.chat_actions().pin_chat(&chat).await.expect("pinned");
    second.wait("pinned", |event| matches!(event, Event::PinUpdate(_))).await;
    stop(sandbox, [first, second]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_did_not_know_the_latest_merges_and_writes_again() {
    let sandbox = Sandbox::start().await;
    let mut first = sandbox.linked("Ann").await;
    let mut second = sandbox.linked("Ann").await;
    let (one, other) = (Jid::pn("4930000001"), Jid::pn("4930000002"));
    let is = |jid: &Jid| {
        let jid = jid.clone();
        move |event: &Event| matches!(event, Event::PinUpdate(update) if update.jid == jid)
    };
    // Both have seen everything and wait for nothing.
    let (before, last) = (Jid::pn("4930000003"), Jid::pn("4930000004"));
    first.client.chat_actions().pin_chat(&before).await.expect("pinned");
    second.wait("pinned", is(&before)).await;
    second.client.chat_actions().pin_chat(&last).await.expect("pinned");
    first.wait("pinned", is(&last)).await;
    // What the server tells them waits, so one of them writes on what is no longer the latest.
    let stall =
        |seconds: u32| json!({ "target": first.phone, "fault": "stall", "seconds": seconds });
    sandbox.fault(stall(60)).await;
    let refused = async {
        sandbox.until("one of them was told 409", |stats| stats["conflicts"] == 1).await;
        sandbox.fault(stall(0)).await;
    };
    let [left, right] = [&first, &second].map(|device| device.client.chat_actions());
    let (left, right, ()) = tokio::join!(left.pin_chat(&one), right.pin_chat(&other), refused);
    left.expect("the first gets through");
    right.expect("the second gets through");
    first.wait("the other's", is(&other)).await;
    second.wait("the first's", is(&one)).await;
    stop(sandbox, [first, second]).await;
}

/// Waits for what another device did. A client that is told of a patch while it fetches the one before
/// does not look again by itself; it does when it is told that what it knows is old.
async fn learns(
    sandbox: &Sandbox,
    client: &mut TestClient,
    what: &str,
    matches: impl Fn(&Event) -> bool,
) {
    for _ in 0..10 {
        if client.find_within(Duration::from_secs(2), &matches).await.is_some() {
            return;
        }
        let dirty =
            json!({ "target": client.phone, "fault": "dirty", "domain": "syncd_app_state" });
        sandbox.fault(dirty).await;
    }
    panic!("never learnt: {what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_chat_action_and_its_undoing_reaches_the_other_device() {
    let sandbox = Sandbox::start().await;
    let first = sandbox.linked("Ann").await;
    let mut second = sandbox.linked("Ann").await;
    let contact = sandbox.contact("Carl").await;
    let chat = Jid::pn(contact.as_str());
    let id = first.send(&contact, "hello").await;
    let actions = first.client.chat_actions();
    let pin = |on| move |e: &Event| matches!(e, Event::PinUpdate(u) if u.action.pinned == Some(on));
    actions.pin_chat(&chat).await.expect("pinned");
    learns(&sandbox, &mut second, "pinned", pin(true)).await;
    actions.unpin_chat(&chat).await.expect("unpinned");
    learns(&sandbox, &mut second, "unpinned", pin(false)).await;
    actions.mute_chat_until(&chat, 4_102_444_800_000).await.expect("muted");
    learns(&sandbox, &mut second, "muted", |event| matches!(event, Event::MuteUpdate(_))).await;
    actions.unmute_chat(&chat).await.expect("unmuted");
    let unmuted = |e: &Event| matches!(e, Event::MuteUpdate(u) if u.action.muted == Some(false));
    learns(&sandbox, &mut second, "unmuted", unmuted).await;
    actions.archive_chat(&chat, None).await.expect("archived");
    learns(&sandbox, &mut second, "archived", |event| matches!(event, Event::ArchiveUpdate(_)))
        .await;
    actions.unarchive_chat(&chat, None).await.expect("unarchived");
    let shown =
        |e: &Event| matches!(e, Event::ArchiveUpdate(u) if u.action.archived == Some(false));
    learns(&sandbox, &mut second, "unarchived", shown).await;
    actions.star_message(&chat, None, &id, true).await.expect("starred");
    let star = |e: &Event| matches!(e, Event::StarUpdate(u) if u.message_id == id);
    learns(&sandbox, &mut second, "a star", star).await;
    actions.unstar_message(&chat, None, &id, true).await.expect("no star");
    learns(&sandbox, &mut second, "no star", |event| matches!(event, Event::StarUpdate(_))).await;
    actions.mark_chat_as_read(&chat, true, None).await.expect("read");
    learns(&sandbox, &mut second, "read", |event| matches!(event, Event::MarkChatAsReadUpdate(_)))
        .await;
    actions.delete_message_for_me(&chat, None, &id, true, false, None).await.expect("deleted");
    let gone = |e: &Event| matches!(e, Event::DeleteMessageForMeUpdate(u) if u.message_id == id);
    learns(&sandbox, &mut second, "a message is gone", gone).await;
    actions.clear_chat(&chat, false, false, None).await.expect("cleared");
    learns(&sandbox, &mut second, "cleared", |event| matches!(event, Event::ClearChatUpdate(_)))
        .await;
    actions.delete_chat(&chat, false, None).await.expect("deleted");
    learns(&sandbox, &mut second, "deleted", |event| matches!(event, Event::DeleteChatUpdate(_)))
        .await;
    stop(sandbox, [first, second]).await;
}
