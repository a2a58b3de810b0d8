//! Settings of an account and small questions: privacy, blocklist, about, pictures, media hosts.

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, Server};

use crate::clock::unix_seconds;
use crate::notifications;
use crate::stanza::{
    attr, child, children_named, error_node, error_of, has_attr, jid_attr, leaf, result_of,
    text_attr, text_of,
};
use crate::world::queue::Class;
use crate::world::{DeviceAddress, World};

/// What a fresh account allows.
const PRIVACY_DEFAULTS: [(&str, &str); 8] = [
    ("last", "all"),
    ("online", "all"),
    ("profile", "all"),
    ("status", "all"),
    ("readreceipts", "all"),
    ("groupadd", "all"),
    ("calladd", "all"),
    ("messages", "all"),
];

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
                account.profile.blocked.insert(phone);
            } else {
                account.profile.blocked.remove(&phone);
            }
        }
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

pub(super) fn privacy(world: &mut World, owner: &DeviceAddress, iq: &Node) -> Node {
    if let Some(tokens) = child(iq, "tokens") {
        return trust(world, owner, iq, tokens);
    }
    let Some(account) = world.accounts.get_mut(&owner.phone) else {
        return error_of(iq, 404, "item-not-found");
    };
    let changes = child(iq, "privacy").filter(|_| super::is_set(iq));
    let mut answered = Vec::new();
    if let Some(changes) = changes {
        for category in children_named(changes, "category") {
            let (name, value) = (text_attr(category, "name"), text_attr(category, "value"));
            answered.push((name.clone(), value.clone()));
            account.profile.privacy.insert(name, value);
        }
        world.touch();
    } else {
        for (name, default) in PRIVACY_DEFAULTS {
            let set = account.profile.privacy.get(name).cloned();
            answered.push((name.to_owned(), set.unwrap_or_else(|| default.to_owned())));
        }
    }
    let categories = answered.into_iter().map(|(name, value)| {
        NodeBuilder::new("category").attr("name", name).attr("value", value).build()
    });
    result_of(iq, [NodeBuilder::new("privacy").children(categories).build()])
}

/// The account trusts others with a token, which their devices are told.
fn trust(world: &mut World, owner: &DeviceAddress, iq: &Node, tokens: &Node) -> Node {
    for token in children_named(tokens, "token") {
        let Some(phone) = jid_attr(token, "jid").and_then(|jid| world.phone_of(&jid)) else {
            continue;
        };
        let given_at = attr(token, "t").map_or_else(|| unix_seconds().to_string(), Into::into);
        let secret = world.next_bytes("trusted-contact-token");
        let Some(account) = world.accounts.get(&owner.phone) else { continue };
        let (from, lid) = (account.user_jid(Server::Pn), account.user_jid(Server::Lid));
        let mut token = leaf("token", secret);
        token.attrs.insert("type", "trusted_contact");
        token.attrs.insert("t", given_at);
        let stanza = NodeBuilder::new("notification")
            .attr("from", from)
            .attr("sender_lid", lid)
            .attr("type", "privacy_token")
            .attr("id", world.stanza_id("privacy-token"))
            .attr("t", unix_seconds())
            .children([NodeBuilder::new("tokens").children([token]).build()])
            .build();
        for device in world.companions(&phone) {
            world.deliver(&device, Class::Notification, stanza.clone());
        }
    }
    result_of(iq, [])
}

pub(super) fn about(world: &mut World, owner: &DeviceAddress, iq: &Node) -> Node {
    let text = child(iq, "status").and_then(text_of).unwrap_or_default();
    if let Some(account) = world.accounts.get_mut(&owner.phone) {
        account.profile.about.clone_from(&text);
        account.profile.about_at = unix_seconds();
    }
    world.touch();
    notifications::about_changed(world, owner, &text);
    result_of(iq, [])
}

/// Nobody has a picture yet.
pub(super) fn picture(iq: &Node) -> Node {
    if super::is_set(iq) {
        return error_of(iq, 501, "feature-not-implemented");
    }
    let missing = [error_node(404, "item-not-found")];
    result_of(iq, [NodeBuilder::new("picture").children(missing).build()])
}

/// No account is a business.
pub(super) fn business_profile(iq: &Node) -> Node {
    result_of(iq, [NodeBuilder::new("business_profile").build()])
}

/// Where media go: this very port.
pub(super) fn media_connection(world: &World, iq: &Node) -> Node {
    let kinds = ["image", "video", "audio", "document", "sticker", "gif", "ptt"];
    let all = || kinds.map(|kind| NodeBuilder::new(kind).build());
    let host = NodeBuilder::new("host")
        .attr("hostname", world.media_host.clone())
        .attr("type", "primary")
        .children([
            NodeBuilder::new("upload").children(all()).build(),
            NodeBuilder::new("download").children(all()).build(),
        ])
        .build();
    let connection = NodeBuilder::new("media_conn")
        .attr("auth", "simulated")
        .attr("ttl", 300)
        .attr("auth_ttl", 21_600)
        .attr("max_buckets", 12)
        .children([host])
        .build();
    result_of(iq, [connection])
}
