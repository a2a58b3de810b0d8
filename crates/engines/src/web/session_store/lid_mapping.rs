//! Which phone number a LID belongs to, and which LID a phone number has now.
//!
//! A LID has one number. A number may have had several LIDs; they are listed under it in the order
//! in which they were confirmed, so that the last one is the answer. Both directions are written in
//! one batch.

use std::collections::HashMap;

use flowcore_domain::session_store::{Change, Namespace};
use serde::de::DeserializeOwned;
use wacore::store::error::Result;
use wacore::store::traits::LidPnMappingEntry;

use super::keys::{self, LID, LIDS_OF_PHONE};
use super::{PortBackend, values};

/// LIDs of one phone number with the time of their confirmation, the newest last.
type KnownLids = Vec<(String, i64)>;

impl PortBackend {
    pub(super) async fn mapping_of_lid(&self, lid: &str) -> Result<Option<LidPnMappingEntry>> {
        let json = self.get(LID, &keys::part(lid)).await?;
        json.map(|json| values::from_json(&json)).transpose()
    }

    pub(super) async fn mapping_of_phone(&self, phone: &str) -> Result<Option<LidPnMappingEntry>> {
        let Some(json) = self.get(LIDS_OF_PHONE, &keys::part(phone)).await? else {
            return Ok(None);
        };
        match values::from_json::<KnownLids>(&json)?.last() {
            Some((lid, _)) => self.mapping_of_lid(lid).await,
            None => Ok(None),
        }
    }

    pub(super) async fn all_mappings(&self) -> Result<Vec<LidPnMappingEntry>> {
        let all = self.scan(LID, "").await?;
        all.iter().map(|(_, json)| values::from_json(json)).collect()
    }

    pub(super) async fn learn_mappings(&self, entries: &[LidPnMappingEntry]) -> Result<()> {
        let _turn = self.turns.lid_mappings.lock().await;
        let lids = entries.iter().map(|entry| entry.lid.as_str());
        let mut mappings: HashMap<String, LidPnMappingEntry> = self.read_all(LID, lids).await?;
        let old_phones = mappings.values().map(|old| old.phone_number.as_str());
        let phones = entries.iter().map(|entry| entry.phone_number.as_str()).chain(old_phones);
        let mut known: HashMap<String, KnownLids> = self.read_all(LIDS_OF_PHONE, phones).await?;
        for entry in entries {
            learn(entry.clone(), &mut mappings, &mut known);
        }
        self.write(changes(&mappings, &known)?).await
    }

    /// The entries that exist among `texts`, by key.
    async fn read_all<T: DeserializeOwned>(
        &self,
        namespace: Namespace,
        texts: impl Iterator<Item = &str> + Send,
    ) -> Result<HashMap<String, T>> {
        let mut wanted: Vec<String> = texts.map(|text| keys::part(text).into_owned()).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let found = self.get_many(namespace, &wanted).await?;
        found.into_iter().map(|(key, json)| Ok((key, values::from_json(&json)?))).collect()
    }
}

fn learn(
    mut entry: LidPnMappingEntry,
    mappings: &mut HashMap<String, LidPnMappingEntry>,
    known: &mut HashMap<String, KnownLids>,
) {
    let lid_key = keys::part(&entry.lid).into_owned();
    if let Some(old) = mappings.get(&lid_key) {
        entry.created_at = old.created_at;
        if let Some(lids) = known.get_mut(&*keys::part(&old.phone_number)) {
            lids.retain(|(lid, _)| *lid != entry.lid);
        }
    }
    let lids = known.entry(keys::part(&entry.phone_number).into_owned()).or_default();
    // Behind its equals: of two LIDs confirmed in the same second the later write is the news.
    let place = lids.partition_point(|(_, updated_at)| *updated_at <= entry.updated_at);
    lids.insert(place, (entry.lid.clone(), entry.updated_at));
    mappings.insert(lid_key, entry);
}

fn changes(
    mappings: &HashMap<String, LidPnMappingEntry>,
    known: &HashMap<String, KnownLids>,
) -> Result<Vec<Change>> {
    let mut changes = Vec::with_capacity(mappings.len() + known.len());
    for (key, mapping) in mappings {
        changes.push(Change::put(LID, key, values::to_json(mapping)?));
    }
    for (key, lids) in known {
        changes.push(if lids.is_empty() {
            Change::delete(LIDS_OF_PHONE, key)
        } else {
            Change::put(LIDS_OF_PHONE, key, values::to_json(lids)?)
        });
    }
    Ok(changes)
}
