//! Signal prekeys: upload, count, digest, rotation, and the bundles others fetch.
//!
//! The server checks what it is given: an identity that is not the one the device was linked
//! with, or a signed prekey that this identity did not sign, is refused with 406.

use sha1::{Digest, Sha1};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};

use crate::clock::unix_seconds;
use crate::keys;
use crate::pairing::signed_key_is_valid;
use crate::socket::session::{Reply, Then};
use crate::stanza::{
    SERVER, child, child_bytes, children_named, error_node, error_of, jid_attr, key_id_bytes, leaf,
    number_of, result_of,
};
use crate::world::device::{Device, OneTimeKey, SignedKey};
use crate::world::queue::Class;
use crate::world::{DeviceAddress, World};

/// Below this the server tells the device to upload more.
const LOW_WATER: usize = 10;
const NOT_ACCEPTABLE: u16 = 406;
const KEY_TYPE: u8 = 5;

pub(super) fn handle(world: &mut World, owner: &DeviceAddress, iq: &Node) -> Reply {
    if child(iq, "count").is_some() {
        return count(world, owner, iq).into();
    }
    if child(iq, "digest").is_some() {
        return digest(world, owner, iq).into();
    }
    if let Some(rotate) = child(iq, "rotate") {
        return rotate_signed_key(world, owner, iq, rotate).into();
    }
    if let Some(key) = child(iq, "key").filter(|_| !super::is_set(iq)) {
        return fetch(world, owner, iq, key).into();
    }
    if super::is_set(iq) && child(iq, "list").is_some() {
        return upload(world, owner, iq);
    }
    error_of(iq, 400, "bad-request").into()
}

fn upload(world: &mut World, owner: &DeviceAddress, iq: &Node) -> Reply {
    let Some(device) = world.device_mut(owner) else {
        return error_of(iq, NOT_ACCEPTABLE, "not-acceptable").into();
    };
    let Some((signed, one_time, registration)) = read_upload(device, iq) else {
        return error_of(iq, NOT_ACCEPTABLE, "not-acceptable").into();
    };
    device.keys.signed = signed;
    device.keys.registration = registration;
    device.keys.one_time = one_time.into();
    let then = if device.welcomed { Then::Nothing } else { Then::Welcome };
    device.welcomed = true;
    world.touch();
    Reply { stanzas: vec![result_of(iq, [])], then }
}

fn read_upload(device: &Device, iq: &Node) -> Option<(SignedKey, Vec<OneTimeKey>, u32)> {
    let registration = child_bytes(iq, "registration").and_then(number_of)?;
    let key_type = child_bytes(iq, "type")?;
    let identity = child_bytes(iq, "identity")?;
    if key_type != [KEY_TYPE] || identity != device.keys.identity {
        return None;
    }
    let signed = read_signed_key(child(iq, "skey")?)?;
    if !signed_key_is_valid(&device.keys.identity, &signed) {
        return None;
    }
    let one_time = children_named(child(iq, "list")?, "key")
        .map(|key| {
            Some(OneTimeKey {
                id: child_bytes(key, "id").and_then(number_of)?,
                public: child_bytes(key, "value")?.try_into().ok()?,
            })
        })
        .collect::<Option<Vec<_>>>()?;
    Some((signed, one_time, registration))
}

fn read_signed_key(node: &Node) -> Option<SignedKey> {
    Some(SignedKey {
        id: child_bytes(node, "id").and_then(number_of)?,
        public: child_bytes(node, "value")?.try_into().ok()?,
        signature: child_bytes(node, "signature")?.try_into().ok()?,
    })
}

fn rotate_signed_key(world: &mut World, owner: &DeviceAddress, iq: &Node, rotate: &Node) -> Node {
    let signed = child(rotate, "skey").and_then(read_signed_key);
    let Some((device, signed)) = world.device_mut(owner).zip(signed) else {
        return error_of(iq, NOT_ACCEPTABLE, "not-acceptable");
    };
    if !signed_key_is_valid(&device.keys.identity, &signed) {
        return error_of(iq, NOT_ACCEPTABLE, "not-acceptable");
    }
    device.keys.signed = signed;
    world.touch();
    result_of(iq, [])
}

fn count(world: &World, owner: &DeviceAddress, iq: &Node) -> Node {
    let count = world.device(owner).map_or(0, |device| device.keys.one_time.len());
    result_of(iq, [NodeBuilder::new("count").attr("value", count).build()])
}

fn digest(world: &World, owner: &DeviceAddress, iq: &Node) -> Node {
    let Some(device) = world.device(owner).filter(|device| device.welcomed) else {
        return error_of(iq, 404, "item-not-found");
    };
    let keys = &device.keys;
    let mut hashed = keys.identity.to_vec();
    hashed.extend_from_slice(&keys.signed.public);
    hashed.extend_from_slice(&keys.signed.signature);
    for key in &keys.one_time {
        hashed.extend_from_slice(&key.public);
    }
    let ids = keys.one_time.iter().map(|key| leaf("id", key_id_bytes(key.id)));
    let digest = NodeBuilder::new("digest")
        .children([
            leaf("registration", keys.registration.to_be_bytes()),
            leaf("type", [KEY_TYPE]),
            leaf("identity", keys.identity),
            signed_key_node(&keys.signed),
            NodeBuilder::new("list").children(ids).build(),
            leaf("hash", Sha1::digest(&hashed).to_vec()),
        ])
        .build();
    result_of(iq, [digest])
}

fn signed_key_node(signed: &SignedKey) -> Node {
    NodeBuilder::new("skey")
        .children([
            leaf("id", key_id_bytes(signed.id)),
            leaf("value", signed.public),
            leaf("signature", signed.signature),
        ])
        .build()
}

fn fetch(world: &mut World, owner: &DeviceAddress, iq: &Node, key: &Node) -> Node {
    let mut users = Vec::new();
    for user in children_named(key, "user") {
        let Some(jid) = jid_attr(user, "jid") else { continue };
        users.push(bundle_of(world, owner, &jid));
    }
    result_of(iq, [NodeBuilder::new("list").children(users).build()])
}

fn bundle_of(world: &mut World, asks: &DeviceAddress, jid: &Jid) -> Node {
    let user = NodeBuilder::new("user").attr("jid", jid).attr("t", unix_seconds());
    let Some(address) = world.address_of(jid) else {
        return user.children([error_node(404, "item-not-found")]).build();
    };
    world.acquaint(&asks.phone, &address.phone);
    match take_bundle(world, &address) {
        Some(bundle) => user.children(bundle.into_nodes()).build(),
        None => user.children([error_node(NOT_ACCEPTABLE, "not-acceptable")]).build(),
    }
}

/// Everything a sender needs to open a session with a device.
pub(crate) struct Bundle {
    pub(crate) registration: u32,
    pub(crate) identity: [u8; 32],
    pub(crate) signed: SignedKey,
    pub(crate) one_time: Option<OneTimeKey>,
    adv: Vec<u8>,
}

impl Bundle {
    fn into_nodes(self) -> Vec<Node> {
        let mut nodes = vec![
            leaf("registration", self.registration.to_be_bytes()),
            leaf("type", [KEY_TYPE]),
            leaf("identity", self.identity),
        ];
        if let Some(key) = self.one_time {
            let children = [leaf("id", key_id_bytes(key.id)), leaf("value", key.public)];
            nodes.push(NodeBuilder::new("key").children(children).build());
        }
        nodes.push(signed_key_node(&self.signed));
        if !self.adv.is_empty() {
            nodes.push(leaf("device-identity", self.adv));
        }
        nodes
    }
}

/// A device's bundle; uses up one of its one-time keys and warns it when few are left.
pub(crate) fn take_bundle(world: &mut World, address: &DeviceAddress) -> Option<Bundle> {
    if address.device == 0 {
        let keys = &world.accounts.get(&address.phone)?.keys;
        return Some(Bundle {
            registration: keys.registration,
            identity: keys::public_bytes(&keys.identity),
            signed: keys.signed_key(),
            one_time: None,
            adv: Vec::new(),
        });
    }
    let device = world.device_mut(address)?;
    let one_time = device.keys.one_time.pop_front();
    let left = device.keys.one_time.len();
    let bundle = Bundle {
        registration: device.keys.registration,
        identity: device.keys.identity,
        signed: device.keys.signed.clone(),
        one_time,
        adv: device.keys.adv.clone(),
    };
    if bundle.one_time.is_some() && left + 1 == LOW_WATER {
        warn_low(world, address, left);
    }
    world.touch();
    Some(bundle)
}

fn warn_low(world: &mut World, address: &DeviceAddress, left: usize) {
    let stanza = NodeBuilder::new("notification")
        .attr("from", SERVER)
        .attr("type", "encrypt")
        .attr("id", world.stanza_id("prekeys-low"))
        .attr("t", unix_seconds())
        .children([NodeBuilder::new("count").attr("value", left).build()])
        .build();
    world.deliver(address, Class::Notification, stanza);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stanza::bytes_of;

    #[test]
    fn a_key_id_is_three_big_endian_bytes() {
        assert_eq!(key_id_bytes(0x01_02_03), [1, 2, 3]);
        assert_eq!(bytes_of(&leaf("id", key_id_bytes(7))).and_then(number_of), Some(7));
    }
}
