//! Whom the product trusts: WhatsApp, and nobody who only speaks its protocol.

use crate::network::Phones;
use crate::product::Product;
use serde_json::json;
use std::process::Command;

async fn refused(over_tls: bool) {
    let phones = Phones::start().await;
    let data = tempfile::tempdir().expect("a directory");
    let product = Product::default_binary(&phones.network.socket_url(over_tls), data.path()).await;
    let asked = json!({ "instanceName": "shop" });
    let (status, body) = product.post("/api/whatsapp/connect", &asked).await.expect("an answer");
    assert_eq!(status, 200, "{body}");
    assert!(body["qrcode"].is_null(), "a code of an untrusted server was shown");
    let view = product.until_status("shop", "disconnected").await;
    assert_eq!(view["reason"], "untrusted_server");
    let (status, _) = product.get("/api/whatsapp/instances").await.expect("the server is up");
    assert_eq!(status, 200);
    assert!(product.terminate().await, "it stops as asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_default_binary_refuses_a_self_signed_certificate() {
    refused(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_default_binary_refuses_a_foreign_noise_chain() {
    refused(false).await;
}

/// The sandbox's own binary accepts the simulator. `flowcore` built together with it must notice at
/// its start that it would too.
#[tokio::test(flavor = "multi_thread")]
async fn a_binary_that_would_trust_anybody_does_not_start() {
    assert!(
        !flowcore_gateway::verifies_certificates(),
        "tests are built together with the simulator; this check would prove nothing otherwise"
    );
    let tainted =
        std::path::Path::new(env!("CARGO_BIN_EXE_flowcore-sandbox")).with_file_name("flowcore");
    assert!(tainted.exists(), "`cargo build --workspace` makes it; scripts/test does that first");
    let data = tempfile::tempdir().expect("a directory");
    let ended = Command::new(tainted).arg("--data-dir").arg(data.path()).output().expect("it runs");
    assert!(!ended.status.success());
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(said.contains("accept anybody as WhatsApp"), "{said}");
}
