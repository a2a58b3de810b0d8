//! Signatures, HMACs, MACs and tokens that do not hold, and keys of others: each is refused, and
//! nothing comes of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use buffa::{Message as _, MessageField};
use wacore::libsignal::protocol::KeyPair;
use wacore::types::events::Event;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, NodeContent};
use waproto::whatsapp::{KeyId, SyncdPatch};

use crate::harness::Sandbox;
use crate::raw::{self, Ended, RawClient, attr, bytes, child, leaf};

async fn scanned(sandbox: &Sandbox, code: String, phone: &str) -> Result<String, Ended> {
    let (_, scanned) = sandbox.scan(&code, Some(phone)).await;
    Ok(scanned["phone"].as_str().ok_or("no phone")?.to_owned())
}

/// A linked device that is ready.
async fn device(sandbox: &Sandbox, phone: &str) -> (raw::Device, RawClient) {
    let url = sandbox.network.socket_url(false);
    let device = raw::link(&url, |code| scanned(sandbox, code, phone)).await.expect("it links");
    let mut client = device.log_in(&url).await.expect("it logs in");
    device.settle(&mut client, 5).await.expect("it settles");
    (device, client)
}

fn error_code(answer: &Node) -> String {
    child(answer, "error").map(|error| attr(error, "code")).unwrap_or_default()
}

/// Sends a message; gives the error of its ack, empty when it was taken.
async fn error_of(client: &mut RawClient, id: &str, message: NodeBuilder) -> String {
    let message = message.attr("id", id).attr("type", "text");
    client.send(&message.build()).await.expect("it is sent");
    let is_ack = |node: &Node| node.tag == "ack" && attr(node, "id") == id;
    attr(&client.wait_for(is_ack).await.expect("an ack"), "error")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_with_another_secret_is_refused_by_the_client_and_the_code_stays_good() {
    let sandbox = Sandbox::start().await;
    let mut client = sandbox.client("Ann").await;
    let qr = client.qr().await;
    let other = STANDARD.encode([9; 32]);
    let mut fields: Vec<&str> = qr.split(',').collect();
    fields[3] = &other;
    assert_eq!(sandbox.scan(&fields.join(","), None).await.0, 200, "the phone cannot know");
    client.wait("the client says no", |event| matches!(event, Event::PairError(_))).await;
    let stats = sandbox.until("it was told", |stats| stats["refused"]["pairing"] == 1).await;
    assert_eq!(stats["devices"], 0);
    assert_eq!(sandbox.scan(&qr, None).await.0, 200);
    client.wait("connected", |event| matches!(event, Event::Connected(_))).await;
    client.stop().await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_signs_badly_is_not_linked() {
    let sandbox = Sandbox::start().await;
    let url = sandbox.network.socket_url(false);
    let scan = |code| scanned(&sandbox, code, "15560000001");
    let forged = raw::link_with(&url, scan, |signed| {
        signed.device_signature.as_mut().expect("just signed")[5] ^= 1;
    });
    assert_eq!(forged.await.err().expect("refused").to_string(), "401");
    let missing = raw::link_with(&url, scan, |signed| signed.device_signature = None);
    assert_eq!(missing.await.err().expect("refused").to_string(), "401");
    let other = raw::link_with(&url, scan, |signed| {
        signed.details.as_mut().expect("what is signed").push(0);
    });
    assert_eq!(other.await.err().expect("refused").to_string(), "401");
    assert_eq!(sandbox.stats().await["devices"], 0);
    raw::link(&url, scan).await.expect("the same device with its own signature");
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_with_a_foreign_prekey_signature_ends() {
    let sandbox = Sandbox::start().await;
    let pair = || KeyPair::generate(&mut rand::rng());
    let (noise, identity, prekey) = (pair(), pair(), pair());
    let mut payload = raw::registration(&identity, &prekey).expect("a payload");
    let data = payload.device_pairing_data.as_option_mut().expect("just made");
    data.e_ident = Some(raw::public(&pair()));
    let url = sandbox.network.socket_url(false);
    let mut client = RawClient::connect(&url, &noise, &payload).await.expect("the handshake holds");
    client.wait_for(|_| true).await.expect_err("no codes");
    let stats = sandbox.until("it is counted", |stats| stats["refused"]["payload"] == 1).await;
    assert_eq!(stats["linking"], 0);
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn prekeys_of_another_identity_and_badly_signed_ones_are_not_taken() {
    let sandbox = Sandbox::start().await;
    let (_, mut client) = device(&sandbox, "15560000001").await;
    // The phone takes one for its greeting.
    client.wait_for(|node| node.tag == "message").await.expect("the phone's greeting");
    let before = prekeys(&mut client).await;
    let pair = || KeyPair::generate(&mut rand::rng());
    let skey = || {
        NodeBuilder::new("skey").children([
            leaf("id", vec![0, 0, 9]),
            leaf("value", raw::public(&pair())),
            leaf("signature", vec![7; 64]),
        ])
    };
    let set = || NodeBuilder::new("iq").attr("type", "set").attr("xmlns", "encrypt");
    let rotate = set().children([NodeBuilder::new("rotate").children([skey().build()]).build()]);
    let answer = client.answer("rotate", rotate).await.expect("an answer");
    assert_eq!(error_code(&answer), "406");
    let upload = set().children([
        leaf("registration", vec![0, 0, 1, 2]),
        leaf("type", vec![5]),
        leaf("identity", raw::public(&pair())),
        NodeBuilder::new("list").build(),
        skey().build(),
    ]);
    let answer = client.answer("upload", upload).await.expect("an answer");
    assert_eq!(error_code(&answer), "406");
    assert_eq!(prekeys(&mut client).await, before, "the old ones stay");
    sandbox.stop().await;
}

/// How many one-time keys the server has.
async fn prekeys(client: &mut RawClient) -> String {
    let count = NodeBuilder::new("iq")
        .attr("type", "get")
        .attr("xmlns", "encrypt")
        .children([NodeBuilder::new("count").build()]);
    let answer = client.ask("count", count).await.expect("a count");
    attr(child(&answer, "count").expect("a count"), "value")
}

/// A request about one collection of app state.
fn sync(version: u64, patch: Option<Vec<u8>>) -> NodeBuilder {
    let collection = NodeBuilder::new("collection")
        .attr("name", "critical_block")
        .attr("version", version)
        .children(patch.map(|patch| leaf("patch", patch)));
    NodeBuilder::new("iq")
        .attr("type", "set")
        .attr("xmlns", "w:sync:app:state")
        .children([NodeBuilder::new("sync").children([collection.build()]).build()])
}

fn collection(answer: &Node) -> &Node {
    child(child(answer, "sync").expect("sync"), "collection").expect("a collection")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patch_whose_macs_do_not_hold_reaches_nobody() {
    let sandbox = Sandbox::start().await;
    let (_, mut client) = device(&sandbox, "15560000001").await;
    let (_, mut sibling) = device(&sandbox, "15560000001").await;
    let known = client.ask("fetch", sync(0, None)).await.expect("the phone's own patch");
    let patches = child(collection(&known), "patches").expect("patches");
    let Some(NodeContent::Nodes(patches)) = &patches.content else { panic!("no patches") };
    let genuine = SyncdPatch::decode_from_slice(&bytes(&patches[0])).expect("a patch");
    let forge: [fn(&mut SyncdPatch); 4] = [
        |patch| patch.patch_mac.as_mut().expect("a MAC")[0] ^= 1,
        |patch| patch.snapshot_mac.as_mut().expect("a MAC")[0] ^= 1,
        |patch| patch.key_id = MessageField::some(KeyId { id: Some(vec![9; 6]) }),
        |patch| {
            let record = patch.mutations[0].record.as_option_mut().expect("a record");
            let value = record.value.as_option_mut().expect("a value");
            *value.blob.as_mut().expect("bytes").last_mut().expect("a MAC") ^= 1;
        },
    ];
    let forgeries = forge.len();
    for (number, forge) in forge.into_iter().enumerate() {
        let mut patch = genuine.clone();
        forge(&mut patch);
        let request = sync(1, Some(patch.encode_to_vec()));
        let answer = client.ask(&format!("forged-{number}"), request).await.expect("an answer");
        assert_eq!(error_code(collection(&answer)), "400", "forgery {number}");
    }
    assert_eq!(sandbox.stats().await["refused"]["app-state"], forgeries);
    let seen = sibling.ask("fetch", sync(1, None)).await.expect("an answer");
    assert_eq!(attr(collection(&seen), "version"), "1");
    assert!(child(collection(&seen), "patches").is_none(), "the sibling gets none of it");
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_made_up_token_opens_no_door() {
    let sandbox = Sandbox::start().await;
    let bob = sandbox.linked("restricted:Bob").await;
    let (_, mut client) = device(&sandbox, "15560000001").await;
    let to = format!("{}:33@s.whatsapp.net", bob.phone);
    for (id, token) in [("none", None), ("tc", Some("tctoken")), ("cs", Some("cstoken"))] {
        let enc = NodeBuilder::new("enc").attr("v", "2").attr("type", "msg").bytes(vec![1; 40]);
        let copy = NodeBuilder::new("to").attr("jid", to.as_str()).children([enc.build()]).build();
        let copies = NodeBuilder::new("participants").children([copy]).build();
        let message = NodeBuilder::new("message")
            .attr("to", format!("{}@s.whatsapp.net", bob.phone))
            .children(
                [Some(copies), token.map(|tag| leaf(tag, vec![7; 32]))].into_iter().flatten(),
            );
        assert_eq!(error_of(&mut client, id, message).await, "463", "{id}");
    }
    assert!(!bob.has_seen(|event| matches!(event, Event::UndecryptableMessage(_))), "nothing came");
    bob.stop().await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_under_the_identity_of_another_device_is_refused() {
    let sandbox = Sandbox::start().await;
    let bob = sandbox.linked("Bob").await;
    let (_, mut client) = device(&sandbox, "15560000001").await;
    let to = format!("{}:33@s.whatsapp.net", bob.phone);
    let user = NodeBuilder::new("user").attr("jid", to.as_str()).build();
    let fetch = NodeBuilder::new("iq")
        .attr("type", "get")
        .attr("xmlns", "encrypt")
        .children([NodeBuilder::new("key").children([user]).build()]);
    let bundle = client.ask("bundle", fetch).await.expect("a bundle");
    let user = child(child(&bundle, "list").expect("a list"), "user").expect("a user");
    let stolen = bytes(child(user, "device-identity").expect("Bob's identity"));
    for (id, identity) in [("stolen", stolen), ("made-up", vec![7; 100])] {
        let enc = NodeBuilder::new("enc").attr("v", "2").attr("type", "pkmsg").bytes(vec![1; 40]);
        let copy = NodeBuilder::new("to").attr("jid", to.as_str()).children([enc.build()]).build();
        let message = NodeBuilder::new("message")
            .attr("to", format!("{}@s.whatsapp.net", bob.phone))
            .children([
                NodeBuilder::new("participants").children([copy]).build(),
                leaf("device-identity", identity),
            ]);
        assert_eq!(error_of(&mut client, id, message).await, "400", "{id}");
    }
    assert_eq!(sandbox.stats().await["refused"]["device-identity"], 2);
    assert!(!bob.has_seen(|event| matches!(event, Event::UndecryptableMessage(_))), "nothing came");
    bob.stop().await;
    sandbox.stop().await;
}
