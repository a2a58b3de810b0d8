//! What is left after a stop: nothing, but what was stored.

use crate::harness::{DEADLINE, TestServer, client, config};
use flowcore_server::Mark;
use flowcore_server::app;
use reqwest::StatusCode;
use serde_json::json;
use std::time::Instant;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

#[tokio::test]
async fn after_a_stop_the_port_is_free_and_the_next_start_brings_the_numbers_back() {
    let TestServer { server, network, http, folder } = {
        let server = TestServer::start().await;
        server.linked("shop").await;
        server
    };
    let (url, began) = (server.url().to_owned(), Instant::now());
    server.stop().await;
    assert!(began.elapsed() < DEADLINE);
    assert!(http.get(format!("{url}/healthz")).send().await.is_err(), "nobody listens");
    let next = app::serve(config(folder.path(), &network), Mark::Sandbox).await.expect("starts");
    let server = TestServer { server: next, network, http, folder };
    server.until_status("shop", "connected").await;
    server.stop().await;
}

#[tokio::test]
async fn a_waiting_request_is_told_and_not_cut() {
    let server = TestServer::start().await;
    server.phones("/admin/faults", json!({ "target": "*", "fault": "stall", "seconds": 60 })).await;
    let url = server.url("/api/whatsapp/connect?wait=60");
    let waiting = client().post(url).header("apikey", crate::harness::ADMIN_KEY);
    let waiting = waiting.json(&json!({ "instanceName": "shop" })).send();
    let stopping = async {
        // The request is running once the instance is there.
        loop {
            let (_, list) = server.get("/api/whatsapp/instances").await;
            if list.as_array().is_some_and(|list| !list.is_empty()) {
                break;
            }
        }
        server.stop().await;
    };
    let (answer, ()) = tokio::join!(waiting, stopping);
    let answer = answer.expect("an answer, not a dead connection");
    let status = answer.status();
    assert!(status == StatusCode::SERVICE_UNAVAILABLE || status == StatusCode::OK, "{status}");
}

/// Takes a request up to the end of its head: the line, and the id of the event that it carries.
async fn asked(listener: &TcpListener) -> (BufReader<TcpStream>, String) {
    let head = async {
        let (socket, _) = listener.accept().await.expect("somebody connects");
        let (mut socket, mut id) = (BufReader::new(socket), None);
        loop {
            let mut line = String::new();
            socket.read_line(&mut line).await.expect("a line");
            if line.trim().is_empty() {
                break (socket, id.expect("an id in the head"));
            }
            if let Some((_, value)) = line.split_once("webhook-id: ") {
                id = Some(value.trim().to_owned());
            }
        }
    };
    timeout(DEADLINE, head).await.expect("a request in time")
}

#[tokio::test]
async fn a_receiver_that_never_answers_holds_up_no_stop_and_is_asked_again_after_it() {
    let server = TestServer::start().await;
    let receiver = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/hook", receiver.local_addr().expect("an address"));
    let (status, made) =
        server.post("/api/webhooks", json!({ "url": url, "events": ["instance.create"] })).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    server.connect("shop").await;
    let (unanswered, first) = asked(&receiver).await;
    let TestServer { server, network, http, folder } = server;
    assert!(server.stop().await, "nothing had to be cut off");
    drop(unanswered);
    let next = app::serve(config(folder.path(), &network), Mark::Sandbox).await.expect("starts");
    let (mut again, second) = asked(&receiver).await;
    assert_eq!(second, first, "the same event");
    again.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.expect("answered");
    TestServer { server: next, network, http, folder }.stop().await;
}

#[tokio::test]
async fn a_real_server_refuses_the_sandboxes_store() {
    let server = TestServer::start().await;
    let TestServer { server, network, folder, .. } = server;
    server.stop().await;
    let refused = app::serve(config(folder.path(), &network), Mark::Flowcore).await;
    assert!(refused.is_err(), "the store is marked as the sandbox's");
    network.stop().await;
}
