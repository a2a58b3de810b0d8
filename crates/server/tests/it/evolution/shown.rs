//! What a message is shown with: the page that it links to, cards; and statuses, which are shown to many.

use super::{inbox, linked, post, received, settled};
use crate::harness::TestServer;
use axum::Router;
use axum::http::header;
use axum::routing::get;
use flowcore_gateway::png_data_url;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

/// A page of the web that counts its visitors, and others beside it that show nothing.
struct Page {
    url: String,
    visits: Arc<AtomicUsize>,
    tasks: TaskTracker,
}

impl Page {
    async fn start() -> Self {
        let visits = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&visits);
        let shop = async move || {
            count.fetch_add(1, Ordering::SeqCst);
            let html = "<html><head><title>Shop</title>\
                <meta property=og:title content='The &quot;shop&quot;'>\
                <meta name=description content='Open until nine'>\
                <meta property=og:image content='pic.png'></head><body>Hello</body></html>";
            ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], html)
        };
        let picture = png_data_url("shop").expect("a picture");
        let encoded = picture.split_once(',').expect("a data URL").1.to_owned();
        let png = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, encoded);
        let png = png.expect("base64");
        let routes = Router::new()
            .route("/shop", get(shop))
            .route("/pic.png", get(async move || png.clone()))
            .route(
                "/file",
                get(async || ([(header::CONTENT_TYPE, "text/plain")], "<title>no</title>")),
            )
            .route("/slow", get(async || std::future::pending::<()>().await));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let tasks = TaskTracker::new();
        tasks.spawn(async move { axum::serve(listener, routes).await });
        Self { url, visits, tasks }
    }
}

/// Sends a text; what the contact got of it.
async fn texts(server: &TestServer, to: &str, count: usize, body: Value) -> Value {
    let mut body = body;
    body["number"] = json!(to);
    let (status, sent) = post(server, "/message/sendText/shop", body).await;
    assert_eq!((status, &sent["messageType"]), (StatusCode::CREATED, &json!("conversation")));
    inbox(server, to, count).await[count - 1].clone()
}

#[tokio::test]
async fn a_link_is_shown_with_what_its_page_says() {
    let server = TestServer::start().await;
    let page = Page::start().await;
    linked(&server, "shop").await;
    let ana = server.contact("Ana").await;
    let link = format!("{}/shop", page.url);
    let text = format!("Look: {link}!");
    let got = texts(&server, &ana, 1, json!({ "text": text })).await;
    assert_eq!(got["text"], text);
    let shown = json!({
        "link": link, "title": "The \"shop\"", "description": "Open until nine", "picture": true,
    });
    assert_eq!(got["preview"], shown);
    texts(&server, &ana, 2, json!({ "text": text })).await;
    assert_eq!(page.visits.load(Ordering::SeqCst), 1, "a page is remembered");
    let without = texts(&server, &ana, 3, json!({ "text": text, "linkPreview": false })).await;
    assert!(without["preview"].is_null(), "{without}");
    for path in ["/file", "/nothing", "/slow"] {
        let began = std::time::Instant::now();
        let text = format!("{}{path}", page.url);
        let count = inbox(&server, &ana, 0).await.len() + 1;
        let got = texts(&server, &ana, count, json!({ "text": text })).await;
        assert!(got["preview"].is_null(), "{got}");
        assert!(began.elapsed().as_secs() < 10, "a page that does not come holds no message up");
    }
    let body = json!({ "instanceName": "shop", "number": ana, "message": text });
    let count = inbox(&server, &ana, 0).await.len();
    server.post("/api/whatsapp/send", body.clone()).await;
    let mut wanted = body;
    wanted["linkPreview"] = json!(true);
    let (status, _) = server.post("/api/whatsapp/send", wanted).await;
    assert_eq!(status, StatusCode::CREATED);
    let got = inbox(&server, &ana, count + 2).await;
    assert!(got[count]["preview"].is_null(), "our own API shows one when it is asked to");
    assert_eq!(got[count + 1]["preview"]["title"], shown["title"]);
    page.tasks.close();
    server.stop().await;
}

#[tokio::test]
async fn links_into_private_networks_are_not_looked_at() {
    let server = TestServer::start_with(|config| {
        config.allow_private = flowcore_server::AllowPrivate::none();
    })
    .await;
    let page = Page::start().await;
    linked(&server, "shop").await;
    let ana = server.contact("Ana").await;
    let got = texts(&server, &ana, 1, json!({ "text": format!("{}/shop", page.url) })).await;
    assert!(got["preview"].is_null(), "{got}");
    assert_eq!(page.visits.load(Ordering::SeqCst), 0);
    server.stop().await;
}

#[tokio::test]
async fn cards_stand_side_by_side() {
    let server = TestServer::start().await;
    linked(&server, "shop").await;
    let ana = server.contact("Ana").await;
    let button = json!({ "type": "url", "displayText": "See", "url": "https://a.example/1" });
    let card =
        json!({ "title": "Blue", "body": "as the sky", "footer": "10", "buttons": [button] });
    let body = json!({ "number": ana, "body": "Colours", "cards": [card, card] });
    let (status, sent) = post(&server, "/message/sendCarousel/shop", body).await;
    assert_eq!(status, StatusCode::CREATED, "{sent}");
    let got = inbox(&server, &ana, 1).await.remove(0);
    let seen = json!({ "answer": settled(sent)["message"], "arrived": got["choices"] });
    insta::assert_json_snapshot!("sendCarousel", seen);
    for body in [
        json!({ "number": ana, "body": "Colours" }),
        json!({ "number": ana, "body": "Colours", "cards": [] }),
        json!({ "number": ana, "body": "Colours", "cards": [{ "body": "x", "buttons": [] }] }),
    ] {
        let (status, answer) = post(&server, "/message/sendCarousel/shop", body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_status_is_seen_by_whom_it_is_for() {
    let server = TestServer::start().await;
    let (_, phone) = linked(&server, "shop").await;
    let (ana, bob) = (server.contact("Ana").await, server.contact("Bob").await);
    received(&server, (&ana, &phone), json!({ "text": "Hello" })).await;
    let text = json!({
        "type": "text", "content": "New colours", "backgroundColor": "#008000", "font": 2,
        "allContacts": true,
    });
    let (status, sent) = post(&server, "/message/sendStatus/shop", text).await;
    assert_eq!(status, StatusCode::CREATED, "{sent}");
    let got = inbox(&server, &ana, 1).await.remove(0);
    assert_eq!((&got["id"], &got["text"]), (&sent["key"]["id"], &json!("New colours")), "{got}");
    insta::assert_json_snapshot!("sendStatus", settled(sent));
    let picture = png_data_url("shop").expect("a picture");
    let image = json!({
        "type": "image", "content": picture, "caption": "look", "statusJidList": [bob],
    });
    let (status, sent) = post(&server, "/message/sendStatus/shop", image).await;
    assert_eq!(status, StatusCode::CREATED, "{sent}");
    let got = inbox(&server, &bob, 1).await.remove(0);
    assert_eq!((&got["type"], &got["caption"]), (&json!("image"), &json!("look")), "{got}");
    assert_eq!(inbox(&server, &ana, 0).await.len(), 1, "Ana was not named");
    let mut refused = Vec::new();
    for body in [
        json!({}),
        json!({ "type": "poem", "content": 7, "font": 0 }),
        json!({ "type": "text", "content": "x", "font": 1, "backgroundColor": "#000000" }),
        json!({ "type": "text", "content": "x", "font": 1, "allContacts": true }),
        json!({ "type": "text", "content": "x", "font": 1, "backgroundColor": "red", "allContacts": true }),
        json!({ "type": "text", "content": "x", "backgroundColor": "#000000", "allContacts": true }),
        json!({ "type": "text", "content": "", "font": 1, "backgroundColor": "#000000", "allContacts": true }),
        json!({ "type": "image", "content": "!", "allContacts": true }),
        json!({ "type": "text", "content": "x", "font": 1, "backgroundColor": "#000000", "statusJidList": ["4915100000000"] }),
    ] {
        let (status, answer) = post(&server, "/message/sendStatus/shop", body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
        refused.push(settled(answer["response"]["message"].clone()));
    }
    insta::assert_json_snapshot!("status_refused", refused);
    server.stop().await;
}
