//! Messages: accepted from one device, fanned out to the devices they were encrypted for.
//!
//! 1. The sender addresses a chat and brings one ciphertext per receiving device: all of the
//!    recipient's and its own others.
//! 2. Each of them that is a linked device gets its own stanza into its queue; what is meant for
//!    a phone ends here, since the network plays the phones.
//! 3. Only then is the sender acked, and the record says accepted. When it left a device out, the ack
//!    has our hash over all of them, and the client looks again.
//!
//! A message that is not delivered is answered by an ack with an error: 404 unknown recipient,
//! 400 malformed or signed for another device, 403 not for this one, or whatever a fault asked for.

mod group;
mod status;

use std::collections::BTreeSet;

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, JidExt, Node, Server};

use crate::clock::unix_seconds;
use crate::stanza::{
    attr, bytes_of, child, children, children_named, has_attr, jid_attr, text_attr, with_attr,
};
use crate::world::faults::FaultKind;
use crate::world::queue::Class;
use crate::world::record::Accepted;
use crate::world::stats::Stats;
use crate::world::{DeviceAddress, World};
use crate::{newsletters, trust};

/// The recipient takes no first message without a token.
const RESTRICTED: u16 = 463;

/// Children that are for the server or handled apart; all others reach the recipients unchanged.
const NOT_FORWARDED: [&str; 6] =
    ["participants", "enc", "device-identity", "tctoken", "cstoken", "reporting"];

/// Accepts one message and gives the server's ack.
pub(crate) fn accept(world: &mut World, sender: &DeviceAddress, message: &Node) -> Node {
    let Some(to) = jid_attr(message, "to") else { return ack(message, Some(400)) };
    if text_attr(message, "id").is_empty() {
        return ack(message, Some(400));
    }
    if !shows_own_identity(world, sender, message) {
        Stats::count(&mut world.stats.refused, "device-identity".to_owned());
        return ack(message, Some(400));
    }
    let fault = world.faults.strike(FaultKind::Nack, &sender.phone);
    if let Some(fault) = fault {
        return ack(message, Some(fault.code.unwrap_or(479)));
    }
    match to.server {
        Server::Pn | Server::Lid | Server::Legacy => direct(world, sender, message, &to),
        Server::Group => group::accept(world, sender, message, &to),
        Server::Broadcast if to.is_status_broadcast() => status::accept(world, sender, message),
        Server::Newsletter => newsletters::accept(world, sender, message, &to),
        _ => ack(message, Some(404)),
    }
}

/// Whether the signed identity that a message brings, if any, is that of the device it comes from.
fn shows_own_identity(world: &World, sender: &DeviceAddress, message: &Node) -> bool {
    let Some(shown) = child(message, "device-identity") else { return true };
    let shown = bytes_of(shown).unwrap_or_default();
    world.device(sender).is_some_and(|device| device.keys.is_identity(shown))
}

/// A message to one person.
fn direct(world: &mut World, sender: &DeviceAddress, message: &Node, to: &Jid) -> Node {
    let Some(recipient) = world.phone_of(to) else { return ack(message, Some(404)) };
    let is_peer = has_attr(message, "category", "peer");
    // A bare `enc` repeats a message that was accepted before.
    let first = child(message, "participants").is_some();
    if first && !is_peer && !trust::may_approach(world, &sender.phone, &recipient, message) {
        return ack(message, Some(RESTRICTED));
    }
    let blocked = world
        .accounts
        .get(&recipient)
        .is_some_and(|account| account.profile.blocked.contains(&sender.phone));
    let copies = read_copies(world, message, to);
    let Some(copies) = copies.filter(|copies| {
        copies.iter().all(|copy| copy.to.phone == recipient || copy.to.phone == sender.phone)
    }) else {
        return ack(message, Some(400));
    };
    let whole = if first && !is_peer { whole(world, sender, to, &copies) } else { None };
    world.acquaint(&sender.phone, &recipient);
    trust::note_written(world, &sender.phone, &recipient);
    for copy in copies {
        let own = copy.to.phone == sender.phone;
        if copy.to != *sender && (own || !blocked) {
            deliver_copy(world, sender, message, to, &copy);
        }
    }
    if !is_peer {
        let id = text_attr(message, "id");
        let entry = Accepted { id, from: sender.phone.clone(), to: recipient };
        world.record.accept(entry);
    }
    world.touch();
    match whole {
        Some(hash) => with_attr(ack(message, None), "phash", hash),
        None => ack(message, None),
    }
}

/// The hash over all devices of both sides, when a message is not for all of them.
fn whole(world: &World, sender: &DeviceAddress, to: &Jid, copies: &[Copy<'_>]) -> Option<String> {
    let people = BTreeSet::from([sender.phone.clone(), world.phone_of(to)?]);
    let reached = |address: &DeviceAddress| {
        address == sender || copies.iter().any(|copy| copy.to == *address)
    };
    let missed = people
        .iter()
        .flat_map(|phone| world.companions(phone))
        .any(|address| !reached(&address) && world.device(&address).is_some_and(|d| d.welcomed));
    let server = if to.server == Server::Lid { Server::Lid } else { Server::Pn };
    missed.then(|| group::devices_hash(world, people.iter(), server))
}

/// A ciphertext and the device it is for.
struct Copy<'a> {
    to: DeviceAddress,
    enc: Vec<&'a Node>,
}

/// All ciphertexts of a message; `None` when one is for nobody.
fn read_copies<'a>(world: &World, message: &'a Node, to: &Jid) -> Option<Vec<Copy<'a>>> {
    let Some(participants) = child(message, "participants") else {
        let enc: Vec<&Node> = children_named(message, "enc").collect();
        let address = world.address_of(to)?;
        return (!enc.is_empty()).then(|| vec![Copy { to: address, enc }]);
    };
    children_named(participants, "to")
        .map(|entry| {
            let address = world.address_of(&jid_attr(entry, "jid")?)?;
            Some(Copy { to: address, enc: children_named(entry, "enc").collect() })
        })
        .collect()
}

fn deliver_copy(
    world: &mut World,
    sender: &DeviceAddress,
    message: &Node,
    chat: &Jid,
    copy: &Copy<'_>,
) {
    if copy.to.device == 0 {
        if let Some(account) = world.accounts.get_mut(&copy.to.phone) {
            let encs = copy.enc.iter().map(|enc| (*enc).clone()).collect();
            account.mail.put(sender, text_attr(message, "id"), encs);
        }
        return;
    }
    let is_peer = has_attr(message, "category", "peer");
    let own = copy.to.phone == sender.phone;
    let Some(account) = world.accounts.get(&sender.phone) else { return };
    // A sibling answers a peer message at the address it sees, which must be the LID.
    let server =
        if chat.server == Server::Lid || (own && is_peer) { Server::Lid } else { Server::Pn };
    let other = if server == Server::Lid { Server::Pn } else { Server::Lid };
    let other_name = if server == Server::Lid { "sender_pn" } else { "sender_lid" };
    let mut builder = NodeBuilder::new("message")
        .attr("from", account.jid(sender.device, server))
        .attr("id", text_attr(message, "id"))
        .attr("type", text_attr(message, "type"))
        .attr("t", unix_seconds())
        .attr("notify", account.profile.push_name.as_str())
        .attr(other_name, account.user_jid(other));
    for key in ["category", "edit", "push_priority"] {
        if let Some(value) = attr(message, key) {
            builder = builder.attr(key, value.into_owned());
        }
    }
    if own && !is_peer {
        let recipient = jid_attr(message, "recipient").unwrap_or_else(|| chat.to_non_ad());
        builder = builder.attr("recipient", recipient);
    }
    let has_prekey = copy.enc.iter().any(|enc| has_attr(enc, "type", "pkmsg"));
    let mut content: Vec<Node> = copy.enc.iter().map(|enc| (*enc).clone()).collect();
    content.extend(child(message, "device-identity").filter(|_| has_prekey).cloned());
    let forwarded =
        children(message).iter().filter(|node| !NOT_FORWARDED.contains(&node.tag.as_ref()));
    content.extend(forwarded.cloned());
    let stanza = builder.children(content).build();
    world.deliver(&copy.to, Class::Message, stanza);
}

/// `<ack class="message">`, with an error when the message is not delivered.
pub(crate) fn ack(message: &Node, error: Option<u16>) -> Node {
    let mut builder = NodeBuilder::new("ack")
        .attr("class", "message")
        .attr("id", text_attr(message, "id"))
        .attr("t", unix_seconds());
    if let Some(to) = jid_attr(message, "to") {
        builder = builder.attr("from", to);
    }
    if let Some(code) = error {
        builder = builder.attr("error", code);
    }
    builder.build()
}
