//! The dispatcher of the first users' frontend, and the tokens that it comes with.

use crate::harness::{ADMIN_KEY, TestServer, answer, header, text};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flowcore_server::ForeignTokens;
use flowcore_server::config::AccessConfig;
use reqwest::{Method, StatusCode};
use ring::rsa::PublicKeyComponents;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use ring::{hmac, rand::SystemRandom};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const PATH: &str = "/functions/v1/evolution-api";
const SECRET: &str = "a-project-secret-0123456789-abcdefghijklmnop";
const USER: &str = "6f1d7c1e-3b2a-4a55-9d0e-0c7d1f6d2b11";

#[expect(clippy::disallowed_methods, reason = "the test is another server with a clock")]
fn seconds() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.expect("after 1970").as_secs()
}

fn claims(sub: &str) -> Value {
    json!({ "sub": sub, "aud": "authenticated", "exp": seconds() + 600, "role": "authenticated" })
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// A token as the project signs it with its secret.
fn signed(claims: &Value) -> String {
    let message = format!("{}.{}", part(&json!({ "alg": "HS256", "typ": "JWT" })), part(claims));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag))
}

async fn call(server: &TestServer, token: &str, body: Value) -> (StatusCode, Value) {
    answer(server.plain(Method::POST, PATH).bearer_auth(token).json(&body)).await
}

async fn with_project(foreign: ForeignTokens) -> TestServer {
    let quotas = [(flowcore_domain::quota::Quota::Instances, Some(1))].into();
    TestServer::start_with(|config| {
        config.access = AccessConfig {
            foreign: Some(foreign),
            foreign_quotas: quotas,
            ..AccessConfig::default()
        };
    })
    .await
}

fn by_secret() -> ForeignTokens {
    ForeignTokens {
        secret: Some(SECRET.to_owned()),
        jwks_url: None,
        issuer: None,
        audience: "authenticated".to_owned(),
    }
}

#[tokio::test]
async fn the_six_operations_do_what_the_first_frontend_expects() {
    let server = with_project(by_secret()).await;
    let token = signed(&claims(USER));
    let operate = async |operation: &str, more: Value| {
        let mut body = json!({ "operation": operation, "instanceName": "user_1" });
        if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
            body.extend(more);
        }
        call(&server, &token, body).await
    };
    let (status, made) = operate("CREATE_INSTANCE", json!({})).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert_eq!(
        (&made["success"], &made["data"]["instance"]["instanceName"]),
        (&json!(true), &json!("user_1"))
    );
    assert!(text(&made["data"]["qrcode"]["base64"]).starts_with("data:image/png;base64,"));
    let (status, state) = operate("CHECK_STATUS", json!({})).await;
    assert_eq!(
        (status, &state["data"]["instance"]["state"]),
        (StatusCode::OK, &json!("connecting"))
    );
    let (status, code) = operate("CONNECT_INSTANCE", json!({})).await;
    assert_eq!(status, StatusCode::OK, "{code}");
    assert!(code["data"]["code"].is_string(), "{code}");
    let calls = json!({
        "rejectCall": true, "msgCall": "No calls", "groupsIgnore": false, "alwaysOnline": false,
        "readMessages": false, "syncFullHistory": false, "readStatus": false,
    });
    let (status, set) = operate("CALL_SETTINGS", calls).await;
    assert_eq!((status, &set["success"]), (StatusCode::CREATED, &json!(true)), "{set}");
    let (_, found) = answer(server.api(Method::GET, "/settings/find/user_1")).await;
    assert_eq!((&found["rejectCall"], &found["msgCall"]), (&json!(true), &json!("No calls")));

    let body = json!({ "operation": "CREATE_INSTANCE", "instanceName": "user_2" });
    let (status, over) = call(&server, &token, body).await;
    assert_eq!((status, &over["success"]), (StatusCode::FORBIDDEN, &json!(false)), "{over}");
    assert!(text(&over["error"]).contains("limit"), "{over}");
    let other = signed(&claims("another"));
    let theirs = json!({ "operation": "DELETE_INSTANCE", "instanceName": "user_1" });
    assert_eq!(call(&server, &other, theirs).await.0, StatusCode::NOT_FOUND);

    for operation in ["LOGOUT_INSTANCE", "DELETE_INSTANCE"] {
        let (status, done) = operate(operation, json!({})).await;
        assert!(status == StatusCode::OK || operation == "LOGOUT_INSTANCE", "{operation}: {done}");
    }
    assert_eq!(operate("CHECK_STATUS", json!({})).await.0, StatusCode::NOT_FOUND);
    assert_eq!(operate("NOTHING", json!({})).await.0, StatusCode::BAD_REQUEST);
    server.stop().await;
}

#[tokio::test]
async fn only_bearer_counts_and_other_sites_may_ask() {
    let server = with_project(by_secret()).await;
    let body = json!({ "operation": "CHECK_STATUS", "instanceName": "x" });
    let request = server.plain(Method::POST, PATH).header("apikey", ADMIN_KEY).json(&body);
    let (status, refused) = answer(request).await;
    assert_eq!(
        (status, &refused["success"]),
        (StatusCode::UNAUTHORIZED, &json!(false)),
        "{refused}"
    );
    let (status, _) = call(&server, ADMIN_KEY, body).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "a key is a Bearer too");
    let asks = server.plain(Method::OPTIONS, PATH).header("origin", "https://app.example.com");
    let asks =
        asks.header("access-control-request-method", "POST").send().await.expect("an answer");
    assert!(asks.status().is_success());
    let allowed = header(&asks, "access-control-allow-headers").expect("headers");
    for name in ["authorization", "x-client-info", "apikey", "content-type"] {
        assert!(allowed.contains(name), "{allowed}");
    }
    assert_eq!(header(&asks, "access-control-allow-origin"), Some("https://app.example.com"));
    let elsewhere = server.api(Method::GET, "/api/me").header("origin", "https://app.example.com");
    let elsewhere = elsewhere.send().await.expect("an answer");
    assert_eq!(header(&elsewhere, "access-control-allow-origin"), None);
    let (status, gone) =
        answer(server.plain(Method::POST, "/functions/v1/whatsapp-webhook").json(&json!({}))).await;
    assert_eq!((status, &gone["success"]), (StatusCode::GONE, &json!(false)));
    server.stop().await;
}

#[tokio::test]
async fn a_foreign_token_that_is_not_good_is_nobody_s() {
    let server = with_project(by_secret()).await;
    let me = |token: String| answer(server.plain(Method::GET, "/api/me").bearer_auth(token));
    let (status, known) = me(signed(&claims(USER))).await;
    assert_eq!(
        (status, &known["id"], &known["foreign"]),
        (StatusCode::OK, &json!(USER), &json!(true))
    );
    let with = |name: &str, value: Value| {
        let mut claims = claims(USER);
        claims[name] = value;
        signed(&claims)
    };
    let good = signed(&claims(USER));
    let parts: Vec<&str> = good.split('.').collect();
    let none = part(&json!({ "alg": "none" }));
    for bad in [
        with("exp", json!(seconds() - 1)),
        with("exp", Value::Null),
        with("aud", json!("somebody")),
        with("sub", json!("")),
        with("nbf", json!(seconds() + 600)),
        format!("{none}.{}.", parts[1]),
        format!("{none}.{}.{}", parts[1], parts[2]),
        format!("{}.{}.{}", part(&json!({ "alg": "RS256" })), parts[1], parts[2]),
    ] {
        assert_eq!(me(bad.clone()).await.0, StatusCode::UNAUTHORIZED, "{bad}");
    }
    let path = format!("/api/users/{USER}");
    let shut = server.api(Method::PATCH, &path).json(&json!({ "disabled": true }));
    assert_eq!(answer(shut).await.0, StatusCode::OK);
    assert_eq!(me(good).await.0, StatusCode::UNAUTHORIZED, "shut out here");
    server.stop().await;
}

#[tokio::test]
async fn a_project_s_public_keys_are_read_and_change() {
    let random = SystemRandom::new();
    let pair = || {
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
        EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).expect("a key")
    };
    let jwk = |pair: &EcdsaKeyPair, id: &str| {
        let point = pair.public_key().as_ref();
        let coordinate = |at: std::ops::Range<usize>| URL_SAFE_NO_PAD.encode(&point[at]);
        json!({ "kty": "EC", "crv": "P-256", "kid": id, "x": coordinate(1..33), "y": coordinate(33..65) })
    };
    let (one, two) = (pair(), pair());
    let set = json!({ "keys": [jwk(&one, "one"), { "kty": "oct", "kid": "odd", "k": "AAAA" }] });
    let (url, stop) = serving(set).await;
    let server = with_project(ForeignTokens {
        secret: None,
        issuer: Some("https://project.example.com/auth/v1".to_owned()),
        jwks_url: Some(url),
        audience: "authenticated".to_owned(),
    })
    .await;
    let token = |pair: &EcdsaKeyPair, id: &str, issuer: &str| {
        let mut claims = claims(USER);
        claims["iss"] = issuer.into();
        let head = part(&json!({ "alg": "ES256", "kid": id }));
        let message = format!("{head}.{}", part(&claims));
        let tag = pair.sign(&random, message.as_bytes()).expect("signed");
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag))
    };
    let me = |token: String| answer(server.plain(Method::GET, "/api/me").bearer_auth(token));
    let own = "https://project.example.com/auth/v1";
    assert_eq!(me(token(&one, "one", own)).await.0, StatusCode::OK);
    assert_eq!(
        me(token(&one, "one", "https://other.example.com")).await.0,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(me(token(&two, "one", own)).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(me(token(&two, "two", own)).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(me(signed(&claims(USER))).await.0, StatusCode::UNAUTHORIZED, "no secret is known");
    stop.cancel();
    server.stop().await;
}

/// ring makes no RSA keys: this one was made for this test and is good for nothing else.
const RSA: &[u8] = include_bytes!("keys/rs256.pk8");

#[tokio::test]
async fn a_project_may_sign_with_rsa() {
    let random = SystemRandom::new();
    let pair = RsaKeyPair::from_pkcs8(RSA).expect("a key");
    let public = pair.public();
    let numbers = PublicKeyComponents::<Vec<u8>>::from(public);
    let [modulus, exponent] = [numbers.n, numbers.e].map(|one| URL_SAFE_NO_PAD.encode(one));
    let jwk = json!({ "kty": "RSA", "kid": "rsa", "n": modulus, "e": exponent });
    let (url, stop) = serving(json!({ "keys": [jwk] })).await;
    let server = with_project(ForeignTokens { secret: None, jwks_url: Some(url), ..by_secret() });
    let server = server.await;
    let token = |algorithm: &str, spoil: bool| {
        let head = part(&json!({ "alg": algorithm, "kid": "rsa" }));
        let message = format!("{head}.{}", part(&claims(USER)));
        let mut tag = vec![0; public.modulus_len()];
        let signing = pair.sign(&RSA_PKCS1_SHA256, &random, message.as_bytes(), &mut tag);
        signing.expect("signed");
        tag[0] ^= u8::from(spoil);
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag))
    };
    let me = |token: String| answer(server.plain(Method::GET, "/api/me").bearer_auth(token));
    let (status, known) = me(token("RS256", false)).await;
    assert_eq!((status, &known["id"]), (StatusCode::OK, &json!(USER)), "{known}");
    assert_eq!(me(token("RS256", true)).await.0, StatusCode::UNAUTHORIZED, "spoiled");
    // The public key is known to everybody: it must not count as a shared secret, nor as another kind.
    for algorithm in ["HS256", "ES256", "RS512", "none"] {
        assert_eq!(me(token(algorithm, false)).await.0, StatusCode::UNAUTHORIZED, "{algorithm}");
    }
    stop.cancel();
    server.stop().await;
}

async fn serving(set: Value) -> (String, CancellationToken) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/jwks.json", listener.local_addr().expect("an address"));
    let answer = move || std::future::ready(axum::Json(set.clone()));
    let routes = axum::Router::new().route("/jwks.json", get(answer));
    let stop = CancellationToken::new();
    let serving =
        axum::serve(listener, routes).with_graceful_shutdown(stop.clone().cancelled_owned());
    TaskTracker::new().spawn(async move { serving.await });
    (url, stop)
}
