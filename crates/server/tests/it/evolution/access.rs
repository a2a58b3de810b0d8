//! Who may do what: the server's key, an instance's own, none.

use super::{answered, ask, create, get, inbox, linked, post};
use crate::harness::{ADMIN_KEY, TestServer, answer, config, text};
use flowcore_server::Mark;
use flowcore_server::app;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

fn unauthorized() -> (StatusCode, Value) {
    let message = json!({ "message": "Unauthorized" });
    let body = json!({ "status": 401, "error": "Unauthorized", "response": message });
    (StatusCode::UNAUTHORIZED, body)
}

#[tokio::test]
async fn a_stranger_is_told_the_same_about_every_name() {
    let server = TestServer::start().await;
    create(&server, "shop").await;
    let routes = server.server.routes().to_vec();
    let guarded =
        routes.iter().filter(|route| matches!(route.access, flowcore_server::Access::Evolution(_)));
    let mut walked = 0;
    for route in guarded {
        for name in ["shop", "nobody"] {
            let path = route.path.replace("{name}", name).replace("{*rest}", name);
            let method = route.method.parse().unwrap_or(Method::POST);
            let method = if route.method == "*" { Method::POST } else { method };
            for key in [None, Some("no-key-of-anybody")] {
                let mut request = server.plain(method.clone(), &path);
                if let Some(key) = key {
                    request = request.header("apikey", key);
                }
                assert_eq!(answer(request).await, unauthorized(), "{method} {path}");
            }
        }
        walked += 1;
    }
    assert!(walked > 20, "{walked} routes");
    server.stop().await;
}

#[tokio::test]
async fn the_key_of_an_instance_is_good_for_that_one_alone() {
    let server = TestServer::start().await;
    let (shop, other) = (create(&server, "shop").await, create(&server, "other").await);
    assert_ne!(shop, other);
    let state = |name: &str| format!("/instance/connectionState/{name}");
    let (status, _) = ask(&server, &shop, (Method::GET, &state("SHOP")), None).await;
    assert_eq!(status, StatusCode::OK);
    for name in ["other", "nobody", "my%20shop"] {
        let answer = ask(&server, &shop, (Method::GET, &state(name)), None).await;
        assert_eq!(answer, unauthorized(), "{name}");
    }
    let around = "/instance/connectionState/other?instanceName=shop";
    assert_eq!(ask(&server, &shop, (Method::GET, around), None).await, unauthorized());
    let inside = "/instance/connectionState/shop?instanceName=other";
    let (status, body) = ask(&server, &shop, (Method::GET, inside), None).await;
    assert_eq!((status, &body["instance"]["instanceName"]), (StatusCode::OK, &json!("shop")));
    let (_, list) = ask(&server, &shop, (Method::GET, "/instance/fetchInstances"), None).await;
    assert_eq!(list.as_array().map(Vec::len), Some(1), "{list}");
    assert_eq!((&list[0]["name"], &list[0]["token"]), (&json!("shop"), &Value::Null));
    let new = json!({ "instanceName": "new", "integration": "WHATSAPP-BAILEYS" });
    let made = ask(&server, &shop, (Method::POST, "/instance/create"), Some(new)).await;
    assert_eq!(made, unauthorized());
    server.stop().await;
}

#[tokio::test]
async fn lists_show_tokens_only_when_the_operator_opens_it() {
    let server = TestServer::start().await;
    let key = create(&server, "shop").await;
    let (_, list) = get(&server, "/instance/fetchInstances").await;
    assert!(list[0]["token"].is_null(), "{list}");
    let TestServer { server: running, network, http, folder } = server;
    running.stop().await;
    let mut config = config(folder.path(), &network);
    config.evolution.expose_tokens = true;
    let running = app::serve(config, Mark::Sandbox).await.expect("a server");
    let server = TestServer { server: running, network, http, folder };
    let (_, list) = get(&server, "/instance/fetchInstances").await;
    assert_eq!(text(&list[0]["token"]), key);
    server.stop().await;
}

#[tokio::test]
async fn metrics_tell_what_a_connected_number_takes() {
    const NAME: &str = "\nflowcore_memory_per_number_bytes ";
    let server = TestServer::start().await;
    let page = async || {
        let response = server.api(Method::GET, "/metrics").send().await.expect("an answer");
        response.text().await.expect("a text")
    };
    assert!(!page().await.contains(NAME), "nobody is connected");
    server.linked("shop").await;
    let page = page().await;
    let (_, value) = page.split_once(NAME).expect("the metric");
    let bytes: u64 = value.lines().next().expect("a value").parse().expect("bytes");
    assert!(bytes < 1 << 30, "{bytes}");
    server.stop().await;
}

#[tokio::test]
async fn what_is_kept_of_groups_has_a_budget_and_groups_get_messages_without_it() {
    let server = TestServer::start().await;
    linked(&server, "shop").await;
    let (ana, bob) = (server.contact("Ana").await, server.contact("Bob").await);
    let new = json!({ "subject": "Customers", "participants": [ana, bob] });
    let (_, group) = post(&server, "/group/create/shop", new).await;
    let text = json!({ "number": group["id"], "text": "Fresh rolls" });
    let (status, sent) = post(&server, "/message/sendText/shop", text.clone()).await;
    assert_eq!(status, StatusCode::CREATED, "{sent}");
    inbox(&server, &bob, 1).await;
    assert!(kept_of_groups(&server).await > 0);
    let server = server.restarted_with(|config| config.cache_memory = Some(1)).await;
    server.until_status("shop", "connected").await;
    let (status, sent) = post(&server, "/message/sendText/shop", text).await;
    assert_eq!(status, StatusCode::CREATED, "{sent}");
    inbox(&server, &bob, 2).await;
    assert_eq!(kept_of_groups(&server).await, 0);
    server.stop().await;
}

async fn kept_of_groups(server: &TestServer) -> u64 {
    let response = server.api(Method::GET, "/metrics").send().await.expect("an answer");
    let page = response.text().await.expect("a text");
    let (_, value) = page.split_once("\nflowcore_group_cache_bytes ").expect("the metric");
    value.lines().next().expect("a value").parse().expect("bytes")
}

#[tokio::test]
async fn metrics_are_for_who_may_read_them() {
    let server = TestServer::start().await;
    let response = server.plain(Method::GET, "/metrics").send().await.expect("an answer");
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "not unless the operator opens them");
    let response = server.api(Method::GET, "/metrics").send().await.expect("an answer");
    assert_eq!(response.status(), StatusCode::OK);
    let page = response.text().await.expect("a text");
    for line in [
        "flowcore_up 1\n",
        "flowcore_deliveries_waiting 0\n",
        "\nprocess_open_fds ",
        "flowcore_http_requests_total{method=\"GET\",route=\"/metrics\",status=\"401\"} 1\n",
    ] {
        assert!(page.contains(line), "{line} is not in {page}");
    }
    let TestServer { server: running, network, http, folder } = server;
    running.stop().await;
    let mut config = config(folder.path(), &network);
    let basic = Some(("prometheus".to_owned(), "hush".to_owned()));
    config.evolution.metrics =
        Some(flowcore_server::evolution::MetricsAccess { basic, open: false });
    let running = app::serve(config, Mark::Sandbox).await.expect("a server");
    let server = TestServer { server: running, network, http, folder };
    let key = create(&server, "shop").await;
    let request = || server.plain(Method::GET, "/metrics");
    for refused in
        [request(), request().header("apikey", &key), request().basic_auth("prometheus", Some("x"))]
    {
        let response = refused.send().await.expect("an answer");
        // The key of an instance reads its own instance at most.
        let status = response.status();
        let body = response.text().await.expect("a text");
        assert!(status == StatusCode::UNAUTHORIZED || body.contains("instances_total 1"), "{body}");
    }
    for admitted in
        [request().header("apikey", ADMIN_KEY), request().basic_auth("prometheus", Some("hush"))]
    {
        let response = admitted.send().await.expect("an answer");
        assert_eq!(response.status(), StatusCode::OK);
        let status = response.status();
        let body = response.text().await.expect("a text");
        let theirs = body.lines().filter(|line| line.starts_with("evolution_"));
        answered("metrics", (status, theirs.collect()));
    }
    server.stop().await;
}
