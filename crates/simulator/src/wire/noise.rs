//! The responder's side of the Noise handshake: XX, IK, and XX-fallback.
//!
//! 1. A hello with an ephemeral only is XX: the server proves itself, the client answers with its
//!    static key and payload.
//! 2. A hello with static key and payload is IK: when both decrypt and the caller accepts the
//!    device, one answer ends the handshake.
//! 3. Otherwise the answer is an XX-fallback hello. The presence of the server's static key in it
//!    is what tells the client; a hello that cannot be used is never answered by silence.

use buffa::{Message, MessageField};
use wacore::libsignal::protocol::KeyPair;
use wacore_noise::{NoiseCipher, NoiseHandshake};
use waproto::whatsapp::handshake_message::{ClientHello, ServerHello};
use waproto::whatsapp::{ClientPayload, HandshakeMessage};

use super::certificate::ServerIdentity;
use super::frames::CONNECTION_HEADER;
use crate::keys::public_bytes;

const XX: &str = "Noise_XX_25519_AESGCM_SHA256\0\0\0\0";
const IK: &str = "Noise_IK_25519_AESGCM_SHA256\0\0\0\0";
const XX_FALLBACK: &str = "Noise_XXfallback_25519_AESGCM_SHA256";

/// Why a handshake ended without a session.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeError {
    #[error("the handshake message is no protobuf: {0}")]
    Protobuf(#[from] buffa::DecodeError),
    #[error("the handshake message lacks its {0}")]
    Missing(&'static str),
    #[error("the handshake's {0} has the wrong length")]
    Length(&'static str),
    #[error("the handshake's cryptography failed: {0}")]
    Crypto(String),
}

impl HandshakeError {
    fn crypto(error: impl std::fmt::Display) -> Self {
        Self::Crypto(error.to_string())
    }
}

/// Which pattern a connection ended up with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pattern {
    Xx,
    Ik,
    XxFallback,
}

impl Pattern {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Xx => "xx",
            Self::Ik => "ik",
            Self::XxFallback => "xxFallback",
        }
    }
}

/// A finished handshake.
pub(crate) struct Established {
    pub(crate) pattern: Pattern,
    /// Opens what the client sends.
    pub(crate) read: NoiseCipher,
    /// Seals what the server sends.
    pub(crate) write: NoiseCipher,
    pub(crate) client_static: [u8; 32],
    pub(crate) payload: ClientPayload,
}

/// The answer to the client's hello.
pub(crate) enum HelloAnswer {
    /// IK: send this and the session stands.
    Resumed(Vec<u8>, Box<Established>),
    /// XX or its fallback: send this and wait for the client's finish.
    Proved(Vec<u8>, Box<AwaitingFinish>),
}

/// XX after the server's hello.
pub(crate) struct AwaitingFinish {
    pattern: Pattern,
    noise: NoiseHandshake,
    ephemeral: KeyPair,
}

/// Answers a client's hello. `accepts` decides whether an IK client may resume.
pub(crate) fn answer_hello(
    identity: &ServerIdentity,
    frame: &[u8],
    accepts: impl FnOnce(&[u8; 32], &ClientPayload) -> bool,
) -> Result<HelloAnswer, HandshakeError> {
    let message = HandshakeMessage::decode_from_slice(frame)?;
    let hello = message.client_hello.into_option().ok_or(HandshakeError::Missing("hello"))?;
    let client_ephemeral = key_of(hello.ephemeral.as_deref(), "ephemeral")?;
    if hello.r#static.is_none() {
        return prove(identity, Pattern::Xx, &client_ephemeral);
    }
    match resume(identity, &hello, &client_ephemeral, accepts)? {
        Some((answer, established)) => Ok(HelloAnswer::Resumed(answer, Box::new(established))),
        None => prove(identity, Pattern::XxFallback, &client_ephemeral),
    }
}

/// IK; `None` when its static key or payload does not decrypt or the device may not resume.
fn resume(
    identity: &ServerIdentity,
    hello: &ClientHello,
    client_ephemeral: &[u8; 32],
    accepts: impl FnOnce(&[u8; 32], &ClientPayload) -> bool,
) -> Result<Option<(Vec<u8>, Established)>, HandshakeError> {
    let mut noise = NoiseHandshake::new(IK, &CONNECTION_HEADER).map_err(HandshakeError::crypto)?;
    noise.authenticate(&public_bytes(&identity.static_key));
    noise.authenticate(client_ephemeral);
    mix(&mut noise, &identity.static_key, client_ephemeral)?;
    let Ok(client_static) = noise.decrypt(hello.r#static.as_deref().unwrap_or_default()) else {
        return Ok(None);
    };
    let client_static = key_of(Some(&client_static), "static")?;
    mix(&mut noise, &identity.static_key, &client_static)?;
    let Ok(payload) = noise.decrypt(hello.payload.as_deref().unwrap_or_default()) else {
        return Ok(None);
    };
    let payload = ClientPayload::decode_from_slice(&payload)?;
    if !accepts(&client_static, &payload) {
        return Ok(None);
    }
    let ephemeral = KeyPair::generate(&mut rand::rng());
    noise.authenticate(&public_bytes(&ephemeral));
    mix(&mut noise, &ephemeral, client_ephemeral)?;
    mix(&mut noise, &ephemeral, &client_static)?;
    let chain = noise.encrypt(&identity.chain).map_err(HandshakeError::crypto)?;
    let answer = server_hello(&ephemeral, None, chain);
    let (read, write) = noise.finish().map_err(HandshakeError::crypto)?;
    Ok(Some((answer, Established { pattern: Pattern::Ik, read, write, client_static, payload })))
}

fn prove(
    identity: &ServerIdentity,
    pattern: Pattern,
    client_ephemeral: &[u8; 32],
) -> Result<HelloAnswer, HandshakeError> {
    let name = if pattern == Pattern::Xx { XX } else { XX_FALLBACK };
    let mut noise =
        NoiseHandshake::new(name, &CONNECTION_HEADER).map_err(HandshakeError::crypto)?;
    noise.authenticate(client_ephemeral);
    let ephemeral = KeyPair::generate(&mut rand::rng());
    noise.authenticate(&public_bytes(&ephemeral));
    mix(&mut noise, &ephemeral, client_ephemeral)?;
    let sealed_static =
        noise.encrypt(&public_bytes(&identity.static_key)).map_err(HandshakeError::crypto)?;
    mix(&mut noise, &identity.static_key, client_ephemeral)?;
    let chain = noise.encrypt(&identity.chain).map_err(HandshakeError::crypto)?;
    let answer = server_hello(&ephemeral, Some(sealed_static), chain);
    Ok(HelloAnswer::Proved(answer, Box::new(AwaitingFinish { pattern, noise, ephemeral })))
}

impl AwaitingFinish {
    /// Reads the client's finish: its static key and payload.
    pub(crate) fn finish(mut self, frame: &[u8]) -> Result<Established, HandshakeError> {
        let message = HandshakeMessage::decode_from_slice(frame)?;
        let finish =
            message.client_finish.into_option().ok_or(HandshakeError::Missing("finish"))?;
        let sealed = finish.r#static.ok_or(HandshakeError::Missing("static key"))?;
        let client_static = self.noise.decrypt(&sealed).map_err(HandshakeError::crypto)?;
        let client_static = key_of(Some(&client_static), "static")?;
        mix(&mut self.noise, &self.ephemeral, &client_static)?;
        let sealed = finish.payload.ok_or(HandshakeError::Missing("payload"))?;
        let payload = self.noise.decrypt(&sealed).map_err(HandshakeError::crypto)?;
        let payload = ClientPayload::decode_from_slice(&payload)?;
        let (read, write) = self.noise.finish().map_err(HandshakeError::crypto)?;
        Ok(Established { pattern: self.pattern, read, write, client_static, payload })
    }
}

fn server_hello(ephemeral: &KeyPair, sealed_static: Option<Vec<u8>>, payload: Vec<u8>) -> Vec<u8> {
    HandshakeMessage {
        server_hello: MessageField::some(ServerHello {
            ephemeral: Some(public_bytes(ephemeral).to_vec()),
            r#static: sealed_static,
            payload: Some(payload),
            ..ServerHello::default()
        }),
        ..HandshakeMessage::default()
    }
    .encode_to_vec()
}

fn mix(noise: &mut NoiseHandshake, own: &KeyPair, their: &[u8; 32]) -> Result<(), HandshakeError> {
    noise.mix_shared_secret(own.private_key.serialize(), their).map_err(HandshakeError::crypto)
}

fn key_of(bytes: Option<&[u8]>, name: &'static str) -> Result<[u8; 32], HandshakeError> {
    let bytes = bytes.ok_or(HandshakeError::Missing(name))?;
    bytes.try_into().map_err(|_| HandshakeError::Length(name))
}
