//! Bad input, each with its status, its code and a sentence that says what to do.

use crate::harness::{ADMIN_KEY, TestServer, answer, header};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

/// What a caller sees of a problem.
async fn problem(request: RequestBuilder) -> Value {
    let response = request.send().await.expect("an answer");
    assert_eq!(header(&response, "content-type"), Some("application/problem+json"));
    let status = response.status().as_u16();
    let mut body: Value = response.json().await.expect("JSON");
    assert_eq!(body["status"], status);
    let id = body.as_object_mut().and_then(|body| body.remove("requestId"));
    assert!(id.is_some(), "{body}");
    body
}

#[tokio::test]
async fn bad_input_is_told_what_is_wrong() {
    let server = TestServer::start().await;
    let post = |path: &str| server.api(Method::POST, path);
    let connect = || post("/api/whatsapp/connect");
    let send = || post("/api/whatsapp/send");
    connect().json(&json!({ "instanceName": "created" })).send().await.expect("an answer");
    let problems = [
        ("no key", server.plain(Method::GET, "/api/whatsapp/instances")),
        ("unknown instance", server.api(Method::GET, "/api/whatsapp/status/nobody")),
        ("unknown route", server.api(Method::GET, "/api/whatsapp/nowhere")),
        ("wrong method", server.api(Method::GET, "/api/whatsapp/connect")),
        ("bad name", connect().json(&json!({ "instanceName": "-a b" }))),
        ("no name", connect().json(&json!({}))),
        ("name of another type", connect().json(&json!({ "instanceName": 7 }))),
        ("broken JSON", connect().header("content-type", "application/json").body("{\"a\":")),
        ("not JSON", connect().header("content-type", "text/plain").body("{}")),
        ("wait too long", post("/api/whatsapp/connect?wait=61").json(&json!({ "instanceName": "a" }))),
        ("wait no number", post("/api/whatsapp/connect?wait=x").json(&json!({ "instanceName": "a" }))),
        ("number to link", connect().json(&json!({ "instanceName": "a", "number": "5511" }))),
        ("bad status", server.api(Method::GET, "/api/whatsapp/instances?status=open")),
        ("bad limit", server.api(Method::GET, "/api/whatsapp/instances?limit=0")),
        ("bad cursor", server.api(Method::GET, "/api/whatsapp/instances?cursor=%20")),
        (
            "not connected",
            send().json(&json!({ "instanceName": "created", "number": "5511999999999", "message": "x" })),
        ),
        (
            "letters in the number",
            send().json(&json!({ "instanceName": "created", "number": "abc", "message": "x" })),
        ),
        (
            "nothing to send",
            send().json(&json!({ "instanceName": "created", "number": "5511999999999", "message": "" })),
        ),
        (
            "unknown type",
            send().json(&json!({ "instanceName": "created", "number": "1", "message": "", "type": "image" })),
        ),
        ("missing fields", send().json(&json!({ "instanceName": "created" }))),
        ("delete of nobody", server.api(Method::DELETE, "/api/whatsapp/delete/nobody")),
    ];
    let mut seen = Vec::new();
    for (what, request) in problems {
        seen.push(json!({ "case": what, "problem": problem(request).await }));
    }
    insta::assert_json_snapshot!("bad_input", seen);
    server.stop().await;
}

#[tokio::test]
async fn a_wrong_method_names_the_right_ones() {
    let server = TestServer::start().await;
    let request = server.api(Method::GET, "/api/whatsapp/connect");
    let response = request.send().await.expect("an answer");
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(header(&response, "allow"), Some("POST"));
    server.stop().await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_and_one_at_the_limit_is_read() {
    let server = TestServer::start().await;
    let body = |size: usize| {
        let padding = "x".repeat(size - r#"{"instanceName":"-","padding":""}"#.len());
        format!(r#"{{"instanceName":"-","padding":"{padding}"}}"#)
    };
    let request =
        || server.plain(Method::POST, "/api/whatsapp/connect").header("apikey", ADMIN_KEY);
    let (status, problem) = answer(request().body(body(1 << 20))).await;
    assert_eq!(
        (status, problem["code"].as_str()),
        (StatusCode::UNPROCESSABLE_ENTITY, Some("invalid_instance_name"))
    );
    let (status, problem) = answer(request().body(body((1 << 20) + 1))).await;
    assert_eq!(
        (status, problem["code"].as_str()),
        (StatusCode::PAYLOAD_TOO_LARGE, Some("body_too_large"))
    );
    server.stop().await;
}

#[tokio::test]
async fn an_idempotency_key_belongs_to_one_body() {
    let server = TestServer::start().await;
    let connect = |name: &str| {
        let request = server.api(Method::POST, "/api/whatsapp/connect?wait=0");
        request.header("idempotency-key", "k1").json(&json!({ "instanceName": name }))
    };
    assert_eq!(answer(connect("a")).await.0, StatusCode::OK);
    assert_eq!(answer(connect("a")).await.0, StatusCode::OK);
    let (status, problem) = answer(connect("b")).await;
    assert_eq!(
        (status, problem["code"].as_str()),
        (StatusCode::CONFLICT, Some("idempotency_conflict"))
    );
    let (_, list) = server.get("/api/whatsapp/instances").await;
    assert_eq!(list.as_array().map(Vec::len), Some(1));
    server.stop().await;
}
