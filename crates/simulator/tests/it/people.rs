//! Contacts: real clients behind the admin API.

use serde_json::json;
use wacore::types::events::Event;
use wacore_binary::Jid;

use crate::harness::Sandbox;

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_exchanges_texts_with_a_linked_client() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let phone = sandbox.contact("Carl").await;
    let write = format!("/admin/contacts/{phone}/messages");
    let body = json!({ "to": ann.phone, "text": "good day" });
    let (status, sent) = sandbox.post(&write, body).await;
    assert_eq!(status, 201, "{sent}");
    assert_eq!(json!(ann.text("good day").await), sent["id"]);
    let id = ann.send(&phone, "good evening").await;
    let received = sandbox.get(&format!("{write}?wait=10")).await;
    let message = &received["messages"][0];
    assert_eq!(message["text"], "good evening");
    assert_eq!(message["id"], json!(id));
    assert_eq!(message["from"], json!(ann.phone));
    assert_eq!(message["pushName"], "Ann");
    let later = sandbox.get(&format!("{write}?after={id}")).await;
    assert_eq!(later["messages"], json!([]));
    ann.stop().await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_can_quote_read_and_type() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let phone = sandbox.contact("Carl").await;
    let base = format!("/admin/contacts/{phone}");
    let id = ann.send(&phone, "question").await;
    sandbox.get(&format!("{base}/messages?wait=10")).await;
    let typing = json!({ "to": ann.phone, "state": "composing" });
    assert_eq!(sandbox.post(&format!("{base}/typing"), typing).await.0, 200);
    let answer = json!({ "to": ann.phone, "text": "answer", "quote": id });
    assert_eq!(sandbox.post(&format!("{base}/messages"), answer).await.0, 201);
    ann.text("answer").await;
    let shown = sandbox.get(&base).await;
    assert_eq!(shown["name"], "Carl");
    ann.stop().await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_with_two_spellings_is_found_by_both() {
    let sandbox = Sandbox::start().await;
    let ann = sandbox.linked("Ann").await;
    let body = json!({ "name": "Bia", "phone": "551187654321" });
    assert_eq!(sandbox.post("/admin/contacts", body).await.0, 201);
    for asked in ["551187654321", "5511987654321"] {
        let found = ann.client.contacts().is_on_whatsapp(&[Jid::pn(asked)]).await;
        let found = found.expect("an answer");
        assert!(found[0].is_registered, "{asked}");
        assert_eq!(found[0].jid.user, "551187654321", "the number that it has");
    }
    ann.stop().await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_make_no_sense_are_refused_with_a_reason() {
    let sandbox = Sandbox::start().await;
    let phone = sandbox.contact("Carl").await;
    let taken = json!({ "name": "Carla", "phone": phone });
    assert_eq!(sandbox.post("/admin/contacts", taken).await.0, 409);
    let no_number = json!({ "name": "Carla", "phone": "12ab" });
    assert_eq!(sandbox.post("/admin/contacts", no_number).await.0, 422);
    let path = format!("/admin/contacts/{phone}/messages");
    let nobody = json!({ "to": "4930000000", "text": "hello?" });
    let (status, body) = sandbox.post(&path, nobody).await;
    assert_eq!(status, 422);
    assert_eq!(body["error"], "the recipient is not on WhatsApp");
    let nowhere = json!({ "to": phone, "text": "hello?" });
    assert_eq!(sandbox.post("/admin/contacts/4930000000/messages", nowhere).await.0, 404);
    let fault = json!({ "target": "4930000000", "fault": "drop" });
    assert_eq!(sandbox.post("/admin/faults", fault).await.0, 404);
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_forgets_everybody() {
    let sandbox = Sandbox::start().await;
    let mut client = sandbox.linked("Ann").await;
    sandbox.contact("Carl").await;
    assert_eq!(sandbox.post("/admin/reset", json!({})).await.0, 200);
    let stats = sandbox.until("no device", |stats| stats["online"] == 0).await;
    assert_eq!(stats["accounts"], 0);
    // It comes back as a device that nobody knows.
    client.wait("logged out", |event| matches!(event, Event::LoggedOut(_))).await;
    client.stop().await;
    sandbox.stop().await;
}
