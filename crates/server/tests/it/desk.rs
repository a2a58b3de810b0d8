//! The pages of the assistant, of documents and of support, used as a browser without a script uses them.

use crate::dashboard::body;
use crate::harness::{DEADLINE, TestServer, text};
use crate::pages::{Browser, behind};
use reqwest::{Method, StatusCode, multipart};
use serde_json::{Value, json};
use std::time::Instant;

const AI: &str = "/api/instances/shop/ai";

impl Browser<'_> {
    /// Sends a form with a file; the page that comes in the end.
    async fn attach(
        &self,
        path: &str,
        fields: &[(&'static str, &str)],
        file: Option<(&'static str, &'static [u8])>,
    ) -> (StatusCode, String) {
        let mut form = multipart::Form::new().text("csrf", self.csrf.clone());
        for (name, value) in fields {
            form = form.text(*name, (*value).to_owned());
        }
        if let Some((name, bytes)) = file {
            form = form.part("file", multipart::Part::bytes(bytes).file_name(name));
        }
        let request = self.server.plain(Method::POST, path).header("cookie", &self.cookie);
        let sent = request.header("accept", "text/html").multipart(form).send().await;
        let sent = sent.expect("an answer");
        match sent.headers().get("location") {
            Some(leads) => (sent.status(), leads.to_str().expect("ASCII").to_owned()),
            None => (sent.status(), body(sent).await),
        }
    }

    /// The page once it has this on it.
    pub(crate) async fn until(&self, path: &str, part: &str) -> String {
        let began = Instant::now();
        loop {
            let page = self.look(path).await;
            if page.contains(part) {
                return page;
            }
            assert!(began.elapsed() < DEADLINE, "no {part} in {page}");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

/// What the form of the assistant carries when nothing was changed in it.
fn fields(prompt: &str, more: &str) -> String {
    format!(
        "systemPrompt={}&temperature=0.5&maxTokens=400&provider=default&defaultVoiceLanguage=pt\
         &processVoiceMessages=on&voiceMessageDefaultResponse=Hm%3F&pacing.debounceMs=100\
         &pacing.maxRepliesPerContactHour=9&optOutWords=stop%0D%0Aparar&{more}",
        prompt.replace(' ', "+")
    )
}

#[tokio::test]
async fn an_assistant_is_set_switched_and_its_prompt_rolled_back() {
    let server = TestServer::start().await;
    let browser = Browser::of_admin(&server).await;
    server.shop().await;
    let page = browser.look("/i/shop/ai").await;
    assert!(page.contains(">Off<") && page.contains("It was never changed."), "{page}");
    let (status, leads) = browser.send("/i/shop/ai", &fields("Be kind.", "groups=on")).await;
    assert_eq!((status, leads.as_str()), (StatusCode::SEE_OTHER, "/i/shop/ai?did=saved"));
    let (_, set) = server.get(AI).await;
    assert_eq!((&set["systemPrompt"], &set["temperature"]), (&json!("Be kind."), &json!(0.5)));
    assert_eq!((&set["groups"], &set["pacing"]["typing"]), (&json!(true), &json!(false)));
    assert_eq!(set["optOutWords"], json!(["stop", "parar"]));

    let (status, page) = browser.send("/i/shop/ai", &fields("Be <mean>.", "temperature=7")).await;
    assert_eq!(status, StatusCode::SEE_OTHER, "the first of two fields counts: {page}");
    let hot = fields("Be hot.", "").replace("temperature=0.5", "temperature=7");
    let (status, page) = browser.send("/i/shop/ai", &hot).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.contains("Temperature is a number from 0 to 2") && page.contains(">Be hot.<"));
    let odd = fields("Be odd.", "").replace("maxTokens=400", "maxTokens=many");
    let (status, page) = browser.send("/i/shop/ai", &odd).await;
    assert!(status == StatusCode::UNPROCESSABLE_ENTITY && page.contains("MaxTokens is a number."));

    let (_, page) = browser.send("/i/shop/ai/check", &fields("Be kind.", "")).await;
    assert!(page.contains("It answers") && page.contains("chat-double"), "{page}");
    let (_, leads) = browser.send("/i/shop/ai/toggle", "on=on").await;
    assert_eq!(leads, "/i/shop/ai?did=assistant-on");
    assert_eq!(server.get(AI).await.1["isActive"], true);
    let home = browser.look("/").await;
    assert!(home.contains("Assistant answers"), "the card tells it: {home}");

    let (_, versions) = server.get(&format!("{AI}/versions")).await;
    let first = text(&versions["data"].as_array().expect("a list").last().expect("one")["id"]);
    let path = format!("/i/shop/ai/versions/{first}");
    let page = browser.look(&path).await;
    assert!(page.contains("Be &#60;mean&#62;.") || page.contains("Be &lt;mean&gt;."), "{page}");
    let (_, leads) = browser.send(&format!("{path}/restore"), "").await;
    assert_eq!(leads, "/i/shop/ai?did=prompt-restored");
    assert_eq!(server.get(AI).await.1["systemPrompt"], "Be kind.");
    server.stop().await;
}

#[tokio::test]
async fn a_prompt_is_written_compared_and_taken_over() {
    let server = TestServer::start().await;
    let browser = Browser::of_admin(&server).await;
    server.shop().await;
    server.script("chat", json!([{ "text": "You are Ana.\nBe brief." }])).await;
    let (status, page) = browser.send("/i/shop/ai/generate", "description=A+bakery").await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("class=\"added\"") && page.contains("You are Ana."), "{page}");
    assert!(page.contains("1 this month"), "{page}");
    assert_ne!(server.get(AI).await.1["systemPrompt"], "You are Ana.\nBe brief.");
    let accepted = "systemPrompt=You+are+Ana.%0D%0ABe+brief.";
    assert_eq!(browser.send("/i/shop/ai/prompt", accepted).await.0, StatusCode::SEE_OTHER);
    assert_eq!(server.get(AI).await.1["systemPrompt"], "You are Ana.\nBe brief.");
    let (status, _) = browser.send("/i/shop/ai/generate", "description=+").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    server.stop().await;
}

#[tokio::test]
async fn an_assistant_is_tried_with_what_was_said_before_and_with_another_prompt() {
    let server = TestServer::start().await;
    let browser = Browser::of_admin(&server).await;
    server.shop().await;
    let path = "/i/shop/ai/test";
    server.script("chat", json!([{ "text": "At nine." }])).await;
    let (status, page) = browser.attach(path, &[("message", "When?")], None).await;
    assert_eq!(status, StatusCode::OK, "{page}");
    assert!(page.contains("At nine.") && page.contains("[user] When?"), "{page}");
    assert!(page.contains("value=\"assistant:At nine.\""), "it is remembered in the form");
    server.script("chat", json!([{ "text": "One." }, { "text": "Two." }])).await;
    let again = [
        ("said", "user:When?"),
        ("said", "assistant:At nine."),
        ("systemPrompt", "Be a pirate."),
        ("compare", "on"),
        ("message", "And on Sundays?"),
    ];
    let (_, page) = browser.attach(path, &again, None).await;
    assert!(page.contains("With the edited prompt") && page.contains("With the saved prompt"));
    assert!(page.contains("One.") && page.contains("Two.") && page.contains("Be a pirate."));
    assert!(page.contains("[assistant] At nine."), "{page}");
    let (status, page) = browser.attach(path, &[("message", " ")], None).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{page}");
    server.script("transcriptions", json!([{ "text": "Are you open?" }])).await;
    server.script("chat", json!([{ "text": "Yes." }])).await;
    let (_, page) = browser.attach(path, &[("message", "")], Some(("a.ogg", b"OggS"))).await;
    assert!(page.contains("Are you open?") && page.contains("Yes."), "{page}");
    let kept = [("systemPrompt", "Be a pirate.")];
    let (_, leads) = browser.attach("/i/shop/ai/test/keep", &kept, None).await;
    assert_eq!(leads, "/i/shop/ai?did=prompt-accepted");
    let forged = multipart::Form::new().text("csrf", "guessed").text("message", "hi");
    let request = server.plain(Method::POST, path).header("cookie", &browser.cookie);
    let refused = request.multipart(forged).send().await.expect("an answer");
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    server.stop().await;
}

#[tokio::test]
async fn a_voice_note_is_written_down_on_the_page_of_webhooks() {
    let server = TestServer::start().await;
    let browser = Browser::of_admin(&server).await;
    server.shop().await;
    server.script("transcriptions", json!([{ "text": "Two loaves, please." }])).await;
    let path = "/i/shop/webhooks/voice";
    let (_, page) = browser.attach(path, &[], Some(("note.ogg", b"OggS"))).await;
    assert_eq!(behind(&page, "id=\"transcript\" class=\"prose\">"), "Two loaves, please.");
    let (status, page) = browser.attach(path, &[], None).await;
    assert!(status == StatusCode::UNPROCESSABLE_ENTITY && page.contains("Choose a recording."));
    server.stop().await;
}

#[tokio::test]
async fn a_document_is_added_searched_given_away_and_deleted() {
    let server = TestServer::start().await;
    let browser = Browser::of_admin(&server).await;
    server.shop().await;
    assert!(browser.look("/documents").await.contains("There is no document yet."));
    let (status, page) = browser.attach("/documents", &[("url", "")], None).await;
    assert!(status == StatusCode::UNPROCESSABLE_ENTITY && page.contains("Choose a file"));
    let hours: (_, &[u8]) = ("hours.md", b"# Bakery\n\nWe open at 7:00 on Tuesdays.\n");
    let unknown = [("instance", "nowhere")];
    let (status, _) = browser.attach("/documents", &unknown, Some(hours)).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let (_, list) = server.get("/api/documents").await;
    assert_eq!(list["data"], json!([]), "a wrong name leaves nothing behind");
    let (_, leads) = browser.attach("/documents", &[("instance", "shop")], Some(hours)).await;
    assert_eq!(leads, "/documents?did=document-taken");
    let page = browser.until("/documents", ">Ready<").await;
    assert!(page.contains("hours.md") && page.contains(">shop<"), "{page}");
    let found = browser.look("/documents?ask=when+do+you+open&of=shop").await;
    assert!(found.contains("We open at 7:00 on Tuesdays."), "{found}");
    let (_, list) = server.get("/api/documents").await;
    let path = format!("/documents/{}", text(&list["data"][0]["id"]));
    let (_, leads) = browser.send(&format!("{path}/use"), "instance=shop&away=on").await;
    assert_eq!(leads, format!("{path}?did=saved"));
    assert!(browser.look(&path).await.contains("None: give it to one below."));
    let (status, _) = browser.send(&format!("{path}/use"), "instance=nowhere").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    browser.send(&format!("{path}/delete"), "").await;
    assert_eq!(server.get("/api/documents").await.1["data"], json!([]));
    server.stop().await;
}

#[tokio::test]
async fn a_customer_who_waits_is_seen_answered_and_resolved() {
    let server = TestServer::start().await;
    let browser = Browser::of_admin(&server).await;
    let number = server.linked("shop").await;
    let ana = server.contact("Ana").await;
    let path = "/i/shop/support";
    let (_, leads) = browser.send(&format!("{path}/keywords"), "keyword=human").await;
    assert_eq!(leads, "/i/shop/support?did=keyword-added");
    let (status, _) = browser.send(&format!("{path}/keywords"), "keyword=+").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let tried = browser.look(&format!("{path}?try=A+human+please")).await;
    assert!(tried.contains("Yes, because of: <b>human</b>"), "{tried}");
    let tried = browser.look(&format!("{path}?try=Hello")).await;
    assert!(tried.contains("No, the assistant goes on."), "{tried}");
    let typed = "isActive=on&customerTemplate=One+moment%2C+%7B%7Bcustomer_name%7D%7D.\
                 &supportTemplate=%7B%7Breason%7D%7D&byHours=on&businessHours.timeZone=Mars";
    let (status, page) = browser.send(path, typed).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.contains("One moment, Ana.") && page.contains("timeZone is a name"), "{page}");
    let week = "businessHours.weekly.monday=00:00-24:00";
    let typed = typed.replace("Mars", "UTC") + "&" + week;
    assert_eq!(browser.send(path, &typed).await.1, "/i/shop/support?did=saved");
    let (_, set) = server.get("/api/instances/shop/support").await;
    assert_eq!(set["businessHours"]["weekly"]["monday"][0]["to"], "24:00");
    assert!(browser.look(path).await.contains("value=\"00:00-24:00\""));

    let write = json!({ "to": number, "text": "A human, please!" });
    server.phones(&format!("/admin/contacts/{ana}/messages"), write).await;
    let list = browser.until("/escalations", "said “human”").await;
    assert!(list.contains(">1<span class=\"hidden\"> wait"), "the bar counts: {list}");
    assert!(browser.look("/").await.contains("1 waiting"), "so does the card");
    let (_, link) = list.split_once("href=\"/escalations/").expect("a link");
    let page = format!("/escalations/{}", link.split('"').next().expect("an id"));
    let shown = browser.look(&page).await;
    assert!(shown.contains("A human, please!") && shown.contains("Hand back"), "{shown}");
    let (_, open) = server.get("/api/escalations").await;
    let talk = format!("/conversations/{}", text(&open["data"][0]["conversationId"]));
    let id = page.trim_start_matches("/escalations/");
    let (_, leads) = browser.send(&talk, &format!("message=Here+I+am.&escalation={id}")).await;
    assert_eq!(leads, format!("{page}?did=sent"));
    assert!(browser.look(&talk).await.contains("Here I am."));
    let log = browser.look(&format!("/i/shop/logs?way=in&chat={ana}")).await;
    let (_, link) = log.split_once("href=\"/i/shop/logs/").expect("a message");
    let way =
        browser.look(&format!("/i/shop/logs/{}", link.split('"').next().expect("an id"))).await;
    let stations = [">The assistant answers</a>", "<b>A person was called</b>", "<b>Answered</b>"];
    let at =
        stations.map(|station| way.find(station).unwrap_or_else(|| panic!("{station}: {way}")));
    assert!(at.is_sorted(), "{way}");
    let (_, leads) = browser.send(&format!("{page}/resolve"), "note=Shipped&handBack=on").await;
    assert_eq!(leads, "/escalations?did=resolved");
    assert!(browser.look("/escalations").await.contains("Nobody waits for a person."));
    let shown = browser.look(&page).await;
    assert!(shown.contains("Shipped") && shown.contains("Open it again"), "{shown}");
    browser.send(&format!("{page}/reopen"), "").await;
    let (_, leads) = browser.send(&format!("{talk}/release"), "").await;
    assert_eq!(leads, format!("{talk}?did=handed-back"));
    assert!(browser.look("/conversations").await.contains("The assistant answers"));
    browser.send(&format!("{talk}/takeover"), "").await;
    let (_, now) = server.get(&format!("/api{talk}")).await;
    assert_eq!(now["owner"], "human");
    server.stop().await;
}

#[tokio::test]
async fn several_instances_are_restarted_and_deleted_when_their_number_is_typed() {
    let server = TestServer::start().await;
    let browser = Browser::of_admin(&server).await;
    for name in ["a1", "a2", "a3"] {
        server.connect(name).await;
    }
    assert_eq!(browser.send("/instances/bulk", "do=restart").await.1, "/?did=none-picked");
    let (_, leads) = browser.send("/instances/bulk", "do=restart&pick=a1&pick=a2").await;
    assert_eq!(leads, "/?did=all-restarted");
    let (status, page) = browser.send("/instances/bulk", "do=restart&pick=a1&pick=gone").await;
    assert!(status == StatusCode::UNPROCESSABLE_ENTITY && page.contains("<b>gone</b>"), "{page}");
    let (_, asked) = browser.send("/instances/bulk/delete", "pick=a1&pick=a2").await;
    assert!(asked.contains("Type 2 to delete them"), "{asked}");
    let wrong = browser.send("/instances/bulk/delete", "pick=a1&pick=a2&sure=3").await;
    assert_eq!(wrong.0, StatusCode::UNPROCESSABLE_ENTITY);
    let (_, asked) = browser.send("/instances/bulk", "do=logout&pick=a3").await;
    assert!(asked.contains("Log out 1 instances?"), "{asked}");
    let (_, leads) = browser.send("/instances/bulk", "do=logout&pick=a3&sure=on").await;
    assert_eq!(leads, "/?did=all-logged-out");
    let (_, leads) = browser.send("/instances/bulk/delete", "pick=a1&pick=a2&sure=2").await;
    assert_eq!(leads, "/?did=all-deleted");
    let (_, list) = server.get("/api/whatsapp/instances").await;
    let names: Vec<&Value> =
        list.as_array().expect("a list").iter().map(|one| &one["instanceName"]).collect();
    assert_eq!(names, ["a3"]);
    server.stop().await;
}
