//! Communities: groups of groups.
//!
//! Who is in a subgroup is in the community and in its announcement group too. Leaving the
//! community leaves all of it; a community that ends lets its groups live on alone.

use std::collections::BTreeSet;

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};

use super::{
    BAD_REQUEST, FORBIDDEN, NOT_FOUND, Outcome, Refusal, as_admin, create, invites, is_true,
    members, node, notify,
};
use crate::stanza::{child, children_named, jid_attr};
use crate::world::World;
use crate::world::groups::{Group, Place, Role};

/// A new community gets its announcement group, and a general chat when asked for.
pub(super) fn furnish(world: &mut World, actor: &str, id: &str, general: bool) {
    let Some(subject) = world.groups.get(id).map(|group| group.subject.clone()) else { return };
    let place = |default| Place::Subgroup { parent: id.to_owned(), default, general: !default };
    let announcements = world.new_group(actor, &subject, place(true));
    if let Some(group) = world.groups.get_mut(&announcements) {
        group.switches.insert("announcement".to_owned());
    }
    create::announce(world, actor, &announcements);
    if general {
        let chat = world.new_group(actor, "General", place(false));
        create::announce(world, actor, &chat);
    }
}

/// Everybody in a subgroup is in the community and its announcement group.
pub(super) fn settle_in(world: &mut World, actor: &str, id: &str, parent: &str) {
    let Some(group) = world.groups.get(id) else { return };
    let people: Vec<String> = group.members.keys().cloned().collect();
    let announcements =
        world.subgroups(parent).into_iter().find(|id| world.groups[id].is_default_subgroup());
    for target in announcements.into_iter().chain([parent.to_owned()]) {
        let Some(group) = world.groups.get(&target) else { continue };
        let new: Vec<String> =
            people.iter().filter(|phone| group.role(phone).is_none()).cloned().collect();
        for phone in &new {
            members::enter(world, &target, phone);
        }
        members::tell_of(world, actor, &target, "add", &new);
    }
}

fn as_community<'a>(world: &'a World, actor: &str, id: &str) -> Result<&'a Group, Refusal> {
    let group = world.groups.get(id).filter(|group| group.is_community()).ok_or(NOT_FOUND)?;
    if group.role(actor).is_none() {
        return Err(FORBIDDEN);
    }
    Ok(group)
}

/// `<links>`: groups of which the actor is an admin join the community.
pub(super) fn link(world: &mut World, actor: &str, id: &str, action: &Node) -> Outcome {
    as_admin(world, actor, id)?;
    as_community(world, actor, id)?;
    let asked = child(action, "link").ok_or(BAD_REQUEST)?;
    let mut answers = Vec::new();
    let mut linked = Vec::new();
    for entry in children_named(asked, "group") {
        let jid = jid_attr(entry, "jid").ok_or(BAD_REQUEST)?;
        let error = match world.groups.get_mut(jid.user.as_str()) {
            None => Some("404"),
            Some(group) if !group.is_admin(actor) => Some("403"),
            Some(group) if group.place != Place::Alone => Some("409"),
            Some(group) => {
                group.place =
                    Place::Subgroup { parent: id.to_owned(), default: false, general: false };
                linked.push(group.id.clone());
                None
            }
        };
        answers.push(outcome(&jid, error));
    }
    for group in &linked {
        settle_in(world, actor, group, id);
        tell_linked(world, actor, id, group, "link");
    }
    let link = NodeBuilder::new("link").attr("link_type", "sub_group").children(answers).build();
    Ok(vec![NodeBuilder::new("links").children([link]).build()])
}

fn outcome(jid: &Jid, error: Option<&'static str>) -> Node {
    let mut builder = NodeBuilder::new("group").attr("jid", jid.clone());
    if let Some(code) = error {
        builder = builder.attr("error", code);
    }
    builder.build()
}

/// Both sides hear of it: the community of its group, the group of its community.
fn tell_linked(world: &mut World, actor: &str, parent: &str, group: &str, tag: &'static str) {
    let told = |world: &World, about: &str, kind: &'static str| {
        let subject = world.groups.get(about).map(|group| group.subject.clone());
        let about = NodeBuilder::new("group")
            .attr("jid", Jid::group(about))
            .attr("subject", subject.unwrap_or_default())
            .build();
        let key = if tag == "link" { "link_type" } else { "unlink_type" };
        NodeBuilder::new(tag).attr(key, kind).children([about]).build()
    };
    let to_community = told(world, group, "sub_group");
    let to_group = told(world, parent, "parent_group");
    notify::tell(world, parent, actor, &[to_community], &[]);
    notify::tell(world, group, actor, &[to_group], &[]);
}

/// `<unlink>`: groups leave the community, their members with them when asked for.
pub(super) fn unlink(world: &mut World, actor: &str, id: &str, action: &Node) -> Outcome {
    as_admin(world, actor, id)?;
    let mut answers = Vec::new();
    for entry in children_named(action, "group") {
        let jid = jid_attr(entry, "jid").ok_or(BAD_REQUEST)?;
        let of_it = world
            .groups
            .get(jid.user.as_str())
            .is_some_and(|group| group.parent() == Some(id) && !group.is_default_subgroup());
        if of_it {
            tell_linked(world, actor, id, &jid.user, "unlink");
            set_alone(world, &jid.user);
            if is_true(entry, "remove_orphaned_members") {
                expel_orphans(world, actor, id, &jid.user);
            }
        }
        answers.push(outcome(&jid, (!of_it).then_some("404")));
    }
    let unlinked = NodeBuilder::new("unlink").attr("unlink_type", "sub_group");
    Ok(vec![unlinked.children(answers).build()])
}

fn set_alone(world: &mut World, id: &str) {
    if let Some(group) = world.groups.get_mut(id) {
        group.place = Place::Alone;
    }
    world.touch();
}

/// Who was in the community only by the group that left it.
fn expel_orphans(world: &mut World, actor: &str, id: &str, left: &str) {
    let remaining: BTreeSet<String> = world
        .subgroups(id)
        .iter()
        .filter_map(|id| world.groups.get(id))
        .filter(|group| !group.is_default_subgroup())
        .flat_map(|group| group.members.keys().cloned())
        .collect();
    let Some(group) = world.groups.get(left) else { return };
    let orphans: Vec<String> = group
        .members
        .iter()
        .filter(|(phone, role)| **role == Role::Member && !remaining.contains(*phone))
        .map(|(phone, _)| phone.clone())
        .collect();
    for target in world.subgroups(id).into_iter().chain([id.to_owned()]) {
        members::expel(world, actor, &target, &orphans);
    }
}

/// `<delete_parent>`: the community ends, its announcement group with it.
pub(super) fn delete(world: &mut World, actor: &str, id: &str) -> Outcome {
    as_admin(world, actor, id)?;
    as_community(world, actor, id)?;
    for subgroup in world.subgroups(id) {
        tell_linked(world, actor, id, &subgroup, "unlink");
        if world.groups[&subgroup].is_default_subgroup() {
            end(world, actor, &subgroup);
        } else {
            set_alone(world, &subgroup);
        }
    }
    end(world, actor, id);
    Ok(Vec::new())
}

fn end(world: &mut World, actor: &str, id: &str) {
    let action = NodeBuilder::new("delete").build();
    notify::tell(world, id, actor, &[action], &[]);
    world.groups.remove(id);
}

fn subgroup<'a>(
    world: &'a World,
    actor: &str,
    id: &str,
    action: &Node,
) -> Result<&'a Group, Refusal> {
    as_community(world, actor, id)?;
    let jid = jid_attr(action, "jid").ok_or(BAD_REQUEST)?;
    world.groups.get(jid.user.as_str()).filter(|group| group.parent() == Some(id)).ok_or(NOT_FOUND)
}

fn linked_group(world: &World, group: &Group) -> Vec<Node> {
    let inner = node::group(world, group);
    let builder =
        NodeBuilder::new("linked_group").attr("type", "sub_group").attr("jid", group.jid());
    vec![builder.children([inner]).build()]
}

/// `<query_linked>`: a subgroup, seen from the community.
pub(super) fn query_linked(world: &World, actor: &str, id: &str, action: &Node) -> Outcome {
    Ok(linked_group(world, subgroup(world, actor, id, action)?))
}

/// `<join_linked_group>`: a member of the community enters one of its groups.
pub(super) fn join(world: &mut World, actor: &str, id: &str, action: &Node) -> Outcome {
    let group = subgroup(world, actor, id, action)?;
    let (group_id, asks) = (group.id.clone(), invites::asks_first(world, group));
    if group.role(actor).is_none() {
        let entered = invites::enter_or_ask(world, actor, &group_id, (asks, "linked_group_join"));
        if asks {
            return Ok(entered);
        }
    }
    let group = world.groups.get(&group_id).ok_or(NOT_FOUND)?;
    Ok(linked_group(world, group))
}

/// `<linked_groups_participants>`: everybody in the community's groups.
pub(super) fn participants(world: &World, actor: &str, id: &str) -> Outcome {
    let community = as_community(world, actor, id)?;
    let everybody = community.members.iter();
    let nodes =
        everybody.filter_map(|(phone, role)| node::participant(world, community, phone, *role));
    Ok(vec![NodeBuilder::new("linked_groups_participants").children(nodes).build()])
}

/// `<sub_groups>`: the community's groups, shortly.
pub(super) fn subgroups(world: &World, actor: &str, id: &str) -> Outcome {
    as_community(world, actor, id)?;
    let groups = world.subgroups(id);
    let nodes = groups.iter().filter_map(|id| world.groups.get(id)).map(|group| {
        let mut builder = NodeBuilder::new("group")
            .attr("id", group.id.as_str())
            .attr("subject", group.subject.as_str())
            .attr("s_t", group.subject_at)
            .attr("size", group.members.len());
        if group.is_default_subgroup() {
            builder = builder.children([NodeBuilder::new("default_sub_group").build()]);
        }
        builder.build()
    });
    Ok(vec![NodeBuilder::new("sub_groups").children(nodes).build()])
}
