//! Customers do not wait until they are answered.

use super::{Shop, question};
use serde_json::json;

#[tokio::test]
async fn what_is_written_while_an_answer_is_composed_is_answered_next() {
    let shop = Shop::open(json!({})).await;
    shop.server
        .script("chat", json!([{ "delayMs": 1500, "text": "At nine." }, { "text": "Yes, two." }]))
        .await;
    shop.writes(json!({ "text": "When do you open?" })).await;
    shop.until_asked(1).await;
    shop.writes(json!({ "text": "And have you got rye bread?" })).await;
    assert_eq!(shop.got(2).await, ["At nine.", "Yes, two."]);
    let asked = shop.server.asked("chat").await;
    let said: Vec<&str> = asked[1]["messages"]
        .as_array()
        .expect("messages")
        .iter()
        .skip(1)
        .filter_map(|one| one["content"].as_str())
        .collect();
    assert_eq!(said, ["When do you open?", "At nine.", "And have you got rye bread?"]);
    assert_eq!(question(&asked[1]), "And have you got rye bread?");
    shop.server.stop().await;
}

#[tokio::test]
async fn a_voice_note_that_is_not_understood_does_not_swallow_the_text_before_it() {
    let shop = Shop::open(json!({
        "processVoiceMessages": false, "voiceMessageDefaultResponse": "Please write.",
        "pacing": { "debounceMs": 1500 },
    }))
    .await;
    shop.server.script("chat", json!([{ "text": "At nine; and please write." }])).await;
    shop.writes(json!({ "text": "When do you open?" })).await;
    shop.writes(json!({ "voice": { "text": "and on sundays?" } })).await;
    assert_eq!(shop.got(1).await, ["At nine; and please write."]);
    let asked = question(&shop.server.asked("chat").await[0]);
    assert_eq!(asked, "When do you open?\n(a voice message, not understood)");
    shop.server.stop().await;
}
