//! What is chosen for a number takes effect while it runs: its switches, its pictures, what its phone tells of the
//! time before.

use super::{
    account, answered, create, get, inbox, linked, listen, phone_shows, post, received, settled,
};
use crate::harness::{DEADLINE, TestServer, answer, text};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flowcore_gateway::png_data_url;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Sets all switches, those that are named differently from off.
async fn switch(server: &TestServer, on: &[(&str, Value)]) {
    let mut body = json!({
        "rejectCall": false, "msgCall": "", "groupsIgnore": false, "alwaysOnline": false,
        "readMessages": false, "readStatus": false, "syncFullHistory": false,
    });
    for (name, value) in on {
        body[name] = value.clone();
    }
    let (status, set) = post(server, "/settings/set/shop", body).await;
    assert_eq!(status, StatusCode::CREATED, "{set}");
}

#[tokio::test]
async fn switches_reach_a_number_that_runs() {
    let server = TestServer::start().await;
    let (_, phone) = linked(&server, "shop").await;
    let ana = server.contact("Ana").await;
    let mut news = listen(&server, "shop").await;
    let new = json!({ "subject": "Friends", "participants": [phone] });
    let group = server.phones(&format!("/admin/contacts/{ana}/groups"), new).await;
    news.told("groups.upsert", |_| true).await;
    let write = format!("/admin/contacts/{ana}/messages");
    switch(&server, &[("groupsIgnore", json!(true))]).await;
    server.phones(&write, json!({ "to": group["jid"], "text": "to the group" })).await;
    server.phones(&write, json!({ "to": phone, "text": "to you" })).await;
    let first = news.told("messages.upsert", |_| true).await;
    assert_eq!(first["message"]["conversation"], "to you", "groups are ignored at once: {first}");
    switch(&server, &[("readMessages", json!(true))]).await;
    server.phones(&write, json!({ "to": group["jid"], "text": "again" })).await;
    let second = news.told("messages.upsert", |_| true).await;
    assert_eq!(second["message"]["conversation"], "again", "and not any more: {second}");
    let key = received(&server, (&ana, &phone), json!({ "text": "read this" })).await;
    let read = json!({ "id": key["id"], "type": "read" });
    let is_read =
        |shown: &Value| shown["receipts"].as_array().is_some_and(|all| all.contains(&read));
    phone_shows(&server, &ana, is_read).await;
    let refusing = [("rejectCall", json!(true)), ("msgCall", json!("Please write"))];
    switch(&server, &refusing).await;
    server.phones(&format!("/admin/contacts/{ana}/call"), json!({ "to": phone })).await;
    let told = inbox(&server, &ana, 1).await;
    assert_eq!(told[0]["text"], "Please write", "the caller really sees it");
    let rejected = |shown: &Value| shown["calls"].to_string().contains("rejected");
    phone_shows(&server, &ana, rejected).await;
    server.stop().await;
}

#[tokio::test]
async fn an_owner_is_shown_as_there_as_soon_as_that_is_switched() {
    let server = TestServer::start().await;
    let (_, phone) = linked(&server, "shop").await;
    for wanted in [true, false] {
        switch(&server, &[("alwaysOnline", json!(wanted))]).await;
        until_shown(&server, &phone, wanted).await;
    }
    for (word, wanted) in [("available", true), ("unavailable", false)] {
        let own = json!({ "presence": word });
        let (status, answer) = post(&server, "/instance/setPresence/shop", own.clone()).await;
        assert_eq!((status, answer), (StatusCode::CREATED, own));
        until_shown(&server, &phone, wanted).await;
    }
    server.stop().await;
}

/// The network tells nobody whether an owner is there: it is asked.
async fn until_shown(server: &TestServer, phone: &str, wanted: bool) {
    let began = Instant::now();
    while account(server, phone).await["available"] != wanted {
        assert!(began.elapsed() < DEADLINE, "it is not {wanted}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn pictures_are_in_lists_once_they_are_known() {
    let server = TestServer::start().await;
    let (_, phone) = linked(&server, "shop").await;
    let ana = server.contact("Ana").await;
    received(&server, (&ana, &phone), json!({ "text": "Hello" })).await;
    let picture = png_data_url("shop").expect("a picture");
    let mut news = listen(&server, "shop").await;
    let jpeg = STANDARD.encode([0xff, 0xd8, 0xff, 0xe0, 1, 2, 3]);
    server.phones(&format!("/admin/contacts/{ana}/profile"), json!({ "picture": jpeg })).await;
    let (_, shown) = post(&server, "/chat/findChats/shop", json!({})).await;
    assert_eq!(shown[0]["profilePicUrl"], Value::Null, "nobody asked WhatsApp yet");
    let who = json!({ "number": ana });
    let (_, asked) = post(&server, "/chat/fetchProfilePictureUrl/shop", who).await;
    let url = text(&asked["profilePictureUrl"]);
    for list in ["/chat/findChats/shop", "/chat/findContacts/shop"] {
        let (_, shown) = post(&server, list, json!({})).await;
        assert_eq!(shown[0]["profilePicUrl"], url, "{list}: {shown}");
    }
    server
        .phones(&format!("/admin/mock-phone/{ana}/app-state"), json!({ "pushName": "Anna" }))
        .await;
    let write = format!("/admin/contacts/{ana}/messages");
    server.phones(&write, json!({ "to": phone, "text": "It is me" })).await;
    let renamed = news.told("contacts.update", |data| data["pushName"] == "Anna").await;
    assert_eq!(renamed["profilePicUrl"], url, "{renamed}");
    let (_, own) =
        post(&server, "/chat/updateProfilePicture/shop", json!({ "picture": picture })).await;
    assert_eq!(own["update"], "success", "{own}");
    // What was asked at login, before there was one, may be answered only now.
    let began = Instant::now();
    let listed = loop {
        let (_, listed) = get(&server, "/instance/fetchInstances").await;
        if listed[0]["profilePicUrl"].is_string() {
            break listed;
        }
        assert!(began.elapsed() < DEADLINE, "{listed}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let (status, _) = post(&server, "/instance/restart/shop", json!({})).await;
    assert_eq!(status, StatusCode::OK);
    let open = news.told("connection.update", |data| data["state"] == "open").await;
    assert_eq!(open["profilePictureUrl"], listed[0]["profilePicUrl"]);
    server.stop().await;
}

/// A phone with a past links an instance.
async fn link_with_past(server: &TestServer, name: &str, (phone, with): (&str, &str)) {
    let past = json!({ "chats": [{ "phone": with, "name": "Ana", "unread": 1, "messages": [
        { "text": "How much?" }, { "text": "Ten", "fromMe": true }, { "text": "Good" },
        { "text": "I take two" }, { "text": "And a third" },
    ]}]});
    server.phones(&format!("/admin/mock-phone/{phone}/history"), past).await;
    let (_, shown) = get(server, &format!("/instance/connect/{name}")).await;
    let url = format!("{}/admin/mock-phone/scan-qr?phone={phone}", server.network.base_url(false));
    let (status, scanned) = answer(server.http.post(url).body(text(&shown["code"]))).await;
    assert_eq!(status, StatusCode::OK, "{scanned}");
    server.until_status(name, "connected").await;
}

#[tokio::test]
async fn a_phone_tells_of_the_time_before_where_that_is_switched_on() {
    let server = TestServer::start().await;
    let ana = server.contact("Ana").await;
    let body = json!({
        "instanceName": "shop", "integration": "WHATSAPP-BAILEYS", "syncFullHistory": true,
    });
    assert_eq!(post(&server, "/instance/create", body).await.0, StatusCode::CREATED);
    let mut news = listen(&server, "shop").await;
    link_with_past(&server, "shop", ("4915112345601", &ana)).await;
    let mut seen = Vec::new();
    let mut chat = news.told("chats.set", |_| true).await;
    seen.push(settled(chat.take()));
    let mut count = 0;
    while count < 5 {
        let part = news.told("messages.set", |_| true).await;
        count += part.as_array().map_or(0, Vec::len);
        seen.push(settled(part[0].clone()));
    }
    insta::assert_json_snapshot!("told_of_the_past", seen);
    let jid = format!("{ana}@s.whatsapp.net");
    let asked = json!({ "where": { "key": { "remoteJid": jid } } });
    let (_, found) = post(&server, "/chat/findMessages/shop", asked.clone()).await;
    assert_eq!(found["messages"]["total"], 5, "{found}");
    let newest = &found["messages"]["records"][0];
    assert_eq!(newest["message"]["conversation"], "And a third", "in order");
    let (_, chats) = post(&server, "/chat/findChats/shop", json!({})).await;
    assert_eq!((&chats[0]["unreadCount"], &chats[0]["remoteJid"]), (&json!(0), &json!(jid)));
    create(&server, "other").await;
    link_with_past(&server, "other", ("4915112345602", &ana)).await;
    let (_, nothing) = post(&server, "/chat/findMessages/other", asked).await;
    assert_eq!(nothing["messages"]["total"], 0, "only where it is switched on: {nothing}");
    server.stop().await;
}

#[tokio::test]
async fn the_welcome_tells_as_which_version_numbers_log_in() {
    let server = TestServer::start().await;
    let version = async || get(&server, "/").await.1["whatsappWebVersion"].take();
    assert_eq!(version().await, Value::Null, "nobody has logged in");
    linked(&server, "shop").await;
    let told = text(&version().await);
    assert_eq!(told.split('.').take(2).collect::<Vec<_>>(), ["2", "3000"], "{told}");
    answered("welcome", get(&server, "/").await);
    server.stop().await;
}
