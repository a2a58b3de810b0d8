//! What an owner sets over the API.

use crate::harness::{TestServer, answer};
use reqwest::{Method, StatusCode};
use serde_json::json;

#[tokio::test]
async fn history_is_kept_for_ever_until_it_is_limited() {
    let server = TestServer::start().await;
    server.connect("shop").await;
    let path = "/api/instances/shop/settings";
    let change = async |body| answer(server.api(Method::PATCH, path).json(&body)).await;
    let (status, settings) = answer(server.api(Method::GET, path)).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(settings, json!({ "history": { "days": null, "messages": null } }));

    let (status, settings) = change(json!({ "history": { "days": 90, "messages": 10_000 } })).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(settings, json!({ "history": { "days": 90, "messages": 10_000 } }));
    let (_, settings) = change(json!({ "history": { "days": null } })).await;
    assert_eq!(settings, json!({ "history": { "days": null, "messages": 10_000 } }));

    for wrong in [0, 36_501] {
        let (status, problem) = change(json!({ "history": { "days": wrong } })).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(problem["code"], "invalid_settings");
        assert_eq!(problem["errors"][0]["field"], "history.days");
    }
    let (status, _) = change(json!({ "histroy": {} })).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "a typo is told");
    let (_, settings) = answer(server.api(Method::GET, path)).await;
    assert_eq!(settings, json!({ "history": { "days": null, "messages": 10_000 } }));
    let (status, problem) = answer(server.api(Method::GET, "/api/instances/none/settings")).await;
    assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &json!("instance_not_found")));
    server.stop().await;
}
