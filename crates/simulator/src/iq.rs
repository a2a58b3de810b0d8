//! Iqs of linked devices: one function per namespace.
//!
//! What nobody handles is answered 501 and counted, so a gap shows in the statistics; a *set* of
//! an unknown namespace gets an empty result, which keeps clients calm.

mod app_state;
mod devices;
mod prekeys;
mod settings;
mod usync;

use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

pub(crate) use devices::unlink;
pub(crate) use prekeys::{Bundle, take_bundle};

use crate::socket::session::Reply;
use crate::stanza::{attr, child, children, error_of, has_attr, result_of, text_attr};
use crate::world::stats::Stats;
use crate::world::{DeviceAddress, World};

/// Answers one iq.
pub(crate) fn handle(world: &mut World, owner: &DeviceAddress, iq: &Node) -> Reply {
    let kind = text_attr(iq, "type");
    if kind == "result" || kind == "error" {
        return Reply::default();
    }
    let namespace = text_attr(iq, "xmlns");
    let tag = children(iq).first().map(|node| node.tag.to_string()).unwrap_or_default();
    let name = format!("{namespace}/{kind}/{tag}");
    Stats::count(&mut world.stats.iqs, name.clone());
    let is_set = kind == "set";
    match (namespace.as_str(), tag.as_str()) {
        ("w:p", _) => result_of(iq, []).into(),
        ("passive", "active") => activate(world, owner, iq),
        ("passive", _) => result_of(iq, []).into(),
        ("encrypt", _) => prekeys::handle(world, owner, iq),
        ("usync", _) => usync::handle(world, owner, iq).into(),
        ("md", _) => devices::handle(world, owner, iq),
        ("w:sync:app:state", _) => app_state::handle(world, owner, iq).into(),
        ("abt", _) => properties(iq).into(),
        ("w", "props") => result_of(iq, [NodeBuilder::new("props").build()]).into(),
        ("blocklist", _) => settings::blocklist(world, owner, iq).into(),
        ("privacy", _) => settings::privacy(world, owner, iq).into(),
        ("status", _) => settings::about(world, owner, iq).into(),
        ("w:profile:picture", _) => settings::picture(iq).into(),
        ("w:biz", "business_profile") => settings::business_profile(iq).into(),
        ("w:m", "media_conn") => settings::media_connection(world, iq).into(),
        ("disappearing_mode" | "urn:xmpp:whatsapp:dirty" | "w:stats" | "tos", _) => {
            result_of(iq, []).into()
        }
        ("bot", "bot") => result_of(iq, [NodeBuilder::new("bot").attr("v", 2).build()]).into(),
        _ => {
            Stats::count(&mut world.stats.unknown, name);
            if is_set {
                result_of(iq, []).into()
            } else {
                error_of(iq, 501, "feature-not-implemented").into()
            }
        }
    }
}

/// The client is ready: the queue begins to flow.
fn activate(world: &mut World, owner: &DeviceAddress, iq: &Node) -> Reply {
    if let Some(device) = world.device_mut(owner)
        && let Some(link) = &mut device.link
    {
        device.queue.begin(link);
        link.mailbox.wake();
    }
    result_of(iq, []).into()
}

/// A/B properties: none is set, so clients use their defaults.
fn properties(iq: &Node) -> Node {
    let hash = child(iq, "props").and_then(|props| attr(props, "hash"));
    let unchanged = hash.is_some_and(|hash| hash == PROPERTIES_HASH);
    let mut props = NodeBuilder::new("props")
        .attr("protocol", "1")
        .attr("ab_key", "simulated")
        .attr("hash", PROPERTIES_HASH)
        .attr("refresh", "86400")
        .attr("refresh_id", "0");
    if unchanged {
        props = props.attr("delta_update", "true");
    }
    result_of(iq, [props.build()])
}

const PROPERTIES_HASH: &str = "1";

/// Whether an iq changes something.
fn is_set(iq: &Node) -> bool {
    has_attr(iq, "type", "set")
}
