//! "Connected" means proven: a connection on which nothing comes is asked, and replaced when it does not
//! answer.

use crate::harness::World;
use flowcore_domain::instance::Status;
use flowcore_gateway::Watch;
use serde_json::{Value, json};
use std::time::Duration;

/// A second of silence is suspicious here.
const NERVOUS: Watch =
    Watch { silence: Duration::from_secs(1), answer: Duration::from_millis(500) };

async fn write(world: &World, from: &str, to: &str, text: &str) {
    let path = format!("/admin/contacts/{from}/messages");
    world.admin(&path, json!({ "to": to, "text": text })).await;
}

fn says(body: &Value, text: &str) -> bool {
    body["event"] == "messages.upsert" && body["data"]["message"]["conversation"] == text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_fell_silent_is_replaced_and_the_reason_told() {
    let world = World::watched(NERVOUS).await;
    let ana = world.contact("Ana").await;
    let phone = world.linked("shop").await;
    world.hook("shop").await;
    for fault in ["half-open", "stall"] {
        let order = json!({ "target": phone, "fault": fault, "seconds": 300 });
        world.admin("/admin/faults", order).await;
        let text = format!("written during {fault}");
        write(&world, &ana, &phone, &text).await;
        let doubt = |body: &Value| {
            body["event"] == "connection.update" && body["data"]["reason"] == "stalled"
        };
        world.receiver.until("that the connection is lost", doubt).await;
        world.receiver.until("the message on the next connection", |body| says(body, &text)).await;
        world.until("shop", |view| view.status == Status::Connected).await;
        world.receiver.forget();
    }
    let view = world.until("shop", |view| view.status == Status::Connected).await;
    assert_eq!(view.reason, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_connection_that_answers_is_left_alone() {
    let world = World::watched(NERVOUS).await;
    let ana = world.contact("Ana").await;
    let phone = world.linked("shop").await;
    world.hook("shop").await;
    let mut live = world.gateway.live().subscribe();
    // Four times as long as the silence that is asked about, with nothing else on the line.
    let told = tokio::time::timeout(NERVOUS.silence * 4, async {
        while let Ok(event) = live.recv().await {
            if event.kind.as_str() == "connection.update" {
                return event;
            }
        }
        panic!("the live events ended");
    });
    assert!(told.await.is_err(), "a living connection was given up");
    write(&world, &ana, &phone, "still there?").await;
    world.receiver.until("the message", |body| says(body, "still there?")).await;
}
