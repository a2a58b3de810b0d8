//! Privacy tokens: who may approach a restricted account.
//!
//! An account issues a token to everybody it writes to, and the server tells that person's
//! devices. Who approaches a restricted account without having been written to by it shows that
//! token, or one computed from the salt of its own account; otherwise a message is nacked with 463
//! and pictures and presence stay hidden.

use buffa::MessageField;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, Server};
use waproto::whatsapp::SyncActionValue;
use waproto::whatsapp::sync_action_value::NctSaltSyncAction;

use crate::clock::unix_seconds;
use crate::keys;
use crate::stanza::{attr, child_bytes, children_named, jid_attr, leaf, result_of};
use crate::world::app_state::Action;
use crate::world::queue::Class;
use crate::world::trust::Token;
use crate::world::{DeviceAddress, World};

/// `<tokens>`: the account trusts others with a token each, which their devices are told.
pub(crate) fn issue(world: &mut World, owner: &DeviceAddress, iq: &Node, tokens: &Node) -> Node {
    for token in children_named(tokens, "token") {
        let Some(phone) = jid_attr(token, "jid").and_then(|jid| world.phone_of(&jid)) else {
            continue;
        };
        let issued_at = attr(token, "t").and_then(|t| t.parse().ok()).unwrap_or_else(unix_seconds);
        let secret = world.next_bytes("trusted-contact-token").to_vec();
        let Some(account) = world.accounts.get_mut(&owner.phone) else { continue };
        let issued = Token { secret: secret.clone(), issued_at };
        account.profile.issued_tokens.insert(phone.clone(), issued);
        tell(world, &owner.phone, &phone, &secret, issued_at);
    }
    world.touch();
    result_of(iq, [])
}

fn tell(world: &mut World, issuer: &str, receiver: &str, secret: &[u8], issued_at: u64) {
    let Some(account) = world.accounts.get(issuer) else { return };
    let (from, lid) = (account.user_jid(Server::Pn), account.user_jid(Server::Lid));
    let mut token = leaf("token", secret);
    token.attrs.insert("type", "trusted_contact");
    token.attrs.insert("t", issued_at);
    let stanza = NodeBuilder::new("notification")
        .attr("from", from)
        .attr("sender_lid", lid)
        .attr("type", "privacy_token")
        .attr("id", world.stanza_id("privacy-token"))
        .attr("t", unix_seconds())
        .children([NodeBuilder::new("tokens").children([token]).build()])
        .build();
    for device in world.companions(receiver) {
        world.deliver(&device, Class::Notification, stanza.clone());
    }
}

/// Whether one account may approach another with what a stanza carries: `<tctoken>`, `<cstoken>`.
pub(crate) fn may_approach(world: &World, from: &str, to: &str, stanza: &Node) -> bool {
    let Some(target) = world.accounts.get(to) else { return false };
    let scenario = &target.profile.scenario;
    if !scenario.restricted || from == to || target.profile.wrote_to.contains(from) {
        return true;
    }
    let trusted =
        scenario.tc_enabled && shows_token(world, from, to, child_bytes(stanza, "tctoken"));
    let computed = scenario.cs_enabled
        && child_bytes(stanza, "cstoken").is_some_and(|shown| {
            let recipient = target.user_jid(Server::Lid).to_string();
            salted(&nct_salt(world.seed, from), &recipient).as_slice() == shown
        });
    trusted || computed
}

/// Whether somebody was blocked by another.
pub(crate) fn is_blocked(world: &World, whom: &str, by: &str) -> bool {
    world.accounts.get(by).is_some_and(|account| account.profile.blocked.contains(whom))
}

/// Whether picture and presence of one account are hidden from another.
pub(crate) fn is_hidden(world: &World, from: &str, of: &str, stanza: &Node) -> bool {
    is_blocked(world, from, of) || !may_approach(world, from, of, stanza)
}

fn shows_token(world: &World, from: &str, to: &str, shown: Option<&[u8]>) -> bool {
    let issued = world.accounts.get(to).and_then(|account| account.profile.issued_tokens.get(from));
    matches!((issued, shown), (Some(issued), Some(shown)) if issued.secret == shown)
}

/// Whether somebody's privacy lets another put it into a group.
pub(crate) fn may_be_added(world: &World, by: &str, whom: &str, token: Option<&[u8]>) -> bool {
    let Some(account) = world.accounts.get(whom) else { return false };
    let rule = account.profile.privacy.get("groupadd").map_or("all", String::as_str);
    let wrote = account.profile.wrote_to.contains(by);
    match rule {
        "none" => false,
        // Whom it wrote to, or trusts, is a contact as far as the server can know.
        "contacts" => wrote || shows_token(world, by, whom, token),
        _ => !account.profile.blocked.contains(by),
    }
}

/// One account has written to another, which may answer from now on.
pub(crate) fn note_written(world: &mut World, from: &str, to: &str) {
    if let Some(account) = world.accounts.get_mut(from)
        && from != to
        && !account.profile.wrote_to.contains(to)
    {
        account.profile.wrote_to.insert(to.to_owned());
    }
}

/// The salt from which an account's devices compute tokens for people who gave them none.
pub(crate) fn nct_salt(seed: u64, phone: &str) -> [u8; 32] {
    keys::derive(seed, "nct-salt", phone)
}

/// The salt as the phone writes it into the account's app state.
pub(crate) fn salt_action(seed: u64, phone: &str) -> Action {
    let salt = NctSaltSyncAction { salt: Some(nct_salt(seed, phone).to_vec()) };
    Action {
        collection: "regular_high",
        index: br#"["nct_salt_sync"]"#.to_vec(),
        value: SyncActionValue {
            nct_salt_sync_action: MessageField::some(salt),
            timestamp: i64::try_from(unix_seconds() * 1000).ok(),
            ..SyncActionValue::default()
        },
        version: 1,
    }
}

fn salted(salt: &[u8; 32], recipient: &str) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(salt).expect("HMAC takes keys of any length");
    mac.update(recipient.as_bytes());
    mac.finalize().into_bytes().into()
}
