//! The default timer of new chats: set by one device, told to the others.

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, Server};

use crate::clock::unix_seconds;
use crate::stanza::{attr, child, error_of, result_of};
use crate::world::queue::Class;
use crate::world::{DeviceAddress, World};

pub(super) fn set(world: &mut World, owner: &DeviceAddress, iq: &Node) -> Node {
    let duration = child(iq, "disappearing_mode")
        .and_then(|mode| attr(mode, "duration"))
        .and_then(|duration| duration.parse::<u32>().ok());
    let Some(duration) = duration else { return error_of(iq, 400, "bad-request") };
    let now = unix_seconds();
    let Some(account) = world.accounts.get_mut(&owner.phone) else {
        return error_of(iq, 404, "item-not-found");
    };
    account.profile.disappearing = (duration, now);
    let peers: Vec<String> = account.peers.iter().cloned().collect();
    let from = account.user_jid(Server::Pn);
    let mode = NodeBuilder::new("disappearing_mode").attr("duration", duration).attr("t", now);
    let stanza = NodeBuilder::new("notification")
        .attr("from", from)
        .attr("type", "disappearing_mode")
        .attr("id", world.stanza_id("disappearing-mode"))
        .attr("t", now)
        .children([mode.build()])
        .build();
    let mut receivers = world.siblings(owner);
    receivers.extend(peers.iter().flat_map(|peer| world.companions(peer)));
    for device in receivers {
        world.deliver(&device, Class::Notification, stanza.clone());
    }
    world.touch();
    result_of(iq, [])
}
