//! Status posts: encrypted like a group's messages, for the people whom the post itself names.
//!
//! `participants` names devices that get the key along and users that have it already. The
//! server takes no `addressing_mode` here, and tells people nothing of each other.

use std::collections::HashMap;

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, Server};

use super::{ack, group};
use crate::clock::unix_seconds;
use crate::stanza::{attr, child, children, children_named, has_attr, jid_attr, text_attr};
use crate::world::record::Accepted;
use crate::world::{DeviceAddress, World};

const MALFORMED: u16 = 400;
const INVALID: u16 = 479;

/// Accepts one post and gives the server's ack.
pub(super) fn accept(world: &mut World, sender: &DeviceAddress, message: &Node) -> Node {
    let is_reaction = has_attr(message, "type", "reaction");
    let privacy = child(message, "meta").is_some_and(|m| attr(m, "status_setting").is_some());
    if attr(message, "addressing_mode").is_some() || (is_reaction && privacy) {
        return ack(message, Some(INVALID));
    }
    let copies = match jid_attr(message, "participant") {
        Some(device) => resent(world, message, &device),
        None => read_copies(world, sender, message),
    };
    let Some(copies) = copies else { return ack(message, Some(MALFORMED)) };
    let stanza = envelope(world, sender, message);
    for (device, content) in copies {
        let hidden = world
            .accounts
            .get(&sender.phone)
            .is_none_or(|account| account.profile.blocked.contains(&device.phone));
        if device != *sender && !hidden {
            group::deliver(world, &device, message, (stanza.clone(), content));
        }
    }
    let entry = Accepted {
        id: text_attr(message, "id"),
        from: sender.phone.clone(),
        to: Jid::status_broadcast().to_string(),
    };
    world.record.accept(entry);
    world.touch();
    ack(message, None)
}

type Copies = Vec<(DeviceAddress, Vec<Node>)>;

/// Every device of everybody named, with its key if it brings one.
fn read_copies(world: &World, sender: &DeviceAddress, message: &Node) -> Option<Copies> {
    let named = child(message, "participants")?;
    let shared: Vec<Node> = children_named(message, "enc").cloned().collect();
    let mut keys: HashMap<DeviceAddress, Vec<Node>> = HashMap::new();
    let mut people: Vec<String> = Vec::new();
    for entry in children(named) {
        let device = world.address_of(&jid_attr(entry, "jid")?)?;
        if !people.contains(&device.phone) {
            people.push(device.phone.clone());
        }
        keys.entry(device).or_default().extend(children_named(entry, "enc").cloned());
    }
    // Status reaches people, never only oneself.
    if shared.is_empty() || people.iter().all(|phone| *phone == sender.phone) {
        return None;
    }
    let mut copies = Vec::new();
    for device in people.iter().flat_map(|phone| world.companions(phone)) {
        let mut content = keys.remove(&device).unwrap_or_default();
        content.extend(shared.iter().cloned());
        copies.push((device, content));
    }
    Some(copies)
}

/// A post once more, for the one device that asked.
fn resent(world: &World, message: &Node, device: &Jid) -> Option<Copies> {
    let content: Vec<Node> = children_named(message, "enc").cloned().collect();
    let device = world.address_of(device)?;
    (!content.is_empty()).then(|| vec![(device, content)])
}

fn envelope(world: &World, sender: &DeviceAddress, message: &Node) -> Node {
    let mut builder = NodeBuilder::new("message")
        .attr("from", Jid::status_broadcast())
        .attr("id", text_attr(message, "id"))
        .attr("type", text_attr(message, "type"))
        .attr("t", unix_seconds());
    if let Some(account) = world.accounts.get(&sender.phone) {
        builder = builder
            .attr("participant", account.jid(sender.device, Server::Lid))
            .attr("participant_pn", account.user_jid(Server::Pn))
            .attr("notify", account.profile.push_name.as_str());
    }
    if let Some(edit) = attr(message, "edit") {
        builder = builder.attr("edit", edit.into_owned());
    }
    builder.build()
}
