//! Configuring an assistant and trying it, with doubles of the providers that behave as these do.

use crate::harness::{TestServer, answer, text};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const AI: &str = "/api/instances/shop/ai";

/// The events of a stream: their names and what they carry.
fn events(body: &str) -> Vec<(String, Value)> {
    let event = |block: &str| {
        let line = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
        let data = serde_json::from_str(line("data: ")?).expect("JSON");
        Some((line("event: ")?.to_owned(), data))
    };
    body.split("\n\n").filter_map(event).collect()
}

fn of<'a>(events: &'a [(String, Value)], name: &str) -> Vec<&'a Value> {
    events.iter().filter(|(kind, _)| kind == name).map(|(_, data)| data).collect()
}

impl TestServer {
    /// An instance that is not linked; enough to configure an assistant.
    pub(crate) async fn shop(&self) {
        let body = json!({ "instanceName": "shop" });
        let (status, answer) = self.post("/api/whatsapp/connect?wait=0", body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> (StatusCode, Value) {
        answer(self.api(Method::PUT, path).json(&body)).await
    }

    /// What a double does next.
    pub(crate) async fn script(&self, double: &str, next: Value) {
        self.phones("/admin/model", json!({ "double": double, "next": next })).await;
    }

    /// What the doubles of one kind were asked.
    pub(crate) async fn asked(&self, double: &str) -> Vec<Value> {
        let url = format!("{}/admin/model/requests", self.network.base_url(false));
        let (_, all) = answer(self.http.get(url)).await;
        let all = all["requests"].as_array().expect("requests").clone();
        all.into_iter()
            .filter(|one| one["double"] == double)
            .map(|one| one["body"].clone())
            .collect()
    }

    async fn rehearse(&self, body: Value) -> Vec<(String, Value)> {
        let response = self.api(Method::POST, &format!("{AI}/test")).json(&body).send().await;
        let response = response.expect("an answer");
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        events(&response.text().await.expect("a stream"))
    }
}

/// A form with a recording and some fields.
fn form(fields: &[(&str, &str)]) -> (String, Vec<u8>) {
    let boundary = "----the-boundary";
    let part = |(name, value): &(&str, &str)| {
        format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        )
    };
    let fields: String = fields.iter().map(part).collect();
    let body = format!(
        "{fields}--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.ogg\"\r\n\
         Content-Type: audio/ogg; codecs=opus\r\n\r\nOggS\r\n--{boundary}--\r\n"
    );
    (format!("multipart/form-data; boundary={boundary}"), body.into_bytes())
}

#[tokio::test]
async fn an_assistant_is_configured_field_by_field_and_its_key_is_never_shown() {
    let server = TestServer::start().await;
    server.shop().await;
    let (status, fresh) = server.get(AI).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!((&fresh["isActive"], &fresh["provider"]), (&json!(false), &json!("default")));
    assert_eq!((&fresh["hasApiKey"], &fresh["problem"]), (&json!(false), &Value::Null));
    let patch = json!({
        "systemPrompt": "Be kind.", "provider": "openai", "model": "gpt", "apiKey": "sk-hush-hush",
        "baseUrl": "http://127.0.0.1:9/v1", "pacing": { "typing": false }, "optOutWords": ["stop"],
    });
    let (status, changed) = server.put(AI, patch).await;
    assert_eq!(status, StatusCode::OK, "{changed}");
    assert_eq!(
        (&changed["hasApiKey"], &changed["pacing"]["typing"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(changed["pacing"]["debounceMs"], fresh["pacing"]["debounceMs"]);
    assert!(!changed.to_string().contains("hush"), "{changed}");
    let (status, on) = server.post(&format!("{AI}/toggle"), json!({ "isActive": true })).await;
    assert_eq!((status, &on["isActive"]), (StatusCode::OK, &json!(true)));
    assert_eq!(on["systemPrompt"], "Be kind.");
    let (status, refused) = server.put(AI, json!({ "temperature": 3 })).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        (&refused["code"], &refused["errors"][0]["field"]),
        (&json!("invalid_assistant"), &json!("temperature"))
    );
    let (status, refused) = server.put(AI, json!({ "temprature": 1 })).await;
    assert_eq!(
        (status, &refused["code"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("invalid_body"))
    );
    for private in ["http://10.0.0.1/v1", "http://[fd00::1]/v1", "http://169.254.169.254/"] {
        let (status, refused) = server.put(AI, json!({ "baseUrl": private })).await;
        assert_eq!(
            (status, &refused["code"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!("url_not_allowed"))
        );
    }
    let (status, _) = server.get("/api/instances/nobody/ai").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    server.stop().await;
}

#[tokio::test]
async fn the_wordings_of_a_prompt_are_kept_compared_and_brought_back() {
    let server = TestServer::start().await;
    server.shop().await;
    for prompt in ["Be kind.\nBe brief.", "Be kind.\nBe funny."] {
        server.put(AI, json!({ "systemPrompt": prompt })).await;
        server.put(AI, json!({ "groups": true })).await;
    }
    let (_, versions) = server.get(&format!("{AI}/versions")).await;
    let data = versions["data"].as_array().expect("versions");
    assert_eq!((data.len(), &data[0]["number"], &data[0]["current"]), (2, &json!(2), &json!(true)));
    let first = text(&data[1]["id"]);
    let (_, version) = server.get(&format!("{AI}/versions/{first}")).await;
    let expected = json!([
        { "change": "same", "text": "Be kind." },
        { "change": "removed", "text": "Be brief." },
        { "change": "added", "text": "Be funny." },
    ]);
    assert_eq!(version["diff"], expected);
    let (status, restored) =
        server.post(&format!("{AI}/versions/{first}/restore"), json!({})).await;
    assert_eq!(
        (status, &restored["systemPrompt"]),
        (StatusCode::OK, &json!("Be kind.\nBe brief."))
    );
    let (status, refused) = server.post(&format!("{AI}/versions/nothing/restore"), json!({})).await;
    assert_eq!((status, &refused["code"]), (StatusCode::NOT_FOUND, &json!("version_not_found")));
    server.stop().await;
}

#[tokio::test]
async fn the_playground_streams_its_trace_and_a_draft_changes_nothing() {
    let server = TestServer::start().await;
    server.shop().await;
    server.put(AI, json!({ "systemPrompt": "You are Ana." })).await;
    server.script("chat", json!([{ "text": "# Hello\n\n**We** open at nine." }])).await;
    let history =
        json!([{ "role": "user", "text": "hi" }, { "role": "assistant", "text": "hello" }]);
    let told = server.rehearse(json!({ "message": "When do you open?", "history": history })).await;
    let kinds: Vec<&str> = told.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds[..3], ["passages", "prompt", "token"], "{kinds:?}");
    assert_eq!(kinds.last(), Some(&"done"));
    let words: String = of(&told, "token").iter().map(|data| text(&data["text"])).collect();
    assert_eq!(words, "# Hello\n\n**We** open at nine.");
    let done = of(&told, "done")[0];
    assert_eq!(done["text"], "*Hello*\n\n*We* open at nine.");
    assert!(done["usage"]["inputTokens"].as_u64() > Some(10), "{done}");
    assert!(done["cost"].as_f64() > Some(0.0) && done["times"]["totalMs"].is_u64(), "{done}");
    let prompt = of(&told, "prompt")[0];
    assert!(text(&prompt["system"]).starts_with("You are Ana."), "{prompt}");
    assert_eq!(prompt["messages"][2], json!({ "role": "user", "text": "When do you open?" }));
    let spent = server.get(AI).await.1["spentThisMonth"].as_f64();
    assert_eq!(spent, done["cost"].as_f64());

    let draft = json!({ "systemPrompt": "You are Bob.", "temperature": 0.9 });
    let body = json!({ "message": "hi", "draft": draft, "compare": true });
    let told = server.rehearse(body).await;
    let prompts = of(&told, "prompt");
    let saved = prompts.iter().find(|data| data["of"] == "saved").expect("the saved one");
    let drafted = prompts.iter().find(|data| data["of"] == "draft").expect("the draft");
    assert!(text(&saved["system"]).starts_with("You are Ana."));
    assert!(text(&drafted["system"]).starts_with("You are Bob."));
    assert_eq!(of(&told, "done").len(), 2);
    assert_eq!(server.get(AI).await.1["systemPrompt"], "You are Ana.");
    server.stop().await;
}

#[tokio::test]
async fn a_provider_that_fails_is_asked_again_and_never_quoted() {
    let server = TestServer::start().await;
    server.shop().await;
    let busy = json!({ "status": 429, "retryAfter": 1 });
    server.script("chat", json!([busy, { "status": 503 }, { "text": "at last" }])).await;
    let began = Instant::now();
    let told = server.rehearse(json!({ "message": "hi" })).await;
    assert_eq!(of(&told, "done")[0]["text"], "at last");
    assert!(began.elapsed() >= Duration::from_secs(1), "Retry-After is honoured");

    for (next, code) in [
        (json!([busy, busy, busy]), "provider_busy"),
        (json!([{ "status": 401 }]), "provider_key_refused"),
        (json!([{ "status": 400 }]), "provider_refused"),
        (json!([{ "status": 429, "retryAfter": 3600 }]), "provider_busy"),
        (json!([{ "text": "half of it", "drop": true }]), "provider_broken"),
        (json!([{ "text": "half of it", "broken": true }]), "provider_broken"),
    ] {
        server.script("chat", next).await;
        let told = server.rehearse(json!({ "message": "hi" })).await;
        let failed = of(&told, "error");
        assert_eq!(failed[0]["code"], code, "{told:?}");
        assert!(!failed[0].to_string().contains("Rate limit reached for requests"));
    }
    server.script("chat", json!([{ "status": 401 }])).await;
    let (status, check) = server.post(&format!("{AI}/check"), json!({})).await;
    assert_eq!((status, &check["ok"]), (StatusCode::OK, &json!(false)));
    assert_eq!(check["problem"]["code"], "provider_key_refused");
    let (_, check) = server.post(&format!("{AI}/check"), json!({})).await;
    assert_eq!((&check["ok"], &check["model"]), (&json!(true), &json!("chat-double")));
    server.stop().await;
}

#[tokio::test]
async fn without_a_provider_it_is_said_what_to_set() {
    let server = TestServer::start_with(|config| config.models = <_>::default()).await;
    server.shop().await;
    let (status, refused) = server.post(&format!("{AI}/test"), json!({ "message": "hi" })).await;
    assert_eq!(
        (status, &refused["code"]),
        (StatusCode::CONFLICT, &json!("assistant_not_configured"))
    );
    assert_eq!(server.get(AI).await.1["problem"]["code"], "assistant_not_configured");
    let own = json!({
        "provider": "openai", "model": "chat-double", "apiKey": "k",
        "baseUrl": format!("{}/model/v1", server.network.base_url(false)),
    });
    assert_eq!(server.put(AI, own).await.0, StatusCode::OK);
    server.script("chat", json!([{ "text": "mine" }])).await;
    let told = server.rehearse(json!({ "message": "hi" })).await;
    assert_eq!(of(&told, "done")[0]["text"], "mine");
    server.stop().await;
}

#[tokio::test]
async fn a_recording_is_transcribed_and_answered() {
    let server = TestServer::start().await;
    server.shop().await;
    server.put(AI, json!({ "defaultVoiceLanguage": "pt" })).await;
    // A server that knows no verbose_json is asked for json.
    server.script("transcriptions", json!([{ "status": 400 }, { "text": "bom dia" }])).await;
    let (kind, body) = form(&[]);
    let request = server.api(Method::POST, &format!("{AI}/transcribe"));
    let (status, heard) = answer(request.header("content-type", kind).body(body)).await;
    assert_eq!((status, &heard["text"]), (StatusCode::OK, &json!("bom dia")), "{heard}");
    let asked = server.asked("transcriptions").await;
    assert_eq!(asked[0]["response_format"], "verbose_json");
    assert_eq!(
        (&asked[1]["response_format"], &asked[1]["language"]),
        (&json!("json"), &json!("pt"))
    );
    assert_eq!(asked[1]["file"]["mimetype"], "audio/ogg");

    server.script("transcriptions", json!([{ "text": "abrem domingo?" }])).await;
    server.script("chat", json!([{ "text": "Sim." }])).await;
    let (kind, body) = form(&[("history", "[{\"role\":\"user\",\"text\":\"oi\"}]")]);
    let request = server.api(Method::POST, &format!("{AI}/test")).header("content-type", kind);
    let told = request.body(body).send().await.expect("an answer").text().await.expect("a stream");
    let told = events(&told);
    assert_eq!(of(&told, "transcript")[0]["text"], "abrem domingo?");
    assert_eq!(of(&told, "transcript")[0]["durationMs"], 1000);
    assert_eq!(of(&told, "prompt")[0]["messages"][0]["text"], "oi\nabrem domingo?");
    assert_eq!(of(&told, "done")[0]["text"], "Sim.");
    server.stop().await;
}

#[tokio::test]
async fn kept_conversations_are_run_again_with_one_call() {
    let server = TestServer::start().await;
    server.shop().await;
    let cases = format!("{AI}/cases");
    let good = json!({ "name": "hours", "message": "When?", "expect": { "contains": ["nine"] } });
    let bad = json!({
        "name": "discount", "message": "Cheaper?", "history": [{ "role": "user", "text": "hi" }],
        "expect": { "notContains": ["Discount"] },
    });
    for case in [&good, &bad] {
        assert_eq!(server.post(&cases, case.clone()).await.0, StatusCode::CREATED);
    }
    let (status, refused) = server.post(&cases, json!({ "message": "" })).await;
    assert_eq!(
        (status, &refused["code"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("empty_message"))
    );
    server.put(AI, json!({ "systemPrompt": "Open from nine. Never say discount" })).await;
    // Asked at the same time: both get the same answer, whichever comes first.
    let both = json!({ "text": "At nine, with a discount." });
    server.script("chat", json!([both, both])).await;
    let (status, run) = server.post(&format!("{cases}/run"), json!({})).await;
    assert_eq!((status, &run["passed"], &run["failed"]), (StatusCode::OK, &json!(1), &json!(1)));
    assert_eq!(run["data"][1]["failures"][0], "the answer has \"Discount\"");
    let (_, list) = server.get(&cases).await;
    assert_eq!(list["data"][0]["lastOutcome"]["passed"], true);
    let id = text(&list["data"][1]["id"]);
    let delete = server.api(Method::DELETE, &format!("{cases}/{id}"));
    assert_eq!(answer(delete).await.0, StatusCode::NO_CONTENT);
    server.stop().await;
}

#[tokio::test]
async fn prompts_are_written_as_often_as_the_month_allows() {
    let server = TestServer::start().await;
    let quotas = json!({ "promptsPerMonth": 2 });
    let (_, anna) = server.user("anna", "member", quotas).await;
    let generate = async |body: Value| {
        server.with(&anna, (Method::POST, "/api/ai/prompts/generate"), body).await
    };
    let about = json!({ "description": "A bakery at the harbour", "language": "English" });
    server.script("chat", json!([{ "text": "You are Ana." }])).await;
    let (status, made) = generate(about.clone()).await;
    assert_eq!(status, StatusCode::OK, "{made}");
    assert_eq!(made, json!({ "prompt": "You are Ana.", "used": 1, "limit": 2 }));
    // One that fails is not counted.
    server.script("chat", json!([{ "status": 400 }])).await;
    let (status, failed) = generate(about.clone()).await;
    assert_eq!((status, &failed["code"]), (StatusCode::BAD_GATEWAY, &json!("provider_refused")));
    assert_eq!(generate(about.clone()).await.1["used"], 2);
    let (status, refused) = generate(about).await;
    assert_eq!((status, &refused["code"]), (StatusCode::FORBIDDEN, &json!("prompt_limit_reached")));
    let (status, _) = generate(json!({ "description": "" })).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    server.stop().await;
}
