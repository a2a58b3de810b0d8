//! Reading and building stanzas.
//!
//! Attribute values arrive as strings or as JIDs and content as bytes or strings; both are read
//! by what they display, as the real server does.

use std::borrow::Cow;

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, NodeContent, NodeValue};

/// The server's own address.
pub(crate) const SERVER: &str = "s.whatsapp.net";

pub(crate) fn attr<'a>(node: &'a Node, key: &str) -> Option<Cow<'a, str>> {
    node.attrs.get(key).map(NodeValue::as_str)
}

/// An attribute's text, empty when it is not there.
pub(crate) fn text_attr(node: &Node, key: &str) -> String {
    attr(node, key).map(Cow::into_owned).unwrap_or_default()
}

pub(crate) fn jid_attr(node: &Node, key: &str) -> Option<Jid> {
    node.attrs.get(key).and_then(NodeValue::to_jid)
}

pub(crate) fn has_attr(node: &Node, key: &str, value: &str) -> bool {
    attr(node, key).is_some_and(|found| found == value)
}

pub(crate) fn child<'a>(node: &'a Node, tag: &str) -> Option<&'a Node> {
    node.get_optional_child(tag)
}

pub(crate) fn children(node: &Node) -> &[Node] {
    node.children().unwrap_or_default()
}

pub(crate) fn children_named<'a>(node: &'a Node, tag: &str) -> impl Iterator<Item = &'a Node> {
    children(node).iter().filter(move |found| found.tag == tag)
}

/// Content as bytes, whichever way it was encoded.
pub(crate) fn bytes_of(node: &Node) -> Option<&[u8]> {
    match node.content.as_ref()? {
        NodeContent::Bytes(bytes) => Some(bytes),
        NodeContent::String(text) => Some(text.as_bytes()),
        NodeContent::Nodes(_) => None,
    }
}

/// Content as text.
pub(crate) fn text_of(node: &Node) -> Option<String> {
    bytes_of(node).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
}

/// The bytes of a child.
pub(crate) fn child_bytes<'a>(node: &'a Node, tag: &str) -> Option<&'a [u8]> {
    bytes_of(child(node, tag)?)
}

/// A big-endian number in bytes, as keys carry their ids.
pub(crate) fn number_of(bytes: &[u8]) -> Option<u32> {
    if bytes.is_empty() || bytes.len() > 4 {
        return None;
    }
    Some(bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
}

/// The 3 bytes of a key id.
pub(crate) fn key_id_bytes(id: u32) -> Vec<u8> {
    id.to_be_bytes()[1..].to_vec()
}

pub(crate) fn leaf(tag: &'static str, bytes: impl Into<Vec<u8>>) -> Node {
    NodeBuilder::new(tag).bytes(bytes).build()
}

/// `<iq type="result">` for a request, from whom it was addressed to.
pub(crate) fn result_of(request: &Node, children: impl IntoIterator<Item = Node>) -> Node {
    let mut builder = answer_to(request, "result");
    let mut children = children.into_iter().peekable();
    if children.peek().is_some() {
        builder = builder.children(children);
    }
    builder.build()
}

/// `<iq type="error">` for a request.
pub(crate) fn error_of(request: &Node, code: u16, text: &'static str) -> Node {
    answer_to(request, "error").children([error_node(code, text)]).build()
}

pub(crate) fn error_node(code: u16, text: &'static str) -> Node {
    NodeBuilder::new("error").attr("code", code).attr("text", text).build()
}

fn answer_to(request: &Node, kind: &'static str) -> NodeBuilder {
    let from = jid_attr(request, "to").map_or_else(|| SERVER.into(), NodeValue::from);
    NodeBuilder::new("iq")
        .attr("id", text_attr(request, "id"))
        .attr("from", from)
        .attr("type", kind)
        .attr("t", crate::clock::unix_seconds())
}

/// `<stream:error code=…>` around a child, if any.
pub(crate) fn stream_error(code: Option<u16>, cause: Option<Node>) -> Node {
    let mut builder = NodeBuilder::new("stream:error");
    if let Some(code) = code {
        builder = builder.attr("code", code);
    }
    builder.children(cause).build()
}

/// The stream error for bytes that are no stanza.
pub(crate) fn not_well_formed() -> Node {
    stream_error(None, Some(NodeBuilder::new("xml-not-well-formed").build()))
}

/// The child of a stream error that says why: `replaced` or `device_removed`.
pub(crate) fn conflict(kind: &'static str) -> Node {
    NodeBuilder::new("conflict").attr("type", kind).build()
}

/// Adds an attribute to a finished stanza.
pub(crate) fn with_attr(mut node: Node, key: &'static str, value: impl Into<NodeValue>) -> Node {
    node.attrs.insert(key, value.into());
    node
}
