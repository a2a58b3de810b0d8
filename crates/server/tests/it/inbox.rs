//! The pages of chats: words found in all of them, pictures and recordings in a thread, and what lies further back.

use crate::harness::{TestServer, header};
use crate::pages::{Browser, behind};
use crate::traces::PHOTO;
use reqwest::{Method, StatusCode};
use serde_json::json;

#[tokio::test]
async fn words_are_found_in_every_chat_and_lead_to_where_they_were_said() {
    let server = TestServer::start().await;
    let browser = Browser::of_admin(&server).await;
    let shop = server.linked("shop").await;
    for (name, text) in [("Ana", "Do you have rye bread?"), ("Bea", "Do you have cake?")] {
        let who = server.contact(name).await;
        let say = json!({ "to": shop, "text": text });
        server.phones(&format!("/admin/contacts/{who}/messages"), say).await;
        browser.until("/i/shop/chats", name).await;
    }
    let found = browser.look("/i/shop/chats?search=RYE+br").await;
    assert!(found.contains("Do you have rye bread?") && !found.contains("cake"), "{found}");
    let (_, link) = found.split_once("href=\"/i/shop/chats/").expect("a hit");
    let (link, _) = link.split_once('#').expect("the message");
    let thread = browser.look(&format!("/i/shop/chats/{link}")).await;
    assert!(thread.contains("<h1>Ana</h1>") && thread.contains("rye bread"), "{thread}");
    assert!(browser.look("/i/shop/chats?search=nothing").await.contains("No message has these"));
    server.stop().await;
}

#[tokio::test]
async fn groups_have_their_names_in_the_list_and_above_the_thread() {
    let server = TestServer::start().await;
    let browser = Browser::of_admin(&server).await;
    let shop = server.linked("shop").await;
    let ana = server.contact("Ana").await;
    let new = json!({ "subject": "Friends", "participants": [shop] });
    let group = server.phones(&format!("/admin/contacts/{ana}/groups"), new).await;
    let say = json!({ "to": group["jid"], "text": "Hello all" });
    server.phones(&format!("/admin/contacts/{ana}/messages"), say).await;
    let chats = browser.until("/i/shop/chats", "<b>Friends</b>").await;
    let thread = browser.look(&format!("/i/shop/chats/{}", chat(&chats))).await;
    assert!(thread.contains("<h1>Friends</h1>") && thread.contains("Hello all"), "{thread}");
    server.stop().await;
}

#[tokio::test]
async fn a_picture_is_shown_from_where_the_api_has_it_and_fetched_once() {
    let server = TestServer::start().await;
    let browser = Browser::of_admin(&server).await;
    let shop = server.linked("shop").await;
    let ana = server.contact("Ana").await;
    let say = json!({ "to": shop, "type": "image", "media": PHOTO, "mimetype": "image/png" });
    server.phones(&format!("/admin/contacts/{ana}/messages"), say).await;
    let chats = browser.until("/i/shop/chats", "Ana").await;
    let link = format!("/i/shop/chats/{}", chat(&chats));
    let thread = browser.look(&link).await;
    let picture = thread.split_once("<img class=\"picture\" src=\"").expect("a picture").1;
    let (picture, _) = picture.split_once('"').expect("an address");
    let file = || server.page(picture, &browser.cookie);
    let whole = file().send().await.expect("an answer");
    assert_eq!(
        (whole.status(), header(&whole, "content-type")),
        (StatusCode::OK, Some("image/png"))
    );
    assert!(header(&whole, "content-disposition").expect("a name").starts_with("attachment"));
    let tag = header(&whole, "etag").expect("a tag").to_owned();
    let again = file().header("if-none-match", &tag).send().await.expect("an answer");
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    let stranger = server.plain(Method::GET, picture).header("if-none-match", &tag);
    assert_eq!(stranger.send().await.expect("an answer").status(), StatusCode::UNAUTHORIZED);

    // Files are WhatsApp's: without the line there is only what came with the message.
    server.post("/api/whatsapp/logout", json!({ "instanceName": "shop" })).await;
    let thread = browser.look(&link).await;
    assert!(!thread.contains(picture) && thread.contains("A picture"), "{thread}");
    server.stop().await;
}

#[tokio::test]
async fn a_long_thread_is_turned_page_by_page() {
    let server = TestServer::start().await;
    let browser = Browser::of_admin(&server).await;
    let shop = server.linked("shop").await;
    let ana = server.contact("Ana").await;
    for number in 0..62 {
        let say = json!({ "to": shop, "text": format!("line {number}.") });
        server.phones(&format!("/admin/contacts/{ana}/messages"), say).await;
    }
    let chats = browser.until("/i/shop/chats", "line 61.").await;
    let link = format!("/i/shop/chats/{}", chat(&chats));
    let newest = browser.look(&link).await;
    assert!(newest.contains("line 61.") && !newest.contains("line 1."), "{newest}");
    let older = browser.look(&format!("{link}?page=1")).await;
    assert!(newest.contains("?page=1\"") && older.contains("line 1.") && older.contains("line 0."));
    assert!(older.contains("?page=0\"") && !older.contains("?page=2"), "{older}");
    server.stop().await;
}

/// The first chat of the list.
fn chat(list: &str) -> String {
    let link = list.split_once("href=\"/i/shop/chats/").expect("a chat").1;
    link.split_once('"').expect("an address").0.to_owned()
}

#[tokio::test]
async fn the_passages_of_a_document_are_read_in_its_order() {
    let server = TestServer::start().await;
    let browser = Browser::of_admin(&server).await;
    let part = |number: u32| format!("# Part {number}\n\n{}\n\n", "Bread is baked. ".repeat(100));
    let text: String = (0..45).map(part).collect();
    let file = reqwest::multipart::Part::text(text).file_name("long.md");
    let form = reqwest::multipart::Form::new().part("file", file);
    let sent = server.api(Method::POST, "/api/documents").multipart(form).send().await;
    let made: serde_json::Value = sent.expect("an answer").json().await.expect("JSON");
    let id = made["id"].as_str().expect("an id");
    let path = format!("/documents/{id}");
    let page = browser.until(&path, "Ready").await;
    assert!(page.contains("<p>Part 0\n") && page.contains("?from=40#passages"), "{page}");
    let rest = browser.look(&format!("{path}?from=40")).await;
    assert!(
        rest.contains("<p>Part 44\n")
            && rest.contains("start=\"41\"")
            && !rest.contains("Part 39\n")
    );
    assert_eq!(behind(&page, "<dt>Passages</dt><dd>"), "45");

    let api = format!("/api/documents/{id}/passages");
    let (_, first) = server.get(&format!("{api}?limit=44")).await;
    assert_eq!(first["data"].as_array().expect("passages").len(), 44);
    assert!(first["data"][0]["text"].as_str().expect("a text").starts_with("Part 0\n"));
    let cursor = first["nextCursor"].as_str().expect("there is more");
    let (_, last) = server.get(&format!("{api}?cursor={cursor}")).await;
    assert_eq!((&last["data"][0]["number"], &last["nextCursor"]), (&json!(44), &json!(null)));
    assert_eq!(server.get(&format!("{api}?limit=0")).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(server.get(&format!("{api}?cursor=x")).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    server.stop().await;
}

#[tokio::test]
async fn cases_are_kept_run_and_deleted() {
    let server = TestServer::start().await;
    let browser = Browser::of_admin(&server).await;
    server.shop().await;
    let page = "/i/shop/ai/cases";
    assert!(browser.look(page).await.contains("No case yet."));
    let (status, refused) = browser.send(page, "message=+&contains=kept").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        refused.contains("role=\"alert\"") && refused.contains(">kept</textarea>"),
        "{refused}"
    );
    let fields =
        "message=When+are+you+open%3F&contains=at+nine%0D%0A&notContains=never&unknown=false";
    assert_eq!(browser.send(page, fields).await.1, format!("{page}?did=case-kept"));
    let (_, cases) = server.get("/api/instances/shop/ai/cases").await;
    let expect = json!({ "contains": ["at nine"], "notContains": ["never"], "unknown": false });
    assert_eq!(cases["data"][0]["expect"], expect);

    let next = |text: &str| json!({ "double": "chat", "next": [{ "text": text }] });
    server.phones("/admin/model", next("We open at nine.")).await;
    assert_eq!(
        browser.send(&format!("{page}/run"), "").await.1,
        format!("{page}?did=cases-passed")
    );
    server.phones("/admin/model", next("Never.")).await;
    assert_eq!(
        browser.send(&format!("{page}/run"), "").await.1,
        format!("{page}?did=cases-failed")
    );
    let failed = browser.look(page).await;
    assert!(failed.contains(">Failed<") && failed.contains("the answer has"), "{failed}");

    let id = cases["data"][0]["id"].as_str().expect("an id");
    let gone = format!("{page}/{id}/delete");
    assert_eq!(browser.send(&gone, "").await.1, format!("{page}?did=case-gone"));
    assert_eq!(browser.send(&gone, "").await.0, StatusCode::NOT_FOUND);
    server.stop().await;
}
