//! Linking a device by a code that the owner types on the phone.
//!
//! 1. The client says whose phone it waits for and brings an ephemeral key wrapped under the
//!    code; it gets a reference.
//! 2. The owner types the code ([`enter`]): the phone unwraps that key and answers with one of
//!    its own, wrapped under the same code.
//! 3. The client seals its identity for the phone. The seal opens only when both knew the same
//!    code; then the phone signs as after a scan.
//!
//! The server never sees the code. A wrong one is noticed at the seal, an expired or unknown one
//! when it is typed. Neither guessing nor asking for codes goes on for ever.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use wacore::crypto::hkdf_sha256;
use wacore::libsignal::crypto::aes_256_gcm_decrypt;
use wacore::libsignal::protocol::{KeyPair, PublicKey};
use wacore::pair_code::PairCodeUtils;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::{Scanned, approve};
use crate::clock::{instant, unix_seconds};
use crate::hub::Hub;
use crate::keys;
use crate::socket::mailbox::{Mailbox, Outgoing, SocketId};
use crate::socket::session::Reply;
use crate::stanza::{SERVER, child, child_bytes, error_of, jid_attr, leaf, result_of, text_attr};
use crate::world::World;
use crate::world::faults::FaultKind;

/// A code is worth something for this long.
const VALIDITY: Duration = Duration::from_secs(180);
/// The client's answer takes milliseconds, and its key derivation is slow on purpose.
const ANSWER_DEADLINE: Duration = Duration::from_secs(20);
/// A code is not guessed: after so many wrong ones the client has to show another.
const MOST_TRIES: u8 = 3;
/// So many codes can be asked for one number within [`PATIENCE`].
const MOST_CODES: usize = 10;
const PATIENCE: Duration = Duration::from_secs(600);
const WRAPPED_KEY: usize = 80;
const BUNDLE: usize = 156;
const TAG: &str = "link_code_companion_reg";

/// A client that waits for its code to be typed.
pub(super) struct CodeFlow {
    phone: String,
    reference: Vec<u8>,
    wrapped_key: Vec<u8>,
    expires: Instant,
    /// How often the owner typed something else.
    wrong: u8,
    primary: Option<Primary>,
}

/// The phone's half, once the code was typed.
struct Primary {
    ephemeral: KeyPair,
    companion_ephemeral: [u8; 32],
    outcome: oneshot::Sender<Result<Scanned, CodeError>>,
}

/// Why typing a code did not link anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CodeError {
    #[error("no client waits for a code on this phone, or its code has expired")]
    Unknown,
    #[error("this is not the code that the client shows")]
    Wrong,
    #[error("another code was typed too often; the client has to show a new one")]
    TooOften,
    #[error("the client did not answer")]
    NoAnswer,
}

/// A registering client's `<link_code_companion_reg>`.
pub(super) fn handle(world: &mut World, socket: SocketId, iq: &Node) -> Option<Reply> {
    let step = child(iq, TAG)?;
    Some(match text_attr(step, "stage").as_str() {
        "companion_hello" => hello(world, socket, iq, step).into(),
        "companion_finish" => finish(world, socket, iq, step).into(),
        _ => error_of(iq, 400, "bad-request").into(),
    })
}

fn hello(world: &mut World, socket: SocketId, iq: &Node, step: &Node) -> Node {
    if let Some(fault) = world.faults.strike(FaultKind::RefuseCode, "*") {
        let (code, text) = refusal(fault.code.unwrap_or(429));
        return error_of(iq, code, text);
    }
    let reference = world.next_bytes("pairing-code-ref")[..24].to_vec();
    let Some(registration) = world.registrations.get_mut(&socket) else {
        return error_of(iq, 400, "bad-request");
    };
    let wrapped = child_bytes(step, "link_code_pairing_wrapped_companion_ephemeral_pub");
    let server_key = child_bytes(step, "companion_server_auth_key_pub");
    let (Some(jid), Some(wrapped), Some(server_key)) = (jid_attr(step, "jid"), wrapped, server_key)
    else {
        return error_of(iq, 400, "bad-request");
    };
    if wrapped.len() != WRAPPED_KEY || server_key != registration.keys.noise {
        return error_of(iq, 400, "bad-request");
    }
    let phone = jid.user.to_string();
    let asked = world.code_requests.entry(phone.clone()).or_default();
    asked.retain(|at| *at + PATIENCE > instant());
    if asked.len() == MOST_CODES {
        let (code, text) = refusal(429);
        return error_of(iq, code, text);
    }
    asked.push(instant());
    registration.code = Some(CodeFlow {
        phone,
        reference: reference.clone(),
        wrapped_key: wrapped.to_vec(),
        expires: instant() + VALIDITY,
        wrong: 0,
        primary: None,
    });
    let answer = NodeBuilder::new(TAG)
        .attr("stage", "companion_hello")
        .children([leaf("link_code_pairing_ref", reference)])
        .build();
    result_of(iq, [answer])
}

/// Refusals that clients tell apart by code and text.
fn refusal(code: u16) -> (u16, &'static str) {
    match code {
        403 => (403, "forbidden"),
        429 => (429, "rate-overlimit"),
        452 => (452, "feature-not-available"),
        500 => (500, "internal-server-error"),
        _ => (400, "bad-request"),
    }
}

/// The owner types a code; answers when the client has proved to know it too.
pub(crate) async fn enter(hub: &Arc<Hub>, phone: &str, code: &str) -> Result<Scanned, CodeError> {
    let code: String = code.chars().filter(char::is_ascii_alphanumeric).collect();
    let code = code.to_uppercase();
    let (reference, wrapped_key, mailbox) = waiting(&hub.world(), phone)?;
    let ephemeral = KeyPair::generate(&mut rand::make_rng::<rand::rngs::StdRng>());
    let public = keys::public_bytes(&ephemeral);
    // A hundred thousand rounds of hashing, twice.
    let derive = move || {
        let companion = PairCodeUtils::decrypt_primary_ephemeral_pub(&wrapped_key, &code).ok()?;
        Some((companion, PairCodeUtils::encrypt_ephemeral_pub(&public, &code)))
    };
    let derived = hub.tracker.spawn_blocking(derive).await.ok().flatten();
    let (companion_ephemeral, wrapped) = derived.ok_or(CodeError::Unknown)?;
    let (outcome, answer) = oneshot::channel();
    {
        let mut world = hub.world();
        let identity = keys::public_bytes(&world.account_for(phone, None).keys.identity);
        let stanza = primary_hello(&mut world, &reference, &wrapped, &identity);
        let mut flows = world.registrations.values_mut().filter_map(|r| r.code.as_mut());
        let flow = flows.find(|flow| flow.reference == reference);
        let flow = flow.ok_or(CodeError::Unknown)?;
        flow.primary = Some(Primary { ephemeral, companion_ephemeral, outcome });
        mailbox.post(Outgoing::Stanza(stanza));
    }
    match timeout(ANSWER_DEADLINE, answer).await {
        Ok(Ok(outcome)) => outcome,
        _ => Err(CodeError::NoAnswer),
    }
}

/// The client that waits for this phone's owner.
fn waiting(world: &World, phone: &str) -> Result<(Vec<u8>, Vec<u8>, Mailbox), CodeError> {
    let now = instant();
    let waits = |flow: &&CodeFlow| flow.phone == phone && flow.expires > now;
    let (flow, mailbox) = world
        .registrations
        .values()
        .filter(|registration| registration.pending.is_none())
        .filter_map(|shown| Some((shown.code.as_ref().filter(waits)?, shown.mailbox.clone())))
        .min_by_key(|(flow, _)| flow.wrong)
        .ok_or(CodeError::Unknown)?;
    if flow.wrong == MOST_TRIES {
        return Err(CodeError::TooOften);
    }
    Ok((flow.reference.clone(), flow.wrapped_key.clone(), mailbox))
}

fn primary_hello(world: &mut World, reference: &[u8], wrapped: &[u8], identity: &[u8]) -> Node {
    let children = [
        leaf("link_code_pairing_wrapped_primary_ephemeral_pub", wrapped),
        leaf("primary_identity_pub", identity),
        leaf("link_code_pairing_ref", reference),
    ];
    notification(world, NodeBuilder::new(TAG).attr("stage", "primary_hello").children(children))
}

fn notification(world: &mut World, step: NodeBuilder) -> Node {
    NodeBuilder::new("notification")
        .attr("from", SERVER)
        .attr("type", TAG)
        .attr("id", world.stanza_id("link-code"))
        .attr("t", unix_seconds())
        .children([step.build()])
        .build()
}

/// `None` when the answer was given already.
fn finish(world: &mut World, socket: SocketId, iq: &Node, step: &Node) -> Option<Node> {
    let Some(registration) = world.registrations.get_mut(&socket) else {
        return Some(error_of(iq, 400, "bad-request"));
    };
    let companion = registration.keys.identity;
    let reference = child_bytes(step, "link_code_pairing_ref");
    let matches = |flow: &CodeFlow| Some(flow.reference.as_slice()) == reference;
    let Some(flow) = registration.code.as_mut().filter(|flow| matches(flow)) else {
        return Some(error_of(iq, 404, "item-not-found"));
    };
    let phone = flow.phone.clone();
    let Some(primary) = flow.primary.take() else {
        return Some(error_of(iq, 400, "bad-request"));
    };
    // The answer goes before what follows from it.
    registration.mailbox.post(Outgoing::Stanza(result_of(iq, [])));
    let identity = world.accounts.get(&phone).map(|account| account.keys.identity.clone());
    let bundle = child_bytes(step, "link_code_pairing_wrapped_key_bundle").unwrap_or_default();
    let named = child_bytes(step, "companion_identity_public");
    let secret = identity
        .filter(|_| named == Some(&companion[..]))
        .and_then(|identity| open_bundle(&identity, &primary, &companion, bundle));
    let outcome = match secret {
        Some(secret) => Ok(approve(world, socket, &phone, &companion, &secret)),
        None => Err(CodeError::Wrong),
    };
    if outcome.is_err()
        && let Some(flow) = world.registrations.get_mut(&socket).and_then(|r| r.code.as_mut())
    {
        flow.wrong += 1;
    }
    // Who typed the code may have gone away.
    let _told = primary.outcome.send(outcome);
    None
}

/// Opens the client's seal; gives the secret that both sides now share.
fn open_bundle(
    identity: &KeyPair,
    primary: &Primary,
    companion: &[u8; 32],
    bundle: &[u8],
) -> Option<[u8; 32]> {
    if bundle.len() != BUNDLE {
        return None;
    }
    let (salt, rest) = bundle.split_at(32);
    let (iv, sealed) = rest.split_at(12);
    let their_ephemeral =
        PublicKey::from_djb_public_key_bytes(&primary.companion_ephemeral).ok()?;
    let shared = primary.ephemeral.private_key.calculate_agreement(&their_ephemeral).ok()?;
    let info = b"link_code_pairing_key_bundle_encryption_key";
    let key: [u8; 32] = hkdf_sha256(&shared, 32, Some(salt), info).ok()?.try_into().ok()?;
    let mut plain = Vec::new();
    aes_256_gcm_decrypt(&key, iv.try_into().ok()?, b"", sealed, &mut plain).ok()?;
    let genuine = plain.len() == 96
        && plain[..32] == companion[..]
        && plain[32..64] == keys::public_bytes(identity);
    if !genuine {
        return None;
    }
    let their_identity = PublicKey::from_djb_public_key_bytes(companion).ok()?;
    let identity_shared = identity.private_key.calculate_agreement(&their_identity).ok()?;
    let material = [&shared[..], &identity_shared[..], &plain[64..]].concat();
    hkdf_sha256(&material, 32, None, b"adv_secret").ok()?.try_into().ok()
}

/// Asks clients that show a code for a new one; `target` is a phone number or `*`.
pub(crate) fn refresh(world: &mut World, target: &str) -> usize {
    let waiting: Vec<(Mailbox, Vec<u8>)> = world
        .registrations
        .values()
        .filter_map(|registration| {
            let flow = registration.code.as_ref()?;
            let wanted = target == "*" || flow.phone == target;
            wanted.then(|| (registration.mailbox.clone(), flow.reference.clone()))
        })
        .collect();
    for (mailbox, reference) in &waiting {
        let step = NodeBuilder::new(TAG)
            .attr("stage", "refresh_code")
            .children([leaf("link_code_pairing_ref", reference.clone())]);
        let stanza = notification(world, step);
        mailbox.post(Outgoing::Stanza(stanza));
    }
    waiting.len()
}
