//! Settings of an account and small questions: privacy, blocklist, about, pictures, media hosts.

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, Server};

use crate::notifications;
use crate::stanza::{child, error_of, has_attr, jid_attr, result_of};
use crate::world::{DeviceAddress, World};

pub(super) fn blocklist(world: &mut World, owner: &DeviceAddress, iq: &Node) -> Node {
    if super::is_set(iq) {
        let Some(item) = child(iq, "item") else { return error_of(iq, 400, "bad-request") };
        let target = jid_attr(item, "pn_jid").or_else(|| jid_attr(item, "jid"));
        let Some(phone) = target.and_then(|jid| world.phone_of(&jid)) else {
            return error_of(iq, 404, "item-not-found");
        };
        let block = has_attr(item, "action", "block");
        if let Some(account) = world.accounts.get_mut(&owner.phone) {
            if block {
                account.profile.blocked.insert(phone.clone());
            } else {
                account.profile.blocked.remove(&phone);
            }
        }
        let action = if block { "block" } else { "unblock" };
        notifications::blocklist_changed(world, owner, (&phone, action));
        world.touch();
    }
    let blocked = world.accounts.get(&owner.phone).map(|account| &account.profile.blocked);
    let items: Vec<Node> = blocked
        .into_iter()
        .flatten()
        .filter_map(|phone| world.accounts.get(phone))
        .map(|account| NodeBuilder::new("item").attr("jid", account.user_jid(Server::Lid)).build())
        .collect();
    let list = NodeBuilder::new("list").attr("dhash", format!("{}", items.len()));
    result_of(iq, [list.children(items).build()])
}

/// Where media go: this very port.
pub(super) fn media_connection(world: &mut World, owner: &DeviceAddress, iq: &Node) -> Node {
    let kinds = ["image", "video", "audio", "document", "sticker", "gif", "ptt"];
    let all = || kinds.map(|kind| NodeBuilder::new(kind).build());
    // The second host is the first again: a client that fails over continues there.
    let hosts = ["primary", "fallback"].map(|kind| {
        NodeBuilder::new("host")
            .attr("hostname", world.media_host.clone())
            .attr("type", kind)
            .children([
                NodeBuilder::new("upload").children(all()).build(),
                NodeBuilder::new("download").children(all()).build(),
            ])
            .build()
    });
    let connection = NodeBuilder::new("media_conn")
        .attr("auth", world.media.auth_for(&owner.phone))
        .attr("ttl", 300)
        .attr("auth_ttl", 21_600)
        .attr("max_buckets", 12)
        .children(hosts)
        .build();
    result_of(iq, [connection])
}
