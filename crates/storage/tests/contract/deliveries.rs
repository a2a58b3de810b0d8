//! Deliveries: in order per chat, leased, retried, never lost.

use crate::accounts;
use crate::harness::{ALICE, BOB, Harness, Kind, NOW, event, fresh, inbound, webhook};
use flowcore_domain::clock::Millis;
use flowcore_domain::event::{EventKind, NewEvent};
use flowcore_domain::id::{InstanceId, WebhookId};
use flowcore_domain::quota::Quotas;
use flowcore_domain::webhook::{
    Attempt, BREAK_AFTER, ChatFilter, NextStep, OffBecause, Scope, Turn, Webhook, after_attempt,
};
use flowcore_storage::{
    Again, Claim, ClaimedDelivery, DeliveryFilter, DeliveryState, NewInstance, PassedOver,
    Settlement,
};
use std::time::{Duration, Instant};

const LEASE: Duration = Duration::from_secs(30);
const ANY: Claim<'_> = claiming(100, 100, &[]);

const fn claiming(limit: usize, each: usize, busy: &[WebhookId]) -> Claim<'_> {
    Claim { limit, each, slow: &[], passed_over: PassedOver { busy, crowded: &[] } }
}

pub(crate) fn settlement(step: NextStep, at: Millis) -> Settlement {
    let delivered = step == NextStep::Delivered;
    Settlement {
        step,
        status: Some(if delivered { 204 } else { 503 }),
        duration_ms: 12,
        error: (!delivered).then(|| "the receiver answered 503".to_owned()),
        answer: Some("busy".to_owned()),
        asked: None,
        dice: 0.5,
        render: turned,
        at,
    }
}

fn turned(instance: InstanceId, webhook: WebhookId, turn: Turn, at: Millis) -> NewEvent {
    let data = serde_json::json!({ "webhookId": webhook.text(), "turn": format!("{turn:?}") });
    NewEvent { at, data, ..event(instance, EventKind::WebhookUpdate, "") }
}

pub(crate) async fn write(harness: &Harness, instance: InstanceId, chat: &str, wa_id: &str) {
    let rows = vec![inbound(instance, chat, wa_id)];
    harness.store.commit_inbound(instance, rows, NOW).await.expect("stored");
}

pub(crate) async fn claim(harness: &Harness, now: Millis) -> Vec<ClaimedDelivery> {
    harness.store.claim_deliveries(ANY, now, LEASE).await.expect("claimed")
}

pub(crate) async fn settle(
    harness: &Harness,
    claimed: &ClaimedDelivery,
    step: NextStep,
    at: Millis,
) {
    let done = harness.store.settle_delivery(claimed.delivery_id, settlement(step, at));
    done.await.expect("settled");
}

pub(crate) fn chats(claimed: &[ClaimedDelivery]) -> Vec<(i64, &str)> {
    claimed.iter().map(|one| (one.event.seq, one.event.event.ordering_key.as_str())).collect()
}

pub(crate) async fn a_chat_is_delivered_in_order_and_holds_up_no_other(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    let webhook = harness.webhook(id, &[]).await;
    for (chat, wa_id) in [(ALICE, "1"), (ALICE, "2"), (BOB, "3"), (ALICE, "4"), (BOB, "5")] {
        write(&harness, id, chat, wa_id).await;
    }
    let claimed = claim(&harness, NOW).await;
    assert_eq!(chats(&claimed), [(1, ALICE), (3, BOB)]);
    assert_eq!(claimed[0].webhook, webhook);
    assert_eq!(claimed[0].instance_name.as_str(), "shop");
    assert_eq!(claim(&harness, NOW).await.len(), 0, "what is leased is not given twice");
    let retry_at = NOW.plus(Duration::from_secs(2));
    settle(&harness, &claimed[0], NextStep::RetryAt(retry_at), NOW).await;
    settle(&harness, &claimed[1], NextStep::Delivered, NOW).await;
    assert_eq!(chats(&claim(&harness, NOW).await), [(5, BOB)]);
    let retried = claim(&harness, retry_at).await;
    assert_eq!((chats(&retried), retried[0].attempts), (vec![(1, ALICE)], 1));
    settle(&harness, &retried[0], NextStep::Dead, retry_at).await;
    assert_eq!(chats(&claim(&harness, retry_at).await), [(2, ALICE)]);
}

pub(crate) async fn only_wanted_kinds_are_delivered_to_each_endpoint(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    let all = harness.webhook(id, &[]).await;
    harness.webhook(id, &[EventKind::ConnectionUpdate]).await;
    let mut off = harness.webhook(id, &[]).await;
    off.enabled = false;
    harness.store.update_webhook(off, NOW).await.expect("changed");
    let connection = event(id, EventKind::ConnectionUpdate, "");
    let qr = event(id, EventKind::QrcodeUpdated, "");
    let stored = harness.store.append_events(vec![connection, qr]).await.expect("appended");
    assert_eq!(stored.iter().map(|event| event.deliveries).collect::<Vec<_>>(), [2, 1]);
    let claimed = claim(&harness, NOW).await;
    assert_eq!(claimed.len(), 2);
    let first = claimed.iter().find(|one| one.webhook.id == all.id).expect("claimed");
    settle(&harness, first, NextStep::Delivered, NOW).await;
    let next = claim(&harness, NOW).await;
    assert_eq!((next.len(), next[0].event.event.kind), (1, EventKind::QrcodeUpdated));
}

pub(crate) async fn who_dies_gives_its_work_back_when_the_lease_ends_or_the_process_starts(
    kind: Kind,
) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    harness.webhook(id, &[]).await;
    write(&harness, id, ALICE, "1").await;
    assert_eq!(claim(&harness, NOW).await.len(), 1);
    let end = NOW.plus(LEASE);
    assert_eq!(
        harness.store.next_delivery_due(NOW, PassedOver::default()).await.expect("read"),
        Some(end)
    );
    let harness = harness.reopen().await;
    assert_eq!(claim(&harness, Millis(end.0 - 1)).await.len(), 0);
    assert_eq!(claim(&harness, end).await.len(), 1);
    assert_eq!(harness.store.release_leases(end).await.expect("released"), 1);
    let again = claim(&harness, end).await;
    assert_eq!((again.len(), again[0].attempts), (1, 0));
    settle(&harness, &again[0], NextStep::Delivered, end).await;
    settle(&harness, &again[0], NextStep::RetryAt(end), end).await;
    assert_eq!(
        harness.store.next_delivery_due(end, PassedOver::default()).await.expect("read"),
        None
    );
}

pub(crate) async fn a_list_tells_every_attempt(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    let webhook = harness.webhook(id, &[]).await;
    for wa_id in ["1", "2", "3"] {
        write(&harness, id, ALICE, wa_id).await;
    }
    let first = claim(&harness, NOW).await;
    settle(&harness, &first[0], NextStep::RetryAt(NOW), NOW).await;
    let again = claim(&harness, NOW).await;
    settle(&harness, &again[0], NextStep::Delivered, Millis(NOW.0 + 5)).await;
    let second = claim(&harness, NOW).await;
    settle(&harness, &second[0], NextStep::RetryAt(NOW), NOW).await;
    let list = harness.store.deliveries(id, &DeliveryFilter::default(), 10).await.expect("listed");
    let states: Vec<_> = list.iter().map(|delivery| (delivery.seq, delivery.state)).collect();
    let (pending, failed) = (DeliveryState::Pending, DeliveryState::Failed);
    assert_eq!(states, [(3, pending), (2, failed), (1, DeliveryState::Delivered)]);
    let attempts = &list[2].attempts;
    assert_eq!((attempts.len(), attempts[0].status, attempts[1].status), (2, Some(503), Some(204)));
    assert_eq!(attempts[0].error.as_deref(), Some("the receiver answered 503"));
    assert_eq!(attempts[0].answer.as_deref(), Some("busy"));
    assert_eq!((list[2].next_at, list[1].next_at), (None, Some(NOW)));
    for (state, seq) in [(pending, 3), (failed, 2), (DeliveryState::Delivered, 1)] {
        let filter = DeliveryFilter { state: Some(state), ..Default::default() };
        let found = harness.store.deliveries(id, &filter, 10).await.expect("listed");
        assert_eq!(found.iter().map(|delivery| delivery.seq).collect::<Vec<_>>(), [seq]);
    }
    let page = DeliveryFilter { webhook_id: Some(webhook.id), before_seq: Some(3), state: None };
    assert_eq!(harness.store.deliveries(id, &page, 1).await.expect("listed")[0].seq, 2);
}

pub(crate) async fn switching_an_endpoint_off_ends_what_waits_for_it(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    let mut webhook = harness.webhook(id, &[]).await;
    write(&harness, id, ALICE, "1").await;
    write(&harness, id, ALICE, "2").await;
    webhook.enabled = false;
    harness.store.update_webhook(webhook.clone(), NOW).await.expect("changed");
    assert_eq!(
        harness.store.next_delivery_due(NOW, PassedOver::default()).await.expect("read"),
        None
    );
    webhook.enabled = true;
    harness.store.update_webhook(webhook, NOW).await.expect("changed");
    write(&harness, id, ALICE, "3").await;
    assert_eq!(chats(&claim(&harness, NOW).await), [(3, ALICE)]);
}

pub(crate) async fn claiming_looks_only_at_heads_that_are_due(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    harness.webhook(id, &[]).await;
    for batch in 0..20 {
        let row = |n| inbound(id, ALICE, &format!("{batch}-{n}"));
        let rows = (0..500).map(row).collect();
        harness.store.commit_inbound(id, rows, NOW).await.expect("stored");
    }
    let head = claim(&harness, NOW).await;
    settle(&harness, &head[0], NextStep::RetryAt(NOW.plus(LEASE)), NOW).await;
    write(&harness, id, BOB, "1").await;
    let start = Instant::now();
    assert_eq!(chats(&claim(&harness, NOW).await), [(10_001, BOB)]);
    println!("claiming past 10,000 waiting deliveries took {:?}", start.elapsed());
    if kind == Kind::Sqlite {
        let plan = harness.plan("SELECT id FROM deliveries WHERE head AND next_at <= 5").await;
        assert!(plan.contains("USING INDEX deliveries_due"), "{plan}");
    }
}

/// Fails the only due delivery so often that its endpoint is paused; returns until when.
pub(crate) async fn fail_until_paused(harness: &Harness, webhook: WebhookId) -> Millis {
    for _ in 0..BREAK_AFTER {
        let due = claim(harness, NOW).await;
        settle(harness, &due[0], NextStep::RetryAt(NOW), NOW).await;
    }
    let webhook = harness.store.webhook(webhook).await.expect("read").expect("there");
    webhook.health.paused_until.expect("paused")
}

pub(crate) async fn a_paused_endpoint_is_tried_by_one_delivery_and_loses_none(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    let webhook = harness.webhook(id, &[EventKind::MessagesUpsert]).await;
    write(&harness, id, ALICE, "1").await;
    let until = fail_until_paused(&harness, webhook.id).await;
    for (chat, wa_id) in [(BOB, "2"), (ALICE, "3"), (BOB, "4")] {
        write(&harness, id, chat, wa_id).await;
    }
    assert_eq!(claim(&harness, Millis(until.0 - 1)).await.len(), 0, "all wait");
    assert_eq!(
        harness.store.next_delivery_due(NOW, PassedOver::default()).await.expect("read"),
        Some(until)
    );
    let probe = claim(&harness, until).await;
    assert_eq!(probe.len(), 1, "one finds out");
    settle(&harness, &probe[0], NextStep::RetryAt(until), until).await;
    assert_eq!(claim(&harness, until).await.len(), 0);
    let later = harness
        .store
        .next_delivery_due(until, PassedOver::default())
        .await
        .expect("read")
        .expect("a probe");
    assert!(later.0 - until.0 > until.0 - NOW.0, "the pauses grow");
    let probe = claim(&harness, later).await;
    assert_eq!(chats(&probe), [(3, BOB)], "another one: the first may be what it can't take");
    settle(&harness, &probe[0], NextStep::Delivered, later).await;
    let mut rest = claim(&harness, later).await;
    rest.sort_by_key(|one| one.event.seq);
    assert_eq!(rest.len(), 2, "all that waited is due: {:?}", chats(&rest));
    for one in &rest {
        settle(&harness, one, NextStep::Delivered, later).await;
    }
    assert_eq!(claim(&harness, later).await.len(), 1);
    let turns = harness.store.events_after(Some(id), None, 100).await.expect("read");
    let turns: Vec<_> = turns.iter().filter_map(|one| one.event.data["turn"].as_str()).collect();
    assert_eq!(turns, ["Paused", "Resumed"]);
}

pub(crate) async fn an_endpoint_that_is_gone_is_switched_off_and_its_owner_told(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    let webhook = harness.webhook(id, &[EventKind::MessagesUpsert]).await;
    let other = harness.webhook(id, &[EventKind::WebhookUpdate]).await;
    write(&harness, id, ALICE, "1").await;
    write(&harness, id, ALICE, "2").await;
    let due = claim(&harness, NOW).await;
    let gone = Settlement { status: Some(410), ..settlement(NextStep::RetryAt(NOW), NOW) };
    let told = harness.store.settle_delivery(due[0].delivery_id, gone).await.expect("settled");
    assert_eq!((told.len(), told[0].deliveries), (1, 1));
    let webhook = harness.store.webhook(webhook.id).await.expect("read").expect("there");
    assert_eq!((webhook.enabled, webhook.health.off_because), (false, Some(OffBecause::Gone)));
    let next = claim(&harness, NOW).await;
    assert_eq!(next.iter().map(|one| one.webhook.id).collect::<Vec<_>>(), [other.id]);
}

pub(crate) async fn changing_an_endpoint_ends_its_pause(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    let webhook = harness.webhook(id, &[EventKind::MessagesUpsert]).await;
    write(&harness, id, ALICE, "1").await;
    fail_until_paused(&harness, webhook.id).await;
    write(&harness, id, BOB, "2").await;
    harness.store.update_webhook(webhook.clone(), NOW).await.expect("changed");
    assert_eq!(chats(&claim(&harness, NOW).await).len(), 2, "nothing is parked");
    assert_eq!(harness.store.webhook(webhook.id).await.expect("read"), Some(webhook));
}

pub(crate) async fn what_was_finished_can_be_asked_for_again(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    let webhook = harness.webhook(id, &[EventKind::MessagesUpsert]).await;
    for wa_id in ["1", "2", "3"] {
        write(&harness, id, ALICE, wa_id).await;
    }
    let first = claim(&harness, NOW).await;
    settle(&harness, &first[0], NextStep::Dead, NOW).await;
    let store = &harness.store;
    let ask = async |of, id| store.retry_delivery(of, id, NOW).await.expect("asked");
    assert_eq!(ask(id, first[0].delivery_id).await, Again::Due);
    assert_eq!(ask(id, fresh()).await, Again::Unknown);
    assert_eq!(ask(fresh(), first[0].delivery_id).await, Again::Unknown);
    for seq in [2, 1, 3] {
        let due = claim(&harness, NOW).await;
        assert_eq!(chats(&due), [(seq, ALICE)], "one of a chat at a time");
        settle(&harness, &due[0], NextStep::Delivered, NOW).await;
    }
    let range = (NOW, NOW);
    let again = store.replay(id, range, vec![webhook.clone()], 2, NOW).await.expect("replayed");
    assert_eq!(again, 2);
    let again = store.replay(id, range, vec![webhook], 100, NOW).await.expect("replayed");
    assert_eq!(again, 1, "what is on its way is not doubled");
    let earlier = (Millis(0), Millis(NOW.0 - 1));
    assert_eq!(store.replay(id, earlier, vec![], 100, NOW).await.expect("replayed"), 0);
    for seq in [1, 2, 3] {
        let due = claim(&harness, NOW).await;
        assert_eq!(chats(&due), [(seq, ALICE)]);
        assert!(seq != 1 || due[0].event == first[0].event, "the same event, the same id");
        settle(&harness, &due[0], NextStep::Delivered, NOW).await;
    }
}

pub(crate) async fn chats_that_are_left_out_are_not_delivered(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    let mut webhook = harness.webhook(id, &[EventKind::MessagesUpsert]).await;
    webhook.chats = ChatFilter { groups: false, own: true, status: false };
    harness.store.update_webhook(webhook.clone(), NOW).await.expect("changed");
    assert_eq!(harness.store.webhook(webhook.id).await.expect("read"), Some(webhook));
    for chat in ["120363000000000001@g.us", "status@broadcast", ALICE] {
        write(&harness, id, chat, chat).await;
    }
    assert_eq!(chats(&claim(&harness, NOW).await), [(3, ALICE)]);
}

pub(crate) async fn an_endpoint_with_much_to_do_leaves_room_for_others(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    let busy = harness.webhook(id, &[EventKind::MessagesUpsert]).await;
    for number in 0..40 {
        write(&harness, id, &format!("55119000{number:05}@s.whatsapp.net"), &number.to_string())
            .await;
    }
    let other = harness.webhook(id, &[EventKind::MessagesUpsert]).await;
    write(&harness, id, ALICE, "last").await;
    let claim = async |claim: Claim<'_>| {
        let claimed = harness.store.claim_deliveries(claim, NOW, LEASE).await.expect("claimed");
        claimed.into_iter().map(|one| one.webhook.id).collect::<Vec<_>>()
    };
    let slow = claim(Claim { slow: &[busy.id], ..claiming(30, 4, &[]) }).await;
    assert_eq!(slow.iter().filter(|id| **id == busy.id).count(), 1);
    harness.store.release_leases(NOW).await.expect("released");
    let crowded = [harness.user];
    let nobody = PassedOver { busy: &[], crowded: &crowded };
    assert_eq!(claim(Claim { passed_over: nobody, ..claiming(30, 4, &[]) }).await, []);
    let due = harness.store.next_delivery_due(NOW, nobody).await.expect("read");
    assert_eq!(due, None, "nor is it asked again and again");
    let others = [fresh()];
    let others = PassedOver { busy: &[], crowded: &others };
    assert_ne!(claim(Claim { passed_over: others, ..claiming(30, 4, &[]) }).await, []);
    harness.store.release_leases(NOW).await.expect("released");
    let few = claim(claiming(30, 4, &[])).await;
    assert_eq!(few.iter().filter(|id| **id == busy.id).count(), 4);
    assert_eq!(few.iter().filter(|id| **id == other.id).count(), 1);
    let no = [busy.id];
    assert_eq!(claim(claiming(30, 4, &no)).await, []);
    let due = async |busy: &[WebhookId]| {
        harness.store.next_delivery_due(NOW, PassedOver { busy, crowded: &[] }).await
    };
    assert_eq!(due(&[]).await.expect("read"), Some(NOW));
    assert_eq!(due(&no).await.expect("read"), Some(NOW.plus(LEASE)), "what the other one has");
}

pub(crate) async fn an_endpoint_of_an_admin_hears_the_instances_of_everybody(kind: Kind) {
    let harness = Harness::new(kind).await;
    let anna = accounts::user(&harness, "anna", Quotas::default()).await.id;
    let bert = accounts::user(&harness, "bert", Quotas::default()).await.id;
    let of_anna = NewInstance { user_id: anna, ..harness.new_instance("one") };
    let one = harness.store.create_instance(of_anna, vec![]).await.expect("made").id;
    let endpoint = |user| Webhook { scope: Scope::User(user), ..webhook(one, &[]) };
    let (of_admin, of_bert) = (endpoint(harness.user), endpoint(bert));
    for made in [&of_admin, &of_bert] {
        assert!(harness.store.create_webhook(made.clone()).await.expect("stored"));
    }
    let hearing = harness.store.webhooks_hearing(one).await.expect("read");
    assert_eq!(hearing, std::slice::from_ref(&of_admin), "bert hears only his own");
    write(&harness, one, ALICE, "1").await;
    let claimed = claim(&harness, NOW).await;
    assert_eq!(chats(&claimed), [(1, ALICE)]);
    assert_eq!(claimed[0].webhook.id, of_admin.id);
}

pub(crate) async fn an_endpoint_of_a_user_hears_all_their_instances_and_orders_each(kind: Kind) {
    let harness = Harness::new(kind).await;
    let (one, two) = (harness.instance("one").await, harness.instance("two").await);
    let scope = Scope::User(harness.user);
    let everywhere = Webhook { scope, ..webhook(one, &[EventKind::MessagesUpsert]) };
    assert!(harness.store.create_webhook(everywhere.clone()).await.expect("stored"));
    assert_eq!(
        harness.store.webhooks(scope).await.expect("read"),
        std::slice::from_ref(&everywhere)
    );
    assert_eq!(harness.store.webhooks(Scope::Instance(one)).await.expect("read"), []);
    let hearing = harness.store.webhooks_hearing(two).await.expect("read");
    assert_eq!(hearing, std::slice::from_ref(&everywhere));
    for (instance, wa_id) in [(one, "1"), (one, "2"), (two, "3"), (two, "4")] {
        write(&harness, instance, ALICE, wa_id).await;
    }
    let mut first = claim(&harness, NOW).await;
    first.sort_by_key(|one| one.event.event.instance_id != two);
    assert_eq!(chats(&first), [(1, ALICE), (1, ALICE)], "instances do not wait for each other");
    settle(&harness, &first[0], NextStep::Delivered, NOW).await;
    let next = claim(&harness, NOW).await;
    assert_eq!((chats(&next), next[0].event.event.instance_id), (vec![(2, ALICE)], two));
    let again = harness.store.replay(two, (NOW, NOW), hearing, 100, NOW).await.expect("replayed");
    assert_eq!(again, 1, "what was finished");
    let fresh_user = Scope::User(fresh());
    assert!(!harness.store.delete_webhook(fresh_user, everywhere.id).await.expect("not theirs"));
    assert!(harness.store.delete_webhook(scope, everywhere.id).await.expect("deleted"));
    assert_eq!(
        harness.store.next_delivery_due(NOW, PassedOver::default()).await.expect("read"),
        None
    );
}

/// A receiver that is down for twenty hours and then well, by the clock of this test.
pub(crate) async fn what_waits_for_twenty_hours_arrives_in_order_and_costs_few_attempts(
    kind: Kind,
) {
    const CHATS: usize = 10;
    const EACH: usize = 30;
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    let webhook = harness.webhook(id, &[EventKind::MessagesUpsert]).await;
    for number in 0..CHATS * EACH {
        let chat = format!("5511900000{:03}@s.whatsapp.net", number % CHATS);
        write(&harness, id, &chat, &number.to_string()).await;
    }
    let back = NOW.plus(Duration::from_secs(20 * 3600));
    let (mut now, mut attempts, mut most) = (NOW, 0, 0);
    while let Some(due) =
        harness.store.next_delivery_due(now, PassedOver::default()).await.expect("read")
    {
        now = due;
        if now >= back {
            break;
        }
        let claimed = claim(&harness, now).await;
        (attempts, most) = (attempts + claimed.len(), most.max(claimed.len()));
        for one in &claimed {
            let tried = one.attempts + 1;
            let step = after_attempt(Attempt::Unreachable, tried, NOW, now, (0.5, None));
            let down = Settlement { status: None, ..settlement(step, now) };
            harness.store.settle_delivery(one.delivery_id, down).await.expect("settled");
        }
    }
    assert!(most <= CHATS && attempts < 100, "{attempts} attempts, {most} at once");
    let mut got: Vec<(String, i64)> = vec![];
    while let Some(due) =
        harness.store.next_delivery_due(now, PassedOver::default()).await.expect("read")
    {
        now = due;
        for one in &claim(&harness, now).await {
            got.push((one.event.event.ordering_key.clone(), one.event.seq));
            settle(&harness, one, NextStep::Delivered, now).await;
        }
    }
    assert_eq!(got.len(), CHATS * EACH, "all of it arrived, and once");
    let mut last = std::collections::HashMap::new();
    for (chat, seq) in &got {
        let before = last.insert(chat, seq);
        assert!(before < Some(seq), "out of order in {chat}");
    }
    let webhook = harness.store.webhook(webhook.id).await.expect("read").expect("there");
    assert_eq!((webhook.enabled, webhook.health.failures), (true, 0));
}
