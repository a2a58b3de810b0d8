//! Linking a device by QR code; by a typed code in [`code`].
//!
//! 1. A client without an account registers; it gets six references and shows them as QR codes,
//!    the first for 60 s, the others for 20 s each (the times are configurable).
//! 2. A phone scans one ([`scan`]): it signs the companion's identity and the answer goes to the
//!    client sealed by the secret that only the QR code held.
//! 3. The client signs in turn. Only when that signature holds does the device exist; then the
//!    stream ends with 515 and the client comes back to log in.
//!
//! An expired or foreign reference is refused at the phone, a bad signature ends the socket. A client
//! that refuses the phone's answer can be scanned again.

pub(crate) mod code;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use buffa::Message;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::time::Instant;
use wacore::libsignal::protocol::PublicKey;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, Server};
use waproto::whatsapp::{
    ADVDeviceIdentity, ADVEncryptionType, ADVSignedDeviceIdentity, ADVSignedDeviceIdentityHMAC,
    ClientPairingProps, ClientPayload,
};

use crate::clock::{self, unix_seconds};
use crate::hub::RefTimes;
use crate::keys;
use crate::socket::mailbox::{Mailbox, Outgoing, SocketId};
use crate::socket::session::{Reply, Then};
use crate::stanza::{
    SERVER, attr, bytes_of, child, has_attr, leaf, number_of, stream_error, text_attr,
};
use crate::world::World;
use crate::world::device::{Device, DeviceKeys, SignedKey};
use crate::world::stats::Stats;

const REFS: usize = 6;
const RESTART_REQUIRED: u16 = 515;
const NOT_AUTHORIZED: u16 = 401;
const LINKED_DEVICES_PREFIX: &str = "https://wa.me/settings/linked_devices#";

/// A connection that shows QR codes.
pub(crate) struct Registration {
    pub(crate) mailbox: Mailbox,
    refs: Vec<(String, Instant)>,
    keys: DeviceKeys,
    /// What the client announced; chooses the account when the scan names none.
    pub(crate) push_name: Option<String>,
    pending: Option<Pending>,
    /// Set while the client shows a code instead of a QR.
    code: Option<code::CodeFlow>,
}

/// A scanned registration, until the client's signature arrives.
struct Pending {
    phone: String,
    device: u16,
    key_index: u32,
    request: String,
    /// The `ADVDeviceIdentity` that both sides sign.
    details: Vec<u8>,
    account_signature: [u8; 64],
}

/// What a scan gave.
#[derive(Debug, Clone)]
pub(crate) struct Scanned {
    pub(crate) phone: String,
    pub(crate) jid: Jid,
    pub(crate) lid: Jid,
    pub(crate) device: u16,
}

/// Why a phone cannot use a QR text.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScanError {
    #[error("this is not a QR code of WhatsApp")]
    NotACode,
    #[error("no client waits with this code, or it has expired")]
    Unknown,
    #[error("the keys in the code are not those of the client that shows it")]
    ForeignKeys,
}

/// Takes in a registering client; gives the stanza with its references.
pub(crate) fn begin(
    world: &mut World,
    socket: SocketId,
    mailbox: Mailbox,
    client_static: &[u8; 32],
    payload: &ClientPayload,
    times: RefTimes,
) -> Result<Node, &'static str> {
    let keys = registration_keys(client_static, payload)?;
    let mut expires = clock::instant() + times.first;
    let mut refs = Vec::with_capacity(REFS);
    for _ in 0..REFS {
        let reference = format!("2@{}", STANDARD.encode(world.next_bytes("pairing-ref")));
        refs.push((reference, expires));
        expires += times.next.max(Duration::from_millis(1));
    }
    let id = world.stanza_id("pair-device");
    let children = refs.iter().map(|(reference, _)| leaf("ref", reference.as_bytes()));
    let first = request(id, NodeBuilder::new("pair-device").children(children).build());
    let push_name = payload.push_name.clone().filter(|name| !name.is_empty());
    let registration = Registration { mailbox, refs, keys, push_name, pending: None, code: None };
    world.registrations.insert(socket, registration);
    Ok(first)
}

fn registration_keys(
    noise: &[u8; 32],
    payload: &ClientPayload,
) -> Result<DeviceKeys, &'static str> {
    let data = payload.device_pairing_data.as_option().ok_or("no registration")?;
    let identity: [u8; 32] = fixed(data.e_ident.as_deref()).ok_or("identity key")?;
    let signed = SignedKey {
        id: data.e_skey_id.as_deref().and_then(number_of).ok_or("signed prekey id")?,
        public: fixed(data.e_skey_val.as_deref()).ok_or("signed prekey")?,
        signature: fixed(data.e_skey_sig.as_deref()).ok_or("signed prekey signature")?,
    };
    if !signed_key_is_valid(&identity, &signed) {
        return Err("signed prekey signature");
    }
    Ok(DeviceKeys {
        noise: *noise,
        identity,
        registration: data.e_regid.as_deref().and_then(number_of).ok_or("registration id")?,
        signed,
        one_time: std::collections::VecDeque::new(),
        adv: Vec::new(),
    })
}

/// Whether the identity signed this prekey.
pub(crate) fn signed_key_is_valid(identity: &[u8; 32], signed: &SignedKey) -> bool {
    let (Ok(identity), Ok(key)) = (
        PublicKey::from_djb_public_key_bytes(identity),
        PublicKey::from_djb_public_key_bytes(&signed.public),
    ) else {
        return false;
    };
    identity.verify_signature(&key.serialize(), &signed.signature)
}

fn fixed<const N: usize>(bytes: Option<&[u8]>) -> Option<[u8; N]> {
    bytes?.try_into().ok()
}

/// A phone scans a QR text. Without `phone` the account follows from the announced push name.
pub(crate) fn scan(
    world: &mut World,
    text: &str,
    phone: Option<&str>,
) -> Result<Scanned, ScanError> {
    let code = Code::parse(text)?;
    let now = clock::instant();
    let shows = |registration: &Registration| {
        registration.pending.is_none()
            && registration.refs.iter().any(|(known, end)| *known == code.reference && *end > now)
    };
    let socket = world
        .registrations
        .iter()
        .find_map(|(socket, registration)| shows(registration).then_some(*socket))
        .ok_or(ScanError::Unknown)?;
    let registration = &world.registrations[&socket];
    if registration.keys.noise != code.noise || registration.keys.identity != code.identity {
        return Err(ScanError::ForeignKeys);
    }
    let push_name = registration.push_name.clone();
    let identity = registration.keys.identity;
    let phone = match (phone, push_name.as_deref()) {
        (Some(phone), name) => {
            world.account_for(phone, name);
            phone.to_owned()
        }
        (None, Some(name)) => world.account_named(name),
        (None, None) => {
            let free = world.free_number();
            world.account_for(&free, None);
            free
        }
    };
    Ok(approve(world, socket, &phone, &identity, &code.secret))
}

/// The phone's part: a device id, its signature, and the sealed answer to the client.
fn approve(
    world: &mut World,
    socket: SocketId,
    phone: &str,
    identity: &[u8; 32],
    secret: &[u8],
) -> Scanned {
    let request_id = world.stanza_id("pair-success");
    let account = world.account_for(phone, None);
    let (device, key_index) = (account.next_device, account.next_key_index);
    account.next_device += 1;
    account.next_key_index += 1;
    let details = ADVDeviceIdentity {
        raw_id: Some(account.keys.raw_id),
        timestamp: Some(unix_seconds()),
        key_index: Some(key_index),
        account_type: Some(ADVEncryptionType::E2EE),
        device_type: Some(ADVEncryptionType::E2EE),
    }
    .encode_to_vec();
    let account_signature = keys::sign(&account.keys.identity, &[&[6, 0], &details, identity]);
    let signed = ADVSignedDeviceIdentity {
        details: Some(details.clone()),
        account_signature_key: Some(keys::public_bytes(&account.keys.identity).to_vec()),
        account_signature: Some(account_signature.to_vec()),
        device_signature: None,
    }
    .encode_to_vec();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(&signed);
    let sealed = ADVSignedDeviceIdentityHMAC {
        details: Some(signed),
        hmac: Some(mac.finalize().into_bytes().to_vec()),
        ..ADVSignedDeviceIdentityHMAC::default()
    }
    .encode_to_vec();
    let jid = account.jid(device, Server::Pn);
    let lid = account.jid(device, Server::Lid);
    let props = ClientPairingProps {
        is_chat_db_lid_migrated: Some(account.profile.scenario.lid_migrated),
        ..ClientPairingProps::default()
    };
    let success = NodeBuilder::new("pair-success")
        .children([
            leaf("device-identity", sealed),
            NodeBuilder::new("biz").attr("name", "").build(),
            NodeBuilder::new("device").attr("jid", &jid).attr("lid", &lid).build(),
            NodeBuilder::new("platform").attr("name", "android").build(),
            leaf("client-props", props.encode_to_vec()),
        ])
        .build();
    let stanza =
        crate::stanza::with_attr(request(request_id.clone(), success), "t", unix_seconds());
    if let Some(registration) = world.registrations.get_mut(&socket) {
        registration.mailbox.post(Outgoing::Stanza(stanza));
        registration.pending = Some(Pending {
            phone: phone.to_owned(),
            device,
            key_index,
            request: request_id,
            details,
            account_signature,
        });
    }
    world.touch();
    Scanned { phone: phone.to_owned(), jid, lid, device }
}

fn request(id: String, child: Node) -> Node {
    NodeBuilder::new("iq")
        .attr("from", SERVER)
        .attr("type", "set")
        .attr("id", id)
        .attr("xmlns", "md")
        .children([child])
        .build()
}

/// A stanza of a client that is not linked yet.
pub(crate) fn handle(world: &mut World, socket: SocketId, stanza: &Node) -> Reply {
    if stanza.tag != "iq" {
        return Reply::default();
    }
    if has_attr(stanza, "type", "get") {
        // Keepalive; anything else has nothing to ask before it is linked.
        return crate::stanza::result_of(stanza, []).into();
    }
    if let Some(reply) = code::handle(world, socket, stanza) {
        return reply;
    }
    let Some(registration) = world.registrations.get_mut(&socket) else { return Reply::default() };
    let answers_success = registration
        .pending
        .as_ref()
        .is_some_and(|pending| attr(stanza, "id").is_some_and(|id| id == pending.request));
    if !answers_success {
        let asks = has_attr(stanza, "type", "set");
        return asks.then(|| crate::stanza::error_of(stanza, 400, "bad-request")).into();
    }
    let Some(pending) = registration.pending.take() else { return Reply::default() };
    if has_attr(stanza, "type", "error") {
        // The client does not believe the phone, and shows its codes on.
        Stats::count(&mut world.stats.refused, "pairing".to_owned());
        return Reply::default();
    }
    let device_keys = registration.keys.clone();
    world.registrations.remove(&socket);
    let end = match admit(world, &pending, device_keys, stanza) {
        Some(()) => stream_error(Some(RESTART_REQUIRED), None),
        None => stream_error(Some(NOT_AUTHORIZED), None),
    };
    Reply { stanzas: vec![end], then: Then::Finish }
}

/// Makes the device when the client's answer is signed by the identity that was scanned.
fn admit(
    world: &mut World,
    pending: &Pending,
    mut device_keys: DeviceKeys,
    answer: &Node,
) -> Option<()> {
    let sign = child(answer, "pair-device-sign")?;
    let blob = child(sign, "device-identity")?;
    let signed = ADVSignedDeviceIdentity::decode_from_slice(bytes_of(blob)?).ok()?;
    let account = world.accounts.get_mut(&pending.phone)?;
    let account_key = keys::public_bytes(&account.keys.identity);
    let signature = signed.device_signature?;
    let identity = PublicKey::from_djb_public_key_bytes(&device_keys.identity).ok()?;
    let message: [&[u8]; 4] = [&[6, 1], &pending.details, &device_keys.identity, &account_key];
    let genuine = signed.details.as_deref() == Some(&pending.details[..])
        && text_attr(blob, "key-index") == pending.key_index.to_string()
        && identity.verify_signature_for_multipart_message(&message, &signature);
    if !genuine {
        return None;
    }
    // Peers must see the account's key, which some clients leave out of their answer.
    device_keys.adv = ADVSignedDeviceIdentity {
        details: Some(pending.details.clone()),
        account_signature_key: Some(account_key.to_vec()),
        account_signature: Some(pending.account_signature.to_vec()),
        device_signature: Some(signature),
    }
    .encode_to_vec();
    let device = Device::new(device_keys, pending.key_index);
    account.devices.insert(pending.device, device);
    world.touch();
    Some(())
}

/// Asks every waiting client, or the one that announced this push name, for a new secret. The
/// shown reference stays.
pub(crate) fn refresh(world: &mut World, target: &str) -> usize {
    let content = NodeBuilder::new("companion_reg_refresh").build();
    notify(world, target, "companion_reg_refresh", content)
}

/// Asks waiting clients for a passkey before they may be linked. What they answer is refused:
/// the network has no authenticator to compare it with; a code can still be scanned.
pub(crate) fn challenge(world: &mut World, target: &str) -> usize {
    let challenge = URL_SAFE_NO_PAD.encode(world.next_bytes("passkey-challenge"));
    let options = serde_json::json!({
        "challenge": challenge, "rpId": "whatsapp.com", "timeout": 60_000,
        "userVerification": "required", "allowCredentials": [],
    });
    let content = leaf("passkey_request_options", options.to_string());
    notify(world, target, "passkey_prologue_request", content)
}

fn notify(world: &mut World, target: &str, kind: &'static str, content: Node) -> usize {
    let stanza = NodeBuilder::new("notification")
        .attr("from", SERVER)
        .attr("type", kind)
        .attr("id", world.stanza_id(kind))
        .attr("t", unix_seconds())
        .children([content])
        .build();
    let mut told = 0;
    for registration in world.registrations.values() {
        if target == "*" || registration.push_name.as_deref() == Some(target) {
            registration.mailbox.post(Outgoing::Stanza(stanza.clone()));
            told += 1;
        }
    }
    told
}

/// The fields of a QR text.
struct Code {
    reference: String,
    noise: [u8; 32],
    identity: [u8; 32],
    secret: Vec<u8>,
}

impl Code {
    fn parse(text: &str) -> Result<Self, ScanError> {
        let text = text.trim();
        let body = text.strip_prefix(LINKED_DEVICES_PREFIX).unwrap_or(text);
        let mut fields = body.split(',');
        let mut next = || fields.next().filter(|field| !field.is_empty());
        let reference = next().ok_or(ScanError::NotACode)?.to_owned();
        let mut key = || {
            let bytes = STANDARD.decode(next()?).ok()?;
            <[u8; 32]>::try_from(bytes).ok()
        };
        let noise = key().ok_or(ScanError::NotACode)?;
        let identity = key().ok_or(ScanError::NotACode)?;
        let secret = key().ok_or(ScanError::NotACode)?.to_vec();
        Ok(Self { reference, noise, identity, secret })
    }
}

#[cfg(test)]
mod tests;
