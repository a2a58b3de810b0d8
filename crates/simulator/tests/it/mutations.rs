//! The targets of `fuzz/`, fed for a while with mutations: the same seed gives the same inputs.
//!
//! A failure prints seed, round and input. More rounds: `scripts/soak mutations`.

use std::panic::catch_unwind;
use std::time::{Duration, Instant};

use flowcore_simulator::fuzzing;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, marshal};

/// Three targets side by side, a minute together.
const SHORT: Duration = Duration::from_secs(20);
const LONG: Duration = Duration::from_secs(600);
/// More bytes than any hello and most stanzas.
const LARGEST: usize = 4096;

const TAGS: [&str; 50] = [
    "iq",
    "message",
    "receipt",
    "ack",
    "presence",
    "chatstate",
    "ib",
    "call",
    "notification",
    "enc",
    "participants",
    "to",
    "key",
    "id",
    "value",
    "skey",
    "list",
    "usync",
    "query",
    "user",
    "device",
    "retry",
    "registration",
    "active",
    "group",
    "create",
    "picture",
    "privacy",
    "sync",
    "collection",
    "plaintext",
    "reaction",
    "item",
    "messages",
    "message_updates",
    "live_updates",
    "add",
    "remove",
    "promote",
    "subject",
    "description",
    "ephemeral",
    "invite",
    "membership_requests_action",
    "links",
    "leave",
    "offer",
    "tctoken",
    "device-identity",
    "link_code_companion_reg",
];
const KEYS: [&str; 22] = [
    "id",
    "to",
    "from",
    "type",
    "xmlns",
    "class",
    "participant",
    "recipient",
    "jid",
    "v",
    "t",
    "count",
    "category",
    "name",
    "mode",
    "error",
    "server_id",
    "edit",
    "phash",
    "code",
    "stage",
    "call-id",
];
const NAMESPACES: [&str; 22] = [
    "encrypt",
    "usync",
    "w:p",
    "passive",
    "w:m",
    "w:g2",
    "w:profile:picture",
    "privacy",
    "blocklist",
    "status",
    "w:sync:app:state",
    "urn:xmpp:whatsapp:dirty",
    "abt",
    "w",
    "tos",
    "disappearing_mode",
    "w:mex",
    "newsletter",
    "w:biz",
    "w:stats",
    "md",
    "w:comms:chat",
];
const WORDS: [&str; 18] = [
    "get",
    "set",
    "result",
    "error",
    "read",
    "retry",
    "msg",
    "pkmsg",
    "skmsg",
    "text",
    "media",
    "0",
    "1",
    "-1",
    "4294967296",
    "",
    "peer",
    "available",
];

fn pick<'a>(rng: &mut StdRng, list: &[&'a str]) -> &'a str {
    list[rng.random_range(0..list.len())]
}

fn address(rng: &mut StdRng) -> String {
    let phone = pick(rng, &fuzzing::PHONES);
    match rng.random_range(0..8) {
        0 => format!("{phone}@s.whatsapp.net"),
        1 => format!("{phone}:{}@s.whatsapp.net", fuzzing::DEVICE),
        2 => "s.whatsapp.net".to_owned(),
        3 => format!("{}@g.us", fuzzing::GROUP),
        4 => "status@broadcast".to_owned(),
        5 => format!("{}@newsletter", fuzzing::NEWSLETTER),
        6 => format!("{}@lid", rng.random_range(0..u64::MAX)),
        _ => "4930000000@s.whatsapp.net".to_owned(),
    }
}

fn word(rng: &mut StdRng, key: &str) -> String {
    match key {
        "to" | "from" | "jid" | "participant" | "recipient" => address(rng),
        "xmlns" => pick(rng, &NAMESPACES).to_owned(),
        _ => pick(rng, &WORDS).to_owned(),
    }
}

/// A stanza of the protocol's own words in an order that nobody speaks.
fn babble(rng: &mut StdRng, depth: usize) -> Node {
    let mut builder = NodeBuilder::new(pick(rng, &TAGS));
    let mut keys: Vec<&str> = (0..rng.random_range(0..5)).map(|_| pick(rng, &KEYS)).collect();
    keys.sort_unstable();
    keys.dedup();
    for key in keys {
        let value = word(rng, key);
        builder = builder.attr(key, value);
    }
    match rng.random_range(0..3) {
        0 if depth > 0 => {
            let children: Vec<Node> =
                (0..rng.random_range(0..4)).map(|_| babble(rng, depth - 1)).collect();
            builder.children(children).build()
        }
        1 => {
            let mut bytes = vec![0; rng.random_range(0..70)];
            rng.fill(&mut bytes[..]);
            builder.bytes(bytes).build()
        }
        _ => builder.build(),
    }
}

/// Changes a few bytes, cuts, repeats, or crosses with another seed.
fn mutate(rng: &mut StdRng, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seeds[rng.random_range(0..seeds.len())].clone();
    for _ in 0..rng.random_range(1..6) {
        let at = rng.random_range(0..=bytes.len());
        match rng.random_range(0..6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << rng.random_range(0..8),
            1 if at < bytes.len() => bytes[at] = rng.random(),
            2 => bytes.truncate(at),
            3 => bytes.insert(at, rng.random()),
            4 => {
                let other = &seeds[rng.random_range(0..seeds.len())];
                let from = rng.random_range(0..=other.len());
                bytes.splice(at.., other[from..].iter().copied());
            }
            _ => {
                let again: Vec<u8> = bytes[at..].iter().take(16).copied().collect();
                bytes.splice(at..at, again);
            }
        }
        bytes.truncate(LARGEST);
    }
    bytes
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks_exact(2);
    let byte = |pair| u8::from_str_radix(str::from_utf8(pair).expect("ASCII"), 16);
    digits.map(|pair| byte(pair).expect("hexadecimal")).collect()
}

/// Stanzas of another implementation.
fn golden() -> Vec<Vec<u8>> {
    let vectors: Vec<Value> =
        serde_json::from_str(include_str!("../vectors/baileys.json")).expect("JSON");
    vectors.iter().map(|v| unhex(v["encoded"].as_str().expect("text"))).collect()
}

/// A client's first bytes: header, frames, an XX and an IK hello.
fn hellos() -> Vec<Vec<u8>> {
    let key = [7; 32];
    let field = |number: u8, bytes: &[u8]| {
        let length = u8::try_from(bytes.len()).expect("short");
        [&[number << 3 | 2, length], bytes].concat()
    };
    let xx = field(2, &field(1, &key));
    let ik = field(2, &[field(1, &key), field(2, &[8; 48]), field(3, &[9; 40])].concat());
    let finish = field(4, &[field(1, &[8; 48]), field(2, &[9; 40])].concat());
    [xx, ik].into_iter().map(|hello| with_length(&hello, &finish)).collect()
}

fn with_length(hello: &[u8], finish: &[u8]) -> Vec<u8> {
    let length = u16::try_from(hello.len()).expect("short").to_be_bytes();
    [&length, hello, finish].concat()
}

fn framed() -> Vec<Vec<u8>> {
    let frame = |bytes: &[u8]| {
        let length = u32::try_from(bytes.len()).expect("short").to_be_bytes();
        [&length[1..], bytes].concat()
    };
    let header = b"WA\x06\x03".to_vec();
    let intro = [&b"ED\x00\x01"[..], &frame(b"routing")].concat();
    let plain = [header, frame(b"hello"), frame(b""), frame(&[1; 300])].concat();
    vec![[intro, plain.clone()].concat(), plain]
}

/// Feeds a target until the time is over; a panic is told with what made it.
fn feed(
    name: &str,
    time: Duration,
    target: fn(&[u8]),
    mut next: impl FnMut(&mut StdRng) -> Vec<u8>,
) {
    let seed = crate::harness::seed();
    println!("{name}: seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let start = Instant::now();
    let mut round = 0_u64;
    while start.elapsed() < time {
        let input = next(&mut rng);
        if catch_unwind(|| target(&input)).is_err() {
            let hex = input.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
            panic!("{name}: seed {seed}, round {round}, input {hex}");
        }
        round += 1;
    }
    println!("{name}: {round} rounds");
    assert!(round > 100, "{name}: only {round} rounds");
}

fn stanzas(time: Duration) {
    let seeds = golden();
    feed("stanza", time, fuzzing::stanza, |rng| match rng.random_range(0..3) {
        0 => mutate(rng, &seeds),
        1 => marshal(&babble(rng, 4)).expect("it can be written"),
        _ => {
            let written = marshal(&babble(rng, 4)).expect("it can be written");
            mutate(rng, &[written])
        }
    });
}

fn handshakes(time: Duration) {
    let seeds = hellos();
    feed("handshake", time, fuzzing::handshake, |rng| mutate(rng, &seeds));
}

fn frames(time: Duration) {
    let seeds = framed();
    feed("frame", time, fuzzing::frames, |rng| mutate(rng, &seeds));
}

#[test]
fn no_stanza_breaks_the_network() {
    stanzas(SHORT);
}

#[test]
fn no_handshake_breaks_the_network() {
    handshakes(SHORT);
}

#[test]
fn no_frame_breaks_the_network() {
    frames(SHORT);
}

#[test]
#[ignore = "half an hour: scripts/soak mutations"]
fn soak_mutations() {
    stanzas(LONG);
    handshakes(LONG);
    frames(LONG);
}
