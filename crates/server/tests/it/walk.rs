//! The authorisation walk: every route that the running server has, called by everybody who might try, and
//! what each of them got compared with the table beside this file (`snapshots/`). A new route, or one that
//! lets other people in, fails here until somebody has looked at its line.

use crate::accounts::PASSWORD;
use crate::harness::{ADMIN_KEY, TestServer, answer, header, text};
use flowcore_server::{Access, Route};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::time::Duration;

/// Nobody's id, in the form of one.
const NO_ID: &str = "0192d3a0-0000-7000-8000-000000000000";

/// Somebody who tries: what they send.
struct Principal {
    name: &'static str,
    key: Option<String>,
    cookie: Option<String>,
    csrf: String,
}

impl Principal {
    fn with_key(name: &'static str, key: Option<&str>) -> Self {
        Self { name, key: key.map(str::to_owned), cookie: None, csrf: String::new() }
    }
}

impl TestServer {
    /// Signs a browser in.
    async fn browser(&self, username: &str) -> String {
        let fields = format!("username={username}&password={}", PASSWORD.replace(' ', "+"));
        let form = self.plain(Method::POST, "/login").body(fields);
        let form = form.header("content-type", "application/x-www-form-urlencoded");
        let response = form.send().await.expect("an answer");
        let cookie = header(&response, "set-cookie").expect("a cookie");
        cookie.split(';').next().expect("a pair").to_owned()
    }

    /// A key of the owner with these scopes.
    async fn key(&self, owner: &str, order: Value) -> String {
        let (status, key) = self.with(owner, (Method::POST, "/api/keys"), order).await;
        assert_eq!(status, StatusCode::CREATED, "{key}");
        text(&key["key"])
    }

    /// Everything that a stranger could have changed.
    async fn state(&self) -> Vec<Value> {
        let mut state = vec![];
        for path in [
            "/api/whatsapp/instances",
            "/api/instances/shop/settings",
            "/api/instances/shop/webhooks",
            "/api/users",
        ] {
            let (_, mut body) = self.get(path).await;
            forget_times(&mut body);
            state.push(body);
        }
        let (_, keys) = self.get("/api/keys").await;
        // Who may have keys makes one of their own at the form, which calls it so.
        let keys = keys["data"].as_array().expect("keys").iter();
        state.push(json!(keys.filter(|key| key["name"] != "shop").count()));
        state
    }
}

fn forget_times(value: &mut Value) {
    match value {
        Value::Array(all) => all.iter_mut().for_each(forget_times),
        Value::Object(all) => {
            for name in ["updatedAt", "lastUsedAt"] {
                all.remove(name);
            }
            all.values_mut().for_each(forget_times);
        }
        _ => {}
    }
}

async fn principals(server: &TestServer) -> Vec<Principal> {
    let (_, anna) = server.user("anna", "member", json!({})).await;
    let (_, other) = server.user("other", "member", json!({})).await;
    let (_, viewer) = server.user("viewer", "viewer", json!({})).await;
    let connect = (Method::POST, "/api/whatsapp/connect?wait=0");
    for name in ["shop", "another"] {
        let (status, _) =
            server.with(&anna, connect.clone(), json!({ "instanceName": name })).await;
        assert_eq!(status, StatusCode::OK);
    }
    let hook = json!({ "url": "http://127.0.0.1:9/hook", "enabled": false });
    server.with(&anna, (Method::POST, "/api/instances/shop/webhooks"), hook).await;
    let (_, token) =
        server.with(&anna, (Method::POST, "/api/instances/another/token"), json!({})).await;
    let soon = json!({ "name": "short", "expiresAt": soon() });
    let expired = server.key(&anna, soon).await;
    let narrow = json!({ "name": "narrow", "scopes": ["send"], "instances": ["shop"] });
    let narrow = server.key(&anna, narrow).await;
    let path = "/api/whatsapp/instances";
    while server.with(&expired, (Method::GET, path), Value::Null).await.0 == StatusCode::OK {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut all = vec![
        Principal::with_key("nobody", None),
        Principal::with_key("garbage", Some("garbage-0123456789-abcdefghijklmnop")),
        Principal::with_key("expired", Some(&expired)),
        Principal::with_key("viewer", Some(&viewer)),
        Principal::with_key("other tenant", Some(&other)),
        Principal::with_key("no scope", Some(&narrow)),
        Principal::with_key("other token", Some(&text(&token["token"]))),
        Principal::with_key("admin", Some(ADMIN_KEY)),
    ];
    all[3].cookie = Some(server.browser("viewer").await);
    all[4].cookie = Some(server.browser("other").await);
    all[7].cookie = Some(server.sign_in().await);
    for at in [4, 7] {
        let cookie = all[at].cookie.clone().expect("a cookie");
        all[at].csrf = server.csrf(&cookie).await;
    }
    all
}

/// A moment from now.
#[expect(clippy::disallowed_methods, reason = "the test is a user with a watch")]
fn soon() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let soon = since.expect("after 1970") + Duration::from_millis(1500);
    flowcore_domain::clock::Millis(i64::try_from(soon.as_millis()).expect("a time")).rfc3339()
}

/// The address of a route, with names in it that exist where they can.
fn address(route: &Route) -> String {
    let path = route.path.replace("{name}", "shop").replace("{id}", NO_ID);
    let path = path.replace("{chat}", "5511999999999@s.whatsapp.net");
    let path = path.replace("{*path}", "flowcore.css").replace("{*rest}", "x");
    let path = path.replace("(elsewhere)", "/nowhere");
    match route.path {
        "/api/whatsapp/connect" => format!("{path}?wait=0"),
        "/socket.io/" => format!("{path}?EIO=4&transport=polling"),
        _ => path,
    }
}

async fn call(server: &TestServer, route: &Route, who: &Principal) -> u16 {
    let method = if route.method == "*" { "POST" } else { route.method };
    let method: Method = method.parse().expect("a method");
    let mut request = server.plain(method.clone(), &address(route));
    // The live stream of the dashboard is answered to browsers only.
    let for_browsers = matches!(route.access, Access::Page(_)) || route.path == "/dashboard/live";
    match (route.access, &who.cookie, &who.key) {
        (_, Some(cookie), _) if for_browsers => request = request.header("cookie", cookie),
        (Access::Bearer(_), _, Some(key)) => request = request.bearer_auth(key),
        (_, _, Some(key)) => request = request.header("apikey", key),
        _ => {}
    }
    if method != Method::GET && matches!(route.access, Access::Page(_)) {
        let form = request.header("content-type", "application/x-www-form-urlencoded");
        request = form.body(format!("csrf={}&name=shop", who.csrf));
    } else if method != Method::GET {
        request = request.json(&json!({ "instanceName": "shop" }));
    }
    request.send().await.expect("an answer").status().as_u16()
}

/// What the admin deleted is there again for the next route.
async fn restore(server: &TestServer) {
    let (status, _) = server.get("/api/whatsapp/status/shop").await;
    if status == StatusCode::NOT_FOUND {
        let body = json!({ "instanceName": "shop" });
        answer(server.api(Method::POST, "/api/whatsapp/connect?wait=0").json(&body)).await;
    }
}

#[tokio::test]
async fn every_route_lets_in_whom_the_table_says_and_nobody_else_changes_anything() {
    let server = TestServer::start().await;
    let principals = principals(&server).await;
    let (admin, strangers) = principals.split_last().expect("the admin");
    let mut routes = server.server.routes().to_vec();
    // Who signed out would be a stranger to the pages after that.
    routes.sort_by_key(|route| (route.path == "/logout", route.path, route.method));
    let before = server.state().await;
    let mut table = String::new();
    for route in &routes {
        let _ = write!(table, "{} {} {:?}:", route.method, route.path, route.access);
        for who in strangers {
            let status = call(&server, route, who).await;
            let _ = write!(table, " {} {status},", who.name);
            if !matches!(route.access, Access::Open | Access::Own) {
                assert!(status >= 300 || who.name != "nobody", "{route:?} is open to {}", who.name);
            }
        }
        table.push('\n');
    }
    assert_eq!(server.state().await, before, "somebody changed what is not theirs");
    let mut reached = String::new();
    for route in &routes {
        let status = call(&server, route, admin).await;
        assert!(status != 401, "the admin is not recognised at {route:?}");
        let _ = writeln!(reached, "{} {}: {status}", route.method, route.path);
        restore(&server).await;
    }
    insta::assert_snapshot!("strangers", table);
    insta::assert_snapshot!("admin", reached);
    server.stop().await;
}
