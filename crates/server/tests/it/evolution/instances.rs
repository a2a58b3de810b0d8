//! `/instance/*`: from making to deleting.

use super::{account, answered, ask, create, delete, get, linked, post, settled};
use crate::harness::{ADMIN_KEY, TestServer, header, text};
use crate::webhooks::Receiver;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

#[tokio::test]
async fn an_instance_is_made_with_all_its_options_and_shows_its_code() {
    let server = TestServer::start().await;
    let mut receiver = Receiver::start().await;
    let body = json!({
        "instanceName": "shop",
        "integration": "WHATSAPP-BAILEYS",
        "qrcode": true,
        "token": "a-token-of-our-own",
        "rejectCall": true,
        "msgCall": "Write, please",
        "groupsIgnore": true,
        "webhook": {
            "url": receiver.url(),
            "byEvents": false,
            "base64": true,
            "headers": { "authorization": "Bearer t" },
            "events": ["CONNECTION_UPDATE", "QRCODE_UPDATED"],
        },
        "websocket": { "enabled": true, "events": ["MESSAGES_UPSERT"] },
        "unknown": "is ignored",
    });
    let (status, made) = post(&server, "/instance/create", body).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert_eq!(made["hash"], "a-token-of-our-own");
    let code = text(&made["qrcode"]["code"]);
    insta::assert_json_snapshot!("instance_create", settled(made));
    let (headers, event) = receiver.next_with_headers().await;
    assert_eq!(headers["authorization"], "Bearer t");
    assert!(["connection.update", "qrcode.updated"].contains(&text(&event["event"]).as_str()));
    let phone = server.scan(&code).await;
    server.until_status("shop", "connected").await;
    let state = answered("connectionState", get(&server, "/instance/connectionState/shop").await);
    let open = json!({ "instance": { "instanceName": "shop", "state": "open" } });
    assert_eq!(state, open);
    assert_eq!(get(&server, "/instance/connect/shop").await, (StatusCode::OK, open));
    let (status, list) = get(&server, "/instance/fetchInstances?instanceName=shop").await;
    assert_eq!(
        (status, list[0]["ownerJid"].as_str()),
        (StatusCode::OK, Some(&*format!("{phone}@s.whatsapp.net")))
    );
    insta::assert_json_snapshot!("fetchInstances", settled(list));
    receiver.stop().await;
    server.stop().await;
}

#[tokio::test]
async fn a_code_to_type_can_be_had_while_a_qr_code_shows() {
    let server = TestServer::start().await;
    create(&server, "shop").await;
    let shown = answered("connect", get(&server, "/instance/connect/shop").await);
    assert_eq!(shown["pairingCode"], Value::Null);
    assert!(text(&shown["code"]).starts_with("2@") && shown["count"] == 1, "{shown}");
    let (status, shown) = get(&server, "/instance/connect/shop?number=5511988887777").await;
    assert_eq!(status, StatusCode::OK, "{shown}");
    let code = text(&shown["pairingCode"]);
    assert_eq!(code.len(), 8);
    let typed = json!({ "phone": "5511988887777", "code": code });
    server.phones("/admin/mock-phone/enter-code", typed).await;
    server.until_status("shop", "connected").await;
    server.stop().await;
}

#[tokio::test]
async fn restart_logout_and_delete_may_be_repeated() {
    let server = TestServer::start().await;
    let (_, phone) = linked(&server, "shop").await;
    for _ in 0..2 {
        answered("restart", post(&server, "/instance/restart/shop", json!({})).await);
    }
    server.until_status("shop", "connected").await;
    for _ in 0..2 {
        let (status, body) = delete(&server, "/instance/logout/shop").await;
        assert_eq!(status, StatusCode::OK);
        insta::assert_json_snapshot!("logout", body);
        let devices = account(&server, &phone).await["devices"].take();
        assert_eq!(devices, json!([]), "the phone has no link any more");
    }
    let (_, list) = get(&server, "/instance/fetchInstances").await;
    let ended = (&list[0]["connectionStatus"], &list[0]["disconnectionReasonCode"]);
    assert_eq!(ended, (&json!("close"), &json!(401)), "{list}");
    assert!(list[0]["disconnectionAt"].is_string(), "{list}");
    let (status, body) = delete(&server, "/instance/delete/shop").await;
    assert_eq!(status, StatusCode::OK);
    insta::assert_json_snapshot!("delete", body);
    let (status, body) = delete(&server, "/instance/delete/shop").await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{body}");
    server.stop().await;
}

#[tokio::test]
async fn a_number_that_is_deleted_is_unlinked() {
    let server = TestServer::start().await;
    let (_, phone) = linked(&server, "shop").await;
    assert_eq!(account(&server, &phone).await["devices"].as_array().map(Vec::len), Some(1));
    assert_eq!(delete(&server, "/instance/delete/shop").await.0, StatusCode::OK);
    assert_eq!(account(&server, &phone).await["devices"], json!([]));
    server.stop().await;
}

#[tokio::test]
async fn what_can_not_be_made_is_refused_and_nothing_is_left() {
    let server = TestServer::start().await;
    create(&server, "taken").await;
    let base = |extra: Value| {
        let mut body = json!({ "instanceName": "new", "integration": "WHATSAPP-BAILEYS" });
        let fields = body.as_object_mut().expect("an object");
        fields.extend(extra.as_object().expect("an object").clone());
        body
    };
    let cases = [
        ("no name", json!({ "integration": "WHATSAPP-BAILEYS" })),
        ("a name of another type", base(json!({ "instanceName": 7 }))),
        ("a name with a space", base(json!({ "instanceName": "my shop" }))),
        ("a name that is too long", base(json!({ "instanceName": "x".repeat(300) }))),
        ("a taken name", base(json!({ "instanceName": "TAKEN" }))),
        ("no integration", json!({ "instanceName": "new" })),
        ("another integration", base(json!({ "integration": "WHATSAPP-BUSINESS" }))),
        ("an unknown integration", base(json!({ "integration": "X" }))),
        ("a short token", base(json!({ "token": "short" }))),
        ("qrcode of another type", base(json!({ "qrcode": "yes" }))),
        ("a number of another type", base(json!({ "number": 5511 }))),
        ("a number that is none", base(json!({ "number": "abc" }))),
        ("a rabbit", base(json!({ "rabbitmq": { "enabled": true } }))),
        ("a webhook without address", base(json!({ "webhook": {} }))),
        ("a private address", base(json!({ "webhook": { "url": "http://10.0.0.1/" } }))),
        (
            "an unknown event",
            base(json!({ "webhook": { "url": "http://a.example", "events": ["X"] } })),
        ),
        ("a proxy that is not there", base(json!({ "proxyHost": "127.0.0.1", "proxyPort": "1" }))),
        ("a proxy of another kind", base(json!({ "proxyHost": "a", "proxyProtocol": "ftp" }))),
    ];
    let mut seen = Vec::new();
    for (what, body) in cases {
        let (status, answer) = post(&server, "/instance/create", body).await;
        assert_eq!(answer["status"], status.as_u16(), "{what}: {answer}");
        seen.push(json!({ "case": what, "answer": answer }));
    }
    insta::assert_json_snapshot!("create_refused", seen);
    let (_, list) = get(&server, "/instance/fetchInstances").await;
    assert_eq!(list.as_array().map(Vec::len), Some(1), "{list}");
    server.stop().await;
}

#[tokio::test]
async fn the_list_is_filtered_and_says_what_it_did_not_find() {
    let server = TestServer::start().await;
    for name in ["a1", "b1"] {
        create(&server, name).await;
    }
    let names = async |query: &str| {
        let (status, list) = get(&server, &format!("/instance/fetchInstances{query}")).await;
        assert_eq!(status, StatusCode::OK, "{list}");
        let list = list.as_array().expect("an array").clone();
        list.iter().map(|one| text(&one["name"])).collect::<Vec<_>>()
    };
    assert_eq!(names("").await, ["a1", "b1"]);
    assert_eq!(names("?instanceName=b1").await, ["b1"]);
    assert_eq!(names("?instanceName=b1,a1").await, ["a1", "b1"]);
    assert!(names("?number=4915100000000").await.is_empty());
    let mut seen = Vec::new();
    for query in ["?instanceName=nobody", "?instanceName=x,y", "?instanceId=1"] {
        let (status, body) = get(&server, &format!("/instance/fetchInstances{query}")).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        seen.push(body);
    }
    insta::assert_json_snapshot!("fetch_instances_not_found", seen);
    server.stop().await;
}

#[tokio::test]
async fn what_is_not_there_is_said_as_there() {
    let server = TestServer::start().await;
    let key = create(&server, "shop").await;
    let mut seen = Vec::new();
    for (method, path) in [
        (Method::GET, "/instance/connectionState/nobody"),
        (Method::GET, "/instance/qrcode/shop"),
        (Method::GET, "/instance/create"),
        (Method::POST, "/chat/nothing/shop"),
        (Method::GET, "/license/status"),
        (Method::POST, "/typebot/create/shop"),
        (Method::PUT, "/openai/update/some-bot/shop"),
        (Method::GET, "/rabbitmq/find/shop"),
        (Method::POST, "/call/offer/shop"),
        (Method::POST, "/message/sendTemplate/shop"),
        (Method::POST, "/typebot/create/nobody"),
        (Method::GET, "/webhook/meta"),
    ] {
        let (status, body) = ask(&server, ADMIN_KEY, (method.clone(), path), None).await;
        assert_eq!(body["status"], status.as_u16(), "{path}: {body}");
        seen.push(json!({ "asked": format!("{method} {path}"), "answer": body }));
    }
    insta::assert_json_snapshot!("not_there", seen);
    answered("verify-creds", post(&server, "/verify-creds", json!({})).await);
    let (status, _) = ask(&server, &key, (Method::POST, "/verify-creds"), None).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "the key of an instance is none of the server");
    let page = server.plain(Method::GET, "/manager/login").send().await.expect("an answer");
    assert_eq!(page.status(), StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(header(&page, "location"), Some("/"));
    let broken = server.api(Method::POST, "/settings/set/shop").body("{\"a\":");
    let broken = broken.header("content-type", "application/json").send().await.expect("an answer");
    assert_eq!(broken.status(), StatusCode::BAD_REQUEST);
    let body: Value = broken.json().await.expect("JSON");
    assert_eq!(body["error"], "Internal Server Error");
    server.stop().await;
}
