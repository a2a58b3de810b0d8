//! Documents over HTTP: sent, read by a child process, found, mapped, deleted; and what hostile files do.

mod embeddings;
mod hostile;

use crate::harness::{ADMIN_KEY, TestServer, answer, text};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Reading is slow without optimisation, and the machine may be busy.
const READ_WITHIN: Duration = Duration::from_secs(240);

const HOURS: &[u8] =
    b"# Bakery\n\n## Opening hours\n\nTuesday to Friday from 7:00 to 18:30.\n\n## Sunday\n\n\
    We bake until noon and close at 12:15.\n";

impl TestServer {
    async fn upload(&self, key: &str, name: &str, bytes: &[u8]) -> (StatusCode, Value) {
        let mut body = format!(
            "--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n"
        )
        .into_bytes();
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n--edge--\r\n");
        let request = self.plain(Method::POST, "/api/documents").header("apikey", key).body(body);
        answer(request.header("content-type", "multipart/form-data; boundary=edge")).await
    }

    /// A document that was taken; its id.
    pub(crate) async fn document(&self, name: &str, bytes: &[u8]) -> String {
        let (status, answer) = self.upload(ADMIN_KEY, name, bytes).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
        assert_eq!((&answer["status"], &answer["name"]), (&json!("queued"), &json!(name)));
        text(&answer["id"])
    }

    /// The document once it is read or failed.
    pub(crate) async fn until_read(&self, id: &str) -> Value {
        let began = Instant::now();
        loop {
            let (status, document) = self.get(&format!("/api/documents/{id}")).await;
            assert_eq!(status, StatusCode::OK, "{document}");
            if document["status"] == "indexed" || document["status"] == "failed" {
                return document;
            }
            assert!(began.elapsed() < READ_WITHIN, "not read in time: {document}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn found(&self, body: Value) -> Vec<Value> {
        let (status, answer) = self.post("/api/documents/search", body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer["passages"].as_array().expect("a list").clone()
    }
}

#[tokio::test]
async fn a_document_is_read_found_mapped_and_gone() {
    let server = TestServer::start().await;
    server.connect("shop").await;
    let hours = server.document("hours.md", HOURS).await;
    let prices =
        server.document("prices.csv", b"article;price\nRye loaf;4.20\nPretzel;0.90\n").await;
    let read = server.until_read(&hours).await;
    assert_eq!((&read["status"], &read["passages"]), (&json!("indexed"), &json!(1)), "{read}");
    server.until_read(&prices).await;

    let found = server.found(json!({ "query": "how much is a pretzle" })).await;
    assert_eq!(found[0]["documentName"], "prices.csv");
    assert_eq!(found[0]["documentId"], json!(prices));
    assert!(text(&found[0]["text"]).contains("Pretzel | 0.90"), "{found:?}");
    let history = json!([
        { "role": "user", "text": "when are you open on friday?" },
        { "role": "assistant", "text": "From 7:00 to 18:30." },
    ]);
    let asked = json!({ "query": "and on sundays?", "history": history, "limit": 1 });
    let found = server.found(asked).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["documentName"], "hours.md");

    let of_shop = json!({ "query": "pretzel price", "instanceName": "shop" });
    assert_eq!(server.found(of_shop.clone()).await, [json!(null); 0]);
    let mapping = format!("/api/instances/shop/documents/{prices}");
    let (status, _) = server.post(&mapping, Value::Null).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(server.found(of_shop.clone()).await.len(), 1);
    let (_, list) = server.get("/api/documents?instanceName=shop").await;
    assert_eq!(list["data"].as_array().map(Vec::len), Some(1), "{list}");
    assert_eq!(server.until_read(&prices).await["instances"], json!(["shop"]));
    let (status, _) = answer(server.api(Method::DELETE, &mapping)).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(server.found(of_shop).await.len(), 0);

    let path = format!("/api/documents/{prices}");
    assert_eq!(answer(server.api(Method::DELETE, &path)).await.0, StatusCode::NO_CONTENT);
    let (status, gone) = server.get(&path).await;
    assert_eq!((status, &gone["code"]), (StatusCode::NOT_FOUND, &json!("document_not_found")));
    let left = server.found(json!({ "query": "pretzel" })).await;
    assert!(left.iter().all(|one| one["documentName"] == "hours.md"), "{left:?}");
    server.stop().await;
}

#[tokio::test]
async fn a_page_is_fetched_through_the_guard() {
    let server = TestServer::start().await;
    let (status, taken) =
        server.post("/api/documents", json!({ "url": server.url("/login") })).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{taken}");
    let read = server.until_read(&text(&taken["id"])).await;
    assert_eq!((&read["status"], &read["name"]), (&json!("indexed"), &json!("login")), "{read}");
    assert!(read["bytes"].as_u64() > Some(0), "{read}");
    let (status, refused) =
        server.post("/api/documents", json!({ "url": "http://10.0.0.1/secret" })).await;
    assert_eq!(
        (status, &refused["code"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("url_not_allowed"))
    );
    let missing = json!({ "url": server.url("/nothing-here") });
    let (_, taken) = server.post("/api/documents", missing).await;
    let failed = server.until_read(&text(&taken["id"])).await;
    assert_eq!(
        (&failed["status"], &failed["reasonCode"]),
        (&json!("failed"), &json!("page_unreachable"))
    );
    server.stop().await;
}

#[tokio::test]
async fn documents_are_their_users_and_within_their_limits() {
    let server = TestServer::start().await;
    server.connect("shop").await;
    let limits = json!({ "documents": 2, "documentBytes": 200 });
    let (_, anna) = server.user("anna", "member", limits).await;
    let (_, bob) = server.user("bob", "member", json!({})).await;
    let (status, mine) = server.upload(&anna, "a.txt", b"We close at nine.").await;
    assert_eq!(status, StatusCode::ACCEPTED, "{mine}");
    let path = format!("/api/documents/{}", text(&mine["id"]));
    for (method, path) in [
        (Method::GET, path.clone()),
        (Method::DELETE, path.clone()),
        (Method::POST, format!("/api/instances/shop/documents/{}", text(&mine["id"]))),
    ] {
        let (status, other) = server.with(&bob, (method, &path), Value::Null).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{other}");
    }
    server.until_read(&text(&mine["id"])).await;
    let search = (Method::POST, "/api/documents/search");
    let asked = json!({ "query": "when do you close" });
    let (_, found) = server.with(&anna, search.clone(), asked.clone()).await;
    assert_eq!(found["passages"].as_array().map(Vec::len), Some(1));
    let (_, found) = server.with(&bob, search, asked).await;
    assert_eq!(found, json!({ "passages": [] }));
    let (status, over) = server.upload(&anna, "b.txt", &[b'a'; 190]).await;
    assert_eq!(
        (status, &over["code"]),
        (StatusCode::FORBIDDEN, &json!("document_bytes_limit_reached"))
    );
    assert_eq!(server.upload(&anna, "b.txt", b"more").await.0, StatusCode::ACCEPTED);
    let (status, over) = server.upload(&anna, "c.txt", b"x").await;
    assert_eq!((status, &over["code"]), (StatusCode::FORBIDDEN, &json!("document_limit_reached")));
    server.stop().await;
}

#[tokio::test]
async fn what_waits_is_read_after_a_restart() {
    let server = TestServer::start().await;
    let mut ids = Vec::new();
    for n in 0..12 {
        ids.push(server.document(&format!("{n}.md"), HOURS).await);
    }
    let TestServer { server: running, network, folder, http } = server;
    running.stop().await;
    let config = crate::harness::config(folder.path(), &network);
    let running = flowcore_server::app::serve(config, flowcore_server::Mark::Sandbox);
    let server = running.await.expect("it starts again");
    let server = TestServer { server, network, http, folder };
    for id in ids {
        assert_eq!(server.until_read(&id).await["status"], "indexed");
    }
    server.stop().await;
}

#[tokio::test]
async fn copies_of_a_file_are_recognised_and_found_once() {
    let server = TestServer::start().await;
    let first = server.document("hours.md", HOURS).await;
    let second = server.document("hours (copy).md", HOURS).await;
    let (_, anna) = server.user("anna", "member", json!({})).await;
    let (_, others) = server.upload(&anna, "hours.md", HOURS).await;
    assert_eq!(others["duplicateOf"], Value::Null, "of another account it says nothing");
    assert_eq!(server.until_read(&first).await["duplicateOf"], Value::Null);
    assert_eq!(server.until_read(&second).await["duplicateOf"], json!(first));
    let found = server.found(json!({ "query": "when do you close on sunday?" })).await;
    assert_eq!(found.len(), 1, "{found:?}");
    server.stop().await;
}
