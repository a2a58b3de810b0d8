//! Pictures: shown to a model that can see, named to one that can't.

use super::{AI, Shop, question};
use serde_json::{Value, json};

/// The smallest picture: one pixel.
pub(super) const PIXEL: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

pub(super) fn pixel() -> Value {
    json!({ "type": "image", "media": PIXEL, "mimetype": "image/png" })
}

#[tokio::test]
async fn a_model_that_sees_is_shown_the_picture_and_the_words_after_it() {
    let shop = Shop::open(json!({ "seeImages": true, "pacing": { "debounceMs": 1500 } })).await;
    shop.server.script("chat", json!([{ "text": "A rye loaf." }])).await;
    shop.writes(pixel()).await;
    shop.writes(json!({ "text": "What is this?" })).await;
    assert_eq!(shop.got(1).await, ["A rye loaf."]);
    let asked = shop.server.asked("chat").await;
    let parts = &asked[0]["messages"].as_array().expect("messages").last().expect("one")["content"];
    assert_eq!(parts[0]["text"], "(a picture)\nWhat is this?");
    assert_eq!(parts[1]["image_url"]["url"], format!("data:image/png;base64,{PIXEL}"));
    shop.server.stop().await;
}

#[tokio::test]
async fn a_model_that_does_not_see_is_told_so_and_answers_all_the_same() {
    let shop = Shop::open(json!({})).await;
    shop.server.script("chat", json!([{ "text": "I can't see pictures." }])).await;
    shop.writes(pixel()).await;
    assert_eq!(shop.got(1).await, ["I can't see pictures."]);
    let asked = shop.server.asked("chat").await;
    assert_eq!(question(&asked[0]), "(a picture, which you can't see)");

    // One that was said to see, and refuses pictures.
    shop.server.put(AI, json!({ "seeImages": true })).await;
    let refuses = json!([{ "status": 400 }, { "text": "Please describe it." }]);
    shop.server.script("chat", refuses).await;
    shop.writes(pixel()).await;
    assert_eq!(shop.got(2).await[1], "Please describe it.");
    let asked = shop.server.asked("chat").await;
    assert_eq!(question(&asked[2]), "(a picture, which you can't see)");
    shop.server.stop().await;
}
