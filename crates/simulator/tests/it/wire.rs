//! What is not a well-behaved client: bytes, keys and stanzas that must be refused without
//! disturbing anybody else.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use wacore::types::events::Event;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, NodeContent};

use crate::harness::{DEADLINE, Sandbox};
use crate::raw::{self, RawClient};

async fn send_and_wait_for_end(sandbox: &Sandbox, bytes: Vec<u8>) {
    let url = sandbox.network.socket_url(false);
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.expect("it upgrades");
    socket.send(Message::Binary(bytes.into())).await.expect("it takes bytes");
    let ended = async { while let Some(Ok(_)) = socket.next().await {} };
    timeout(DEADLINE, ended).await.expect("the socket ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_ends_only_its_own_socket() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    let garbage = [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        vec![0; 64],
        b"WA\x06\x03\x00\x00\x04junk".to_vec(),
        b"WA\x06\x03\xff\xff\xff".to_vec(),
    ];
    let refused = garbage.len();
    for bytes in garbage {
        send_and_wait_for_end(&sandbox, bytes).await;
    }
    sandbox
        .until("all are counted", |stats| {
            let counts = stats["refused"].as_object().into_iter().flatten();
            counts.filter_map(|(_, count)| count.as_u64()).sum::<u64>() == refused as u64
        })
        .await;
    ann.send(&bob.phone, "still here").await;
    bob.text("still here").await;
    bob.send(&ann.phone, "me too").await;
    ann.text("me too").await;
    for client in [ann, bob] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_neither_tls_nor_http_end_only_their_connection() {
    let sandbox = Sandbox::start().await;
    for bytes in [&b"\x16\x03\x01\xff\xffnot tls at all"[..], b"\x00\x01\x02\x03\r\n\r\n"] {
        let mut stream = TcpStream::connect(sandbox.network.addr()).await.expect("it accepts");
        stream.write_all(bytes).await.expect("it takes bytes");
        stream.shutdown().await.expect("it hears the end");
        let mut rest = Vec::new();
        let read = timeout(DEADLINE, stream.read_to_end(&mut rest)).await;
        assert!(read.is_ok(), "the connection must end");
    }
    let stats = sandbox.stats().await;
    assert_eq!(stats["sockets"], 0);
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_port_answers_http_and_https() {
    let sandbox = Sandbox::start().await;
    for tls in [false, true] {
        let url = format!("{}/readyz", sandbox.network.base_url(tls));
        let answer = sandbox.http.get(url).send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), 200);
    }
    let page = sandbox.http.get(sandbox.network.base_url(false)).send().await.expect("a page");
    assert!(page.text().await.expect("text").contains("/admin/mock-phone/scan-qr"));
    sandbox.stop().await;
}

/// A prekey upload by a linked client, with a signature that its identity did not make.
fn forged_upload(client: &whatsapp_rust::Client) -> Node {
    let device = client.persistence_manager().get_device_snapshot();
    let leaf = |tag: &'static str, bytes: Vec<u8>| NodeBuilder::new(tag).bytes(bytes).build();
    let identity = device.identity_key.public_key.public_key_bytes().to_vec();
    let skey = NodeBuilder::new("skey")
        .children([
            leaf("id", vec![0, 0, 9]),
            leaf("value", vec![7; 32]),
            leaf("signature", vec![9; 64]),
        ])
        .build();
    let key = NodeBuilder::new("key")
        .children([leaf("id", vec![0, 0, 1]), leaf("value", vec![5; 32])])
        .build();
    NodeBuilder::new("iq")
        .attr("xmlns", "encrypt")
        .attr("type", "set")
        .attr("to", "s.whatsapp.net")
        .attr("id", "forged-1")
        .children([
            leaf("registration", device.registration_id.to_be_bytes().to_vec()),
            leaf("type", vec![5]),
            leaf("identity", identity),
            NodeBuilder::new("list").children([key]).build(),
            skey,
        ])
        .build()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_prekey_with_a_bad_signature_is_refused() {
    let sandbox = Sandbox::start().await;
    let ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    let forwarding = bob.client.acquire_raw_node_forwarding();
    bob.client.send_node(forged_upload(&bob.client)).await.expect("it is sent");
    let is_refusal = |event: &Event| match event {
        Event::RawNode(node) => {
            let node = node.to_owned_node();
            let error = node.get_optional_child("error");
            node.attrs.get("id").is_some_and(|id| *id == *"forged-1")
                && error.is_some_and(|e| e.attrs.get("code").is_some_and(|code| *code == *"406"))
                && !matches!(node.content, Some(NodeContent::Bytes(_)))
        }
        _ => false,
    };
    bob.wait("the refusal", is_refusal).await;
    drop(forwarding);
    // The keys from before still work.
    ann.send(&bob.phone, "hello").await;
    bob.text("hello").await;
    for client in [ann, bob] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_the_network_does_not_know_is_counted() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let forwarding = ann.client.acquire_raw_node_forwarding();
    let question = NodeBuilder::new("iq")
        .attr("xmlns", "made:up")
        .attr("type", "get")
        .attr("to", "s.whatsapp.net")
        .attr("id", "unknown-1")
        .build();
    ann.client.send_node(question).await.expect("it is sent");
    let is_answer = |event: &Event| match event {
        Event::RawNode(node) => {
            node.to_owned_node().attrs.get("id").is_some_and(|id| *id == *"unknown-1")
        }
        _ => false,
    };
    ann.wait("the answer", is_answer).await;
    drop(forwarding);
    assert_eq!(sandbox.stats().await["unknown"], json!({ "made:up/get/": 1 }));
    ann.stop().await;
    timeout(Duration::from_secs(20), sandbox.network.stop()).await.expect("the network stops");
}

async fn raw_client(sandbox: &Sandbox, phone: &str) -> RawClient {
    let url = sandbox.network.socket_url(false);
    let scan = |code: String| async move {
        let (_, scanned) = sandbox.scan(&code, Some(phone)).await;
        Ok::<_, raw::Ended>(scanned["phone"].as_str().ok_or("no phone")?.to_owned())
    };
    let device = raw::link(&url, scan).await.expect("it links");
    let mut client = device.log_in(&url).await.expect("it logs in");
    device.settle(&mut client, 5).await.expect("it settles");
    client
}

/// The socket ends with the reason that belongs to bytes which are no stanza.
async fn ends(mut client: RawClient) {
    let mut why = None;
    let ended = async {
        while let Ok(node) = client.next().await {
            if node.tag == "stream:error" {
                why = raw::child(&node, "xml-not-well-formed").cloned();
            }
        }
    };
    timeout(DEADLINE, ended).await.expect("the socket ends");
    assert!(why.is_some(), "it is told why");
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_of_a_linked_device_ends_only_its_own_socket() {
    let sandbox = Sandbox::start().await;
    let ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    // No stanza; a compressed nothing; a list that claims more than there is; a foreign seal.
    let payloads: [&[u8]; 3] = [&[0], &[2, 1, 2, 3], &[0, 249, 255, 255]];
    for (number, payload) in payloads.into_iter().enumerate() {
        let mut client = raw_client(&sandbox, &format!("1556000000{number}")).await;
        client.send_payload(payload.to_vec()).await.expect("it is sent");
        ends(client).await;
    }
    let mut client = raw_client(&sandbox, "15560000009").await;
    client.send_frame(&[9; 40]).await.expect("it is sent");
    ends(client).await;
    let stats = sandbox.until("all are counted", |stats| stats["refused"]["stanza"] == 4).await;
    assert_eq!(stats["refused"], json!({ "stanza": 4 }));
    ann.send(&bob.phone, "still here").await;
    bob.text("still here").await;
    for client in [ann, bob] {
        client.stop().await;
    }
    sandbox.stop().await;
}
