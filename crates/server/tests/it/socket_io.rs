//! Events over Socket.IO, as Evolution's clients listen: by hand, packet by packet.

use crate::harness::{ADMIN_KEY, DEADLINE, TestServer};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    /// The handshake of Engine.IO.
    async fn open(server: &TestServer, key: &str) -> Self {
        let path = format!("/socket.io/?EIO=4&transport=websocket&apikey={key}");
        let url = server.url(&path).replacen("http", "ws", 1);
        let (socket, _) = tokio_tungstenite::connect_async(url).await.expect("a socket");
        let mut client = Self(socket);
        assert!(client.next().await.starts_with('0'), "a session is offered");
        client
    }

    /// The next packet that is not a ping.
    async fn next(&mut self) -> String {
        loop {
            let message = timeout(DEADLINE, self.0.next()).await.expect("in time");
            match message.expect("a message").expect("it stands") {
                Message::Text(text) if text == "2" => {
                    self.0.send(Message::text("3")).await.expect("sent");
                }
                Message::Text(text) => return text.to_string(),
                _ => {}
            }
        }
    }

    /// Asks for a namespace; the answer.
    async fn join(&mut self, namespace: &str) -> String {
        self.0.send(Message::text(format!("40{namespace}"))).await.expect("sent");
        self.next().await
    }

    /// The next event: its name and its body.
    async fn event(&mut self) -> (String, Value) {
        let packet = self.next().await;
        let list = packet.find('[').map(|at| &packet[at..]).expect("an event");
        let (name, body): (String, Value) = serde_json::from_str(list).expect("name and body");
        (name, body)
    }
}

#[tokio::test]
async fn a_namespace_has_the_events_of_its_instance_and_the_default_one_all() {
    let server = TestServer::start().await;
    server.connect("shop").await;
    let mut all = Client::open(&server, ADMIN_KEY).await;
    assert!(all.join("").await.starts_with("40"), "joined");
    let mut shop = Client::open(&server, ADMIN_KEY).await;
    assert!(shop.join("/shop,").await.starts_with("40/shop,"), "joined");
    server.connect("other").await;
    let (name, body) = all.event().await;
    assert_eq!((name.as_str(), &body["instance"]), ("instance.create", &json!("other")));
    let restart = json!({ "instanceName": "shop" });
    server.post("/api/whatsapp/restart", restart).await;
    let (name, body) = shop.event().await;
    assert_eq!((&body["event"], &body["instance"]), (&json!(name), &json!("shop")));
    assert!(body["id"].is_string() && body["apikey"].is_null(), "{body}");
    server.stop().await;
}

#[tokio::test]
async fn who_has_no_key_or_no_such_instance_joins_nothing() {
    let server = TestServer::start().await;
    server.connect("shop").await;
    let mut stranger = Client::open(&server, "not-a-key-of-anybody").await;
    for namespace in ["", "/shop,", "/nobody,"] {
        let answer = stranger.join(namespace).await;
        assert!(answer.starts_with("44") && answer.contains("unauthorized"), "{answer}");
    }
    let mut known = Client::open(&server, ADMIN_KEY).await;
    for namespace in ["/nobody,", "/..,"] {
        let answer = known.join(namespace).await;
        assert!(answer.starts_with("44") && answer.contains("instance_not_found"), "{answer}");
    }
    let asked = json!({ "name": "only sends", "scopes": ["send"] });
    let (status, made) = server.post("/api/keys", asked).await;
    assert_eq!(status.as_u16(), 201, "{made}");
    let mut deaf = Client::open(&server, made["key"].as_str().expect("a key")).await;
    for namespace in ["", "/shop,"] {
        let answer = deaf.join(namespace).await;
        assert!(answer.starts_with("44") && answer.contains("unauthorized"), "{answer}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_namespace_tells_what_was_chosen_for_it() {
    let server = TestServer::start().await;
    server.connect("shop").await;
    let chosen = json!({ "websocket": { "enabled": true, "events": ["QRCODE_UPDATED"] } });
    let (status, set) = server.post("/websocket/set/shop", chosen).await;
    assert_eq!(status.as_u16(), 201, "{set}");
    let mut shop = Client::open(&server, ADMIN_KEY).await;
    assert!(shop.join("/shop,").await.starts_with("40/shop,"), "joined");
    server.post("/api/whatsapp/restart", json!({ "instanceName": "shop" })).await;
    // The connection changes first, which is not told.
    let (name, body) = shop.event().await;
    assert_eq!((name.as_str(), &body["instance"]), ("qrcode.updated", &json!("shop")), "{body}");
    server.post("/websocket/set/shop", json!({ "enabled": false })).await;
    let mut late = Client::open(&server, ADMIN_KEY).await;
    let answer = late.join("/shop,").await;
    assert!(answer.starts_with("44"), "nothing is told any more: {answer}");
    server.stop().await;
}
