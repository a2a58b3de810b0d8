//! What is around messages: numbers, marks, presence, profiles, privacy, labels. What a route changes is read
//! where others see it.

use super::{account, answered, ask, delete, get, inbox};
use super::{linked, listen, owner_sees, phone_shows, post, received, settled};
use crate::harness::{ADMIN_KEY, TestServer};
use flowcore_gateway::png_data_url;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

#[tokio::test]
async fn numbers_marks_and_presence() {
    let server = TestServer::start().await;
    let (_, phone) = linked(&server, "shop").await;
    let ana = server.contact("Ana").await;
    let key = received(&server, (&ana, &phone), json!({ "text": "Hello" })).await;
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
    let key = received(&server, (&ana, &phone), json!({ "text": "Hello" })).await;
    let read = json!({ "readMessages": [key] });
    assert_eq!(post(&server, "/chat/markMessageAsRead/shop", read).await.0, StatusCode::CREATED);
    let told = json!({ "id": key["id"], "type": "read" });
    phone_shows(&server, &ana, |shown| has(&shown["receipts"], &told)).await;
    server.stop().await;
}

fn has(list: &Value, entry: &Value) -> bool {
    list.as_array().is_some_and(|list| list.contains(entry))
}

#[tokio::test]
async fn what_is_done_to_a_chat_is_done_on_the_owners_phone() {
    let server = TestServer::start().await;
    let (_, phone) = linked(&server, "shop").await;
    let ana = server.contact("Ana").await;
    let key = received(&server, (&ana, &phone), json!({ "text": "Hello" })).await;
    let jid = format!("{ana}@s.whatsapp.net");
    let mut effects = Vec::new();
    for (archive, kind) in [(true, "archive"), (false, "archive")] {
        let body = json!({ "lastMessage": { "key": key }, "chat": jid, "archive": archive });
        let (status, answer) = post(&server, "/chat/archiveChat/shop", body).await;
        assert_eq!((status, &answer["archived"]), (StatusCode::CREATED, &json!(archive)));
        let entry = owner_sees(&server, &phone, kind).await.expect("an entry");
        assert_eq!(entry["value"]["archive_chat_action"]["archived"], archive, "{entry}");
        effects.push(shown_entry(entry));
    }
    let body = json!({ "lastMessage": { "key": key }, "chat": jid });
    let (status, answer) = post(&server, "/chat/markChatUnread/shop", body).await;
    assert_eq!((status, &answer["markedChatUnread"]), (StatusCode::CREATED, &json!(true)));
    let entry = owner_sees(&server, &phone, "markChatAsRead").await.expect("an entry");
    assert_eq!(entry["value"]["mark_chat_as_read_action"]["read"], false, "{entry}");
    effects.push(shown_entry(entry));
    for (action, labeled) in [("add", true), ("remove", false)] {
        let body = json!({ "number": ana, "labelId": "7", "action": action });
        let (status, answer) = post(&server, "/label/handleLabel/shop", body).await;
        assert_eq!((status, &answer[action]), (StatusCode::OK, &json!(true)), "{answer}");
        let entry = owner_sees(&server, &phone, "label_jid").await.expect("an entry");
        let now = &entry["value"]["label_association_action"]["labeled"];
        assert_eq!(now, &json!(labeled), "{entry}");
        effects.push(shown_entry(entry));
    }
    insta::assert_json_snapshot!("effects_on_the_owners_phone", effects);
    server.stop().await;
}

/// Without the clock, which differs, and the messages around it.
fn shown_entry(entry: Value) -> Value {
    let mut entry = settled(entry);
    let fields = entry["value"].as_object_mut().expect("an object");
    fields.remove("timestamp");
    for action in fields.values_mut() {
        action.as_object_mut().map(|action| action.remove("message_range"));
    }
    entry
}

#[tokio::test]
async fn typing_and_blocking_are_seen_by_the_other_side() {
    let server = TestServer::start().await;
    let (_, phone) = linked(&server, "shop").await;
    let ana = server.contact("Ana").await;
    received(&server, (&ana, &phone), json!({ "text": "Hello" })).await;
    let typing = json!({ "number": ana, "presence": "composing", "delay": 1500 });
    let sending = post(&server, "/chat/sendPresence/shop", typing);
    let watching = phone_shows(&server, &ana, |shown| has(&shown["typing"], &json!(phone)));
    let ((status, _), shown) = tokio::join!(sending, watching);
    assert_eq!((status, &shown["typing"]), (StatusCode::CREATED, &json!([phone])));
    phone_shows(&server, &ana, |shown| shown["typing"] == json!([])).await;
    let mut news = listen(&server, "shop").await;
    let block = json!({ "number": ana, "status": "block" });
    assert_eq!(post(&server, "/chat/updateBlockStatus/shop", block).await.0, StatusCode::CREATED);
    assert_eq!(account(&server, &phone).await["blocked"], json!([ana]), "WhatsApp keeps it");
    let write = format!("/admin/contacts/{ana}/messages");
    server.phones(&write, json!({ "to": phone, "text": "can you hear me?" })).await;
    let unblock = json!({ "number": ana, "status": "unblock" });
    assert_eq!(post(&server, "/chat/updateBlockStatus/shop", unblock).await.0, StatusCode::CREATED);
    assert_eq!(account(&server, &phone).await["blocked"], json!([]));
    let id = server.phones(&write, json!({ "to": phone, "text": "and now?" })).await["id"].clone();
    let first = news.told("messages.upsert", |_| true).await;
    assert_eq!(first["key"]["id"], id, "what a blocked one wrote does not come: {first}");
    server.stop().await;
}

#[tokio::test]
async fn profiles_and_privacy() {
    let server = TestServer::start().await;
    let (_, phone) = linked(&server, "shop").await;
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
    let shown = account(&server, &phone).await;
    assert_eq!((&shown["about"], &shown["name"]), (&own["status"], &json!("The shop")), "{shown}");
    assert!(shown["picture"].is_string(), "{shown}");
    post(&server, "/message/sendText/shop", json!({ "number": ana, "text": "It is me" })).await;
    assert_eq!(inbox(&server, &ana, 1).await[0]["pushName"], "The shop", "so others see it");
    add("removeProfilePicture", delete(&server, "/chat/removeProfilePicture/shop").await);
    let (_, own) = post(&server, "/chat/fetchProfile/shop", json!({})).await;
    assert!(own["picture"].is_null(), "{own}");
    assert!(account(&server, &phone).await["picture"].is_null());
    let settings = json!({
        "readreceipts": "all", "profile": "contacts", "status": "none",
        "online": "match_last_seen", "last": "contacts", "groupadd": "contacts",
    });
    add(
        "updatePrivacySettings",
        post(&server, "/chat/updatePrivacySettings/shop", settings.clone()).await,
    );
    let now = get(&server, "/chat/fetchPrivacySettings/shop").await;
    assert_eq!(answered("fetchPrivacySettings", now), settings);
    let kept = account(&server, &phone).await["privacy"].take();
    let kept = ["last", "online", "groupadd"].map(|kind| kept[kind].clone());
    assert_eq!(kept, ["contacts", "match_last_seen", "contacts"], "WhatsApp keeps it");
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
