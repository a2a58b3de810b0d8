//! `w:sync:app:state`: clients fetch and append patches of the account's collections.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use buffa::Message;
use bytes::Bytes;
use wacore::download::MediaType;
use wacore::upload::encrypt_media;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, NodeContent};
use waproto::whatsapp::{ExternalBlobReference, SyncdSnapshot};

use crate::notifications;
use crate::stanza::{
    attr, bytes_of, child, children_named, error_node, error_of, has_attr, leaf, result_of,
    text_attr,
};
use crate::world::app_state::{AppState, PatchRefusal};
use crate::world::media::Media;
use crate::world::stats::Stats;
use crate::world::{DeviceAddress, World};

/// From this version on a device that has nothing gets the collection whole.
const SNAPSHOT_FROM: u64 = 5;
/// Patches of one answer.
const MOST_PATCHES: usize = 50;

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
    let media = &mut world.media;
    let Some(account) = world.accounts.get_mut(&owner.phone) else {
        return (failed(node, 404, "item-not-found"), None);
    };
    let state = &mut account.app_state;
    let Some(patch) = child(request, "patch").and_then(bytes_of) else {
        let wants_snapshot = has_attr(request, "return_snapshot", "true");
        if wants_snapshot && base == 0 && state.version(name) >= SNAPSHOT_FROM {
            let snapshot = state.snapshot(name).and_then(|s| upload(media, &s));
            if let Some(reference) = snapshot {
                let node = node.attr("version", state.version(name));
                return (node.children([leaf("snapshot", reference)]).build(), None);
            }
        }
        return (patches(node, state, name, base), None);
    };
    match state.apply(name, base, patch) {
        Ok(version) => (node.attr("version", version).build(), Some(version)),
        Err(PatchRefusal::Conflict) => {
            world.stats.conflicts += 1;
            let mut conflict = patches(node.attr("type", "error"), state, name, base);
            if let Some(NodeContent::Nodes(children)) = &mut conflict.content {
                children.insert(0, error_node(409, "conflict"));
            } else {
                conflict.content = Some(NodeContent::Nodes(vec![error_node(409, "conflict")]));
            }
            (conflict, None)
        }
        Err(error) => {
            tracing::debug!(%error, "a patch of app state is refused");
            Stats::count(&mut world.stats.refused, "app-state".to_owned());
            (failed(node, 400, "bad-request"), None)
        }
    }
}

/// The patches after a version, as many as go at once.
fn patches(node: NodeBuilder, state: &AppState, name: &str, base: u64) -> Node {
    let newer = state.since(name, base);
    let now = &newer[..newer.len().min(MOST_PATCHES)];
    let mut node = node.attr("version", base.min(state.version(name)) + now.len() as u64);
    if now.len() < newer.len() {
        node = node.attr("has_more_patches", "true");
    }
    if now.is_empty() {
        return node.build();
    }
    let patches = now.iter().map(|patch| leaf("patch", patch.0.clone()));
    node.children([NodeBuilder::new("patches").children(patches).build()]).build()
}

/// Puts a snapshot where clients fetch it: encrypted, on the media host.
fn upload(media: &mut Media, snapshot: &SyncdSnapshot) -> Option<Vec<u8>> {
    let encrypted = encrypt_media(&snapshot.encode_to_vec(), MediaType::AppState).ok()?;
    let token = URL_SAFE_NO_PAD.encode(encrypted.file_enc_sha256);
    let size = encrypted.data_to_upload.len() as u64;
    let direct_path =
        media.store(&token, "md-app-state", "", Bytes::from(encrypted.data_to_upload));
    let reference = ExternalBlobReference {
        media_key: Some(encrypted.media_key.to_vec()),
        direct_path: Some(direct_path),
        handle: Some(token),
        file_size_bytes: Some(size),
        file_sha256: Some(encrypted.file_sha256.to_vec()),
        file_enc_sha256: Some(encrypted.file_enc_sha256.to_vec()),
    };
    Some(reference.encode_to_vec())
}

fn failed(node: NodeBuilder, code: u16, text: &'static str) -> Node {
    node.attr("type", "error").children([error_node(code, text)]).build()
}
