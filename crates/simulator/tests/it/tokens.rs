//! Restricted accounts: who may write first, and with what.

use wacore::types::events::Event;
use wacore_binary::Jid;

use crate::harness::{Sandbox, TestClient};

async fn nacked(client: &mut TestClient, id: &str) {
    let is_nack = |event: &Event| match event {
        Event::ServerAck(ack) => ack.id == id && ack.error.as_deref() == Some("463"),
        _ => false,
    };
    client.wait("463", is_nack).await;
}

/// Writes once; whether the server took it.
async fn is_accepted(client: &mut TestClient, phone: &str, text: &str) -> bool {
    let id = client.send(phone, text).await;
    let is_ack = |event: &Event| matches!(event, Event::ServerAck(ack) if ack.id == id);
    let event = client.wait("the ack", is_ack).await;
    matches!(&*event, Event::ServerAck(ack) if ack.error.is_none())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_may_not_write_first_but_may_answer() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("restricted:Bob").await;
    let refused = ann.send(&bob.phone, "hello stranger").await;
    nacked(&mut ann, &refused).await;
    bob.send(&ann.phone, "hello Ann").await;
    ann.text("hello Ann").await;
    ann.send(&bob.phone, "hello Bob").await;
    bob.text("hello Bob").await;
    assert_eq!(bob.texts(), ["hello Bob"]);
    for client in [ann, bob] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_given_is_kept_on_every_device() {
    let sandbox = Sandbox::start().await;
    let ann = sandbox.linked("Ann").await;
    let second = sandbox.linked("Ann").await;
    let bob = sandbox.linked("Bob").await;
    let users = [Jid::pn(ann.phone.as_str())];
    let found = bob.client.contacts().is_on_whatsapp(&users).await.expect("an answer");
    let lid = found[0].lid.clone().expect("the network tells the LID");
    bob.client.tc_token().issue_tokens(&[lid]).await.expect("issued");
    sandbox.until("the tokens are delivered", |stats| stats["queued"] == 0).await;
    let own = bob.client.lid().expect("a LID");
    for client in [&ann, &second] {
        let kept = client.client.tc_token().get(&own.user).await.expect("a look at the store");
        assert!(kept.is_some_and(|entry| !entry.token.is_empty()));
    }
    for client in [ann, second, bob] {
        client.stop().await;
    }
    sandbox.stop().await;
}

/// Gives somebody a token without ever writing to it.
async fn trust(sandbox: &Sandbox, issuer: &TestClient, trusted: &TestClient) {
    let lid = trusted.client.lid().expect("a LID").to_non_ad();
    issuer.client.tc_token().issue_tokens(&[lid]).await.expect("issued");
    sandbox.until("the tokens are delivered", |stats| stats["queued"] == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_stranger_shows_its_token_and_is_let_in() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("scenario:restricted,cs_enabled=0:Bob").await;
    let mut rob = sandbox.linked("scenario:restricted,tc_enabled=0,cs_enabled=0:Rob").await;
    for stranger in [&bob.phone, &rob.phone] {
        let refused = ann.send(stranger, "hello stranger").await;
        nacked(&mut ann, &refused).await;
    }
    trust(&sandbox, &bob, &ann).await;
    trust(&sandbox, &rob, &ann).await;
    ann.send(&bob.phone, "with your token").await;
    bob.text("with your token").await;
    // Who takes no tokens is not moved by one.
    let refused = ann.send(&rob.phone, "with your token").await;
    nacked(&mut ann, &refused).await;
    assert_eq!((bob.texts().len(), rob.texts().len()), (1, 0));
    // From here on Rob has written first.
    rob.send(&ann.phone, "hello Ann").await;
    ann.text("hello Ann").await;
    ann.send(&rob.phone, "hello Rob").await;
    rob.text("hello Rob").await;
    for client in [ann, bob, rob] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_salted_token_opens_the_door_and_the_property_alone_does_not() {
    let sandbox = Sandbox::start().await;
    let mut bob = sandbox.linked("restricted:Bob").await;
    let mut poor = sandbox.linked("scenario:nct_send_ab:Poor").await;
    let refused = poor.send(&bob.phone, "without salt").await;
    nacked(&mut poor, &refused).await;
    for how in ["nct_history_ab,nct_history_delivery", "nct_syncd_ab,nct_syncd_delivery"] {
        let mut rich = sandbox.linked(&format!("scenario:nct_send_ab,{how}:Rich")).await;
        // The salt comes some time after the client says that it is connected.
        while !is_accepted(&mut rich, &bob.phone, how).await {}
        bob.text(how).await;
        rich.stop().await;
    }
    for client in [poor, bob] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_sender_is_acked_and_not_heard() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    ann.send(&bob.phone, "hello").await;
    bob.text("hello").await;
    let lid = ann.client.lid().expect("a LID").to_non_ad();
    bob.client.blocking().block(&lid).await.expect("blocked");
    assert!(bob.client.blocking().is_blocked(&lid).await.expect("the list"));
    let id = ann.send(&bob.phone, "are you there?").await;
    let acked = |event: &Event| matches!(event, Event::ServerAck(ack) if ack.id == id && ack.error.is_none());
    ann.wait("the ack", acked).await;
    bob.client.blocking().unblock(&lid).await.expect("unblocked");
    ann.send(&bob.phone, "and now?").await;
    bob.text("and now?").await;
    assert_eq!(bob.texts(), ["hello", "and now?"]);
    for client in [ann, bob] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_sees_neither_picture_nor_presence_until_it_is_trusted() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let bob = sandbox.linked("restricted:Bob").await;
    bob.client.profile().set_profile_picture(vec![1, 2, 3]).await.expect("set");
    bob.client.presence().set_available().await.expect("available");
    let jid = Jid::pn(bob.phone.as_str());
    let seen = ann.client.contacts().get_profile_picture(&jid, true).await.expect("an answer");
    assert!(seen.is_none(), "a stranger sees no picture");
    ann.client.presence().subscribe(jid.clone()).await.expect("subscribed");
    // What is asked later is answered later.
    ann.client.fetch_privacy_settings().await.expect("an answer");
    assert!(!ann.has_seen(|event| matches!(event, Event::Presence(_))), "a stranger hears nothing");
    bob.send(&ann.phone, "hello Ann").await;
    ann.text("hello Ann").await;
    let seen = ann.client.contacts().get_profile_picture(&jid, true).await.expect("an answer");
    assert!(seen.is_some(), "who was written to is trusted");
    ann.client.presence().subscribe(jid).await.expect("subscribed");
    ann.wait("Bob is there", |event| matches!(event, Event::Presence(_))).await;
    for client in [ann, bob] {
        client.stop().await;
    }
    sandbox.stop().await;
}
