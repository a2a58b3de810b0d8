//! Which credential counts when several come.

use crate::harness::{ADMIN_KEY, TestServer, answer, header};
use reqwest::{Method, StatusCode};

const LIST: &str = "/api/whatsapp/instances";
const WRONG: &str = "wrong-0123456789-abcdefghijklmnop-key";

#[tokio::test]
async fn a_key_is_taken_from_either_header() {
    let server = TestServer::start().await;
    let bearer = format!("Bearer {ADMIN_KEY}");
    let lower = format!("bearer {ADMIN_KEY}");
    for (name, value) in
        [("apikey", ADMIN_KEY), ("authorization", &bearer), ("authorization", &lower)]
    {
        let (status, _) = answer(server.plain(Method::GET, LIST).header(name, value)).await;
        assert_eq!(status, StatusCode::OK, "{name}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_bad_credential_never_falls_through_to_a_good_one() {
    let server = TestServer::start().await;
    let cookie = server.sign_in().await;
    let cases = [
        vec![("authorization", format!("Bearer {WRONG}")), ("apikey", ADMIN_KEY.to_owned())],
        vec![("authorization", "Basic abc".to_owned()), ("apikey", ADMIN_KEY.to_owned())],
        vec![("authorization", "Bearer".to_owned()), ("cookie", cookie.clone())],
        vec![("apikey", WRONG.to_owned()), ("cookie", cookie.clone())],
        vec![("apikey", String::new()), ("cookie", cookie.clone())],
        vec![("cookie", "flowcore=wrong".to_owned())],
        vec![],
    ];
    for headers in cases {
        let mut request = server.plain(Method::GET, LIST);
        for (name, value) in &headers {
            request = request.header(*name, value);
        }
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{headers:?}");
        assert!(header(&response, "www-authenticate").is_some());
    }
    let first =
        server.plain(Method::GET, LIST).header("authorization", format!("Bearer {ADMIN_KEY}"));
    let (status, _) = answer(first.header("apikey", WRONG)).await;
    assert_eq!(status, StatusCode::OK, "Bearer is asked first");
    server.stop().await;
}

#[tokio::test]
async fn the_cookie_reads_alone_and_writes_only_with_its_token() {
    let server = TestServer::start().await;
    let cookie = server.sign_in().await;
    let (status, _) = answer(server.plain(Method::GET, LIST).header("cookie", &cookie)).await;
    assert_eq!(status, StatusCode::OK);
    let write = || {
        let request = server.plain(Method::POST, "/api/whatsapp/logout").header("cookie", &cookie);
        request.json(&serde_json::json!({ "instanceName": "nobody" }))
    };
    let (status, body) = answer(write()).await;
    assert_eq!((status, body["code"].as_str()), (StatusCode::FORBIDDEN, Some("csrf_refused")));
    let (status, _) = answer(write().header("x-csrf-token", "guessed")).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let token = server.csrf(&cookie).await;
    let (status, body) = answer(write().header("x-csrf-token", token)).await;
    assert_eq!(
        (status, body["code"].as_str()),
        (StatusCode::NOT_FOUND, Some("instance_not_found"))
    );
    server.stop().await;
}
