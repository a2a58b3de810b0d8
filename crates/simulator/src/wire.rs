//! Bytes on the chat socket: frames, the Noise handshake, encrypted stanzas.

pub(crate) mod certificate;
pub(crate) mod cipher;
pub(crate) mod frames;
pub(crate) mod noise;

#[cfg(test)]
mod golden;
