//! App state: collections of encrypted patches with a version each.
//!
//! The server orders patches and never needs the key; the phone holds it, shares it with a new
//! device, and checks every patch by its MACs before anybody else gets it. A fresh account's
//! `critical_block` holds one patch by the phone: its push name.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use buffa::{Message, MessageField};
use serde::{Deserialize, Serialize};
use wacore::appstate::hash::{HashState, generate_patch_mac};
use wacore::appstate::keys::ExpandedAppStateKeys;
use wacore::appstate::processor::process_patch;
use wacore::appstate::{AppStateError, decode_record, encode_record, expand_app_state_keys};
use waproto::whatsapp::sync_action_value::PushNameSetting;
use waproto::whatsapp::syncd_mutation::SyncdOperation;
use waproto::whatsapp::{
    KeyId, SyncActionValue, SyncdPatch, SyncdRecord, SyncdSnapshot, SyncdVersion,
};

use super::encoding::base64_bytes;
use crate::clock::unix_seconds;
use crate::keys;

const PUSH_NAME_COLLECTION: &str = "critical_block";
const PUSH_NAME_INDEX: &[u8] = br#"["setting_pushName"]"#;
const PUSH_NAME_VERSION: i32 = 1;

/// One accepted patch, as it is handed out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Patch(#[serde(with = "base64_bytes")] pub(crate) Vec<u8>);

/// Why a patch is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PatchRefusal {
    #[error("the patch is for an older version")]
    Conflict,
    #[error("the patch cannot be read")]
    Malformed(#[from] buffa::DecodeError),
    #[error("the phone does not believe the patch: {0}")]
    Forged(#[from] AppStateError),
}

/// One entry that the phone writes by itself.
pub(crate) struct Action {
    pub(crate) collection: &'static str,
    /// The JSON array that names it.
    pub(crate) index: Vec<u8>,
    pub(crate) value: SyncActionValue,
    pub(crate) version: i32,
}

/// All collections of an account.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AppState {
    #[serde(with = "base64_bytes")]
    pub(crate) key_id: [u8; 6],
    #[serde(with = "base64_bytes")]
    pub(crate) key: [u8; 32],
    /// A collection's version is the number of its patches.
    collections: BTreeMap<String, Vec<Patch>>,
    /// What the patches come to; reckoned when it is needed.
    #[serde(skip)]
    folded: BTreeMap<String, Folded>,
}

/// A collection as the phone sees it at a version.
#[derive(Debug, Clone, Default)]
struct Folded {
    hash: HashState,
    /// By the MAC of their index.
    records: HashMap<Vec<u8>, SyncdRecord>,
}

impl AppState {
    /// The app state of a fresh account.
    pub(crate) fn new(seed: u64, phone: &str, push_name: &str) -> Self {
        // A key id begins with the index of the device that made it: 0, the phone.
        let mut key_id = [0; 6];
        key_id[2..].copy_from_slice(&keys::derive(seed, "app-state-key-id", phone)[..4]);
        let key = keys::derive(seed, "app-state-key", phone);
        let mut state = Self { key_id, key, collections: BTreeMap::new(), folded: BTreeMap::new() };
        let name = PushNameSetting { name: Some(push_name.to_owned()) };
        let action = Action {
            collection: PUSH_NAME_COLLECTION,
            index: PUSH_NAME_INDEX.to_vec(),
            value: SyncActionValue {
                push_name_setting: MessageField::some(name),
                timestamp: i64::try_from(unix_seconds() * 1000).ok(),
                ..SyncActionValue::default()
            },
            version: PUSH_NAME_VERSION,
        };
        state.write(&action, &keys::derive(seed, "app-state-iv", phone));
        // An idle account keeps only the patch.
        state.folded.clear();
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

    /// Takes a client's patch on top of `base`; gives the new version.
    pub(crate) fn apply(
        &mut self,
        collection: &str,
        base: u64,
        patch: &[u8],
    ) -> Result<u64, PatchRefusal> {
        let mut patch = SyncdPatch::decode_from_slice(patch)?;
        if self.version(collection) != base {
            return Err(PatchRefusal::Conflict);
        }
        let version = base + 1;
        // Clients send patches without their version; readers need it inside.
        patch.version = MessageField::some(SyncdVersion { version: Some(version) });
        let mut folded = self.folded(collection)?;
        self.fold(collection, &mut folded, &patch)?;
        self.folded.insert(collection.to_owned(), folded);
        let patches = self.collections.entry(collection.to_owned()).or_default();
        patches.push(Patch(patch.encode_to_vec()));
        Ok(version)
    }

    /// The phone writes an entry; gives the collection's new version.
    pub(crate) fn write(&mut self, action: &Action, iv: &[u8; 32]) -> u64 {
        let name = action.collection;
        let expanded = expand_app_state_keys(&self.key);
        let nonce = *iv.first_chunk().expect("16 of 32 bytes");
        let (mutation, _) = encode_record(
            SyncdOperation::SET,
            &action.index,
            &action.value,
            &expanded,
            &self.key_id,
            &nonce,
            action.version,
        );
        let Folded { mut hash, records } = self.folded(name).unwrap_or_default();
        let version = self.version(name) + 1;
        hash.version = version;
        let (_, outcome) = hash.update_hash(std::slice::from_ref(&mutation), |index, _| {
            Ok(records.get(index).and_then(value_mac))
        });
        debug_assert!(outcome.is_ok(), "a single SET always hashes");
        let mut patch = SyncdPatch {
            version: MessageField::some(SyncdVersion { version: Some(version) }),
            mutations: vec![mutation],
            snapshot_mac: Some(hash.generate_snapshot_mac(name, &expanded.snapshot_mac)),
            key_id: MessageField::some(KeyId { id: Some(self.key_id.to_vec()) }),
            ..SyncdPatch::default()
        };
        let mac = generate_patch_mac(&patch, name, &expanded.patch_mac, version);
        patch.patch_mac = Some(mac);
        let patches = self.collections.entry(name.to_owned()).or_default();
        patches.push(Patch(patch.encode_to_vec()));
        version
    }

    /// The whole collection at once, as the phone would upload it.
    pub(crate) fn snapshot(&mut self, collection: &str) -> Option<SyncdSnapshot> {
        let folded = self.folded(collection).ok()?;
        let expanded = expand_app_state_keys(&self.key);
        let mac = folded.hash.generate_snapshot_mac(collection, &expanded.snapshot_mac);
        let version = folded.hash.version;
        let snapshot = SyncdSnapshot {
            version: MessageField::some(SyncdVersion { version: Some(version) }),
            records: folded.records.values().cloned().collect(),
            mac: Some(mac),
            key_id: MessageField::some(KeyId { id: Some(self.key_id.to_vec()) }),
        };
        self.folded.insert(collection.to_owned(), folded);
        Some(snapshot)
    }

    /// All entries as the phone reads them: what each is about, and what it says.
    pub(crate) fn entries(&self) -> Vec<(Vec<String>, SyncActionValue)> {
        let expanded = expand_app_state_keys(&self.key);
        let folded = self.collections.keys().filter_map(|name| self.folded(name).ok());
        let records = folded.flat_map(|folded| folded.records.into_values());
        let read = records.filter_map(|record| {
            let set = SyncdOperation::SET;
            let read = decode_record(set, &record, &expanded, &self.key_id, true).ok();
            read.and_then(|(entry, _)| Some((entry.index, entry.action_value?)))
        });
        let mut entries: Vec<_> = read.collect();
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        entries
    }

    /// What all patches of a collection come to.
    fn folded(&self, collection: &str) -> Result<Folded, PatchRefusal> {
        let mut folded = self.folded.get(collection).cloned().unwrap_or_default();
        for patch in self.since(collection, folded.hash.version) {
            let patch = SyncdPatch::decode_from_slice(&patch.0)?;
            self.fold(collection, &mut folded, &patch)?;
        }
        Ok(folded)
    }

    /// Adds one patch, when its MACs hold.
    fn fold(
        &self,
        collection: &str,
        folded: &mut Folded,
        patch: &SyncdPatch,
    ) -> Result<(), PatchRefusal> {
        let Folded { hash, records } = folded;
        let key = |id: &[u8]| -> Result<Arc<ExpandedAppStateKeys>, AppStateError> {
            if id != self.key_id {
                return Err(AppStateError::KeyNotFound);
            }
            Ok(Arc::new(expand_app_state_keys(&self.key)))
        };
        let previous = |index: &[u8]| Ok(records.get(index).and_then(value_mac));
        process_patch(patch, hash, key, previous, true, collection)?;
        for mutation in &patch.mutations {
            let Some(record) = mutation.record.as_option() else { continue };
            let Some(index) = record.index.as_option().and_then(|index| index.blob.clone()) else {
                continue;
            };
            if mutation.operation == Some(SyncdOperation::SET.into()) {
                records.insert(index, record.clone());
            } else {
                records.remove(&index);
            }
        }
        Ok(())
    }
}

/// A record's value ends in its MAC.
fn value_mac(record: &SyncdRecord) -> Option<Vec<u8>> {
    let value = record.value.as_option()?.blob.as_ref()?;
    Some(value.last_chunk::<32>()?.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> AppState {
        AppState::new(1, "15550100001", "Ann")
    }

    /// The next patch that a client with the account's key would make.
    fn patch() -> Vec<u8> {
        let mut other = state();
        let action = Action {
            collection: PUSH_NAME_COLLECTION,
            index: PUSH_NAME_INDEX.to_vec(),
            value: SyncActionValue::default(),
            version: 1,
        };
        other.write(&action, &[7; 32]);
        other.since(PUSH_NAME_COLLECTION, 1)[0].0.clone()
    }

    #[test]
    fn a_genuine_patch_is_taken_once() {
        let mut state = state();
        let patch = patch();
        assert_eq!(state.apply(PUSH_NAME_COLLECTION, 1, &patch).ok(), Some(2));
        let again = state.apply(PUSH_NAME_COLLECTION, 1, &patch);
        assert!(matches!(again, Err(PatchRefusal::Conflict)));
    }

    #[test]
    fn a_patch_with_a_wrong_mac_or_another_key_is_refused() {
        let mut state = state();
        let genuine = SyncdPatch::decode_from_slice(&patch()).expect("our own patch");
        let mut forged = genuine.clone();
        forged.patch_mac = Some(vec![0; 32]);
        let outcome = state.apply(PUSH_NAME_COLLECTION, 1, &forged.encode_to_vec());
        assert!(matches!(outcome, Err(PatchRefusal::Forged(_))), "{outcome:?}");
        let mut foreign = genuine;
        foreign.key_id = MessageField::some(KeyId { id: Some(vec![9; 6]) });
        let outcome = state.apply(PUSH_NAME_COLLECTION, 1, &foreign.encode_to_vec());
        assert!(matches!(outcome, Err(PatchRefusal::Forged(_))), "{outcome:?}");
        assert_eq!(state.version(PUSH_NAME_COLLECTION), 1);
    }

    #[test]
    fn a_snapshot_holds_the_latest_of_each_entry() {
        let mut state = state();
        state.apply(PUSH_NAME_COLLECTION, 1, &patch()).expect("a genuine patch");
        let snapshot = state.snapshot(PUSH_NAME_COLLECTION).expect("a snapshot");
        assert_eq!(snapshot.records.len(), 1);
        assert_eq!(snapshot.version.version, Some(2));
    }
}
