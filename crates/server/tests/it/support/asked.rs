//! What keywords can't decide, over the messages of `bench/kb`: the model does. The double says what the labels
//! say, so what is measured is the way from a model's word to a person, not a model.

use super::{hire, until, writes};
use crate::harness::{TestServer, answer, text};
use reqwest::Method;
use serde_json::{Value, json};
use std::path::Path;

fn lines(name: &str) -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bench/kb");
    let all = std::fs::read_to_string(folder.join(name)).expect("the set");
    all.lines().map(|line| serde_json::from_str(line).expect("a line")).collect()
}

#[tokio::test]
async fn who_asks_for_a_person_without_a_keyword_gets_one_by_the_model() {
    let server = TestServer::start().await;
    let shop = server.linked("shop").await;
    let support = "/api/instances/shop/support";
    answer(server.api(Method::PUT, support).json(&json!({ "isActive": true }))).await;
    let keywords = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bench/kb/keywords.json"),
    );
    let keywords: Value = serde_json::from_str(&keywords.expect("keywords")).expect("keywords");
    let by_language = keywords.as_object().expect("languages").values();
    for keyword in by_language.flat_map(|all| all.as_array().expect("keywords")) {
        server.post(&format!("{support}/keywords"), json!({ "keyword": keyword })).await;
    }
    hire(&server, json!({})).await;
    let (mut asked, mut reasons) = (0, vec![]);
    let rest = lines("escalation.jsonl").into_iter().filter(|one| one["tag"] == "semantic");
    for one in rest {
        let wanted = one["escalate_semantic"] == true;
        let mark = if wanted { "\n[[person]]" } else { "" };
        server.script("chat", json!([{ "text": format!("One moment.{mark}") }])).await;
        let phone = server.contact("Ana").await;
        writes(&server, &phone, json!({ "to": shop, "text": one["text"] })).await;
        if wanted {
            asked += 1;
            let list = "/api/escalations?status=open&limit=1000";
            let row = until(&server, list, |row| row["contact"]["phone"] == phone.as_str()).await;
            reasons.push(text(&row["reason"]));
        } else {
            super::got(&server, &phone, "One moment.").await;
        }
    }
    assert_eq!(asked, 19, "the set is another");
    assert!(reasons.iter().all(|reason| reason == "asked"), "{reasons:?}");
    let (_, open) = server.get("/api/escalations?limit=1000").await;
    assert_eq!(open["data"].as_array().map(Vec::len), Some(asked), "nobody else was handed over");
    server.stop().await;
}
