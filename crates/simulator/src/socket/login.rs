//! Login: a linked device comes back.

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, Server};
use waproto::whatsapp::ClientPayload;

use super::mailbox::{Mailbox, SocketId};
use crate::clock::unix_seconds;
use crate::stanza::{conflict, stream_error};
use crate::world::device::Link;
use crate::world::faults::{Fault, FaultKind};
use crate::world::{DeviceAddress, World};

const LOGGED_OUT: u16 = 401;
const TEMPORARY_BAN: u16 = 402;

/// How a socket enters.
pub(super) enum Entry {
    /// A new client: this asks it to show codes.
    Registering(Node),
    LoggedIn(DeviceAddress, Node),
    Refused(Node),
    Cut,
}

/// The device that a login payload says it is.
pub(super) fn claimed_device(payload: &ClientPayload) -> Option<DeviceAddress> {
    let device = u16::try_from(payload.device?).ok()?;
    Some(DeviceAddress { phone: payload.username?.to_string(), device })
}

/// Lets a device in whose Noise key is the one it was linked with.
pub(super) fn log_in(
    world: &mut World,
    socket: SocketId,
    mailbox: &Mailbox,
    client_static: &[u8; 32],
    payload: &ClientPayload,
) -> Entry {
    let Some(address) = claimed_device(payload) else {
        return Entry::Refused(failure(LOGGED_OUT, None));
    };
    if world.faults.strike(FaultKind::Drop, &address.phone).is_some() {
        return Entry::Cut;
    }
    if let Some(fault) = world.faults.strike(FaultKind::RefuseLogin, &address.phone) {
        return Entry::Refused(failure(fault.code.unwrap_or(LOGGED_OUT), Some(&fault)));
    }
    let known = world.device(&address).is_some_and(|device| device.keys.noise == *client_static);
    if !known {
        return Entry::Refused(failure(LOGGED_OUT, None));
    }
    replace_link(world, &address, Link::new(socket, mailbox.clone()));
    let Some(account) = world.accounts.get(&address.phone) else {
        return Entry::Refused(failure(LOGGED_OUT, None));
    };
    let success = NodeBuilder::new("success")
        .attr("t", unix_seconds())
        .attr("props", "1")
        .attr("companion_enc_static", "")
        .attr("lid", account.jid(address.device, Server::Lid))
        .attr("location", "sim")
        .attr("creation", account.profile.created_at)
        .build();
    Entry::LoggedIn(address, success)
}

/// The new socket takes over. An older one that was in service is told; one that never asked for
/// its messages is a client's own earlier attempt, which it has given up already.
fn replace_link(world: &mut World, address: &DeviceAddress, link: Link) {
    let Some(device) = world.device_mut(address) else { return };
    let Some(old) = device.link.replace(link) else { return };
    if old.active {
        old.mailbox.post_last(stream_error(None, Some(conflict("replaced"))));
    } else {
        old.mailbox.cut();
    }
}

fn failure(reason: u16, fault: Option<&Fault>) -> Node {
    let mut builder = NodeBuilder::new("failure").attr("reason", reason).attr("location", "sim");
    if let Some((code, seconds)) = fault.and_then(|fault| fault.ban) {
        builder = builder.attr("code", code).attr("expire", seconds);
    } else if reason == TEMPORARY_BAN {
        builder = builder.attr("code", 101).attr("expire", 3600);
    }
    builder.build()
}
