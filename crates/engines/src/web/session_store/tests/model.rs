//! The same random calls on our backend and on the client's reference backend, which must give the
//! same answers.
//!
//! Two methods differ on purpose and have tests of their own: the latest sync key (ours is the
//! highest), and the LID of a phone (ours is the newest that still belongs to it, which is computed
//! here from the reference's table).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::{
    Just, ProptestConfig, Strategy, any, prop_assert_eq, prop_oneof, proptest,
};
use proptest::{collection, sample};
use wacore::appstate::hash::HashState;
use wacore::appstate::processor::AppStateMutationMAC;
use wacore::store::InMemoryBackend;
use wacore::store::error::Result;
use wacore::store::traits::{
    AppStateSyncKey, Backend, DeviceInfo, DeviceListRecord, LidPnMappingEntry, MsgSecretEntry,
    PendingInboundKey, PendingInboundRow, TcTokenEntry,
};

use super::harness::Bench;

const WRITES: &[&str] = &[
    "put_identity",
    "put_identities_batch",
    "delete_identity",
    "put_session",
    "put_sessions_batch",
    "delete_session",
    "store_prekey",
    "store_prekeys_batch",
    "mark_prekeys_uploaded",
    "remove_prekey",
    "store_signed_prekey",
    "remove_signed_prekey",
    "put_sender_key",
    "put_sender_keys_batch",
    "delete_sender_key",
    "set_sync_key",
    "set_version",
    "put_mutation_macs",
    "delete_mutation_macs",
    "clear_mutation_macs",
    "set_sender_key_status",
    "clear_sender_key_devices",
    "delete_sender_key_device_rows",
    "clear_all_sender_key_devices",
    "put_lid_mapping",
    "put_lid_mappings",
    "save_base_key",
    "delete_base_key",
    "update_device_list",
    "update_device_lists",
    "delete_devices",
    "put_group_metadata",
    "delete_group_metadata",
    "put_tc_token",
    "delete_tc_token",
    "delete_expired_tc_tokens",
    "touch_tc_token_sender_timestamp",
    "store_received_tc_token",
    "store_sent_message",
    "take_sent_message",
    "delete_expired_sent_messages",
    "store_pending_inbound",
    "delete_pending_inbound",
    "delete_expired_pending_inbound",
    "store_pending_inbound_batch",
    "delete_pending_inbound_batch",
    "put_msg_secret",
    "put_msg_secrets",
    "delete_expired_msg_secrets",
    "create",
];

const READS: &[&str] = &[
    "load_identity",
    "get_session",
    "has_session",
    "has_signal_state_for_user",
    "load_prekey",
    "load_prekeys_batch",
    "get_max_prekey_id",
    "load_signed_prekey",
    "load_all_signed_prekeys",
    "get_sender_key",
    "get_sync_key",
    "get_version",
    "get_mutation_mac",
    "get_mutation_macs",
    "get_sender_key_devices",
    "get_lid_mapping",
    "get_pn_mapping",
    "get_all_lid_mappings",
    "has_same_base_key",
    "get_devices",
    "get_group_metadata",
    "get_tc_token",
    "get_all_tc_token_jids",
    "get_pending_inbound",
    "get_msg_secret",
    "get_msg_secret_with_ts",
    "exists",
];

/// Names of everything: users and devices that are prefixes of each other, and texts that only an
/// ill-meaning peer would send.
const TEXTS: &[&str] = &["100@lid", "100:2@lid", "1001@lid", "a/b%2F", "100", "\u{7}_%"];

/// One call; each method takes from it what it needs.
#[derive(Debug, Clone)]
struct Call {
    method: &'static str,
    a: usize,
    b: usize,
    c: usize,
    data: Vec<u8>,
    at: i64,
    flag: bool,
}

impl Call {
    fn read(method: &'static str, a: usize, b: usize, c: usize) -> Self {
        Self { method, a, b, c, data: vec![1], at: 1, flag: false }
    }

    fn text(&self) -> &'static str {
        TEXTS[self.a]
    }

    fn other(&self) -> &'static str {
        TEXTS[self.b]
    }

    fn third(&self) -> &'static str {
        TEXTS[self.c]
    }

    fn id(&self) -> u32 {
        u32::try_from(self.a * 40 + self.b).expect("a small number")
    }
}

/// Calls of all kinds, or many of a few neighbouring kinds, which meet on the same entries.
fn calls() -> impl Strategy<Value = Vec<Call>> {
    const NEIGHBOURS: usize = 9;
    prop_oneof![Just(WRITES.len()), Just(NEIGHBOURS)]
        .prop_flat_map(|width| (0..=WRITES.len() - width).prop_map(move |from| from..from + width))
        .prop_flat_map(|kinds| collection::vec(call(&WRITES[kinds]), 1..150))
}

fn call(writes: &[&'static str]) -> impl Strategy<Value = Call> {
    let methods = sample::select([writes, writes, READS].concat());
    let names = (0..TEXTS.len(), 0..2usize, 0..2usize);
    let data = collection::vec(0u8..3, 0..3);
    (methods, names, data, 0i64..10, any::<bool>())
        .prop_map(|(method, (a, b, c), data, at, flag)| Call { method, a, b, c, data, at, flag })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn every_answer_is_that_of_the_reference(calls in calls()) {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        for (call, ours, reference) in runtime.block_on(compare(&calls)) {
            prop_assert_eq!(ours, reference, "{:?}", call);
        }
    }
}

/// The answers of both sides: to the calls, and then to every read.
async fn compare(calls: &[Call]) -> Vec<(Call, String, String)> {
    let bench = Bench::open().await;
    let reference = InMemoryBackend::new();
    let mut answers = Vec::new();
    let reads = READS.iter().flat_map(|method| {
        (0..TEXTS.len()).flat_map(move |a| {
            [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(b, c)| Call::read(method, a, b, c))
        })
    });
    for (index, mut call) in calls.iter().cloned().chain(reads).enumerate() {
        if call.method.contains("lid_mapping") {
            // Mappings of one phone with equal times have no newest one in the reference's table.
            call.at = call.at * 100_000 + i64::try_from(index).expect("a small number") * 2;
        }
        let ours = answer(&bench.backend, &call).await.expect("our answer");
        let theirs = match call.method {
            "get_pn_mapping" => newest_lid(&reference, call.text()).await,
            _ => answer(&reference, &call).await.expect("the reference's answer"),
        };
        answers.push((call, ours, theirs));
    }
    answers
}

async fn newest_lid(reference: &dyn Backend, phone: &str) -> String {
    let all = reference.get_all_lid_mappings().await.expect("the reference's answer");
    let of_phone = all.into_iter().filter(|mapping| mapping.phone_number == phone);
    shown(&of_phone.max_by_key(|mapping| mapping.updated_at))
}

fn shown(value: &impl std::fmt::Debug) -> String {
    format!("{value:?}")
}

fn sorted<T: std::fmt::Debug>(values: impl IntoIterator<Item = T>) -> String {
    let mut values: Vec<String> = values.into_iter().map(|value| shown(&value)).collect();
    values.sort_unstable();
    values.dedup();
    values.join(", ")
}

async fn answer(backend: &dyn Backend, call: &Call) -> Result<String> {
    for answer in [
        signal(backend, call).await,
        prekeys(backend, call).await,
        app_sync(backend, call).await,
        bookkeeping(backend, call).await,
        tokens(backend, call).await,
        in_flight(backend, call).await,
        secrets_and_device(backend, call).await,
    ] {
        if let Some(answer) = answer? {
            return Ok(answer);
        }
    }
    panic!("no method {}", call.method)
}

async fn signal(backend: &dyn Backend, call: &Call) -> Result<Option<String>> {
    let (address, data) = (call.text(), call.data.as_slice());
    let identity = [data.first().copied().unwrap_or_default(); 32];
    let batch = [address, call.other()].map(|name| (Arc::from(name), Bytes::copy_from_slice(data)));
    let identities = [address, call.other()].map(|name| (Arc::from(name), identity));
    Ok(Some(match call.method {
        "put_identity" => shown(&backend.put_identity(address, identity).await?),
        "put_identities_batch" => shown(&backend.put_identities_batch(&identities).await?),
        "load_identity" => shown(&backend.load_identity(address).await?),
        "delete_identity" => shown(&backend.delete_identity(address).await?),
        "put_session" => shown(&backend.put_session(address, data).await?),
        "put_sessions_batch" => shown(&backend.put_sessions_batch(&batch).await?),
        "get_session" => shown(&backend.get_session(address).await?),
        "has_session" => shown(&backend.has_session(address).await?),
        "has_signal_state_for_user" => shown(&backend.has_signal_state_for_user(address).await?),
        "delete_session" => shown(&backend.delete_session(address).await?),
        "put_sender_key" => shown(&backend.put_sender_key(address, data).await?),
        "put_sender_keys_batch" => shown(&backend.put_sender_keys_batch(&batch).await?),
        "get_sender_key" => shown(&backend.get_sender_key(address).await?),
        "delete_sender_key" => shown(&backend.delete_sender_key(address).await?),
        _ => return Ok(None),
    }))
}

async fn prekeys(backend: &dyn Backend, call: &Call) -> Result<Option<String>> {
    let (id, data) = (call.id(), call.data.as_slice());
    let batch: Vec<_> = (id..id + 3).map(|id| (id, Bytes::copy_from_slice(data))).collect();
    let ids: Vec<u32> = (id..id + 5).collect();
    Ok(Some(match call.method {
        "store_prekey" => shown(&backend.store_prekey(id, data, call.flag).await?),
        "store_prekeys_batch" => shown(&backend.store_prekeys_batch(&batch, call.flag).await?),
        "mark_prekeys_uploaded" => shown(&backend.mark_prekeys_uploaded(&ids).await?),
        "load_prekey" => shown(&backend.load_prekey(id).await?),
        "load_prekeys_batch" => sorted(backend.load_prekeys_batch(&ids).await?),
        "remove_prekey" => shown(&backend.remove_prekey(id).await?),
        "get_max_prekey_id" => shown(&backend.get_max_prekey_id().await?),
        "store_signed_prekey" => shown(&backend.store_signed_prekey(id, data).await?),
        "load_signed_prekey" => shown(&backend.load_signed_prekey(id).await?),
        "load_all_signed_prekeys" => sorted(backend.load_all_signed_prekeys().await?),
        "remove_signed_prekey" => shown(&backend.remove_signed_prekey(id).await?),
        _ => return Ok(None),
    }))
}

async fn app_sync(backend: &dyn Backend, call: &Call) -> Result<Option<String>> {
    let (name, data) = (call.text(), &call.data);
    let macs = [call.b, call.c + 5].map(|fill| [u8::try_from(fill).expect("a small number"); 32]);
    let mutations =
        macs.map(|mac| AppStateMutationMAC { index_mac: mac.to_vec(), value_mac: data.clone() });
    let key = AppStateSyncKey { key_data: data.clone(), fingerprint: vec![9], timestamp: call.at };
    let mut state = HashState { version: call.id().into(), ..HashState::default() };
    state.index_value_map = HashMap::from([(name.to_owned(), data.clone())]);
    Ok(Some(match call.method {
        "get_sync_key" => shown(&backend.get_sync_key(name.as_bytes()).await?),
        "set_sync_key" => shown(&backend.set_sync_key(name.as_bytes(), key).await?),
        "get_version" => shown(&backend.get_version(name).await?),
        "set_version" => shown(&backend.set_version(name, state).await?),
        "put_mutation_macs" => shown(&backend.put_mutation_macs(name, 1, &mutations).await?),
        "get_mutation_mac" => shown(&backend.get_mutation_mac(name, &macs[0]).await?),
        "get_mutation_macs" => {
            let found = backend.get_mutation_macs(name, &macs).await?;
            shown(&found.into_iter().collect::<BTreeMap<_, _>>())
        }
        "delete_mutation_macs" => {
            shown(&backend.delete_mutation_macs(name, &[macs[0].to_vec()]).await?)
        }
        "clear_mutation_macs" => shown(&backend.clear_mutation_macs(name).await?),
        _ => return Ok(None),
    }))
}

async fn bookkeeping(backend: &dyn Backend, call: &Call) -> Result<Option<String>> {
    let (name, other, data) = (call.text(), call.other(), call.data.as_slice());
    let devices = [(other, call.flag), (call.third(), !call.flag)];
    // The reference overwrites the time of the first learning, ours keeps it; so it is the same here.
    let mapping = |lid: &str, phone: &str, updated_at| LidPnMappingEntry {
        lid: lid.to_owned(),
        phone_number: phone.to_owned(),
        created_at: 5,
        updated_at,
        learning_source: "usync".to_owned(),
    };
    let mappings = [mapping(other, name, call.at), mapping(call.third(), name, call.at + 1)];
    let list = |user: &str| DeviceListRecord {
        user: user.to_owned(),
        devices: vec![DeviceInfo::new(call.id(), None).with_hosting(call.flag)],
        timestamp: call.at,
        phash: call.flag.then(|| "2:abc".to_owned()),
        raw_id: (!call.flag).then_some(3),
    };
    let lists = vec![list(name), list(other)];
    Ok(Some(match call.method {
        "get_sender_key_devices" => sorted(backend.get_sender_key_devices(name).await?),
        "set_sender_key_status" => shown(&backend.set_sender_key_status(name, &devices).await?),
        "clear_sender_key_devices" => shown(&backend.clear_sender_key_devices(name).await?),
        "delete_sender_key_device_rows" => {
            shown(&backend.delete_sender_key_device_rows(&[other]).await?)
        }
        "clear_all_sender_key_devices" => shown(&backend.clear_all_sender_key_devices().await?),
        "get_lid_mapping" => shown(&backend.get_lid_mapping(name).await?),
        "get_pn_mapping" => shown(&backend.get_pn_mapping(name).await?),
        "put_lid_mapping" => shown(&backend.put_lid_mapping(&mappings[0]).await?),
        "put_lid_mappings" => shown(&backend.put_lid_mappings(&mappings).await?),
        "get_all_lid_mappings" => sorted(backend.get_all_lid_mappings().await?),
        "save_base_key" => shown(&backend.save_base_key(name, other, data).await?),
        "has_same_base_key" => shown(&backend.has_same_base_key(name, other, data).await?),
        "delete_base_key" => shown(&backend.delete_base_key(name, other).await?),
        "update_device_list" => shown(&backend.update_device_list(list(name)).await?),
        "update_device_lists" => shown(&backend.update_device_lists(lists).await?),
        "get_devices" => shown(&backend.get_devices(name).await?),
        "delete_devices" => shown(&backend.delete_devices(name).await?),
        "get_group_metadata" => shown(&backend.get_group_metadata(name).await?),
        "put_group_metadata" => shown(&backend.put_group_metadata(name, data).await?),
        "delete_group_metadata" => shown(&backend.delete_group_metadata(name).await?),
        _ => return Ok(None),
    }))
}

async fn tokens(backend: &dyn Backend, call: &Call) -> Result<Option<String>> {
    let (jid, data, at) = (call.text(), call.data.as_slice(), call.at);
    let sender_timestamp = call.flag.then_some(at + 3);
    let entry = TcTokenEntry { token: data.to_vec(), token_timestamp: at, sender_timestamp };
    Ok(Some(match call.method {
        "get_tc_token" => shown(&backend.get_tc_token(jid).await?),
        "put_tc_token" => shown(&backend.put_tc_token(jid, &entry).await?),
        "delete_tc_token" => shown(&backend.delete_tc_token(jid).await?),
        "get_all_tc_token_jids" => sorted(backend.get_all_tc_token_jids().await?),
        "delete_expired_tc_tokens" => shown(&backend.delete_expired_tc_tokens(at, 10 - at).await?),
        "touch_tc_token_sender_timestamp" => {
            shown(&backend.touch_tc_token_sender_timestamp(jid, at).await?)
        }
        "store_received_tc_token" => shown(&backend.store_received_tc_token(jid, data, at).await?),
        _ => return Ok(None),
    }))
}

async fn in_flight(backend: &dyn Backend, call: &Call) -> Result<Option<String>> {
    let (chat, sender, id) = (call.text(), call.other(), call.third());
    let message = call.data.as_slice();
    let rows = [id, "second"].map(|id| PendingInboundRow { chat, sender, id, message });
    let keys = [id, "second"].map(|id| PendingInboundKey { chat, sender, id });
    // Far from the present on both sides, so that the two clocks can't disagree about it.
    let cutoff = wacore::time::now_secs() + if call.flag { 1000 } else { -1000 };
    Ok(Some(match call.method {
        "store_sent_message" => shown(&backend.store_sent_message(chat, id, message).await?),
        "take_sent_message" => shown(&backend.take_sent_message(chat, id).await?),
        "delete_expired_sent_messages" => {
            shown(&backend.delete_expired_sent_messages(cutoff).await?)
        }
        "store_pending_inbound" => {
            shown(&backend.store_pending_inbound(chat, sender, id, message).await?)
        }
        "get_pending_inbound" => shown(&backend.get_pending_inbound(chat, sender, id).await?),
        "delete_pending_inbound" => shown(&backend.delete_pending_inbound(chat, sender, id).await?),
        "delete_expired_pending_inbound" => {
            shown(&backend.delete_expired_pending_inbound(cutoff).await?)
        }
        "store_pending_inbound_batch" => shown(&backend.store_pending_inbound_batch(&rows).await?),
        "delete_pending_inbound_batch" => {
            shown(&backend.delete_pending_inbound_batch(&keys).await?)
        }
        _ => return Ok(None),
    }))
}

async fn secrets_and_device(backend: &dyn Backend, call: &Call) -> Result<Option<String>> {
    let (chat, sender, id) = (call.text(), call.other(), call.third());
    let secret = [call.data.first().copied().unwrap_or_default(); 32];
    let entry = |expires_at, message_ts| MsgSecretEntry {
        chat: chat.into(),
        sender: sender.into(),
        msg_id: id.into(),
        secret,
        expires_at,
        message_ts,
    };
    let entries = vec![entry(call.at, 0), entry(call.at / 2, call.at)];
    Ok(Some(match call.method {
        "put_msg_secret" => shown(&backend.put_msg_secret(chat, sender, id, &secret).await?),
        "put_msg_secrets" => shown(&backend.put_msg_secrets(entries).await?),
        "get_msg_secret" => shown(&backend.get_msg_secret(chat, sender, id).await?),
        "get_msg_secret_with_ts" => shown(&backend.get_msg_secret_with_ts(chat, sender, id).await?),
        "delete_expired_msg_secrets" => shown(&backend.delete_expired_msg_secrets(call.at).await?),
        "exists" => shown(&backend.exists().await?),
        "create" => shown(&backend.create().await.map(|_| ())?),
        _ => return Ok(None),
    }))
}
