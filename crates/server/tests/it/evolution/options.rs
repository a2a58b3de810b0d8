//! Settings, webhook, websocket, proxy: set, found again, and what they do.

use super::{answered, create, get, inbox, linked, listen, post, received, settled};
use crate::harness::{DEADLINE, TestServer, answer, text};
use crate::webhooks::Receiver;
use flowcore_domain::proxy::{Proxy as Way, ProxyProtocol};
use flowcore_gateway::png_data_url;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;

const SWITCHES: [&str; 6] =
    ["rejectCall", "groupsIgnore", "alwaysOnline", "readMessages", "readStatus", "syncFullHistory"];

#[tokio::test]
async fn settings_are_kept() {
    let server = TestServer::start().await;
    create(&server, "shop").await;
    let (status, before) = get(&server, "/settings/find/shop").await;
    assert_eq!(status, StatusCode::OK);
    assert!(SWITCHES.iter().all(|name| before[name] == false), "{before}");
    let mut body = json!({ "msgCall": "No calls" });
    for name in SWITCHES {
        body[name] = json!(true);
    }
    let (status, set) = post(&server, "/settings/set/shop", body.clone()).await;
    assert_eq!(status, StatusCode::CREATED, "{set}");
    insta::assert_json_snapshot!("settings_set", set);
    let (_, found) = get(&server, "/settings/find/shop").await;
    insta::assert_json_snapshot!("settings_find", found);
    let mut refused = Vec::new();
    for name in SWITCHES {
        let mut lacking = body.clone();
        lacking.as_object_mut().expect("an object").remove(name);
        refused.push(post(&server, "/settings/set/shop", lacking).await.1);
        let mut wrong = body.clone();
        wrong[name] = json!("yes");
        refused.push(post(&server, "/settings/set/shop", wrong).await.1);
    }
    body["msgCall"] = json!("x".repeat(1001));
    refused.push(post(&server, "/settings/set/shop", body).await.1);
    assert!(refused.iter().all(|answer| answer["status"] == 400));
    insta::assert_json_snapshot!("settings_refused", refused);
    assert_eq!(get(&server, "/settings/find/shop").await.1, found, "nothing changed");
    server.stop().await;
}

#[tokio::test]
async fn what_people_post_is_heard_and_seen_only_when_it_was_asked_for() {
    let server = TestServer::start().await;
    let (_, phone) = linked(&server, "shop").await;
    let ana = server.contact("Ana").await;
    let posts = |text: &str| json!({ "to": "status@broadcast", "text": text });
    let path = format!("/admin/contacts/{ana}/messages");
    received(&server, (&ana, &phone), json!({ "text": "hello" })).await;
    server.phones(&path, posts("not for you")).await;
    received(&server, (&ana, &phone), json!({ "text": "later" })).await;
    let asked = json!({ "where": { "key": { "remoteJid": "status@broadcast" } } });
    let (_, heard) = post(&server, "/chat/findMessages/shop", asked.clone()).await;
    assert_eq!(heard["messages"]["total"], 0, "{heard}");

    let mut settings = json!({});
    for name in SWITCHES {
        settings[name] = json!(name == "readStatus");
    }
    let (status, set) = post(&server, "/settings/set/shop", settings).await;
    assert_eq!(status, StatusCode::CREATED, "{set}");
    let mut news = listen(&server, "shop").await;
    let id = server.phones(&path, posts("cakes today")).await["id"].clone();
    let told = news.told("messages.upsert", |data| data["key"]["id"] == id).await;
    assert_eq!(told["key"]["remoteJid"], "status@broadcast");
    let (_, heard) = post(&server, "/chat/findMessages/shop", asked).await;
    assert_eq!(heard["messages"]["total"], 1, "{heard}");
    // The writer sees who has seen it.
    let contact = format!("{}/admin/contacts/{ana}", server.network.base_url(false));
    let seen = async {
        loop {
            let (_, shown) = answer(server.http.get(&contact)).await;
            let receipts = shown["receipts"].as_array().cloned().unwrap_or_default();
            if receipts.iter().any(|one| one["id"] == id && one["type"] == "read") {
                return;
            }
        }
    };
    tokio::time::timeout(DEADLINE, seen).await.expect("the post is seen");
    server.stop().await;
}

#[tokio::test]
async fn an_instance_has_one_webhook_that_is_set_and_found_without_an_id() {
    let server = TestServer::start().await;
    let mut receiver = Receiver::start().await;
    create(&server, "shop").await;
    assert_eq!(get(&server, "/webhook/find/shop").await, (StatusCode::OK, Value::Null));
    let body = json!({ "webhook": {
        "enabled": true,
        "url": receiver.url(),
        "headers": { "x-key": "1" },
        "byEvents": false,
        "base64": true,
        "events": ["CONNECTION_UPDATE", "GROUP_UPDATE", "MESSAGES_SET"],
    }});
    let (status, set) = post(&server, "/webhook/set/shop", body).await;
    assert_eq!(status, StatusCode::CREATED, "{set}");
    let id = text(&set["id"]);
    insta::assert_json_snapshot!("webhook_set", settled(set));
    get(&server, "/instance/connect/shop").await;
    let (headers, event) = receiver.next_with_headers().await;
    assert_eq!(
        (&headers["x-key"], &event["event"]),
        (&"1".parse().expect("a value"), &json!("connection.update"))
    );
    assert!(event["apikey"].is_null(), "no key goes out");
    let flat =
        json!({ "url": "https://other.example/wa", "enabled": true, "webhookByEvents": true });
    let (status, again) = post(&server, "/webhook/set/shop", flat).await;
    assert_eq!((status, text(&again["id"])), (StatusCode::CREATED, id), "it is replaced");
    assert_eq!(again["events"].as_array().map(Vec::len), Some(31), "none named are all");
    let found = answered("webhook_find", get(&server, "/webhook/find/shop").await);
    assert_eq!(found, again);
    let off = json!({ "webhook": { "enabled": false, "url": "https://other.example/wa", "events": ["CALL"] } });
    let (_, off) = post(&server, "/webhook/set/shop", off).await;
    assert_eq!((&off["enabled"], &off["events"]), (&json!(false), &json!([])));
    let mut refused = Vec::new();
    for body in [
        json!({}),
        json!({ "webhook": {} }),
        json!({ "webhook": { "enabled": "yes", "url": 7 } }),
        json!({ "webhook": { "enabled": true, "url": "no address" } }),
        json!({ "webhook": { "enabled": true, "url": "http://192.168.0.1/" } }),
        json!({ "webhook": { "enabled": true, "url": format!("http://a.example/{}", "x".repeat(2048)) } }),
        json!({ "webhook": { "enabled": true, "url": "http://a.example", "events": ["NO_SUCH"] } }),
        json!({ "webhook": { "enabled": true, "url": "http://a.example", "headers": { "a": [] } } }),
    ] {
        let (status, answer) = post(&server, "/webhook/set/shop", body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
        refused.push(answer);
    }
    insta::assert_json_snapshot!("webhook_refused", refused);
    receiver.stop().await;
    server.stop().await;
}

#[tokio::test]
async fn what_socket_io_tells_is_chosen_with_or_without_the_wrapper() {
    let server = TestServer::start().await;
    create(&server, "shop").await;
    assert_eq!(get(&server, "/websocket/find/shop").await, (StatusCode::OK, Value::Null));
    let body = json!({ "websocket": { "enabled": true, "events": ["MESSAGES_UPSERT"] } });
    let (status, set) = post(&server, "/websocket/set/shop", body).await;
    assert_eq!(status, StatusCode::CREATED, "{set}");
    insta::assert_json_snapshot!("websocket_set", settled(set.clone()));
    assert_eq!(answered("websocket_find", get(&server, "/websocket/find/shop").await), set);
    let (status, off) = post(&server, "/websocket/set/shop", json!({ "enabled": false })).await;
    assert_eq!((status, &off["events"]), (StatusCode::CREATED, &json!([])));
    let (status, _) = post(&server, "/websocket/set/shop", json!({ "websocket": {} })).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    server.stop().await;
}

/// A proxy on this machine that counts whom it let through.
struct Proxy {
    port: u16,
    opened: Arc<AtomicUsize>,
}

impl Proxy {
    async fn start(socks: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let opened = Arc::new(AtomicUsize::new(0));
        let (count, tasks) = (Arc::clone(&opened), TaskTracker::new());
        tasks.clone().spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let count = Arc::clone(&count);
                tasks.spawn(async move {
                    let way = if socks { by_socks(client).await } else { by_http(client).await };
                    let Ok((mut client, mut target)) = way else { return };
                    count.fetch_add(1, Ordering::SeqCst);
                    let _ = copy_bidirectional(&mut client, &mut target).await;
                });
            }
        });
        Self { port, opened }
    }
}

async fn by_http(mut client: TcpStream) -> std::io::Result<(TcpStream, TcpStream)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    if !head.contains("Proxy-Authorization: Basic d2hvOmh1c2g=") {
        client.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await?;
        return Err(std::io::ErrorKind::PermissionDenied.into());
    }
    let target = TcpStream::connect(head.split(' ').nth(1).unwrap_or_default()).await?;
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    Ok((client, target))
}

async fn by_socks(mut client: TcpStream) -> std::io::Result<(TcpStream, TcpStream)> {
    let mut hello = [0; 2];
    client.read_exact(&mut hello).await?;
    let mut methods = vec![0; usize::from(hello[1])];
    client.read_exact(&mut methods).await?;
    client.write_all(&[5, 0]).await?;
    let mut request = [0; 4];
    client.read_exact(&mut request).await?;
    assert_eq!(request[3], 1, "this machine's address");
    let mut address = [0; 4];
    client.read_exact(&mut address).await?;
    let port = client.read_u16().await?;
    let target = TcpStream::connect((std::net::Ipv4Addr::from(address), port)).await?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    Ok((client, target))
}

/// The port is the system's to choose.
fn without_port(mut answer: Value) -> Value {
    for at in ["/port", "/proxy/proxy/port"] {
        if let Some(port) = answer.pointer_mut(at) {
            *port = json!("[drawn]");
        }
    }
    answer
}

#[tokio::test]
async fn the_chat_socket_goes_through_the_proxy() {
    for (socks, protocol) in [(false, "http"), (true, "socks5")] {
        let server = TestServer::start().await;
        let proxy = Proxy::start(socks).await;
        create(&server, "shop").await;
        assert_eq!(get(&server, "/proxy/find/shop").await, (StatusCode::OK, Value::Null));
        let body = json!({
            "enabled": true,
            "host": "127.0.0.1",
            "port": proxy.port.to_string(),
            "protocol": protocol,
            "username": "who",
            "password": "hush",
        });
        let (status, set) = post(&server, "/proxy/set/shop", body.clone()).await;
        assert_eq!(status, StatusCode::CREATED, "{set}");
        assert_eq!(set["proxy"]["proxy"], body);
        answered(&format!("proxy_set.{protocol}"), (status, without_port(set)));
        let tried = proxy.opened.load(Ordering::SeqCst);
        assert!(tried > 0, "it was tried");
        let (status, found) = get(&server, "/proxy/find/shop").await;
        answered(&format!("proxy_find.{protocol}"), (status, without_port(found)));
        let (_, shown) = get(&server, "/instance/connect/shop").await;
        assert!(text(&shown["code"]).starts_with("2@"), "{shown}");
        let linking = proxy.opened.load(Ordering::SeqCst);
        assert!(linking > tried, "and is the way out");
        server.scan(&text(&shown["code"])).await;
        server.until_status("shop", "connected").await;
        let ana = server.contact("Ana").await;
        let linked = proxy.opened.load(Ordering::SeqCst);
        let picture = png_data_url("shop").expect("a picture");
        let image = json!({ "number": ana, "mediatype": "image", "media": picture });
        let (status, posted) = post(&server, "/message/sendMedia/shop", image).await;
        assert_eq!(status, StatusCode::CREATED, "{posted}");
        assert!(proxy.opened.load(Ordering::SeqCst) > linked, "the media host is reached by it");
        assert_eq!(inbox(&server, &ana, 1).await[0]["type"], "image");
        let wanted = json!({ "message": { "key": { "id": posted["key"]["id"] } } });
        let (status, file) = post(&server, "/chat/getBase64FromMediaMessage/shop", wanted).await;
        assert_eq!(status, StatusCode::CREATED, "and files come back by it: {file}");
        let (status, off) = post(&server, "/proxy/set/shop", json!({ "enabled": false })).await;
        assert_eq!(status, StatusCode::CREATED, "{off}");
        assert_eq!(get(&server, "/proxy/find/shop").await.1, Value::Null);
        server.stop().await;
    }
}

#[tokio::test]
async fn the_operators_proxy_is_the_way_out_of_who_has_none() {
    let proxy = Proxy::start(true).await;
    let port = proxy.port;
    let server = TestServer::start_with(|config| {
        let host = "127.0.0.1".to_owned();
        let protocol = ProxyProtocol::Socks5;
        let way = Way { protocol, host, port, username: None, password: None };
        config.evolution.linking.proxy = Some(way);
        config.allow_private = flowcore_server::AllowPrivate::none();
    })
    .await;
    create(&server, "shop").await;
    let (_, shown) = get(&server, "/instance/connect/shop").await;
    assert!(text(&shown["code"]).starts_with("2@"), "{shown}");
    assert!(proxy.opened.load(Ordering::SeqCst) > 0);
    assert_eq!(get(&server, "/proxy/find/shop").await.1, Value::Null, "it is not the instance's");
    server.stop().await;
}

#[tokio::test]
async fn a_proxy_that_does_not_lead_to_whatsapp_is_not_stored() {
    let server = TestServer::start().await;
    create(&server, "shop").await;
    let proxy = Proxy::start(false).await;
    let base = json!({ "enabled": true, "host": "127.0.0.1", "port": "1", "protocol": "http" });
    let with = |field: &str, value: Value| {
        let mut body = base.clone();
        body[field] = value;
        body
    };
    for (what, body) in [
        ("nobody there", base.clone()),
        ("a wrong password", with("port", json!(proxy.port.to_string()))),
        ("a private address", with("host", json!("10.0.0.1"))),
        ("another protocol", with("protocol", json!("ftp"))),
        ("a port that is none", with("port", json!("99999"))),
        ("a URL", with("host", json!("http://a.example/"))),
        ("no host", with("host", Value::Null)),
        ("too long", with("host", json!("x".repeat(300)))),
        ("nothing", json!({})),
    ] {
        let (status, answer) = post(&server, "/proxy/set/shop", body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{what}: {answer}");
        assert!(answer["response"]["message"].is_array(), "{what}: {answer}");
        assert_eq!(get(&server, "/proxy/find/shop").await.1, Value::Null, "{what}");
    }
    server.stop().await;
}
