//! Linking by a code that is typed on the phone.

use serde_json::json;
use wacore::pair_code::PairCodeOptions;
use wacore::types::events::Event;

use crate::harness::{Sandbox, TestClient};

const PHONE: &str = "4915550001";

async fn code(client: &TestClient) -> String {
    let options = PairCodeOptions { phone_number: PHONE.to_owned(), ..PairCodeOptions::default() };
    client.client.pair_with_code(options).await.expect("a code")
}

async fn enter(sandbox: &Sandbox, code: &str) -> (u16, serde_json::Value) {
    let typed = json!({ "phone": PHONE, "code": code });
    sandbox.post("/admin/mock-phone/enter-code", typed).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_typed_code_links_the_client() {
    let sandbox = Sandbox::start().await;
    let mut client = sandbox.client("Ann").await;
    client.qr().await;
    let code = code(&client).await;
    let (status, linked) = enter(&sandbox, &code).await;
    assert_eq!(status, 200, "{linked}");
    assert_eq!(linked["phone"], PHONE);
    client.wait("connected", |event| matches!(event, Event::Connected(_))).await;
    let own = client.client.pn().expect("linked");
    assert_eq!(own.user.as_str(), PHONE);
    client.stop().await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_code_links_nothing_and_the_right_one_still_does() {
    let sandbox = Sandbox::start().await;
    let mut client = sandbox.client("Ann").await;
    client.qr().await;
    assert_eq!(enter(&sandbox, "12345678").await.0, 404);
    let code = code(&client).await;
    let wrong = if code == "11111111" { "22222222" } else { "11111111" };
    assert_eq!(enter(&sandbox, wrong).await.0, 422);
    assert_eq!(sandbox.stats().await["devices"], 0);
    let (status, linked) = enter(&sandbox, &code).await;
    assert_eq!(status, 200, "{linked}");
    client.wait("connected", |event| matches!(event, Event::Connected(_))).await;
    client.stop().await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_code_is_an_error_and_a_retired_one_is_told() {
    let sandbox = Sandbox::start().await;
    let mut client = sandbox.client("Ann").await;
    client.qr().await;
    sandbox.fault(json!({ "target": "*", "fault": "refuse-code", "code": 429 })).await;
    let options = PairCodeOptions { phone_number: PHONE.to_owned(), ..PairCodeOptions::default() };
    client.client.pair_with_code(options).await.expect_err("refused");
    client.wait("an error", |event| matches!(event, Event::PairingCodeError(_))).await;
    code(&client).await;
    sandbox.fault(json!({ "target": PHONE, "fault": "refresh-code" })).await;
    client.wait("a refresh", |event| matches!(event, Event::PairingCodeRefresh(_))).await;
    client.stop().await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_expires() {
    let sandbox = Sandbox::start().await;
    let mut client = sandbox.client("Ann").await;
    client.qr().await;
    let code = code(&client).await;
    assert_eq!(sandbox.post("/admin/clock", json!({ "advance": 200 })).await.0, 200);
    assert_eq!(enter(&sandbox, &code).await.0, 404);
    client.stop().await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_survives_a_passkey_challenge() {
    let sandbox = Sandbox::start().await;
    let mut client = sandbox.client("Ann").await;
    let qr = client.qr().await;
    sandbox.fault(json!({ "target": "Ann", "fault": "passkey" })).await;
    client.wait("a challenge", |event| matches!(event, Event::PairPasskeyRequest(_))).await;
    assert_eq!(sandbox.scan(&qr, None).await.0, 200);
    client.wait("connected", |event| matches!(event, Event::Connected(_))).await;
    client.stop().await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_guessed_three_times_and_then_a_new_one_is_needed() {
    let sandbox = Sandbox::start().await;
    let mut client = sandbox.client("Ann").await;
    client.qr().await;
    let shown = code(&client).await;
    for guess in ["11111111", "22222222", "33333333"] {
        assert_eq!(enter(&sandbox, guess).await.0, 422, "{guess}");
    }
    assert_eq!(enter(&sandbox, &shown).await.0, 429, "the right one comes too late");
    let mut other = sandbox.client("Ann").await;
    other.qr().await;
    let (status, linked) = enter(&sandbox, &code(&other).await).await;
    assert_eq!(status, 200, "{linked}");
    other.wait("connected", |event| matches!(event, Event::Connected(_))).await;
    for client in [client, other] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_gets_so_many_codes_and_more_after_a_while() {
    let sandbox = Sandbox::start().await;
    for _ in 0..10 {
        let mut asking = sandbox.client("Ann").await;
        asking.qr().await;
        code(&asking).await;
        asking.stop().await;
    }
    let mut client = sandbox.client("Ann").await;
    client.qr().await;
    let options = PairCodeOptions { phone_number: PHONE.to_owned(), ..PairCodeOptions::default() };
    client.client.pair_with_code(options).await.expect_err("too many");
    client.wait("an error", |event| matches!(event, Event::PairingCodeError(_))).await;
    assert_eq!(sandbox.post("/admin/clock", json!({ "advance": 601 })).await.0, 200);
    let shown = code(&client).await;
    assert_eq!(enter(&sandbox, &shown).await.0, 200);
    client.wait("connected", |event| matches!(event, Event::Connected(_))).await;
    client.stop().await;
    sandbox.stop().await;
}
