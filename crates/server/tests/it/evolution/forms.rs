//! Bodies of forms: what JSON says can be said by one, as there.

use super::{get, inbox, linked, received};
use crate::harness::{ADMIN_KEY, TestServer, answer, text};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// Posts a form as browsers and PHP do.
async fn submit(server: &TestServer, path: &str, form: String) -> (StatusCode, Value) {
    let request = server.plain(Method::POST, path).header("apikey", ADMIN_KEY);
    let kind = "application/x-www-form-urlencoded; charset=utf-8";
    answer(request.header("content-type", kind).body(form)).await
}

#[tokio::test]
async fn texts_of_a_form_are_what_the_fields_want() {
    let server = TestServer::start().await;
    let (_, phone) = linked(&server, "shop").await;
    let ana = server.contact("Ana").await;
    let key = received(&server, (&ana, &phone), json!({ "text": "Is it true?" })).await;
    let quoted = text(&key["id"]);
    let form =
        format!("number=%2B{ana}&text=true&delay=5&linkPreview=false&quoted[key][id]={quoted}");
    let (status, sent) = submit(&server, "/message/sendText/shop", form).await;
    assert_eq!(status, StatusCode::CREATED, "{sent}");
    assert_eq!(sent["contextInfo"]["stanzaId"], quoted.as_str(), "{sent}");
    let place = format!("number={ana}&latitude=-23.5&longitude=-46.6&name=Shop&address=Street+1");
    let (status, sent) = submit(&server, "/message/sendLocation/shop", place).await;
    assert_eq!(status, StatusCode::CREATED, "{sent}");
    let got = inbox(&server, &ana, 2).await;
    assert_eq!((&got[0]["text"], &got[1]["type"]), (&json!("true"), &json!("location")), "{got:?}");
    let group = format!("subject=Friends&participants[]={ana}");
    let (status, made) = submit(&server, "/group/create/shop", group).await;
    assert_eq!((status, &made["subject"]), (StatusCode::CREATED, &json!("Friends")), "{made}");
    assert_eq!(made["participants"].as_array().map(Vec::len), Some(2), "{made}");
    let hook = "webhook[enabled]=true&webhook[url]=http://127.0.0.1:9/x&webhook[base64]=true\
        &webhook[events][]=SEND_MESSAGE&webhook[events][]=CALL";
    let (status, stored) = submit(&server, "/webhook/set/shop", hook.to_owned()).await;
    assert_eq!(status, StatusCode::CREATED, "{stored}");
    let (_, found) = get(&server, "/webhook/find/shop").await;
    let chosen = (&found["webhookBase64"], &found["events"]);
    assert_eq!(chosen, (&json!(true), &json!(["SEND_MESSAGE", "CALL"])), "{found}");
    server.stop().await;
}

#[tokio::test]
async fn what_is_said_to_be_a_form_may_be_json_and_what_does_not_fit_is_refused() {
    let server = TestServer::start().await;
    linked(&server, "shop").await;
    let ana = server.contact("Ana").await;
    let body = json!({ "number": ana, "text": "as curl sends it" }).to_string();
    let (status, sent) = submit(&server, "/message/sendText/shop", body).await;
    assert_eq!(status, StatusCode::CREATED, "{sent}");
    assert_eq!(inbox(&server, &ana, 1).await[0]["text"], "as curl sends it");
    for (form, sentence) in [
        (format!("number={ana}"), json!([["instance requires property \"text\""]])),
        (format!("number={ana}&text=x&delay=soon"), json!([["Enter a value in milliseconds"]])),
        ("a[b][c][d][e][f]=1".to_owned(), json!("The form has too many fields")),
    ] {
        let (status, refused) = submit(&server, "/message/sendText/shop", form).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{refused}");
        assert_eq!(refused["response"]["message"], sentence);
    }
    assert_eq!(inbox(&server, &ana, 0).await.len(), 1, "nothing else arrived");
    server.stop().await;
}
