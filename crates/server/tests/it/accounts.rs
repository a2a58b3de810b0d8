//! Users, keys and what each of them sees.

use crate::harness::{TestServer, answer, text};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

pub(crate) const PASSWORD: &str = "correct horse battery";

impl TestServer {
    /// A user with a key for everything that their role may: id and key.
    pub(crate) async fn user(&self, name: &str, role: &str, quotas: Value) -> (String, String) {
        let body =
            json!({ "username": name, "password": PASSWORD, "role": role, "quotas": quotas });
        let (status, user) = self.post("/api/users", body).await;
        assert_eq!(status, StatusCode::CREATED, "{user}");
        let id = text(&user["id"]);
        let (status, key) = self.post("/api/keys", json!({ "name": "app", "userId": id })).await;
        assert_eq!(status, StatusCode::CREATED, "{key}");
        (id, text(&key["key"]))
    }

    /// A request with another key.
    pub(crate) async fn with(
        &self,
        key: &str,
        (method, path): (Method, &str),
        body: Value,
    ) -> (StatusCode, Value) {
        let request = self.plain(method, path).header("apikey", key);
        let request = if body.is_null() { request } else { request.json(&body) };
        answer(request).await
    }
}

fn connect(name: &str) -> Value {
    json!({ "instanceName": name })
}

const CONNECT: (Method, &str) = (Method::POST, "/api/whatsapp/connect?wait=0");
const LIST: (Method, &str) = (Method::GET, "/api/whatsapp/instances");
const KEYS: (Method, &str) = (Method::POST, "/api/keys");

#[tokio::test]
async fn each_sees_their_own_and_the_admin_everything() {
    let server = TestServer::start().await;
    let (_, anna) = server.user("anna", "member", json!({})).await;
    let (_, bob) = server.user("bob", "member", json!({})).await;
    let (_, eve) = server.user("eve", "viewer", json!({})).await;
    assert_eq!(server.with(&anna, CONNECT, connect("anna-1")).await.0, StatusCode::OK);
    assert_eq!(server.with(&bob, CONNECT, connect("bob-1")).await.0, StatusCode::OK);
    let names = async |key: &str| {
        let (_, list) = server.with(key, LIST, Value::Null).await;
        let list = list.as_array().expect("a list").clone();
        list.iter().map(|one| text(&one["instanceName"])).collect::<Vec<_>>()
    };
    assert_eq!(names(&anna).await, ["anna-1"]);
    assert_eq!(names(&bob).await, ["bob-1"]);
    assert_eq!(names(&eve).await, [""; 0]);
    assert_eq!(names(crate::harness::ADMIN_KEY).await, ["anna-1", "bob-1"]);
    for (method, path) in [
        (Method::GET, "/api/whatsapp/status/bob-1"),
        (Method::DELETE, "/api/whatsapp/delete/bob-1"),
        (Method::GET, "/api/instances/bob-1/webhooks"),
        (Method::GET, "/api/events?instance=bob-1"),
    ] {
        let (status, theirs) = server.with(&anna, (method.clone(), path), Value::Null).await;
        let nobody = path.replace("bob-1", "nobody");
        let (_, none) = server.with(&anna, (method, &nobody), Value::Null).await;
        assert_eq!(
            (status, &theirs["code"]),
            (StatusCode::NOT_FOUND, &json!("instance_not_found"))
        );
        assert_eq!(theirs["detail"], none["detail"], "as if it did not exist");
    }
    let (status, taken) = server.with(&anna, CONNECT, connect("BOB-1")).await;
    assert_eq!((status, &taken["code"]), (StatusCode::CONFLICT, &json!("instance_name_taken")));
    let (status, refused) = server.with(&eve, CONNECT, connect("eve-1")).await;
    assert_eq!((status, &refused["code"]), (StatusCode::FORBIDDEN, &json!("forbidden")));
    assert_eq!(server.with(&eve, (Method::GET, "/api/users"), Value::Null).await.0, 403);
    server.stop().await;
}

#[tokio::test]
async fn a_key_makes_no_wider_key() {
    let server = TestServer::start().await;
    let (_, anna) = server.user("anna", "member", json!({})).await;
    let (bob_id, _) = server.user("bob", "member", json!({})).await;
    server.with(&anna, CONNECT, connect("one")).await;
    server.with(&anna, CONNECT, connect("two")).await;
    let order = json!({ "name": "narrow", "scopes": ["read", "manage"], "instances": ["one"] });
    let (status, narrow) = server.with(&anna, KEYS, order).await;
    assert_eq!(status, StatusCode::CREATED, "{narrow}");
    let (id, narrow) = (text(&narrow["id"]), text(&narrow["key"]));
    for order in [
        json!({ "name": "x", "scopes": ["send"] }),
        json!({ "name": "x", "scopes": ["read", "admin"] }),
        json!({ "name": "x", "instances": ["two"] }),
        json!({ "name": "x", "userId": bob_id }),
    ] {
        let (status, refused) = server.with(&narrow, KEYS, order.clone()).await;
        assert!(status == 403 || status == 404, "{order}: {status} {refused}");
    }
    let (_, heir) = server.with(&narrow, KEYS, json!({ "name": "heir" })).await;
    assert_eq!(heir["scopes"], json!(["read", "manage"]));
    let heir = text(&heir["key"]);
    for key in [&narrow, &heir] {
        let status = |path| server.with(key, (Method::GET, path), Value::Null);
        assert_eq!(status("/api/whatsapp/status/one").await.0, StatusCode::OK);
        assert_eq!(status("/api/whatsapp/status/two").await.0, StatusCode::NOT_FOUND);
        assert_eq!(server.with(key, CONNECT, connect("three")).await.0, StatusCode::FORBIDDEN);
        let (_, list) = server.with(key, LIST, Value::Null).await;
        assert_eq!(list.as_array().map(Vec::len), Some(1), "{list}");
    }
    let path = format!("/api/keys/{id}");
    let (status, _) = server.with(&anna, (Method::DELETE, &path), Value::Null).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(server.with(&narrow, LIST, Value::Null).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(server.with(&heir, LIST, Value::Null).await.0, StatusCode::OK);
    server.stop().await;
}

#[tokio::test]
async fn a_key_ends_comes_from_its_addresses_and_is_listed_without_itself() {
    let server = TestServer::start().await;
    let key = async |order| server.post("/api/keys", order).await;
    let order = json!({ "name": "lan", "allowedAddresses": ["10.0.0.0/8"] });
    let (_, lan) = key(order).await;
    let (status, refused) = server.with(&text(&lan["key"]), LIST, Value::Null).await;
    assert_eq!((status, &refused["code"]), (StatusCode::FORBIDDEN, &json!("address_not_allowed")));
    let (_, here) = key(json!({ "name": "here", "allowedAddresses": ["127.0.0.1"] })).await;
    assert_eq!(server.with(&text(&here["key"]), LIST, Value::Null).await.0, StatusCode::OK);
    for (order, code) in [
        (json!({ "name": "x", "expiresAt": "2020-01-01T00:00:00Z" }), "invalid_expiry"),
        (json!({ "name": "x", "expiresAt": "soon" }), "invalid_expiry"),
        (json!({ "name": "x", "allowedAddresses": ["lan"] }), "invalid_address"),
        (json!({ "name": " " }), "invalid_key_name"),
        (json!({ "name": "x", "scopes": ["root"] }), "invalid_body"),
    ] {
        let (status, refused) = key(order).await;
        assert_eq!((status, &refused["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!(code)));
    }
    let (_, list) = server.get("/api/keys").await;
    let list = list["data"].as_array().expect("a list").clone();
    assert_eq!(list.len(), 3);
    let used = list.iter().find(|one| one["name"] == "here").expect("listed");
    assert!(used["lastUsedAt"].is_string() && used["prefix"].is_string());
    assert!(list.iter().all(|one| one["key"].is_null() && one["hash"].is_null()));
    server.stop().await;
}

#[tokio::test]
async fn a_thousand_creates_never_exceed_a_quota() {
    let server = TestServer::start().await;
    let (id, anna) = server.user("anna", "member", json!({ "instances": 3 })).await;
    let creates = (0..1000).map(|n| {
        let (server, anna) = (&server, &anna);
        async move { server.with(anna, CONNECT, connect(&format!("shop-{n}"))).await }
    });
    let answers = futures_util::future::join_all(creates).await;
    let made = answers.iter().filter(|(status, _)| *status == StatusCode::OK).count();
    assert_eq!(made, 3);
    let (_, refused) = answers.iter().find(|(status, _)| *status == 403).expect("refused");
    assert_eq!(refused["code"], "instance_limit_reached");
    assert_eq!((&refused["limit"], &refused["used"]), (&json!(3), &json!(3)));
    let (_, me) = server.with(&anna, (Method::GET, "/api/me"), Value::Null).await;
    let instances = json!({ "used": 3, "limit": 3, "renewsAt": null });
    assert_eq!(me["quotas"]["instances"], instances);
    assert!(me["quotas"]["messagesPerDay"]["renewsAt"].is_string());
    let path = format!("/api/users/{id}");
    let more = json!({ "quotas": { "instances": 4 } });
    let (status, _) = answer(server.api(Method::PATCH, &path).json(&more)).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(server.with(&anna, CONNECT, connect("one-more")).await.0, StatusCode::OK);
    server.stop().await;
}

#[tokio::test]
async fn two_users_at_once_make_one_instance_of_a_name() {
    let server = TestServer::start().await;
    let (_, anna) = server.user("anna", "member", json!({})).await;
    let (_, bob) = server.user("bob", "member", json!({})).await;
    for round in 0..10 {
        let body = connect(&format!("shop-{round}"));
        let (a, b) = tokio::join!(
            server.with(&anna, CONNECT, body.clone()),
            server.with(&bob, CONNECT, body)
        );
        let mut statuses = [a.0.as_u16(), b.0.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409], "{a:?} {b:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn users_are_changed_at_once_and_the_last_admin_stays() {
    let server = TestServer::start().await;
    let (id, anna) = server.user("anna", "member", json!({})).await;
    server.with(&anna, CONNECT, connect("shop")).await;
    let path = format!("/api/users/{id}");
    let change =
        async |path: &str, body: Value| answer(server.api(Method::PATCH, path).json(&body)).await;
    change(&path, json!({ "role": "viewer" })).await;
    assert_eq!(server.with(&anna, CONNECT, connect("more")).await.0, StatusCode::FORBIDDEN);
    change(&path, json!({ "disabled": true, "email": "a@example.com" })).await;
    assert_eq!(server.with(&anna, LIST, Value::Null).await.0, StatusCode::UNAUTHORIZED);
    let (_, user) = change(&path, json!({ "disabled": false })).await;
    assert_eq!((&user["email"], &user["disabled"]), (&json!("a@example.com"), &json!(false)));
    let (_, me) = server.get("/api/me").await;
    let own = format!("/api/users/{}", text(&me["id"]));
    let (status, refused) = change(&own, json!({ "disabled": true })).await;
    assert_eq!((status, &refused["code"]), (StatusCode::CONFLICT, &json!("last_admin")));
    for (body, code) in [
        (json!({ "username": "Anna", "password": PASSWORD, "role": "member" }), "username_taken"),
        (json!({ "username": "a b", "password": PASSWORD, "role": "member" }), "invalid_username"),
        (json!({ "username": "c", "password": "password123", "role": "member" }), "weak_password"),
        (json!({ "username": "c", "password": PASSWORD, "role": "root" }), "invalid_body"),
    ] {
        assert_eq!(server.post("/api/users", body).await.1["code"], code);
    }
    let (status, _) = answer(server.api(Method::DELETE, &path)).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let (status, _) = server.get("/api/whatsapp/status/shop").await;
    assert_eq!(status, StatusCode::NOT_FOUND, "it went with its owner");
    assert_eq!(answer(server.api(Method::GET, &path)).await.0, StatusCode::NOT_FOUND);
    server.stop().await;
}

#[tokio::test]
async fn the_token_of_an_instance_is_good_for_it_alone() {
    let server = TestServer::start().await;
    for name in ["one", "two"] {
        server.post("/api/whatsapp/connect?wait=0", connect(name)).await;
    }
    let (status, made) = server.post("/api/instances/one/token", json!({})).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let token = text(&made["token"]);
    let get = |path| server.with(&token, (Method::GET, path), Value::Null);
    assert_eq!(get("/api/whatsapp/status/one").await.0, StatusCode::OK);
    assert_eq!(get("/api/whatsapp/status/two").await.0, StatusCode::NOT_FOUND);
    assert_eq!(get("/api/users").await.0, StatusCode::FORBIDDEN);
    assert_eq!(server.with(&token, CONNECT, connect("three")).await.0, StatusCode::FORBIDDEN);
    server.post("/api/instances/one/token", json!({})).await;
    assert_eq!(get("/api/whatsapp/status/one").await.0, StatusCode::UNAUTHORIZED);
    server.stop().await;
}

#[tokio::test]
async fn what_was_changed_is_told_without_secrets() {
    let server = TestServer::start().await;
    let (id, key) = server.user("anna", "member", json!({ "instances": 3 })).await;
    let patch = json!({ "quotas": { "instances": 5 }, "password": "another good one" });
    answer(server.api(Method::PATCH, &format!("/api/users/{id}")).json(&patch)).await;
    server.with(&key, CONNECT, connect("shop")).await;
    let (_, log) = server.get(&format!("/api/audit?target={id}")).await;
    let log = log["data"].as_array().expect("a list").clone();
    let actions: Vec<_> = log.iter().map(|one| text(&one["action"])).collect();
    assert_eq!(actions, ["PATCH /api/users/{id}", "POST /api/users"]);
    assert_eq!(log[0]["data"]["before"]["quotas"]["instances"], 3);
    assert_eq!(log[0]["data"]["after"]["quotas"]["instances"], 5);
    assert_eq!((&log[0]["username"], &log[0]["address"]), (&json!("admin"), &json!("127.0.0.1")));
    let (_, theirs) = server.get(&format!("/api/audit?userId={id}")).await;
    assert_eq!(theirs["data"][0]["action"], "POST /api/whatsapp/connect");
    let lines =
        server.api(Method::GET, "/api/audit?format=ndjson").send().await.expect("an answer");
    let lines = lines.text().await.expect("lines");
    assert!(lines.lines().count() >= 4, "{lines}");
    for secret in [&*key, PASSWORD, "another good one", crate::harness::ADMIN_KEY] {
        assert!(!lines.contains(secret));
    }
    server.stop().await;
}
