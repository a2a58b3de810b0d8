//! Which credential counts when several come.

use crate::harness::{ADMIN_KEY, DEADLINE, TestServer, answer, header};
use reqwest::{Method, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

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

/// Bytes as a client that follows no rule sends them; the statuses of all answers on that connection.
async fn raw(server: &TestServer, head: &str, body: &str) -> Vec<u16> {
    let mut stream = TcpStream::connect(server.server.addr()).await.expect("connected");
    let text = format!("{head}\r\nhost: localhost\r\nconnection: close\r\n\r\n{body}");
    stream.write_all(text.as_bytes()).await.expect("written");
    let mut read = Vec::new();
    let reading = stream.read_to_end(&mut read);
    // A reset is an end as well.
    let _ = timeout(DEADLINE, reading).await.expect("the connection ends");
    let text = String::from_utf8_lossy(&read).into_owned();
    let lines = text.lines().filter_map(|line| line.strip_prefix("HTTP/1.1 "));
    lines.filter_map(|line| line.split(' ').next()?.parse().ok()).collect()
}

#[tokio::test]
async fn what_two_servers_could_read_differently_is_refused() {
    let server = TestServer::start().await;
    let list = format!("GET {LIST} HTTP/1.1");
    assert_eq!(raw(&server, &format!("{list}\r\napikey: {ADMIN_KEY}"), "").await, [200]);
    for twice in [
        format!("apikey: {WRONG}\r\napikey: {ADMIN_KEY}"),
        format!("apikey: {ADMIN_KEY}\r\napikey: {WRONG}"),
        format!("authorization: Bearer {ADMIN_KEY}\r\nauthorization: Bearer {ADMIN_KEY}"),
    ] {
        assert_eq!(raw(&server, &format!("{list}\r\n{twice}"), "").await, [401], "{twice}");
        let theirs = format!("GET /instance/fetchInstances HTTP/1.1\r\n{twice}");
        assert_eq!(raw(&server, &theirs, "").await, [401], "{twice}");
    }
    let post = format!("POST /api/whatsapp/restart HTTP/1.1\r\napikey: {ADMIN_KEY}");
    let inner = format!("GET /api/users HTTP/1.1\r\nhost: x\r\napikey: {ADMIN_KEY}\r\n\r\n");
    for framing in [
        "content-length: 2\r\ncontent-length: 40".to_owned(),
        "content-length: +2".to_owned(),
        "content-length: 2, 40".to_owned(),
        "transfer-encoding: chunked, identity".to_owned(),
        "transfer-encoding: xchunked".to_owned(),
        "content-length : 2".to_owned(),
    ] {
        let statuses = raw(&server, &format!("{post}\r\n{framing}"), &format!("{{}}{inner}")).await;
        let refused = statuses.len() <= 1 && statuses.iter().all(|status| *status >= 400);
        assert!(refused, "{framing}: {statuses:?}");
    }
    server.stop().await;
}
