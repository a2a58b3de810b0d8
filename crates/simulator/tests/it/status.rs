//! Status posts reach those whom they name, and their reads come back.

use serde_json::json;
use wacore::types::events::Event;
use wacore::types::presence::ReceiptType;
use wacore_binary::Jid;
use waproto::whatsapp::message::extended_text_message::FontType;
use whatsapp_rust::features::StatusSendOptions;

use crate::harness::Sandbox;

#[tokio::test(flavor = "multi_thread")]
async fn a_post_reaches_its_recipients_and_nobody_else() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    let carl = sandbox.linked("Carl").await;
    ann.send(&bob.phone, "hello").await;
    bob.text("hello").await;
    let recipients = [Jid::pn(bob.phone.as_str())];
    for text in ["good morning", "good evening"] {
        let posted = ann
            .client
            .status()
            .send_text(
                text,
                0xFF1E_6E4F,
                FontType::SYSTEM,
                &recipients,
                StatusSendOptions::default(),
            )
            .await
            .expect("the post is sent");
        assert_eq!(bob.text(text).await, posted.message_id);
        let author = ann.client.lid().expect("a LID");
        bob.client
            .mark_as_read(&Jid::status_broadcast(), Some(&author), &[&posted.message_id])
            .await
            .expect("marked as read");
        let is_read = |event: &Event| match event {
            Event::Receipt(receipt) => {
                receipt.r#type == ReceiptType::Read
                    && receipt.message_ids.iter().any(|id| *id == *posted.message_id)
            }
            _ => false,
        };
        ann.wait("the view", is_read).await;
    }
    assert!(carl.texts().is_empty());
    for client in [ann, bob, carl] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_posts_for_those_it_knows() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    let carl = sandbox.contact("Carl").await;
    let path = format!("/admin/contacts/{carl}/messages");
    ann.send(&carl, "hello Carl").await;
    sandbox.get(&format!("{path}?wait=20")).await;
    let post = json!({ "to": "status@broadcast", "text": "cakes today" });
    assert_eq!(sandbox.post(&path, post).await.0, 201);
    ann.text("cakes today").await;
    let in_person = json!({ "to": bob.phone, "text": "do you like cakes?" });
    assert_eq!(sandbox.post(&path, in_person).await.0, 201);
    bob.text("do you like cakes?").await;
    assert_eq!(bob.texts(), ["do you like cakes?"], "a stranger saw no post");
    for client in [ann, bob] {
        client.stop().await;
    }
    sandbox.stop().await;
}
