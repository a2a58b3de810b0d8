//! Signal sessions and sender keys as the wire shows them: opened once, used again, under LIDs only.

use wacore::types::events::Event;
use wacore::types::jid::JidExt as _;
use wacore_binary::{Jid, Node};

use crate::groups::group_of;
use crate::harness::{Sandbox, TestClient};

/// An attribute of each message stanza that a client got, with the kinds of its ciphertexts.
fn messages(client: &TestClient, attribute: &str) -> Vec<(String, Vec<String>)> {
    let text = |node: &Node, key| node.attrs.get(key).map(ToString::to_string).unwrap_or_default();
    let mut all = Vec::new();
    client.each_event(|event| {
        let Event::RawNode(node) = event else { return };
        let node = node.to_owned_node();
        let children = node.children().unwrap_or_default().iter();
        let kinds: Vec<String> =
            children.filter(|child| child.tag == "enc").map(|enc| text(enc, "type")).collect();
        if node.tag == "message" && !kinds.is_empty() {
            all.push((text(&node, attribute), kinds));
        }
    });
    all
}

fn kinds(client: &TestClient) -> Vec<String> {
    messages(client, "id").into_iter().map(|(_, kinds)| kinds.join(" ")).collect()
}

async fn again(client: &mut TestClient) {
    client.skip_past();
    client.client.reconnect_immediately().await;
    client.wait("connected again", |event| matches!(event, Event::Connected(_))).await;
}

fn understood_everything(client: &TestClient) -> bool {
    !client.has_seen(|event| matches!(event, Event::UndecryptableMessage(_)))
}

/// Whether a client keeps a session at exactly this address.
async fn has_session(client: &TestClient, jid: &Jid) -> bool {
    let kept = client.backend.get_session(&jid.to_protocol_address_string()).await;
    kept.expect("a look at the store").is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_opened_once_and_goes_on_after_a_reconnect() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    let forwarding = bob.client.acquire_raw_node_forwarding();
    for text in ["one", "two"] {
        ann.send(&bob.phone, text).await;
        bob.text(text).await;
    }
    bob.send(&ann.phone, "I hear you").await;
    ann.text("I hear you").await;
    ann.send(&bob.phone, "three").await;
    bob.text("three").await;
    again(&mut ann).await;
    ann.send(&bob.phone, "four").await;
    bob.text("four").await;
    again(&mut bob).await;
    ann.send(&bob.phone, "five").await;
    bob.text("five").await;
    drop(forwarding);
    // Until somebody answers, each message brings what opens the session.
    assert_eq!(kinds(&bob), ["pkmsg", "pkmsg", "msg", "msg", "msg"]);
    assert!(understood_everything(&ann) && understood_everything(&bob));
    for client in [ann, bob] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_under_lids_also_with_the_own_phone() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    ann.send(&bob.phone, "to a number").await;
    bob.text("to a number").await;
    bob.send(&ann.phone, "back to a number").await;
    ann.text("back to a number").await;
    let (number, lid) = (bob.client.pn().expect("linked"), bob.client.lid().expect("linked"));
    assert!(has_session(&ann, &lid).await, "with the companion that wrote");
    assert!(!has_session(&ann, &number).await, "none under its number");
    let own = ann.client.lid().expect("linked").to_non_ad();
    let phone = ann.client.signal().session_info(&own).await.expect("a look at the store");
    assert!(phone.is_some(), "the own phone sent its keys");
    for client in [ann, bob] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_key_goes_once_to_each_device_also_to_one_that_comes_later() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    let group = group_of(&ann, &[&bob]).await;
    let forwarding = bob.client.acquire_raw_node_forwarding();
    for text in ["one", "two"] {
        ann.client.send_text(group.clone(), text).await.expect("sent");
        bob.text(text).await;
    }
    again(&mut ann).await;
    ann.client.send_text(group.clone(), "three").await.expect("sent from what it remembers");
    bob.text("three").await;
    drop(forwarding);
    assert_eq!(kinds(&bob), ["pkmsg skmsg", "skmsg", "skmsg"]);
    let modes = messages(&bob, "addressing_mode");
    assert!(modes.iter().all(|(mode, _)| mode == "lid"), "{modes:?}");
    let mut second = sandbox.linked("Bob").await;
    let forwarding = second.client.acquire_raw_node_forwarding();
    for text in ["four", "five"] {
        ann.client.send_text(group.clone(), text).await.expect("sent");
        second.text(text).await;
    }
    drop(forwarding);
    let seen: Vec<String> =
        kinds(&second).into_iter().filter(|kinds| kinds.contains("skmsg")).collect();
    assert_eq!(seen, ["pkmsg skmsg", "skmsg"]);
    assert!([&ann, &bob, &second].into_iter().all(understood_everything));
    for client in [ann, bob, second] {
        client.stop().await;
    }
    sandbox.stop().await;
}
