//! The vendors' doubles, over HTTP as a vendor's client speaks to them.

use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use serde_json::{Value, json};

use crate::harness::Sandbox;

const CHAT: &str = "/model/v1/chat/completions";
const EMBEDDINGS: &str = "/model/v1/embeddings";

fn about_opening_hours() -> Value {
    json!({
        "model": "any",
        "messages": [
            { "role": "system", "content":
                "You are kind.\n\nDelivery takes two days.\n\nThe shop opens at nine on Sundays." },
            { "role": "user", "content": "When does the shop open on Sundays?" },
        ],
    })
}

async fn script(sandbox: &Sandbox, double: &str, next: Value) {
    let body = json!({ "double": double, "next": next });
    assert_eq!(sandbox.post("/admin/model", body).await.0, 200);
}

fn asking(sandbox: &Sandbox, path: &str, body: &Value) -> reqwest::RequestBuilder {
    let url = format!("{}{path}", sandbox.network.base_url(false));
    sandbox.http.post(url).bearer_auth("any key").json(body)
}

async fn raw(sandbox: &Sandbox, path: &str, body: &Value) -> reqwest::Response {
    asking(sandbox, path, body).send().await.expect("an answer")
}

/// The text of a streamed answer, put together.
fn streamed(body: &str) -> String {
    body.lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .filter_map(|data| serde_json::from_str::<Value>(data).ok())
        .filter_map(|event| event["choices"][0]["delta"]["content"].as_str().map(ToOwned::to_owned))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chat_double_answers_from_its_passages_whole_or_streamed() {
    let sandbox = Sandbox::start().await;
    let mut request = about_opening_hours();
    let (status, whole) = sandbox.post(CHAT, request.clone()).await;
    assert_eq!(status, 200);
    let text = "From the passages I was given: The shop opens at nine on Sundays.";
    assert_eq!(whole["choices"][0]["message"]["content"], text);
    assert_eq!(whole["choices"][0]["finish_reason"], "stop");
    assert!(whole["usage"]["total_tokens"].as_u64() > Some(20), "{whole}");
    request["stream"] = json!(true);
    request["stream_options"] = json!({ "include_usage": true });
    let answer = raw(&sandbox, CHAT, &request).await;
    assert_eq!(answer.headers()[CONTENT_TYPE], "text/event-stream");
    let body = answer.text().await.expect("a body");
    assert_eq!(streamed(&body), text);
    assert!(body.ends_with("data: [DONE]\n\n"), "{body}");
    assert!(body.contains("\"total_tokens\""), "{body}");
    request["messages"][1]["content"] = json!("Which burrs fit?");
    request["stream"] = json!(false);
    let (_, other) = sandbox.post(CHAT, request).await;
    let said = other["choices"][0]["message"]["content"].as_str().unwrap_or_default();
    assert!(said.starts_with("The passages I was given say nothing"), "{said}");
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scripted_outcomes_come_in_order_and_requests_are_remembered() {
    let sandbox = Sandbox::start().await;
    let next = json!([
        { "text": "scripted" },
        { "status": 429, "retryAfter": 1 },
        { "broken": true },
        { "drop": true },
        { "delayMs": 20, "text": "late" },
    ]);
    script(&sandbox, "chat", next).await;
    let request = about_opening_hours();
    let (_, first) = sandbox.post(CHAT, request.clone()).await;
    assert_eq!(first["choices"][0]["message"]["content"], "scripted");
    let limited = raw(&sandbox, CHAT, &request).await;
    assert_eq!(limited.status().as_u16(), 429);
    assert_eq!(limited.headers()[RETRY_AFTER], "1");
    let error: Value = limited.json().await.expect("JSON");
    assert!(error["error"]["message"].is_string(), "{error}");
    let broken = raw(&sandbox, CHAT, &request).await;
    assert_eq!(broken.status().as_u16(), 200);
    assert!(broken.json::<Value>().await.is_err());
    assert!(asking(&sandbox, CHAT, &request).send().await.is_err());
    let (_, late) = sandbox.post(CHAT, request.clone()).await;
    assert_eq!(late["choices"][0]["message"]["content"], "late");
    script(&sandbox, "chat", json!([{ "text": "never said" }])).await;
    script(&sandbox, "chat", json!([])).await;
    let (_, own) = sandbox.post(CHAT, request.clone()).await;
    assert_ne!(own["choices"][0]["message"]["content"], "never said");
    let asked = sandbox.get("/admin/model/requests").await;
    assert_eq!(asked["requests"].as_array().map(Vec::len), Some(6));
    assert_eq!(asked["requests"][0], json!({ "double": "chat", "body": request }));
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_can_break_or_drop_in_the_middle() {
    let sandbox = Sandbox::start().await;
    let mut request = about_opening_hours();
    request["stream"] = json!(true);
    script(&sandbox, "chat", json!([{ "broken": true }, { "drop": true }])).await;
    let broken = raw(&sandbox, CHAT, &request).await.text().await.expect("a body");
    assert!(broken.starts_with("data: {") && !broken.contains("[DONE]"), "{broken}");
    let mut dropped = raw(&sandbox, CHAT, &request).await;
    let mut chunks = 0;
    let end = loop {
        match dropped.chunk().await {
            Ok(Some(_)) => chunks += 1,
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    assert!(end.is_err() && chunks > 0, "{chunks} chunks, then {end:?}");
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedder_puts_related_texts_near_each_other() {
    let sandbox = Sandbox::start().await;
    let texts = ["opening hours on Sunday", "hours of opening: Sunday nine", "burr grinders"];
    let (status, answer) = sandbox.post(EMBEDDINGS, json!({ "model": "m", "input": texts })).await;
    assert_eq!(status, 200);
    let vectors: Vec<Vec<f64>> = answer["data"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|item| serde_json::from_value(item["embedding"].clone()).expect("numbers"))
        .collect();
    let near = |a: usize, b: usize| -> f64 {
        vectors[a].iter().zip(&vectors[b]).map(|(x, y)| x * y).sum()
    };
    assert!(near(0, 1) > near(0, 2) + 0.3, "{} {}", near(0, 1), near(0, 2));
    let packed = json!({ "input": "one", "encoding_format": "base64", "dimensions": 8 });
    let (_, packed) = sandbox.post(EMBEDDINGS, packed).await;
    assert_eq!(packed["data"][0]["embedding"].as_str().map(str::len), Some(44));
    assert_eq!(sandbox.post(EMBEDDINGS, json!({ "input": 5 })).await.0, 400);
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_transcriber_takes_a_file_and_a_script() {
    let sandbox = Sandbox::start().await;
    script(&sandbox, "transcriptions", json!([{ "text": "bom dia" }])).await;
    let boundary = "----test";
    let body = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n\
         --{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.ogg\"\r\n\
         Content-Type: audio/ogg\r\n\r\nOggS\r\n--{boundary}--\r\n"
    );
    let url = format!("{}/model/v1/audio/transcriptions", sandbox.network.base_url(false));
    let post = || {
        sandbox
            .http
            .post(&url)
            .header(CONTENT_TYPE, format!("multipart/form-data; boundary={boundary}"))
            .body(body.clone())
    };
    for expected in ["bom dia", ""] {
        let answer = post().send().await.expect("an answer");
        assert_eq!(answer.json::<Value>().await.expect("JSON"), json!({ "text": expected }));
    }
    let asked = sandbox.get("/admin/model/requests").await;
    assert_eq!(asked["requests"][0]["body"]["model"], "whisper-1");
    assert_eq!(asked["requests"][0]["body"]["file"]["bytes"], 4);
    sandbox.stop().await;
}
