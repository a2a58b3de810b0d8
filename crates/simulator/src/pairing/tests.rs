//! Pairing against a client that can lie, which no real client does.

use std::sync::Arc;

use buffa::MessageField;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use wacore::libsignal::protocol::KeyPair;
use waproto::whatsapp::client_payload::DevicePairingRegistrationData;

use super::*;
use crate::socket::mailbox::{Freeze, Incoming};

const SOCKET: SocketId = SocketId(1);
const TIMES: RefTimes = RefTimes { first: Duration::from_secs(60), next: Duration::from_secs(20) };

/// A client that shows a code, played by hand so that it can lie.
struct Companion {
    world: World,
    identity: KeyPair,
    incoming: Incoming,
    reference: String,
}

fn payload(identity: &KeyPair, signer: &KeyPair) -> ClientPayload {
    let prekey = keys::key_pair(1, "prekey", "companion");
    let signature = keys::sign(signer, &[&prekey.public_key.serialize()]);
    ClientPayload {
        device_pairing_data: MessageField::some(DevicePairingRegistrationData {
            e_regid: Some(vec![0, 0, 1, 2]),
            e_keytype: Some(vec![5]),
            e_ident: Some(keys::public_bytes(identity).to_vec()),
            e_skey_id: Some(vec![0, 0, 1]),
            e_skey_val: Some(keys::public_bytes(&prekey).to_vec()),
            e_skey_sig: Some(signature.to_vec()),
            ..DevicePairingRegistrationData::default()
        }),
        ..ClientPayload::default()
    }
}

fn companion() -> Companion {
    let mut world = World::new(1, Arc::new(Notify::new()));
    let identity = keys::key_pair(1, "identity", "companion");
    let (mailbox, incoming) = Mailbox::new(CancellationToken::new(), Freeze::default());
    let payload = payload(&identity, &identity);
    let first =
        begin(&mut world, SOCKET, mailbox, &[3; 32], &payload, TIMES).expect("it may register");
    let references = child(&first, "pair-device").expect("references");
    let first_ref = child(references, "ref").and_then(crate::stanza::text_of);
    Companion { world, identity, incoming, reference: first_ref.expect("a reference") }
}

impl Companion {
    fn qr(&self) -> String {
        let identity = keys::public_bytes(&self.identity);
        let field = |bytes: [u8; 32]| STANDARD.encode(bytes);
        format!("{},{},{},{},1", self.reference, field([3; 32]), field(identity), field([4; 32]))
    }

    /// The client's answer to `pair-success`, signed by `signer`.
    fn answer(&mut self, signer: &KeyPair) -> Node {
        let Ok(Outgoing::Stanza(success)) = self.incoming.receiver.try_recv() else {
            panic!("the client was not answered")
        };
        let pair = child(&success, "pair-success").expect("pair-success");
        let sealed = bytes_of(child(pair, "device-identity").expect("blob")).expect("bytes");
        let sealed = ADVSignedDeviceIdentityHMAC::decode_from_slice(sealed).expect("protobuf");
        let inner = sealed.details.expect("details");
        let mut answer = ADVSignedDeviceIdentity::decode_from_slice(&inner).expect("protobuf");
        let identity = keys::public_bytes(&self.identity);
        let account_key = answer.account_signature_key.clone().expect("a key");
        let details = answer.details.clone().expect("details");
        let signature = keys::sign(signer, &[&[6, 1], &details, &identity, &account_key]);
        answer.device_signature = Some(signature.to_vec());
        let mut blob = leaf("device-identity", answer.encode_to_vec());
        blob.attrs.insert("key-index", 1);
        let sign = NodeBuilder::new("pair-device-sign").children([blob]).build();
        NodeBuilder::new("iq")
            .attr("type", "result")
            .attr("id", text_attr(&success, "id"))
            .children([sign])
            .build()
    }

    fn end_code(reply: &Reply) -> String {
        text_attr(reply.stanzas.last().expect("a last word"), "code")
    }
}

#[test]
fn a_device_exists_only_once_its_own_signature_holds() {
    let mut companion = companion();
    let qr = companion.qr();
    let scanned = scan(&mut companion.world, &qr, None).expect("it scans");
    assert_eq!(companion.world.companions(&scanned.phone), []);
    let signer = companion.identity.clone();
    let answer = companion.answer(&signer);
    let reply = handle(&mut companion.world, SOCKET, &answer);
    assert_eq!(Companion::end_code(&reply), "515");
    assert_eq!(companion.world.companions(&scanned.phone).len(), 1);
}

#[test]
fn a_foreign_device_signature_makes_no_device() {
    let mut companion = companion();
    let qr = companion.qr();
    let scanned = scan(&mut companion.world, &qr, None).expect("it scans");
    let forger = keys::key_pair(1, "identity", "forger");
    let answer = companion.answer(&forger);
    let reply = handle(&mut companion.world, SOCKET, &answer);
    assert_eq!(Companion::end_code(&reply), "401");
    assert_eq!(companion.world.companions(&scanned.phone), []);
}

#[test]
fn a_code_is_scanned_once() {
    let mut companion = companion();
    let qr = companion.qr();
    assert!(scan(&mut companion.world, &qr, None).is_ok());
    assert!(matches!(scan(&mut companion.world, &qr, None), Err(ScanError::Unknown)));
}

#[test]
fn a_registration_with_a_foreign_prekey_signature_is_refused() {
    let mut world = World::new(1, Arc::new(Notify::new()));
    let identity = keys::key_pair(1, "identity", "companion");
    let forger = keys::key_pair(1, "identity", "forger");
    let (mailbox, _incoming) = Mailbox::new(CancellationToken::new(), Freeze::default());
    let payload = payload(&identity, &forger);
    let refused = begin(&mut world, SOCKET, mailbox, &[3; 32], &payload, TIMES);
    assert_eq!(refused.err(), Some("signed prekey signature"));
}
