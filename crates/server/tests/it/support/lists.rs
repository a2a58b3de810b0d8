//! The list of who waits: filters, how long, the table for spreadsheets; and phones that can't be told.

use super::{CALLED, got, resolve, set_up, talk, until, waits, writes};
use crate::harness::{TestClock, TestServer, answer, text};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

#[tokio::test]
async fn how_long_customers_wait_is_told_and_filtered() {
    let clock = Arc::new(TestClock::default());
    let own = Arc::clone(&clock);
    let server = TestServer::start_with(|config| config.clock = own).await;
    let shop = server.linked("shop").await;
    let (ana, bea) = (server.contact("=Ana()").await, server.contact("Bea").await);
    set_up(&server, &[]).await;
    writes(&server, &ana, json!({ "to": shop, "text": "a human" })).await;
    let first = waits(&server, &ana).await;
    clock.advance(Duration::from_secs(600));
    writes(&server, &bea, json!({ "to": shop, "text": "Hello" })).await;
    let one = talk(&server, &bea, "ai").await;
    let escalate = format!("/api/conversations/{}/escalate", text(&one["id"]));
    assert_eq!(answer(server.api(Method::POST, &escalate)).await.0, StatusCode::OK);

    let seconds = |row: &Value| row["waitingSeconds"].as_i64().expect("seconds");
    let row = waits(&server, &ana).await;
    assert!((600..700).contains(&seconds(&row)), "{row}");
    let say = format!("/api/conversations/{}/messages", text(&row["conversationId"]));
    assert_eq!(server.post(&say, json!({ "message": "Here I am" })).await.0, StatusCode::CREATED);
    clock.advance(Duration::from_secs(600));
    let row = until(&server, "/api/escalations", |row| row["firstAnswerAt"].is_string()).await;
    assert!(row["id"] == first["id"] && (600..700).contains(&seconds(&row)), "{row}");
    assert!((600..700).contains(&seconds(&waits(&server, &bea).await)));

    let ids = async |query: &str| -> Vec<String> {
        let (status, list) = server.get(&format!("/api/escalations?{query}")).await;
        assert_eq!(status, StatusCode::OK, "{list}");
        let rows = list["data"].as_array().expect("rows").iter();
        rows.map(|row| text(&row["contact"]["phone"])).collect()
    };
    let at = text(&first["createdAt"]);
    assert_eq!(ids("").await, [&*bea, &*ana], "the latest first");
    assert_eq!(ids("reason=api").await, [&*bea]);
    assert_eq!(ids(&format!("to={at}")).await, [&*ana]);
    assert_eq!(ids(&format!("from={at}&instanceName=shop&limit=1")).await, [&*bea]);
    assert_eq!(ids("limit=1&cursor=1").await, [&*ana]);
    assert!(ids("status=resolved").await.is_empty());
    resolve(&server, &first).await;
    assert_eq!(ids("status=resolved").await, [&*ana]);
    assert_eq!(ids("status=all").await.len(), 2);
    for wrong in ["status=new", "from=yesterday", "limit=0", "cursor=x"] {
        let (status, _) = server.get(&format!("/api/escalations?{wrong}")).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }
    let export = server.api(Method::GET, "/api/escalations/export?status=all").send().await;
    let table = export.expect("an answer").text().await.expect("a table");
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 3, "{table}");
    assert!(lines[2].contains(&ana) && lines[2].contains("\"'=Ana()\""), "{table}");
    server.stop().await;
}

#[tokio::test]
async fn a_phone_that_cant_be_told_holds_up_no_other_and_the_list_tells_of_it() {
    let server = TestServer::start().await;
    let (ana, tom) = (server.contact("Ana").await, server.contact("Tom").await);
    // Nobody can tell whether a number exists before the instance is connected.
    let code = text(&server.connect("shop").await["qrcode"]);
    set_up(&server, &["4915100000000", &tom]).await;
    let shop = server.scan(&code).await;
    server.until_status("shop", "connected").await;
    writes(&server, &ana, json!({ "to": shop, "text": "human" })).await;
    got(&server, &ana, CALLED).await;
    got(&server, &tom, "wa.me").await;
    let row = until(&server, "/api/escalations", |row| row["alert"].is_string()).await;
    assert!(text(&row["alert"]).starts_with("4915100000000 could not be told"), "{row}");
    server.stop().await;
}

#[tokio::test]
async fn who_writes_while_being_handed_back_is_heard_by_one() {
    let server = TestServer::start().await;
    let shop = server.linked("shop").await;
    let (ana, tom) = (server.contact("Ana").await, server.contact("Tom").await);
    set_up(&server, &[&tom]).await;
    super::hire(&server, json!({})).await;
    for round in 0..6 {
        writes(&server, &ana, json!({ "to": shop, "text": format!("human {round}") })).await;
        let row = waits(&server, &ana).await;
        let (question, answer) = (format!("Question {round}?"), format!("Answer {round}."));
        server.script("chat", json!([{ "text": answer }])).await;
        let message = json!({ "to": shop, "text": question });
        tokio::join!(writes(&server, &ana, message), resolve(&server, &row));
        let talk = format!("/api/conversations/{}/messages", text(&row["conversationId"]));
        until(&server, &talk, |said| said["content"] == question).await;
        let path = format!("/api/conversations/{}", text(&row["conversationId"]));
        assert_eq!(server.get(&path).await.1["owner"], "ai");
        // A person's or the assistant's, and nobody's else.
        let mut heard = (0, 0);
        let began = std::time::Instant::now();
        while heard == (0, 0) {
            heard = (
                super::count(&server, &tom, &question).await,
                super::count(&server, &ana, &answer).await,
            );
            assert!(began.elapsed() < crate::harness::DEADLINE, "{round}: nobody heard it");
        }
        assert!(heard == (1, 0) || heard == (0, 1), "{round}: {heard:?}");
    }
    server.stop().await;
}
