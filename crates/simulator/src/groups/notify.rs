//! `w:gp2` notifications: all devices of all members hear of every change, absent ones later.

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, Server};

use crate::clock::unix_seconds;
use crate::world::World;
use crate::world::groups::{Addressing, Group};
use crate::world::queue::Class;

/// Tells the members of a group, and others whom the change concerns, what somebody did.
pub(super) fn tell(world: &mut World, id: &str, actor: &str, actions: &[Node], others: &[String]) {
    let Some(group) = world.groups.get(id) else { return };
    let mut receivers: Vec<String> = group.members.keys().cloned().collect();
    receivers.extend(others.iter().filter(|phone| group.role(phone).is_none()).cloned());
    let stanza = notification(world, group, actor, actions);
    send(world, &receivers, &stanza);
    world.touch();
}

/// Tells some only: admins of a request, or a member of the group that it entered.
pub(super) fn tell_some(world: &mut World, id: &str, actor: &str, action: Node, to: &[String]) {
    let Some(group) = world.groups.get(id) else { return };
    let stanza = notification(world, group, actor, &[action]);
    send(world, to, &stanza);
}

/// The stanza without its id.
pub(super) fn notification(world: &World, group: &Group, actor: &str, actions: &[Node]) -> Node {
    let mut builder = NodeBuilder::new("notification")
        .attr("from", group.jid())
        .attr("type", "w:gp2")
        .attr("t", unix_seconds())
        .attr("addressing_mode", group.addressing.name());
    if let Some(account) = world.accounts.get(actor) {
        builder = builder
            .attr("participant", account.user_jid(group.addressing.server()))
            .attr("notify", account.profile.push_name.as_str());
        if group.addressing == Addressing::Lid {
            builder = builder.attr("participant_pn", account.user_jid(Server::Pn));
        }
    }
    builder.children(actions.iter().cloned()).build()
}

pub(super) fn send(world: &mut World, phones: &[String], stanza: &Node) {
    let id = world.stanza_id("group-notification");
    let stanza = crate::stanza::with_attr(stanza.clone(), "id", id);
    for phone in phones {
        for device in world.companions(phone) {
            world.deliver(&device, Class::Notification, stanza.clone());
        }
    }
}
