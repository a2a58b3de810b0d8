//! Receipts: delivered, read, retry — from the receiving device back to who wrote.
//!
//! A receipt is also the receiver's confirmation that it has the message, so it ends that
//! message's delivery. A retry receipt does not: it says that the message was not understood, so
//! the sender encrypts again; what ends the delivery is the client's ack, which follows.

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, Server};

use crate::clock::unix_seconds;
use crate::newsletters;
use crate::socket::session::{not_understood, settle};
use crate::stanza::{attr, child, children, children_named, jid_attr, text_attr};
use crate::world::queue::{Ack, Class};
use crate::world::{DeviceAddress, World};

/// Accepts one receipt and gives the server's ack.
pub(crate) fn accept(world: &mut World, owner: &DeviceAddress, receipt: &Node) -> Node {
    let kind = text_attr(receipt, "type");
    let of_call = ["offer", "accept", "reject"].iter().any(|tag| child(receipt, tag).is_some());
    if of_call {
        let call = Ack { from: None, ..confirmed(receipt, Class::Call, text_attr(receipt, "id")) };
        settle(world, owner, &call, true);
        return ack(receipt);
    }
    confirm_messages(world, owner, receipt, &kind);
    route(world, owner, receipt, &kind);
    ack(receipt)
}

fn confirm_messages(world: &mut World, owner: &DeviceAddress, receipt: &Node, kind: &str) {
    let listed = child(receipt, "list").map(children).unwrap_or_default();
    let ids = std::iter::once(text_attr(receipt, "id"))
        .chain(listed.iter().map(|item| text_attr(item, "id")));
    for id in ids {
        let message = confirmed(receipt, Class::Message, id);
        if kind == "retry" {
            not_understood(world, owner, &message);
        } else {
            settle(world, owner, &message, true);
        }
    }
}

fn confirmed(receipt: &Node, class: Class, id: String) -> Ack {
    let text = |key| attr(receipt, key).map(std::borrow::Cow::into_owned);
    Ack { class, id, from: text("to"), participant: text("participant"), kind: None }
}

fn route(world: &mut World, owner: &DeviceAddress, receipt: &Node, kind: &str) {
    let Some(to) = jid_attr(receipt, "to") else { return };
    if to.server == Server::Newsletter {
        if kind == "view" {
            newsletters::viewed(world, owner, receipt, &to);
        }
        return;
    }
    if matches!(to.server, Server::Group | Server::Broadcast) {
        route_in_group(world, owner, receipt, kind);
        return;
    }
    let Some(target) = world.address_of(&to) else { return };
    let receivers = match kind {
        // The phone's own protocol messages: the phone is the network.
        "peer_msg" | "hist_sync" | "server-error" => return,
        "retry" => vec![target],
        "sender" | "read-self" | "played-self" => world.siblings(owner),
        _ if target.phone == owner.phone => world.siblings(owner),
        _ => world.companions(&target.phone),
    };
    let Some(account) = world.accounts.get(&owner.phone) else { return };
    let server = if to.server == Server::Lid { Server::Lid } else { Server::Pn };
    let by_user = matches!(kind, "read" | "played");
    let device = if by_user { 0 } else { owner.device };
    let mut builder = NodeBuilder::new("receipt")
        .attr("from", account.jid(device, server))
        .attr("id", text_attr(receipt, "id"))
        .attr("t", unix_seconds());
    // That the receiver's client was in the background is not the sender's business.
    if !kind.is_empty() && kind != "inactive" {
        builder = builder.attr("type", kind);
    }
    for key in ["participant", "recipient"] {
        if let Some(value) = jid_attr(receipt, key) {
            builder = builder.attr(key, value);
        }
    }
    forward(world, owner, receipt, (builder, receivers));
}

/// Of a message in a group or a status: `participant` says whose it was, and in the copy to its
/// author who has it.
fn route_in_group(world: &mut World, owner: &DeviceAddress, receipt: &Node, kind: &str) {
    let (Some(chat), Some(author)) = (jid_attr(receipt, "to"), jid_attr(receipt, "participant"))
    else {
        return;
    };
    let Some(target) = world.address_of(&author) else { return };
    let receivers = match kind {
        "retry" => vec![target],
        "sender" | "read-self" | "played-self" => world.siblings(owner),
        _ if target.phone == owner.phone => world.siblings(owner),
        // A phone shows all ticks on its linked devices too.
        _ if target.device == 0 || matches!(kind, "read" | "played") => {
            world.companions(&target.phone)
        }
        _ => vec![target],
    };
    let Some(account) = world.accounts.get(&owner.phone) else { return };
    let server = if author.server == Server::Lid { Server::Lid } else { Server::Pn };
    let device = if matches!(kind, "read" | "played") { 0 } else { owner.device };
    let mut builder = NodeBuilder::new("receipt")
        .attr("from", chat)
        .attr("id", text_attr(receipt, "id"))
        .attr("participant", account.jid(device, server))
        .attr("t", unix_seconds());
    if !kind.is_empty() && kind != "inactive" {
        builder = builder.attr("type", kind);
    }
    forward(world, owner, receipt, (builder, receivers));
}

/// Sends a receipt on with what it holds.
fn forward(
    world: &mut World,
    owner: &DeviceAddress,
    receipt: &Node,
    (mut builder, receivers): (NodeBuilder, Vec<DeviceAddress>),
) {
    let forwarded = ["list", "retry", "registration", "keys"]
        .into_iter()
        .flat_map(|tag| children_named(receipt, tag))
        .cloned();
    let mut forwarded = forwarded.peekable();
    if forwarded.peek().is_some() {
        builder = builder.children(forwarded);
    }
    let stanza = builder.build();
    for receiver in receivers {
        if receiver != *owner {
            world.deliver(&receiver, Class::Receipt, stanza.clone());
        }
    }
}

fn ack(receipt: &Node) -> Node {
    let mut builder = NodeBuilder::new("ack")
        .attr("class", "receipt")
        .attr("id", text_attr(receipt, "id"))
        .attr("t", unix_seconds());
    if let Some(to) = jid_attr(receipt, "to") {
        builder = builder.attr("from", to);
    }
    for key in ["type", "participant"] {
        if let Some(value) = attr(receipt, key) {
            builder = builder.attr(key, value.into_owned());
        }
    }
    builder.build()
}
