//! A network that comes back with its state: linked numbers stay linked.

use flowcore_simulator::NetworkConfig;
use serde_json::json;
use wacore::types::events::Event;

use crate::harness::Sandbox;

#[tokio::test(flavor = "multi_thread")]
async fn linked_devices_and_contacts_survive_a_restart_of_the_network() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = NetworkConfig {
        state_dir: Some(directory.path().to_owned()),
        seed: 7,
        ..NetworkConfig::default()
    };
    let sandbox = Sandbox::with(config.clone()).await;
    let mut ann = sandbox.linked("Ann").await;
    let phone = sandbox.contact("Carl").await;
    ann.send(&phone, "before").await;
    sandbox.get(&format!("/admin/contacts/{phone}/messages?wait=10")).await;
    let port = sandbox.network.addr().port();
    ann.skip_past();
    sandbox.stop().await;

    let sandbox = Sandbox::with(NetworkConfig { port, ..config }).await;
    ann.wait("connected again", |event| matches!(event, Event::Connected(_))).await;
    let write = format!("/admin/contacts/{phone}/messages");
    let (status, sent) = sandbox.post(&write, json!({ "to": ann.phone, "text": "back" })).await;
    assert_eq!(status, 201, "{sent}");
    ann.text("back").await;
    ann.send(&phone, "after").await;
    let received = sandbox.get(&format!("{write}?wait=10")).await;
    assert_eq!(received["messages"][0]["text"], "after");
    ann.stop().await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_network_stays_itself_under_another_seed() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = |seed, port| NetworkConfig {
        state_dir: Some(directory.path().to_owned()),
        seed,
        port,
        ..NetworkConfig::default()
    };
    let sandbox = Sandbox::with(config(7, 0)).await;
    let mut ann = sandbox.linked("Ann").await;
    let root = sandbox.get("/admin/certificate").await;
    let port = sandbox.network.addr().port();
    ann.skip_past();
    sandbox.stop().await;

    let sandbox = Sandbox::with(config(8, port)).await;
    ann.wait("connected again", |event| matches!(event, Event::Connected(_))).await;
    assert_eq!(sandbox.get("/admin/certificate").await, root);
    // A client that knows the account's key talks to its phone as before.
    let bob = sandbox.linked("Bob").await;
    bob.send(&ann.phone, "still you?").await;
    ann.text("still you?").await;
    for client in [ann, bob] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_seed_gives_the_same_numbers_and_lids() {
    let mut lids = Vec::new();
    for _ in 0..2 {
        let sandbox = Sandbox::start().await;
        let (_, contact) = sandbox.post("/admin/contacts", json!({ "name": "Carl" })).await;
        lids.push((contact["phone"].clone(), contact["lid"].clone()));
        sandbox.stop().await;
    }
    assert_eq!(lids[0], lids[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_file_that_is_none_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("network.json"), "{").expect("the file is written");
    let config =
        NetworkConfig { state_dir: Some(directory.path().to_owned()), ..NetworkConfig::default() };
    let error = flowcore_simulator::Network::start(config).await.expect_err("it must not start");
    assert!(error.to_string().contains("is not a network's state"), "{error}");
}
