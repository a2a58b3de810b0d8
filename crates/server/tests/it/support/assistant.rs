//! Customers whom the assistant hands over for reasons of its own, and those whom it gets back.

use super::{CALLED, count, got, hire, resolve, set_up, talk, until, waits, writes};
use crate::harness::{TestServer, text};
use serde_json::{Value, json};

/// A customer writes something and gets this.
async fn asks(server: &TestServer, (customer, shop): (&str, &str), (what, answer): (&str, &str)) {
    writes(server, customer, json!({ "to": shop, "text": what })).await;
    got(server, customer, answer).await;
}

#[tokio::test]
async fn a_model_that_understands_knows_nothing_or_fails_calls_a_person() {
    let server = TestServer::start().await;
    let shop = server.linked("shop").await;
    let tom = server.contact("Tom").await;
    set_up(&server, &[&tom]).await;
    hire(&server, json!({})).await;

    let ana = server.contact("Ana").await;
    server.script("chat", json!([{ "text": "I see to it.\n[[person]]" }])).await;
    asks(&server, (&ana, &shop), ("Is anybody in the office?", "I see to it.")).await;
    assert_eq!(waits(&server, &ana).await["reason"], "asked");
    got(&server, &ana, CALLED).await;

    let bea = server.contact("Bea").await;
    let unknown = |text: &str| json!({ "text": format!("{text}\n[[unknown]]") });
    server.script("chat", json!([unknown("No idea."), unknown("Nor that.")])).await;
    asks(&server, (&bea, &shop), ("Which flour is it?", "No idea.")).await;
    talk(&server, &bea, "ai").await;
    asks(&server, (&bea, &shop), ("And the salt?", "Nor that.")).await;
    assert_eq!(waits(&server, &bea).await["reason"], "unanswered");

    // The owner has no text for it: the customer hears that a person comes, and nothing else.
    let carl = server.contact("Carl").await;
    server.script("chat", Value::Array(vec![json!({ "status": 500 }); 6])).await;
    asks(&server, (&carl, &shop), ("Are you there?", CALLED)).await;
    assert_eq!(waits(&server, &carl).await["reason"], "failure");
    assert_eq!(super::texts_of(&server, &carl).await.len(), 1);

    hire(&server, json!({ "fallbackMessage": "Something broke." })).await;
    let dora = server.contact("Dora").await;
    server.script("chat", json!([{ "status": 401 }])).await;
    asks(&server, (&dora, &shop), ("Hello?", "Something broke.")).await;
    assert_eq!(waits(&server, &dora).await["reason"], "failure");
    got(&server, &tom, &format!("https://wa.me/{dora}")).await;
    server.stop().await;
}

#[tokio::test]
async fn who_asks_the_same_again_and_again_gets_a_person() {
    let server = TestServer::start().await;
    let shop = server.linked("shop").await;
    let ana = server.contact("Ana").await;
    set_up(&server, &[]).await;
    hire(&server, json!({})).await;
    let answers = ["Soon.", "Today.", "Never."].map(|text| json!({ "text": text }));
    server.script("chat", json!(answers)).await;
    asks(&server, (&ana, &shop), ("Where is my order?", "Soon.")).await;
    asks(&server, (&ana, &shop), ("where is my order", "Today.")).await;
    asks(&server, (&ana, &shop), ("WHERE IS MY ORDER!!", CALLED)).await;
    assert_eq!(waits(&server, &ana).await["reason"], "repeated");
    assert_eq!(count(&server, &ana, "Never.").await, 0);
    server.stop().await;
}

#[tokio::test]
async fn what_is_spoken_calls_a_person_and_works_without_an_assistant() {
    let server = TestServer::start().await;
    let shop = server.linked("shop").await;
    let (ana, tom) = (server.contact("Ana").await, server.contact("Tom").await);
    set_up(&server, &[&tom]).await;
    let spoken = "hello could I speak to a human please";
    writes(&server, &ana, json!({ "to": shop, "voice": { "text": spoken } })).await;
    let row = waits(&server, &ana).await;
    assert_eq!((&row["reason"], &row["keyword"]), (&json!("keyword"), &json!("human")));
    got(&server, &ana, CALLED).await;
    got(&server, &tom, spoken).await;
    assert!(server.asked("chat").await.is_empty(), "nobody hired an assistant");
    server.stop().await;
}

#[tokio::test]
async fn the_assistant_knows_what_the_person_said_when_it_gets_the_customer_back() {
    let server = TestServer::start().await;
    let shop = server.linked("shop").await;
    let (ana, tom) = (server.contact("Ana").await, server.contact("Tom").await);
    set_up(&server, &[&tom]).await;
    hire(&server, json!({})).await;
    writes(&server, &ana, json!({ "to": shop, "text": "a human please" })).await;
    got(&server, &tom, "wa.me").await;
    writes(&server, &tom, json!({ "to": shop, "text": "Your parcel number is 4711." })).await;
    got(&server, &ana, "4711").await;
    let row = until(&server, "/api/escalations", |row| row["firstAnswerAt"].is_string()).await;
    assert!(server.asked("chat").await.is_empty(), "a person has it");
    resolve(&server, &row).await;
    server.script("chat", json!([{ "text": "As Tom wrote." }])).await;
    asks(&server, (&ana, &shop), ("What was the number again?", "As Tom wrote.")).await;
    let asked = server.asked("chat").await;
    let history = asked.last().expect("asked")["messages"].to_string();
    assert!(history.contains("Your parcel number is 4711."), "{history}");
    let one = talk(&server, &ana, "ai").await;
    assert_eq!(text(&one["status"]), "active");
    server.stop().await;
}

#[tokio::test]
async fn who_speaks_to_the_number_in_a_group_gets_a_person() {
    let server = TestServer::start().await;
    let shop = server.linked("shop").await;
    let (ana, tom) = (server.contact("Ana").await, server.contact("Tom").await);
    set_up(&server, &[&tom]).await;
    hire(&server, json!({ "groups": true })).await;
    let new = json!({ "subject": "Neighbours", "participants": [shop] });
    let group = server.phones(&format!("/admin/contacts/{ana}/groups"), new).await;
    let group = text(&group["jid"]);
    writes(&server, &ana, json!({ "to": group, "text": "is there a human in this street?" })).await;
    let asks = format!("@{shop} I want a human");
    writes(&server, &ana, json!({ "to": group, "text": asks })).await;
    let notice = got(&server, &tom, &format!("https://wa.me/{ana}")).await;
    assert!(text(&notice["text"]).starts_with("Ana: said"), "{notice}");
    got(&server, &ana, "One moment, Ana.").await;
    let reply = json!({ "to": shop, "text": "I am on my way", "quote": notice["id"] });
    writes(&server, &tom, reply).await;
    let said = got(&server, &ana, "I am on my way").await;
    assert!(group.starts_with(&text(&said["chat"])), "{said}");
    assert_eq!(count(&server, &tom, "wa.me").await, 1, "who talks to others calls nobody");
    server.stop().await;
}
