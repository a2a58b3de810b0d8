//! Ways in besides being added: links, personal invitations, and requests that admins decide on.

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};

use super::{
    BAD_REQUEST, CONFLICT, FORBIDDEN, GONE, NOT_AUTHORIZED, NOT_FOUND, Outcome, as_admin,
    as_member, community, members, named, node, notify,
};
use crate::clock::unix_seconds;
use crate::stanza::{children, text_attr};
use crate::world::World;
use crate::world::groups::{Group, JoinRequest, Place};

const BY_LINK: &str = "invite_link";

/// The group's code, for admins or for all members when the group says so.
pub(super) fn code(world: &mut World, actor: &str, id: &str) -> Outcome {
    let group = as_member(world, actor, id)?;
    let open = group.modes.get("member_link_mode").is_some_and(|mode| mode == "all_member_link");
    if !open && !group.is_admin(actor) {
        return Err(NOT_AUTHORIZED);
    }
    let code = group.invite_code.clone();
    Ok(vec![NodeBuilder::new("invite").attr("code", code).build()])
}

/// A new code; the old one leads nowhere.
pub(super) fn reset(world: &mut World, actor: &str, id: &str) -> Outcome {
    let code = world.code("group-invite");
    as_admin(world, actor, id)?.invite_code.clone_from(&code);
    let told = NodeBuilder::new("invite").attr("code", code.as_str()).build();
    notify::tell(world, id, actor, std::slice::from_ref(&told), &[]);
    Ok(vec![told])
}

fn by_code<'a>(world: &'a World, code: &str) -> Result<&'a Group, super::Refusal> {
    let valid = |group: &&Group| !code.is_empty() && group.invite_code == code;
    world.groups.values().find(valid).ok_or(GONE)
}

/// What a link leads to, before joining.
pub(super) fn look(world: &World, code: &str) -> Outcome {
    Ok(vec![node::group(world, by_code(world, code)?)])
}

/// Joins by link; with approval the admins are asked first.
pub(super) fn join(world: &mut World, actor: &str, code: &str) -> Outcome {
    let group = by_code(world, code)?;
    let (id, approval) = (group.id.clone(), group.approval);
    if group.role(actor).is_some() {
        return Err(CONFLICT);
    }
    Ok(enter_or_ask(world, actor, &id, (approval, BY_LINK)))
}

/// Lets somebody in, or notes the request for the admins.
pub(super) fn enter_or_ask(
    world: &mut World,
    actor: &str,
    id: &str,
    (approval, method): (bool, &str),
) -> Vec<Node> {
    let jid = Jid::group(id);
    if approval {
        ask(world, actor, id, method);
        return vec![NodeBuilder::new("membership_approval_request").attr("jid", jid).build()];
    }
    admit(world, actor, actor, id);
    vec![NodeBuilder::new("group").attr("jid", jid).build()]
}

fn ask(world: &mut World, actor: &str, id: &str, method: &str) {
    let Some(group) = world.groups.get_mut(id) else { return };
    let request = JoinRequest { at: unix_seconds(), method: method.to_owned() };
    group.requests.insert(actor.to_owned(), request);
    let admins: Vec<String> =
        group.members.keys().filter(|phone| group.is_admin(phone)).cloned().collect();
    let Some(group) = world.groups.get(id) else { return };
    let asking = user(world, group, actor, "requested_user");
    let told = NodeBuilder::new("created_membership_requests")
        .attr("request_method", method)
        .children(asking)
        .build();
    notify::tell_some(world, id, actor, told, &admins);
    world.touch();
}

fn user(world: &World, group: &Group, phone: &str, tag: &'static str) -> Option<Node> {
    let account = world.accounts.get(phone)?;
    let builder = NodeBuilder::new(tag)
        .attr("jid", account.user_jid(group.addressing.server()))
        .attr("phone_number", account.user_jid(wacore_binary::Server::Pn));
    Some(builder.build())
}

/// Somebody enters by the door: all members hear of it.
fn admit(world: &mut World, actor: &str, phone: &str, id: &str) {
    members::enter(world, id, phone);
    members::tell_of(world, actor, id, "add", &[phone.to_owned()]);
    let parent = world.groups.get(id).and_then(|group| group.parent().map(ToOwned::to_owned));
    if let Some(parent) = parent {
        community::settle_in(world, actor, id, &parent);
    }
}

/// `<accept>`: a personal invitation, from the message that carried it.
pub(super) fn accept(world: &mut World, actor: &str, id: &str, action: &Node) -> Outcome {
    let group = world.groups.get(id).ok_or(NOT_FOUND)?;
    let invite = group.personal_invites.get(actor).ok_or(GONE)?;
    if invite.code != text_attr(action, "code") || invite.expires < unix_seconds() {
        return Err(GONE);
    }
    admit(world, actor, actor, id);
    Ok(vec![NodeBuilder::new("group").attr("jid", Jid::group(id)).build()])
}

/// `<revoke>`: personal invitations that no longer count.
pub(super) fn revoke(world: &mut World, actor: &str, id: &str, action: &Node) -> Outcome {
    as_admin(world, actor, id)?;
    let mut results = Vec::new();
    for (entry, phone) in named(world, action) {
        let group = world.groups.get_mut(id).ok_or(NOT_FOUND)?;
        let known = phone.is_some_and(|phone| group.personal_invites.remove(&phone).is_some());
        results.push(members::result(entry, if known { "200" } else { "404" }, None));
    }
    world.touch();
    Ok(vec![NodeBuilder::new("revoke").children(results).build()])
}

/// Who waits for the admins.
pub(super) fn requests(world: &mut World, actor: &str, id: &str) -> Outcome {
    as_admin(world, actor, id)?;
    let group = world.groups.get(id).ok_or(NOT_FOUND)?;
    let waiting = group.requests.iter().filter_map(|(phone, request)| {
        let account = world.accounts.get(phone)?;
        let builder = NodeBuilder::new("membership_approval_request")
            .attr("jid", account.user_jid(group.addressing.server()))
            .attr("phone_number", account.user_jid(wacore_binary::Server::Pn))
            .attr("request_time", request.at)
            .attr("request_method", request.method.as_str());
        Some(builder.build())
    });
    Ok(vec![NodeBuilder::new("membership_approval_requests").children(waiting).build()])
}

/// `<membership_requests_action>`: the admins' word.
pub(super) fn decide(world: &mut World, actor: &str, id: &str, action: &Node) -> Outcome {
    as_admin(world, actor, id)?;
    let mut answers = Vec::new();
    for verdict in children(action) {
        let approve = match verdict.tag.as_ref() {
            "approve" => true,
            "reject" => false,
            _ => return Err(BAD_REQUEST),
        };
        let mut results = Vec::new();
        for (entry, phone) in named(world, verdict) {
            let status = match phone {
                Some(phone) if withdraw(world, id, &phone) => {
                    settle(world, actor, &phone, id, approve);
                    "200"
                }
                _ => "404",
            };
            results.push(members::result(entry, status, None));
        }
        answers.push(NodeBuilder::new_dynamic(verdict.tag.to_string()).children(results).build());
    }
    Ok(vec![NodeBuilder::new("membership_requests_action").children(answers).build()])
}

fn settle(world: &mut World, actor: &str, phone: &str, id: &str, approve: bool) {
    if approve {
        admit(world, actor, phone, id);
    } else {
        tell_revoked(world, actor, phone, id);
    }
}

fn withdraw(world: &mut World, id: &str, phone: &str) -> bool {
    world.groups.get_mut(id).is_some_and(|group| group.requests.remove(phone).is_some())
}

/// Admins, and who asked, learn that a request no longer stands.
fn tell_revoked(world: &mut World, actor: &str, phone: &str, id: &str) {
    let Some(group) = world.groups.get(id) else { return };
    let mut told: Vec<String> =
        group.members.keys().filter(|member| group.is_admin(member)).cloned().collect();
    told.push(phone.to_owned());
    let asked = user(world, group, phone, "participant");
    let action = NodeBuilder::new("revoked_membership_requests").children(asked).build();
    notify::tell_some(world, id, actor, action, &told);
    world.touch();
}

/// `<cancel_membership_requests>`: who asked has changed its mind.
pub(super) fn cancel(world: &mut World, actor: &str, id: &str, action: &Node) -> Outcome {
    let mut results = Vec::new();
    for (entry, phone) in named(world, action) {
        let phone = phone.ok_or(NOT_FOUND)?;
        let is_admin = world.groups.get(id).ok_or(NOT_FOUND)?.is_admin(actor);
        if phone != actor && !is_admin {
            return Err(FORBIDDEN);
        }
        let known = withdraw(world, id, &phone);
        if known {
            tell_revoked(world, actor, &phone, id);
        }
        results.push(members::result(entry, if known { "200" } else { "404" }, None));
    }
    Ok(vec![NodeBuilder::new("cancel_membership_requests").children(results).build()])
}

/// A closed community's subgroups ask before they let in.
pub(super) fn asks_first(world: &World, group: &Group) -> bool {
    let closed = |parent: &Group| matches!(parent.place, Place::Community { closed: true });
    group.approval || group.parent().and_then(|id| world.groups.get(id)).is_some_and(closed)
}
