//! Anthropic and Gemini, by doubles that insist on what these insist on: streams, refusals, broken answers.

use super::pictures::{PIXEL, pixel};
use super::{AI, Shop};
use crate::harness::text;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

impl Shop {
    /// A shop whose assistant is of that provider.
    async fn of(provider: &str) -> Self {
        let shop = Self::open(json!({ "seeImages": true, "fallbackMessage": "Later." })).await;
        let path = if provider == "anthropic" { "anthropic/v1" } else { "gemini/v1beta" };
        let url = format!("{}/model/{path}", shop.server.network.base_url(false));
        let own = json!({ "provider": provider, "model": "m-1", "baseUrl": url, "apiKey": "key-of-shop" });
        shop.server.put(AI, own).await;
        shop
    }
}

/// The last thing that the model was asked, as its wire has it: the text, and the picture.
fn asked(provider: &str, body: &Value) -> (String, Value) {
    let turns = if provider == "anthropic" { "messages" } else { "contents" };
    let last = body[turns].as_array().expect("turns").last().expect("one").clone();
    let parts = if provider == "anthropic" { &last["content"] } else { &last["parts"] };
    let parts = parts.as_array().cloned().unwrap_or_else(|| vec![json!({ "text": parts })]);
    let words = parts.iter().find_map(|part| part["text"].as_str()).expect("a text");
    let picture = parts.iter().map(|part| match provider {
        "anthropic" => part["source"]["data"].clone(),
        _ => part["inlineData"]["data"].clone(),
    });
    (words.to_owned(), picture.into_iter().find(|data| !data.is_null()).unwrap_or_default())
}

async fn answers_and_survives(provider: &str) {
    let shop = Shop::of(provider).await;
    let told = shop.server.post(&format!("{AI}/check"), json!({})).await.1;
    assert_eq!(told["ok"], true, "{told}");
    let busy = json!({ "status": 429, "retryAfter": 1 });
    let nine = json!({ "text": "At *nine*, as always." });
    shop.server.script("chat", json!([busy, { "broken": true, "text": "half of it" }, nine])).await;
    let began = Instant::now();
    shop.writes(json!({ "text": "When do you open?" })).await;
    assert_eq!(shop.got(1).await, ["At *nine*, as always."]);
    assert!(began.elapsed() >= Duration::from_secs(1), "Retry-After is honoured");
    let bodies = shop.server.asked("chat").await;
    let last = bodies.last().expect("one");
    assert_eq!(asked(provider, last).0, "When do you open?");
    let system = if provider == "anthropic" { &last["system"] } else { &last["systemInstruction"] };
    assert!(system.to_string().contains("You are Ana of the bakery."), "{system}");
    let spent = shop.server.get(AI).await.1["spentThisMonth"].as_f64();
    assert!(spent > Some(0.0), "tokens are told and counted");

    shop.server.script("chat", json!([{ "text": "A loaf." }])).await;
    shop.writes(pixel()).await;
    assert_eq!(shop.got(2).await[1], "A loaf.");
    let bodies = shop.server.asked("chat").await;
    assert_eq!(asked(provider, bodies.last().expect("one")).1, PIXEL);

    let drops = json!({ "drop": true, "text": "never heard to the end" });
    shop.server.script("chat", Value::Array(vec![drops; 6])).await;
    shop.writes(json!({ "text": "And on Sundays?" })).await;
    assert_eq!(shop.got(3).await[2], "Later.");
    shop.server.put(AI, json!({ "apiKey": null })).await;
    let told = shop.server.post(&format!("{AI}/check"), json!({})).await.1;
    assert_eq!(text(&told["problem"]["code"]), "provider_key_refused");
    shop.server.stop().await;
}

#[tokio::test]
async fn anthropics_wire_is_spoken_through_failures() {
    answers_and_survives("anthropic").await;
}

#[tokio::test]
async fn geminis_wire_is_spoken_through_failures() {
    answers_and_survives("gemini").await;
}

#[tokio::test]
async fn a_provider_that_says_nothing_is_left_and_asked_again() {
    let shop = Shop::of("anthropic").await;
    // Longer than anybody is waited for.
    let silent = json!({ "delayMs": 60_000, "text": "too late" });
    shop.server.script("chat", json!([silent, { "text": "here I am" }])).await;
    shop.writes(json!({ "text": "Hello?" })).await;
    shop.until_asked(1).await;
    let began = Instant::now();
    while shop.received(10).await.is_empty() {
        assert!(began.elapsed() < Duration::from_secs(58), "not asked again");
    }
    assert_eq!(shop.got(1).await, ["here I am"]);
    shop.server.stop().await;
}
