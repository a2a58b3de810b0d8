//! Frames out of the WebSocket's byte stream.
//!
//! WebSocket message boundaries mean nothing to WhatsApp: a message may hold several frames, a
//! frame may span several messages. A frame is a 3-byte big-endian length and that many bytes.
//! Before the first frame a client sends `WA 06 03`, and before that, when the server once gave it
//! routing information, the `ED 00 01` introduction; the server itself sends no header.

use bytes::{Buf, BytesMut};

/// What enters the Noise prologue.
pub(crate) const CONNECTION_HEADER: [u8; 4] = [b'W', b'A', 6, 3];
const ROUTING_INTRO: [u8; 4] = [b'E', b'D', 0, 1];
const LENGTH_BYTES: usize = 3;
/// No handshake message is near this; a larger one is not a client.
const LARGEST_HANDSHAKE_FRAME: usize = 64 * 1024;

/// Why a byte stream is not WhatsApp's.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum FrameError {
    #[error("the connection does not begin with WhatsApp's header")]
    BadHeader,
    #[error("a handshake frame of {0} bytes")]
    HandshakeTooLarge(usize),
}

/// Collects bytes, gives whole frames.
#[derive(Debug, Default)]
pub(crate) struct FrameReader {
    buffer: BytesMut,
    intro_seen: bool,
    header_seen: bool,
    established: bool,
}

impl FrameReader {
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// From here on frames may be as large as their length can say.
    pub(crate) fn handshake_done(&mut self) {
        self.established = true;
    }

    /// The next whole frame, if its last byte has arrived.
    pub(crate) fn next_frame(&mut self) -> Result<Option<BytesMut>, FrameError> {
        if !self.header_seen && !self.take_header()? {
            return Ok(None);
        }
        let Some(length) = read_length(&self.buffer) else { return Ok(None) };
        if !self.established && length > LARGEST_HANDSHAKE_FRAME {
            return Err(FrameError::HandshakeTooLarge(length));
        }
        if self.buffer.len() < LENGTH_BYTES + length {
            return Ok(None);
        }
        self.buffer.advance(LENGTH_BYTES);
        let frame = self.buffer.split_to(length);
        if self.buffer.is_empty() {
            // Else an idle socket would keep room for the largest upload it ever made.
            self.buffer = BytesMut::new();
        }
        Ok(Some(frame))
    }

    fn take_header(&mut self) -> Result<bool, FrameError> {
        let start = self.buffer.len().min(ROUTING_INTRO.len());
        if !self.intro_seen && self.buffer[..start] == ROUTING_INTRO[..start] {
            let Some(length) = self.buffer.get(start..).and_then(read_length) else {
                return Ok(false);
            };
            if length > LARGEST_HANDSHAKE_FRAME {
                return Err(FrameError::HandshakeTooLarge(length));
            }
            let intro = ROUTING_INTRO.len() + LENGTH_BYTES + length;
            if self.buffer.len() < intro {
                return Ok(false);
            }
            self.buffer.advance(intro);
            self.intro_seen = true;
        }
        let start = self.buffer.len().min(CONNECTION_HEADER.len());
        if self.buffer[..start] != CONNECTION_HEADER[..start] {
            return Err(FrameError::BadHeader);
        }
        if start < CONNECTION_HEADER.len() {
            return Ok(false);
        }
        self.buffer.advance(CONNECTION_HEADER.len());
        self.header_seen = true;
        Ok(true)
    }
}

fn read_length(bytes: &[u8]) -> Option<usize> {
    let [high, middle, low] = *bytes.first_chunk::<LENGTH_BYTES>()?;
    Some(usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low))
}

/// Appends one frame around `payload`.
pub(crate) fn write_frame(payload: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    out.extend_from_slice(&length[1..]);
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(bytes: &[u8]) -> BytesMut {
        BytesMut::from(bytes)
    }

    #[test]
    fn a_frame_split_over_single_bytes_is_one_frame() {
        let mut reader = FrameReader::default();
        let mut wire = CONNECTION_HEADER.to_vec();
        write_frame(b"hello", &mut wire);
        for byte in &wire[..wire.len() - 1] {
            reader.feed(&[*byte]);
            assert_eq!(reader.next_frame(), Ok(None));
        }
        reader.feed(&wire[wire.len() - 1..]);
        assert_eq!(reader.next_frame(), Ok(Some(frame(b"hello"))));
    }

    #[test]
    fn several_frames_in_one_message_come_out_one_by_one() {
        let mut reader = FrameReader::default();
        let mut wire = CONNECTION_HEADER.to_vec();
        write_frame(b"one", &mut wire);
        write_frame(b"two", &mut wire);
        reader.feed(&wire);
        assert_eq!(reader.next_frame(), Ok(Some(frame(b"one"))));
        assert_eq!(reader.next_frame(), Ok(Some(frame(b"two"))));
        assert_eq!(reader.next_frame(), Ok(None));
    }

    #[test]
    fn routing_information_before_the_header_is_skipped() {
        let mut reader = FrameReader::default();
        let mut wire = ROUTING_INTRO.to_vec();
        write_frame(b"routing", &mut wire);
        wire.extend_from_slice(&CONNECTION_HEADER);
        write_frame(b"hello", &mut wire);
        reader.feed(&wire);
        assert_eq!(reader.next_frame(), Ok(Some(frame(b"hello"))));
    }

    #[test]
    fn a_second_introduction_is_refused_however_it_is_split() {
        let mut wire = ROUTING_INTRO.to_vec();
        write_frame(b"routing", &mut wire);
        let second = wire.clone();
        let mut reader = FrameReader::default();
        reader.feed(&wire);
        assert_eq!(reader.next_frame(), Ok(None));
        reader.feed(&second);
        assert_eq!(reader.next_frame(), Err(FrameError::BadHeader));
    }

    #[test]
    fn other_protocols_and_oversized_hellos_are_refused() {
        let mut reader = FrameReader::default();
        reader.feed(b"GET / HTTP/1.1");
        assert_eq!(reader.next_frame(), Err(FrameError::BadHeader));
        let mut reader = FrameReader::default();
        reader.feed(&CONNECTION_HEADER);
        reader.feed(&[0xff, 0xff, 0xff]);
        assert_eq!(reader.next_frame(), Err(FrameError::HandshakeTooLarge(0x00ff_ffff)));
    }
}
