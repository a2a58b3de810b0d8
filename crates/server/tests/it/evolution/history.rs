//! Questions about what is stored.

use super::{answered, get, linked, listen, post, received, settled};
use crate::harness::{DEADLINE, TestServer, text};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::time::Instant;

#[tokio::test]
async fn messages_chats_and_contacts_are_found() {
    let server = TestServer::start().await;
    let (_, phone) = linked(&server, "shop").await;
    let ana = server.contact("Ana").await;
    for text in ["one", "two", "three"] {
        received(&server, (&ana, &phone), json!({ "text": text })).await;
    }
    let jid = format!("{ana}@s.whatsapp.net");
    let all = json!({ "where": { "key": { "remoteJid": jid } }, "offset": 2 });
    let path = "/chat/findMessages/shop";
    let (_, found) = post(&server, path, all.clone()).await;
    assert_eq!(found["messages"]["total"], 3, "{found}");
    let page = &found["messages"];
    assert_eq!((&page["pages"], &page["currentPage"]), (&json!(2), &json!(1)));
    assert_eq!(page["records"].as_array().map(Vec::len), Some(2));
    let newest = &page["records"][0];
    assert_eq!(newest["message"]["conversation"], "three");
    let mut second = all;
    second["page"] = json!(2);
    let (_, rest) = post(&server, path, second).await;
    insta::assert_json_snapshot!("findMessages", settled(rest.clone()));
    let none = [
        json!({ "where": { "key": { "fromMe": true } } }),
        json!({ "where": { "key": { "id": "nothing" } } }),
        json!({ "where": { "key": { "remoteJid": "4915100000000@s.whatsapp.net" } } }),
        json!({ "where": { "messageType": "imageMessage" } }),
        json!({ "where": { "messageTimestamp": { "gte": "2100-01-01T00:00:00Z" } } }),
    ];
    for body in none {
        let (status, answer) = post(&server, path, body.clone()).await;
        assert_eq!((status, &answer["messages"]["total"]), (StatusCode::OK, &json!(0)), "{body}");
    }
    let times = json!({ "gte": "2020-01-01T00:00:00Z", "lte": "2100-01-01T00:00:00Z" });
    let one =
        json!({ "where": { "key": { "id": newest["key"]["id"] }, "messageTimestamp": times } });
    assert_eq!(post(&server, path, one).await.1["messages"]["total"], 1);

    let (status, chats) = post(&server, "/chat/findChats/shop", json!({})).await;
    assert_eq!((status, chats.as_array().map(Vec::len)), (StatusCode::OK, Some(1)), "{chats}");
    insta::assert_json_snapshot!("findChats", settled(chats));
    let (status, people) =
        post(&server, "/chat/findContacts/shop", json!({ "where": { "remoteJid": jid } })).await;
    assert_eq!(status, StatusCode::OK);
    insta::assert_json_snapshot!("findContacts", settled(people.clone()));
    let by_id = json!({ "where": { "id": people[0]["id"] } });
    assert_eq!(post(&server, "/chat/findContacts/shop", by_id).await.1, people);
    let (status, chat) =
        get(&server, &format!("/chat/findChatByRemoteJid/shop?remoteJid={jid}")).await;
    assert_eq!(status, StatusCode::OK);
    insta::assert_json_snapshot!("findChatByRemoteJid", settled(chat));
    let unknown = "/chat/findChatByRemoteJid/shop?remoteJid=4915100000000";
    assert_eq!(get(&server, unknown).await, (StatusCode::OK, Value::Null));
    let (status, lacking) = get(&server, "/chat/findChatByRemoteJid/shop").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(lacking, json!({ "error": "remoteJid is a required query parameter" }));
    server.stop().await;
}

#[tokio::test]
async fn how_far_a_message_got_is_found() {
    let server = TestServer::start().await;
    linked(&server, "shop").await;
    let ana = server.contact("Ana").await;
    let mut news = listen(&server, "shop").await;
    let body = json!({ "instanceName": "shop", "number": ana, "message": "hello" });
    let (_, sent) = server.post("/api/whatsapp/send", body).await;
    let arrived =
        |data: &Value| data["keyId"] == sent["messageId"] && data["status"] == "DELIVERY_ACK";
    news.told("messages.update", arrived).await;
    let asked = json!({ "where": { "id": sent["messageId"] } });
    let found = post(&server, "/chat/findStatusMessage/shop", asked).await;
    let found = answered("findStatusMessage", found);
    assert_eq!(found[0]["status"], "DELIVERY_ACK", "{found}");
    assert_eq!(text(&found[0]["keyId"]), text(&sent["messageId"]));
    assert_eq!(found[0]["remoteJid"], format!("{ana}@s.whatsapp.net"));
    server.stop().await;
}

#[tokio::test]
async fn questions_that_can_not_be_answered_are_refused() {
    let server = TestServer::start().await;
    super::create(&server, "shop").await;
    let mut seen = Vec::new();
    for (path, body) in [
        ("findMessages", json!({ "where": "x" })),
        ("findMessages", json!({ "where": { "key": { "fromMe": "yes", "id": 7 } } })),
        ("findMessages", json!({ "page": 0, "offset": 0.5 })),
        ("findMessages", json!({ "where": { "messageTimestamp": { "gte": "yesterday" } } })),
        ("findMessages", json!({ "where": { "key": { "remoteJid": "not an address" } } })),
        ("findChats", json!({ "where": { "remoteJid": "x".repeat(200) } })),
        ("findChats", json!({ "take": "many", "skip": -1 })),
        ("findContacts", json!({ "where": { "pushName": 5 } })),
        ("findStatusMessage", json!([])),
    ] {
        let (status, answer) = post(&server, &format!("/chat/{path}/shop"), body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}: {answer}");
        seen.push(answer);
    }
    insta::assert_json_snapshot!("questions_refused", seen);
    server.stop().await;
}

#[tokio::test]
async fn labels_are_listed_as_the_owner_made_them() {
    let server = TestServer::start().await;
    let (_, phone) = linked(&server, "shop").await;
    assert_eq!(get(&server, "/label/findLabels/shop").await, (StatusCode::OK, json!([])));
    let label = json!({ "label": { "id": "7", "name": "VIP", "color": 5 } });
    let on_phone = format!("/admin/mock-phone/{phone}/app-state");
    let expected = json!([{ "id": "7", "name": "VIP", "color": "5", "predefinedId": null }]);
    // What falls into the first sync may be no news: the owner does it again then.
    let began = Instant::now();
    while get(&server, "/label/findLabels/shop").await.1 != expected {
        assert!(began.elapsed() < DEADLINE, "{:?}", get(&server, "/label/findLabels/shop").await);
        server.phones(&on_phone, label.clone()).await;
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    answered("findLabels", get(&server, "/label/findLabels/shop").await);
    server.stop().await;
}

#[tokio::test]
async fn conversations_of_groups_have_the_groups_names() {
    let server = TestServer::start().await;
    let (_, phone) = linked(&server, "shop").await;
    let ana = server.contact("Ana").await;
    let mut news = listen(&server, "shop").await;
    let new = json!({ "subject": "Friends", "participants": [phone] });
    let group = server.phones(&format!("/admin/contacts/{ana}/groups"), new).await;
    news.told("groups.upsert", |_| true).await;
    let jid = text(&group["jid"]);
    let write = format!("/admin/contacts/{ana}/messages");
    server.phones(&write, json!({ "to": jid, "text": "Hello all" })).await;
    news.told("messages.upsert", |data| data["key"]["remoteJid"] == group["jid"]).await;
    let names = async || {
        let (_, chats) = post(&server, "/chat/findChats/shop", json!({})).await;
        let path = format!("/chat/findChatByRemoteJid/shop?remoteJid={jid}");
        let (_, chat) = get(&server, &path).await;
        (chats[0]["pushName"].clone(), chat["name"].clone())
    };
    assert_eq!(names().await, (json!("Friends"), json!("Friends")));
    let asked = json!({ "where": { "remoteJid": jid } });
    let (_, found) = post(&server, "/chat/findContacts/shop", asked).await;
    let one = (&found[0]["pushName"], &found[0]["type"], &found[0]["isGroup"]);
    assert_eq!(one, (&json!("Friends"), &json!("group"), &json!(true)), "{found}");
    let act = format!("/admin/contacts/{ana}/groups/{jid}");
    server.phones(&act, json!({ "action": "subject", "subject": "Old friends" })).await;
    news.told("groups.update", |data| data[0]["subject"] == "Old friends").await;
    assert_eq!(names().await, (json!("Old friends"), json!("Old friends")));
    // A server that has just started asks WhatsApp.
    let server = server.restarted().await;
    server.until_status("shop", "connected").await;
    let began = Instant::now();
    loop {
        let (_, chats) = post(&server, "/chat/findChats/shop", json!({})).await;
        if chats[0]["pushName"] == "Old friends" {
            break;
        }
        assert!(began.elapsed() < DEADLINE, "{chats}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    server.stop().await;
}
