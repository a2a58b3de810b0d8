//! Signing in by the API: tokens, sessions, the second factor.

use crate::accounts::PASSWORD;
use crate::harness::{TestServer, answer, header, text};
use reqwest::{Method, StatusCode};
use ring::hmac;
use serde_json::{Value, json};

const LOGIN: &str = "/api/auth/login";
const REFRESH: &str = "/api/auth/refresh";

async fn log_in(server: &TestServer, name: &str, password: &str) -> (StatusCode, Value) {
    let body = json!({ "username": name, "password": password });
    answer(server.plain(Method::POST, LOGIN).json(&body)).await
}

async fn bearer(server: &TestServer, token: &str, path: &str) -> (StatusCode, Value) {
    answer(server.plain(Method::GET, path).bearer_auth(token)).await
}

async fn refresh(server: &TestServer, token: &str) -> (StatusCode, Value) {
    answer(server.plain(Method::POST, REFRESH).json(&json!({ "refreshToken": token }))).await
}

#[tokio::test]
async fn a_sign_in_gives_a_short_token_and_one_that_is_good_once() {
    let server = TestServer::start().await;
    server.user("anna", "member", json!({})).await;
    let (status, first) = log_in(&server, "Anna", PASSWORD).await;
    assert_eq!(status, StatusCode::OK, "{first}");
    assert_eq!(first["expiresIn"], 900);
    let access = text(&first["accessToken"]);
    let (status, me) = bearer(&server, &access, "/api/me").await;
    assert_eq!((status, &me["username"]), (StatusCode::OK, &json!("anna")));
    assert_eq!(me["scopes"], json!(["read", "send", "manage", "settings", "delete"]));
    let (status, second) = refresh(&server, &text(&first["refreshToken"])).await;
    assert_eq!(status, StatusCode::OK, "{second}");
    assert_eq!(bearer(&server, &access, "/api/me").await.0, StatusCode::OK);

    let (status, reused) = refresh(&server, &text(&first["refreshToken"])).await;
    assert_eq!(
        (status, &reused["code"]),
        (StatusCode::UNAUTHORIZED, &json!("invalid_refresh_token"))
    );
    let (status, _) = refresh(&server, &text(&second["refreshToken"])).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "the whole sign-in is over");
    for token in [&access, &text(&second["accessToken"])] {
        assert_eq!(bearer(&server, token, "/api/me").await.0, StatusCode::UNAUTHORIZED);
    }
    for none in ["", "a.b", "x", &"y".repeat(300)] {
        assert_eq!(refresh(&server, none).await.0, StatusCode::UNAUTHORIZED);
    }
    server.stop().await;
}

#[tokio::test]
async fn whatever_is_wrong_with_a_sign_in_the_answer_is_the_same() {
    let server = TestServer::start().await;
    let (id, _) = server.user("anna", "member", json!({})).await;
    server.user("bob", "member", json!({})).await;
    answer(
        server.api(Method::PATCH, &format!("/api/users/{id}")).json(&json!({ "disabled": true })),
    )
    .await;
    let mut answers = vec![];
    for (name, password) in [
        ("bob", "wrong password"),
        ("nobody", PASSWORD),
        ("anna", PASSWORD),
        ("not a name!", PASSWORD),
        ("bob", ""),
    ] {
        let (status, mut body) = log_in(&server, name, password).await;
        assert_eq!(
            (status, &body["code"]),
            (StatusCode::UNAUTHORIZED, &json!("invalid_credentials"))
        );
        body.as_object_mut().expect("an object").remove("requestId");
        answers.push(body);
    }
    assert!(answers.iter().all(|body| *body == answers[0]), "{answers:?}");
    server.stop().await;
}

#[tokio::test]
async fn guessing_is_slowed_down() {
    let server = TestServer::start().await;
    server.user("anna", "member", json!({})).await;
    let body = json!({ "username": "anna", "password": "a wrong one" });
    for _ in 0..40 {
        let response =
            server.plain(Method::POST, LOGIN).json(&body).send().await.expect("an answer");
        if response.status() == StatusCode::TOO_MANY_REQUESTS {
            assert!(header(&response, "retry-after").is_some());
            let (status, right) = log_in(&server, "anna", PASSWORD).await;
            assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "also with the right one: {right}");
            let (status, _) = log_in(&server, "admin", "x").await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "others are not shut out");
            return server.stop().await;
        }
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    }
    panic!("forty wrong tries went through");
}

#[tokio::test]
async fn sessions_are_listed_and_ended() {
    let server = TestServer::start().await;
    server.user("anna", "member", json!({})).await;
    let tokens = async || text(&log_in(&server, "anna", PASSWORD).await.1["accessToken"]);
    let (one, two) = (tokens().await, tokens().await);
    let (_, list) = bearer(&server, &one, "/api/auth/sessions").await;
    let list = list["data"].as_array().expect("a list").clone();
    assert_eq!(list.len(), 2);
    let other = list.iter().find(|session| session["current"] == false).expect("the other");
    assert_eq!((&other["kind"], &other["address"]), (&json!("api"), &json!("127.0.0.1")));
    let path = format!("/api/auth/sessions/{}", text(&other["id"]));
    let end = |token: &str| answer(server.plain(Method::DELETE, &path).bearer_auth(token));
    assert_eq!(answer(server.api(Method::DELETE, &path)).await.0, StatusCode::FORBIDDEN, "a key");
    assert_eq!(end(&one).await.0, StatusCode::NO_CONTENT);
    assert_eq!(bearer(&server, &two, "/api/me").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(end(&one).await.0, StatusCode::NOT_FOUND);
    let out = server.plain(Method::POST, "/api/auth/logout").bearer_auth(&one);
    assert_eq!(answer(out).await.0, StatusCode::NO_CONTENT);
    assert_eq!(bearer(&server, &one, "/api/me").await.0, StatusCode::UNAUTHORIZED);
    server.stop().await;
}

#[tokio::test]
async fn a_new_password_ends_every_session() {
    let server = TestServer::start().await;
    server.user("anna", "member", json!({})).await;
    let token = text(&log_in(&server, "anna", PASSWORD).await.1["accessToken"]);
    let change = |old: &str, new: &str| {
        let body = json!({ "currentPassword": old, "newPassword": new });
        answer(server.plain(Method::POST, "/api/me/password").bearer_auth(&token).json(&body))
    };
    assert_eq!(change("wrong", "a quite new one").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(change(PASSWORD, "short").await.0, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(change(PASSWORD, "a quite new one").await.0, StatusCode::NO_CONTENT);
    assert_eq!(bearer(&server, &token, "/api/me").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(log_in(&server, "anna", PASSWORD).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(log_in(&server, "anna", "a quite new one").await.0, StatusCode::OK);
    server.stop().await;
}

#[tokio::test]
async fn tokens_that_are_not_ours_are_nobody_s() {
    let server = TestServer::start().await;
    server.user("anna", "member", json!({})).await;
    let token = text(&log_in(&server, "anna", PASSWORD).await.1["accessToken"]);
    let parts: Vec<&str> = token.split('.').collect();
    let first = if parts[2].starts_with('A') { "B" } else { "A" };
    let other_tag = format!("{first}{}", &parts[2][1..]);
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
    for forged in [
        format!("{none}.{}.", parts[1]),
        format!("{none}.{}.{}", parts[1], parts[2]),
        format!("{}.{}.{}", parts[0], parts[1], other_tag),
        format!("{}.{}.", parts[0], parts[1]),
    ] {
        assert_eq!(
            bearer(&server, &forged, "/api/me").await.0,
            StatusCode::UNAUTHORIZED,
            "{forged}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn a_form_signs_in_with_name_and_password() {
    let server = TestServer::start().await;
    server.user("anna", "viewer", json!({})).await;
    let form = |fields: String| {
        let form = server.plain(Method::POST, "/login").header("accept", "text/html");
        form.header("content-type", "application/x-www-form-urlencoded").body(fields)
    };
    let wrong = form("username=anna&password=nothing".to_owned()).send().await.expect("an answer");
    assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED);
    let page = wrong.text().await.expect("a page");
    assert!(page.contains("The name, the password or the code is wrong"), "{page}");
    let right = form(format!("username=anna&password={}", PASSWORD.replace(' ', "+")));
    let right = right.send().await.expect("an answer");
    assert_eq!(right.status(), StatusCode::SEE_OTHER);
    let cookie = header(&right, "set-cookie").expect("a cookie");
    let cookie = cookie.split(';').next().expect("a pair").to_owned();
    let page = server.page("/", &cookie).send().await.expect("an answer");
    assert_eq!(page.status(), StatusCode::OK);
    let new = server.page("/instances/new", &cookie).send().await.expect("an answer");
    assert_eq!(new.status(), StatusCode::FORBIDDEN, "viewers look");
    server.stop().await;
}

/// What an authenticator app shows at a step, computed apart from the product.
fn code(secret: &str, step: u64) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bits = secret.bytes().flat_map(|letter| {
        let value = LETTERS.iter().position(|one| *one == letter).expect("base32");
        (0..5).rev().map(move |bit| u8::from(value >> bit & 1 == 1))
    });
    let bits: Vec<u8> = bits.collect();
    let bytes: Vec<u8> =
        bits.chunks_exact(8).map(|byte| byte.iter().fold(0, |all, bit| all << 1 | bit)).collect();
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &bytes);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    let at = usize::from(tag[19] & 15);
    let word = u32::from_be_bytes(tag[at..at + 4].try_into().expect("four bytes")) & 0x7fff_ffff;
    format!("{:06}", word % 1_000_000)
}

/// The app's clock.
#[expect(clippy::disallowed_methods, reason = "the test is a phone with a clock")]
fn step() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.expect("after 1970").as_secs() / 30
}

#[tokio::test]
async fn a_second_factor_is_asked_for_and_each_code_is_good_once() {
    let server = TestServer::start().await;
    let (id, key) = server.user("anna", "member", json!({})).await;
    let token = text(&log_in(&server, "anna", PASSWORD).await.1["accessToken"]);
    let totp = |method: Method, body: Value| {
        answer(server.plain(method, "/api/auth/totp").bearer_auth(&token).json(&body))
    };
    let by_key = server.with(&key, (Method::POST, "/api/auth/totp"), json!({})).await;
    assert_eq!(by_key.1["code"], "sign_in_required");
    let (status, offer) = totp(Method::POST, json!({})).await;
    assert_eq!(status, StatusCode::OK, "{offer}");
    let secret = text(&offer["secret"]);
    assert!(text(&offer["uri"]).starts_with("otpauth://totp/Flowcore:anna?secret="));
    let (_, me) = bearer(&server, &token, "/api/me").await;
    assert_eq!(me["totp"], false, "an offer changes nothing");

    let wrong = totp(Method::PUT, json!({ "secret": secret, "code": "000000" })).await;
    assert_eq!((wrong.0, &wrong.1["code"]), (StatusCode::CONFLICT, &json!("totp_refused")));
    let first = step();
    let on = totp(Method::PUT, json!({ "secret": secret, "code": code(&secret, first) })).await;
    assert_eq!(on.0, StatusCode::NO_CONTENT, "{}", on.1);
    assert_eq!(totp(Method::POST, json!({})).await.0, StatusCode::CONFLICT, "it is on already");

    let (status, asked) = log_in(&server, "anna", PASSWORD).await;
    assert_eq!((status, &asked["code"]), (StatusCode::UNAUTHORIZED, &json!("totp_required")));
    let with = |code: String| {
        let body = json!({ "username": "anna", "password": PASSWORD, "totp": code });
        answer(server.plain(Method::POST, LOGIN).json(&body))
    };
    let seen = with(code(&secret, first)).await;
    assert_eq!(seen.1["code"], "invalid_credentials", "this code was used to turn it on");
    assert_eq!(with("000000".to_owned()).await.0, StatusCode::UNAUTHORIZED);
    let next = with(code(&secret, first + 1)).await;
    assert_eq!(next.0, StatusCode::OK, "{}", next.1);
    assert_eq!(with(code(&secret, first + 1)).await.0, StatusCode::UNAUTHORIZED, "used");

    let off = server.api(Method::PATCH, &format!("/api/users/{id}"));
    assert_eq!(answer(off.json(&json!({ "totp": false }))).await.0, StatusCode::OK);
    assert_eq!(log_in(&server, "anna", PASSWORD).await.0, StatusCode::OK, "the admin took it off");
    server.stop().await;
}
