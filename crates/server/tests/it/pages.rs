//! The pages behind the list of instances, used as a browser without a script uses them: every form does what
//! the API then shows.

use crate::accounts::PASSWORD;
use crate::dashboard::body;
use crate::harness::{DEADLINE, TestServer, answer, header, text};
use axum::routing::post;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A browser that is signed in.
pub(crate) struct Browser<'a> {
    pub(crate) server: &'a TestServer,
    pub(crate) cookie: String,
    pub(crate) csrf: String,
}

impl<'a> Browser<'a> {
    pub(crate) async fn of_admin(server: &'a TestServer) -> Self {
        let cookie = server.sign_in().await;
        let csrf = server.csrf(&cookie).await;
        Self { server, cookie, csrf }
    }

    pub(crate) async fn look(&self, path: &str) -> String {
        let page = self.server.page(path, &self.cookie).send().await.expect("an answer");
        assert_eq!(page.status(), StatusCode::OK, "{path}");
        body(page).await
    }

    /// Sends a form; the page that comes, or where it leads.
    pub(crate) async fn send(&self, path: &str, fields: &str) -> (StatusCode, String) {
        let fields = format!("csrf={}&{fields}", self.csrf);
        let response = self.server.submit(path, &self.cookie, &fields).await;
        let status = response.status();
        let leads = header(&response, "location").map(str::to_owned);
        match leads {
            Some(leads) => (status, leads),
            None => (status, body(response).await),
        }
    }
}

/// What stands behind a mark on a page, up to the next tag.
pub(crate) fn behind(page: &str, mark: &str) -> String {
    let (_, rest) = page.split_once(mark).unwrap_or_else(|| panic!("no {mark} in {page}"));
    rest.split('<').next().expect("a text").to_owned()
}

#[tokio::test]
async fn a_key_is_made_shown_once_and_taken_away() {
    let server = TestServer::start().await;
    let browser = Browser::of_admin(&server).await;
    let (status, page) = browser.send("/keys", "name=app&scope=read&scope=send").await;
    assert_eq!(status, StatusCode::CREATED, "{page}");
    let key = behind(&page, "<code id=\"secret\">");
    let me = || server.with(&key, (Method::GET, "/api/me"), Value::Null);
    let (status, who) = me().await;
    assert_eq!((status, &who["scopes"]), (StatusCode::OK, &json!(["read", "send"])));
    let list = browser.look("/keys").await;
    assert!(list.contains("app") && !list.contains(&key));
    let (status, refused) = browser.send("/keys", "name=").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.contains("role=\"alert\""));
    let (_, keys) = server.get("/api/keys").await;
    let keys = keys["data"].as_array().expect("keys").clone();
    let id = keys.iter().find(|one| one["name"] == "app").map(|one| text(&one["id"]));
    let path = format!("/keys/{}/delete", id.expect("it is there"));
    assert_eq!(browser.send(&path, "").await, (StatusCode::SEE_OTHER, "/keys?did=key-gone".into()));
    assert_eq!(me().await.0, StatusCode::UNAUTHORIZED);
    assert!(browser.look("/keys?did=key-gone").await.contains("The key is good for nothing"));
    server.stop().await;
}

#[tokio::test]
async fn what_is_refused_is_told_in_the_page_s_language_and_in_english_to_programs() {
    let server = TestServer::start().await;
    let browser = Browser::of_admin(&server).await;
    let portuguese = "pt-BR,en;q=0.5";
    let page = server.page("/i/nobody", &browser.cookie).header("accept-language", portuguese);
    let page = body(page.send().await.expect("an answer")).await;
    assert!(page.contains("Não existe: instância") && page.contains("Não há instância"), "{page}");
    let form = server.page("/keys", &browser.cookie).header("accept-language", portuguese);
    assert!(body(form.send().await.expect("an answer")).await.contains("lang=\"pt\""));
    // The dashboard's scripts carry the session's token; programs do not.
    let status = || {
        let asked = server.plain(Method::GET, "/api/whatsapp/status/nobody");
        asked.header("cookie", &browser.cookie).header("accept-language", portuguese)
    };
    let told = |answer: Value| text(&answer["detail"]);
    let (_, shown) = answer(status().header("x-csrf-token", &browser.csrf)).await;
    assert_eq!(told(shown), "Não há instância com este nome.");
    let (_, english) = answer(status()).await;
    assert!(told(english).starts_with("There is no instance of this name."));
    server.stop().await;
}

#[tokio::test]
async fn an_administrator_makes_limits_and_deletes_users() {
    let server = TestServer::start().await;
    let browser = Browser::of_admin(&server).await;
    let (status, refused) =
        browser.send("/users", "username=anna&password=short&role=member").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{refused}");
    assert!(refused.contains("value=\"anna\""), "what was typed is still there");
    let fields = format!("username=anna&password={}&role=member", PASSWORD.replace(' ', "+"));
    assert_eq!(browser.send("/users", &fields).await.1, "/users?did=user-made");
    let (_, users) = server.get("/api/users").await;
    let users = users["data"].as_array().expect("users").clone();
    let id = users.iter().find(|one| one["username"] == "anna").map(|one| text(&one["id"]));
    let path = format!("/users/{}", id.expect("she is there"));
    let (status, _) = browser.send(&path, "role=member&instances=many").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let change = "role=viewer&email=anna%40example.com&instances=3&disabled=on";
    assert_eq!(browser.send(&path, change).await.0, StatusCode::SEE_OTHER);
    let (_, anna) = server.get(&format!("/api{path}")).await;
    assert_eq!((&anna["role"], &anna["disabled"]), (&json!("viewer"), &json!(true)));
    assert_eq!(anna["quotas"]["instances"], 3);
    let gone = format!("{path}/delete");
    assert_eq!(browser.send(&gone, "name=bob").await.0, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(browser.send(&gone, "name=anna").await.1, "/users?did=user-gone");
    assert_eq!(server.get(&format!("/api{path}")).await.0, StatusCode::NOT_FOUND);
    server.stop().await;
}

#[tokio::test]
async fn the_account_page_changes_what_is_one_s_own() {
    let server = TestServer::start().await;
    server.user("anna", "viewer", json!({ "instances": 5 })).await;
    let form = format!("username=anna&password={}", PASSWORD.replace(' ', "+"));
    let signed_in = server.submit("/login", "", &form).await;
    let cookie = header(&signed_in, "set-cookie").expect("a cookie").to_owned();
    let cookie = cookie.split(';').next().expect("a pair").to_owned();
    let page = body(server.page("/account", &cookie).send().await.expect("an answer")).await;
    let csrf = page.split_once("name=\"csrf\" value=\"").expect("a form").1;
    let csrf = csrf.split('"').next().expect("a token").to_owned();
    let browser = Browser { server: &server, cookie, csrf };
    assert!(page.contains("Messages a day") && !page.contains("href=\"/users\""), "{page}");
    let (status, offer) = browser.send("/account/totp", "").await;
    assert_eq!(status, StatusCode::OK);
    assert!(offer.contains("<svg") && !behind(&offer, "<code id=\"totp-secret\">").is_empty());
    let (status, _) = browser.send("/account/totp/on", "secret=AAAA&code=000000").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let (status, _) = browser.send("/account/password", "current=wrong&new=a+good+new+one").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let fields = format!("current={}&new=a+good+new+one", PASSWORD.replace(' ', "+"));
    assert_eq!(browser.send("/account/password", &fields).await.1, "/login");
    let over = server.page("/account", &browser.cookie).send().await.expect("an answer");
    assert_eq!(header(&over, "location"), Some("/login"), "all sign-ins are over");
    server.stop().await;
}

#[tokio::test]
async fn pages_speak_the_language_of_the_browser_or_of_the_choice() {
    let server = TestServer::start().await;
    let browser = Browser::of_admin(&server).await;
    let asked = |cookie: String| {
        let page = server.page("/", &cookie).header("accept-language", "pt-BR,en;q=0.5");
        async move { body(page.send().await.expect("an answer")).await }
    };
    let page = asked(browser.cookie.clone()).await;
    assert!(page.contains("<html lang=\"pt\">") && page.contains("Instâncias"), "{page}");
    let (status, _) = browser.send("/account/language", "language=es").await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let page = asked(format!("{}; flowcore-language=es", browser.cookie)).await;
    assert!(page.contains("Instancias"), "{page}");
    server.stop().await;
}

#[tokio::test]
async fn what_was_stored_as_text_is_read_in_the_language_of_the_page() {
    let server = TestServer::start().await;
    let browser = Browser::of_admin(&server).await;
    let cookie = format!("{}; flowcore-language=pt", browser.cookie);
    let browser = Browser { cookie, ..browser };
    server.connect("shop").await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let nobody = listener.local_addr().expect("an address");
    drop(listener);
    browser.send("/i/shop/webhooks", &format!("url=http%3A%2F%2F{nobody}%2Fhook")).await;
    let (_, list) = server.get("/api/instances/shop/webhooks").await;
    let id = list["data"][0]["id"].as_str().expect("an id");
    let (_, tried) = browser.send(&format!("/i/shop/webhooks/{id}/test"), "").await;
    assert!(
        tried.contains("<p class=\"wrong\">Conexão recusada (erro 111 do sistema)."),
        "{tried}"
    );
    assert!(tried.contains(">ativo</span>") && tried.contains("sem"), "{tried}");
    let overview = browser.look("/i/shop").await;
    assert!(overview.contains("<span>A instância foi criada.</span>"), "{overview}");
    server.stop().await;
}

#[tokio::test]
async fn calls_are_set_on_one_page() {
    let server = TestServer::start().await;
    let browser = Browser::of_admin(&server).await;
    server.connect("shop").await;
    let fields = "reject_calls=on&message=Write+to+us+%26+wait&always_online=on";
    assert_eq!(browser.send("/i/shop/calls", fields).await.1, "/i/shop/calls?did=saved");
    let (_, found) = server.get("/settings/find/shop").await;
    assert_eq!((&found["rejectCall"], &found["alwaysOnline"]), (&json!(true), &json!(true)));
    assert_eq!(found["msgCall"], "Write to us & wait");
    let page = browser.look("/i/shop/calls").await;
    assert!(page.contains("Write to us &#38; wait") || page.contains("Write to us &amp; wait"));
    let long = format!("message={}", "x".repeat(1001));
    assert_eq!(browser.send("/i/shop/calls", &long).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    server.stop().await;
}

/// A receiver that takes everything.
async fn receiver() -> (String, CancellationToken) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
    let routes = axum::Router::new().route("/hook", post(async || "taken"));
    let stop = CancellationToken::new();
    let serving =
        axum::serve(listener, routes).with_graceful_shutdown(stop.clone().cancelled_owned());
    TaskTracker::new().spawn(async move { serving.await });
    (url, stop)
}

#[tokio::test]
async fn webhooks_are_made_tested_switched_and_posted_again() {
    let server = TestServer::start().await;
    let browser = Browser::of_admin(&server).await;
    server.connect("shop").await;
    let path = "/i/shop/webhooks";
    let (status, refused) = browser.send(path, "url=ftp%3A%2F%2Fx").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{refused}");
    let (url, stop) = receiver().await;
    let fields = format!("url={}&event=messages.upsert&groups=on", url.replace('/', "%2F"));
    let (status, made) = browser.send(path, &fields).await;
    assert_eq!(status, StatusCode::OK, "{made}");
    assert!(behind(&made, "<code id=\"secret\">").starts_with("whsec_"));
    let (_, list) = server.get("/api/instances/shop/webhooks").await;
    let id = text(&list["data"][0]["id"]);
    assert_eq!(list["data"][0]["chats"], json!({ "groups": true, "own": false, "status": false }));
    let (_, tried) = browser.send(&format!("{path}/{id}/test"), "").await;
    assert!(tried.contains("webhook-signature") && tried.contains(">200<"), "{tried}");
    assert_eq!(browser.send(&format!("{path}/{id}/switch"), "").await.0, StatusCode::SEE_OTHER);
    let (_, one) = server.get(&format!("/api/instances/shop/webhooks/{id}")).await;
    assert_eq!(one["state"], "disabled");
    browser.send(&format!("{path}/{id}/switch"), "on=on").await;
    let (_, rotated) = browser.send(&format!("{path}/{id}/rotate"), "").await;
    assert!(rotated.contains("whsec_"));
    let (_, none) =
        browser.send("/i/shop/replay", "from=2020-01-01T00:00&to=2020-01-02T00:00").await;
    assert_eq!(none, "/i/shop/webhooks?did=nothing-replayed");
    let (status, _) = browser.send("/i/shop/replay", "from=yesterday").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    browser.send(&format!("{path}/{id}/delete"), "").await;
    let (_, list) = server.get("/api/instances/shop/webhooks").await;
    assert_eq!(list["data"], json!([]));
    stop.cancel();
    server.stop().await;
}

#[tokio::test]
async fn a_delivery_shows_what_is_posted_and_the_receivers_words_to_admins_only() {
    let server = TestServer::start().await;
    let admin = Browser::of_admin(&server).await;
    let (_, key) = server.user("anna", "member", json!({})).await;
    let ask = async |path: &str, body: Value| server.with(&key, (Method::POST, path), body).await;
    let order = json!({ "instanceName": "shop" });
    ask("/api/whatsapp/connect?wait=0", order.clone()).await;
    let (url, stop) = receiver().await;
    let (status, made) = ask("/api/instances/shop/webhooks", json!({ "url": url })).await;
    assert!(status.is_success(), "{made}");
    ask("/api/whatsapp/restart", order).await;
    let began = Instant::now();
    let id = loop {
        let (_, list) = server.get("/api/instances/shop/deliveries?status=delivered").await;
        if let Some(id) = list["data"][0]["id"].as_str() {
            break id.to_owned();
        }
        assert!(began.elapsed() < DEADLINE, "nothing was delivered: {list}");
    };
    let fields = format!("username=anna&password={}", PASSWORD.replace(' ', "+"));
    let signed_in = server.submit("/login", "", &fields).await;
    let cookie = header(&signed_in, "set-cookie").expect("a cookie");
    let cookie = cookie.split(';').next().expect("a pair").to_owned();
    let anna = Browser { server: &server, cookie, csrf: String::new() };
    for (browser, shown) in [(&admin, true), (&anna, false)] {
        let page = browser.look(&format!("/i/shop/deliveries/{id}")).await;
        assert!(page.contains("<b>200</b>") && page.contains("server_url"), "{page}");
        assert_eq!(page.contains(">taken</p>"), shown, "{page}");
    }
    stop.cancel();
    server.stop().await;
}

#[tokio::test]
async fn a_chat_is_read_answered_and_its_way_looked_up() {
    let server = TestServer::start().await;
    let browser = Browser::of_admin(&server).await;
    let phone = server.linked("shop").await;
    let ana = server.contact("Ana").await;
    let write = json!({ "to": phone, "text": "Is it <b>open</b>?" });
    server.phones(&format!("/admin/contacts/{ana}/messages"), write).await;
    let began = Instant::now();
    let list = loop {
        let list = browser.look("/i/shop/chats").await;
        if list.contains("Ana") {
            break list;
        }
        assert!(began.elapsed() < DEADLINE, "she never wrote: {list}");
    };
    assert!(!list.contains("<b>open</b>"), "what people write is text");
    let chat = format!("/i/shop/chats/{ana}%40s.whatsapp.net");
    let (status, sent) = browser.send(&chat, "message=Until+six.").await;
    assert_eq!(status, StatusCode::SEE_OTHER, "{sent}");
    let thread = browser.look(&chat).await;
    assert!(thread.contains("Until six.") && thread.contains("bubble own"), "{thread}");
    let (status, empty) = browser.send(&chat, "message=+").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{empty}");
    let log = browser.look("/i/shop/logs").await;
    let (_, link) = log.split_once("href=\"/i/shop/logs/").expect("a message");
    let id = link.split('"').next().expect("an id");
    let way = browser.look(&format!("/i/shop/logs/{id}")).await;
    assert!(way.contains("Handed to WhatsApp"), "{way}");
    for (query, theirs, own) in [
        ("way=in", true, false),
        ("way=out", false, true),
        (&format!("chat=%2B{ana}"), true, true),
        ("chat=4915100000000", false, false),
        ("chat=no+address", false, false),
    ] {
        let log = browser.look(&format!("/i/shop/logs?{query}")).await;
        let shown = (log.contains("Is it &#60;b&#62;open"), log.contains("Until six."));
        assert_eq!(shown, (theirs, own), "{query}: {log}");
        assert_eq!(log.contains("No message fits."), !theirs && !own, "{query}");
    }
    // Who sent is told of the acknowledgement a moment before it is stored.
    let overview = browser.until("/i/shop", "<dd id=\"queue\"><span class=\"none\">nothing").await;
    assert!(overview.contains("1 came in") && overview.contains("1 went out"), "{overview}");
    assert!(overview.contains("Memory a connected number takes"), "an admin sees it: {overview}");
    assert!(overview.contains("<dd id=\"reconnects\">0<"), "linking it is none: {overview}");
    let (_, acks) = overview.split_once("<dd id=\"acks\">").expect("a delay");
    assert!(acks.split_once("</dd>").expect("its end").0.contains(" ms"), "{overview}");
    let happened = ["Connected to WhatsApp.", "The instance was made."];
    let at = happened.map(|text| overview.find(&format!("<span>{text}")).expect(text));
    assert!(at[0] < at[1], "the last comes first: {overview}");
    server.stop().await;
}
