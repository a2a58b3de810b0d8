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
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use zeroize::Zeroizing;

const VERSION: u8 = 1;
const KEY_ID_LENGTH: usize = 8;
const NONCE_LENGTH: usize = 12;
const HEADER_LENGTH: usize = 1 + KEY_ID_LENGTH + NONCE_LENGTH;

/// The key that everything sealed hangs on, and the earlier ones that still open what they sealed. Forgotten
/// when dropped.
#[derive(Clone)]
pub struct MasterKey {
    current: Key,
    earlier: Vec<Key>,
}

#[derive(Clone)]
struct Key {
    id: [u8; KEY_ID_LENGTH],
    bytes: Zeroizing<[u8; 32]>,
}

impl Key {
    fn new(bytes: Zeroizing<[u8; 32]>) -> Self {
        let digest = Sha256::new_with_prefix(b"flowcore master key").chain_update(*bytes);
        let mut id = [0; KEY_ID_LENGTH];
        id.copy_from_slice(&digest.finalize()[..KEY_ID_LENGTH]);
        Self { id, bytes }
    }
}

/// A text that is no master key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a master key is base64 of 32 bytes (`openssl rand -base64 32` makes one)")]
pub struct MasterKeyError;

impl MasterKey {
    /// A key from its bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self { current: Key::new(Zeroizing::new(bytes)), earlier: Vec::new() }
    }

    /// A new key.
    #[must_use]
    pub fn generate() -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        rand::rng().fill_bytes(&mut *bytes);
        Self { current: Key::new(bytes), earlier: Vec::new() }
    }

    /// Reads base64; several keys, in lines or with commas between them, are the current one and earlier
    /// ones.
    ///
    /// # Errors
    /// [`MasterKeyError`] names the form.
    pub fn parse(text: &str) -> Result<Self, MasterKeyError> {
        let words = text.split([',', ' ', '\n', '\r', '\t']).filter(|word| !word.is_empty());
        let mut keys = words.map(|word| {
            let decoded = STANDARD.decode(word).map_err(|_| MasterKeyError)?;
            let decoded = Zeroizing::new(decoded);
            let bytes = <[u8; 32]>::try_from(decoded.as_slice()).map_err(|_| MasterKeyError)?;
            Ok(Key::new(Zeroizing::new(bytes)))
        });
        let current = keys.next().ok_or(MasterKeyError)??;
        Ok(Self { current, earlier: keys.collect::<Result<_, _>>()? })
    }

    /// The form of the key file: a line for each.
    pub(crate) fn reveal(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::new());
        for key in std::iter::once(&self.current).chain(&self.earlier) {
            text.push_str(&Zeroizing::new(STANDARD.encode(*key.bytes)));
            text.push('\n');
        }
        text
    }

    /// A new key, with this one and those before it as earlier ones.
    pub(crate) fn succeeded(&self) -> Self {
        let mut next = Self::generate();
        next.earlier.push(self.current.clone());
        next.earlier.extend(self.earlier.iter().cloned());
        next
    }

    /// Without earlier keys.
    pub(crate) fn alone(&self) -> Self {
        Self { current: self.current.clone(), earlier: Vec::new() }
    }

    /// Whether this opens what `other` seals.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self.find(other.current.id).is_some()
    }

    pub(crate) fn has_earlier(&self) -> bool {
        !self.earlier.is_empty()
    }

    /// What the current key writes into everything that it seals.
    pub(crate) fn id(&self) -> [u8; KEY_ID_LENGTH] {
        self.current.id
    }

    fn find(&self, id: [u8; KEY_ID_LENGTH]) -> Option<&Key> {
        std::iter::once(&self.current).chain(&self.earlier).find(|key| key.id == id)
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

/// Hands out the keys of scopes. Clones share the master key, also when it changes.
#[derive(Debug, Clone)]
pub(crate) struct Vault {
    master: Arc<RwLock<MasterKey>>,
}

impl Vault {
    pub(crate) fn new(master: MasterKey) -> Self {
        Self { master: Arc::new(RwLock::new(master)) }
    }

    /// The key as it is now.
    pub(crate) fn master(&self) -> MasterKey {
        self.master.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From here on another key seals.
    pub(crate) fn replace(&self, master: MasterKey) {
        *self.master.write().unwrap_or_else(PoisonError::into_inner) = master;
    }

    /// A key for something that is not sealed, by the current master key.
    pub(crate) fn derive(&self, purpose: &str) -> [u8; 32] {
        let master = self.master.read().unwrap_or_else(PoisonError::into_inner);
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&*master.current.bytes)
            .expect("HMAC takes keys of any length");
        mac.update(b"flowcore derive v1 ");
        mac.update(purpose.as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// What seals and opens the values of a scope.
    pub(crate) fn sealer(&self, scope: &str) -> Sealer {
        Sealer { vault: self.clone(), scope: scope.into(), ciphers: Arc::default() }
    }
}

/// A cipher and the id of the master key that it comes from.
type KnownCipher = ([u8; KEY_ID_LENGTH], Arc<Aes256Gcm>);

/// Seals and opens the values of one scope.
#[derive(Clone)]
pub(crate) struct Sealer {
    vault: Vault,
    scope: Arc<str>,
    /// Those made so far, by the id of their master key; there are one or two.
    ciphers: Arc<Mutex<Vec<KnownCipher>>>,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer(…)")
    }
}

impl Sealer {
    /// The cipher of this scope under a master key; `None` when that key is not known.
    fn cipher(&self, id: [u8; KEY_ID_LENGTH]) -> Option<Arc<Aes256Gcm>> {
        let mut ciphers = self.ciphers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, cipher)) = ciphers.iter().find(|(known, _)| *known == id) {
            return Some(Arc::clone(cipher));
        }
        let master = self.vault.master.read().unwrap_or_else(PoisonError::into_inner);
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&*master.find(id)?.bytes)
            .expect("HMAC takes keys of any length");
        mac.update(b"flowcore seal v1 ");
        mac.update(self.scope.as_bytes());
        let key = Zeroizing::new(<[u8; 32]>::from(mac.finalize().into_bytes()));
        let cipher = Arc::new(Aes256Gcm::new((&*key).into()));
        ciphers.push((id, Arc::clone(&cipher)));
        Some(cipher)
    }

    /// Seals a value for the row `row`.
    pub(crate) fn seal(&self, row: &str, value: &[u8]) -> Result<Vec<u8>, StorageError> {
        let mut nonce = [0; NONCE_LENGTH];
        rand::rng().fill_bytes(&mut nonce);
        let payload = Payload { msg: value, aad: row.as_bytes() };
        let id = self.vault.master.read().unwrap_or_else(PoisonError::into_inner).id();
        let cipher = self.cipher(id);
        let sealed = cipher
            .ok_or_else(|| StorageError::Unexpected("the master key just changed".to_owned()))?
            .encrypt(&Nonce::from(nonce), payload)
            .map_err(|_| StorageError::Unexpected("a value is too long to seal".to_owned()))?;
        let mut blob = Vec::with_capacity(HEADER_LENGTH + sealed.len());
        blob.push(VERSION);
        blob.extend_from_slice(&id);
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
        let cipher = self.cipher(key_id.try_into().ok()?)?;
        let nonce = <[u8; NONCE_LENGTH]>::try_from(nonce).ok()?;
        let payload = Payload { msg: sealed, aad: row.as_bytes() };
        cipher.decrypt(&Nonce::from(nonce), payload).ok()
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
        assert_eq!(MasterKey::parse(&text).expect("a key").id(), key.id());
        assert_eq!(format!("{key:?}"), "MasterKey(…)");
        assert!(MasterKey::parse("short").is_err());
    }

    #[test]
    fn a_new_key_seals_and_the_earlier_one_still_opens() {
        let vault = vault(1);
        let sealer = vault.sealer("a");
        let old = sealer.seal("row", b"secret").expect("sealed");
        let next = vault.master().succeeded();
        vault.replace(MasterKey::parse(&next.reveal()).expect("keys"));
        let new = sealer.seal("row", b"secret").expect("sealed");
        for blob in [&old, &new] {
            assert_eq!(sealer.open("t", "row", blob).expect("opened"), b"secret");
        }
        let later = Vault::new(vault.master().alone()).sealer("a");
        assert!(later.open("t", "row", &new).is_ok() && later.open("t", "row", &old).is_err());
    }
}
