//! The page with the phones: it is served whole, lets nothing foreign in, and gets what it asks for.

use async_trait::async_trait;
use flowcore_simulator::{CodeSource, WaitingCode};
use reqwest::header::{CONTENT_SECURITY_POLICY, ORIGIN};
use serde_json::json;
use std::sync::Arc;

use crate::harness::Sandbox;

#[tokio::test(flavor = "multi_thread")]
async fn the_page_and_its_parts_come_with_a_strict_policy() {
    let sandbox = Sandbox::start().await;
    let base = sandbox.network.base_url(false);
    for path in
        ["/", "/phones/phones.css", "/phones/phones.js", "/phones/chat.js", "/phones/network.js"]
    {
        let answer = sandbox.http.get(format!("{base}{path}")).send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), 200, "{path}");
        let policy = answer.headers()[CONTENT_SECURITY_POLICY].to_str().expect("text").to_owned();
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        let text = answer.text().await.expect("text");
        assert!(!text.contains(" style=\"") && !text.contains("innerHTML"), "{path}");
    }
    let missing = sandbox.http.get(format!("{base}/phones/other.js")).send().await;
    assert_eq!(missing.expect("an answer").status().as_u16(), 404);
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_documents_every_route() {
    let sandbox = Sandbox::start().await;
    let page = sandbox.http.get(sandbox.network.base_url(false)).send().await.expect("a page");
    let page = page.text().await.expect("text");
    let source = [include_str!("../../src/admin.rs"), include_str!("../../src/model.rs")].concat();
    let mut told = 0;
    for route in source.split(".route(").skip(1) {
        let path = route.split('"').nth(1).expect("a route has a path");
        if !path.starts_with("/admin/") && !path.starts_with("/model/") {
            continue;
        }
        for (call, method) in [("get(", "GET"), ("post(", "POST")] {
            let route = route.split(".merge(").next().unwrap_or_default();
            if route.contains(call) {
                let documented = format!("<code>{method} {path}</code>");
                assert!(page.contains(&documented), "the page does not tell of {method} {path}");
                told += 1;
            }
        }
    }
    assert!(told > 30, "the routes were not found: {told}");
    sandbox.stop().await;
}

/// `HalfOpen` is asked for as `half-open`.
fn kebab(variant: &str) -> String {
    let mut name = String::new();
    for letter in variant.chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_documents_every_fault() {
    let sandbox = Sandbox::start().await;
    let page = sandbox.http.get(sandbox.network.base_url(false)).send().await.expect("a page");
    let page = page.text().await.expect("text");
    let source = include_str!("../../src/admin/faults.rs");
    let names = source.split("enum FaultName {").nth(1).and_then(|rest| rest.split('}').next());
    let names = names.expect("the faults' names").lines().map(str::trim);
    for variant in names.filter(|line| line.ends_with(',')) {
        let name = match variant.trim_end_matches(',') {
            "MediaGone" => "media-410".to_owned(),
            variant => kebab(variant),
        };
        assert!(page.contains(&format!("<code>{name}</code>")), "the page does not tell of {name}");
    }
    sandbox.stop().await;
}

struct Fixed;

#[async_trait]
impl CodeSource for Fixed {
    async fn waiting(&self) -> Vec<WaitingCode> {
        vec![WaitingCode { name: "shop".to_owned(), qr: "2@abc".to_owned() }]
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn phones_people_and_waiting_codes_are_listed() {
    let sandbox = Sandbox::start().await;
    let ann = sandbox.linked("Ann").await;
    let carl = sandbox.contact("Carl").await;
    let mut waiting = sandbox.client("Dora").await;
    waiting.qr().await;
    let phones = sandbox.get("/admin/mock-phone").await;
    assert_eq!(phones["phones"][0]["phone"], json!(ann.phone));
    assert_eq!(phones["phones"][0]["devices"][0]["online"], true);
    assert_eq!(phones["phones"].as_array().map(Vec::len), Some(1));
    let people = sandbox.get("/admin/contacts").await;
    assert_eq!(people["contacts"][0]["phone"], json!(carl));
    let codes = sandbox.get("/admin/mock-phone/waiting").await;
    assert_eq!(codes, json!({ "codes": [], "clients": ["Dora"] }));
    sandbox.network.offer_codes(Arc::new(Fixed));
    let codes = sandbox.get("/admin/mock-phone/waiting").await;
    assert_eq!(codes["codes"], json!([{ "name": "shop", "qr": "2@abc" }]));
    for client in [ann, waiting] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_sites_may_not_drive_the_phones() {
    let sandbox = Sandbox::start().await;
    let base = sandbox.network.base_url(false);
    for (origin, status) in [("https://example.com", 403), ("null", 403), (base.as_str(), 200)] {
        let answer = sandbox
            .http
            .get(format!("{base}/admin/stats"))
            .header(ORIGIN, origin)
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status().as_u16(), status, "{origin}");
    }
    sandbox.stop().await;
}
