//! Making a group, a community, or a subgroup of one.

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};

use super::{BAD_REQUEST, FORBIDDEN, Outcome, body, community, members, node, notify, settings};
use crate::clock::unix_seconds;
use crate::stanza::{attr, child, children, jid_attr, text_attr};
use crate::world::World;
use crate::world::groups::{Description, Place};

/// Longest subject that WhatsApp takes.
const LONGEST_SUBJECT: usize = 100;

/// `<create>`: the answer holds the whole group, with an error at everybody who may not be added.
pub(super) fn create(world: &mut World, actor: &str, action: &Node) -> Outcome {
    let subject = text_attr(action, "subject");
    if subject.is_empty() || subject.chars().count() > LONGEST_SUBJECT {
        return Err(BAD_REQUEST);
    }
    let place = place_of(world, actor, action)?;
    let id = world.new_group(actor, &subject, place.clone());
    for setting in children(action) {
        settings::apply(world, &id, setting);
    }
    describe(world, actor, &id, action);
    let refused = members::enlist(world, actor, &id, action);
    if let Place::Subgroup { parent, .. } = &place {
        community::settle_in(world, actor, &id, parent);
    }
    announce(world, actor, &id);
    if matches!(place, Place::Community { .. }) {
        community::furnish(world, actor, &id, child(action, "create_general_chat").is_some());
    }
    let group = world.groups.get(&id).ok_or(BAD_REQUEST)?;
    let mut answer = node::group(world, group);
    if let Some(wacore_binary::NodeContent::Nodes(content)) = &mut answer.content {
        content.extend(refused);
    }
    Ok(vec![answer])
}

fn place_of(world: &World, actor: &str, action: &Node) -> Result<Place, super::Refusal> {
    if let Some(linked) = child(action, "linked_parent") {
        let parent: Jid = jid_attr(linked, "jid").ok_or(BAD_REQUEST)?;
        let community = world.groups.get(parent.user.as_str()).ok_or(super::NOT_FOUND)?;
        let open = community.is_on("allow_non_admin_sub_group_creation");
        let member = community.role(actor).is_some();
        if !community.is_community() || !member || !(open || community.is_admin(actor)) {
            return Err(FORBIDDEN);
        }
        return Ok(Place::Subgroup {
            parent: parent.user.to_string(),
            default: false,
            general: false,
        });
    }
    Ok(match child(action, "parent") {
        Some(parent) => {
            Place::Community { closed: attr(parent, "default_membership_approval_mode").is_some() }
        }
        None => Place::Alone,
    })
}

fn describe(world: &mut World, actor: &str, id: &str, action: &Node) {
    let Some(node) = child(action, "description") else { return };
    let (Some(text), Some(group)) = (body(node), world.groups.get_mut(id)) else { return };
    let description =
        Description { id: text_attr(node, "id"), text, by: actor.to_owned(), at: unix_seconds() };
    group.description = Some(description);
}

/// Everybody in it learns of the new group.
pub(super) fn announce(world: &mut World, actor: &str, id: &str) {
    let Some(group) = world.groups.get(id) else { return };
    let whole = node::group(world, group);
    let action = NodeBuilder::new("create").attr("type", "new").children([whole]).build();
    notify::tell(world, id, actor, &[action], &[]);
}
