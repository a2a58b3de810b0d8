//! The life of an instance over the API.

use crate::harness::{TestServer, answer, header, text};
use futures_util::stream::{self, StreamExt as _};
use reqwest::{Method, StatusCode};
use serde_json::json;

#[tokio::test]
async fn connect_shows_a_code_and_a_scan_links_the_phone() {
    let server = TestServer::start().await;
    let shown = server.connect("shop").await;
    assert_eq!(shown["instance"]["instanceName"], "shop");
    assert_eq!(shown["instance"]["status"], "connecting");
    assert!(text(&shown["qrcode"]).starts_with("2@"));
    assert!(text(&shown["qrcodeImage"]).starts_with("data:image/png;base64,iVBOR"));
    assert!(shown["pairingCode"].is_null());
    assert!(text(&shown["expiresAt"]).ends_with('Z'));
    let phone = server.scan(&text(&shown["qrcode"])).await;
    let instance = server.until_status("shop", "connected").await;
    assert_eq!(instance["number"], phone);
    assert!(instance["reason"].is_null());
    assert!(instance["lastConnected"].is_string());
    let again = server.connect("SHOP").await;
    assert_eq!(again["instance"]["status"], "connected", "names are compared without case");
    assert!(again["qrcode"].is_null() && again["qrcodeImage"].is_null());
    server.stop().await;
}

#[tokio::test]
async fn a_code_typed_on_the_phone_links_it_too() {
    let server = TestServer::start().await;
    let phone = "5511988887777";
    let shown = server.connect("shop").await;
    assert!(shown["pairingCode"].is_null(), "no number, no code");
    let asked = json!({ "instanceName": "shop", "number": "+55 11 98888-7777" });
    let (status, shown) = server.post("/api/whatsapp/connect", asked.clone()).await;
    assert_eq!(status, StatusCode::OK, "{shown}");
    assert!(text(&shown["qrcode"]).starts_with("2@"), "scanning is still possible");
    let code = text(&shown["pairingCode"]);
    assert_eq!(code.len(), 8, "{code}");
    server.phones("/admin/mock-phone/enter-code", json!({ "phone": phone, "code": code })).await;
    let instance = server.until_status("shop", "connected").await;
    assert_eq!(instance["number"], phone);
    let (status, linked) = server.post("/api/whatsapp/connect", asked).await;
    assert_eq!(status, StatusCode::OK);
    assert!(linked["pairingCode"].is_null(), "it is linked already");
    server.stop().await;
}

#[tokio::test]
async fn a_code_that_whatsapp_does_not_give_is_said_and_the_qr_code_stays() {
    let server = TestServer::start().await;
    server.connect("shop").await;
    let refusal = json!({ "target": "*", "fault": "refuse-code", "code": 429 });
    server.phones("/admin/faults", refusal).await;
    let asked = json!({ "instanceName": "shop", "number": "5511988887777" });
    let (status, problem) = server.post("/api/whatsapp/connect", asked).await;
    assert_eq!(status, StatusCode::BAD_GATEWAY, "{problem}");
    assert_eq!(problem["code"], "rejected_by_whatsapp");
    let shown = server.connect("shop").await;
    let phone = server.scan(&text(&shown["qrcode"])).await;
    let instance = server.until_status("shop", "connected").await;
    assert_eq!(instance["number"], phone);
    server.stop().await;
}

#[tokio::test]
async fn an_instance_is_restarted_logged_out_linked_again_and_deleted() {
    let server = TestServer::start().await;
    let name = json!({ "instanceName": "shop" });
    server.linked("shop").await;
    let (status, _) = server.post("/api/whatsapp/restart", name.clone()).await;
    assert_eq!(status, StatusCode::OK);
    server.until_status("shop", "connected").await;
    for _ in 0..2 {
        let (status, body) = server.post("/api/whatsapp/logout", name.clone()).await;
        assert_eq!(status, StatusCode::OK, "idempotent: {body}");
    }
    let instance = server.until_status("shop", "disconnected").await;
    assert_eq!(instance["reason"], "logged_out");
    assert!(instance["reasonMessage"].is_string());
    server.linked("shop").await;
    let delete = || answer(server.api(Method::DELETE, "/api/whatsapp/delete/shop"));
    assert_eq!(delete().await.0, StatusCode::OK);
    let (status, problem) = delete().await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(problem["code"], "instance_not_found");
    server.stop().await;
}

#[tokio::test]
async fn the_list_is_a_bare_array_that_filters_and_pages() {
    let server = TestServer::start().await;
    for name in ["a1", "b1", "B2", "c1"] {
        let body = json!({ "instanceName": name });
        let (status, _) = server.post("/api/whatsapp/connect?wait=0", body).await;
        assert_eq!(status, StatusCode::OK);
    }
    let names = async |query: &str| {
        let request = server.api(Method::GET, &format!("/api/whatsapp/instances{query}"));
        let response = request.send().await.expect("an answer");
        let next = header(&response, "x-next-cursor").map(str::to_owned);
        let list: Vec<serde_json::Value> = response.json().await.expect("an array");
        let names = list.iter().map(|one| text(&one["instanceName"])).collect::<Vec<_>>();
        (names.join(" "), next)
    };
    assert_eq!(names("").await, ("a1 b1 B2 c1".to_owned(), None));
    assert_eq!(names("?search=b").await.0, "b1 B2");
    assert_eq!(names("?status=connected").await.0, "");
    let (first, next) = names("?limit=3").await;
    assert_eq!(first, "a1 b1 B2");
    let next = next.expect("a cursor");
    assert_eq!(names(&format!("?limit=3&cursor={next}")).await, ("c1".to_owned(), None));
    server.stop().await;
}

#[tokio::test]
async fn what_a_whole_page_does_not_hold_is_on_the_next() {
    let server = TestServer::start().await;
    let create = |n: usize| {
        let integration = "WHATSAPP-BAILEYS";
        let name = format!("n{n:04}");
        let body = json!({ "instanceName": name, "integration": integration });
        server.post("/instance/create", body)
    };
    let made: Vec<_> = stream::iter((0..1001).map(create)).buffer_unordered(16).collect().await;
    assert!(made.iter().all(|(status, _)| *status == StatusCode::CREATED), "{:?}", made[0]);
    let page = async |query: &str| {
        let request = server.api(Method::GET, &format!("/api/whatsapp/instances{query}"));
        let response = request.send().await.expect("an answer");
        let next = header(&response, "x-next-cursor").map(str::to_owned);
        (response.json::<Vec<serde_json::Value>>().await.expect("an array"), next)
    };
    let (all, end) = page("").await;
    assert_eq!((all.len(), end), (1001, None), "without a limit all come");
    let (first, next) = page("?limit=1000").await;
    assert_eq!(first.len(), 1000);
    let (last, end) = page(&format!("?limit=1000&cursor={}", next.expect("a cursor"))).await;
    assert_eq!((last.len(), text(&last[0]["instanceName"]), end), (1, "n1000".to_owned(), None));
    server.stop().await;
}

#[tokio::test]
async fn a_phone_that_unlinks_is_reported_with_its_reason() {
    let server = TestServer::start().await;
    let phone = server.linked("shop").await;
    server.phones(&format!("/admin/mock-phone/{phone}/unlink"), json!({})).await;
    let instance = server.until_status("shop", "disconnected").await;
    assert_eq!(instance["reason"], "logged_out");
    server.stop().await;
}

#[tokio::test]
async fn a_dropped_connection_comes_back_by_itself() {
    let server = TestServer::start().await;
    let phone = server.linked("shop").await;
    let before = server.until_status("shop", "connected").await;
    server.phones("/admin/faults", json!({ "target": phone, "fault": "drop", "count": 1 })).await;
    let began = std::time::Instant::now();
    loop {
        let now = server.until_status("shop", "connected").await;
        if now["lastConnected"] != before["lastConnected"] {
            break;
        }
        assert!(began.elapsed() < crate::harness::DEADLINE, "it never reconnected: {now}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_full_server_refuses_new_numbers_and_goes_on_with_those_it_has() {
    let server = TestServer::start_with(|config| config.room.instances = Some(1)).await;
    server.linked("shop").await;
    let new = server.api(Method::POST, "/api/whatsapp/connect");
    let refused = new.json(&json!({ "instanceName": "another" })).send().await.expect("an answer");
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(header(&refused, "retry-after"), Some("60"));
    let problem: serde_json::Value = refused.json().await.expect("JSON");
    assert_eq!(problem["code"], "server_full");
    let body = json!({ "instanceName": "another", "integration": "WHATSAPP-BAILEYS" });
    let (status, _) = server.post("/instance/create", body).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let (status, _) = server.get("/api/whatsapp/status/another").await;
    assert_eq!(status, StatusCode::NOT_FOUND, "nothing was made");
    let ana = server.contact("Ana").await;
    let message = json!({ "instanceName": "shop", "number": ana, "message": "we are open" });
    let (status, answer) = server.post("/api/whatsapp/send", message).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
}

#[tokio::test]
async fn a_server_without_memory_left_starts_no_more_sessions() {
    // Less than any process has.
    let server = TestServer::start_with(|config| config.room.memory = Some(1 << 20)).await;
    let (status, problem) =
        server.post("/api/whatsapp/connect", json!({ "instanceName": "shop" })).await;
    assert_eq!(
        (status, text(&problem["code"])),
        (StatusCode::SERVICE_UNAVAILABLE, "server_full".into())
    );
}

#[tokio::test]
async fn a_phone_that_asks_for_a_passkey_is_told_and_may_try_again() {
    let server = TestServer::start().await;
    server.connect("shop").await;
    let asks = json!({ "target": "*", "fault": "passkey" });
    server.phones("/admin/faults", asks).await;
    let told = server.until_status("shop", "disconnected").await;
    assert_eq!(told["reason"], "needs_passkey");
    server.linked("shop").await;
    server.stop().await;
}
