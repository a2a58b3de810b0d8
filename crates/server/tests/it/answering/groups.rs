//! Groups: the assistant speaks when it is spoken to.

use super::Shop;
use serde_json::json;

#[tokio::test]
async fn in_a_group_it_answers_who_mentions_it_or_replies_to_it_and_nobody_else() {
    let shop = Shop::open(json!({ "groups": true })).await;
    let path = format!("/admin/contacts/{}/groups", shop.customer);
    let group = json!({ "subject": "Bread", "participants": [shop.number] });
    let group = shop.server.phones(&path, group).await["jid"].clone();
    shop.server
        .script("chat", json!([{ "text": "We open at nine." }, { "text": "On Sundays at ten." }]))
        .await;
    let write = async |message: serde_json::Value| {
        let mut message = message;
        message["to"] = group.clone();
        let path = format!("/admin/contacts/{}/messages", shop.customer);
        shop.server.phones(&path, message).await;
    };
    write(json!({ "text": "Who wants bread?" })).await;
    write(json!({ "text": format!("@{} when do you open?", shop.number) })).await;
    write(json!({ "text": "I want some." })).await;
    assert_eq!(shop.got(1).await, ["We open at nine."]);
    let url = shop.server.network.base_url(false);
    let url = format!("{url}/admin/contacts/{}/messages?wait=0", shop.customer);
    let (_, all) = crate::harness::answer(shop.server.http.get(url)).await;
    let all = all["messages"].as_array().expect("messages").clone();
    let ours = all.iter().find(|one| one["text"] == "We open at nine.").expect("our answer");
    write(json!({ "text": "And on Sundays?", "quote": ours["id"] })).await;
    assert_eq!(shop.got(2).await[1], "On Sundays at ten.");
    write(json!({ "text": "Thanks, all." })).await;
    assert_eq!(shop.received(3).await.len(), 2);
    assert_eq!(shop.server.asked("chat").await.len(), 2);
    shop.server.stop().await;
}
