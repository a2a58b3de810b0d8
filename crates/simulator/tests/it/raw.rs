//! A client by hand: Noise XX, frames and stanzas, no Signal. It does what a real client never
//! would, and ten thousand of it fit into one process.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use buffa::{Message as _, MessageField};
use bytes::BytesMut;
use futures_util::{SinkExt, StreamExt};
use rand::RngExt;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use wacore::libsignal::protocol::KeyPair;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::util::unpack_bytes;
use wacore_binary::{Node, NodeContent, OwnedNodeRef, marshal};
use wacore_noise::{NoiseCipher, NoiseHandshake};
use waproto::whatsapp::client_payload::DevicePairingRegistrationData;
use waproto::whatsapp::handshake_message::{ClientFinish, ClientHello};
use waproto::whatsapp::{
    ADVSignedDeviceIdentity, ADVSignedDeviceIdentityHMAC, ClientPayload, HandshakeMessage,
};

const HEADER: [u8; 4] = [b'W', b'A', 6, 3];
const XX: &str = "Noise_XX_25519_AESGCM_SHA256\0\0\0\0";
/// The library's own 128 KiB a socket would be all the memory there is.
const BUFFER: usize = 4096;

/// Why a connection ended.
pub(crate) type Ended = Box<dyn std::error::Error + Send + Sync>;

/// What a device keeps.
pub(crate) struct Device {
    noise: KeyPair,
    identity: KeyPair,
    pub(crate) phone: String,
    pub(crate) number: u16,
}

/// A connection after its handshake.
pub(crate) struct RawClient {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    read: (NoiseCipher, u32),
    write: (NoiseCipher, u32),
    buffer: BytesMut,
}

pub(crate) fn public(pair: &KeyPair) -> Vec<u8> {
    pair.public_key.public_key_bytes().to_vec()
}

fn framed(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("short").to_be_bytes();
    [&length[1..], bytes].concat()
}

pub(crate) fn leaf(tag: &'static str, bytes: Vec<u8>) -> Node {
    NodeBuilder::new(tag).bytes(bytes).build()
}

pub(crate) fn child<'a>(node: &'a Node, tag: &str) -> Option<&'a Node> {
    match &node.content {
        Some(NodeContent::Nodes(nodes)) => nodes.iter().find(|node| node.tag == tag),
        _ => None,
    }
}

pub(crate) fn attr(node: &Node, key: &str) -> String {
    let found = node.attrs.iter().find(|(name, _)| *name == key);
    found.map(|(_, value)| value.to_string()).unwrap_or_default()
}

pub(crate) fn bytes(node: &Node) -> Vec<u8> {
    match &node.content {
        Some(NodeContent::Bytes(bytes)) => bytes.clone(),
        Some(NodeContent::String(text)) => text.as_bytes().to_vec(),
        _ => Vec::new(),
    }
}

impl RawClient {
    /// Dials and shakes hands.
    pub(crate) async fn connect(
        url: &str,
        noise_key: &KeyPair,
        payload: &ClientPayload,
    ) -> Result<Self, Ended> {
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER)
            .write_buffer_size(BUFFER)
            .max_write_buffer_size(1 << 24);
        let (mut socket, _) =
            tokio_tungstenite::connect_async_with_config(url, Some(config), true).await?;
        let mut buffer = BytesMut::new();
        let mut noise = NoiseHandshake::new(XX, &HEADER)?;
        let ephemeral = KeyPair::generate(&mut rand::rng());
        noise.authenticate(&public(&ephemeral));
        let hello = HandshakeMessage {
            client_hello: MessageField::some(ClientHello {
                ephemeral: Some(public(&ephemeral)),
                ..ClientHello::default()
            }),
            ..HandshakeMessage::default()
        };
        let first = [&HEADER[..], &framed(&hello.encode_to_vec())].concat();
        socket.send(Message::Binary(first.into())).await?;
        let answer = next_frame(&mut socket, &mut buffer).await?;
        let answer = HandshakeMessage::decode_from_slice(&answer)?;
        let answer = answer.server_hello.into_option().ok_or("no server hello")?;
        let server = answer.ephemeral.ok_or("no ephemeral")?;
        noise.authenticate(&server);
        noise.mix_shared_secret(ephemeral.private_key.serialize(), &server)?;
        let server_static = noise.decrypt(&answer.r#static.ok_or("no static")?)?;
        noise.mix_shared_secret(ephemeral.private_key.serialize(), &server_static)?;
        noise.decrypt(&answer.payload.ok_or("no certificate")?)?;
        let sealed_static = noise.encrypt(&public(noise_key))?;
        noise.mix_shared_secret(noise_key.private_key.serialize(), &server)?;
        let sealed_payload = noise.encrypt(&payload.encode_to_vec())?;
        let finish = HandshakeMessage {
            client_finish: MessageField::some(ClientFinish {
                r#static: Some(sealed_static),
                payload: Some(sealed_payload),
                ..ClientFinish::default()
            }),
            ..HandshakeMessage::default()
        };
        socket.send(Message::Binary(framed(&finish.encode_to_vec()).into())).await?;
        let (write, read) = noise.finish()?;
        Ok(Self { socket, read: (read, 0), write: (write, 0), buffer })
    }

    /// Sends a stanza.
    pub(crate) async fn send(&mut self, node: &Node) -> Result<(), Ended> {
        self.send_payload(marshal(node)?).await
    }

    /// Seals any bytes as if they were a stanza.
    pub(crate) async fn send_payload(&mut self, mut payload: Vec<u8>) -> Result<(), Ended> {
        self.write.0.encrypt_in_place_with_counter(self.write.1, &mut payload)?;
        self.write.1 += 1;
        self.send_frame(&payload).await
    }

    /// Sends any bytes as a frame.
    pub(crate) async fn send_frame(&mut self, frame: &[u8]) -> Result<(), Ended> {
        Ok(self.socket.send(Message::Binary(framed(frame).into())).await?)
    }

    /// The next stanza.
    pub(crate) async fn next(&mut self) -> Result<Node, Ended> {
        let mut frame = next_frame(&mut self.socket, &mut self.buffer).await?;
        self.read.0.decrypt_in_place_with_counter(self.read.1, &mut frame)?;
        self.read.1 += 1;
        Ok(OwnedNodeRef::new(unpack_bytes(frame)?)?.to_owned_node())
    }

    /// The next stanza that is what one waits for; everything that wants an ack gets it.
    pub(crate) async fn wait_for(
        &mut self,
        matches: impl Fn(&Node) -> bool,
    ) -> Result<Node, Ended> {
        loop {
            let node = self.next().await?;
            self.acknowledge(&node).await?;
            if matches(&node) {
                return Ok(node);
            }
        }
    }

    /// Acks what must be acked.
    pub(crate) async fn acknowledge(&mut self, node: &Node) -> Result<(), Ended> {
        if !matches!(node.tag.as_ref(), "message" | "receipt" | "notification") {
            return Ok(());
        }
        let ack = NodeBuilder::new("ack")
            .attr("class", node.tag.to_string())
            .attr("id", attr(node, "id"))
            .attr("to", attr(node, "from"))
            .build();
        self.send(&ack).await
    }

    /// A request, and its result.
    pub(crate) async fn ask(&mut self, id: &str, request: NodeBuilder) -> Result<Node, Ended> {
        let answer = self.answer(id, request).await?;
        if attr(&answer, "type") == "result" { Ok(answer) } else { Err("refused".into()) }
    }

    /// A request, and what it is answered with.
    pub(crate) async fn answer(&mut self, id: &str, request: NodeBuilder) -> Result<Node, Ended> {
        self.send(&request.attr("id", id).attr("to", "s.whatsapp.net").build()).await?;
        self.wait_for(|node| node.tag == "iq" && attr(node, "id") == id).await
    }
}

async fn next_frame(
    socket: &mut WebSocketStream<MaybeTlsStream<TcpStream>>,
    buffer: &mut BytesMut,
) -> Result<BytesMut, Ended> {
    loop {
        if let Some([high, middle, low]) = buffer.first_chunk::<3>() {
            let length = usize::from(*high) << 16 | usize::from(*middle) << 8 | usize::from(*low);
            if buffer.len() >= 3 + length {
                let mut frame = buffer.split_to(3 + length);
                return Ok(frame.split_off(3));
            }
        }
        match socket.next().await.ok_or("closed")?? {
            Message::Binary(bytes) => buffer.extend_from_slice(&bytes),
            Message::Close(_) => return Err("closed".into()),
            _ => {}
        }
    }
}

/// The keys a device registers with; the signature is its own.
pub(crate) fn registration(identity: &KeyPair, prekey: &KeyPair) -> Result<ClientPayload, Ended> {
    let signature = sign(identity, &[&prekey.public_key.serialize()])?;
    Ok(ClientPayload {
        device_pairing_data: MessageField::some(DevicePairingRegistrationData {
            e_regid: Some(vec![0, 0, 1, 2]),
            e_keytype: Some(vec![5]),
            e_ident: Some(public(identity)),
            e_skey_id: Some(vec![0, 0, 1]),
            e_skey_val: Some(public(prekey)),
            e_skey_sig: Some(signature),
            ..DevicePairingRegistrationData::default()
        }),
        ..ClientPayload::default()
    })
}

fn sign(key: &KeyPair, parts: &[&[u8]]) -> Result<Vec<u8>, Ended> {
    let signature =
        key.private_key.calculate_signature_for_multipart_message(parts, &mut rand::rng())?;
    Ok(signature.to_vec())
}

/// Links a device: `scan` plays the phone that gets the QR text and tells its number.
pub(crate) async fn link<S, F>(url: &str, scan: S) -> Result<Device, Ended>
where
    S: FnOnce(String) -> F,
    F: Future<Output = Result<String, Ended>>,
{
    link_with(url, scan, |_| {}).await
}

/// Links a device whose answer to the phone is altered before it is sent.
pub(crate) async fn link_with<S, F>(
    url: &str,
    scan: S,
    alter: impl FnOnce(&mut ADVSignedDeviceIdentity),
) -> Result<Device, Ended>
where
    S: FnOnce(String) -> F,
    F: Future<Output = Result<String, Ended>>,
{
    let pair = || KeyPair::generate(&mut rand::rng());
    let (noise, identity, prekey) = (pair(), pair(), pair());
    let mut client = RawClient::connect(url, &noise, &registration(&identity, &prekey)?).await?;
    let first = client.wait_for(|node| child(node, "pair-device").is_some()).await?;
    let references = child(&first, "pair-device").ok_or("no references")?;
    let reference = String::from_utf8(bytes(child(references, "ref").ok_or("no reference")?))?;
    let field = |bytes: &[u8]| STANDARD.encode(bytes);
    let code = format!(
        "{reference},{},{},{}",
        field(&public(&noise)),
        field(&public(&identity)),
        field(&[4; 32])
    );
    let phone = scan(code).await?;
    let success = client.wait_for(|node| child(node, "pair-success").is_some()).await?;
    let pairing = child(&success, "pair-success").ok_or("no success")?;
    let sealed = bytes(child(pairing, "device-identity").ok_or("no identity")?);
    let sealed = ADVSignedDeviceIdentityHMAC::decode_from_slice(&sealed)?;
    let mut signed =
        ADVSignedDeviceIdentity::decode_from_slice(&sealed.details.ok_or("no details")?)?;
    let details = signed.details.clone().ok_or("no details")?;
    let account = signed.account_signature_key.clone().ok_or("no account key")?;
    let signature = sign(&identity, &[&[6, 1], &details, &public(&identity), &account])?;
    signed.device_signature = Some(signature);
    alter(&mut signed);
    let index = waproto::whatsapp::ADVDeviceIdentity::decode_from_slice(&details)?.key_index;
    let blob = NodeBuilder::new("device-identity")
        .attr("key-index", index.unwrap_or_default())
        .bytes(signed.encode_to_vec())
        .build();
    let answer = NodeBuilder::new("iq")
        .attr("type", "result")
        .attr("id", attr(&success, "id"))
        .attr("to", "s.whatsapp.net")
        .children([NodeBuilder::new("pair-device-sign").children([blob]).build()])
        .build();
    client.send(&answer).await?;
    let end = client.wait_for(|node| node.tag == "stream:error").await?;
    if attr(&end, "code") != "515" {
        return Err(attr(&end, "code").into());
    }
    let jid = attr(child(pairing, "device").ok_or("no device")?, "jid");
    let number = jid.split_once(':').and_then(|(_, rest)| rest.split_once('@'));
    let number = number.ok_or("no device number")?.0.parse()?;
    Ok(Device { noise, identity, phone, number })
}

impl Device {
    /// Logs in and waits for the server's word.
    pub(crate) async fn log_in(&self, url: &str) -> Result<RawClient, Ended> {
        let payload = ClientPayload {
            username: Some(self.phone.parse()?),
            device: Some(u32::from(self.number)),
            ..ClientPayload::default()
        };
        let mut client = RawClient::connect(url, &self.noise, &payload).await?;
        client.wait_for(|node| node.tag == "success").await?;
        Ok(client)
    }

    /// Gives the server prekeys, which only look like keys, and asks for what waits.
    pub(crate) async fn settle(&self, client: &mut RawClient, prekeys: u32) -> Result<(), Ended> {
        let key = |id: u32| {
            let value: [u8; 32] = rand::rng().random();
            let id = leaf("id", id.to_be_bytes()[1..].to_vec());
            NodeBuilder::new("key").children([id, leaf("value", value.to_vec())]).build()
        };
        let signed = KeyPair::generate(&mut rand::rng());
        let signature = sign(&self.identity, &[&signed.public_key.serialize()])?;
        let signed = NodeBuilder::new("skey")
            .children([
                leaf("id", vec![0, 0, 2]),
                leaf("value", public(&signed)),
                leaf("signature", signature),
            ])
            .build();
        let upload =
            NodeBuilder::new("iq").attr("type", "set").attr("xmlns", "encrypt").children([
                leaf("registration", vec![0, 0, 1, 2]),
                leaf("type", vec![5]),
                leaf("identity", public(&self.identity)),
                NodeBuilder::new("list").children((1..=prekeys).map(key)).build(),
                signed,
            ]);
        client.ask("prekeys", upload).await?;
        let active = NodeBuilder::new("iq")
            .attr("type", "set")
            .attr("xmlns", "passive")
            .children([NodeBuilder::new("active").build()]);
        client.ask("active", active).await?;
        Ok(())
    }
}
