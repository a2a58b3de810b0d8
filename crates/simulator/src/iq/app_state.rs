//! `w:sync:app:state`: clients fetch and append patches of the account's collections.

use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use crate::notifications;
use crate::stanza::{
    attr, bytes_of, child, children_named, error_node, error_of, leaf, result_of, text_attr,
};
use crate::world::{DeviceAddress, World};

pub(super) fn handle(world: &mut World, owner: &DeviceAddress, iq: &Node) -> Node {
    let Some(sync) = child(iq, "sync") else { return error_of(iq, 400, "bad-request") };
    let mut answers = Vec::new();
    let mut changed = Vec::new();
    for request in children_named(sync, "collection") {
        let name = text_attr(request, "name");
        let base = attr(request, "version").and_then(|version| version.parse().ok()).unwrap_or(0);
        let (answer, grew) = sync_collection(world, owner, &name, base, request);
        answers.push(answer);
        if let Some(version) = grew {
            changed.push((name, version));
        }
    }
    if !changed.is_empty() {
        world.touch();
        notifications::app_state_changed(world, owner, &changed);
    }
    result_of(iq, [NodeBuilder::new("sync").children(answers).build()])
}

/// Answers one collection; the second value is its new version when the request grew it.
fn sync_collection(
    world: &mut World,
    owner: &DeviceAddress,
    name: &str,
    base: u64,
    request: &Node,
) -> (Node, Option<u64>) {
    let node = NodeBuilder::new("collection").attr("name", name);
    let Some(account) = world.accounts.get_mut(&owner.phone) else {
        return (failed(node, 404, "item-not-found"), None);
    };
    let state = &mut account.app_state;
    let Some(patch) = child(request, "patch").and_then(bytes_of) else {
        let patches: Vec<Node> =
            state.since(name, base).iter().map(|patch| leaf("patch", patch.0.clone())).collect();
        let mut node = node.attr("version", state.version(name));
        if !patches.is_empty() {
            node = node.children([NodeBuilder::new("patches").children(patches).build()]);
        }
        return (node.build(), None);
    };
    match state.apply(name, base, patch) {
        Ok(Some(version)) => (node.attr("version", version).build(), Some(version)),
        Ok(None) => {
            let newer = state.since(name, base).iter().map(|patch| leaf("patch", patch.0.clone()));
            let patches = NodeBuilder::new("patches").children(newer).build();
            let conflict = node
                .attr("type", "error")
                .attr("version", state.version(name))
                .children([error_node(409, "conflict"), patches]);
            (conflict.build(), None)
        }
        Err(_) => (failed(node, 400, "bad-request"), None),
    }
}

fn failed(node: NodeBuilder, code: u16, text: &'static str) -> Node {
    node.attr("type", "error").children([error_node(code, text)]).build()
}
