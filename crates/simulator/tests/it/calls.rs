//! Calls: a contact's phone rings a client, which rejects, or it stops by itself.

use serde_json::{Value, json};
use wacore::types::call::CallAction;
use wacore::types::events::Event;

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
    calls.iter().find(|call| call["id"] == id).expect("the call")["state"].clone()
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
