//! A disk that takes nothing more: said on `/readyz`, nothing is acknowledged, and all is well again
//! when there is room, without a restart.

use crate::network::Phones;
use crate::product::{DEADLINE, Product};
use crate::receiver::Receiver;
use rustix::process::{Resource, Rlimit, prlimit};
use serde_json::json;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_stored_is_not_acknowledged_and_arrives_when_there_is_room() {
    let phones = Phones::start().await;
    let ana = phones.contact("Ana").await;
    let data = tempfile::tempdir().expect("a directory");
    let receiver = Receiver::start().await;
    let product = Product::on(&phones.network, data.path(), None).await.expect("it starts");
    let phone = product.link(&phones.network, "shop").await;
    let hook = json!({ "url": receiver.url, "events": ["messages.upsert"] });
    product.post("/api/instances/shop/webhooks", &hook).await.expect("a webhook");
    phones.write(&ana, &phone, "before").await;
    let has = |text: &'static str| {
        move |receiver: &Receiver| receiver.messages().iter().any(|(_, got)| got == text)
    };
    assert!(receiver.until(DEADLINE, has("before")).await, "the line works");

    let send = json!({ "instanceName": "shop", "number": ana, "message": "an offer" });
    let (_, offer) = product.post("/api/whatsapp/send", &send).await.expect("an answer");
    let offer = offer["messageId"].as_str().expect("an id").to_owned();

    allow_files_of(&product, Some(4096));
    until_ready(&product, 503).await;
    // What is only told once must not be lost either.
    let read = json!({ "chat": phone, "ids": [offer] });
    phones.post(&format!("/admin/contacts/{ana}/read"), &read).await;
    let id = phones.write(&ana, &phone, "while it was full").await;
    until_reason(&product, "storage").await;
    let send = json!({ "instanceName": "shop", "number": ana, "message": "too much" });
    let (status, body) = product.post("/api/whatsapp/send", &send).await.expect("an answer");
    assert!(matches!(status, 409 | 503), "{status}: {body}");
    let (status, ready) = product.get("/readyz").await.expect("an answer");
    assert_eq!((status, &ready["storage"]), (503, &json!("failed")));
    assert!(!phones.acked_by(&phone).await.contains(&id), "acknowledged and not stored");

    allow_files_of(&product, None);
    until_ready(&product, 200).await;
    assert!(receiver.until(DEADLINE, has("while it was full")).await, "it never came");
    assert!(!receiver.messages().iter().any(|(_, text)| text.is_empty()), "it came decrypted");
    let shown = phones.shown_to(&ana).await;
    let refused = shown.iter().any(|one| one.to_string().contains("too much"));
    assert!(!refused, "what was refused was sent all the same: {shown:?}");
    until_read(&product, &offer).await;
}

/// How large the files of the process may become; the system answers a write beyond it as it does
/// when the disk is full.
fn allow_files_of(product: &Product, bytes: Option<u64>) {
    let limit = Rlimit { current: bytes, maximum: None };
    prlimit(Some(product.pid()), Resource::Fsize, limit).expect("the limit is set");
}

/// Waits until the session has met the disk.
async fn until_reason(product: &Product, wanted: &str) {
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    let wait = async {
        loop {
            let (_, view) = product.get("/api/whatsapp/status/shop").await.expect("an answer");
            if view["instance"]["reason"] == wanted {
                return;
            }
            tick.tick().await;
        }
    };
    tokio::time::timeout(DEADLINE, wait).await.unwrap_or_else(|_| panic!("never for {wanted}"));
}

/// Waits until a message of ours is known to be read.
async fn until_read(product: &Product, id: &str) {
    let path = format!("/api/instances/shop/messages/{id}/trace");
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    let wait = async {
        while product.get(&path).await.expect("an answer").1["message"]["status"] != "READ" {
            tick.tick().await;
        }
    };
    tokio::time::timeout(DEADLINE, wait).await.expect("the receipt was lost");
}

async fn until_ready(product: &Product, wanted: u16) {
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    let wait = async {
        while product.get("/readyz").await.expect("an answer").0 != wanted {
            tick.tick().await;
        }
    };
    tokio::time::timeout(DEADLINE, wait).await.unwrap_or_else(|_| panic!("/readyz never {wanted}"));
}
