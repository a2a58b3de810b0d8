//! Events as they happen, over SSE and WebSocket, and coming back to them.

use crate::harness::{ADMIN_KEY, DEADLINE, TestServer, answer, text};
use futures_util::StreamExt as _;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};

/// A client of `GET /api/events`.
pub(crate) struct Listener {
    response: Response,
    read: String,
}

impl Listener {
    pub(crate) async fn open(server: &TestServer, query: &str) -> Self {
        let request = server.api(Method::GET, &format!("/api/events{query}"));
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), StatusCode::OK);
        Self { response, read: String::new() }
    }

    /// The next event with the id that SSE gives it. `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((block, rest)) = self.read.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.read = rest;
                let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
                if let Some(data) = field("data: ") {
                    let body = serde_json::from_str(data).expect("JSON");
                    return Some((field("id: ").unwrap_or_default().to_owned(), body));
                }
            }
            let chunk = timeout(DEADLINE, self.response.chunk()).await.expect("in time");
            self.read.push_str(std::str::from_utf8(&chunk.ok().flatten()?).expect("UTF-8"));
        }
    }

    pub(crate) async fn until(&mut self, event: &str) -> (String, Value) {
        loop {
            let (id, body) = self.next().await.expect("the stream goes on");
            if body["event"] == event {
                return (id, body);
            }
        }
    }

    /// The particulars of the next event of that kind that fits.
    pub(crate) async fn told(&mut self, event: &str, fits: impl Fn(&Value) -> bool) -> Value {
        loop {
            let (_, body) = self.until(event).await;
            if fits(&body["data"]) {
                return body["data"].clone();
            }
        }
    }
}

#[tokio::test]
async fn events_arrive_with_their_ids_and_who_comes_back_misses_nothing() {
    let server = TestServer::start().await;
    let mut all = Listener::open(&server, "").await;
    let shown = server.connect("shop").await;
    let (first, created) = all.until("instance.create").await;
    assert_eq!((&created["instance"], &created["id"]), (&json!("shop"), &json!(first)));
    let mut seen = vec![];
    server.scan(&text(&shown["qrcode"])).await;
    loop {
        let (id, body) = all.next().await.expect("the stream goes on");
        seen.push(id);
        if body["data"]["state"] == "open" {
            break;
        }
    }
    drop(all);
    let mut again = Listener::open(&server, &format!("?after={first}")).await;
    for id in &seen {
        assert_eq!(&again.next().await.expect("an event").0, id, "the same, in the same order");
    }
    let came_back = server.api(Method::GET, "/api/events?after=ignored");
    let response = came_back.header("last-event-id", &first).send().await.expect("an answer");
    let mut again = Listener { response, read: String::new() };
    assert_eq!(again.next().await.expect("an event").0, seen[0]);
    server.stop().await;
    while again.next().await.is_some() {}
}

#[tokio::test]
async fn streams_have_what_they_asked_for() {
    let server = TestServer::start().await;
    server.connect("a").await;
    let mut only_a = Listener::open(&server, "?instance=a&events=CONNECTION_UPDATE").await;
    let shown = server.connect("b").await;
    server.scan(&text(&shown["qrcode"])).await;
    server.until_status("b", "connected").await;
    server
        .api(Method::POST, "/api/whatsapp/restart")
        .json(&json!({ "instanceName": "a" }))
        .send()
        .await
        .expect("an answer");
    let (_, body) = only_a.next().await.expect("an event");
    assert_eq!((&body["instance"], &body["event"]), (&json!("a"), &json!("connection.update")));
    for (query, code) in [
        ("?events=no.such", "unknown_event"),
        ("?after=x", "invalid_query"),
        ("?instance=nobody", "instance_not_found"),
    ] {
        let (_, problem) = server.get(&format!("/api/events{query}")).await;
        assert_eq!(problem["code"], code, "{query}");
    }
    let (status, _) = answer(server.plain(Method::GET, "/api/events")).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    server.stop().await;
}

#[tokio::test]
async fn who_saw_what_is_long_gone_is_told() {
    let server = TestServer::start().await;
    server.connect("shop").await;
    // An id of the year 2020: nothing of that time is stored.
    let mut stream = Listener::open(&server, "?after=016f5e66-e800-7000-8000-000000000000").await;
    assert_eq!(stream.next().await.expect("an event").1["event"], "missed");
    assert_eq!(stream.next().await.expect("an event").1["event"], "instance.create");
    server.stop().await;
}

fn socket_request(
    server: &TestServer,
    query: &str,
) -> tokio_tungstenite::tungstenite::http::Request<()> {
    let url = server.url(&format!("/api/ws{query}")).replacen("http", "ws", 1);
    let mut request = url.into_client_request().expect("a request");
    request.headers_mut().insert("apikey", ADMIN_KEY.parse().expect("a header"));
    request
}

#[tokio::test]
async fn a_websocket_has_the_same_events() {
    let server = TestServer::start().await;
    let request = socket_request(&server, "?events=instance.create");
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.expect("a socket");
    server.connect("shop").await;
    let body: Value = loop {
        let message = timeout(DEADLINE, socket.next()).await.expect("in time");
        if let Message::Text(text) = message.expect("a message").expect("it stands") {
            break serde_json::from_str(&text).expect("JSON");
        }
    };
    assert_eq!((&body["event"], &body["instance"]), (&json!("instance.create"), &json!("shop")));
    assert!(body["id"].is_string() && body["seq"] == 1, "{body}");
    server.stop().await;
    let goodbye = async {
        while let Some(Ok(message)) = socket.next().await {
            if message.is_close() {
                return true;
            }
        }
        false
    };
    assert!(timeout(DEADLINE, goodbye).await.expect("in time"), "the end is said");
}

#[tokio::test]
async fn streams_end_with_the_key_that_opened_them() {
    let server = TestServer::start().await;
    let (status, made) = server.post("/api/keys", json!({ "name": "screen" })).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let key = text(&made["key"]);
    let request = server.plain(Method::GET, "/api/events").header("apikey", &key);
    let response = request.send().await.expect("an answer");
    let mut stream = Listener { response, read: String::new() };
    let mut request = socket_request(&server, "");
    request.headers_mut().insert("apikey", key.parse().expect("a header"));
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.expect("a socket");
    let mut others = Listener::open(&server, "").await;
    server.connect("shop").await;
    stream.until("instance.create").await;

    let gone = server.api(Method::DELETE, &format!("/api/keys/{}", text(&made["id"])));
    assert!(answer(gone).await.0.is_success());
    while stream.next().await.is_some() {}
    let goodbye = async {
        loop {
            if let Message::Close(Some(frame)) = socket.next().await.expect("a frame").expect("it")
            {
                return u16::from(frame.code);
            }
        }
    };
    assert_eq!(timeout(DEADLINE, goodbye).await.expect("in time"), 1008);
    server.connect("other").await;
    others.until("instance.create").await;
    others.until("instance.create").await;
    server.stop().await;
}

#[tokio::test]
async fn pages_of_other_sites_open_no_websocket() {
    let server = TestServer::start().await;
    let mut request = socket_request(&server, "");
    request.headers_mut().insert("origin", "https://evil.example".parse().expect("a header"));
    let refused = tokio_tungstenite::connect_async(request).await.expect_err("refused");
    let Error::Http(response) = refused else { panic!("{refused}") };
    assert_eq!(response.status().as_u16(), 403);
    server.stop().await;
}
