//! `w:g2`: what clients ask and change about groups and communities.
//!
//! Each request names a group, or `g.us` for what concerns none in particular. Rights are checked
//! before anything changes; every change is told to all members in a `w:gp2` notification, to
//! those it removed as well.

mod community;
mod create;
mod invites;
mod members;
pub(crate) mod node;
mod notify;
mod picture;
mod settings;

use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use crate::stanza::{
    attr, child, children, children_named, error_of, jid_attr, result_of, text_attr,
};
use crate::world::groups::Group;
use crate::world::stats::Stats;
use crate::world::{DeviceAddress, World};
pub(crate) use picture::handle as picture;
pub(crate) use settings::set_mode;

/// Why a request is refused: an iq error's code and text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal(pub(crate) u16, pub(crate) &'static str);

const BAD_REQUEST: Refusal = Refusal(400, "bad-request");
const NOT_AUTHORIZED: Refusal = Refusal(401, "not-authorized");
const FORBIDDEN: Refusal = Refusal(403, "forbidden");
const NOT_FOUND: Refusal = Refusal(404, "item-not-found");
const CONFLICT: Refusal = Refusal(409, "conflict");
const GONE: Refusal = Refusal(410, "gone");

/// Children of the result.
type Outcome = Result<Vec<Node>, Refusal>;

/// Answers one request.
pub(crate) fn handle(world: &mut World, owner: &DeviceAddress, iq: &Node) -> Node {
    let Some(to) = jid_attr(iq, "to") else { return error_of(iq, 400, "bad-request") };
    let Some(action) = children(iq).first() else { return error_of(iq, 400, "bad-request") };
    let set = text_attr(iq, "type") == "set";
    let actor = owner.phone.as_str();
    let outcome = if to.user.is_empty() {
        of_no_group(world, actor, action, set)
    } else if set {
        change(world, actor, &to.user, action)
    } else {
        question(world, actor, &to.user, action)
    };
    match outcome {
        Ok(answer) => result_of(iq, answer),
        Err(Refusal(code, text)) => error_of(iq, code, text),
    }
}

/// To `g.us`: creating, listing, joining, leaving.
fn of_no_group(world: &mut World, actor: &str, action: &Node, set: bool) -> Outcome {
    match (action.tag.as_ref(), set) {
        ("create", true) => create::create(world, actor, action),
        ("participating", false) => Ok(participating(world, actor)),
        ("query", false) => Ok(batch(world, actor, action)),
        ("pictures", false) => Ok(picture::several(world, actor, action)),
        ("leave", true) => members::leave(world, actor, action),
        ("invite", true) => invites::join(world, actor, &text_attr(action, "code")),
        ("invite", false) => invites::look(world, &text_attr(action, "code")),
        _ => Err(unknown(world, action)),
    }
}

fn question(world: &mut World, actor: &str, id: &str, action: &Node) -> Outcome {
    match action.tag.as_ref() {
        "query" => {
            let group = world.groups.get(id).ok_or(NOT_FOUND)?;
            if group.role(actor).is_none() && !is_in_community(world, actor, group) {
                return Err(FORBIDDEN);
            }
            Ok(vec![node::group(world, group)])
        }
        "invite" => invites::code(world, actor, id),
        "membership_approval_requests" => invites::requests(world, actor, id),
        "query_linked" => community::query_linked(world, actor, id, action),
        "linked_groups_participants" => community::participants(world, actor, id),
        "sub_groups" => community::subgroups(world, actor, id),
        _ => Err(unknown(world, action)),
    }
}

fn change(world: &mut World, actor: &str, id: &str, action: &Node) -> Outcome {
    match action.tag.as_ref() {
        "add" => members::add(world, actor, id, action),
        "remove" => members::remove(world, actor, id, action),
        "promote" | "demote" => members::change_role(world, actor, id, action),
        // Communities wrap the change of rights.
        "admin" => {
            let inner = children(action).first().ok_or(BAD_REQUEST)?;
            let changed = members::change_role(world, actor, id, inner)?;
            Ok(vec![NodeBuilder::new("admin").children(changed).build()])
        }
        "subject" => settings::subject(world, actor, id, action),
        "description" => settings::description(world, actor, id, action),
        "invite" => invites::reset(world, actor, id),
        "accept" => invites::accept(world, actor, id, action),
        "revoke" => invites::revoke(world, actor, id, action),
        "membership_requests_action" => invites::decide(world, actor, id, action),
        "cancel_membership_requests" => invites::cancel(world, actor, id, action),
        "links" => community::link(world, actor, id, action),
        "unlink" => community::unlink(world, actor, id, action),
        "delete_parent" => community::delete(world, actor, id),
        "join_linked_group" => community::join(world, actor, id, action),
        "ack" => Ok(Vec::new()),
        _ => match settings::set(world, actor, id, action) {
            Some(outcome) => outcome,
            None => Err(unknown(world, action)),
        },
    }
}

fn unknown(world: &mut World, action: &Node) -> Refusal {
    Stats::count(&mut world.stats.unknown, format!("w:g2/{}", action.tag));
    Refusal(501, "feature-not-implemented")
}

/// A member of a community may look at its open subgroups.
fn is_in_community(world: &World, actor: &str, group: &Group) -> bool {
    group
        .parent()
        .and_then(|parent| world.groups.get(parent))
        .is_some_and(|parent| parent.role(actor).is_some())
}

/// All groups of an account; communities once more under their own name.
fn participating(world: &World, actor: &str) -> Vec<Node> {
    let mine = || world.groups.values().filter(|group| group.role(actor).is_some());
    let groups = mine().map(|group| node::group(world, group));
    let mut answer = vec![NodeBuilder::new("groups").children(groups).build()];
    let communities: Vec<Node> = mine()
        .filter(|group| group.is_community())
        .map(|group| node::community(world, group))
        .collect();
    if !communities.is_empty() {
        answer.push(NodeBuilder::new("communities").children(communities).build());
    }
    answer
}

/// Several groups at once; each that cannot be shown says why.
fn batch(world: &World, actor: &str, action: &Node) -> Vec<Node> {
    let groups = children_named(action, "group").filter_map(|asked| {
        let jid = jid_attr(asked, "jid")?;
        let error = |code: &'static str| {
            NodeBuilder::new("group").attr("id", jid.user.as_str()).attr("error", code).build()
        };
        Some(match world.groups.get(jid.user.as_str()) {
            None => error("404"),
            Some(group) if group.role(actor).is_none() => error("403"),
            Some(group) => node::group(world, group),
        })
    });
    vec![NodeBuilder::new("groups").children(groups).build()]
}

/// The group when the actor is one of its members.
fn as_member<'a>(world: &'a mut World, actor: &str, id: &str) -> Result<&'a mut Group, Refusal> {
    let group = world.groups.get_mut(id).ok_or(NOT_FOUND)?;
    if group.role(actor).is_none() {
        return Err(FORBIDDEN);
    }
    Ok(group)
}

/// The group when the actor is one of its admins.
fn as_admin<'a>(world: &'a mut World, actor: &str, id: &str) -> Result<&'a mut Group, Refusal> {
    let group = as_member(world, actor, id)?;
    if group.is_admin(actor) { Ok(group) } else { Err(NOT_AUTHORIZED) }
}

/// Phone numbers that a list of participants names, with the element of each.
fn named<'a>(world: &World, list: &'a Node) -> Vec<(&'a Node, Option<String>)> {
    children_named(list, "participant")
        .map(|entry| {
            let by = |key| jid_attr(entry, key).and_then(|jid| world.phone_of(&jid));
            (entry, by("jid").or_else(|| by("phone_number")))
        })
        .collect()
}

/// The body of a description, or whatever else holds one.
fn body(node: &Node) -> Option<String> {
    child(node, "body").and_then(crate::stanza::text_of)
}

/// Whether an attribute says `true`.
fn is_true(node: &Node, key: &str) -> bool {
    attr(node, key).is_some_and(|value| value == "true")
}
