//! Stanzas as they travel after the handshake: binary XML behind a flag byte, sealed with
//! AES-256-GCM under a counter of its own in each direction.

use bytes::BytesMut;
use wacore_binary::{Node, OwnedNodeRef, marshal_auto};
use wacore_noise::NoiseCipher;

use super::frames::write_frame;
use crate::stanza::children;

/// Why a frame after the handshake is not a stanza.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StanzaError {
    #[error("the frame does not decrypt")]
    Sealed,
    #[error("the stanza is malformed: {0}")]
    Malformed(#[from] wacore_binary::BinaryError),
    #[error("a tag or an attribute is named like an address")]
    Name,
    #[error("the frame counter is exhausted")]
    CounterExhausted,
}

/// Opens what the client sent.
pub(crate) struct StanzaReader {
    cipher: NoiseCipher,
    counter: u32,
}

impl StanzaReader {
    pub(crate) fn new(cipher: NoiseCipher) -> Self {
        Self { cipher, counter: 0 }
    }

    pub(crate) fn open(&mut self, mut frame: BytesMut) -> Result<Node, StanzaError> {
        let counter = advance(&mut self.counter)?;
        self.cipher
            .decrypt_in_place_with_counter(counter, &mut frame)
            .map_err(|_| StanzaError::Sealed)?;
        decode(frame)
    }
}

/// What a value begins with, or has in it, that can be read as an address and not be written as one: `@`, and
/// the codec's marks of addresses with devices, of interoperability and of Messenger.
const ADDRESS_MARKS: [u8; 4] = [b'@', 0xF5, 0xF6, 0xF7];

/// A stanza from what was sealed: a flag byte, then binary XML, which may be compressed.
pub(crate) fn decode(payload: BytesMut) -> Result<Node, StanzaError> {
    let plain = wacore_binary::util::unpack_bytes(payload)?;
    let has_address = plain.iter().any(|byte| ADDRESS_MARKS.contains(byte));
    let stanza = OwnedNodeRef::new(plain)?.to_owned_node();
    let fits = has_plain_names(&stanza) && (!has_address || reads_back(&stanza));
    if fits { Ok(stanza) } else { Err(StanzaError::Name) }
}

/// A value that only looks like an address (`x@a`) is written as one of a server that nobody knows.
fn reads_back(stanza: &Node) -> bool {
    let Ok(written) = marshal_auto(stanza) else { return false };
    wacore_binary::util::unpack_bytes(BytesMut::from(&written[..]))
        .is_ok_and(|plain| OwnedNodeRef::new(plain).is_ok())
}

/// The codec writes what looks like an address as one, which nobody can read where a name belongs:
/// passed on to another device, such a stanza would end that device's socket.
fn has_plain_names(node: &Node) -> bool {
    let is_plain = |name: &str| !name.contains('@');
    is_plain(&node.tag)
        && node.attrs.iter().all(|(key, _)| is_plain(key))
        && children(node).iter().all(has_plain_names)
}

/// The other way.
pub(crate) fn encode(stanza: &Node) -> Result<Vec<u8>, StanzaError> {
    Ok(marshal_auto(stanza)?)
}

/// Seals what the server says.
pub(crate) struct StanzaWriter {
    cipher: NoiseCipher,
    counter: u32,
}

impl StanzaWriter {
    pub(crate) fn new(cipher: NoiseCipher) -> Self {
        Self { cipher, counter: 0 }
    }

    /// Appends the stanza's frame to `out`.
    pub(crate) fn seal(&mut self, stanza: &Node, out: &mut Vec<u8>) -> Result<(), StanzaError> {
        let mut payload = encode(stanza)?;
        let counter = advance(&mut self.counter)?;
        self.cipher
            .encrypt_in_place_with_counter(counter, &mut payload)
            .map_err(|_| StanzaError::Sealed)?;
        write_frame(&payload, out);
        Ok(())
    }
}

fn advance(counter: &mut u32) -> Result<u32, StanzaError> {
    let current = *counter;
    *counter = current.checked_add(1).ok_or(StanzaError::CounterExhausted)?;
    Ok(current)
}
