//! What the server tells devices on its own: changed device lists, app state, abouts.

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, Server};

use crate::clock::unix_seconds;
use crate::stanza::leaf;
use crate::world::queue::Class;
use crate::world::{DeviceAddress, World};

/// What happened to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Added,
    Removed,
}

/// Tells the account's other devices and everyone who knows the account.
pub(crate) fn devices_changed(
    world: &mut World,
    address: &DeviceAddress,
    key_index: u32,
    change: Change,
) {
    tell_siblings(world, address);
    let Some(account) = world.accounts.get(&address.phone) else { return };
    let now = unix_seconds();
    let device = NodeBuilder::new("device")
        .attr("jid", account.jid(address.device, Server::Pn))
        .attr("lid", account.jid(address.device, Server::Lid))
        .attr("key-index", key_index)
        .build();
    let (tag, indexes) = match change {
        Change::Added => ("add", account.signed_key_index_list(now)),
        Change::Removed => ("remove", Vec::new()),
    };
    let mut index_list = leaf("key-index-list", indexes);
    index_list.attrs.insert("ts", now);
    let operation = NodeBuilder::new(tag).children([device, index_list]).build();
    let (from, lid) = (account.user_jid(Server::Pn), account.user_jid(Server::Lid));
    let mut peers = account.peers.clone();
    peers.extend(world.co_members(&address.phone));
    let stanza = NodeBuilder::new("notification")
        .attr("from", from)
        .attr("lid", lid)
        .attr("type", "devices")
        .attr("id", world.stanza_id("devices"))
        .attr("t", now)
        .children([operation])
        .build();
    for peer in peers {
        for device in world.companions(&peer) {
            world.deliver(&device, Class::Notification, stanza.clone());
        }
    }
}

/// The account's own devices learn the whole list.
fn tell_siblings(world: &mut World, address: &DeviceAddress) {
    let Some(account) = world.accounts.get(&address.phone) else { return };
    let now = unix_seconds();
    let from = account.user_jid(Server::Pn);
    let mut list = vec![NodeBuilder::new("device").attr("jid", from.clone()).build()];
    for (id, device) in &account.devices {
        let jid = account.jid(*id, Server::Pn);
        list.push(
            NodeBuilder::new("device").attr("jid", jid).attr("key-index", device.key_index).build(),
        );
    }
    let mut index_list = leaf("key-index-list", account.signed_key_index_list(now));
    index_list.attrs.insert("ts", now);
    list.push(index_list);
    let devices = NodeBuilder::new("devices").attr("dhash", format!("2:{}", list.len()));
    let stanza = account_sync(world, &from, devices.children(list).build());
    for sibling in world.siblings(address) {
        world.deliver(&sibling, Class::Notification, stanza.clone());
    }
}

fn account_sync(world: &mut World, from: &wacore_binary::Jid, child: Node) -> Node {
    NodeBuilder::new("notification")
        .attr("from", from)
        .attr("type", "account_sync")
        .attr("id", world.stanza_id("account-sync"))
        .attr("t", unix_seconds())
        .children([child])
        .build()
}

/// The account's other devices learn whom it blocked or no longer blocks.
pub(crate) fn blocklist_changed(
    world: &mut World,
    owner: &DeviceAddress,
    (whom, action): (&str, &'static str),
) {
    let (Some(account), Some(other)) = (world.accounts.get(&owner.phone), world.accounts.get(whom))
    else {
        return;
    };
    let item = NodeBuilder::new("item")
        .attr("action", action)
        .attr("jid", other.user_jid(Server::Lid))
        .attr("pn_jid", other.user_jid(Server::Pn))
        .build();
    let from = account.user_jid(Server::Pn);
    let stanza = account_sync(world, &from, NodeBuilder::new("blocklist").children([item]).build());
    for sibling in world.siblings(owner) {
        world.deliver(&sibling, Class::Notification, stanza.clone());
    }
}

/// The account's other devices learn that collections grew.
pub(crate) fn app_state_changed(
    world: &mut World,
    owner: &DeviceAddress,
    changed: &[(String, u64)],
) {
    let collections = changed.iter().map(|(name, version)| {
        NodeBuilder::new("collection").attr("name", name).attr("version", *version).build()
    });
    let Some(account) = world.accounts.get(&owner.phone) else { return };
    let stanza = NodeBuilder::new("notification")
        .attr("from", account.user_jid(Server::Pn))
        .attr("type", "server_sync")
        .attr("t", unix_seconds())
        .children(collections)
        .build();
    for sibling in world.siblings(owner) {
        let id = world.stanza_id("server-sync");
        let stanza = crate::stanza::with_attr(stanza.clone(), "id", id);
        world.deliver(&sibling, Class::Notification, stanza);
    }
}

/// Everyone who knows the account, and its own devices, learn its new about.
pub(crate) fn about_changed(world: &mut World, phone: &str, text: &str) {
    tell_acquainted(world, phone, "status", leaf("set", text.as_bytes()));
}

/// Everyone who knows the account, and its own devices, learn of its new picture or that there is
/// none any more.
pub(crate) fn picture_changed(world: &mut World, phone: &str, id: Option<&str>) {
    let Some(account) = world.accounts.get(phone) else { return };
    let jid = account.user_jid(Server::Pn);
    let change = match id {
        Some(id) => NodeBuilder::new("set").attr("jid", jid.clone()).attr("id", id),
        None => NodeBuilder::new("delete").attr("jid", jid.clone()),
    };
    tell_acquainted(world, phone, "picture", change.attr("author", jid).build());
}

/// Everyone who knows the account learns that its phone has a new identity key.
pub(crate) fn identity_changed(world: &mut World, phone: &str) {
    tell_acquainted(world, phone, "encrypt", NodeBuilder::new("identity").build());
}

fn tell_acquainted(world: &mut World, phone: &str, kind: &'static str, change: Node) {
    let Some(account) = world.accounts.get(phone) else { return };
    let mut told: Vec<String> = account.peers.iter().cloned().collect();
    told.push(phone.to_owned());
    let from = account.user_jid(Server::Pn);
    let stanza = NodeBuilder::new("notification")
        .attr("from", from)
        .attr("type", kind)
        .attr("id", world.stanza_id(kind))
        .attr("t", unix_seconds())
        .children([change])
        .build();
    for peer in told {
        for device in world.companions(&peer) {
            world.deliver(&device, Class::Notification, stanza.clone());
        }
    }
}
