//! The media hosts' memory: uploaded blobs, uploads under way, and who may upload.
//!
//! Blobs are what clients made of them: encrypted, named by their hash. They are kept in memory
//! up to [`CAPACITY`], the oldest go first, which to a client is an expired link.

use std::collections::{HashMap, VecDeque};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::clock::unix_seconds;

/// All blobs together; a simulated network has no disk for media.
const CAPACITY: usize = 1024 * 1024 * 1024;
/// A link ends two weeks later, and its `oe` parameter says so.
const LINK_LIFETIME: u64 = 14 * 24 * 3600;
const GONE: u16 = 410;

/// One stored blob.
#[derive(Debug, Clone)]
pub(crate) struct Blob {
    pub(crate) bytes: Bytes,
    pub(crate) mimetype: &'static str,
    /// Phone number of the uploader; empty for what the network itself put there.
    pub(crate) owner: String,
    /// Set by a fault: the link answers with this code from now on.
    pub(crate) gone: Option<u16>,
    /// When the link ends by itself; profile pictures stay.
    ends: Option<u64>,
}

impl Blob {
    /// With which code the link answers once it has ended.
    pub(crate) fn ended(&self) -> Option<u16> {
        let is_over = self.ends.is_some_and(|end| end <= unix_seconds());
        self.gone.or(is_over.then_some(GONE))
    }
}

/// Everything the media hosts hold.
#[derive(Debug, Default)]
pub(crate) struct Media {
    /// By path, without the query.
    blobs: HashMap<String, Blob>,
    order: VecDeque<String>,
    size: usize,
    /// Direct path of the newest upload of a hash.
    by_token: HashMap<String, String>,
    /// What arrived of uploads that were cut off, by hash.
    partial: HashMap<String, Vec<u8>>,
    /// Authorisations given out by `media_conn`: token to phone number.
    auths: HashMap<String, String>,
    serial: u64,
}

impl Media {
    /// The authorisation of a number, a new one when the last has expired.
    pub(crate) fn auth_for(&mut self, phone: &str) -> String {
        let valid = self.auths.iter().find(|(_, owner)| *owner == phone);
        if let Some((auth, _)) = valid {
            return auth.clone();
        }
        self.serial += 1;
        let digest = Sha256::digest(format!("media-auth {phone} {}", self.serial));
        let auth = URL_SAFE_NO_PAD.encode(digest);
        self.auths.insert(auth.clone(), phone.to_owned());
        auth
    }

    /// Whose authorisation this is.
    pub(crate) fn owner_of(&self, auth: &str) -> Option<&str> {
        self.auths.get(auth).map(String::as_str)
    }

    /// Ends the authorisations of a number, or of all; says how many.
    pub(crate) fn expire_auth(&mut self, target: &str) -> usize {
        let before = self.auths.len();
        self.auths.retain(|_, owner| target != "*" && owner != target);
        before - self.auths.len()
    }

    /// Where an upload of this hash is, when it is complete and its link alive.
    pub(crate) fn complete(&self, token: &str) -> Option<&str> {
        let direct_path = self.by_token.get(token)?;
        let blob = self.blobs.get(path_of(direct_path))?;
        blob.ended().is_none().then_some(direct_path)
    }

    /// How much of an upload has arrived.
    pub(crate) fn received(&self, token: &str) -> usize {
        self.partial.get(token).map_or(0, Vec::len)
    }

    /// Takes what arrived before an upload that continues at `offset`.
    pub(crate) fn resume(&mut self, token: &str, offset: usize) -> Option<Vec<u8>> {
        if offset == 0 {
            self.partial.remove(token);
            return Some(Vec::new());
        }
        let mut head = self.partial.remove(token)?;
        if head.len() < offset {
            self.partial.insert(token.to_owned(), head);
            return None;
        }
        head.truncate(offset);
        Some(head)
    }

    /// Keeps the beginning of an upload that was cut off.
    pub(crate) fn keep_partial(&mut self, token: &str, bytes: Vec<u8>) {
        self.partial.insert(token.to_owned(), bytes);
    }

    /// Stores a client's upload; gives its direct path. The link carries a signature and an
    /// expiry like the real service's.
    pub(crate) fn store(&mut self, token: &str, kind: &str, owner: &str, bytes: Bytes) -> String {
        self.serial += 1;
        let signature = Sha256::digest(format!("{token} {}", self.serial));
        let oh = URL_SAFE_NO_PAD.encode(&signature[..18]);
        let expires = unix_seconds() + LINK_LIFETIME;
        let path = format!("/v/t62.{}-24/{}_{}_n.enc", folder(kind), self.serial, &token[..16]);
        let direct_path = format!("{path}?ccb=11-4&oh={oh}&oe={expires:X}&_nc_sid=5e03e0");
        let mimetype = "application/octet-stream";
        let owner = owner.to_owned();
        let blob = Blob { bytes, mimetype, owner, gone: None, ends: Some(expires) };
        self.insert(path, blob);
        self.by_token.insert(token.to_owned(), direct_path.clone());
        direct_path
    }

    /// Puts a blob of the network's own at a path, as profile pictures are.
    pub(crate) fn publish(&mut self, path: &str, mimetype: &'static str, bytes: Bytes) {
        let owner = String::new();
        let blob = Blob { bytes, mimetype, owner, gone: None, ends: None };
        self.insert(path.to_owned(), blob);
    }

    fn insert(&mut self, path: String, blob: Blob) {
        self.size += blob.bytes.len();
        self.order.push_back(path.clone());
        if let Some(old) = self.blobs.insert(path, blob) {
            self.size -= old.bytes.len();
        }
        while self.size > CAPACITY {
            let Some(oldest) = self.order.pop_front() else { return };
            if let Some(blob) = self.blobs.remove(&oldest) {
                self.size -= blob.bytes.len();
            }
        }
    }

    pub(crate) fn get_mut(&mut self, path: &str) -> Option<&mut Blob> {
        self.blobs.get_mut(path)
    }

    /// The bytes behind a direct path or URL of ours, gone or not: the uploader's own copy.
    pub(crate) fn original(&self, token: &str) -> Option<Bytes> {
        let direct_path = self.by_token.get(token)?;
        self.blobs.get(path_of(direct_path)).map(|blob| blob.bytes.clone())
    }
}

/// A direct path without its query.
pub(crate) fn path_of(direct_path: &str) -> &str {
    direct_path.split_once('?').map_or(direct_path, |(path, _)| path)
}

/// The token under which bytes are uploaded.
pub(crate) fn token_of(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(bytes))
}

/// The number in a direct path that tells the kind of media.
fn folder(kind: &str) -> u16 {
    match kind {
        "image" => 7118,
        "video" => 7161,
        "audio" => 7117,
        "document" => 7119,
        "md-msg-hist" => 36147,
        "md-app-state" => 36145,
        _ => 7120,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_is_found_by_its_hash_until_its_link_is_gone() {
        let mut media = Media::default();
        let bytes = Bytes::from_static(b"ciphertext");
        let token = token_of(&bytes);
        let direct_path = media.store(&token, "image", "15550100001", bytes.clone());
        assert_eq!(media.complete(&token), Some(direct_path.as_str()));
        media.get_mut(path_of(&direct_path)).expect("just stored").gone = Some(410);
        assert_eq!(media.complete(&token), None);
        assert_eq!(media.original(&token), Some(bytes));
    }

    #[test]
    fn an_upload_resumes_only_where_it_was_cut() {
        let mut media = Media::default();
        media.keep_partial("hash", b"abcdef".to_vec());
        assert_eq!(media.received("hash"), 6);
        assert_eq!(media.resume("hash", 9), None);
        assert_eq!(media.resume("hash", 4).as_deref(), Some(&b"abcd"[..]));
    }

    #[test]
    fn an_expired_authorisation_is_replaced() {
        let mut media = Media::default();
        let first = media.auth_for("1");
        assert_eq!(media.auth_for("1"), first);
        assert_eq!(media.expire_auth("1"), 1);
        assert_eq!(media.owner_of(&first), None);
        assert_ne!(media.auth_for("1"), first);
    }
}
