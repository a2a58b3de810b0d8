//! Keys and ids that the network itself owns, derived from its seed.
//!
//! The same seed gives the same accounts, so a test can be repeated and a restarted network is
//! recognised by clients that remember it. Clients' keys and Noise ephemerals are never derived.

use sha2::{Digest, Sha256};
use wacore::libsignal::protocol::{KeyPair, PrivateKey};

/// 32 bytes that only this seed, purpose and subject give.
pub(crate) fn derive(seed: u64, purpose: &str, subject: &str) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(seed.to_be_bytes());
    hasher.update((purpose.len() as u64).to_be_bytes());
    hasher.update(purpose.as_bytes());
    hasher.update(subject.as_bytes());
    hasher.finalize().into()
}

/// A derived number, for ids.
pub(crate) fn derive_number(seed: u64, purpose: &str, subject: &str) -> u64 {
    let digest = derive(seed, purpose, subject);
    u64::from_be_bytes(*digest.first_chunk().expect("8 of 32 bytes"))
}

/// A derived Curve25519 key pair.
pub(crate) fn key_pair(seed: u64, purpose: &str, subject: &str) -> KeyPair {
    let private = PrivateKey::deserialize(&derive(seed, purpose, subject))
        .expect("a private key is any 32 bytes");
    KeyPair::try_from(private).expect("every private key has a public one")
}

/// An `XEdDSA` signature. Signing needs fresh randomness, so signatures are not deterministic.
pub(crate) fn sign(key: &KeyPair, parts: &[&[u8]]) -> [u8; 64] {
    key.private_key
        .calculate_signature_for_multipart_message(parts, &mut rand::rng())
        .expect("XEdDSA signs any message")
}

/// The public half as WhatsApp's wire carries it: 32 bytes, no type prefix.
pub(crate) fn public_bytes(key: &KeyPair) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(key.public_key.public_key_bytes());
    bytes
}
