//! What an operator does from the command line, on a server that runs.

use crate::network::Phones;
use crate::product::{DEADLINE, Product, flowcore};
use crate::receiver::Receiver;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_running_server_takes_the_next_message_on_its_old_session() {
    let phones = Phones::start().await;
    let ana = phones.contact("Ana").await;
    let (data, elsewhere) = (tempfile::tempdir().expect("one"), tempfile::tempdir().expect("two"));
    let receiver = Receiver::start().await;
    let product = Product::on(&phones.network, data.path(), None).await.expect("it starts");
    let phone = product.link(&phones.network, "shop").await;
    let hook = json!({ "url": receiver.url, "events": ["messages.upsert"] });
    product.post("/api/instances/shop/webhooks", &hook).await.expect("a webhook");
    let arrives = async |text: &str| {
        phones.write(&ana, &phone, text).await;
        let there = |receiver: &Receiver| receiver.messages().iter().any(|(_, got)| got == text);
        assert!(receiver.until(DEADLINE, there).await, "{text} never came");
    };
    arrives("one").await;

    let at = async |command: &[&str]| flowcore(command, data.path()).await;
    let (done, said) = at(&["migrate", "--check"]).await;
    assert!(done && said.contains("up to date"), "{said}");
    let (done, said) = at(&["key", "rotate"]).await;
    assert!(done, "{said}");
    arrives("sealed with the new key").await;
    let file = elsewhere.path().join("backup.db");
    let file = file.to_str().expect("a path");
    let (done, said) = at(&["backup", file]).await;
    assert!(done, "{said}");
    let (done, said) = at(&["backup", file]).await;
    assert!(!done && said.contains("exists already"), "{said}");
    arrives("after the backup").await;
    assert!(product.terminate().await, "it stops as asked");

    let (done, said) = at(&["restore", file]).await;
    assert!(!done && said.contains("exists already"), "a database is never overwritten: {said}");
    let restored = elsewhere.path().join("data");
    let (done, said) = flowcore(&["restore", file], &restored).await;
    assert!(done, "{said}");
    let key = std::fs::copy(data.path().join("master.key"), restored.join("master.key"));
    key.expect("the operator's copy of the key");
    let product = Product::on(&phones.network, &restored, None).await.expect("it starts");
    product.until_status("shop", "connected").await;
    arrives("and now?").await;
    let answer = json!({ "instanceName": "shop", "number": ana, "message": "here again" });
    let (status, body) = product.post("/api/whatsapp/send", &answer).await.expect("an answer");
    assert_eq!(status, 201, "{body}");
    let shown = || async { phones.shown_to(&ana).await };
    let has_it = async {
        while !shown().await.iter().any(|message| message["text"] == "here again") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, has_it).await.expect("the answer is on the phone");
}

/// What a command printed behind its last colon.
fn printed(said: &str) -> String {
    let (_, shown) = said.trim_end().rsplit_once(": ").expect("something is shown");
    shown.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn users_and_keys_are_made_and_taken_away_while_the_server_runs() {
    let phones = Phones::start().await;
    let data = tempfile::tempdir().expect("a folder");
    // The commands are those of the real server, which refuses a sandbox's data.
    let whatsapp = phones.network.socket_url(true);
    let product = Product::default_binary(&whatsapp, data.path()).await;
    let at = async |command: &[&str]| flowcore(command, data.path()).await;
    let log_in = async |password: &str| {
        let body = json!({ "username": "anna", "password": password });
        product.post("/api/auth/login", &body).await.expect("an answer").0
    };

    let port = product.url.rsplit(':').next().expect("a port").to_owned();
    assert!(at(&["healthcheck", "--port", &port]).await.0, "the server is well");
    let (done, said) = at(&["healthcheck", "--port", "9"]).await;
    assert!(!done && said.contains("nobody listens"), "{said}");

    let (done, said) = at(&["user", "add", "anna", "--email", "anna@example.com"]).await;
    assert!(done, "{said}");
    let password = printed(&said);
    assert_eq!(log_in(&password).await, 200);
    for refused in [&["user", "add", "Anna"][..], &["user", "add", "bob", "--role", "king"]] {
        let (done, said) = at(refused).await;
        assert!(!done && said.starts_with("flowcore: "), "{refused:?}: {said}");
    }

    let (done, said) = at(&["key", "add", "--user", "anna", "--scopes", "read,send"]).await;
    assert!(done, "{said}");
    let key = printed(&said);
    assert_eq!(product.get_with(&key, "/api/me").await, 200);
    assert_eq!(product.get_with(&key, "/api/keys").await, 403, "it may not manage");
    let (done, said) = at(&["key", "add", "--user", "anna", "--scopes", "admin"]).await;
    assert!(!done && said.contains("member"), "{said}");

    let (done, said) = at(&["user", "disable", "anna"]).await;
    assert!(done, "{said}");
    assert_eq!((product.get_with(&key, "/api/me").await, log_in(&password).await), (401, 401));
    let (done, said) = at(&["user", "enable", "anna"]).await;
    assert!(done, "{said}");
    assert_eq!(product.get_with(&key, "/api/me").await, 200);
    let (done, said) = at(&["user", "password", "anna"]).await;
    assert!(done, "{said}");
    assert_eq!((log_in(&password).await, log_in(&printed(&said)).await), (401, 200));
    let (done, said) = at(&["key", "revoke", &key[..10]]).await;
    assert!(done, "{said}");
    assert_eq!(product.get_with(&key, "/api/me").await, 401);
    assert!(!at(&["key", "revoke", &key[..10]]).await.0, "it is gone");

    let (_, log) = product.get("/api/audit").await.expect("an answer");
    let entries = log["data"].as_array().expect("a list");
    let by_hand = entries.iter().filter(|one| one["credential"] == "command line");
    let actions: Vec<_> = by_hand.filter_map(|one| one["action"].as_str()).collect();
    let expected =
        ["key.revoke", "user.password", "user.enable", "user.disable", "key.add", "user.add"];
    assert_eq!(actions, expected);
    let told = log.to_string();
    assert!(!told.contains(&key) && !told.contains(&password), "a secret is in the log");
}
