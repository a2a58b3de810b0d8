//! The reference: it has every route that programs can call and no other, and its page needs nothing from
//! elsewhere.

use crate::harness::{ADMIN_KEY, TestServer, header, python};
use flowcore_server::Access;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;
use tokio::process::Command;
use tokio::time::timeout;

/// What browsers are for, and what only refuses.
fn is_described(route: &flowcore_server::Route) -> bool {
    let pages = ["/login", "/dashboard/", "/assets/", "/manager", "/docs", "/socket.io/"];
    let page = matches!(route.access, Access::Page(_));
    !page && route.method != "*" && !pages.iter().any(|start| route.path.starts_with(start))
}

fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().expect("paths");
    let each = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().expect("methods");
        methods.iter().map(move |(method, one)| (format!("{} {path}", method.to_uppercase()), one))
    });
    each.collect()
}

#[tokio::test]
async fn every_route_for_programs_is_in_the_reference_and_nothing_else() {
    let server = TestServer::start().await;
    let (status, document) = server.get("/openapi.json").await;
    assert_eq!(status, StatusCode::OK);
    let known = server.server.routes().iter().filter(|route| is_described(route));
    let known: BTreeSet<String> =
        known.map(|route| format!("{} {}", route.method, route.path)).collect();
    let described: BTreeSet<String> =
        operations(&document).into_iter().map(|(name, _)| name).collect();
    let missing: Vec<_> = known.difference(&described).collect();
    assert!(missing.is_empty(), "describe these in server/src/openapi/: {missing:#?}");
    let gone: Vec<_> = described.difference(&known).collect();
    assert!(gone.is_empty(), "described and not served: {gone:#?}");
    server.stop().await;
}

#[test]
fn the_reference_changes_only_when_somebody_looks() {
    let document: Value = serde_json::from_str(flowcore_server::openapi()).expect("JSON");
    let mut lines = String::new();
    for (name, operation) in operations(&document) {
        let _ = writeln!(lines, "{name} {operation}");
    }
    for (name, schema) in document["components"]["schemas"].as_object().expect("schemas") {
        let _ = writeln!(lines, "{name} {schema}");
    }
    insta::assert_snapshot!("openapi", lines);
}

#[tokio::test]
async fn the_reference_is_sent_again_only_when_it_changed() {
    let server = TestServer::start().await;
    let first = server.plain(Method::GET, "/openapi.json").send().await.expect("an answer");
    let tag = header(&first, "etag").expect("a tag").to_owned();
    assert_eq!(first.text().await.expect("a text"), flowcore_server::openapi());
    let again = server.plain(Method::GET, "/openapi.json").header("if-none-match", tag);
    assert_eq!(again.send().await.expect("an answer").status(), StatusCode::NOT_MODIFIED);
    server.stop().await;
}

#[tokio::test]
async fn the_page_of_the_reference_needs_nothing_from_elsewhere() {
    let server = TestServer::start().await;
    let page = server.plain(Method::GET, "/docs").send().await.expect("an answer");
    assert_eq!(page.status(), StatusCode::OK);
    let policy = header(&page, "content-security-policy").expect("a policy").to_owned();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert!(!policy.contains("http") && !policy.contains('*'), "{policy}");
    let html = page.text().await.expect("a text");
    assert!(!html.contains("://"), "an address of somewhere else");
    for path in ["/api/whatsapp/connect", "/message/sendText/{name}", "/api/keys"] {
        assert!(html.contains(&format!("<code>{path}</code>")), "{path} is not on it");
    }
    server.stop().await;
}

/// An independent checker over the document or the server.
async fn checked(program: &str, arguments: &[&str]) -> String {
    const DEADLINE: Duration = Duration::from_secs(170);
    // It writes down there what it found.
    let folder = tempfile::tempdir().expect("a folder");
    let run = Command::new(python("openapi-python", program))
        .args(arguments)
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output: Output = timeout(DEADLINE, run).await.expect("it ends").expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");
    said
}

#[tokio::test]
async fn the_reference_is_openapi_3_1() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("openapi.json");
    std::fs::write(&path, flowcore_server::openapi()).expect("it is written");
    let path = path.to_str().expect("a name in UTF-8");
    checked("openapi-spec-validator", &["--schema", "3.1", path]).await;
}

/// Thousands of calls that fit the reference and calls that just do not: each answer has to be one that the
/// reference knows, with the body that it says, and never a failure of the server.
#[tokio::test(flavor = "multi_thread")]
async fn made_up_calls_are_answered_as_the_reference_says() {
    let server = TestServer::start_with(|config| config.access.rate = None).await;
    server.connect("shop").await;
    let (document, key) = (server.url("/openapi.json"), format!("apikey: {ADMIN_KEY}"));
    let checks = "not_a_server_error,status_code_conformance,content_type_conformance,\
                  response_schema_conformance";
    let bench = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bench/openapi-python");
    let settings = bench.join("schemathesis.toml");
    let settings = settings.to_str().expect("a name in UTF-8");
    let mut arguments = vec!["--config-file", settings, "run", &document, "-H", &key];
    arguments.extend(["--checks", checks, "--phases", "coverage,fuzzing", "--max-examples", "3"]);
    arguments.extend(["--continue-on-failure", "--workers", "2", "--seed", "1", "--no-color"]);
    for endless in ["/api/events", "/api/ws"] {
        arguments.extend(["--exclude-path", endless]);
    }
    // What would end the run: the tried instance, the tried key and its user, gone.
    for last in [
        "deleteApiWhatsappDeleteName",
        "deleteInstanceDeleteName",
        "deleteApiKeysId",
        "patchApiUsersId",
        "deleteApiUsersId",
    ] {
        arguments.extend(["--exclude-operation-id", last]);
    }
    checked("schemathesis", &arguments).await;
    let (status, me) = server.get("/api/me").await;
    assert_eq!(status, StatusCode::OK, "the key is not good any more: {me}");
    server.stop().await;
}
