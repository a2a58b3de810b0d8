//! How sessions are refused and ended, what a client does then, and silence.

use std::sync::Arc;
use std::time::Duration;

use flowcore_simulator::NetworkConfig;
use serde_json::json;
use wacore::libsignal::protocol::KeyPair;
use wacore::store::InMemoryBackend;
use wacore::store::traits::DeviceStore;
use wacore::types::events::{ConnectFailureReason, Event};

use crate::harness::{Sandbox, TestClient};
use crate::raw;

fn is_connected(event: &Event) -> bool {
    matches!(event, Event::Connected(_))
}

/// Writes down what the client keeps, so that another one can go on with it.
async fn kept(client: &TestClient) {
    client.client.persistence_manager().flush().await.expect("it is written down");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_of_a_login_is_what_the_client_makes_of_it() {
    use ConnectFailureReason as Reason;
    let sandbox = Sandbox::start().await;
    let logs_out =
        [(401, Reason::LoggedOut), (403, Reason::AccountLocked), (406, Reason::UnknownLogout)];
    let gives_up = [
        (400, Reason::Generic),
        (409, Reason::BadUserAgent),
        (411, Reason::Unknown(411)),
        (413, Reason::CatExpired),
        (414, Reason::CatInvalid),
        (415, Reason::NotFound),
        (418, Reason::ClientUnknown),
        (501, Reason::Experimental),
    ];
    let all = logs_out.iter().map(|one| (one, true)).chain(gives_up.iter().map(|one| (one, false)));
    for ((code, wanted), logs_out) in all {
        let mut client = sandbox.linked(&format!("Ann {code}")).await;
        let refusal =
            json!({ "target": client.phone, "fault": "refuse-login", "count": 1, "code": code });
        sandbox.fault(refusal).await;
        client.client.reconnect_immediately().await;
        let is_end = |event: &Event| match event {
            Event::LoggedOut(out) => logs_out && out.on_connect && out.reason == *wanted,
            Event::ConnectFailure(failure) => !logs_out && failure.reason == *wanted,
            _ => false,
        };
        client.wait(&format!("the end by {code}"), is_end).await;
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outdated_client_and_a_banned_number_are_told_so() {
    let sandbox = Sandbox::start().await;
    let mut outdated = sandbox.linked("outdated").await;
    let mut banned = sandbox.linked("banned").await;
    let refusal =
        json!({ "target": outdated.phone, "fault": "refuse-login", "count": 1, "code": 405 });
    sandbox.fault(refusal).await;
    sandbox.fault(json!({ "target": banned.phone, "fault": "temp-ban", "expire": 90 })).await;
    for client in [&outdated, &banned] {
        client.client.reconnect_immediately().await;
    }
    outdated.wait("outdated", |event| matches!(event, Event::ClientOutdated(_))).await;
    let is_ban = |event: &Event| match event {
        Event::TemporaryBan(ban) => ban.expire.num_seconds() == 90,
        _ => false,
    };
    banned.wait("banned", is_ban).await;
    for client in [outdated, banned] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_refused_for_now_is_tried_again() {
    let sandbox = Sandbox::start().await;
    for code in [500, 503] {
        let mut client = sandbox.linked(&format!("Ann {code}")).await;
        let refusal =
            json!({ "target": client.phone, "fault": "refuse-login", "count": 1, "code": code });
        sandbox.fault(refusal).await;
        client.skip_past();
        client.client.reconnect_immediately().await;
        client.wait("the refusal", |event| matches!(event, Event::ConnectFailure(_))).await;
        client.wait("connected again", is_connected).await;
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_error_that_ends_the_device_logs_it_out() {
    let sandbox = Sandbox::start().await;
    for code in [401, 516] {
        let mut client = sandbox.linked(&format!("Ann {code}")).await;
        sandbox
            .fault(json!({ "target": client.phone, "fault": "stream-error", "code": code }))
            .await;
        let is_logout = |event: &Event| match event {
            Event::LoggedOut(out) => !out.on_connect,
            _ => false,
        };
        client.wait("logged out", is_logout).await;
        client.stop().await;
    }
    let mut replaced = sandbox.linked("Ann 409").await;
    sandbox.fault(json!({ "target": replaced.phone, "fault": "stream-error", "code": 409 })).await;
    replaced.wait("replaced", |event| matches!(event, Event::StreamReplaced(_))).await;
    replaced.stop().await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_login_of_a_device_replaces_the_first() {
    let sandbox = Sandbox::start().await;
    let mut first = sandbox.linked("Ann").await;
    kept(&first).await;
    let url = sandbox.network.socket_url(true);
    let mut second = TestClient::resume(&url, "Ann", Arc::clone(&first.backend)).await;
    second.wait("connected", is_connected).await;
    first.wait("replaced", |event| matches!(event, Event::StreamReplaced(_))).await;
    // The one that is there gets what is written, and the other does not come back.
    let phone = sandbox.contact("Carl").await;
    let body = json!({ "to": first.phone, "text": "which of you?" });
    sandbox.post(&format!("/admin/contacts/{phone}/messages"), body).await;
    second.text("which of you?").await;
    assert!(!first.client.is_connected());
    assert_eq!(sandbox.stats().await["online"], 2, "Carl and one Ann");
    for client in [first, second] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_with_another_noise_key_is_logged_out() {
    let sandbox = Sandbox::start().await;
    let client = sandbox.linked("Ann").await;
    kept(&client).await;
    let mut device = client.backend.load().await.expect("it reads").expect("a device");
    device.noise_key = KeyPair::generate(&mut rand::rng());
    let forged = InMemoryBackend::new();
    forged.save(&device).await.expect("it is kept");
    let url = sandbox.network.socket_url(true);
    let mut thief = TestClient::resume(&url, "Ann", Arc::new(forged)).await;
    let is_logout = |event: &Event| match event {
        Event::LoggedOut(out) => out.reason == ConnectFailureReason::LoggedOut,
        _ => false,
    };
    thief.wait("logged out", is_logout).await;
    // Who has the key notices nothing.
    assert!(client.client.is_connected());
    assert_eq!(sandbox.stats().await["online"], 1);
    for client in [client, thief] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_client_is_pinged_and_stays_when_it_answers() {
    let silence = Duration::from_millis(600);
    let sandbox = Sandbox::with(NetworkConfig { silence, ..NetworkConfig::default() }).await;
    let client = sandbox.linked("Ann").await;
    let seen = sandbox.stats().await["pings"].as_u64().unwrap_or(0);
    let stats = sandbox
        .until("it was asked thrice", |stats| stats["pings"].as_u64() >= Some(seen + 3))
        .await;
    assert_eq!(stats["refused"], json!({}), "{stats}");
    assert_eq!(stats["online"], 1, "{stats}");
    client.stop().await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_answers_no_ping_is_given_up() {
    let silence = Duration::from_millis(400);
    let sandbox = Sandbox::with(NetworkConfig { silence, ..NetworkConfig::default() }).await;
    let url = sandbox.network.socket_url(false);
    let scan = |code: String| {
        let sandbox = &sandbox;
        async move {
            let (_, scanned) = sandbox.scan(&code, None).await;
            Ok::<_, raw::Ended>(scanned["phone"].as_str().ok_or("no phone")?.to_owned())
        }
    };
    let device = raw::link(&url, scan).await.expect("it links");
    let mut client = device.log_in(&url).await.expect("it logs in");
    let is_ping = |node: &wacore_binary::Node| raw::attr(node, "xmlns") == "urn:xmpp:ping";
    client.wait_for(is_ping).await.expect("it is asked");
    client.wait_for(is_ping).await.expect_err("it is asked once, then given up");
    sandbox.until("it is counted", |stats| stats["refused"]["silent"] == 1).await;
    sandbox.stop().await;
}
