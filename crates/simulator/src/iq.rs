//! Iqs of linked devices: one function per namespace.
//!
//! What nobody handles is answered 501 and counted, so a gap shows in the statistics; a *set* of
//! an unknown namespace gets an empty result, which keeps clients calm.

mod app_state;
mod devices;
mod disappearing;
mod prekeys;
mod profile;
mod settings;
mod usync;

use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

pub(crate) use devices::unlink;
pub(crate) use prekeys::{Bundle, take_bundle};
pub(crate) use profile::{LARGEST_PICTURE, no_picture, picture_node, set_about, set_picture};

use crate::socket::session::Reply;
use crate::stanza::{attr, child, children, error_of, has_attr, result_of, text_attr};
use crate::world::stats::Stats;
use crate::world::{DeviceAddress, World};
use crate::{groups, mex, newsletters, privacy};

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
        ("abt", _) => properties(world, owner, iq).into(),
        ("w", "props") => result_of(iq, [NodeBuilder::new("props").build()]).into(),
        ("blocklist", _) => settings::blocklist(world, owner, iq).into(),
        ("privacy", _) => privacy::handle(world, owner, iq).into(),
        ("status", _) => profile::about(world, owner, iq).into(),
        ("w:profile:picture", _) => profile::picture(world, owner, iq).into(),
        ("w:biz", "business_profile") => profile::business_profile(world, iq).into(),
        ("w:m", "media_conn") => settings::media_connection(world, owner, iq).into(),
        ("w:g2", _) => groups::handle(world, owner, iq).into(),
        ("w:mex", _) => mex::handle(world, owner, iq).into(),
        ("newsletter", _) => newsletters::handle(world, owner, iq).into(),
        ("disappearing_mode", _) if is_set => disappearing::set(world, owner, iq).into(),
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

/// A/B properties: tokens are shown in all chats, and what the account's scenario sets; for others
/// clients use their defaults.
fn properties(world: &World, owner: &DeviceAddress, iq: &Node) -> Node {
    let scenario = world.accounts.get(&owner.phone).map(|account| &account.profile.scenario);
    let wanted = scenario.map(|scenario| {
        [
            (NCT_SEND, scenario.nct_send_property),
            (NCT_BY_HISTORY, scenario.nct_history_property),
            (NCT_BY_APP_STATE, scenario.nct_app_state_property),
            (TRUST_TOKENS_IN_CHATS, true),
            (LID_MIGRATION, scenario.lid_migrated),
        ]
    });
    let set: Vec<Node> = wanted
        .into_iter()
        .flatten()
        .filter(|(_, on)| *on)
        .map(|(code, _)| {
            NodeBuilder::new("prop").attr("config_code", code).attr("config_value", "1").build()
        })
        .collect();
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
    result_of(iq, [props.children(set).build()])
}

/// Codes of the properties that decide about tokens and addresses.
const NCT_SEND: u32 = 24_941;
const NCT_BY_HISTORY: u32 = 25_189;
const NCT_BY_APP_STATE: u32 = 25_253;
const TRUST_TOKENS_IN_CHATS: u32 = 10_518;
const LID_MIGRATION: u32 = 9435;
const PROPERTIES_HASH: &str = "1";

/// Whether an iq changes something.
fn is_set(iq: &Node) -> bool {
    has_attr(iq, "type", "set")
}
