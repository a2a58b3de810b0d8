//! Linking by QR, login, and the ends of both.

use std::time::Duration;

use flowcore_simulator::NetworkConfig;
use serde_json::json;
use wacore::types::events::Event;

use crate::harness::Sandbox;

#[tokio::test(flavor = "multi_thread")]
async fn a_scanned_client_is_linked_and_connected() {
    let sandbox = Sandbox::start().await;
    let mut client = sandbox.client("ann").await;
    let qr = client.qr().await;
    let (code, scanned) = sandbox.scan(&qr, Some("4915112345678")).await;
    assert_eq!(code, 200, "{scanned}");
    assert_eq!(scanned["phone"], "4915112345678");
    assert_eq!(scanned["jid"], "4915112345678:33@s.whatsapp.net");
    client.wait("pair success", |event| matches!(event, Event::PairSuccess(_))).await;
    client.wait("connected", |event| matches!(event, Event::Connected(_))).await;
    let stats = sandbox.until("online", |stats| stats["online"] == 1).await;
    assert_eq!(stats["devices"], 1);
    client.stop().await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_push_name_is_the_same_account_with_another_device() {
    let sandbox = Sandbox::start().await;
    let first = sandbox.linked("ann").await;
    let second = sandbox.linked("ann").await;
    let other = sandbox.linked("bob").await;
    assert_eq!(first.phone, second.phone);
    assert_ne!(first.phone, other.phone);
    for client in [first, second, other] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_login_is_xx_and_a_reconnect_is_ik() {
    let sandbox = Sandbox::start().await;
    let mut client = sandbox.linked("ann").await;
    let resumed = |stats: &serde_json::Value| stats["handshakes"]["ik"].as_u64().unwrap_or(0);
    let before = sandbox.stats().await;
    // The registration and the first login.
    assert_eq!(before["handshakes"]["xx"], 2, "{before}");
    client.client.reconnect_immediately().await;
    client.wait("connected again", |event| matches!(event, Event::Connected(_))).await;
    let after = sandbox.stats().await;
    assert!(resumed(&after) > resumed(&before), "{after}");
    assert_eq!(after["handshakes"]["xx"], 2, "{after}");
    client.stop().await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_resume_falls_back_to_xx() {
    let sandbox = Sandbox::start().await;
    let mut client = sandbox.linked("ann").await;
    sandbox.fault(json!({ "target": "*", "fault": "refuse-resume", "count": 1 })).await;
    client.client.reconnect_immediately().await;
    client.wait("connected again", |event| matches!(event, Event::Connected(_))).await;
    let stats = sandbox.stats().await;
    assert_eq!(stats["handshakes"]["xxFallback"], 1, "{stats}");
    client.stop().await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_is_no_code_and_an_unknown_code_are_refused() {
    let sandbox = Sandbox::start().await;
    let mut client = sandbox.client("ann").await;
    let qr = client.qr().await;
    assert_eq!(sandbox.scan("hello", None).await.0, 400);
    let foreign = qr.replacen("2@", "2@x", 1);
    assert_eq!(sandbox.scan(&foreign, None).await.0, 404);
    let mut fields: Vec<&str> = qr.split(',').collect();
    fields.swap(1, 2);
    assert_eq!(sandbox.scan(&fields.join(","), None).await.0, 400);
    client.stop().await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_code_cannot_be_scanned() {
    let config = NetworkConfig { first_qr: Duration::ZERO, ..NetworkConfig::default() };
    let sandbox = Sandbox::with(config).await;
    let mut client = sandbox.client("ann").await;
    let qr = client.qr().await;
    assert_eq!(sandbox.scan(&qr, None).await.0, 404);
    client.stop().await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_refresh_gives_a_new_secret_for_the_same_reference() {
    let sandbox = Sandbox::start().await;
    let mut client = sandbox.client("ann").await;
    let first = client.qr().await;
    sandbox.fault(json!({ "target": "*", "fault": "companion-reg-refresh" })).await;
    let second = client.qr().await;
    let field = |qr: &str, index: usize| qr.split(',').nth(index).map(ToOwned::to_owned);
    assert_eq!(field(&first, 0), field(&second, 0));
    assert_ne!(field(&first, 3), field(&second, 3));
    let (status, scanned) = sandbox.scan(&second, None).await;
    assert_eq!(status, 200, "{scanned}");
    client.wait("connected", |event| matches!(event, Event::Connected(_))).await;
    client.stop().await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_unlinked_on_the_phone_is_logged_out_for_good() {
    let sandbox = Sandbox::start().await;
    let mut client = sandbox.linked("ann").await;
    let path = format!("/admin/mock-phone/{}/unlink", client.phone);
    let (status, body) = sandbox.post(&path, json!({})).await;
    assert_eq!(status, 200, "{body}");
    client.wait("logged out", |event| matches!(event, Event::LoggedOut(_))).await;
    assert_eq!(sandbox.stats().await["devices"], 0);
    client.stop().await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_logs_out_is_removed() {
    let sandbox = Sandbox::start().await;
    let client = sandbox.linked("ann").await;
    client.client.logout().await;
    sandbox.until("the device is gone", |stats| stats["devices"] == 0).await;
    client.stop().await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_another_key_is_found_out_and_then_resumed() {
    let sandbox = Sandbox::start().await;
    let mut client = sandbox.linked("ann").await;
    let count = |stats: &serde_json::Value, how: &str| stats["handshakes"][how].as_u64();
    let again = async |client: &mut crate::harness::TestClient| {
        client.skip_past();
        client.client.reconnect_immediately().await;
        client.wait("connected again", |event| matches!(event, Event::Connected(_))).await;
        sandbox.stats().await
    };
    let before = again(&mut client).await;
    assert!(count(&before, "ik").is_some(), "{before}");
    sandbox.fault(json!({ "target": "*", "fault": "server-key" })).await;
    let fallen_back = again(&mut client).await;
    assert_eq!(count(&fallen_back, "xxFallback"), Some(1), "{fallen_back}");
    let after = again(&mut client).await;
    assert!(count(&after, "ik") > count(&before, "ik"), "{after}");
    assert_eq!(count(&after, "xxFallback"), Some(1), "{after}");
    client.stop().await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_was_shown_an_ended_certificate_does_not_resume_by_it() {
    let sandbox = Sandbox::start().await;
    let ended = json!({ "target": "*", "fault": "expired-certificate", "seconds": 600 });
    sandbox.fault(ended).await;
    let mut client = sandbox.linked("ann").await;
    client.skip_past();
    client.client.reconnect_immediately().await;
    client.wait("connected again", |event| matches!(event, Event::Connected(_))).await;
    let stats = sandbox.stats().await;
    assert!(stats["handshakes"]["ik"].is_null(), "it looks at the whole chain each time: {stats}");
    client.stop().await;
    sandbox.stop().await;
}
