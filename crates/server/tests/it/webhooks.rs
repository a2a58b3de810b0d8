//! Webhooks over the API, and what they get.

use crate::harness::{DEADLINE, TestServer, answer, text};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue};
use axum::routing::post;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The user's app: takes what is posted to it.
pub(crate) struct Receiver {
    url: String,
    events: mpsc::Receiver<(HeaderMap, Bytes)>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url =
            format!("http://{}/webhook/evolution", listener.local_addr().expect("an address"));
        let (sender, events) = mpsc::channel(64);
        let take = |State(sender): State<mpsc::Sender<_>>, headers: HeaderMap, body: Bytes| async move {
            let _ = sender.send((headers, body)).await;
            "ok"
        };
        let routes = Router::new().route("/webhook/evolution", post(take)).with_state(sender);
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let serving =
            axum::serve(listener, routes).with_graceful_shutdown(stop.clone().cancelled_owned());
        tasks.spawn(async move { serving.await });
        Self { url, events, stop, tasks }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) async fn next_with_bytes(&mut self) -> (HeaderMap, Bytes) {
        let next = tokio::time::timeout(DEADLINE, self.events.recv()).await;
        next.expect("an event in time").expect("the receiver runs")
    }

    pub(crate) async fn next_with_headers(&mut self) -> (HeaderMap, Value) {
        let (headers, body) = self.next_with_bytes().await;
        (headers, serde_json::from_slice(&body).expect("JSON"))
    }

    /// Waits for an event of that id.
    async fn until_id(&mut self, id: &HeaderValue) {
        while self.next_with_headers().await.0["webhook-id"] != id {}
    }

    pub(crate) async fn next(&mut self) -> Value {
        self.next_with_headers().await.1
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        drop(self.events);
        self.tasks.close();
        // Kept-alive connections of the server under test may stay open; they end with it.
        let _ =
            tokio::time::timeout(std::time::Duration::from_millis(200), self.tasks.wait()).await;
    }
}

#[tokio::test]
async fn a_webhook_is_made_changed_listed_and_deleted() {
    let server = TestServer::start().await;
    server.connect("shop").await;
    let path = "/api/instances/shop/webhooks";
    let (status, made) = server
        .post(path, json!({ "url": "http://127.0.0.1:9/hook", "events": ["MESSAGES_UPSERT"], "headers": { "x-token": "s" } }))
        .await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert!(text(&made["secret"]).starts_with("whsec_"));
    assert_eq!(made["events"], json!(["messages.upsert"]));
    let one = format!("{path}/{}", text(&made["id"]));
    let (_, list) = server.get(path).await;
    assert_eq!(list["data"][0]["id"], made["id"]);
    assert!(list["data"][0].get("secret").is_none(), "shown once only");
    assert_eq!(list["data"][0]["headerNames"], json!(["x-token"]));
    assert!(!list.to_string().contains("\"s\""), "values of headers are not shown");
    let change = server.api(Method::PUT, &one).json(&json!({ "enabled": false }));
    let (status, changed) = answer(change).await;
    assert_eq!((status, changed["enabled"].as_bool()), (StatusCode::OK, Some(false)));
    assert_eq!(changed["url"], "http://127.0.0.1:9/hook", "what is not named stays");
    assert_eq!(answer(server.api(Method::DELETE, &one)).await.0, StatusCode::NO_CONTENT);
    let (status, problem) = server.get(&one).await;
    assert_eq!(
        (status, problem["code"].as_str()),
        (StatusCode::NOT_FOUND, Some("webhook_not_found"))
    );
    server.stop().await;
}

#[tokio::test]
async fn a_webhook_of_all_instances_hears_those_that_come_later() {
    let server = TestServer::start().await;
    let mut receiver = Receiver::start().await;
    let asked = json!({ "url": receiver.url(), "events": ["instance.create"] });
    let (status, made) = server.post("/api/webhooks", asked).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    server.connect("one").await;
    server.connect("two").await;
    let mut heard = [receiver.next().await, receiver.next().await]
        .map(|event| text(&event["data"]["instanceName"]));
    heard.sort();
    assert_eq!(heard, ["one", "two"]);
    let (_, own) = server.get("/api/instances/one/webhooks").await;
    assert_eq!(own["data"], json!([]), "it is not the instance's");
    let one = format!("/api/webhooks/{}", text(&made["id"]));
    assert_eq!(server.get(&one).await.1["state"], "active");
    assert_eq!(server.get("/api/webhooks").await.1["data"][0]["id"], made["id"]);
    let (status, tried) = server.post(&format!("{one}/test"), json!({})).await;
    assert_eq!((status, &tried["status"]), (StatusCode::OK, &json!(200)));
    assert_eq!(receiver.next().await["event"], "webhook.test");
    let (_, listed) = server.get("/api/instances/two/deliveries").await;
    assert_eq!(listed["data"][0]["webhookId"], made["id"]);
    let elsewhere = format!("/api/instances/one/webhooks/{}", text(&made["id"]));
    assert_eq!(server.get(&elsewhere).await.0, StatusCode::NOT_FOUND);
    assert_eq!(answer(server.api(Method::DELETE, &one)).await.0, StatusCode::NO_CONTENT);
    assert_eq!(server.get(&one).await.0, StatusCode::NOT_FOUND);
    receiver.stop().await;
    server.stop().await;
}

#[tokio::test]
async fn bad_webhooks_are_refused() {
    let server = TestServer::start().await;
    server.connect("shop").await;
    let cases = [
        (json!({}), "invalid_body"),
        (json!({ "url": "ftp://example.com" }), "url_not_allowed"),
        (json!({ "url": "http://10.0.0.1/" }), "url_not_allowed"),
        (json!({ "url": "http://127.0.0.1:9/", "events": ["no.such"] }), "unknown_event"),
        (json!({ "url": "http://127.0.0.1:9/", "secret": "short" }), "invalid_secret"),
        (
            json!({ "url": "http://127.0.0.1:9/", "headers": { "Webhook-Signature": "v1,x" } }),
            "invalid_header",
        ),
    ];
    for (body, code) in cases {
        let (status, problem) = server.post("/api/instances/shop/webhooks", body).await;
        assert_eq!(
            (status, problem["code"].as_str()),
            (StatusCode::UNPROCESSABLE_ENTITY, Some(code))
        );
    }
    let (status, problem) = server.get("/api/instances/nobody/webhooks").await;
    assert_eq!(
        (status, problem["code"].as_str()),
        (StatusCode::NOT_FOUND, Some("instance_not_found"))
    );
    server.stop().await;
}

#[tokio::test]
async fn the_same_idempotency_key_makes_one_webhook() {
    let server = TestServer::start().await;
    server.connect("shop").await;
    let path = "/api/instances/shop/webhooks";
    let make = || {
        let request = server.api(Method::POST, path).header("idempotency-key", "w1");
        answer(request.json(&json!({ "url": "http://127.0.0.1:9/" })))
    };
    let (first, second) = (make().await, make().await);
    assert_eq!(first.0, StatusCode::CREATED);
    assert_eq!(first, second);
    let (_, list) = server.get(path).await;
    assert_eq!(list["data"].as_array().map(Vec::len), Some(1));
    server.stop().await;
}

#[tokio::test]
async fn the_connection_is_reported_and_its_deliveries_listed() {
    let server = TestServer::start().await;
    let mut receiver = Receiver::start().await;
    let shown = server.connect("shop").await;
    let webhook = json!({ "url": receiver.url(), "events": ["connection.update"] });
    let (_, made) = server.post("/api/instances/shop/webhooks", webhook).await;
    server.scan(&text(&shown["qrcode"])).await;
    let open = loop {
        let (headers, event) = receiver.next_with_headers().await;
        assert_eq!(event["event"], "connection.update");
        for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
            assert!(headers.contains_key(name), "{name}");
        }
        if event["data"]["state"] == "open" {
            break event;
        }
    };
    assert_eq!(open["instance"], "shop");
    let began = std::time::Instant::now();
    loop {
        let (_, list) = server.get("/api/instances/shop/deliveries?status=delivered").await;
        let rows = list["data"].as_array().expect("rows");
        if let Some(row) = rows.first() {
            assert_eq!(
                (&row["webhookId"], &row["event"]),
                (&made["id"], &json!("connection.update"))
            );
            assert_eq!(row["attempts"][0]["status"], 200);
            break;
        }
        assert!(began.elapsed() < DEADLINE, "no delivery is listed");
    }
    receiver.stop().await;
    server.stop().await;
}

#[tokio::test]
async fn a_test_shows_the_request_and_what_came_of_it() {
    let server = TestServer::start().await;
    let mut receiver = Receiver::start().await;
    server.connect("shop").await;
    let path = "/api/instances/shop/webhooks";
    let headers = json!({ "x-token": "hush", "jwt_key": "hush hush" });
    let body = json!({ "url": receiver.url(), "headers": headers });
    let (_, made) = server.post(path, body).await;
    let test = format!("{path}/{}/test", text(&made["id"]));
    let (status, shown) = server.post(&test, json!({})).await;
    assert_eq!((status, shown["status"].as_u64()), (StatusCode::OK, Some(200)), "{shown}");
    assert!(shown["durationMs"].is_u64() && shown.get("error").is_none(), "{shown}");
    assert_eq!(shown["answer"], "ok");
    assert!(!shown.to_string().contains("hush"), "{shown}");
    let (headers, event) = loop {
        let (headers, event) = receiver.next_with_headers().await;
        if event["event"] == "webhook.test" {
            break (headers, event);
        }
    };
    assert!(headers["authorization"].to_str().expect("ASCII").starts_with("Bearer ey"));
    assert!(!headers.contains_key("jwt_key") && headers["x-token"] == "hush");
    let sent: Value = serde_json::from_str(&text(&shown["request"]["body"])).expect("JSON");
    assert_eq!(sent, event);
    assert_eq!(
        headers["webhook-signature"],
        text(&shown["request"]["headers"]["webhook-signature"])
    );
    receiver.stop().await;
    let (status, shown) = server.post(&test, json!({})).await;
    assert_eq!(status, StatusCode::OK);
    assert!(shown["status"].is_null() && shown["error"].is_string(), "{shown}");
    server.stop().await;
}

#[tokio::test]
async fn after_rotations_and_changes_all_secrets_of_the_day_sign() {
    let server = TestServer::start().await;
    let mut receiver = Receiver::start().await;
    server.connect("shop").await;
    let path = "/api/instances/shop/webhooks";
    let (_, made) = server.post(path, json!({ "url": receiver.url() })).await;
    let one = format!("{path}/{}", text(&made["id"]));
    let (status, rotated) = server.post(&format!("{one}/rotate"), json!({})).await;
    assert_eq!(status, StatusCode::OK, "{rotated}");
    assert!(rotated["previousSecretUntil"].is_string());
    let (_, again) = server.post(&format!("{one}/rotate"), json!({})).await;
    let secrets = [&made, &rotated, &again].map(|shown| text(&shown["secret"]));
    let own = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let (status, _) = answer(server.api(Method::PUT, &one).json(&json!({ "secret": own }))).await;
    assert_eq!(status, StatusCode::OK);
    server.post(&format!("{one}/test"), json!({})).await;
    let (headers, body) = loop {
        let (headers, body) = receiver.next_with_bytes().await;
        if String::from_utf8_lossy(&body).contains("webhook.test") {
            break (headers, body);
        }
    };
    assert_eq!(headers["webhook-signature"].to_str().expect("ASCII").split(' ').count(), 4);
    for secret in secrets.into_iter().chain([own.to_owned()]) {
        let independent = standardwebhooks::Webhook::new(&secret).expect("a secret");
        independent.verify(&body, &headers).expect("signed");
    }
    receiver.stop().await;
    server.stop().await;
}

#[tokio::test]
async fn chats_are_chosen_and_kept() {
    let server = TestServer::start().await;
    server.connect("shop").await;
    let path = "/api/instances/shop/webhooks";
    let body = json!({ "url": "http://127.0.0.1:9/", "chats": { "groups": false } });
    let (_, made) = server.post(path, body).await;
    assert_eq!(made["chats"], json!({ "groups": false, "own": true, "status": true }));
    assert_eq!((&made["state"], &made["stateReason"]), (&json!("active"), &Value::Null));
    let (status, problem) = server
        .post(path, json!({ "url": "http://127.0.0.1:9/", "chats": { "lists": true } }))
        .await;
    assert_eq!(
        (status, problem["code"].as_str()),
        (StatusCode::UNPROCESSABLE_ENTITY, Some("invalid_body"))
    );
    server.stop().await;
}

#[tokio::test]
async fn a_delivery_and_a_range_are_sent_again_under_the_same_ids() {
    let server = TestServer::start().await;
    let mut receiver = Receiver::start().await;
    let shown = server.connect("shop").await;
    let hook = json!({ "url": receiver.url(), "events": ["connection.update"] });
    let (_, made) = server.post("/api/instances/shop/webhooks", hook).await;
    server.scan(&text(&shown["qrcode"])).await;
    server.until_status("shop", "connected").await;
    let (headers, event) = receiver.next_with_headers().await;
    let id = headers["webhook-id"].clone();
    let began = std::time::Instant::now();
    let delivery = loop {
        let (_, list) = server.get("/api/instances/shop/deliveries?status=delivered").await;
        let rows = list["data"].as_array().expect("rows").clone();
        if let Some(row) = rows.iter().find(|row| row["eventId"] == id.to_str().expect("ASCII")) {
            assert_eq!(row["attempts"][0]["answer"], "ok");
            break text(&row["id"]);
        }
        assert!(began.elapsed() < DEADLINE, "no delivery is listed");
    };
    let retry = format!("/api/instances/shop/deliveries/{delivery}/retry");
    assert_eq!(server.post(&retry, json!({})).await.0, StatusCode::ACCEPTED);
    receiver.until_id(&id).await;
    let replay = json!({ "from": event["date_time"], "webhookId": made["id"] });
    let (status, answer) = server.post("/api/instances/shop/replay", replay).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    assert!(answer["count"].as_u64().is_some_and(|count| count >= 1), "{answer}");
    receiver.until_id(&id).await;
    let nowhere = "/api/instances/shop/deliveries/nowhere/retry";
    let (status, problem) = server.post(nowhere, json!({})).await;
    assert_eq!(
        (status, problem["code"].as_str()),
        (StatusCode::NOT_FOUND, Some("delivery_not_found"))
    );
    let bad = json!({ "from": "yesterday" });
    let (status, _) = server.post("/api/instances/shop/replay", bad).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    receiver.stop().await;
    server.stop().await;
}

#[tokio::test]
async fn a_deleted_instance_tells_its_webhook_once_it_is_gone() {
    let server = TestServer::start().await;
    let mut app = Receiver::start().await;
    server.connect("shop").await;
    let hook = json!({ "url": app.url(), "events": ["instance.delete"] });
    let (status, _) = server.post("/api/instances/shop/webhooks", hook).await;
    assert_eq!(status, StatusCode::CREATED);
    let (status, _) = answer(server.api(Method::DELETE, "/api/whatsapp/delete/shop")).await;
    assert_eq!(status, StatusCode::OK);
    let told = app.next().await;
    assert_eq!((&told["event"], &told["instance"]), (&json!("instance.delete"), &json!("shop")));
    assert_eq!(told["data"]["instanceName"], "shop");
    let (status, _) = server.get("/api/whatsapp/status/shop").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    server.connect("shop").await;
    app.stop().await;
    server.stop().await;
}
