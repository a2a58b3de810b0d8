//! What an account shows of itself: picture, about, business profile.

use bytes::Bytes;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, Server};

use crate::clock::unix_seconds;
use crate::stanza::{
    attr, child, child_bytes, error_node, error_of, jid_attr, result_of, text_attr, text_of,
};
use crate::world::account::Picture;
use crate::world::{DeviceAddress, World};
use crate::{groups, notifications, privacy};

/// Larger pictures are not taken.
pub(crate) const LARGEST_PICTURE: usize = 5 * 1024 * 1024;

pub(super) fn about(world: &mut World, owner: &DeviceAddress, iq: &Node) -> Node {
    let text = child(iq, "status").and_then(text_of).unwrap_or_default();
    set_about(world, &owner.phone, &text);
    result_of(iq, [])
}

/// Changes an account's about; who knows it hears of it.
pub(crate) fn set_about(world: &mut World, phone: &str, text: &str) {
    let Some(account) = world.accounts.get_mut(phone) else { return };
    text.clone_into(&mut account.profile.about);
    account.profile.about_at = unix_seconds();
    world.touch();
    notifications::about_changed(world, phone, text);
}

/// `w:profile:picture` of a person or of a group.
pub(super) fn picture(world: &mut World, owner: &DeviceAddress, iq: &Node) -> Node {
    let target = jid_attr(iq, "target");
    if let Some(group) = target.as_ref().filter(|jid| jid.server == Server::Group) {
        return groups::picture(world, owner, iq, group);
    }
    if super::is_set(iq) {
        return set(world, owner, iq);
    }
    let Some(asked) = child(iq, "picture") else { return error_of(iq, 400, "bad-request") };
    let target = target.and_then(|jid| world.phone_of(&jid));
    let refused = |code, text| result_of(iq, [no_picture(code, text)]);
    let Some(target) = target else { return refused(404, "item-not-found") };
    if !privacy::allows(world, &target, &owner.phone, "profile") {
        return refused(401, "not-authorized");
    }
    if !privacy::reveals(world, &target, &owner.phone, "profile", asked) {
        return refused(404, "item-not-found");
    }
    let picture = world.accounts.get(&target).and_then(|account| account.profile.picture.clone());
    let Some(picture) = picture else { return refused(404, "item-not-found") };
    let kind = text_attr(asked, "type");
    if attr(asked, "id").is_some_and(|known| known == picture.id) {
        return result_of(iq, []);
    }
    result_of(iq, [picture_node(world, &picture, &kind)])
}

/// Why no picture is shown.
pub(crate) fn no_picture(code: u16, text: &'static str) -> Node {
    NodeBuilder::new("picture").children([error_node(code, text)]).build()
}

/// Where the picture is; it is put there when somebody asks.
pub(crate) fn picture_node(world: &mut World, picture: &Picture, kind: &str) -> Node {
    let path = format!("/pps/{}.jpg", picture.id);
    world.media.publish(&path, "image/jpeg", Bytes::from(picture.jpeg.clone()));
    let direct_path = format!("{path}?ccb=11-4&oe={:X}", unix_seconds() + 7 * 24 * 3600);
    NodeBuilder::new("picture")
        .attr("id", picture.id.as_str())
        .attr("type", if kind == "image" { "image" } else { "preview" })
        .attr("url", format!("https://{}{direct_path}", world.media_host))
        .attr("direct_path", direct_path)
        .build()
}

fn set(world: &mut World, owner: &DeviceAddress, iq: &Node) -> Node {
    let Some(jpeg) = child_bytes(iq, "picture").filter(|jpeg| !jpeg.is_empty()) else {
        set_picture(world, &owner.phone, None);
        return result_of(iq, []);
    };
    if jpeg.len() > LARGEST_PICTURE {
        return error_of(iq, 406, "not-acceptable");
    }
    match set_picture(world, &owner.phone, Some(jpeg.to_vec())) {
        Some(id) => result_of(iq, [NodeBuilder::new("picture").attr("id", id).build()]),
        None => error_of(iq, 404, "item-not-found"),
    }
}

/// Gives an account a picture, or takes it; who knows it hears of it. Gives the picture's id.
pub(crate) fn set_picture(world: &mut World, phone: &str, jpeg: Option<Vec<u8>>) -> Option<String> {
    let id = world.next_picture_id();
    let account = world.accounts.get_mut(phone)?;
    account.profile.picture = jpeg.map(|jpeg| Picture { id: id.clone(), jpeg });
    let set = account.profile.picture.is_some();
    world.touch();
    notifications::picture_changed(world, phone, set.then_some(id.as_str()));
    set.then_some(id)
}

/// Profiles of businesses; a person has none.
pub(super) fn business_profile(world: &World, iq: &Node) -> Node {
    let asked = child(iq, "business_profile").map(crate::stanza::children).unwrap_or_default();
    let profiles = asked.iter().filter_map(|profile| {
        let jid = jid_attr(profile, "jid")?;
        let business = world.accounts.get(&world.phone_of(&jid)?)?.profile.business.as_ref()?;
        let field = |tag: &'static str, text: &str| crate::stanza::leaf(tag, text.as_bytes());
        let category = NodeBuilder::new("category").attr("id", "1").bytes(b"Shop".to_vec()).build();
        let children = [
            field("description", &business.description),
            field("address", &business.address),
            field("email", &business.email),
            field("website", &business.website),
            NodeBuilder::new("categories").children([category]).build(),
        ];
        Some(NodeBuilder::new("profile").attr("jid", jid).children(children).build())
    });
    result_of(iq, [NodeBuilder::new("business_profile").children(profiles).build()])
}
