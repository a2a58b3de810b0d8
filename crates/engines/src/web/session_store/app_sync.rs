//! App state sync: keys, versions of the collections, MACs of their entries.
//!
//! What can't be read is absent here: a key is then asked for again, a collection syncs from zero.

use std::collections::HashMap;

use async_trait::async_trait;
use bytes::Bytes;
use flowcore_domain::session_store::Change;
use wacore::appstate::hash::HashState;
use wacore::appstate::processor::AppStateMutationMAC;
use wacore::store::error::Result;
use wacore::store::traits::{AppStateSyncKey, AppSyncStore};

use super::keys::{self, SYNC_KEY, SYNC_MAC, SYNC_VERSION};
use super::{PortBackend, values};

#[async_trait]
impl AppSyncStore for PortBackend {
    async fn get_sync_key(&self, key_id: &[u8]) -> Result<Option<AppStateSyncKey>> {
        let json = self.get_repairable(SYNC_KEY, &keys::hex(key_id)).await?;
        Ok(json.and_then(|json| readable(&json)))
    }

    async fn set_sync_key(&self, key_id: &[u8], key: AppStateSyncKey) -> Result<()> {
        self.write(vec![Change::put(SYNC_KEY, keys::hex(key_id), values::to_json(&key)?)]).await
    }

    async fn get_version(&self, name: &str) -> Result<HashState> {
        let json = self.get_repairable(SYNC_VERSION, &keys::part(name)).await?;
        Ok(json.and_then(|json| readable(&json)).unwrap_or_default())
    }

    async fn set_version(&self, name: &str, state: HashState) -> Result<()> {
        let json = values::to_json(&state)?;
        self.write(vec![Change::put(SYNC_VERSION, keys::part(name), json)]).await
    }

    /// The version is not kept: nothing asks for it, a newer MAC simply takes the older one's place.
    async fn put_mutation_macs(
        &self,
        name: &str,
        _version: u64,
        mutations: &[AppStateMutationMAC],
    ) -> Result<()> {
        let changes = mutations.iter().map(|mutation| {
            let value = Bytes::copy_from_slice(&mutation.value_mac);
            Change::put(SYNC_MAC, mac_key(name, &mutation.index_mac), value)
        });
        self.write(changes.collect()).await
    }

    async fn get_mutation_mac(&self, name: &str, index_mac: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.get(SYNC_MAC, &mac_key(name, index_mac)).await?.map(Vec::from))
    }

    async fn get_mutation_macs(
        &self,
        name: &str,
        index_macs: &[[u8; 32]],
    ) -> Result<HashMap<[u8; 32], Vec<u8>>> {
        let wanted: Vec<String> = index_macs.iter().map(|mac| mac_key(name, mac)).collect();
        let found: HashMap<_, _> = self.get_many(SYNC_MAC, &wanted).await?.into_iter().collect();
        let index_of = index_macs.iter().zip(&wanted);
        Ok(index_of.filter_map(|(mac, key)| Some((*mac, found.get(key)?.to_vec()))).collect())
    }

    async fn delete_mutation_macs(&self, name: &str, index_macs: &[Vec<u8>]) -> Result<()> {
        let changes = index_macs.iter().map(|mac| Change::delete(SYNC_MAC, mac_key(name, mac)));
        self.write(changes.collect()).await
    }

    async fn clear_mutation_macs(&self, name: &str) -> Result<()> {
        self.delete_prefix(SYNC_MAC, &format!("{}/", keys::part(name))).await
    }

    /// The highest id, not the last one written: ids end in an epoch that the phone counts up, and a
    /// phone asked for an old key sends it again.
    async fn get_latest_sync_key_id(&self) -> Result<Option<Vec<u8>>> {
        let all = self.scan(SYNC_KEY, "").await?;
        let newest = all.iter().rev().find(|(_, json)| readable::<AppStateSyncKey>(json).is_some());
        newest.map(|(key, _)| keys::parse_hex(key)).transpose()
    }
}

fn mac_key(name: &str, index_mac: &[u8]) -> String {
    keys::join([name, &keys::hex(index_mac)])
}

fn readable<T: serde::de::DeserializeOwned>(json: &[u8]) -> Option<T> {
    values::from_json(json)
        .inspect_err(|_| tracing::warn!("unreadable app state entry taken as absent"))
        .ok()
}
