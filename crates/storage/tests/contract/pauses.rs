//! Endpoints that are paused, switched off or have much to do: nothing that waits is forgotten, and nothing
//! that is done about it is unbounded.

use crate::deliveries::{chats, claim, fail_until_paused, settle, settlement, write};
use crate::harness::{ALICE, BOB, Harness, Kind, NOW, event, inbound, webhook};
use crate::raw::Raw;
use flowcore_domain::clock::Millis;
use flowcore_domain::event::EventKind;
use flowcore_domain::id::InstanceId;
use flowcore_domain::webhook::{NextStep, Scope, Webhook};
use flowcore_storage::{Again, DeliveryFilter, DeliveryState, PassedOver, Settlement};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
const MESSAGES: &[EventKind] = &[EventKind::MessagesUpsert];

async fn due(harness: &Harness, now: Millis) -> Option<Millis> {
    harness.store.next_delivery_due(now, PassedOver::default()).await.expect("read")
}

/// An endpoint of all instances, with two of them.
async fn everywhere(harness: &Harness) -> (Webhook, [InstanceId; 2]) {
    let instances = [harness.instance("one").await, harness.instance("two").await];
    let scope = Scope::User(harness.user);
    let endpoint = Webhook { scope, ..webhook(instances[0], MESSAGES) };
    assert!(harness.store.create_webhook(endpoint.clone()).await.expect("stored"));
    (endpoint, instances)
}

pub(crate) async fn a_paused_endpoint_whose_last_delivery_was_given_up_is_tried_by_the_next(
    kind: Kind,
) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    let webhook = harness.webhook(id, MESSAGES).await;
    write(&harness, id, ALICE, "1").await;
    let until = fail_until_paused(&harness, webhook.id).await;
    let probe = claim(&harness, until).await;
    settle(&harness, &probe[0], NextStep::Dead, until).await;
    assert_eq!(due(&harness, until).await, None);
    write(&harness, id, ALICE, "2").await;
    write(&harness, id, BOB, "3").await;
    let next = due(&harness, until).await.expect("somebody has to find out");
    let probe = claim(&harness, next).await;
    assert_eq!(chats(&probe), [(3, ALICE)], "one, and not all of them");
    settle(&harness, &probe[0], NextStep::Delivered, next).await;
    assert_eq!(chats(&claim(&harness, next).await), [(4, BOB)]);
}

pub(crate) async fn a_paused_endpoint_of_all_instances_outlives_the_one_that_would_try_it(
    kind: Kind,
) {
    let harness = Harness::new(kind).await;
    let (webhook, [one, two]) = everywhere(&harness).await;
    write(&harness, one, ALICE, "1").await;
    let until = fail_until_paused(&harness, webhook.id).await;
    write(&harness, two, BOB, "2").await;
    assert!(harness.store.delete_instance(one).await.expect("deleted"));
    assert_eq!(due(&harness, NOW).await, Some(until));
    let probe = claim(&harness, until).await;
    assert_eq!(probe.iter().map(|one| one.event.event.instance_id).collect::<Vec<_>>(), [two]);
    let mut raw = harness.raw().await;
    let park = format!("UPDATE deliveries SET leased = FALSE, next_at = {}", i64::MAX);
    assert_eq!(raw.execute(&park).await, 1);
    assert_eq!(harness.store.mend_endpoints(until).await.expect("mended"), 1);
    assert_eq!(claim(&harness, until).await.len(), 1, "also after a crash in between");
    assert_eq!(harness.store.mend_endpoints(until).await.expect("looked"), 0);
}

/// Only PostgreSQL runs two transactions at once.
pub(crate) async fn a_message_that_comes_while_a_pause_ends_is_not_forgotten(kind: Kind) {
    let harness = Harness::new(kind).await;
    let (webhook, [one, two]) = everywhere(&harness).await;
    write(&harness, one, ALICE, "1").await;
    let until = fail_until_paused(&harness, webhook.id).await;
    let mut raw = harness.raw().await;
    let resume = "UPDATE webhook_endpoints SET paused_until = NULL, failures = 0, failing_since = NULL; \
                  UPDATE deliveries SET state = 'delivered', head = FALSE";
    if let Raw::Sqlite(_) = raw {
        raw.execute(resume).await;
        write(&harness, two, BOB, "2").await;
    } else {
        let pid = raw.number("SELECT pg_backend_pid()::bigint").await;
        raw.execute("BEGIN").await;
        raw.execute(resume).await;
        let blocked = format!(
            "SELECT COUNT(*) FROM pg_stat_activity WHERE {pid} = ANY (pg_blocking_pids(pid))"
        );
        let mut writing = std::pin::pin!(write(&harness, two, BOB, "2"));
        let mut written = false;
        while !written && raw.number(&blocked).await == 0 {
            tokio::select! {
                () = &mut writing => written = true,
                () = tokio::time::sleep(Duration::from_millis(10)) => {}
            }
        }
        raw.execute("COMMIT").await;
        if !written {
            writing.await;
        }
    }
    assert!(due(&harness, until).await.is_some_and(|at| at <= until), "it is due, not parked");
}

pub(crate) async fn however_many_chats_wait_few_are_due_and_all_arrive(kind: Kind) {
    const CHATS: usize = 200;
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    harness.webhook(id, MESSAGES).await;
    let row = |number: usize| {
        inbound(id, &format!("55119000{number:05}@s.whatsapp.net"), &number.to_string())
    };
    for first in (0..CHATS).step_by(50) {
        let rows = (first..first + 50).map(row).collect();
        harness.store.commit_inbound(id, rows, NOW).await.expect("stored");
    }
    let mut raw = harness.raw().await;
    let near = format!("SELECT COUNT(*) FROM deliveries WHERE head AND next_at <= {}", NOW.0);
    assert!(raw.number(&near).await < 130, "claims look at few");
    let mut got = 0;
    loop {
        let claimed = claim(&harness, NOW).await;
        if claimed.is_empty() {
            break;
        }
        got += claimed.len();
        for one in &claimed {
            settle(&harness, one, NextStep::Delivered, NOW).await;
        }
    }
    assert_eq!(got, CHATS);
}

pub(crate) async fn a_receiver_that_asks_for_time_gets_it_from_all_its_chats(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    let webhook = harness.webhook(id, MESSAGES).await;
    for (chat, wa_id) in [(ALICE, "1"), (BOB, "2")] {
        write(&harness, id, chat, wa_id).await;
    }
    let both = claim(&harness, NOW).await;
    let later = NOW.plus(HOUR * 20);
    let asking = Settlement {
        status: Some(429),
        asked: Some(HOUR * 20),
        ..settlement(NextStep::RetryAt(later), NOW)
    };
    let told = harness.store.settle_delivery(both[0].delivery_id, asking).await.expect("settled");
    assert_eq!(told, [], "this is no fault of its own");
    let soon = NOW.plus(Duration::from_secs(2));
    settle(&harness, &both[1], NextStep::RetryAt(soon), NOW).await;
    write(&harness, id, "4930123456@s.whatsapp.net", "3").await;
    assert_eq!(due(&harness, NOW).await, Some(later));
    let probe = claim(&harness, later).await;
    assert_eq!(probe.len(), 1, "one finds out");
    settle(&harness, &probe[0], NextStep::Delivered, later).await;
    assert_eq!(claim(&harness, later).await.len(), 2);
    let health = harness.store.webhook(webhook.id).await.expect("read").expect("there").health;
    assert_eq!((health.failures, health.paused_until), (0, None));
}

pub(crate) async fn what_is_asked_for_again_has_its_time_before_it(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    let webhook = harness.webhook(id, MESSAGES).await;
    write(&harness, id, ALICE, "1").await;
    let first = claim(&harness, NOW).await;
    assert_eq!((first[0].since, first[0].attempts), (NOW, 0));
    settle(&harness, &first[0], NextStep::RetryAt(NOW), NOW).await;
    let again = claim(&harness, NOW).await;
    settle(&harness, &again[0], NextStep::Dead, NOW).await;
    let later = NOW.plus(HOUR * 48);
    let store = &harness.store;
    let retried = store.retry_delivery(id, first[0].delivery_id, later).await.expect("asked");
    assert_eq!(retried, Again::Due);
    let retried = claim(&harness, later).await;
    assert_eq!((retried[0].since, retried[0].attempts), (later, 0));
    settle(&harness, &retried[0], NextStep::RetryAt(later), later).await;
    let retried = claim(&harness, later).await;
    assert_eq!((retried[0].since, retried[0].attempts), (later, 1));
    settle(&harness, &retried[0], NextStep::Delivered, later).await;
    let list = store.deliveries(id, &DeliveryFilter::default(), 10).await.expect("listed");
    assert_eq!(list[0].attempts.len(), 4, "all of them are told");
    assert_eq!(store.replay(id, (NOW, NOW), vec![webhook], 10, later).await.expect("replayed"), 1);
    assert_eq!(claim(&harness, later).await[0].since, later);
}

pub(crate) async fn an_endpoint_that_is_off_gets_nothing_even_when_asked(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    harness.webhook(id, MESSAGES).await;
    for wa_id in ["1", "2"] {
        write(&harness, id, ALICE, wa_id).await;
    }
    let first = claim(&harness, NOW).await;
    settle(&harness, &first[0], NextStep::Dead, NOW).await;
    // As a process would leave it that is killed while it switches off.
    let off = "UPDATE webhook_endpoints SET enabled = FALSE";
    assert_eq!(harness.raw().await.execute(off).await, 1);
    let again = harness.store.retry_delivery(id, first[0].delivery_id, NOW).await.expect("asked");
    assert_eq!(again, Again::SwitchedOff);
    assert_eq!(claim(&harness, NOW).await.len(), 0);
    assert_eq!(due(&harness, NOW).await, None, "it was buried");
}

pub(crate) async fn an_event_that_cannot_be_read_is_buried_alone(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    harness.webhook(id, MESSAGES).await;
    for (chat, wa_id) in [(ALICE, "1"), (BOB, "2"), (ALICE, "3")] {
        write(&harness, id, chat, wa_id).await;
    }
    let damage = "UPDATE events SET data = '{' WHERE seq = 1";
    assert_eq!(harness.raw().await.execute(damage).await, 1);
    assert_eq!(chats(&claim(&harness, NOW).await), [(2, BOB)]);
    assert_eq!(chats(&claim(&harness, NOW).await), [(3, ALICE)]);
    let dead = DeliveryFilter { state: Some(DeliveryState::Dead), ..Default::default() };
    let dead = harness.store.deliveries(id, &dead, 10).await.expect("listed");
    let why = dead[0].attempts[0].error.as_deref();
    assert_eq!((dead.len(), dead[0].seq, why), (1, 1, Some("the stored event can't be read")));
}

/// More than one job may touch.
async fn many(harness: &Harness, id: InstanceId) {
    for batch in 0..3 {
        let row = |n| inbound(id, ALICE, &format!("{batch}-{n}"));
        let rows = (0..500).map(row).collect();
        harness.store.commit_inbound(id, rows, NOW).await.expect("stored");
    }
}

pub(crate) async fn many_waiting_deliveries_are_ended_and_deleted_in_pieces(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    let mut webhook = harness.webhook(id, MESSAGES).await;
    many(&harness, id).await;
    webhook.enabled = false;
    harness.store.update_webhook(webhook.clone(), NOW).await.expect("off");
    webhook.enabled = true;
    harness.store.update_webhook(webhook.clone(), NOW).await.expect("on");
    assert_eq!(claim(&harness, NOW).await.len(), 0, "it does not get what is stale");
    let connection = event(id, EventKind::MessagesUpsert, ALICE);
    harness.store.append_events(vec![connection]).await.expect("appended");
    let first = claim(&harness, NOW).await;
    assert_eq!(chats(&first), [(1501, ALICE)]);
    let gone = Settlement { status: Some(410), ..settlement(NextStep::Dead, NOW) };
    harness.store.settle_delivery(first[0].delivery_id, gone).await.expect("settled");
    if kind == Kind::Sqlite {
        let piece = "SELECT id FROM deliveries WHERE webhook_id = '1' AND state = 'waiting' \
                     ORDER BY instance_id, ordering_key, seq LIMIT 500";
        let plan = harness.plan(piece).await;
        assert!(plan.contains("deliveries_chain") && !plan.contains("TEMP"), "{plan}");
    }
    let scope = Scope::Instance(id);
    assert!(harness.store.delete_webhook(scope, webhook.id).await.expect("deleted"));
    let mut raw = harness.raw().await;
    assert_eq!(raw.number("SELECT COUNT(*) FROM deliveries").await, 0);
    assert!(harness.store.delete_instance(id).await.expect("deleted"));
    for table in ["messages", "events"] {
        assert_eq!(raw.number(&format!("SELECT COUNT(*) FROM {table}")).await, 0);
    }
}
