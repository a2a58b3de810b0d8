//! How a group looks on the wire, in answers and in notifications alike.

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, Server};

use crate::stanza::leaf;
use crate::world::World;
use crate::world::groups::{Group, Place, Role};

/// `<group>` with everything in it.
pub(crate) fn group(world: &World, group: &Group) -> Node {
    of(world, group, "group")
}

/// The same as `<community>`.
pub(super) fn community(world: &World, group: &Group) -> Node {
    of(world, group, "community")
}

fn of(world: &World, group: &Group, tag: &'static str) -> Node {
    let mut builder = NodeBuilder::new(tag)
        .attr("id", group.id.as_str())
        .attr("addressing_mode", group.addressing.name())
        .attr("subject", group.subject.as_str())
        .attr("s_t", group.subject_at)
        .attr("creation", group.created_at)
        .attr("size", group.members.len());
    if let Some(owner) = address(world, group, &group.subject_by) {
        builder = builder.attr("s_o", owner);
    }
    if let Some(creator) = address(world, group, &group.creator) {
        builder = builder.attr("creator", creator);
    }
    if let Some(account) = world.accounts.get(&group.creator) {
        builder = builder.attr("creator_pn", account.user_jid(Server::Pn));
    }
    let members = group.members.iter();
    let mut content: Vec<Node> =
        members.filter_map(|(phone, role)| participant(world, group, phone, *role)).collect();
    content.extend(description(world, group));
    content.extend(settings(group));
    content.extend(place(group));
    builder.children(content).build()
}

/// A member's address in a group.
pub(super) fn address(world: &World, group: &Group, phone: &str) -> Option<Jid> {
    Some(world.accounts.get(phone)?.user_jid(group.addressing.server()))
}

/// `<participant>` under both addresses.
pub(super) fn participant(world: &World, group: &Group, phone: &str, role: Role) -> Option<Node> {
    let account = world.accounts.get(phone)?;
    let other = if group.addressing.other() == Server::Pn { "phone_number" } else { "lid" };
    let mut builder = NodeBuilder::new("participant")
        .attr("jid", account.user_jid(group.addressing.server()))
        .attr(other, account.user_jid(group.addressing.other()));
    if let Some(name) = role.name() {
        builder = builder.attr("type", name);
    }
    Some(builder.build())
}

fn description(world: &World, group: &Group) -> Option<Node> {
    let description = group.description.as_ref()?;
    let mut builder = NodeBuilder::new("description")
        .attr("id", description.id.as_str())
        .attr("t", description.at);
    if let Some(by) = address(world, group, &description.by) {
        builder = builder.attr("participant", by);
    }
    Some(builder.children([leaf("body", description.text.as_bytes())]).build())
}

fn settings(group: &Group) -> Vec<Node> {
    let switches = group.switches.iter().map(|tag| NodeBuilder::new_dynamic(tag.clone()).build());
    let modes = group.modes.iter().map(|(tag, mode)| {
        NodeBuilder::new_dynamic(tag.clone()).string_content(mode.as_str()).build()
    });
    let mut nodes: Vec<Node> = switches.chain(modes).collect();
    if let Some(ephemeral) = group.ephemeral {
        let mut node = NodeBuilder::new("ephemeral").attr("expiration", ephemeral.expiration);
        if let Some(trigger) = ephemeral.trigger {
            node = node.attr("trigger", trigger);
        }
        nodes.push(node.build());
    }
    if group.approval {
        nodes.push(approval(true));
    }
    nodes
}

/// `<membership_approval_mode>`.
pub(super) fn approval(on: bool) -> Node {
    let state = if on { "on" } else { "off" };
    let join = NodeBuilder::new("group_join").attr("state", state).build();
    NodeBuilder::new("membership_approval_mode").children([join]).build()
}

fn place(group: &Group) -> Vec<Node> {
    match &group.place {
        Place::Alone => Vec::new(),
        Place::Community { closed } => {
            let mut parent = NodeBuilder::new("parent");
            if *closed {
                parent = parent.attr("default_membership_approval_mode", "request_required");
            }
            vec![parent.build()]
        }
        Place::Subgroup { parent, default, general } => {
            let parent = Jid::group(parent.as_str());
            let mut nodes = vec![NodeBuilder::new("linked_parent").attr("jid", parent).build()];
            if *default {
                nodes.push(NodeBuilder::new("default_sub_group").build());
            }
            if *general {
                nodes.push(NodeBuilder::new("general_chat").build());
            }
            nodes
        }
    }
}

/// Whether it is a community's general chat.
pub(crate) fn is_general(group: &Group) -> bool {
    matches!(group.place, Place::Subgroup { general: true, .. })
}
