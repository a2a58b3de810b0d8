//! What every answer has: health, headers, request ids, the two faces of `/`.

use crate::harness::{TestServer, answer, header};
use reqwest::{Method, StatusCode};

#[tokio::test]
async fn health_and_readiness_need_no_key() {
    let server = TestServer::start().await;
    for path in ["/healthz", "/readyz"] {
        let (status, body) = answer(server.plain(Method::GET, path)).await;
        assert_eq!(status, StatusCode::OK, "{path} {body}");
    }
    server.stop().await;
}

#[tokio::test]
async fn programs_are_welcomed_as_by_evolution_and_browsers_sent_to_sign_in() {
    let server = TestServer::start().await;
    let (status, welcome) = answer(server.plain(Method::GET, "/").header("accept", "*/*")).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(welcome["message"], "Welcome to the Evolution API, it is working!");
    assert_eq!(welcome["version"], "2.3.7");
    assert_eq!(welcome["clientName"], "flowcore");
    let page = server.plain(Method::GET, "/").header("accept", "text/html,*/*;q=0.8");
    let page = page.send().await.expect("an answer");
    assert_eq!(page.status(), StatusCode::SEE_OTHER);
    assert_eq!(header(&page, "location"), Some("/login"));
    server.stop().await;
}

#[tokio::test]
async fn every_answer_has_its_safety_headers_and_an_id() {
    let server = TestServer::start().await;
    for path in
        ["/login", "/healthz", "/nowhere", "/api/whatsapp/instances", "/assets/flowcore.css"]
    {
        let response = server.plain(Method::GET, path).send().await.expect("an answer");
        let policy = header(&response, "content-security-policy").expect("a policy");
        assert!(policy.starts_with("default-src 'self'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(header(&response, "x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(header(&response, "x-frame-options"), Some("DENY"), "{path}");
        assert!(header(&response, "x-request-id").is_some_and(|id| id.len() == 16), "{path}");
    }
    let own = server.plain(Method::GET, "/nowhere").header("x-request-id", "my-request-1");
    let response = own.send().await.expect("an answer");
    assert_eq!(header(&response, "x-request-id"), Some("my-request-1"));
    let body: serde_json::Value = response.json().await.expect("JSON");
    assert_eq!(body["requestId"], "my-request-1");
    assert_eq!(body["instance"], "/nowhere");
    server.stop().await;
}

#[tokio::test]
async fn an_asset_is_sent_again_only_when_it_changed() {
    let server = TestServer::start().await;
    let path = "/assets/flowcore.js";
    let first = server.plain(Method::GET, path).send().await.expect("an answer");
    assert!(header(&first, "content-type").is_some_and(|kind| kind.contains("javascript")));
    let tag = header(&first, "etag").expect("a tag").to_owned();
    let again = server.plain(Method::GET, path).header("if-none-match", &tag);
    let again = again.send().await.expect("an answer");
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    server.stop().await;
}
