//! Vectors: of whom, how far, and what is found by them only.

use super::HOURS;
use crate::harness::{DEADLINE, TestServer, answer, text};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

const EMBEDDER: &str = "/api/documents/embedder";
const REFUNDS: &[u8] =
    b"# Money back\n\nA refund is paid within a week to the card that was used.\n";
/// Asks for refunds, with no word that is in the document.
const ABROAD: &str = "Wie bekomme ich eine Erstattung?";

impl TestServer {
    /// The doubles as an embedder, under the name of that model.
    fn double(&self, provider: &str, model: &str) -> Value {
        let path = if provider == "ollama" { "model" } else { "model/v1" };
        let url = format!("{}/{path}", self.network.base_url(false));
        json!({ "provider": provider, "model": model, "baseUrl": url })
    }

    async fn embed_with(&self, order: Value) -> Value {
        let (status, set) = self.put(EMBEDDER, order).await;
        assert_eq!(status, StatusCode::OK, "{set}");
        assert!(set.get("apiKey").is_none(), "{set}");
        set
    }

    /// Waits until this holds for how far the vectors are.
    async fn until_embedder(&self, holds: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let (_, embedder) = self.get(EMBEDDER).await;
            if holds(&embedder) {
                return embedder;
            }
            assert!(began.elapsed() < DEADLINE, "{embedder}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn until_embedded(&self) -> Value {
        self.until_embedder(|it| it["isActive"] == true && it["embedded"] == it["passages"]).await
    }

    /// What is found for a question, by name of the document.
    async fn names(&self, query: &str) -> Vec<String> {
        let found = self.found(json!({ "query": query })).await;
        found.iter().map(|one| text(&one["documentName"])).collect()
    }
}

#[tokio::test]
async fn what_no_word_leads_to_is_found_by_its_meaning() {
    let server = TestServer::start().await;
    let mut ids = vec![];
    for (name, bytes) in [("hours.md", HOURS), ("refunds.md", REFUNDS)] {
        ids.push(server.document(name, bytes).await);
    }
    for id in &ids {
        assert_eq!(server.until_read(id).await["embedded"], Value::Null);
    }
    let (_, none) = server.get(EMBEDDER).await;
    let fields = (&none["provider"], &none["isActive"], &none["passages"]);
    assert_eq!(fields, (&json!("default"), &json!(false), &json!(2)));
    assert_eq!(server.names(ABROAD).await, [] as [&str; 0]);

    for (provider, model) in [("openai", "m"), ("ollama", "bge")] {
        server.embed_with(server.double(provider, model)).await;
        let done = server.until_embedded().await;
        assert_eq!((&done["embedded"], &done["problem"]), (&json!(2), &Value::Null), "{done}");
        assert_eq!(server.until_read(&ids[0]).await["embedded"], 1);
        assert_eq!(server.names(ABROAD).await[0], "refunds.md");
    }
    let path = format!("/api/documents/{}", ids[1]);
    assert_eq!(answer(server.api(Method::DELETE, &path)).await.0, StatusCode::NO_CONTENT);
    assert_eq!(server.get(EMBEDDER).await.1["embedded"], 1);
    assert!(!server.names(ABROAD).await.contains(&"refunds.md".to_owned()), "deleted is deleted");
    server.embed_with(json!({ "provider": "none" })).await;
    assert_eq!(server.names(ABROAD).await, [] as [&str; 0]);
    server.stop().await;
}

#[tokio::test]
async fn another_embedder_means_all_vectors_anew_also_after_a_restart() {
    let server = TestServer::start().await;
    let id = server.document("hours.md", HOURS).await;
    server.until_read(&id).await;
    server.embed_with(server.double("openai", "first")).await;
    server.until_embedded().await;
    let busy = json!({ "status": 429, "retryAfter": 3 });
    server.script("embeddings", Value::Array(vec![busy; 2])).await;
    let order = server.double("openai", "second");
    let changed = server.embed_with(order.clone()).await;
    assert_eq!((&changed["embedded"], &changed["passages"]), (&json!(0), &json!(1)));
    let failing = server.until_embedder(|it| !it["problem"].is_null()).await;
    assert_eq!(failing["problem"]["code"], "provider_busy");
    // The next start does not know that it was asked to wait: it asks, is refused once more, and then waits.
    let refused = Instant::now();
    let server = server.restarted().await;
    let done = server.until_embedded().await;
    assert!(refused.elapsed() >= Duration::from_secs(3), "Retry-After is honoured");
    assert_eq!((&done["model"], &done["problem"]), (&json!("second"), &Value::Null));
    let asked = server.asked("embeddings").await;
    assert_eq!(asked.last().expect("one")["model"], "second");
    server.stop().await;
}

#[tokio::test]
async fn an_embedder_that_fails_costs_a_question_nothing_but_its_meaning() {
    let server = TestServer::start().await;
    let id = server.document("refunds.md", REFUNDS).await;
    server.until_read(&id).await;
    server.embed_with(server.double("openai", "m")).await;
    server.until_embedded().await;
    for fails in [json!({ "status": 500 }), json!({ "broken": true }), json!({ "drop": true })] {
        // An embedder that failed a moment ago is not waited for again: choosing it once more is a new start.
        server.embed_with(server.double("openai", "m")).await;
        let before = server.asked("embeddings").await.len();
        server.script("embeddings", json!([fails])).await;
        assert_eq!(server.names("when is a refund paid?").await, ["refunds.md"]);
        assert_eq!(server.names(ABROAD).await, [] as [&str; 0], "{fails}");
        assert_eq!(server.asked("embeddings").await.len(), before + 1);
        assert!(!server.get(EMBEDDER).await.1["problem"].is_null());
    }
    server.embed_with(server.double("openai", "m")).await;
    assert_eq!(server.names(ABROAD).await, ["refunds.md"]);
    server.stop().await;
}

#[tokio::test]
async fn embedders_are_the_accounts_own_and_stay_away_from_private_addresses() {
    let server = TestServer::start().await;
    let (_, bob) = server.user("bob", "member", json!({})).await;
    let order = json!({
        "provider": "openai", "model": "m", "baseUrl": "http://10.0.0.1/v1", "apiKey": "k",
    });
    let (status, refused) = server.with(&bob, (Method::PUT, EMBEDDER), order).await;
    assert_eq!(
        (status, &refused["code"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("url_not_allowed"))
    );
    let order = json!({ "provider": "openai" });
    let (status, refused) = server.with(&bob, (Method::PUT, EMBEDDER), order).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(refused["errors"][0]["field"], "model", "{refused}");
    let mut order = server.double("openai", "m");
    order["apiKey"] = "sk-very-secret".into();
    let (_, set) = server.with(&bob, (Method::PUT, EMBEDDER), order).await;
    assert_eq!(set["hasApiKey"], true);
    assert!(!set.to_string().contains("very-secret"));
    assert_eq!(server.get(EMBEDDER).await.1["provider"], "default", "the admin's is another");
    server.stop().await;
}

/// A model that knows two words of the same meaning and one of another.
fn tiny_model(folder: &Path) {
    let vocabulary = json!({ "[UNK]": 0, "refund": 1, "erstattung": 2, "sunday": 3 });
    let model = json!({ "type": "WordPiece", "unk_token": "[UNK]", "vocab": vocabulary });
    let tokenizer = json!({ "normalizer": { "lowercase": true }, "model": model });
    let rows: [[f32; 2]; 4] = [[0.0, 0.0], [1.0, 0.1], [0.9, 0.0], [0.0, 1.0]];
    let data: Vec<u8> = rows.iter().flatten().flat_map(|value| value.to_le_bytes()).collect();
    let tensor = json!({ "dtype": "F32", "shape": [4, 2], "data_offsets": [0, data.len()] });
    let header = json!({ "embeddings": tensor }).to_string();
    let weights = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat();
    std::fs::write(folder.join("tokenizer.json"), tokenizer.to_string()).expect("written");
    std::fs::write(folder.join("model.safetensors"), weights).expect("written");
}

#[tokio::test]
async fn a_model_in_a_folder_of_the_operator_gives_vectors_too() {
    let folder = tempfile::tempdir().expect("a folder");
    tiny_model(folder.path());
    let path = folder.path().to_str().expect("a path").to_owned();
    let server = TestServer::start_with(|config| {
        let config_of = flowcore_server::EmbedderConfig::local(path);
        let embedder = flowcore_server::DefaultEmbedder { config: config_of, key: None };
        config.models.embedder = Some(embedder);
    })
    .await;
    for (name, bytes) in [("hours.md", HOURS), ("refunds.md", REFUNDS)] {
        let id = server.document(name, bytes).await;
        server.until_read(&id).await;
    }
    server.until_embedded().await;
    assert_eq!(server.names(ABROAD).await[0], "refunds.md");
    let order = json!({ "provider": "local", "model": "/etc" });
    let (status, refused) = server.put(EMBEDDER, order).await;
    assert_eq!(
        (status, &refused["errors"][0]["field"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("provider"))
    );
    server.stop().await;
}

#[tokio::test]
async fn the_operators_embedder_is_everybodys_who_chose_none() {
    let server = TestServer::start().await;
    let url = format!("{}/model", server.network.base_url(false));
    let server = server
        .restarted_with(|config| {
            let order = json!({ "provider": "ollama", "model": "m", "baseUrl": url });
            let order = serde_json::from_value(order).expect("an order");
            let config_of = flowcore_server::EmbedderConfig::ordered(&order).expect("it fits");
            let embedder = flowcore_server::DefaultEmbedder { config: config_of, key: None };
            config.models.embedder = Some(embedder);
        })
        .await;
    let id = server.document("refunds.md", REFUNDS).await;
    server.until_read(&id).await;
    server.until_embedded().await;
    assert_eq!(server.names(ABROAD).await, ["refunds.md"]);
    server.stop().await;
}
