//! Customers who need a person: from what they write on their phone to the support contact's phone and back,
//! over the simulated network.

mod asked;
mod assistant;
mod interleavings;
mod lists;
mod time;
mod told;

use crate::harness::{DEADLINE, TestServer, answer, text};
use crate::webhooks::Receiver;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// What a phone got, as far as it has, in order.
async fn texts_of(server: &TestServer, phone: &str) -> Vec<Value> {
    let path = format!("/admin/contacts/{phone}/messages?wait=0");
    let url = format!("{}{path}", server.network.base_url(false));
    let (status, body) = answer(server.http.get(url)).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    body["messages"].as_array().expect("messages").clone()
}

/// Waits until a phone got a message with this in it.
async fn got(server: &TestServer, phone: &str, part: &str) -> Value {
    let with_it = |one: &Value| one["text"].as_str().is_some_and(|it| it.contains(part));
    got_one(server, phone, part, with_it).await
}

/// Waits until a phone got a message for which this holds.
async fn got_one(
    server: &TestServer,
    phone: &str,
    what: &str,
    holds: impl Fn(&Value) -> bool,
) -> Value {
    let began = Instant::now();
    loop {
        let all = texts_of(server, phone).await;
        if let Some(found) = all.iter().find(|one| holds(one)) {
            return found.clone();
        }
        assert!(began.elapsed() < DEADLINE, "no {what:?} in {all:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn writes(server: &TestServer, from: &str, message: Value) {
    server.phones(&format!("/admin/contacts/{from}/messages"), message).await;
}

/// Waits until a list has an entry for which this holds.
async fn until(server: &TestServer, path: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let (status, list) = server.get(path).await;
        assert_eq!(status, StatusCode::OK, "{list}");
        let found = list["data"].as_array().expect("a list").iter().find(|one| holds(one)).cloned();
        if let Some(found) = found {
            return found;
        }
        assert!(began.elapsed() < DEADLINE, "{path}: {list}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What the customer is told when a person is called.
const CALLED: &str = "One moment";

async fn set_up(server: &TestServer, phones: &[&str]) {
    let phones: Vec<Value> =
        phones.iter().map(|one| json!({ "number": one, "name": "Tom" })).collect();
    let body = json!({
        "isActive": true,
        "phones": phones,
        "customerTemplate": "One moment, {{customer_name}}.",
        "supportTemplate": "{{customer_name}}: {{reason}}\n{{summary}}\n{{link}}",
    });
    let path = "/api/instances/shop/support";
    let (status, set) = answer(server.api(Method::PUT, path).json(&body)).await;
    assert_eq!(status, StatusCode::OK, "{set}");
    let keyword = json!({ "keyword": "human" });
    let (status, made) = server.post(&format!("{path}/keywords"), keyword).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
}

/// Switches an assistant on that answers at once.
async fn hire(server: &TestServer, patch: Value) {
    let mut config = json!({
        "isActive": true, "systemPrompt": "You are Ana of the bakery.",
        "pacing": { "debounceMs": 20, "typing": false, "maxRepliesPerContactHour": 1000 },
    });
    for (name, value) in patch.as_object().expect("a patch") {
        config[name] = value.clone();
    }
    let (status, set) = server.put("/api/instances/shop/ai", config).await;
    assert_eq!(status, StatusCode::OK, "{set}");
}

/// The open escalation of a customer.
async fn waits(server: &TestServer, phone: &str) -> Value {
    until(server, "/api/escalations", |row| row["contact"]["phone"] == phone).await
}

/// The conversation of a customer that is under way.
async fn talk(server: &TestServer, phone: &str, owner: &str) -> Value {
    until(server, "/api/conversations?limit=500", |row| {
        row["contact"]["phone"] == phone && row["owner"] == owner && row["status"] != "expired"
    })
    .await
}

/// How often a phone got a message with this in it.
async fn count(server: &TestServer, phone: &str, part: &str) -> usize {
    let all = texts_of(server, phone).await;
    all.iter().filter(|one| one["text"].as_str().is_some_and(|it| it.contains(part))).count()
}

async fn resolve(server: &TestServer, escalation: &Value) -> Value {
    let path = format!("/api/escalations/{}/resolve", text(&escalation["id"]));
    let (status, resolved) = answer(server.api(Method::POST, &path)).await;
    assert_eq!(status, StatusCode::OK, "{resolved}");
    resolved
}

#[tokio::test]
async fn a_customer_reaches_a_person_and_comes_back() {
    let server = TestServer::start().await;
    let mut receiver = Receiver::start().await;
    let shop = server.linked("shop").await;
    let (ana, tom) = (server.contact("Ana").await, server.contact("Tom").await);
    let events = ["conversation.escalated", "conversation.owner", "conversation.resolved"];
    let webhook = json!({ "url": receiver.url(), "events": events });
    server.post("/api/instances/shop/webhooks", webhook).await;
    set_up(&server, &[&tom]).await;

    writes(&server, &ana, json!({ "to": shop, "text": "I don't need a human, just blue ones" }))
        .await;
    writes(&server, &ana, json!({ "to": shop, "text": "Humann please!" })).await;
    got(&server, &ana, "One moment, Ana.").await;
    let notice = got(&server, &tom, &format!("https://wa.me/{ana}")).await;
    assert!(text(&notice["text"]).contains("Customer: Humann please!"), "{notice}");
    let event = receiver.next().await;
    assert_eq!((&event["event"], &event["data"]["reason"]), (&json!(events[0]), &json!("keyword")));
    assert_eq!(receiver.next().await["data"]["owner"], "human");
    let open = until(&server, "/api/escalations?instanceName=shop", |_| true).await;
    assert_eq!(
        (open["contact"]["phone"].as_str(), &open["keyword"]),
        (Some(&*ana), &json!("human"))
    );
    let one = until(&server, "/api/conversations?status=escalated&owner=human", |_| true).await;
    assert_eq!(one["id"], open["conversationId"]);

    writes(&server, &ana, json!({ "to": shop, "text": "Where is my order?" })).await;
    got(&server, &tom, "Ana: Where is my order?").await;
    let reply = json!({ "to": shop, "text": "It leaves today", "quote": notice["id"] });
    writes(&server, &tom, reply).await;
    got(&server, &ana, "It leaves today").await;
    let path = format!("/api/conversations/{}/messages", text(&one["id"]));
    until(&server, &path, |said| said["role"] == "human" && said["content"] == "It leaves today")
        .await;
    let answered = until(&server, "/api/escalations", |row| row["firstAnswerAt"].is_string()).await;
    assert_eq!(answered["id"], open["id"]);

    writes(&server, &tom, json!({ "to": shop, "text": "#resolve shipped" })).await;
    got(&server, &tom, "Done.").await;
    let done = until(&server, "/api/escalations?status=resolved", |_| true).await;
    assert_eq!((&done["note"], &done["id"]), (&json!("shipped"), &open["id"]));
    assert_eq!(receiver.next().await["event"], "conversation.resolved");
    let resolve = format!("/api/escalations/{}/resolve", text(&open["id"]));
    assert_eq!(answer(server.api(Method::POST, &resolve)).await.0, StatusCode::OK);
    let reopen = format!("/api/escalations/{}/reopen", text(&open["id"]));
    let (status, again) = answer(server.api(Method::POST, &reopen)).await;
    assert_eq!((status, &again["owner"]), (StatusCode::OK, &json!("human")));
    receiver.stop().await;
    server.stop().await;
}

#[tokio::test]
async fn who_writes_on_the_phone_or_through_the_api_has_the_conversation() {
    let server = TestServer::start().await;
    let shop = server.linked("shop").await;
    let ana = server.contact("Ana").await;
    set_up(&server, &[]).await;
    writes(&server, &ana, json!({ "to": shop, "text": "Hello" })).await;
    let one = until(&server, "/api/conversations?owner=ai", |_| true).await;
    let path = format!("/api/conversations/{}", text(&one["id"]));
    let phone = format!("/admin/mock-phone/{shop}/messages");
    server.phones(&phone, json!({ "to": ana, "text": "I am here myself" })).await;
    until(&server, "/api/conversations?owner=human", |row| row["id"] == one["id"]).await;
    let (_, shown) = server.get(&path).await;
    assert_eq!(shown["transitions"][0]["cause"], "phone", "{shown}");

    // With a person there, a keyword calls nobody else.
    writes(&server, &ana, json!({ "to": shop, "text": "human!" })).await;
    until(&server, &format!("{path}/messages"), |said| said["content"] == "human!").await;
    let (_, none) = server.get("/api/escalations").await;
    assert_eq!(none["data"], json!([]));
    let (status, back) = answer(server.api(Method::POST, &format!("{path}/release"))).await;
    assert_eq!((status, &back["owner"]), (StatusCode::OK, &json!("ai")));
    let said = json!({ "message": "A person again" });
    let (status, sent) = server.post(&format!("{path}/messages"), said).await;
    assert_eq!(status, StatusCode::CREATED, "{sent}");
    got(&server, &ana, "A person again").await;
    let (_, shown) = server.get(&path).await;
    let owners: Vec<_> = shown["transitions"].as_array().expect("changes").iter().collect();
    assert_eq!((owners.len(), &shown["owner"]), (3, &json!("human")), "{shown}");
    let (status, _) = answer(server.api(Method::POST, &format!("{path}/escalate"))).await;
    assert_eq!(status, StatusCode::OK);
    let waits = until(&server, "/api/escalations", |row| row["alert"].is_string()).await;
    assert_eq!(waits["reason"], "api");
    server.stop().await;
}

#[tokio::test]
async fn bad_days_lose_nobody() {
    let server = TestServer::start().await;
    let shop = server.linked("shop").await;
    let (ana, tom) = (server.contact("Ana").await, server.contact("Tom").await);
    let nobody = json!({ "phones": [{ "number": "4915100000000" }] });
    let path = "/api/instances/shop/support";
    let (status, problem) = answer(server.api(Method::PUT, path).json(&nobody)).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(problem["code"], "number_not_on_whatsapp");
    let wrong = json!({ "customerTemplate": "{{nobody}}" });
    let (status, _) = answer(server.api(Method::PUT, path).json(&wrong)).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    set_up(&server, &[&tom, &ana]).await;

    // A support contact of whom nothing waits is a customer, and is not told of themselves.
    writes(&server, &ana, json!({ "to": shop, "text": "a human" })).await;
    got(&server, &ana, "One moment, Ana.").await;
    got(&server, &tom, "wa.me").await;
    let open = until(&server, "/api/escalations", |_| true).await;
    let resolve = format!("/api/escalations/{}/resolve", text(&open["id"]));
    let both = [(); 2].map(|()| answer(server.api(Method::POST, &resolve).json(&json!({}))));
    let [one, other] = both;
    let (one, other) = tokio::join!(one, other);
    assert_eq!((one.0, other.0), (StatusCode::OK, StatusCode::OK));
    let (_, shown) =
        server.get(&format!("/api/conversations/{}", text(&open["conversationId"]))).await;
    assert_eq!(shown["transitions"].as_array().map(Vec::len), Some(2), "{shown}");
    assert!(texts_of(&server, &ana).await.iter().all(|one| one["text"] == "One moment, Ana."));
    server.stop().await;
}

#[tokio::test]
async fn a_restart_between_two_notices_sends_each_once() {
    let server = TestServer::start().await;
    let shop = server.linked("shop").await;
    let (ana, tom, tim) =
        (server.contact("Ana").await, server.contact("Tom").await, server.contact("Tim").await);
    set_up(&server, &[&tom, &tim]).await;
    writes(&server, &ana, json!({ "to": shop, "text": "human" })).await;
    until(&server, "/api/escalations", |_| true).await;
    let server = server.restarted().await;
    server.until_status("shop", "connected").await;
    for (phone, part) in [(&ana, "One moment"), (&tom, "wa.me"), (&tim, "wa.me")] {
        got(&server, phone, part).await;
    }
    // Whatever was sent twice would have come before what is sent now.
    for phone in [&ana, &tom, &tim] {
        let last = json!({ "instanceName": "shop", "number": phone, "message": "the last" });
        assert_eq!(server.post("/api/whatsapp/send", last).await.0, StatusCode::CREATED);
        got(&server, phone, "the last").await;
        assert_eq!(texts_of(&server, phone).await.len(), 2);
    }
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_text_goes_to_the_customer_whose_message_it_answers() {
    let server = TestServer::start().await;
    let shop = server.linked("shop").await;
    let (ana, bob) = (server.contact("Ana").await, server.contact("Bob").await);
    let tom = server.contact("Tom").await;
    set_up(&server, &[&tom]).await;
    let mut notices = Vec::new();
    for customer in [&ana, &bob] {
        writes(&server, customer, json!({ "to": shop, "text": "A human, please" })).await;
        notices.push(got(&server, &tom, &format!("https://wa.me/{customer}")).await);
    }
    let place = json!({ "latitude": -23.5, "longitude": -46.6, "name": "The shop" });
    let reply = json!({ "to": shop, "location": place, "quote": notices[0]["id"] });
    writes(&server, &tom, reply).await;
    let is_a_place = |one: &Value| one["type"] == "location";
    got_one(&server, &ana, "location", is_a_place).await;
    let of_bob = texts_of(&server, &bob).await;
    assert!(!of_bob.iter().any(is_a_place), "Bob, who came last, is not meant: {of_bob:?}");
    server.stop().await;
}
