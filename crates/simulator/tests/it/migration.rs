//! Accounts whose direct chats go by LID, and such whose do not, in one conversation.

use wacore::types::events::{Event, InboundMessage};
use wacore::types::presence::ReceiptType;
use wacore_binary::Server;

use crate::harness::{Sandbox, TestClient};

/// The addresses of a text's sender: the one on the wire, and the other.
async fn addresses(client: &mut TestClient, text: &str) -> (Server, Option<Server>) {
    use wacore::proto_helpers::MessageExt;
    let is_it = |message: &InboundMessage| message.message.text_content() == Some(text);
    let event = client
        .wait(text, |event| matches!(event, Event::Messages(batch) if batch.iter().any(is_it)))
        .await;
    let Event::Messages(batch) = &*event else { unreachable!("matched above") };
    let source = &batch.iter().find(|message| is_it(message)).expect("matched above").info.source;
    (source.sender.server, source.sender_alt.as_ref().map(|jid| jid.server))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migrated_account_writes_by_lid_and_is_answered_either_way() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("scenario:lid_migrated:Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    let mut zoe = sandbox.linked("scenario:lid_migrated:Zoe").await;
    assert!(ann.client.is_lid_migrated().await, "the phone said so when it linked");
    assert!(!bob.client.is_lid_migrated().await);

    let id = ann.send(&bob.phone, "by LID").await;
    assert_eq!(addresses(&mut bob, "by LID").await, (Server::Lid, Some(Server::Pn)));
    let delivered = |event: &Event| match event {
        Event::Receipt(receipt) => {
            receipt.r#type == ReceiptType::Delivered && receipt.message_ids.contains(&id)
        }
        _ => false,
    };
    ann.wait("it was delivered", delivered).await;
    bob.send(&ann.phone, "by number").await;
    assert_eq!(addresses(&mut ann, "by number").await, (Server::Pn, Some(Server::Lid)));
    ann.send(&zoe.phone, "both by LID").await;
    assert_eq!(addresses(&mut zoe, "both by LID").await, (Server::Lid, Some(Server::Pn)));
    zoe.send(&ann.phone, "and back").await;
    assert_eq!(addresses(&mut ann, "and back").await, (Server::Lid, Some(Server::Pn)));
    for client in [ann, bob, zoe] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migrated_account_and_a_contact_have_one_conversation() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("scenario:lid_migrated:Ann").await;
    let phone = sandbox.contact("Carl").await;
    let inbox = format!("/admin/contacts/{phone}/messages");
    ann.send(&phone, "to the contact").await;
    let received = sandbox.get(&format!("{inbox}?wait=20")).await;
    let first = &received["messages"][0];
    assert_eq!(
        (&first["text"], &first["from"]),
        (&"to the contact".into(), &ann.phone.clone().into())
    );
    assert_eq!(first["chat"], ann.phone, "{received}");
    let body = serde_json::json!({ "to": ann.phone, "text": "to Ann", "quote": first["id"] });
    assert_eq!(sandbox.post(&inbox, body).await.0, 201);
    ann.text("to Ann").await;
    ann.stop().await;
    sandbox.stop().await;
}
