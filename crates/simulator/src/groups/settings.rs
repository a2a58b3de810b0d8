//! What a group is called and how it works: subject, description, switches, modes.

use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::{
    BAD_REQUEST, CONFLICT, NOT_AUTHORIZED, Outcome, as_member, body, is_true, node, notify,
};
use crate::clock::unix_seconds;
use crate::stanza::{attr, child, has_attr, leaf, text_attr, text_of};
use crate::world::World;
use crate::world::groups::{Description, Ephemeral, Group};

const LONGEST_SUBJECT: usize = 100;
const LONGEST_DESCRIPTION: usize = 2048;

/// Elements that turn something on, and their opposites.
const SWITCHES: [(&str, &str); 6] = [
    ("locked", "unlocked"),
    ("announcement", "not_announcement"),
    ("no_frequently_forwarded", "frequently_forwarded_ok"),
    ("allow_admin_reports", "not_allow_admin_reports"),
    ("group_history", "no_group_history"),
    ("allow_non_admin_sub_group_creation", "not_allow_non_admin_sub_group_creation"),
];

/// Settings that hold a word.
const MODES: [&str; 3] = ["member_add_mode", "member_link_mode", "member_share_group_history_mode"];

/// A locked group's info is for admins.
pub(super) fn as_editor<'a>(
    world: &'a mut World,
    actor: &str,
    id: &str,
) -> Result<&'a mut Group, super::Refusal> {
    let group = as_member(world, actor, id)?;
    if group.is_on("locked") && !group.is_admin(actor) { Err(NOT_AUTHORIZED) } else { Ok(group) }
}

pub(super) fn subject(world: &mut World, actor: &str, id: &str, action: &Node) -> Outcome {
    let text = text_of(action).unwrap_or_default();
    if text.is_empty() || text.chars().count() > LONGEST_SUBJECT {
        return Err(BAD_REQUEST);
    }
    let group = as_editor(world, actor, id)?;
    group.subject.clone_from(&text);
    actor.clone_into(&mut group.subject_by);
    group.subject_at = unix_seconds();
    let mut told = NodeBuilder::new("subject").attr("subject", text).attr("s_t", group.subject_at);
    if let Some(group) = world.groups.get(id)
        && let Some(owner) = node::address(world, group, actor)
    {
        told = told.attr("s_o", owner);
    }
    notify::tell(world, id, actor, &[told.build()], &[]);
    Ok(Vec::new())
}

/// The new description names the one it replaces; another one means that somebody was faster.
pub(super) fn description(world: &mut World, actor: &str, id: &str, action: &Node) -> Outcome {
    let group = as_editor(world, actor, id)?;
    let known = group.description.as_ref().map(|description| description.id.as_str());
    // Clients that keep no id of the last one send none.
    if attr(action, "prev").as_deref() != known
        && (known.is_some() || attr(action, "prev").is_some())
    {
        return Err(CONFLICT);
    }
    let text = body(action).filter(|_| !is_true(action, "delete"));
    if text.as_ref().is_some_and(|text| text.chars().count() > LONGEST_DESCRIPTION) {
        return Err(BAD_REQUEST);
    }
    let description_id = text_attr(action, "id");
    let now = unix_seconds();
    let told = NodeBuilder::new("description").attr("id", description_id.as_str()).attr("t", now);
    let told = match &text {
        Some(text) => told.children([leaf("body", text.as_bytes())]),
        None => told.children([NodeBuilder::new("delete").build()]),
    };
    group.description =
        text.map(|text| Description { id: description_id, text, by: actor.to_owned(), at: now });
    notify::tell(world, id, actor, &[told.build()], &[]);
    Ok(Vec::new())
}

/// A setting by its element; `None` when there is no such setting.
pub(super) fn set(world: &mut World, actor: &str, id: &str, action: &Node) -> Option<Outcome> {
    let tag = action.tag.as_ref();
    let is_timer = matches!(tag, "ephemeral" | "not_ephemeral");
    let known = is_timer
        || tag == "membership_approval_mode"
        || MODES.contains(&tag)
        || SWITCHES.iter().any(|(on, off)| tag == *on || tag == *off);
    known.then_some(())?;
    let allowed = if is_timer {
        as_editor(world, actor, id).map(|_| ())
    } else {
        super::as_admin(world, actor, id).map(|_| ())
    };
    if let Err(refusal) = allowed {
        return Some(Err(refusal));
    }
    if !apply(world, id, action) {
        return Some(Err(BAD_REQUEST));
    }
    notify::tell(world, id, actor, std::slice::from_ref(action), &[]);
    Some(Ok(Vec::new()))
}

/// Changes a setting without asking who wants it; `false` when the element is none.
pub(super) fn apply(world: &mut World, id: &str, setting: &Node) -> bool {
    let Some(group) = world.groups.get_mut(id) else { return false };
    let tag = setting.tag.as_ref();
    match tag {
        "ephemeral" => {
            let number = |key| attr(setting, key).and_then(|value| value.parse().ok());
            let Some(expiration) = number("expiration") else { return false };
            let ephemeral = Ephemeral { expiration, trigger: number("trigger") };
            group.ephemeral = Some(ephemeral).filter(|_| expiration > 0);
        }
        "not_ephemeral" => group.ephemeral = None,
        "membership_approval_mode" => {
            let Some(join) = child(setting, "group_join") else { return false };
            group.approval = has_attr(join, "state", "on");
        }
        _ if MODES.contains(&tag) => {
            let Some(mode) = text_of(setting) else { return false };
            group.modes.insert(tag.to_owned(), mode);
        }
        _ => {
            if SWITCHES.iter().any(|(on, _)| tag == *on) {
                group.switches.insert(tag.to_owned());
            } else if let Some((on, _)) = SWITCHES.iter().find(|(_, off)| tag == *off) {
                group.switches.remove(*on);
            } else {
                return false;
            }
        }
    }
    world.touch();
    true
}

/// A property that clients set by `w:mex` instead.
pub(crate) fn set_mode(
    world: &mut World,
    actor: &str,
    id: &str,
    (name, value): (&str, &serde_json::Value),
) -> Result<(), super::Refusal> {
    let group = super::as_admin(world, actor, id)?;
    match name {
        "member_link_mode" | "member_share_group_history_mode" => {
            let mode = value.as_str().ok_or(BAD_REQUEST)?.to_lowercase();
            group.modes.insert(name.to_owned(), mode);
        }
        "limit_sharing" => {
            let on = value["limit_sharing_enabled"].as_bool().ok_or(BAD_REQUEST)?;
            let name = "limit_sharing_enabled".to_owned();
            if on {
                group.switches.insert(name);
            } else {
                group.switches.remove(&name);
            }
        }
        _ => return Err(BAD_REQUEST),
    }
    world.touch();
    Ok(())
}
