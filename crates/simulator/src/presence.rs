//! Presence and chat states: who is there, who is typing.
//!
//! For peers presence is the account's: present while any device is available. What they see of
//! it, and when somebody was last there, follows the account's privacy.

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, Server};

use crate::clock::unix_seconds;
use crate::privacy;
use crate::socket::mailbox::SocketId;
use crate::stanza::{attr, children, jid_attr, text_attr};
use crate::trust;
use crate::world::queue::Class;
use crate::world::{DeviceAddress, World};

/// A client's `<presence>`: its own state, its push name, or a subscription.
pub(crate) fn update(world: &mut World, owner: &DeviceAddress, stanza: &Node) {
    if let Some(name) = attr(stanza, "name").filter(|name| !name.is_empty())
        && let Some(account) = world.accounts.get_mut(&owner.phone)
        && account.profile.push_name != name
    {
        account.profile.push_name = name.into_owned();
        world.touch();
    }
    match text_attr(stanza, "type").as_str() {
        "subscribe" => subscribe(world, owner, stanza),
        "unsubscribe" => {
            if let Some(phone) = target(world, stanza)
                && let Some(subscribers) = world.presence_subscribers.get_mut(&phone)
            {
                subscribers.remove(owner);
            }
        }
        "unavailable" => set_available(world, owner, false),
        // A bare presence only tells the name.
        "available" => set_available(world, owner, true),
        _ => {}
    }
}

fn target(world: &World, stanza: &Node) -> Option<String> {
    world.phone_of(&jid_attr(stanza, "to")?)
}

fn subscribe(world: &mut World, owner: &DeviceAddress, stanza: &Node) {
    let Some(phone) = target(world, stanza) else { return };
    if trust::is_hidden(world, &owner.phone, &phone, stanza) {
        // To strangers and blocked people a presence is silence.
        return;
    }
    world.presence_subscribers.entry(phone.clone()).or_default().insert(owner.clone());
    let server = jid_attr(stanza, "to").map_or(Server::Pn, |jid| jid.server);
    // Who may not see it hears nothing, as if nobody were there.
    if privacy::reveals(world, &phone, &owner.phone, "online", stanza)
        && let Some(current) = presence_of(world, &phone, &owner.phone, server)
    {
        world.deliver(owner, Class::Presence, current);
    }
}

fn set_available(world: &mut World, owner: &DeviceAddress, available: bool) {
    let before = is_available(world, &owner.phone);
    if let Some(link) = world.device_mut(owner).and_then(|device| device.link.as_mut()) {
        link.available = available;
    }
    announce_if_changed(world, &owner.phone, before);
}

fn announce_if_changed(world: &mut World, phone: &str, before: bool) {
    if is_available(world, phone) == before {
        return;
    }
    if before && let Some(account) = world.accounts.get_mut(phone) {
        account.profile.last_seen = unix_seconds();
        world.touch();
    }
    let subscribers: Vec<DeviceAddress> =
        world.presence_subscribers.get(phone).into_iter().flatten().cloned().collect();
    let subscribers: Vec<DeviceAddress> = subscribers
        .into_iter()
        .filter(|subscriber| !trust::is_blocked(world, &subscriber.phone, phone))
        .collect();
    for subscriber in subscribers {
        if privacy::allows(world, phone, &subscriber.phone, "online")
            && let Some(stanza) = presence_of(world, phone, &subscriber.phone, Server::Pn)
        {
            world.deliver(&subscriber, Class::Presence, stanza);
        }
    }
}

/// Whether any device of the account is available.
pub(crate) fn is_available(world: &World, phone: &str) -> bool {
    world.accounts.get(phone).is_some_and(|account| {
        account.devices.values().filter_map(|device| device.link.as_ref()).any(|l| l.available)
    })
}

/// An account's presence as another account sees it.
fn presence_of(world: &World, phone: &str, asker: &str, server: Server) -> Option<Node> {
    let account = world.accounts.get(phone)?;
    let mut builder = NodeBuilder::new("presence").attr("from", account.user_jid(server));
    if !is_available(world, phone) {
        let last_seen = account.profile.last_seen;
        let last = match privacy::allows(world, phone, asker, "last") {
            false => "deny".to_owned(),
            true if last_seen == 0 => "none".to_owned(),
            true => last_seen.to_string(),
        };
        builder = builder.attr("type", "unavailable").attr("last", last);
    }
    Some(builder.build())
}

/// A client is typing to somebody; only devices that are there now hear it.
pub(crate) fn chat_state(world: &mut World, owner: &DeviceAddress, stanza: &Node) {
    let Some(to) = jid_attr(stanza, "to") else { return };
    if to.server == Server::Group {
        chat_state_in_group(world, owner, stanza, &to);
        return;
    }
    let Some(phone) = world.phone_of(&to) else { return };
    let Some(account) = world.accounts.get(&owner.phone) else { return };
    let blocked =
        |other: &crate::world::account::Account| other.profile.blocked.contains(&owner.phone);
    if world.accounts.get(&phone).is_some_and(blocked) {
        return;
    }
    let server = if to.server == Server::Lid { Server::Lid } else { Server::Pn };
    let forwarded = NodeBuilder::new("chatstate")
        .attr("from", account.user_jid(server))
        .children(children(stanza).iter().cloned())
        .build();
    for device in world.companions(&phone) {
        world.deliver(&device, Class::ChatState, forwarded.clone());
    }
}

/// All other members see who is typing.
fn chat_state_in_group(world: &mut World, owner: &DeviceAddress, stanza: &Node, to: &Jid) {
    let Some(group) = world.groups.get(to.user.as_str()) else { return };
    let Some(account) = world.accounts.get(&owner.phone) else { return };
    if group.role(&owner.phone).is_none() {
        return;
    }
    let forwarded = NodeBuilder::new("chatstate")
        .attr("from", group.jid())
        .attr("participant", account.user_jid(group.addressing.server()))
        .children(children(stanza).iter().cloned())
        .build();
    let others: Vec<String> =
        group.members.keys().filter(|phone| **phone != owner.phone).cloned().collect();
    let devices: Vec<DeviceAddress> =
        others.iter().flat_map(|phone| world.companions(phone)).collect();
    for device in devices {
        world.deliver(&device, Class::ChatState, forwarded.clone());
    }
}

/// A socket ended: its device is no longer there, unless another socket took over.
pub(crate) fn disconnected(world: &mut World, owner: &DeviceAddress, socket: SocketId) {
    let before = is_available(world, &owner.phone);
    let Some(device) = world.device_mut(owner) else { return };
    if device.link.as_ref().is_some_and(|link| link.socket == socket) {
        device.link = None;
        announce_if_changed(world, &owner.phone, before);
    }
}
