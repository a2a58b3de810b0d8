//! What time does: hours, days off, conversations that end or go back, and machines that write too fast.

use super::{CALLED, count, got, resolve, set_up, talk, until, waits, writes};
use crate::harness::{TestClock, TestServer, answer, text};
use flowcore_domain::clock::{Clock as _, Millis};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: i64 = 24 * 3600 * 1000;
const SUPPORT: &str = "/api/instances/shop/support";

async fn start() -> (TestServer, Arc<TestClock>) {
    let clock = Arc::new(TestClock::default());
    let own = Arc::clone(&clock);
    (TestServer::start_with(|config| config.clock = own).await, clock)
}

async fn configure(server: &TestServer, patch: Value) {
    let (status, set) = answer(server.api(Method::PUT, SUPPORT).json(&patch)).await;
    assert_eq!(status, StatusCode::OK, "{set}");
}

/// Moves to the next Monday, 13:00 UTC: ten in the morning in São Paulo. Its date two days later.
fn to_monday(clock: &TestClock) -> String {
    let now = clock.now().0;
    // The first of January 1970 was a Thursday.
    let days = (4 - (now / DAY) % 7).rem_euclid(7);
    let monday = (now / DAY + days + 7) * DAY + 13 * 3600 * 1000;
    clock.advance(Duration::from_millis(u64::try_from(monday - now).expect("ahead")));
    Millis(monday + 2 * DAY).rfc3339()[..10].to_owned()
}

#[tokio::test]
async fn out_of_hours_and_on_days_off_the_customer_is_told_so() {
    let (server, clock) = start().await;
    let shop = server.linked("shop").await;
    let wednesday = to_monday(&clock);
    set_up(&server, &[]).await;
    let day = json!([{ "from": "09:00", "to": "12:00" }]);
    configure(
        &server,
        json!({ "businessHours": {
            "timeZone": "America/Sao_Paulo",
            "weekly": { "monday": day, "tuesday": day, "wednesday": day, "thursday": day },
            "holidays": [wednesday],
            "message": "We are back at nine, {{customer_name}}.",
        }}),
    )
    .await;
    // Monday at ten, at one, Tuesday at ten, Wednesday at ten, Thursday at ten.
    for (number, (wait, is_open)) in
        [(0, true), (3, false), (21, true), (24, false), (24, true)].into_iter().enumerate()
    {
        clock.advance(HOUR * wait);
        let name = format!("Ana{number}");
        let ana = server.contact(&name).await;
        writes(&server, &ana, json!({ "to": shop, "text": "human" })).await;
        let told = if is_open { CALLED } else { "We are back at nine, " };
        assert!(text(&got(&server, &ana, told).await["text"]).contains(&name), "{number}");
        // Who comes out of hours waits all the same.
        resolve(&server, &waits(&server, &ana).await).await;
    }
    server.stop().await;
}

#[tokio::test]
async fn a_conversation_of_the_assistant_ends_and_one_of_a_person_goes_back_when_its_owner_wants_that()
 {
    let (server, clock) = start().await;
    let shop = server.linked("shop").await;
    let (ana, bea) = (server.contact("Ana").await, server.contact("Bea").await);
    set_up(&server, &[]).await;
    writes(&server, &ana, json!({ "to": shop, "text": "Good evening" })).await;
    let one = talk(&server, &ana, "ai").await;
    writes(&server, &bea, json!({ "to": shop, "text": "a human" })).await;
    let row = waits(&server, &bea).await;

    clock.advance(25 * HOUR);
    until(&server, "/api/conversations?status=expired", |row| row["id"] == one["id"]).await;
    writes(&server, &ana, json!({ "to": shop, "text": "Good morning" })).await;
    assert_ne!(talk(&server, &ana, "ai").await["id"], one["id"], "another begins");
    clock.advance(72 * HOUR);
    assert_eq!(
        talk(&server, &bea, "human").await["status"],
        "escalated",
        "who waits is not forgotten"
    );

    configure(&server, json!({ "autoReturnMinutes": 30 })).await;
    clock.advance(HOUR);
    let back = talk(&server, &bea, "ai").await;
    let (_, shown) = server.get(&format!("/api/conversations/{}", text(&back["id"]))).await;
    assert_eq!(shown["transitions"][1]["cause"], "idle", "{shown}");
    let over = until(&server, "/api/escalations?status=resolved", |_| true).await;
    assert_eq!((&over["id"], &over["resolvedBy"]), (&row["id"], &json!("idle")));

    // Who takes over an old conversation has it for as long as others.
    let path = format!("/api/conversations/{}", text(&back["id"]));
    answer(server.api(Method::POST, &format!("{path}/takeover"))).await;
    clock.advance(HOUR / 3);
    assert_eq!(talk(&server, &bea, "human").await["id"], back["id"]);
    clock.advance(HOUR / 3);
    talk(&server, &bea, "ai").await;
    server.stop().await;
}

#[tokio::test]
async fn two_machines_that_answer_each_other_are_stopped() {
    let (server, clock) = start().await;
    let shop = server.linked("shop").await;
    let (ana, tom) = (server.contact("Ana").await, server.contact("Tom").await);
    let bot = server.contact("Bot").await;
    set_up(&server, &[&tom]).await;
    writes(&server, &ana, json!({ "to": shop, "text": "human" })).await;
    got(&server, &tom, "wa.me").await;
    let row = waits(&server, &ana).await;
    let path = format!("/api/conversations/{}/messages?limit=500", text(&row["conversationId"]));
    for number in 0..40 {
        writes(&server, &ana, json!({ "to": shop, "text": format!("Ticket {number} was opened") }))
            .await;
    }
    until(&server, &path, |said| said["content"] == "Ticket 39 was opened").await;
    clock.advance(Duration::from_secs(61));
    writes(&server, &ana, json!({ "to": shop, "text": "I am a person after all" })).await;
    got(&server, &tom, "I am a person after all").await;
    let passed_on = count(&server, &tom, "was opened").await;
    assert!((10..=20).contains(&passed_on), "{passed_on} of 40 were passed on");

    // A machine that says the keyword to everything is told three times within the hour.
    for _ in 0..5 {
        writes(&server, &bot, json!({ "to": shop, "text": "a human" })).await;
        resolve(&server, &waits(&server, &bot).await).await;
    }
    let last = json!({ "instanceName": "shop", "number": bot, "message": "the last" });
    assert_eq!(server.post("/api/whatsapp/send", last).await.0, StatusCode::CREATED);
    got(&server, &bot, "the last").await;
    assert_eq!(count(&server, &bot, CALLED).await, 3);
    server.stop().await;
}
