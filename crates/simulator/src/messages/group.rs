//! Messages to a group: one ciphertext for everybody, and the key to it for who lacks it.
//!
//! 1. The sender's `skmsg` is encrypted with its sender key; `participants` brings that key to
//!    devices that lack it, each encrypted for that device alone.
//! 2. Every device of every current member gets the message with its own copy of the key, if any.
//!    What was encrypted for somebody who is no longer a member goes nowhere.
//! 3. When the sender's idea of who is in the group (`phash`) is not ours, the ack says ours, and
//!    the client looks again.
//!
//! A device that could not decrypt asks for the message again and gets it encrypted for itself.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sha2::{Digest, Sha256};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, NodeContent, Server};

use super::{NOT_FORWARDED, ack};
use crate::clock::unix_seconds;
use crate::stanza::{
    attr, child, children, children_named, has_attr, jid_attr, text_attr, with_attr,
};
use crate::world::groups::{Addressing, Group};
use crate::world::queue::Class;
use crate::world::record::Accepted;
use crate::world::{DeviceAddress, World};

const NOT_AN_ADMIN: u16 = 401;
const NOT_A_MEMBER: u16 = 403;
const NO_GROUP: u16 = 404;
/// The sender addresses members by the other kind of address.
const STALE_ADDRESSING: u16 = 421;

/// Accepts one message to a group and gives the server's ack.
pub(super) fn accept(world: &mut World, sender: &DeviceAddress, message: &Node, to: &Jid) -> Node {
    if let Err(code) = check(world, sender, message, to) {
        return ack(message, Some(code));
    }
    let sent = match jid_attr(message, "participant") {
        Some(device) => resend(world, sender, message, (to, &device)),
        None => fan_out(world, sender, message, to),
    };
    if !sent {
        return ack(message, Some(400));
    }
    let entry =
        Accepted { id: text_attr(message, "id"), from: sender.phone.clone(), to: to.to_string() };
    world.record.accept(entry);
    world.touch();
    let answer = ack(message, None);
    let hash = world
        .groups
        .get(to.user.as_str())
        .map(|group| devices_hash(world, group.members.keys(), group.addressing.server()));
    match hash {
        Some(hash) if attr(message, "phash").is_some_and(|theirs| theirs != hash) => {
            with_attr(answer, "phash", hash)
        }
        _ => answer,
    }
}

fn check(world: &World, sender: &DeviceAddress, message: &Node, to: &Jid) -> Result<(), u16> {
    let group = world.groups.get(to.user.as_str()).ok_or(NO_GROUP)?;
    group.role(&sender.phone).ok_or(NOT_A_MEMBER)?;
    let stale = attr(message, "addressing_mode").is_some_and(|m| m != group.addressing.name());
    if stale {
        return Err(STALE_ADDRESSING);
    }
    // Everybody may react to an announcement.
    let speaks = !has_attr(message, "type", "reaction");
    if group.is_on("announcement") && speaks && !group.is_admin(&sender.phone) {
        return Err(NOT_AN_ADMIN);
    }
    Ok(())
}

fn fan_out(world: &mut World, sender: &DeviceAddress, message: &Node, to: &Jid) -> bool {
    let Some(group) = world.groups.get(to.user.as_str()) else { return false };
    let shared: Vec<Node> = children_named(message, "enc").cloned().collect();
    let mut keys: HashMap<DeviceAddress, Vec<Node>> = HashMap::new();
    for entry in child(message, "participants").map(children).unwrap_or_default() {
        let Some(device) = jid_attr(entry, "jid").and_then(|jid| world.address_of(&jid)) else {
            return false;
        };
        keys.insert(device, children_named(entry, "enc").cloned().collect());
    }
    if shared.is_empty() && keys.is_empty() {
        return false;
    }
    let stanza = envelope(world, sender, message, group);
    let members: Vec<String> = group.members.keys().cloned().collect();
    for member in members {
        for device in world.companions(&member) {
            let mut content = keys.remove(&device).unwrap_or_default();
            content.extend(shared.iter().cloned());
            if device != *sender && !content.is_empty() {
                deliver(world, &device, message, (stanza.clone(), content));
            }
        }
    }
    true
}

/// A message once more, for the one device that asked.
fn resend(
    world: &mut World,
    sender: &DeviceAddress,
    message: &Node,
    (to, device): (&Jid, &Jid),
) -> bool {
    let Some(group) = world.groups.get(to.user.as_str()) else { return false };
    let Some(target) = world.address_of(device) else { return false };
    let content: Vec<Node> = children_named(message, "enc").cloned().collect();
    if content.is_empty() {
        return false;
    }
    if group.role(&target.phone).is_some() {
        let stanza = envelope(world, sender, message, group);
        deliver(world, &target, message, (stanza, content));
    }
    true
}

/// What all receivers see alike.
fn envelope(world: &World, sender: &DeviceAddress, message: &Node, group: &Group) -> Node {
    let mut builder = NodeBuilder::new("message")
        .attr("from", group.jid())
        .attr("id", text_attr(message, "id"))
        .attr("type", text_attr(message, "type"))
        .attr("t", unix_seconds())
        .attr("addressing_mode", group.addressing.name());
    if let Some(account) = world.accounts.get(&sender.phone) {
        let other =
            if group.addressing == Addressing::Lid { "participant_pn" } else { "participant_lid" };
        builder = builder
            .attr("participant", account.jid(sender.device, group.addressing.server()))
            .attr(other, account.user_jid(group.addressing.other()))
            .attr("notify", account.profile.push_name.as_str());
    }
    if let Some(edit) = attr(message, "edit") {
        builder = builder.attr("edit", edit.into_owned());
    }
    builder.build()
}

/// One device's copy: its own ciphertexts before the shared one.
pub(super) fn deliver(
    world: &mut World,
    to: &DeviceAddress,
    message: &Node,
    (mut envelope, mut content): (Node, Vec<Node>),
) {
    let has_prekey = content.iter().any(|enc| has_attr(enc, "type", "pkmsg"));
    content.extend(child(message, "device-identity").filter(|_| has_prekey).cloned());
    let forwarded =
        children(message).iter().filter(|node| !NOT_FORWARDED.contains(&node.tag.as_ref()));
    content.extend(forwarded.cloned());
    envelope.content = Some(NodeContent::Nodes(content));
    world.deliver(to, Class::Message, envelope);
}

/// The hash over all devices of these people, phones included, by which client and server compare
/// whom a message must reach.
pub(super) fn devices_hash<'a>(
    world: &World,
    people: impl Iterator<Item = &'a String>,
    server: Server,
) -> String {
    let mut devices: Vec<String> = people
        .filter_map(|phone| world.accounts.get(phone))
        .flat_map(|account| {
            let ids = std::iter::once(0).chain(account.devices.keys().copied());
            ids.map(|id| account.jid(id, server))
                .map(|jid| format!("{}.0:{}@{}", jid.user, jid.device, jid.server))
        })
        .collect();
    devices.sort_unstable();
    let digest = Sha256::digest(devices.concat().as_bytes());
    format!("2:{}", STANDARD_NO_PAD.encode(&digest[..6]))
}
