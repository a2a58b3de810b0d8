//! What a webhook receives because of each route, and because of what others do: one event of each kind, with the
//! route or the deed that caused it.

use super::{ask, create, delete, get, inbox, phone_shows, post, settled};
use crate::harness::{ADMIN_KEY, DEADLINE, TestServer, text};
use crate::webhooks::Receiver;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The instance under test with the app that listens to it.
struct Told {
    server: TestServer,
    receiver: Receiver,
    seen: Vec<Value>,
}

impl Told {
    /// The next event of that kind that fits goes into the snapshot, beside what caused it.
    async fn by(&mut self, cause: &str, event: &str, fits: impl Fn(&Value) -> bool) -> Value {
        loop {
            let told = self.receiver.next().await;
            if told["event"] == event && fits(&told["data"]) {
                assert_eq!((&told["instance"], &told["apikey"]), (&json!("shop"), &Value::Null));
                self.seen.push(json!({
                    "by": cause, "event": event, "data": settled(told["data"].clone()),
                }));
                return told["data"].clone();
            }
        }
    }

    async fn done(&self, path: &str, body: Value) -> Value {
        let (status, answer) = post(&self.server, path, body).await;
        assert!(status.is_success(), "{path}: {status} {answer}");
        answer
    }

    async fn phones(&self, path: &str, body: Value) -> Value {
        self.server.phones(path, body).await
    }
}

fn any(_: &Value) -> bool {
    true
}

async fn begin() -> Told {
    let server = TestServer::start().await;
    let receiver = Receiver::start().await;
    create(&server, "shop").await;
    let hook = json!({ "webhook": { "enabled": true, "url": receiver.url() } });
    let (status, set) = post(&server, "/webhook/set/shop", hook).await;
    assert_eq!(status, StatusCode::CREATED, "{set}");
    Told { server, receiver, seen: Vec::new() }
}

/// Links it; the number of its phone.
async fn link(told: &mut Told) -> String {
    let (_, shown) = get(&told.server, "/instance/connect/shop").await;
    told.by("instance/connect", "connection.update", |data| data["state"] == "connecting").await;
    told.by("instance/connect", "qrcode.updated", any).await;
    let phone = told.phone_of(&shown).await;
    told.by("the owner scans", "connection.update", |data| data["state"] == "open").await;
    phone
}

impl Told {
    async fn phone_of(&self, shown: &Value) -> String {
        self.server.scan(&text(&shown["code"])).await
    }

    /// What falls into the first sync of a fresh link is no news: the owner does it again then.
    async fn by_the_owner(&mut self, phone: &str, event: &str, deed: Value) {
        let state = format!("/admin/mock-phone/{phone}/app-state");
        let began = Instant::now();
        loop {
            self.phones(&state, deed.clone()).await;
            let heard =
                tokio::time::timeout(Duration::from_secs(1), self.by("the owner", event, any));
            if heard.await.is_ok() {
                return;
            }
            assert!(began.elapsed() < DEADLINE, "{event} is no news");
        }
    }

    async fn finish(self, snapshot: &str) {
        insta::assert_json_snapshot!(snapshot, self.seen);
        self.receiver.stop().await;
        self.server.stop().await;
    }
}

#[tokio::test]
async fn by_the_life_of_an_instance() {
    let mut told = begin().await;
    link(&mut told).await;
    let (status, _) = delete(&told.server, "/instance/logout/shop").await;
    assert_eq!(status, StatusCode::OK);
    told.by("instance/logout", "connection.update", |data| data["state"] == "close").await;
    told.by("instance/logout", "status.instance", any).await;
    told.by("instance/logout", "logout.instance", any).await;
    let (_, shown) = get(&told.server, "/instance/connect/shop?number=4915112345678").await;
    let typed = told
        .by("instance/connect?number=", "qrcode.updated", |data| {
            data["qrcode"]["pairingCode"].is_string()
        })
        .await;
    assert_eq!(typed["qrcode"]["pairingCode"], shown["pairingCode"]);
    let last = told.seen.last_mut().expect("an event");
    last["data"]["qrcode"]["pairingCode"] = json!("[drawn]");
    let (_, again) = get(&told.server, "/instance/connect/shop").await;
    assert_eq!(again["pairingCode"], shown["pairingCode"], "it is on show until the next");
    told.finish("told_of_the_instance").await;
}

/// What the owner does on the phone with chats and labels, which no route does.
#[tokio::test]
async fn by_what_the_owner_does_on_the_phone() {
    let mut told = begin().await;
    let phone = link(&mut told).await;
    told.seen.clear();
    let ana = told.server.contact("Ana").await;
    let write = format!("/admin/contacts/{ana}/messages");
    told.phones(&write, json!({ "to": phone, "text": "Hello" })).await;
    for (event, deed) in [
        ("labels.edit", json!({ "label": { "id": "7", "name": "VIP", "color": 5 } })),
        ("labels.association", json!({ "labelChat": { "id": "7", "chat": ana, "on": true } })),
        ("chats.update", json!({ "archive": { "chat": ana, "on": true } })),
        ("chats.delete", json!({ "deleteChat": { "chat": ana } })),
    ] {
        told.by_the_owner(&phone, event, deed).await;
    }
    told.finish("told_of_the_phone").await;
}

/// A webhook of all instances hears of the first and the last moment of one.
#[tokio::test]
async fn by_the_beginning_and_the_end_of_an_instance() {
    let server = TestServer::start().await;
    let receiver = Receiver::start().await;
    let (status, _) = post(&server, "/api/webhooks", json!({ "url": receiver.url() })).await;
    assert_eq!(status, StatusCode::CREATED);
    let mut told = Told { server, receiver, seen: Vec::new() };
    create(&told.server, "shop").await;
    told.by("instance/create", "instance.create", any).await;
    let (status, _) = delete(&told.server, "/instance/delete/shop").await;
    assert_eq!(status, StatusCode::OK);
    told.by("instance/delete", "remove.instance", any).await;
    told.by("instance/delete", "instance.delete", any).await;
    told.finish("told_of_beginning_and_end").await;
}

#[tokio::test]
async fn by_messages() {
    let mut told = begin().await;
    let phone = link(&mut told).await;
    told.seen.clear();
    let ana = told.server.contact("Ana").await;
    let write = format!("/admin/contacts/{ana}/messages");
    let id = told.phones(&write, json!({ "to": phone, "text": "How much?" })).await["id"].clone();
    told.by("a first message", "contacts.upsert", any).await;
    told.by("a first message", "chats.upsert", any).await;
    told.by("a first message", "messages.upsert", any).await;
    let edit = json!({ "to": phone, "edit": { "id": id, "text": "How much is it?" } });
    told.phones(&write, edit).await;
    told.by("an edit", "messages.edited", any).await;
    told.phones(&write, json!({ "to": phone, "delete": { "id": id } })).await;
    told.by("a deletion", "messages.delete", any).await;
    let name = format!("/admin/mock-phone/{ana}/app-state");
    told.phones(&name, json!({ "pushName": "Anna" })).await;
    told.phones(&write, json!({ "to": phone, "text": "It is me" })).await;
    told.by("another name", "contacts.update", |data| data["pushName"] == "Anna").await;
    let body = json!({ "number": ana, "text": "Ten" });
    let sent = told.done("/message/sendText/shop", body).await;
    told.by("message/sendText", "send.message", any).await;
    for status in ["SERVER_ACK", "DELIVERY_ACK"] {
        told.by("message/sendText", "messages.update", |data| data["status"] == status).await;
    }
    inbox(&told.server, &ana, 1).await;
    let read = json!({ "chat": phone, "ids": [sent["key"]["id"]] });
    told.phones(&format!("/admin/contacts/{ana}/read"), read).await;
    told.by("the other side reads", "messages.update", |data| data["status"] == "READ").await;
    let edit = json!({ "number": ana, "text": "Nine", "key": sent["key"] });
    told.done("/chat/updateMessage/shop", edit).await;
    told.by("chat/updateMessage", "send.message.update", any).await;
    let path = (Method::DELETE, "/chat/deleteMessageForEveryone/shop");
    let (status, _) = ask(&told.server, ADMIN_KEY, path, Some(sent["key"].clone())).await;
    assert_eq!(status, StatusCode::CREATED);
    told.by("chat/deleteMessageForEveryone", "messages.delete", any).await;
    told.finish("told_of_messages").await;
}

#[tokio::test]
async fn by_what_is_around_messages() {
    let mut told = begin().await;
    let phone = link(&mut told).await;
    told.seen.clear();
    let ana = told.server.contact("Ana").await;
    let write = format!("/admin/contacts/{ana}/messages");
    told.phones(&write, json!({ "to": phone, "text": "Hello" })).await;
    told.receiver.next().await;
    let typing = json!({ "to": phone, "state": "composing" });
    told.phones(&format!("/admin/contacts/{ana}/typing"), typing).await;
    told.by("somebody types", "presence.update", any).await;
    let call = json!({ "to": phone });
    told.phones(&format!("/admin/contacts/{ana}/call"), call).await;
    told.by("somebody calls", "call", |data| data["status"] == "offer").await;
    phone_shows(&told.server, &ana, |shown| shown["calls"].is_array()).await;
    let group = json!({ "subject": "Customers", "participants": [ana] });
    let group = told.done("/group/create/shop", group).await;
    told.by("group/create", "groups.upsert", any).await;
    let on = |route: &str| format!("/group/{route}/shop?groupJid={}", text(&group["id"]));
    for (route, body) in [
        ("updateGroupSubject", json!({ "subject": "Friends" })),
        ("updateGroupDescription", json!({ "description": "Of the shop" })),
        ("updateSetting", json!({ "action": "announcement" })),
        ("updateSetting", json!({ "action": "locked" })),
        ("toggleEphemeral", json!({ "expiration": 86_400 })),
        ("updateMemberAddMode", json!({ "mode": "admin_add" })),
    ] {
        told.done(&on(route), body).await;
        told.by(&format!("group/{route}"), "groups.update", any).await;
    }
    let bob = told.server.contact("Bob").await;
    for action in ["add", "promote", "demote", "remove"] {
        let body = json!({ "action": action, "participants": [bob] });
        told.done(&on("updateParticipant"), body).await;
        told.by("group/updateParticipant", "group-participants.update", |data| {
            data["action"] == action
        })
        .await;
    }
    told.finish("told_of_what_is_around").await;
}
