//! Stanzas as another implementation writes them: `tests/vectors/baileys.json`, made by Baileys'
//! encoder (`bench/baileys/golden_vectors.mjs`).

use serde::Deserialize;
use std::collections::BTreeMap;

use wacore_binary::{Node, NodeContent};

use super::cipher::{StanzaError, decode, encode};

#[derive(Deserialize)]
struct Vector {
    name: String,
    node: Spelt,
    encoded: String,
}

/// A node as the vectors spell it.
#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Spelt {
    tag: String,
    attrs: BTreeMap<String, String>,
    bytes: Option<String>,
    children: Option<Vec<Spelt>>,
}

impl Spelt {
    fn of(node: &Node) -> Self {
        let attrs = node.attrs.iter().map(|(key, value)| (key.to_string(), value.to_string()));
        let (bytes, children) = match &node.content {
            None => (None, None),
            Some(NodeContent::Bytes(bytes)) => (Some(hex(bytes)), None),
            Some(NodeContent::String(text)) => (Some(hex(text.as_bytes())), None),
            Some(NodeContent::Nodes(nodes)) => (None, Some(nodes.iter().map(Self::of).collect())),
        };
        Self { tag: node.tag.to_string(), attrs: attrs.collect(), bytes, children }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks_exact(2);
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
    digits.map(|pair| byte(pair).expect("hexadecimal")).collect()
}

fn vectors() -> Vec<Vector> {
    let text = include_str!("../../tests/vectors/baileys.json");
    serde_json::from_str(text).expect("the vectors are JSON")
}

#[test]
fn stanzas_by_another_encoder_are_read_as_they_were_meant() {
    for Vector { name, node, encoded } in vectors() {
        let read = decode(unhex(&encoded)[..].into()).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(Spelt::of(&read), node, "{name}");
    }
}

#[test]
fn stanzas_that_were_read_are_written_byte_for_byte_as_by_the_other_encoder() {
    for Vector { name, encoded, .. } in vectors() {
        let read = decode(unhex(&encoded)[..].into()).unwrap_or_else(|e| panic!("{name}: {e}"));
        let written = encode(&read).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(hex(&written), encoded, "{name}");
    }
}

/// Found by mutation: this tag reads as text, is written as an address, and is no tag then.
#[test]
fn a_name_that_looks_like_an_address_is_refused() {
    let tag = [&[0, 248, 1, 252, 3][..], b"a@b"].concat();
    assert!(matches!(decode(tag[..].into()), Err(StanzaError::Name)));
    let key = [&[0, 248, 3, 252, 1][..], b"x", &[252, 3], b"a@b", &[252, 1], b"y"].concat();
    assert!(matches!(decode(key[..].into()), Err(StanzaError::Name)));
}
