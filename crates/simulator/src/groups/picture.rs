//! A group's picture: shown to its members, changed by who may change its info.

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};

use super::settings::as_editor;
use super::{BAD_REQUEST, NOT_FOUND, Outcome, Refusal, is_in_community, node, notify};
use crate::iq::{LARGEST_PICTURE, no_picture, picture_node};
use crate::stanza::{
    attr, child, child_bytes, children_named, error_of, has_attr, jid_attr, result_of, text_attr,
    with_attr,
};
use crate::world::account::Picture;
use crate::world::{DeviceAddress, World};

const TOO_LARGE: Refusal = Refusal(406, "not-acceptable");

/// Answers `w:profile:picture` whose target is a group.
pub(crate) fn handle(world: &mut World, owner: &DeviceAddress, iq: &Node, group: &Jid) -> Node {
    let (actor, id) = (owner.phone.as_str(), group.user.as_str());
    let outcome = if has_attr(iq, "type", "set") {
        change(world, actor, id, iq)
    } else {
        show(world, actor, id, iq)
    };
    match outcome {
        Ok(answer) => result_of(iq, answer),
        Err(Refusal(code, text)) => error_of(iq, code, text),
    }
}

/// The picture, when the actor may see the group; what hides it is an answer, no refusal.
fn visible(world: &World, actor: &str, id: &str) -> Result<Picture, (u16, &'static str)> {
    let group = world.groups.get(id).ok_or((404, "item-not-found"))?;
    if group.role(actor).is_none() && !is_in_community(world, actor, group) {
        return Err((401, "not-authorized"));
    }
    group.picture.clone().ok_or((404, "item-not-found"))
}

fn show(world: &mut World, actor: &str, id: &str, iq: &Node) -> Outcome {
    let asked = child(iq, "picture").ok_or(BAD_REQUEST)?;
    Ok(match visible(world, actor, id) {
        Err((code, text)) => vec![no_picture(code, text)],
        Ok(picture) if attr(asked, "id").is_some_and(|known| known == picture.id) => Vec::new(),
        Ok(picture) => vec![picture_node(world, &picture, &text_attr(asked, "type"))],
    })
}

/// Several groups at once; those without a picture to see are left out.
pub(super) fn several(world: &mut World, actor: &str, action: &Node) -> Vec<Node> {
    let mut pictures = Vec::new();
    for asked in children_named(action, "picture") {
        let Some(jid) = jid_attr(asked, "jid") else { continue };
        if let Ok(picture) = visible(world, actor, &jid.user) {
            let shown = picture_node(world, &picture, &text_attr(asked, "type"));
            pictures.push(with_attr(shown, "jid", jid));
        }
    }
    vec![NodeBuilder::new("pictures").children(pictures).build()]
}

/// A new picture, or none when the request brings none; every member hears of it.
fn change(world: &mut World, actor: &str, id: &str, iq: &Node) -> Outcome {
    let jpeg = child_bytes(iq, "picture").filter(|jpeg| !jpeg.is_empty()).map(<[u8]>::to_vec);
    if jpeg.as_ref().is_some_and(|jpeg| jpeg.len() > LARGEST_PICTURE) {
        return Err(TOO_LARGE);
    }
    as_editor(world, actor, id)?;
    let picture = jpeg.map(|jpeg| Picture { id: world.next_picture_id(), jpeg });
    let new = picture.as_ref().map(|picture| picture.id.clone());
    world.groups.get_mut(id).ok_or(NOT_FOUND)?.picture = picture;
    tell(world, actor, id, new.as_deref());
    Ok(new.map(|id| NodeBuilder::new("picture").attr("id", id).build()).into_iter().collect())
}

fn tell(world: &mut World, actor: &str, id: &str, new: Option<&str>) {
    let Some(group) = world.groups.get(id) else { return };
    let mut change = match new {
        Some(picture) => NodeBuilder::new("set").attr("id", picture),
        None => NodeBuilder::new("delete"),
    };
    change = change.attr("jid", group.jid());
    if let Some(author) = node::address(world, group, actor) {
        change = change.attr("author", author);
    }
    let members: Vec<String> = group.members.keys().cloned().collect();
    let stanza = notify::notification(world, group, actor, &[change.build()]);
    notify::send(world, &members, &with_attr(stanza, "type", "picture"));
    world.touch();
}
