//! How requests arrive: TLS, proxies, plain HTTP, rates.

use crate::harness::{ADMIN_KEY, TestServer, header};
use crate::traces::PHOTO;
use crate::webhooks::Receiver;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use flowcore_server::Rate;
use flowcore_server::config::{AccessConfig, TlsFiles};
use reqwest::{Method, StatusCode};
use serde_json::json;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

async fn with(access: AccessConfig) -> TestServer {
    TestServer::start_with(|config| config.access = access).await
}

#[tokio::test]
async fn a_key_has_a_rate_and_is_told_what_is_left() {
    let per_minute = NonZeroU32::new(30).expect("not zero");
    let server =
        with(AccessConfig { rate: Some(Rate { per_minute }), ..AccessConfig::default() }).await;
    let path = "/api/whatsapp/instances";
    let first = server.api(Method::GET, path).send().await.expect("an answer");
    assert_eq!(header(&first, "ratelimit-limit"), Some("30"));
    assert_eq!(header(&first, "ratelimit-remaining"), Some("29"));
    let mut last = first;
    for _ in 0..40 {
        last = server.api(Method::GET, path).send().await.expect("an answer");
        if last.status() != StatusCode::OK {
            break;
        }
    }
    assert_eq!(last.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(header(&last, "retry-after").is_some());
    assert_eq!(header(&last, "ratelimit-remaining"), Some("0"));
    let mut strangers = vec![];
    for _ in 0..6 {
        let wrong = server.plain(Method::GET, path).header("apikey", "wrong").send().await;
        strangers.push(wrong.expect("an answer").status().as_u16());
    }
    assert_eq!(strangers, [401, 401, 401, 429, 429, 429]);
    let health = server.plain(Method::GET, "/healthz").send().await.expect("an answer");
    assert_eq!(health.status(), StatusCode::OK);
    server.stop().await;
}

#[tokio::test]
async fn over_plain_http_browsers_sign_in_on_this_machine_only_and_are_told() {
    let server = with(AccessConfig::default()).await;
    let form = |host: &str| {
        let form = server.plain(Method::POST, "/login").header("host", host.to_owned());
        let form = form.header("content-type", "application/x-www-form-urlencoded");
        form.body(format!("key={ADMIN_KEY}"))
    };
    let page = server.plain(Method::GET, "/login").header("host", "flowcore.lan:3000");
    let page = page.send().await.expect("an answer").text().await.expect("a page");
    assert!(page.contains("FLOWCORE_INSECURE_COOKIES=true") && !page.contains("<form"), "{page}");
    let refused = form("flowcore.lan:3000").send().await.expect("an answer");
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert!(header(&refused, "set-cookie").is_none());
    let here = form("localhost:3000").send().await.expect("an answer");
    assert_eq!(here.status(), StatusCode::SEE_OTHER);
    server.stop().await;

    let server = with(AccessConfig { insecure_cookies: true, ..AccessConfig::default() }).await;
    let form = server.plain(Method::POST, "/login").header("host", "flowcore.lan:3000");
    let form = form.header("content-type", "application/x-www-form-urlencoded");
    let allowed = form.body(format!("key={ADMIN_KEY}")).send().await.expect("an answer");
    assert_eq!(allowed.status(), StatusCode::SEE_OTHER);
    server.stop().await;
}

#[tokio::test]
async fn behind_tls_the_cookie_is_locked_and_another_address_is_told() {
    let server = TestServer::start_with(|config| {
        config.public_url = Some("https://flowcore.example.com".to_owned());
        config.access.trusted_proxies = vec!["127.0.0.1".parse().expect("an address")];
    })
    .await;
    let url = format!("http://{}/login", server.server.addr());
    let form = |host: &str, forwarded: bool| {
        let form = server.http.post(&url).header("host", host.to_owned());
        let form = form.header("content-type", "application/x-www-form-urlencoded");
        let form = if forwarded { form.header("x-forwarded-proto", "https") } else { form };
        form.body(format!("key={ADMIN_KEY}")).send()
    };
    let through = form("flowcore.example.com", true).await.expect("an answer");
    assert_eq!(through.status(), StatusCode::SEE_OTHER);
    let cookie = header(&through, "set-cookie").expect("a cookie");
    assert!(cookie.starts_with("__Host-flowcore=") && cookie.contains("; Secure"), "{cookie}");
    assert!(header(&through, "strict-transport-security").is_some());
    let beside = form("10.0.0.5:3000", false).await.expect("an answer");
    assert_eq!(beside.status(), StatusCode::FORBIDDEN);
    let page = beside.text().await.expect("a page");
    assert!(page.contains("https://flowcore.example.com"), "{page}");
    server.stop().await;
}

/// A reverse proxy as operators run one: it says who asked, and knows the server by another address.
fn proxy(listener: TcpListener, server: SocketAddr) -> CancellationToken {
    let client = crate::harness::client();
    let pass = move |request: Request| async move {
        let (parts, body) = request.into_parts();
        let url = format!("http://{server}{}", parts.uri);
        let body = axum::body::to_bytes(body, 1 << 20).await.expect("a body");
        let on = client.request(parts.method, url).headers(parts.headers).body(body);
        let on = on.header("x-forwarded-for", "203.0.113.7").header("x-forwarded-proto", "http");
        let answer = on.send().await.expect("an answer");
        let (status, headers) = (answer.status(), answer.headers().clone());
        (status, headers, Body::from(answer.bytes().await.expect("a body")))
    };
    let stop = CancellationToken::new();
    let serving = axum::serve(listener, Router::new().fallback(pass));
    let serving = serving.with_graceful_shutdown(stop.clone().cancelled_owned());
    TaskTracker::new().spawn(async move { serving.await });
    stop
}

#[tokio::test]
async fn behind_a_proxy_apps_are_told_the_public_address_and_it_works() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let public = format!("http://{}", listener.local_addr().expect("an address"));
    let server = TestServer::start_with(|config| {
        config.public_url = Some(public.clone());
        config.access.trusted_proxies = vec!["127.0.0.1".parse().expect("an address")];
    })
    .await;
    // From here on everything that this test asks goes through the proxy.
    let proxy = proxy(listener, server.server.addr());
    let mut receiver = Receiver::start().await;
    let phone = server.linked("shop").await;
    let hook = json!({ "url": receiver.url(), "media": "link", "events": ["messages.upsert"] });
    let (status, made) = server.post("/api/instances/shop/webhooks", hook).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let ana = server.contact("Ana").await;
    let picture = json!({ "to": phone, "type": "image", "media": PHOTO, "mimetype": "image/png" });
    server.phones(&format!("/admin/contacts/{ana}/messages"), picture).await;
    let event = receiver.next().await;
    assert_eq!(event["server_url"], public, "{event}");
    let link = event["data"]["message"]["mediaUrl"].as_str().expect("a link");
    let path = link.strip_prefix(&public).expect("a link to the public address");
    let file = server.api(Method::GET, path).send().await.expect("an answer");
    assert_eq!(file.status(), StatusCode::OK);
    assert_eq!(header(&file, "content-type"), Some("image/png"));
    let (_, log) = server.get("/api/audit").await;
    assert!(log.to_string().contains("203.0.113.7"), "who asked, not the proxy: {log}");
    proxy.cancel();
    receiver.stop().await;
    server.stop().await;
}

#[tokio::test]
async fn tls_can_end_here() {
    let files = tempfile::tempdir().expect("a folder");
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("made");
    let tls = TlsFiles { cert: files.path().join("cert.pem"), key: files.path().join("key.pem") };
    std::fs::write(&tls.cert, made.cert.pem()).expect("written");
    std::fs::write(&tls.key, made.signing_key.serialize_pem()).expect("written");
    let server = with(AccessConfig { tls: Some(tls), ..AccessConfig::default() }).await;
    assert!(server.server.url().starts_with("https://"));
    let root = reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).expect("a certificate");
    #[expect(clippy::disallowed_methods, reason = "the test is the browser")]
    let client = reqwest::Client::builder().tls_certs_only([root]).build().expect("a client");
    let answer = client.get(server.url("/healthz")).send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(header(&answer, "strict-transport-security").is_some());
    let plain = format!("http://{}/healthz", server.server.addr());
    assert!(server.http.get(plain).send().await.is_err(), "no plain HTTP on this port");
    server.stop().await;
}

#[tokio::test]
async fn a_key_that_may_not_do_everything_opens_no_browser_session() {
    let server = TestServer::start().await;
    let order = json!({ "name": "narrow", "scopes": ["read"] });
    let (_, narrow) = server.post("/api/keys", order).await;
    let form = server.plain(Method::POST, "/login");
    let form = form.header("content-type", "application/x-www-form-urlencoded");
    let body = format!("key={}", narrow["key"].as_str().expect("a key"));
    let refused = form.body(body).send().await.expect("an answer");
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert!(header(&refused, "set-cookie").is_none());
    server.stop().await;
}
