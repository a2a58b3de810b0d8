//! How many codes are shown before nobody is asked to scan any more.

use super::{create, get, post};
use crate::harness::{TestServer, text};
use crate::webhooks::Receiver;
use reqwest::StatusCode;
use serde_json::{Value, json};

/// The next event that is about a code, or that says that there are no more.
async fn next_code(receiver: &mut Receiver) -> Value {
    loop {
        let event = receiver.next().await;
        if event["event"] == "qrcode.updated" {
            return event["data"].clone();
        }
    }
}

/// Each new connection of a number that waits for a phone brings a new code: a line that breaks stands for the
/// minute that a code has.
#[tokio::test]
async fn no_more_are_shown_than_the_operator_allows() {
    let server = TestServer::start_with(|config| config.evolution.linking.codes = Some(2)).await;
    let mut receiver = Receiver::start().await;
    create(&server, "shop").await;
    let hook = json!({
        "url": receiver.url(), "enabled": true, "events": ["QRCODE_UPDATED", "CONNECTION_UPDATE"],
    });
    let (status, _) = post(&server, "/webhook/set/shop", hook).await;
    assert_eq!(status, StatusCode::CREATED);
    let (_, shown) = get(&server, "/instance/connect/shop").await;
    assert_eq!(next_code(&mut receiver).await["qrcode"]["code"], shown["code"]);
    let broken = json!({ "target": "*", "fault": "drop" });
    assert_eq!(server.phones("/admin/faults", broken.clone()).await["struck"], 1);
    let second = next_code(&mut receiver).await;
    assert_ne!(second["qrcode"]["code"], shown["code"]);
    assert!(text(&second["qrcode"]["code"]).starts_with("2@"), "{second}");
    assert_eq!(server.phones("/admin/faults", broken).await["struck"], 1);
    let last = next_code(&mut receiver).await;
    let said = json!({ "message": "QR code limit reached, please login again", "statusCode": 500 });
    assert_eq!(last, said);
    server.until_status("shop", "disconnected").await;
    let (_, state) = get(&server, "/instance/connectionState/shop").await;
    assert_eq!(state["instance"]["state"], "close");
    let (status, again) = get(&server, "/instance/connect/shop").await;
    assert_eq!((status, &again["count"]), (StatusCode::OK, &json!(1)), "who asks begins anew");
    receiver.stop().await;
    server.stop().await;
}
