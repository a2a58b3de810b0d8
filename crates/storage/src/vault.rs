//! Sealing of secrets at rest.
//!
//! A sealed value is `version ‖ key id ‖ nonce ‖ AES-256-GCM(value)`. The row's id is associated data: a
//! value copied to another row does not open. Each scope (an instance's session state, the webhooks)
//! has a key of its own, derived from the master key, so that the number of values under one key stays
//! far below what random nonces allow.

use crate::error::StorageError;
use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use rand::Rng as _;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use zeroize::Zeroizing;

const VERSION: u8 = 1;
const KEY_ID_LENGTH: usize = 8;
const NONCE_LENGTH: usize = 12;
const HEADER_LENGTH: usize = 1 + KEY_ID_LENGTH + NONCE_LENGTH;

/// The key that everything sealed hangs on. Forgotten when dropped.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; 32]>);

/// A text that is no master key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a master key is base64 of 32 bytes (`openssl rand -base64 32` makes one)")]
pub struct MasterKeyError;

impl MasterKey {
    /// A key from its bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// A new key.
    #[must_use]
    pub fn generate() -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        rand::rng().fill_bytes(&mut *bytes);
        Self(bytes)
    }

    /// Reads base64.
    ///
    /// # Errors
    /// [`MasterKeyError`] names the form.
    pub fn parse(text: &str) -> Result<Self, MasterKeyError> {
        let decoded = STANDARD.decode(text.trim()).map_err(|_| MasterKeyError)?;
        let bytes = Zeroizing::new(decoded);
        let bytes = <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| MasterKeyError)?;
        Ok(Self::from_bytes(bytes))
    }

    /// The form of the key file.
    pub(crate) fn reveal(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(*self.0))
    }

    fn id(&self) -> [u8; KEY_ID_LENGTH] {
        let digest = Sha256::new_with_prefix(b"flowcore master key").chain_update(*self.0);
        let mut id = [0; KEY_ID_LENGTH];
        id.copy_from_slice(&digest.finalize()[..KEY_ID_LENGTH]);
        id
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

/// Hands out the keys of scopes.
#[derive(Debug, Clone)]
pub(crate) struct Vault {
    master: Arc<MasterKey>,
}

impl Vault {
    pub(crate) fn new(master: MasterKey) -> Self {
        Self { master: Arc::new(master) }
    }

    /// What seals and opens the values of a scope.
    pub(crate) fn sealer(&self, scope: &str) -> Sealer {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&*self.master.0)
            .expect("HMAC takes keys of any length");
        mac.update(b"flowcore seal v1 ");
        mac.update(scope.as_bytes());
        let key = Zeroizing::new(<[u8; 32]>::from(mac.finalize().into_bytes()));
        Sealer { cipher: Aes256Gcm::new((&*key).into()), key_id: self.master.id() }
    }
}

/// Seals and opens the values of one scope.
#[derive(Clone)]
pub(crate) struct Sealer {
    cipher: Aes256Gcm,
    key_id: [u8; KEY_ID_LENGTH],
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer(…)")
    }
}

impl Sealer {
    /// Seals a value for the row `row`.
    pub(crate) fn seal(&self, row: &str, value: &[u8]) -> Result<Vec<u8>, StorageError> {
        let mut nonce = [0; NONCE_LENGTH];
        rand::rng().fill_bytes(&mut nonce);
        let payload = Payload { msg: value, aad: row.as_bytes() };
        let sealed = self
            .cipher
            .encrypt(&Nonce::from(nonce), payload)
            .map_err(|_| StorageError::Unexpected("a value is too long to seal".to_owned()))?;
        let mut blob = Vec::with_capacity(HEADER_LENGTH + sealed.len());
        blob.push(VERSION);
        blob.extend_from_slice(&self.key_id);
        blob.extend_from_slice(&nonce);
        blob.extend_from_slice(&sealed);
        Ok(blob)
    }

    /// Opens the value of the row `row` of `table`.
    pub(crate) fn open(
        &self,
        table: &'static str,
        row: &str,
        blob: &[u8],
    ) -> Result<Vec<u8>, StorageError> {
        let opened = self.try_open(row, blob);
        opened.ok_or_else(|| StorageError::Corrupt { table, row: row.to_owned() })
    }

    fn try_open(&self, row: &str, blob: &[u8]) -> Option<Vec<u8>> {
        let (header, sealed) = blob.split_at_checked(HEADER_LENGTH)?;
        let (key_id, nonce) = header.strip_prefix(&[VERSION])?.split_at(KEY_ID_LENGTH);
        if key_id != self.key_id {
            return None;
        }
        let nonce = <[u8; NONCE_LENGTH]>::try_from(nonce).ok()?;
        let payload = Payload { msg: sealed, aad: row.as_bytes() };
        self.cipher.decrypt(&Nonce::from(nonce), payload).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault(byte: u8) -> Vault {
        Vault::new(MasterKey::from_bytes([byte; 32]))
    }

    #[test]
    fn a_value_opens_only_in_its_row_and_scope_and_with_its_key() {
        let sealer = vault(1).sealer("a");
        let blob = sealer.seal("row", b"secret").expect("sealed");
        assert_eq!(sealer.open("t", "row", &blob).expect("opened"), b"secret");
        assert!(!blob.windows(6).any(|window| window == b"secret"));
        assert!(sealer.open("t", "other", &blob).is_err());
        assert!(vault(1).sealer("b").open("t", "row", &blob).is_err());
        assert!(vault(2).sealer("a").open("t", "row", &blob).is_err());
    }

    #[test]
    fn damage_is_an_error_that_names_the_row_only() {
        let sealer = vault(1).sealer("a");
        let blob = sealer.seal("row", b"secret").expect("sealed");
        for index in 0..blob.len() {
            let mut damaged = blob.clone();
            damaged[index] ^= 1;
            let error = sealer.open("t", "row", &damaged).expect_err("refused");
            assert_eq!(error.to_string(), "a row of t is damaged: row");
        }
        assert!(sealer.open("t", "row", &blob[..10]).is_err());
    }

    #[test]
    fn a_key_is_read_back_and_not_printed() {
        let key = MasterKey::generate();
        let text = key.reveal();
        assert_eq!(*MasterKey::parse(&text).expect("a key").0, *key.0);
        assert_eq!(format!("{key:?}"), "MasterKey(…)");
        assert!(MasterKey::parse("short").is_err());
    }
}
