//! Calls: a contact's phone rings a client, which rejects, or it stops by itself; and one client
//! rings another.

use buffa::{Message as _, MessageField};
use serde_json::{Value, json};
use wacore::stanza::call::{OfferDeviceKey, OfferParams, build_offer};
use wacore::types::call::CallAction;
use wacore::types::events::Event;
use wacore_binary::{Jid, Node, NodeContent};
use waproto::whatsapp as wa;

use crate::harness::{Sandbox, TestClient};

async fn call(sandbox: &Sandbox, from: &str, body: Value) -> String {
    let (status, answer) = sandbox.post(&format!("/admin/contacts/{from}/call"), body).await;
    assert!(status == 201 || status == 200, "{answer}");
    answer["id"].as_str().expect("an id").to_owned()
}

async fn ringing(client: &mut TestClient, id: &str) -> wacore::types::call::IncomingCall {
    let rings = |event: &Event| match event {
        Event::IncomingCall(call) => {
            matches!(call.action, CallAction::Offer { .. }) && call.action.call_id() == id
        }
        _ => false,
    };
    let event = client.wait("ringing", rings).await;
    let Event::IncomingCall(call) = &*event else { unreachable!("matched above") };
    call.clone()
}

async fn ended(client: &mut TestClient, id: &str, wanted: &str) {
    let ends = |event: &Event| match event {
        Event::IncomingCall(call) => match &call.action {
            CallAction::Terminate { call_id, reason, .. } => {
                call_id == id && reason.as_deref().unwrap_or_default() == wanted
            }
            _ => false,
        },
        _ => false,
    };
    client.wait("the end of the call", ends).await;
}

async fn state(sandbox: &Sandbox, contact: &str, id: &str) -> Value {
    let shown = sandbox.get(&format!("/admin/contacts/{contact}")).await;
    let calls = shown["calls"].as_array().expect("calls");
    calls.iter().find(|call| call["id"] == id).map_or(Value::Null, |call| call["state"].clone())
}

async fn until_state(sandbox: &Sandbox, contact: &str, id: &str, wanted: &str) {
    let poll = async {
        while state(sandbox, contact, id).await != wanted {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::harness::DEADLINE, poll).await.expect("the state comes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_call_is_over_for_both() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let carl = sandbox.contact("Carl").await;
    let id = call(&sandbox, &carl, json!({ "to": ann.phone, "video": true })).await;
    let incoming = ringing(&mut ann, &id).await;
    assert!(matches!(incoming.action, CallAction::Offer { is_video: true, .. }));
    assert_eq!(incoming.notify.as_deref(), Some("Carl"));
    assert_eq!(state(&sandbox, &carl, &id).await, "ringing");
    ann.client.voip().reject(&incoming).await.expect("rejected");
    until_state(&sandbox, &carl, &id, "rejected").await;
    ann.stop().await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_one_device_rejects_stops_ringing_on_the_other() {
    let sandbox = Sandbox::start().await;
    let mut first = sandbox.linked("Ann").await;
    let mut second = sandbox.linked("Ann").await;
    let carl = sandbox.contact("Carl").await;
    let id = call(&sandbox, &carl, json!({ "to": first.phone })).await;
    let incoming = ringing(&mut first, &id).await;
    ringing(&mut second, &id).await;
    first.client.voip().reject(&incoming).await.expect("rejected");
    ended(&mut second, &id, "rejected_elsewhere").await;
    for client in [first, second] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_nobody_answers_times_out_and_one_hung_up_ends() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let carl = sandbox.contact("Carl").await;
    let id = call(&sandbox, &carl, json!({ "to": ann.phone, "seconds": 0.3 })).await;
    ringing(&mut ann, &id).await;
    ended(&mut ann, &id, "timeout").await;
    assert_eq!(state(&sandbox, &carl, &id).await, "timeout");
    let id = call(&sandbox, &carl, json!({ "to": ann.phone })).await;
    ringing(&mut ann, &id).await;
    call(&sandbox, &carl, json!({ "end": id })).await;
    ended(&mut ann, &id, "").await;
    assert_eq!(state(&sandbox, &carl, &id).await, "ended");
    ann.stop().await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_while_away_is_a_missed_one() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let carl = sandbox.contact("Carl").await;
    let login =
        json!({ "target": ann.phone, "fault": "refuse-login", "code": 503, "seconds": 0.5 });
    sandbox.fault(login).await;
    sandbox.fault(json!({ "target": ann.phone, "fault": "drop" })).await;
    sandbox.until("Ann is away", |stats| stats["online"] == 1).await;
    let id = call(&sandbox, &carl, json!({ "to": ann.phone })).await;
    let missed = |event: &Event| matches!(event, Event::MissedCall(missed) if missed.call_id == id);
    ann.wait("a missed call", missed).await;
    ann.stop().await;
    sandbox.stop().await;
}

/// The offer with which a client calls somebody, its key encrypted for each device.
async fn offer(caller: &TestClient, peer: &Jid, id: &str) -> Node {
    let key = wa::message::Call { call_key: Some(vec![7; 32]), ..wa::message::Call::default() };
    let message = wa::Message { call: MessageField::some(key), ..wa::Message::default() };
    let signal = caller.client.signal();
    let peers = [peer.clone()];
    let made = signal.create_participant_nodes(&peers, &message).await;
    let (copies, _) = made.expect("encrypted for each device");
    let device_keys: Vec<OfferDeviceKey> = copies.iter().map(device_key).collect();
    let device = caller.client.persistence_manager().get_device_snapshot();
    let identity = device.account.as_ref().expect("a linked device").encode_to_vec();
    build_offer(&OfferParams {
        call_id: id,
        to: peer,
        call_creator: &caller.client.pn().expect("a linked device"),
        device_keys: &device_keys,
        privacy_token: None,
        capability: Some(&[1, 5, 0xf7, 9, 0xe4, 0xbb, 7]),
        device_identity: Some(&identity),
        id: Some(id),
        multi_device: true,
        video: false,
        audio_rates: &["8000", "16000"],
    })
}

fn device_key(copy: &Node) -> OfferDeviceKey {
    let text = |node: &Node, key| node.attrs.get(key).expect("an attribute").to_string();
    let enc = copy.get_optional_child("enc").expect("a ciphertext");
    let Some(NodeContent::Bytes(ciphertext)) = &enc.content else { panic!("no ciphertext") };
    OfferDeviceKey {
        device_jid: text(copy, "jid").parse().expect("an address"),
        ciphertext: ciphertext.clone(),
        enc_type: text(enc, "type"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_calls_another_which_rejects_or_is_hung_up_on() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    let peer = Jid::pn(bob.phone.as_str());
    ann.client.send_node(offer(&ann, &peer, "CALL1").await).await.expect("it is sent");
    let incoming = ringing(&mut bob, "CALL1").await;
    assert_eq!(incoming.notify.as_deref(), Some("Ann"));
    bob.client.voip().reject(&incoming).await.expect("rejected");
    let rejected = |event: &Event| match event {
        Event::IncomingCall(call) => {
            matches!(&call.action, CallAction::Reject { call_id, .. } if call_id == "CALL1")
        }
        _ => false,
    };
    ann.wait("the rejection", rejected).await;
    ann.client.send_node(offer(&ann, &peer, "CALL2").await).await.expect("it is sent");
    ringing(&mut bob, "CALL2").await;
    let own = ann.client.pn().expect("a linked device");
    ann.client.voip().terminate("CALL2", &peer, &own).await.expect("hung up");
    ended(&mut bob, "CALL2", "").await;
    for client in [ann, bob] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_in_another_order_or_to_nobody_does_not_ring() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    let peer = Jid::pn(bob.phone.as_str());
    let mut shuffled = offer(&ann, &peer, "SHUFFLED").await;
    let Some(NodeContent::Nodes(actions)) = &mut shuffled.content else { panic!("no offer") };
    let Some(NodeContent::Nodes(parts)) = &mut actions[0].content else { panic!("no parts") };
    parts.reverse();
    let mut lost = offer(&ann, &peer, "LOST").await;
    lost.attrs.insert("to", Jid::pn("4930000000"));
    for (call, id, code) in [(shuffled, "SHUFFLED", "439"), (lost, "LOST", "404")] {
        ann.client.send_node(call).await.expect("it is sent");
        let refused = |event: &Event| match event {
            Event::ServerAck(ack) => ack.id == id && ack.error.as_deref() == Some(code),
            _ => false,
        };
        ann.wait("the refusal", refused).await;
    }
    ann.client.send_node(offer(&ann, &peer, "GOOD").await).await.expect("it is sent");
    ringing(&mut bob, "GOOD").await;
    let mut offers = 0;
    bob.each_event(|event| offers += usize::from(matches!(event, Event::IncomingCall(_))));
    assert_eq!(offers, 1, "only the last one rang");
    for client in [ann, bob] {
        client.stop().await;
    }
    sandbox.stop().await;
}
