//! What fuzzers feed: bytes of a peer that may be anything.
//!
//! Each target takes any bytes and panics only when the network would break a promise: a parser
//! that panics, frames that depend on how the bytes were split, a stanza that changes when it is
//! written and read again, an answer that cannot be written. `fuzz/` feeds them with cargo-fuzz,
//! the suite with mutations from a printed seed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::BytesMut;
use tokio::sync::Notify;
use wacore_binary::Node;

use crate::keys;
use crate::pairing;
use crate::socket::mailbox::SocketId;
use crate::socket::session::{Reply, route};
use crate::wire::certificate::ServerIdentity;
use crate::wire::cipher::{decode, encode};
use crate::wire::frames::{FrameError, FrameReader};
use crate::wire::noise::{HelloAnswer, answer_hello};
use crate::world::device::{Device, DeviceKeys, OneTimeKey, SignedKey};
use crate::world::groups::{Place, Role};
use crate::world::newsletters::{Follower, Post};
use crate::world::{DeviceAddress, World};

const SEED: u64 = 1;

/// The accounts of the [`stanza`] target's world; each has one linked device, [`DEVICE`].
pub const PHONES: [&str; 3] = ["15550100001", "15550100002", "15550100003"];
/// See [`PHONES`].
pub const DEVICE: u16 = 33;
/// A group of all [`PHONES`]; the first one made it.
pub const GROUP: &str = "120363000000000001";
/// A newsletter with a post that all [`PHONES`] follow; the first one made it.
pub const NEWSLETTER: &str = "120363000000000002";

/// Bytes of a WebSocket, before and after the handshake.
pub fn frames(data: &[u8]) {
    let whole = read_frames(&[data]);
    let pieces: Vec<&[u8]> = data.chunks(7).collect();
    assert_eq!(whole, read_frames(&pieces), "frames depend on how the bytes were split");
}

fn read_frames(pieces: &[&[u8]]) -> (Vec<BytesMut>, Option<FrameError>) {
    let mut reader = FrameReader::default();
    let mut frames = Vec::new();
    for piece in pieces {
        reader.feed(piece);
        loop {
            match reader.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
            // The third frame is the first after an XX handshake.
            if frames.len() == 2 {
                reader.handshake_done();
            }
        }
    }
    (frames, None)
}

/// A hello and a finish, the hello's length in two bytes before it.
pub fn handshake(data: &[u8]) {
    let Some((length, rest)) = data.split_first_chunk::<2>() else { return };
    let middle = usize::from(u16::from_be_bytes(*length)).min(rest.len());
    let (hello, finish) = rest.split_at(middle);
    let identity = ServerIdentity::derive(SEED, 0);
    // A peer that gets through has kept the protocol, which mutations may do.
    match answer_hello(&identity, hello, |_, _| true) {
        Ok(HelloAnswer::Proved(_, awaiting)) => drop(awaiting.finish(finish)),
        Ok(HelloAnswer::Resumed(..)) | Err(_) => {}
    }
}

/// What was sealed in a frame: decoded, and handled as the word of a linked device and of a
/// client that links.
pub fn stanza(data: &[u8]) {
    let Ok(node) = decode(data.into()) else { return };
    // An empty list and no content are one thing, of which the first pass makes the second.
    let once = passed_on(&node);
    let twice = passed_on(&once);
    assert_eq!(once, twice, "a stanza changes when it is passed on");
    handle(&node);
}

fn passed_on(node: &Node) -> Node {
    let written = encode(node).expect("what was read can be written");
    decode(written[..].into()).expect("what was written can be read")
}

/// Handles a stanza in a small world and writes everything that anybody would get of it.
pub fn handle(node: &Node) {
    let mut world = world();
    let owner = address(PHONES[0]);
    let Reply { stanzas, .. } = route(&mut world, &owner, node);
    let linking = pairing::handle(&mut world, SocketId(1), node);
    for answer in stanzas.iter().chain(&linking.stanzas) {
        encode(answer).expect("an answer can be written");
    }
    for phone in PHONES {
        for delivered in world.device(&address(phone)).iter().flat_map(|d| d.queue.stanzas()) {
            encode(delivered).expect("a delivery can be written");
        }
    }
}

fn address(phone: &str) -> DeviceAddress {
    DeviceAddress { phone: phone.to_owned(), device: DEVICE }
}

fn world() -> World {
    let mut world = World::new(SEED, Arc::new(Notify::new()));
    for phone in PHONES {
        world.account_for(phone, None).devices.insert(DEVICE, Device::new(device_keys(), 1));
    }
    add_group(&mut world);
    add_newsletter(&mut world);
    world
}

fn add_group(world: &mut World) {
    let id = world.new_group(PHONES[0], "Fuzzers", Place::Alone);
    let Some(mut group) = world.groups.remove(&id) else { return };
    GROUP.clone_into(&mut group.id);
    group.members.extend(PHONES[1..].iter().map(|phone| ((*phone).to_owned(), Role::Member)));
    world.groups.insert(group.id.clone(), group);
}

fn add_newsletter(world: &mut World) {
    let id = world.new_newsletter(PHONES[0], "Fuzz", "");
    let Some(mut newsletter) = world.newsletters.remove(&id) else { return };
    NEWSLETTER.clone_into(&mut newsletter.id);
    let readers = PHONES[1..].iter().map(|phone| ((*phone).to_owned(), Follower::Subscriber));
    newsletter.followers.extend(readers);
    newsletter.posts.push(Post {
        server_id: 1,
        id: "0".to_owned(),
        by: PHONES[0].to_owned(),
        at: 1,
        kind: "text".to_owned(),
        media: None,
        body: vec![10, 1, 97],
        reactions: BTreeMap::from([(PHONES[1].to_owned(), "1".to_owned())]),
        viewers: BTreeSet::new(),
    });
    world.newsletters.insert(newsletter.id.clone(), newsletter);
}

/// Keys of the right shape; nobody here verifies what they sign.
fn device_keys() -> DeviceKeys {
    DeviceKeys {
        noise: [1; 32],
        identity: keys::derive(SEED, "fuzzing", "identity"),
        registration: 1,
        signed: SignedKey { id: 1, public: [2; 32], signature: [3; 64] },
        one_time: (1..4).map(|id| OneTimeKey { id, public: [4; 32] }).collect(),
        adv: vec![5; 40],
    }
}
