//! Who is in a group: adding, removing, leaving, and rights.

use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::{
    BAD_REQUEST, FORBIDDEN, NOT_AUTHORIZED, Outcome, as_admin, as_member, community, is_true,
    named, node, notify,
};
use crate::clock::unix_seconds;
use crate::stanza::{child, children, jid_attr, text_attr, text_of};
use crate::trust;
use crate::world::World;
use crate::world::groups::{PersonalInvite, Role};

const OK: &str = "200";
const NOT_A_USER: &str = "404";
const ALREADY_IN: &str = "409";
const NOT_ALLOWED: &str = "403";
const NOT_IN: &str = "404";
const PERSONAL_INVITE_LIFETIME: u64 = 3 * 24 * 3600;

/// `<add>`: by admins, or by everybody when the group lets them.
pub(super) fn add(world: &mut World, actor: &str, id: &str, action: &Node) -> Outcome {
    let group = as_member(world, actor, id)?;
    let by_admins = group.modes.get("member_add_mode").is_some_and(|mode| mode == "admin_add");
    if by_admins && !group.is_admin(actor) {
        return Err(NOT_AUTHORIZED);
    }
    let (results, added) = take_in(world, actor, id, action);
    tell_of(world, actor, id, "add", &added);
    if let Some(parent) = parent_of(world, id) {
        community::settle_in(world, actor, id, &parent);
    }
    Ok(vec![NodeBuilder::new("add").children(results).build()])
}

/// The participants of a new group; the answer's elements of those who could not be added.
pub(super) fn enlist(world: &mut World, actor: &str, id: &str, action: &Node) -> Vec<Node> {
    let (results, _) = take_in(world, actor, id, action);
    results.into_iter().filter(|result| !text_attr(result, "error").is_empty()).collect()
}

fn take_in(world: &mut World, actor: &str, id: &str, list: &Node) -> (Vec<Node>, Vec<String>) {
    let (mut results, mut added) = (Vec::new(), Vec::new());
    for (entry, phone) in named(world, list) {
        let Some(phone) = phone.filter(|phone| phone != actor) else {
            results.push(result(entry, NOT_A_USER, None));
            continue;
        };
        if world.groups.get(id).is_some_and(|group| group.role(&phone).is_some()) {
            results.push(result(entry, ALREADY_IN, None));
        } else if trust::may_be_added(world, actor, &phone, privacy_token(entry).as_deref()) {
            enter(world, id, &phone);
            results.push(result(entry, OK, None));
            added.push(phone);
        } else {
            let invite = personal_invite(world, id, &phone);
            results.push(result(entry, NOT_ALLOWED, invite));
        }
    }
    (results, added)
}

/// `<privacy>` holds the token in hex.
fn privacy_token(entry: &Node) -> Option<Vec<u8>> {
    let text = child(entry, "privacy").and_then(text_of)?;
    let digits = text.as_bytes();
    (digits.len() % 2 == 0).then_some(())?;
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

/// Puts somebody into a group; whatever asked for it before is settled by it.
pub(super) fn enter(world: &mut World, id: &str, phone: &str) {
    let Some(group) = world.groups.get_mut(id) else { return };
    group.members.entry(phone.to_owned()).or_insert(Role::Member);
    group.requests.remove(phone);
    group.personal_invites.remove(phone);
}

fn personal_invite(world: &mut World, id: &str, phone: &str) -> Option<PersonalInvite> {
    let code = world.code("personal-invite");
    let expires = unix_seconds() + PERSONAL_INVITE_LIFETIME;
    let invite = PersonalInvite { code, expires };
    world.groups.get_mut(id)?.personal_invites.insert(phone.to_owned(), invite.clone());
    Some(invite)
}

/// One participant's outcome; clients look at `type` or at `error`.
pub(super) fn result(entry: &Node, status: &'static str, invite: Option<PersonalInvite>) -> Node {
    let mut builder = NodeBuilder::new("participant").attr("type", status);
    for key in ["jid", "phone_number", "lid"] {
        if let Some(jid) = jid_attr(entry, key) {
            builder = builder.attr(key, jid);
        }
    }
    if status != OK {
        builder = builder.attr("error", status);
    }
    if let Some(invite) = invite {
        let request = NodeBuilder::new("add_request")
            .attr("code", invite.code)
            .attr("expiration", invite.expires);
        builder = builder.children([request.build()]);
    }
    builder.build()
}

/// `<remove>`, with `linked_groups` from a community and all its groups.
pub(super) fn remove(world: &mut World, actor: &str, id: &str, action: &Node) -> Outcome {
    as_admin(world, actor, id)?;
    let everywhere = is_true(action, "linked_groups");
    let (mut results, mut removed) = (Vec::new(), Vec::new());
    for (entry, phone) in named(world, action) {
        let role = phone.as_ref().and_then(|phone| world.groups.get(id)?.role(phone));
        let status = match (phone, role) {
            (Some(_), Some(Role::SuperAdmin)) => NOT_ALLOWED,
            (Some(phone), Some(_)) => {
                removed.push(phone);
                OK
            }
            _ => NOT_IN,
        };
        results.push(result(entry, status, None));
    }
    let groups = if everywhere { world.subgroups(id) } else { Vec::new() };
    for group in groups.iter().map(String::as_str).chain([id]) {
        expel(world, actor, group, &removed);
    }
    Ok(vec![NodeBuilder::new("remove").children(results).build()])
}

/// Takes people out of one group, and tells them and those who stay.
pub(super) fn expel(world: &mut World, actor: &str, id: &str, phones: &[String]) {
    let gone: Vec<String> = {
        let Some(group) = world.groups.get_mut(id) else { return };
        phones.iter().filter(|phone| group.members.remove(*phone).is_some()).cloned().collect()
    };
    tell_of(world, actor, id, "remove", &gone);
}

/// `<leave>`: from some groups; with `linked_groups` from a community and all its groups.
pub(super) fn leave(world: &mut World, actor: &str, action: &Node) -> Outcome {
    let mut left = Vec::new();
    for entry in children(action) {
        let jid = jid_attr(entry, "id").or_else(|| jid_attr(entry, "parent_group_jid"));
        let id = jid.ok_or(BAD_REQUEST)?.user.to_string();
        let group = world.groups.get(&id).ok_or(super::NOT_FOUND)?;
        group.role(actor).ok_or(FORBIDDEN)?;
        let mut groups = if group.is_community() { world.subgroups(&id) } else { Vec::new() };
        groups.push(id.clone());
        for group in &groups {
            depart(world, actor, group);
        }
        left.push(NodeBuilder::new("group").attr("id", wacore_binary::Jid::group(id)).build());
    }
    Ok(vec![NodeBuilder::new("leave").children(left).build()])
}

/// One member goes by itself. Who made the group hands it to whoever is left.
fn depart(world: &mut World, actor: &str, id: &str) {
    let Some(group) = world.groups.get_mut(id) else { return };
    if group.members.remove(actor).is_none() {
        return;
    }
    let has_admin = group.members.values().any(|role| *role >= Role::Admin);
    if !has_admin && let Some(role) = group.members.values_mut().next() {
        *role = Role::Admin;
    }
    // A member that leaves is removed by itself: clients tell the two apart by who did it.
    tell_of(world, actor, id, "remove", &[actor.to_owned()]);
}

/// `<promote>` and `<demote>`.
pub(super) fn change_role(world: &mut World, actor: &str, id: &str, action: &Node) -> Outcome {
    let promote = action.tag == "promote";
    as_admin(world, actor, id)?;
    let (mut results, mut changed) = (Vec::new(), Vec::new());
    for (entry, phone) in named(world, action) {
        let group = world.groups.get_mut(id).ok_or(super::NOT_FOUND)?;
        let role = phone.as_ref().and_then(|phone| group.members.get_mut(phone));
        let status = match (role, phone) {
            (Some(Role::SuperAdmin), Some(_)) => NOT_ALLOWED,
            (Some(role), Some(phone)) => {
                *role = if promote { Role::Admin } else { Role::Member };
                changed.push(phone);
                OK
            }
            _ => NOT_IN,
        };
        results.push(result(entry, status, None));
    }
    let tag = if promote { "promote" } else { "demote" };
    tell_of(world, actor, id, tag, &changed);
    Ok(vec![NodeBuilder::new(tag).children(results).build()])
}

/// Tells of a change of members; those who are out hear of it too.
pub(super) fn tell_of(
    world: &mut World,
    actor: &str,
    id: &str,
    tag: &'static str,
    phones: &[String],
) {
    if phones.is_empty() {
        return;
    }
    let Some(group) = world.groups.get(id) else { return };
    let role = |phone: &String| group.role(phone).unwrap_or(Role::Member);
    let entries =
        phones.iter().filter_map(|phone| node::participant(world, group, phone, role(phone)));
    let action = NodeBuilder::new(tag).children(entries).build();
    notify::tell(world, id, actor, &[action], phones);
}

fn parent_of(world: &World, id: &str) -> Option<String> {
    world.groups.get(id)?.parent().map(ToOwned::to_owned)
}
