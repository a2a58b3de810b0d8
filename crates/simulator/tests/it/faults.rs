//! Faults on purpose, and that clients come through them.

use serde_json::json;
use wacore::types::events::Event;

use crate::harness::Sandbox;

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_client_comes_back_by_itself() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    ann.skip_past();
    sandbox.fault(json!({ "target": ann.phone, "fault": "drop" })).await;
    ann.wait("connected again", |event| matches!(event, Event::Connected(_))).await;
    ann.stop().await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duplicated_message_is_shown_once() {
    let sandbox = Sandbox::start().await;
    let ann = sandbox.linked("Ann").await;
    let phone = sandbox.contact("Carl").await;
    ann.send(&phone, "one").await;
    let path = format!("/admin/contacts/{phone}/messages");
    let first = sandbox.get(&format!("{path}?wait=10")).await;
    let first = first["messages"][0]["id"].as_str().expect("an id").to_owned();
    sandbox.fault(json!({ "target": phone, "fault": "duplicate", "count": 1 })).await;
    ann.send(&phone, "two").await;
    ann.send(&phone, "three").await;
    let two = sandbox.get(&format!("{path}?wait=10&after={first}")).await;
    let two = two["messages"][0]["id"].as_str().expect("an id").to_owned();
    let three = sandbox.get(&format!("{path}?wait=10&after={two}")).await;
    assert_eq!(three["messages"][0]["text"], "three");
    ann.stop().await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn delayed_acks_come_when_the_fault_is_over() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let bob = sandbox.linked("Bob").await;
    let asked = std::time::Instant::now();
    sandbox.fault(json!({ "target": ann.phone, "fault": "delay-acks", "seconds": 0.5 })).await;
    let sent = ann.send(&bob.phone, "slow").await;
    let is_ack = |event: &Event| match event {
        Event::ServerAck(ack) => ack.id == sent && ack.class.as_deref() == Some("message"),
        _ => false,
    };
    ann.wait("the ack", is_ack).await;
    assert!(asked.elapsed() >= std::time::Duration::from_millis(500));
    for client in [ann, bob] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_open_socket_delivers_once_it_thaws() {
    let sandbox = Sandbox::start().await;
    let ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    ann.send(&bob.phone, "first").await;
    bob.text("first").await;
    sandbox.fault(json!({ "target": bob.phone, "fault": "half-open", "seconds": 0.5 })).await;
    ann.send(&bob.phone, "second").await;
    bob.text("second").await;
    for client in [ann, bob] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_socket_holds_messages_back_but_still_sends() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    ann.send(&bob.phone, "before").await;
    bob.text("before").await;
    bob.send(&ann.phone, "hello").await;
    ann.text("hello").await;
    sandbox.fault(json!({ "target": bob.phone, "fault": "stall", "seconds": 60 })).await;
    ann.send(&bob.phone, "held back").await;
    bob.send(&ann.phone, "not held back").await;
    ann.text("not held back").await;
    assert_eq!(bob.texts(), ["before"]);
    sandbox.fault(json!({ "target": bob.phone, "fault": "stall", "seconds": 0 })).await;
    bob.text("held back").await;
    for client in [ann, bob] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_comes_back_from_a_stream_error_that_passes() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    for code in [503, 515] {
        ann.skip_past();
        sandbox.fault(json!({ "target": ann.phone, "fault": "stream-error", "code": code })).await;
        ann.wait("connected again", |event| matches!(event, Event::Connected(_))).await;
    }
    ann.stop().await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_comes_back_from_a_stream_error_that_says_why_instead_of_a_code() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let bob = sandbox.linked("Bob").await;
    for cause in ["xml-not-well-formed", "ack"] {
        ann.skip_past();
        let error = json!({ "target": ann.phone, "fault": "stream-error", "cause": cause });
        sandbox.fault(error).await;
        ann.wait("connected again", |event| matches!(event, Event::Connected(_))).await;
        bob.send(&ann.phone, cause).await;
        ann.text(cause).await;
    }
    for client in [ann, bob] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_nack_reaches_the_sender_with_its_code_and_nothing_is_delivered() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    for code in [400, 404, 463, 475, 479, 503] {
        let nack = json!({ "target": ann.phone, "fault": "nack", "count": 1, "code": code });
        sandbox.fault(nack).await;
        let refused = ann.send(&bob.phone, "refused").await;
        let wanted = code.to_string();
        let is_nack = |event: &Event| match event {
            Event::ServerAck(ack) => {
                ack.id == refused && ack.error.as_deref() == Some(wanted.as_str())
            }
            _ => false,
        };
        ann.wait("the nack", is_nack).await;
    }
    ann.send(&bob.phone, "accepted").await;
    bob.text("accepted").await;
    assert_eq!(bob.texts(), ["accepted"]);
    for client in [ann, bob] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_counted_delay_holds_so_many_acks_back_and_no_more() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let bob = sandbox.linked("Bob").await;
    let delay = json!({ "target": ann.phone, "fault": "delay-acks", "count": 1, "seconds": 0.6 });
    sandbox.fault(delay).await;
    let started = std::time::Instant::now();
    let held = ann.send(&bob.phone, "held").await;
    let prompt = ann.send(&bob.phone, "prompt").await;
    let acked = |id: String| {
        move |event: &Event| match event {
            Event::ServerAck(ack) => ack.id == id && ack.class.as_deref() == Some("message"),
            _ => false,
        }
    };
    ann.wait("the ack of the second", acked(prompt)).await;
    assert!(started.elapsed() < std::time::Duration::from_millis(600));
    ann.wait("the ack of the first", acked(held)).await;
    assert!(started.elapsed() >= std::time::Duration::from_millis(600));
    for client in [ann, bob] {
        client.stop().await;
    }
    sandbox.stop().await;
}
