//! The dashboard's stream: what changes arrives as a fragment, without asking.

use crate::harness::{DEADLINE, TestServer, header, text};
use reqwest::{Method, Response, StatusCode};
use std::time::Duration;
use tokio::time::timeout;

/// Reads a stream of server-sent events.
struct Stream {
    response: Response,
    read: String,
}

impl Stream {
    async fn open(server: &TestServer, cookie: &str) -> Self {
        Self::of(server, cookie, "").await
    }

    /// The stream of a page that is about something else than the cards.
    async fn of(server: &TestServer, cookie: &str, query: &str) -> Self {
        let path = format!("/dashboard/live{query}");
        let request = server.plain(Method::GET, &path).header("cookie", cookie);
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(header(&response, "content-type"), Some("text/event-stream"));
        Self { response, read: String::new() }
    }

    /// The next event: its kind and data. `None` at the end.
    async fn next(&mut self) -> Option<(String, String)> {
        loop {
            let event = self.any().await?;
            if event.0 != "beat" {
                return Some(event);
            }
        }
    }

    /// The same with the beats between.
    async fn any(&mut self) -> Option<(String, String)> {
        loop {
            if let Some((event, rest)) = self.read.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.read = rest;
                let field = |name: &str| {
                    let lines = event.lines().filter_map(|line| line.strip_prefix(name));
                    lines.collect::<Vec<_>>().join("\n")
                };
                return Some((field("event: "), field("data: ")));
            }
            let chunk = timeout(DEADLINE, self.response.chunk()).await.expect("in time");
            let chunk = chunk.ok().flatten()?;
            self.read.push_str(std::str::from_utf8(&chunk).expect("UTF-8"));
        }
    }

    async fn until(&mut self, kind: &str, part: &str) -> String {
        loop {
            let (event, data) = self.next().await.expect("the stream goes on");
            if event == kind && data.contains(part) {
                return data;
            }
        }
    }
}

#[tokio::test]
async fn cards_and_codes_arrive_as_the_instance_changes() {
    let server = TestServer::start().await;
    let cookie = server.sign_in().await;
    let mut stream = Stream::open(&server, &cookie).await;
    stream.until("sync", "").await;
    let shown = server.connect("shop").await;
    stream.until("card", "data-name=\"shop\"").await;
    let code = stream.until("qr", "<svg xmlns=").await;
    assert!(code.contains("data-left=\"") && code.contains("Code 1 / 6"), "{code}");
    server.scan(&text(&shown["qrcode"])).await;
    stream.until("card", "<span class=\"badge connected\">Connected</span>").await;
    stream.until("qr", "data-done=\"shop is connected.\"").await;
    let delete = server.api(Method::DELETE, "/api/whatsapp/delete/shop").send().await;
    assert_eq!(delete.expect("an answer").status(), StatusCode::OK);
    stream.until("gone", "").await;
    server.stop().await;
}

#[tokio::test]
async fn a_new_stream_begins_with_everything_there_is() {
    let server = TestServer::start().await;
    let cookie = server.sign_in().await;
    server.connect("a").await;
    server.connect("b").await;
    let mut stream = Stream::open(&server, &cookie).await;
    let all = stream.until("sync", "").await;
    assert!(all.contains("data-name=\"a\"") && all.contains("data-name=\"b\""));
    server.stop().await;
}

#[tokio::test]
async fn the_stream_needs_a_session() {
    let server = TestServer::start().await;
    let request = server.plain(Method::GET, "/dashboard/live").header("cookie", "flowcore=x");
    let response = request.send().await.expect("an answer");
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    server.stop().await;
}

#[tokio::test]
async fn a_stopping_server_ends_its_streams() {
    let server = TestServer::start().await;
    let cookie = server.sign_in().await;
    let mut stream = Stream::open(&server, &cookie).await;
    stream.until("sync", "").await;
    server.stop().await;
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn a_page_about_messages_is_told_of_news_and_every_page_of_who_waits() {
    let server = TestServer::start().await;
    let cookie = server.sign_in().await;
    let shop = server.linked("shop").await;
    server.connect("other").await;
    let ana = server.contact("Ana").await;
    let support = serde_json::json!({ "isActive": true });
    server.put("/api/instances/shop/support", support).await;
    let keyword = serde_json::json!({ "keyword": "human" });
    server.post("/api/instances/shop/support/keywords", keyword).await;
    let mut still = Stream::of(&server, &cookie, "?of=-").await;
    assert!(still.until("waiting", "").await.contains(">0<"));
    let mut page = Stream::of(&server, &cookie, "?of=shop").await;
    page.until("news", "").await;
    let mut elsewhere = Stream::of(&server, &cookie, "?of=other").await;
    elsewhere.until("news", "").await;
    let write = serde_json::json!({ "to": shop, "text": "A human, please" });
    server.phones(&format!("/admin/contacts/{ana}/messages"), write).await;
    page.until("news", "").await;
    assert!(still.until("waiting", ">1<").await.contains("unread"));
    // What is told elsewhere is who waits, and nothing of this instance's messages.
    loop {
        let (kind, data) = elsewhere.next().await.expect("the stream goes on");
        assert_eq!(kind, "waiting", "{data}");
        if data.contains(">1<") {
            break;
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_stream_is_never_silent_for_long() {
    let server = TestServer::start().await;
    let cookie = server.sign_in().await;
    let mut stream = Stream::of(&server, &cookie, "?of=-").await;
    stream.until("waiting", "").await;
    for _ in 0..2 {
        let beat = timeout(Duration::from_secs(3), stream.any()).await.expect("soon");
        assert_eq!(beat.expect("the stream goes on").0, "beat");
    }
    server.stop().await;
}

#[tokio::test]
async fn the_page_of_webhooks_is_told_when_a_delivery_was_settled() {
    let server = TestServer::start().await;
    let cookie = server.sign_in().await;
    let shop = server.linked("shop").await;
    let ana = server.contact("Ana").await;
    // Nobody listens there.
    let hook =
        serde_json::json!({ "url": "http://127.0.0.1:9/hook", "events": ["messages.upsert"] });
    server.post("/api/instances/shop/webhooks", hook).await;
    let mut page = Stream::of(&server, &cookie, "?deliveries=shop").await;
    page.until("news", "").await;
    let write = serde_json::json!({ "to": shop, "text": "Hello" });
    server.phones(&format!("/admin/contacts/{ana}/messages"), write).await;
    // One for the message; one for what became of it, by which time the attempt is there to see.
    loop {
        page.until("news", "").await;
        let (_, deliveries) = server.get("/api/instances/shop/deliveries").await;
        if deliveries["data"][0]["attempts"].as_array().is_some_and(|tries| !tries.is_empty()) {
            break;
        }
    }
    server.stop().await;
}
