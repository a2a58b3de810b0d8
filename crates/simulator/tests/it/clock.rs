//! Time that is moved: what expires by it, and what stanzas say.

use std::time::Duration;

use flowcore_simulator::NetworkConfig;
use serde_json::json;
use wacore::types::events::Event;

use crate::harness::Sandbox;

#[tokio::test(flavor = "multi_thread")]
async fn a_code_runs_out_when_time_is_moved() {
    let sandbox = Sandbox::start().await;
    let mut client = sandbox.client("Ann").await;
    let first = client.qr().await;
    let (status, moved) = sandbox.post("/admin/clock", json!({ "advance": 61 })).await;
    assert_eq!(status, 200, "{moved}");
    assert_eq!(moved["ahead"], 61.0);
    assert_eq!(sandbox.scan(&first, None).await.0, 404);
    assert_eq!(sandbox.post("/admin/clock", json!({ "advance": -1 })).await.0, 422);
    client.stop().await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_carry_the_moved_time() {
    let year = Duration::from_secs(365 * 86_400);
    let config = NetworkConfig { clock_ahead: year, ..NetworkConfig::default() };
    let sandbox = Sandbox::with(config).await;
    let still = Sandbox::start().await;
    let ahead = sandbox.get("/admin/clock").await["now"].as_u64().expect("seconds");
    let real = still.get("/admin/clock").await["now"].as_u64().expect("seconds");
    assert!(ahead >= real + year.as_secs() - 5, "{ahead} {real}");
    let mut ann = sandbox.linked("Ann").await;
    let phone = sandbox.contact("Carl").await;
    let body = json!({ "to": ann.phone, "text": "from the future" });
    sandbox.post(&format!("/admin/contacts/{phone}/messages"), body).await;
    let event = ann.wait("a message", |event| matches!(event, Event::Messages(_))).await;
    let Event::Messages(batch) = &*event else { unreachable!("matched above") };
    let newest = batch.iter().map(|message| message.info.timestamp.timestamp()).max();
    assert!(newest >= i64::try_from(ahead).ok(), "{newest:?} {ahead}");
    ann.stop().await;
    sandbox.stop().await;
    still.stop().await;
}
