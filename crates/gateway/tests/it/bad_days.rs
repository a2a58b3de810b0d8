//! What the network can do to an instance, and what its owner then sees.

use crate::harness::{DEADLINE, World, named};
use flowcore_domain::event::EventKind;
use flowcore_domain::instance::{Reason, Status};
use flowcore_gateway::{Idempotency, ServiceError};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_unlinks_is_the_end_of_the_link() {
    let world = World::start().await;
    let phone = world.linked("shop").await;
    world.admin(&format!("/admin/mock-phone/{phone}/unlink"), json!({})).await;
    let view = world.until("shop", |view| view.status == Status::Disconnected).await;
    assert_eq!((view.reason, view.number), (Some(Reason::LoggedOut), None));
    let again = world.connect("shop").await;
    assert!(again.qr.is_some(), "a new code is shown after a logout");
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_comes_back_by_itself() {
    let world = World::start().await;
    let phone = world.linked("shop").await;
    let before = world.until("shop", |_| true).await.last_connected;
    world.admin("/admin/faults", json!({ "target": phone, "fault": "drop" })).await;
    let lost = world.until("shop", |view| view.status != Status::Connected).await;
    assert_eq!((lost.status, lost.reason), (Status::Connecting, Some(Reason::Network)));
    let back = world.until("shop", |view| view.status == Status::Connected).await;
    assert!(back.last_connected > before && back.reason.is_none());
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_told_of_a_change_and_looks_sees_it() {
    let world = World::start().await;
    let phone = world.linked("shop").await;
    let mut live = world.gateway.live().subscribe();
    world.admin("/admin/faults", json!({ "target": phone, "fault": "drop" })).await;
    let told = async {
        while let Ok(event) = live.recv().await {
            if event.kind == EventKind::ConnectionUpdate && event.data["state"] == "connecting" {
                return;
            }
        }
        panic!("the live events ended");
    };
    tokio::time::timeout(DEADLINE, told).await.expect("the loss is told");
    let view = world.gateway.instances().get(&world.caller, &named("shop")).await;
    assert_eq!(view.expect("the instance").status, Status::Connecting);
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_taken_over_is_not_fought_for() {
    let world = World::start().await;
    let phone = world.linked("shop").await;
    world.admin("/admin/faults", json!({ "target": phone, "fault": "conflict" })).await;
    let view = world.until("shop", |view| view.status == Status::Disconnected).await;
    assert_eq!(view.reason, Some(Reason::Replaced));
    assert_eq!(view.number, Some(phone), "the link stands");
    world.connect("shop").await;
    world.until("shop", |view| view.status == Status::Connected).await;
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_logins_say_why() {
    for (code, reason) in [
        (405, Reason::ClientOutdated),
        (402, Reason::TemporaryBan),
        (403, Reason::Refused),
        (401, Reason::LoggedOut),
    ] {
        let world = World::start().await;
        let phone = world.linked("shop").await;
        let refusal = json!({ "target": phone, "fault": "refuse-login", "code": code, "count": 9 });
        world.admin("/admin/faults", refusal).await;
        world.admin("/admin/faults", json!({ "target": phone, "fault": "drop" })).await;
        let view = world.until("shop", |view| view.status == Status::Disconnected).await;
        assert_eq!(view.reason, Some(reason), "login failure {code}");
        world.gateway.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_refused_for_a_moment_is_tried_again() {
    let world = World::start().await;
    let phone = world.linked("shop").await;
    let refusal = json!({ "target": phone, "fault": "refuse-login", "code": 503, "count": 1 });
    world.admin("/admin/faults", refusal).await;
    world.admin("/admin/faults", json!({ "target": phone, "fault": "drop" })).await;
    world.until("shop", |view| view.status == Status::Connecting).await;
    world.until("shop", |view| view.status == Status::Connected).await;
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_on_show_is_never_stale() {
    let world = World::start().await;
    let first = world.connect("shop").await.qr.expect("a code");
    world.admin("/admin/faults", json!({ "target": "*", "fault": "companion-reg-refresh" })).await;
    let fresh = world
        .until("shop", |view| view.qr.as_ref().is_some_and(|qr| qr.text != first.text))
        .await
        .qr
        .expect("a code");
    assert_eq!(fresh.reference(), first.reference());
    assert_eq!((fresh.number, fresh.expires_at), (first.number, first.expires_at));
    world.scan(&fresh.text).await;
    world.until("shop", |view| view.status == Status::Connected).await;
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_is_not_on_whatsapp_is_refused() {
    let world = World::start().await;
    world.linked("shop").await;
    let messages = world.gateway.messages();
    let sent =
        messages.send_text(&world.caller, &named("shop"), ("4915199999999", "hi"), None).await;
    assert!(matches!(sent, Err(ServiceError::NumberNotOnWhatsApp { .. })), "{sent:?}");
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_while_there_is_no_connection() {
    let world = World::start().await;
    world.connect("shop").await;
    let messages = world.gateway.messages();
    let sent =
        messages.send_text(&world.caller, &named("shop"), ("4915112345678", "hi"), None).await;
    assert!(
        matches!(sent, Err(ServiceError::NotConnected { status: Status::Connecting, .. })),
        "{sent:?}"
    );
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_sends_once() {
    let world = World::start().await;
    world.linked("shop").await;
    let customer = world.contact("Ana").await;
    let key = |body: u8| Some(Idempotency { key: "order-7".into(), body_hash: [body; 32] });
    let send = async |body| {
        let text = (customer.as_str(), "Your order is ready.");
        world.gateway.messages().send_text(&world.caller, &named("shop"), text, key(body)).await
    };
    let first = send(1).await.expect("sent");
    let second = send(1).await.expect("the first answer again");
    assert_eq!(first.message_id, second.message_id);
    assert!(matches!(send(2).await, Err(ServiceError::IdempotencyConflict)));
    let path = format!("/admin/contacts/{customer}/messages?wait=1");
    assert_eq!(world.ask(&path).await["messages"].as_array().map(Vec::len), Some(1));
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_whatsapp_refuses_is_reported_as_failed() {
    let world = World::start().await;
    let phone = world.linked("shop").await;
    let customer = world.contact("Ana").await;
    world.hook("shop").await;
    let nack = json!({ "target": phone, "fault": "nack", "code": 463, "count": 1 });
    world.admin("/admin/faults", nack).await;
    let text = (customer.as_str(), "hello");
    let sent = world.gateway.messages().send_text(&world.caller, &named("shop"), text, None).await;
    assert!(sent.expect("an answer").failed);
    world.receiver.until("the failure", |body| body["data"]["status"] == "ERROR").await;
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_waiting_for_its_ack_is_answered_as_pending_and_settles_later() {
    let world = World::start().await;
    let phone = world.linked("shop").await;
    let customer = world.contact("Ana").await;
    world.hook("shop").await;
    // A receipt of the customer's phone would tell more than the ack that is late: it is away.
    world
        .admin("/admin/faults", json!({ "target": customer, "fault": "drop", "seconds": 9 }))
        .await;
    let slow = json!({ "target": phone, "fault": "delay-acks", "seconds": 6 });
    world.admin("/admin/faults", slow).await;
    let text = (customer.as_str(), "hello");
    let sent = world.gateway.messages().send_text(&world.caller, &named("shop"), text, None).await;
    let sent = sent.expect("an answer");
    assert!(!sent.acknowledged && !sent.failed);
    world.receiver.until("the ack", |body| body["data"]["status"] == "SERVER_ACK").await;
    world.gateway.stop().await;
}

/// Takes as long as a round of codes does: 60 s for the first and 20 s for each of the other five.
#[tokio::test(flavor = "multi_thread")]
async fn a_round_of_codes_ends_with_the_reason() {
    let world = World::start().await;
    let mut numbers = vec![world.connect("shop").await.qr.expect("a code").number];
    loop {
        let last = numbers.last().copied();
        let changed = |view: &flowcore_gateway::InstanceView| {
            view.status == Status::Disconnected || view.qr.as_ref().map(|qr| qr.number) != last
        };
        let view = world.until_within(std::time::Duration::from_secs(70), "shop", changed).await;
        let Some(qr) = view.qr else {
            assert_eq!(view.reason, Some(Reason::QrExpired));
            break;
        };
        numbers.push(qr.number);
    }
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6]);
    world.gateway.stop().await;
}
