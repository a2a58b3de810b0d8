//! The backend against the real store: what each promise of the module means, one test each, and the
//! comparison with the client's own reference backend in [`model`].

mod harness;
mod model;

use std::sync::Arc;

use bytes::Bytes;
use harness::Bench;
use proptest::prelude::{any, prop_assert_eq, proptest};
use wacore::appstate::processor::AppStateMutationMAC;
use wacore::store::Device;
use wacore::store::device::DEVICE_PROPS;
use wacore::store::traits::{
    AppStateSyncKey, AppSyncStore, Backend, DeviceStore, LidPnMappingEntry, MsgSecretEntry,
    MsgSecretStore, PendingInboundRow, ProtocolStore, SignalStore,
};

use super::{PortBackend, keys};

fn mapping(lid: &str, phone: &str, updated_at: i64) -> LidPnMappingEntry {
    LidPnMappingEntry {
        lid: lid.to_owned(),
        phone_number: phone.to_owned(),
        created_at: updated_at,
        updated_at,
        learning_source: "usync".to_owned(),
    }
}

fn secret(id: &str, fill: u8, expires_at: i64, message_ts: i64) -> MsgSecretEntry {
    MsgSecretEntry {
        chat: "100@lid".into(),
        sender: "100@lid".into(),
        msg_id: id.into(),
        secret: [fill; 32],
        expires_at,
        message_ts,
    }
}

#[test]
fn it_is_a_backend() {
    fn is_backend<T: Backend>() {}
    is_backend::<PortBackend>();
}

#[tokio::test]
async fn the_state_outlives_a_process_that_ends_without_closing_the_store() {
    let bench = Bench::open().await;
    bench.backend.create().await.expect("create");
    bench.backend.put_session("100@lid", b"ratchet").await.expect("put");
    let bench = bench.reopen().await;
    let session = bench.backend.get_session("100@lid").await.expect("get");
    assert_eq!(session.as_deref(), Some(&b"ratchet"[..]));
    assert!(bench.backend.exists().await.expect("exists"));
}

#[tokio::test]
async fn the_device_comes_back_as_it_was_saved() {
    let bench = Bench::open().await;
    assert!(bench.backend.load().await.expect("load").is_none());
    let mut device = Device::new();
    device.pn = Some("15550001:7@s.whatsapp.net".parse().expect("a jid"));
    device.lid = Some("100:7@lid".parse().expect("a jid"));
    device.push_name = "Shop \u{1f6d2}".to_owned();
    device.next_pre_key_id = 813;
    device.nct_salt = Some(vec![1, 2, 3]);
    bench.backend.save(&device).await.expect("save");
    let loaded = bench.backend.load().await.expect("load").expect("a device");
    assert_eq!(loaded.pn, device.pn);
    assert_eq!(loaded.lid, device.lid);
    assert_eq!(loaded.push_name, device.push_name);
    assert_eq!(loaded.next_pre_key_id, 813);
    assert_eq!(loaded.nct_salt, device.nct_salt);
    assert_eq!(loaded.adv_secret_key, device.adv_secret_key);
    assert_eq!(loaded.signed_pre_key_signature, device.signed_pre_key_signature);
    let private = |device: &Device| device.identity_key.private_key.serialize().to_vec();
    assert_eq!(private(&loaded), private(&device));
    assert_eq!(*loaded.device_props, *DEVICE_PROPS);
}

#[tokio::test]
async fn creating_a_device_twice_keeps_the_first() {
    let bench = Bench::open().await;
    bench.backend.create().await.expect("create");
    let first = bench.backend.load().await.expect("load").expect("a device");
    bench.backend.create().await.expect("create");
    let second = bench.backend.load().await.expect("load").expect("a device");
    assert_eq!(first.registration_id, second.registration_id);
    assert_eq!(first.adv_secret_key, second.adv_secret_key);
}

#[tokio::test]
async fn a_consumed_prekey_is_not_brought_back_by_the_report_of_its_upload() {
    let bench = Bench::open().await;
    let batch: Vec<(u32, Bytes)> = (1..=812).map(|id| (id, Bytes::from(vec![7; 70]))).collect();
    bench.backend.store_prekeys_batch(&batch, false).await.expect("store");
    bench.backend.remove_prekey(812).await.expect("remove");
    let ids: Vec<u32> = (1..=812).collect();
    bench.backend.mark_prekeys_uploaded(&ids).await.expect("mark");
    assert!(bench.backend.load_prekey(812).await.expect("load").is_none());
    assert_eq!(bench.backend.get_max_prekey_id().await.expect("max"), 811);
    assert_eq!(bench.backend.load_prekeys_batch(&ids).await.expect("load").len(), 811);
}

#[tokio::test]
async fn signal_state_of_a_user_is_not_that_of_a_longer_number() {
    let bench = Bench::open().await;
    bench.backend.put_session("1001:3@s.whatsapp.net", b"x").await.expect("put");
    bench.backend.put_identity("2@lid", [1; 32]).await.expect("put");
    for (user, known) in [("1001", true), ("100", false), ("1", false), ("2", true), ("%", false)] {
        let has = bench.backend.has_signal_state_for_user(user).await.expect("ask");
        assert_eq!(has, known, "{user}");
    }
}

#[tokio::test]
async fn the_latest_sync_key_is_the_highest_even_when_an_old_one_is_shared_again() {
    let bench = Bench::open().await;
    assert!(bench.backend.get_latest_sync_key_id().await.expect("latest").is_none());
    for id in [[0, 0, 0, 2], [0, 0, 1, 0], [0, 0, 0, 9]] {
        bench.backend.set_sync_key(&id, AppStateSyncKey::default()).await.expect("set");
    }
    let latest = bench.backend.get_latest_sync_key_id().await.expect("latest");
    assert_eq!(latest.as_deref(), Some(&[0, 0, 1, 0][..]));
}

#[tokio::test]
async fn clearing_the_macs_of_a_collection_leaves_those_with_a_longer_name() {
    let bench = Bench::open().await;
    let mac = AppStateMutationMAC { index_mac: vec![1; 32], value_mac: vec![2; 32] };
    for name in ["regular", "regular_low"] {
        bench.backend.put_mutation_macs(name, 1, std::slice::from_ref(&mac)).await.expect("put");
    }
    bench.backend.clear_mutation_macs("regular").await.expect("clear");
    let of = async |name| bench.backend.get_mutation_mac(name, &[1; 32]).await.expect("get");
    assert!(of("regular").await.is_none());
    assert!(of("regular_low").await.is_some());
}

#[tokio::test]
async fn a_phone_answers_with_its_newest_lid() {
    let bench = Bench::open().await;
    let phone = async || {
        let found = bench.backend.get_pn_mapping("1555").await.expect("get");
        found.map(|mapping| mapping.lid)
    };
    bench.backend.put_lid_mapping(&mapping("l1", "1555", 50)).await.expect("put");
    bench.backend.put_lid_mapping(&mapping("l2", "1555", 40)).await.expect("put");
    assert_eq!(phone().await.as_deref(), Some("l1"), "an older confirmation is no news");
    bench.backend.put_lid_mapping(&mapping("l3", "1555", 50)).await.expect("put");
    assert_eq!(phone().await.as_deref(), Some("l3"), "the later of two in one second");
    bench.backend.put_lid_mapping(&mapping("l3", "1666", 60)).await.expect("put");
    assert_eq!(phone().await.as_deref(), Some("l1"), "a LID that moved away is no answer");
}

#[tokio::test]
async fn a_mapping_learned_again_remembers_when_it_was_first_learned() {
    let bench = Bench::open().await;
    bench.backend.put_lid_mapping(&mapping("l1", "1555", 50)).await.expect("put");
    bench.backend.put_lid_mapping(&mapping("l1", "1555", 90)).await.expect("put");
    let known = bench.backend.get_lid_mapping("l1").await.expect("get").expect("a mapping");
    assert_eq!((known.created_at, known.updated_at), (50, 90));
}

#[tokio::test]
async fn a_sent_message_is_given_to_one_asker_only() {
    let bench = Bench::open().await;
    bench.backend.store_sent_message("100@lid", "M1", b"payload").await.expect("store");
    let ask = || bench.backend.take_sent_message("100@lid", "M1");
    let (first, second, third) = tokio::join!(ask(), ask(), ask());
    let taken = [first, second, third].map(|taken| taken.expect("take"));
    let payloads: Vec<_> = taken.into_iter().flatten().collect();
    assert_eq!(payloads, [b"payload".to_vec()]);
}

#[tokio::test]
async fn neither_half_of_a_contact_token_is_lost_between_concurrent_writers() {
    let bench = Bench::open().await;
    let backend = &bench.backend;
    for round in 1..=10 {
        let (touched, received) = tokio::join!(
            backend.touch_tc_token_sender_timestamp("100", 100 + round),
            backend.store_received_tc_token("100", &[1], 200 + round),
        );
        touched.expect("touch");
        received.expect("receive");
        let entry = backend.get_tc_token("100").await.expect("get").expect("an entry");
        assert_eq!(
            (entry.token_timestamp, entry.sender_timestamp),
            (200 + round, Some(100 + round))
        );
    }
}

#[tokio::test]
async fn what_is_exactly_as_old_as_the_cutoff_stays() {
    let bench = Bench::open().await;
    let before = wacore::time::now_secs();
    bench.backend.store_sent_message("100@lid", "M1", b"x").await.expect("store");
    bench.backend.store_pending_inbound("100@lid", "100@lid", "M1", b"x").await.expect("store");
    let after = wacore::time::now_secs();
    assert_eq!(bench.backend.delete_expired_sent_messages(before).await.expect("prune"), 0);
    assert_eq!(bench.backend.delete_expired_pending_inbound(before).await.expect("prune"), 0);
    assert_eq!(bench.backend.delete_expired_sent_messages(after + 1).await.expect("prune"), 1);
    assert_eq!(bench.backend.delete_expired_pending_inbound(after + 1).await.expect("prune"), 1);
}

#[tokio::test]
async fn a_secret_goes_at_its_deadline_and_a_later_write_only_prolongs_it() {
    let bench = Bench::open().await;
    let entries = vec![secret("A", 1, 100, 7), secret("B", 2, 100, 0), secret("C", 3, 0, 0)];
    assert_eq!(bench.backend.put_msg_secrets(entries).await.expect("put"), 3);
    bench.backend.put_msg_secrets(vec![secret("A", 9, 50, 0)]).await.expect("put");
    bench.backend.put_msg_secrets(vec![secret("B", 2, 0, 0)]).await.expect("put");
    assert_eq!(bench.backend.delete_expired_msg_secrets(99).await.expect("prune"), 0);
    let kept = bench.backend.get_msg_secret_with_ts("100@lid", "100@lid", "A").await.expect("get");
    assert_eq!(kept, Some((vec![9; 32], 7)));
    assert_eq!(bench.backend.delete_expired_msg_secrets(100).await.expect("prune"), 1);
    for id in ["B", "C"] {
        let kept = bench.backend.get_msg_secret("100@lid", "100@lid", id).await.expect("get");
        assert!(kept.is_some(), "{id} never expires");
    }
}

#[tokio::test]
async fn a_batch_that_names_a_key_twice_means_the_later_value() {
    let bench = Bench::open().await;
    let batch = [("100@lid", "old"), ("200@lid", "other"), ("100@lid", "new")];
    let batch = batch.map(|(address, record)| (Arc::from(address), Bytes::from(record)));
    bench.backend.put_sessions_batch(&batch).await.expect("put");
    let session = bench.backend.get_session("100@lid").await.expect("get");
    assert_eq!(session.as_deref(), Some(&b"new"[..]));
    assert!(bench.backend.has_session("200@lid").await.expect("has"));
}

#[tokio::test]
async fn writes_of_a_session_whose_instance_is_gone_fail() {
    let bench = Bench::open().await;
    bench.delete_instance().await;
    bench.backend.put_session("100@lid", b"x").await.expect_err("no instance, no session");
    let row = PendingInboundRow { chat: "c", sender: "s", id: "i", message: b"m" };
    bench.backend.store_pending_inbound_batch(&[row]).await.expect_err("no instance, no inbox");
}

#[tokio::test]
async fn a_session_that_cant_be_opened_is_absent_and_can_be_replaced() {
    let bench = Bench::open().await;
    for address in ["100@lid", "200@lid"] {
        bench.backend.put_session(address, address.as_bytes()).await.expect("put");
    }
    bench.put_the_value_of_one_row_into_another("session", "100@lid", "200@lid").await;
    assert!(bench.backend.get_session("200@lid").await.expect("get").is_none());
    bench.backend.put_session("200@lid", b"anew").await.expect("put");
    let session = bench.backend.get_session("200@lid").await.expect("get");
    assert_eq!(session.as_deref(), Some(&b"anew"[..]));
}

#[test]
fn a_separator_in_a_message_id_does_not_lead_to_another_chat() {
    assert_ne!(keys::join(["a/b", "c"]), keys::join(["a", "b/c"]));
    assert_ne!(keys::join(["a%2f", "c"]), keys::join(["a/", "c"]));
    assert_eq!(keys::join(["100@lid", "3EB0\0"]), "100@lid/3EB0%00");
}

proptest! {
    #[test]
    fn keys_of_several_parts_never_meet(a: [String; 2], b: [String; 2]) {
        let join = |parts: &[String; 2]| keys::join([&parts[0], &parts[1]]);
        prop_assert_eq!(join(&a) == join(&b), a == b);
    }

    #[test]
    fn a_key_gives_back_its_text(text in any::<String>()) {
        let key = keys::part(&text);
        prop_assert_eq!(keys::unescape(&key).expect("a key"), text);
    }
}
