//! The dashboard's pages and forms, as a browser without JavaScript uses them.

use crate::harness::{ADMIN_KEY, TestServer, header};
use reqwest::{Method, RequestBuilder, Response, StatusCode};

impl TestServer {
    /// Signs in with the admin key; the cookie to send back.
    pub(crate) async fn sign_in(&self) -> String {
        let form = self.plain(Method::POST, "/login").body(format!("key={ADMIN_KEY}"));
        let response = form.header("content-type", FORM).send().await.expect("an answer");
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        let cookie = header(&response, "set-cookie").expect("a cookie");
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
        cookie.split(';').next().expect("a pair").to_owned()
    }

    /// The token that the session's forms carry.
    pub(crate) async fn csrf(&self, cookie: &str) -> String {
        let page = body(self.page("/instances/new", cookie).send().await.expect("an answer")).await;
        let (_, rest) = page.split_once("name=\"csrf\" value=\"").expect("a form");
        rest.split('"').next().expect("a token").to_owned()
    }

    pub(crate) fn page(&self, path: &str, cookie: &str) -> RequestBuilder {
        self.plain(Method::GET, path).header("cookie", cookie).header("accept", "text/html")
    }

    pub(crate) async fn submit(&self, path: &str, cookie: &str, fields: &str) -> Response {
        let form =
            self.plain(Method::POST, path).header("cookie", cookie).header("accept", "text/html");
        let form = form.header("content-type", FORM).body(fields.to_owned());
        form.send().await.expect("an answer")
    }
}

const FORM: &str = "application/x-www-form-urlencoded";

pub(crate) async fn body(response: Response) -> String {
    response.text().await.expect("a page")
}

#[tokio::test]
async fn a_wrong_key_is_told_and_sets_no_cookie() {
    let server = TestServer::start().await;
    let form = server.plain(Method::POST, "/login").header("content-type", FORM).body("key=wrong");
    let response = form.send().await.expect("an answer");
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert!(header(&response, "set-cookie").is_none());
    assert!(body(response).await.contains("This key is not known here"));
    let foreign = server.plain(Method::POST, "/login").header("sec-fetch-site", "cross-site");
    let foreign = foreign.header("content-type", FORM).body(format!("key={ADMIN_KEY}"));
    assert_eq!(foreign.send().await.expect("an answer").status(), StatusCode::FORBIDDEN);
    server.stop().await;
}

#[tokio::test]
async fn who_is_not_signed_in_is_sent_to_the_form() {
    let server = TestServer::start().await;
    for path in ["/", "/instances/new", "/i/shop/link", "/i/shop/delete"] {
        let response = server.page(path, "flowcore=nothing").send().await.expect("an answer");
        assert_eq!(header(&response, "location"), Some("/login"), "{path}");
    }
    server.stop().await;
}

#[tokio::test]
async fn an_instance_is_made_linked_and_deleted_by_forms_alone() {
    let server = TestServer::start().await;
    let cookie = server.sign_in().await;
    let csrf = server.csrf(&cookie).await;
    let empty = body(server.page("/", &cookie).send().await.expect("an answer")).await;
    assert!(empty.contains("Link your first number"));

    let made = server.submit("/instances", &cookie, &format!("csrf={csrf}&name=shop")).await;
    assert_eq!(made.status(), StatusCode::SEE_OTHER);
    assert_eq!(header(&made, "location"), Some("/i/shop/link"));
    let link = body(server.page("/i/shop/link", &cookie).send().await.expect("an answer")).await;
    assert!(link.contains("<svg xmlns=") && link.contains("Linked devices"), "{link}");
    assert!(link.contains("http-equiv=\"refresh\""), "it follows the rounds without a script");

    server.linked("shop").await;
    let link = body(server.page("/i/shop/link", &cookie).send().await.expect("an answer")).await;
    assert!(link.contains("<b>Connected.</b>") && !link.contains("http-equiv=\"refresh\""));
    let home = body(server.page("/", &cookie).send().await.expect("an answer")).await;
    assert!(home.contains("<span class=\"badge connected\">Connected</span>"), "{home}");

    let path = "/i/shop/delete";
    let wrong = server.submit(path, &cookie, &format!("csrf={csrf}&name=shoe")).await;
    assert_eq!(wrong.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let deleted = server.submit(path, &cookie, &format!("csrf={csrf}&name=shop")).await;
    assert_eq!(header(&deleted, "location"), Some("/?did=deleted&name=shop"));
    let home = server.page("/?did=deleted&name=shop", &cookie).send().await.expect("an answer");
    let home = body(home).await;
    assert!(home.contains("shop was deleted.") && !home.contains("id=\"card-"));
    server.stop().await;
}

#[tokio::test]
async fn a_form_without_the_sessions_token_is_refused() {
    let server = TestServer::start().await;
    let cookie = server.sign_in().await;
    for fields in ["name=shop", "csrf=&name=shop", "csrf=guessed&name=shop"] {
        for path in ["/instances", "/i/shop/link", "/i/shop/restart", "/i/shop/delete", "/logout"] {
            let response = server.submit(path, &cookie, fields).await;
            assert_eq!(response.status(), StatusCode::FORBIDDEN, "{path} {fields}");
        }
    }
    let (_, list) = server.get("/api/whatsapp/instances").await;
    assert_eq!(list, serde_json::json!([]));
    server.stop().await;
}

#[tokio::test]
async fn a_name_against_the_rule_keeps_what_was_typed_and_says_the_rule() {
    let server = TestServer::start().await;
    let cookie = server.sign_in().await;
    let csrf = server.csrf(&cookie).await;
    let fields = format!("csrf={csrf}&name=%22%3Cscript%3E");
    let response = server.submit("/instances", &cookie, &fields).await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let page = body(response).await;
    assert!(page.contains("id=\"wrong\" class=\"wrong\">1 to 64 letters"), "{page}");
    assert!(!page.contains("<script>"), "what was typed is escaped");
    server.stop().await;
}

#[tokio::test]
async fn signing_out_ends_the_session_itself() {
    let server = TestServer::start().await;
    let cookie = server.sign_in().await;
    let csrf = server.csrf(&cookie).await;
    let response = server.submit("/logout", &cookie, &format!("csrf={csrf}")).await;
    assert!(header(&response, "set-cookie").is_some_and(|cookie| cookie.contains("Max-Age=0")));
    let home = server.page("/", &cookie).send().await.expect("an answer");
    assert_eq!(header(&home, "location"), Some("/login"), "the old cookie opens nothing");
    server.stop().await;
}

#[tokio::test]
async fn no_page_has_inline_script_or_style() {
    let server = TestServer::start().await;
    let cookie = server.sign_in().await;
    server.connect("shop").await;
    let paths = [
        "/login",
        "/",
        "/instances/new",
        "/i/shop/link",
        "/i/shop/logout",
        "/i/shop/delete",
        "/i/shop/ai",
        "/i/shop/ai/test",
        "/i/shop/support",
        "/i/shop/webhooks",
        "/documents",
        "/escalations",
        "/conversations",
        "/nowhere",
    ];
    for path in paths {
        let page = body(server.page(path, &cookie).send().await.expect("an answer")).await;
        for inline in [" style=", "<style", "<script>", " onclick=", " onsubmit=", "javascript:"] {
            assert!(!page.contains(inline), "{path} has {inline}");
        }
        assert!(page.len() < 100_000, "{path} has {} bytes", page.len());
    }
    server.stop().await;
}
