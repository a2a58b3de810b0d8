//! What is around messages: numbers, marks, presence, profiles, privacy, labels. What a route changes is read
//! where others see it.

use super::{ask, delete, get, linked, post, settled};
use crate::harness::{ADMIN_KEY, DEADLINE, TestServer, answer, text};
use flowcore_gateway::png_data_url;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Instant;

/// What a contact's phone shows.
async fn contact(server: &TestServer, phone: &str) -> Value {
    let url = format!("{}/admin/contacts/{phone}", server.network.base_url(false));
    answer(server.http.get(url)).await.1
}

/// The key of a message that came in.
async fn received(server: &TestServer, from: &str, to: &str, said: &str) -> Value {
    let path = format!("/admin/contacts/{from}/messages");
    server.phones(&path, json!({ "to": to, "text": said })).await;
    let asked = json!({ "where": { "key": { "remoteJid": from, "fromMe": false } } });
    let began = Instant::now();
    loop {
        let (_, found) = post(server, "/chat/findMessages/shop", asked.clone()).await;
        if let Some(first) = found["messages"]["records"].get(0) {
            let key = &first["key"];
            return json!({ "id": key["id"], "remoteJid": key["remoteJid"], "fromMe": false });
        }
        assert!(began.elapsed() < DEADLINE, "{found}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn numbers_marks_and_presence() {
    let server = TestServer::start().await;
    let (_, phone) = linked(&server, "shop").await;
    let ana = server.contact("Ana").await;
    let key = received(&server, &ana, &phone, "Hello").await;
    let mut seen = Vec::new();
    let mut add = |name: &str, (status, answer): (StatusCode, Value)| {
        let answer = settled(answer);
        seen.push(json!({ "route": name, "status": status.as_u16(), "answer": answer }));
    };
    let numbers = json!({ "numbers": [ana, "4915100000000", "letters"] });
    add("whatsappNumbers", post(&server, "/chat/whatsappNumbers/shop", numbers.clone()).await);
    let other = post(&server, "/chat/checkIsWhatsappNumber/shop", numbers).await;
    assert_eq!(other.1.as_array().map(Vec::len), Some(3), "the Python client's name for it");
    add("whatsappNumbers, nothing", post(&server, "/chat/whatsappNumbers/shop", json!({})).await);
    let read = json!({ "readMessages": [key] });
    add("markMessageAsRead", post(&server, "/chat/markMessageAsRead/shop", read).await);
    let last = json!({ "lastMessage": { "key": key }, "archive": true });
    add("archiveChat", post(&server, "/chat/archiveChat/shop", last).await);
    let last = json!({ "lastMessage": { "key": key }, "chat": key["remoteJid"] });
    add("markChatUnread", post(&server, "/chat/markChatUnread/shop", last).await);
    let typing = json!({ "number": ana, "presence": "composing", "delay": 20 });
    add("sendPresence", post(&server, "/chat/sendPresence/shop", typing).await);
    let own = json!({ "presence": "unavailable" });
    add("setPresence", post(&server, "/instance/setPresence/shop", own).await);
    let own = json!({ "presence": "composing" });
    add("setPresence, typing", post(&server, "/instance/setPresence/shop", own).await);
    let block = json!({ "number": ana, "status": "block" });
    add("updateBlockStatus", post(&server, "/chat/updateBlockStatus/shop", block).await);
    let block = json!({ "number": ana, "status": "unblock" });
    add("updateBlockStatus, off", post(&server, "/chat/updateBlockStatus/shop", block).await);
    let label = json!({ "number": ana, "labelId": "7", "action": "add" });
    add("handleLabel", post(&server, "/label/handleLabel/shop", label).await);
    insta::assert_json_snapshot!("around", seen);
    server.stop().await;
}

#[tokio::test]
async fn a_read_message_is_read_for_its_writer() {
    let server = TestServer::start().await;
    let (_, phone) = linked(&server, "shop").await;
    let ana = server.contact("Ana").await;
    let key = received(&server, &ana, &phone, "Hello").await;
    let read = json!({ "readMessages": [key] });
    assert_eq!(post(&server, "/chat/markMessageAsRead/shop", read).await.0, StatusCode::CREATED);
    let id = text(&key["id"]);
    let began = Instant::now();
    loop {
        let shown = contact(&server, &ana).await.to_string();
        if shown.contains(&id) && shown.contains("read") {
            break;
        }
        assert!(began.elapsed() < DEADLINE, "{shown}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    server.stop().await;
}

#[tokio::test]
async fn profiles_and_privacy() {
    let server = TestServer::start().await;
    linked(&server, "shop").await;
    let ana = server.contact("Ana").await;
    let mut seen = Vec::new();
    let mut add = |name: &str, (status, answer): (StatusCode, Value)| {
        let answer = settled(answer);
        seen.push(json!({ "route": name, "status": status.as_u16(), "answer": answer }));
    };
    let who = json!({ "number": ana });
    add(
        "fetchProfilePictureUrl",
        post(&server, "/chat/fetchProfilePictureUrl/shop", who.clone()).await,
    );
    add("fetchProfile", post(&server, "/chat/fetchProfile/shop", who.clone()).await);
    add("fetchBusinessProfile", post(&server, "/chat/fetchBusinessProfile/shop", who).await);
    let nobody = json!({ "number": "4915100000000" });
    add("fetchProfile, nobody", post(&server, "/chat/fetchProfile/shop", nobody.clone()).await);
    add("picture, nobody", post(&server, "/chat/fetchProfilePictureUrl/shop", nobody).await);
    add(
        "updateProfileName",
        post(&server, "/chat/updateProfileName/shop", json!({ "name": "The shop" })).await,
    );
    let about = json!({ "status": "Open until nine" });
    add("updateProfileStatus", post(&server, "/chat/updateProfileStatus/shop", about).await);
    let picture = json!({ "picture": png_data_url("shop") });
    add("updateProfilePicture", post(&server, "/chat/updateProfilePicture/shop", picture).await);
    let (_, own) = post(&server, "/chat/fetchProfile/shop", json!({})).await;
    assert_eq!(own["status"], "Open until nine", "WhatsApp says so: {own}");
    assert!(own["picture"].is_string(), "{own}");
    add("removeProfilePicture", delete(&server, "/chat/removeProfilePicture/shop").await);
    let (_, own) = post(&server, "/chat/fetchProfile/shop", json!({})).await;
    assert!(own["picture"].is_null(), "{own}");
    let settings = json!({
        "readreceipts": "all", "profile": "contacts", "status": "none",
        "online": "match_last_seen", "last": "contacts", "groupadd": "contacts",
    });
    add(
        "updatePrivacySettings",
        post(&server, "/chat/updatePrivacySettings/shop", settings.clone()).await,
    );
    let (status, now) = get(&server, "/chat/fetchPrivacySettings/shop").await;
    assert_eq!((status, &now), (StatusCode::OK, &settings));
    insta::assert_json_snapshot!("profiles", seen);
    server.stop().await;
}

#[tokio::test]
async fn what_does_not_fit_is_refused() {
    let server = TestServer::start().await;
    linked(&server, "shop").await;
    let mut seen = Vec::new();
    for (route, body) in [
        ("markMessageAsRead", json!({ "readMessages": [{ "id": 1 }] })),
        ("archiveChat", json!({ "archive": true })),
        ("archiveChat", json!({ "chat": "x@y", "archive": "yes" })),
        ("markChatUnread", json!({ "chat": 7 })),
        ("sendPresence", json!({ "number": "1", "presence": "dancing" })),
        ("updateBlockStatus", json!({ "number": "4915100000000", "status": "block" })),
        ("updateBlockStatus", json!({ "number": [], "status": "hug" })),
        ("fetchProfilePictureUrl", json!({})),
        ("fetchProfile", json!({ "number": 7 })),
        ("updateProfileName", json!({ "name": "" })),
        ("updateProfileName", json!({ "name": "x".repeat(30) })),
        ("updateProfileStatus", json!({ "status": "x".repeat(140) })),
        ("updateProfilePicture", json!({ "picture": "!" })),
        ("updateProfilePicture", json!({ "picture": "aGVsbG8=" })),
        ("updatePrivacySettings", json!({ "readreceipts": "some" })),
    ] {
        let (status, answer) = post(&server, &format!("/chat/{route}/shop"), body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{route}: {answer}");
        seen.push(json!({ "route": route, "answer": answer["response"]["message"] }));
    }
    let label = json!({ "number": "1", "labelId": "", "action": "glue" });
    let path = (Method::POST, "/label/handleLabel/shop");
    let (_, answer) = ask(&server, ADMIN_KEY, path, Some(label)).await;
    seen.push(json!({ "route": "handleLabel", "answer": answer["response"]["message"] }));
    insta::assert_json_snapshot!("around_refused", seen);
    server.stop().await;
}
