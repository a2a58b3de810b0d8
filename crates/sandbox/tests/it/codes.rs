//! The product's codes on the page with the phones: each is in view there, and one click scans it.

use crate::product::{DEADLINE, Product};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{interval, timeout};

/// Waits until the codes in view are those of these instances, in this order.
async fn in_view(product: &Product, phones: &str, names: &[&str]) -> Vec<Value> {
    let mut tick = interval(Duration::from_millis(50));
    let wait = async {
        loop {
            tick.tick().await;
            let url = format!("{phones}/admin/mock-phone/waiting");
            let answer = product.http.get(url).send().await.expect("an answer");
            let answer: Value = answer.json().await.expect("JSON");
            let codes = answer["codes"].as_array().expect("a list").clone();
            if codes.iter().map(|code| code["name"].as_str()).eq(names.iter().copied().map(Some)) {
                return codes;
            }
        }
    };
    timeout(DEADLINE, wait).await.unwrap_or_else(|_| panic!("{names:?} are never in view"))
}

/// What the page's button does.
async fn click(product: &Product, phones: &str, code: &Value) -> Value {
    let scan = format!("{phones}/admin/mock-phone/scan-qr");
    let text = code["qr"].as_str().expect("a text").to_owned();
    let scanned = product.http.post(scan).body(text).send().await.expect("an answer");
    assert!(scanned.status().is_success(), "{}", scanned.status());
    scanned.json().await.expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_of_the_product_is_in_view_of_the_phones_until_one_click_scans_it() {
    let (product, phones) = Product::with_network().await;
    in_view(&product, &phones, &[]).await;
    let shown = async |name: &str| {
        let asked = json!({ "instanceName": name });
        let (status, body) =
            product.post("/api/whatsapp/connect", &asked).await.expect("an answer");
        assert_eq!(status, 200, "{body}");
        body["qrcode"].clone()
    };
    let shop = shown("shop").await;
    shown("another").await;
    let codes = in_view(&product, &phones, &["another", "shop"]).await;
    assert_eq!(codes[1]["qr"], shop, "the page has the code that the product shows");
    let scanned = click(&product, &phones, &codes[1]).await;
    let view = product.until_status("shop", "connected").await;
    assert_eq!(view["number"], scanned["phone"], "{view}");
    let codes = in_view(&product, &phones, &["another"]).await;
    click(&product, &phones, &codes[0]).await;
    product.until_status("another", "connected").await;
    in_view(&product, &phones, &[]).await;
    assert!(product.terminate().await, "it stops as asked");
}
