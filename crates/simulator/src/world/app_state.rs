//! App state: collections of encrypted patches with a version each.
//!
//! The server never needs the key; the phone holds it, and shares it with a new device. A fresh
//! account's `critical_block` holds one patch by the phone: its push name.

use std::collections::BTreeMap;

use buffa::{Message, MessageField};
use serde::{Deserialize, Serialize};
use wacore::appstate::hash::{HashState, generate_patch_mac};
use wacore::appstate::{encode_record, expand_app_state_keys};
use waproto::whatsapp::sync_action_value::PushNameSetting;
use waproto::whatsapp::syncd_mutation::SyncdOperation;
use waproto::whatsapp::{KeyId, SyncActionValue, SyncdPatch, SyncdVersion};

use super::encoding::base64_bytes;
use crate::clock::unix_seconds;
use crate::keys;

const PUSH_NAME_COLLECTION: &str = "critical_block";
const PUSH_NAME_INDEX: &[u8] = br#"["setting_pushName"]"#;
const PUSH_NAME_VERSION: i32 = 1;

/// One accepted patch, as it is handed out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Patch(#[serde(with = "base64_bytes")] pub(crate) Vec<u8>);

/// All collections of an account.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AppState {
    #[serde(with = "base64_bytes")]
    pub(crate) key_id: [u8; 6],
    #[serde(with = "base64_bytes")]
    pub(crate) key: [u8; 32],
    /// A collection's version is the number of its patches.
    collections: BTreeMap<String, Vec<Patch>>,
}

impl AppState {
    /// The app state of a fresh account.
    pub(crate) fn new(seed: u64, phone: &str, push_name: &str) -> Self {
        // A key id begins with the index of the device that made it: 0, the phone.
        let mut key_id = [0; 6];
        key_id[2..].copy_from_slice(&keys::derive(seed, "app-state-key-id", phone)[..4]);
        let key = keys::derive(seed, "app-state-key", phone);
        let mut state = Self { key_id, key, collections: BTreeMap::new() };
        let patch = state.push_name_patch(&keys::derive(seed, "app-state-iv", phone), push_name);
        state.collections.insert(PUSH_NAME_COLLECTION.to_owned(), vec![Patch(patch)]);
        state
    }

    /// The version of a collection; 0 while it is empty.
    pub(crate) fn version(&self, collection: &str) -> u64 {
        self.collections.get(collection).map_or(0, |patches| patches.len() as u64)
    }

    /// The patches after a version, oldest first.
    pub(crate) fn since(&self, collection: &str, version: u64) -> &[Patch] {
        let patches = self.collections.get(collection).map_or(&[][..], Vec::as_slice);
        let start = usize::try_from(version).unwrap_or(usize::MAX).min(patches.len());
        &patches[start..]
    }

    /// Takes a client's patch on top of `base`; `None` when that is not our version.
    pub(crate) fn apply(
        &mut self,
        collection: &str,
        base: u64,
        patch: &[u8],
    ) -> Result<Option<u64>, buffa::DecodeError> {
        let mut patch = SyncdPatch::decode_from_slice(patch)?;
        if self.version(collection) != base {
            return Ok(None);
        }
        let version = base + 1;
        // Clients send patches without their version; readers need it inside.
        patch.version = MessageField::some(SyncdVersion { version: Some(version) });
        let patches = self.collections.entry(collection.to_owned()).or_default();
        patches.push(Patch(patch.encode_to_vec()));
        Ok(Some(version))
    }

    fn push_name_patch(&self, iv: &[u8; 32], push_name: &str) -> Vec<u8> {
        let expanded = expand_app_state_keys(&self.key);
        let mut nonce = [0; 16];
        nonce.copy_from_slice(&iv[..16]);
        let value = SyncActionValue {
            push_name_setting: MessageField::some(PushNameSetting {
                name: Some(push_name.to_owned()),
            }),
            timestamp: i64::try_from(unix_seconds()).ok(),
            ..SyncActionValue::default()
        };
        let (mutation, _) = encode_record(
            SyncdOperation::SET,
            PUSH_NAME_INDEX,
            &value,
            &expanded,
            &self.key_id,
            &nonce,
            PUSH_NAME_VERSION,
        );
        let mut hash = HashState { version: 1, ..HashState::default() };
        let (_, outcome) = hash.update_hash(std::slice::from_ref(&mutation), |_, _| Ok(None));
        debug_assert!(outcome.is_ok(), "a single SET always hashes");
        let snapshot_mac = hash.generate_snapshot_mac(PUSH_NAME_COLLECTION, &expanded.snapshot_mac);
        let mut patch = SyncdPatch {
            version: MessageField::some(SyncdVersion { version: Some(1) }),
            mutations: vec![mutation],
            snapshot_mac: Some(snapshot_mac),
            key_id: MessageField::some(KeyId { id: Some(self.key_id.to_vec()) }),
            ..SyncdPatch::default()
        };
        let mac = generate_patch_mac(&patch, PUSH_NAME_COLLECTION, &expanded.patch_mac, 1);
        patch.patch_mac = Some(mac);
        patch.encode_to_vec()
    }
}
