//! Conversations: one that is open for a chat, each message in it once, and an owner that only moves by
//! compare-and-set, with a row for every change.

use crate::harness::{
    ALICE, ALICE_LID, BOB, Harness, Kind, NOW, event, fresh, inbound, jid, job, outgoing,
};
use flowcore_domain::conversation::{ConversationStatus, Owner, Role, Step};
use flowcore_domain::event::EventKind;
use flowcore_domain::id::{ConversationId, InstanceId};
use flowcore_domain::message::DeliveryStatus;
use flowcore_storage::{
    Caused, Conversation, ConversationFilter, Moved, Moving, NewEscalation, OutgoingInsert, Page,
    Said, StorageError, StoredMessage, Turn,
};
use serde_json::json;
use std::time::Duration;

async fn arrived(harness: &Harness, id: InstanceId, chat: &str, wa_id: &str) -> StoredMessage {
    harness.store.commit_inbound(id, vec![inbound(id, chat, wa_id)], NOW).await.expect("stored");
    harness.store.message(id, wa_id).await.expect("read").expect("there")
}

async fn opened(harness: &Harness, id: InstanceId, chat: &str, wa_id: &str) -> Conversation {
    let message = arrived(harness, id, chat, wa_id).await;
    open(harness, &message).await
}

async fn open(harness: &Harness, message: &StoredMessage) -> Conversation {
    let who = (&message.chat, message.chat_alt.as_ref());
    harness.store.open_conversation(message.instance_id, who, NOW).await.expect("opened")
}

fn moving(conversation: ConversationId, step: Step) -> Moving {
    let escalation = (step == Step::Escalate).then(|| NewEscalation {
        id: fresh(),
        reason: "keyword",
        keyword: Some("person".to_owned()),
        summary: "asks for a person".to_owned(),
    });
    Moving {
        conversation,
        expected: None,
        step,
        cause: "test".to_owned(),
        escalation,
        reopened: None,
        note: None,
        causing: Box::new(|_, _, _| Caused::default()),
        now: NOW,
    }
}

fn said(content: &str, message: Option<&StoredMessage>) -> Said {
    Said {
        id: fresh(),
        message: message.map(|one| one.row_id),
        role: Role::User,
        content: content.to_owned(),
        metadata: json!({ "by": "customer\0" }),
        at: NOW.plus(Duration::from_secs(1)),
    }
}

pub(crate) async fn a_chat_has_one_open_conversation_with_each_message_once(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    let message = arrived(&harness, id, ALICE, "1").await;
    let one = open(&harness, &message).await;
    let same = open(&harness, &message).await;
    assert_eq!((one.id, one.phone()), (same.id, Some("5511988887777")));
    assert!(harness.store.append_said(&one, said("hi", Some(&message))).await.expect("noted"));
    assert!(!harness.store.append_said(&one, said("hi", Some(&message))).await.expect("known"));
    assert!(harness.store.append_said(&one, said("again", None)).await.expect("noted"));
    let all = harness.store.said(one.id, None, 10).await.expect("read");
    let texts: Vec<_> = all.iter().map(|one| one.content.as_str()).collect();
    assert_eq!(texts, ["again", "hi"]);
    let older = harness.store.said(one.id, Some(all[0].id), 10).await.expect("read");
    assert_eq!(older, all[1..]);
    let noted = harness.store.noted(id, message.row_id).await.expect("read");
    assert_eq!(noted, Some((one.id, all[1].clone())));
    let next = harness.store.said_after(one.id, all[1].id, 10).await.expect("read");
    assert_eq!(next, all[..1]);
    let elsewhere = harness.instance("elsewhere").await;
    assert_eq!(harness.store.noted(elsewhere, message.row_id).await.expect("read"), None);
    let found = harness.store.conversation_of_chat(id, &jid(ALICE)).await.expect("read");
    let found = found.expect("there");
    assert_eq!((found.id, found.last_message_at), (one.id, all[0].at));
    opened(&harness, id, BOB, "2").await;
    let filter = ConversationFilter { instances: Some(vec![id]), ..Default::default() };
    let page = Page { skip: 0, take: 10 };
    let listed = harness.store.find_conversations(&filter, page).await.expect("read");
    assert_eq!((listed.len(), listed[0].id), (2, one.id));
    let none = ConversationFilter { instances: Some(vec![]), ..Default::default() };
    assert_eq!(harness.store.find_conversations(&none, page).await.expect("read"), []);
    let human = ConversationFilter { owner: Some(Owner::Human), ..Default::default() };
    assert_eq!(harness.store.find_conversations(&human, page).await.expect("read"), []);
}

pub(crate) async fn an_owner_changes_once_and_all_that_it_causes_is_stored_with_it(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    let one = opened(&harness, id, ALICE, "1").await;
    let change = Moving {
        expected: Some(0),
        causing: Box::new(move |after, before, escalation| {
            assert_eq!((before.owner, after.standing.owner), (Owner::Ai, Owner::Human));
            assert!(escalation.is_some());
            Caused {
                events: vec![event(id, EventKind::ConversationEscalated, ALICE)],
                jobs: vec![job(id, "notify", ALICE)],
                said: vec![said("a person comes", None)],
            }
        }),
        ..moving(one.id, Step::Escalate)
    };
    let moved = harness.store.move_conversation(change).await.expect("moved");
    assert!(matches!(moved, Moved::Done { ref events, .. } if events.len() == 1), "{moved:?}");
    let again = harness.store.move_conversation(moving(one.id, Step::Escalate)).await;
    assert!(matches!(again.expect("no error"), Moved::Unchanged(_)));
    let late = Moving { expected: Some(0), ..moving(one.id, Step::Release) };
    let late = harness.store.move_conversation(late).await.expect("no error");
    assert!(matches!(late, Moved::Refused(now) if now.version == 1));
    let elsewhere = harness.instance("elsewhere").await;
    let waiting = |only: &[InstanceId]| harness.store.customers_waiting(None, Some(only.to_vec()));
    assert_eq!(waiting(&[id]).await.expect("read"), 1);
    assert_eq!(waiting(&[elsewhere]).await.expect("read"), 0);
    assert_eq!(harness.store.customers_waiting(None, None).await.expect("read"), 1);
    let glance = harness.store.glance(&[id, elsewhere]).await.expect("read");
    let at = |id| glance.iter().find(|one| one.instance == id).expect("there").waiting;
    assert_eq!((at(id), at(elsewhere)), (1, 0));
    let counts = harness.counts().await;
    assert_eq!(counts["jobs"], 1);
    assert_eq!(counts["whatsapp_conversation_messages"], 1);
    for step in [Step::Resolve { hand_back: true }, Step::Reopen, Step::Release, Step::Expire] {
        let moved = harness.store.move_conversation(moving(one.id, step)).await.expect("moved");
        assert!(matches!(moved, Moved::Done { .. }), "{step:?} {moved:?}");
    }
    let rows = harness.store.transitions(one.id, 10).await.expect("read");
    let steps: Vec<_> = rows.iter().map(|row| (row.version, row.step.as_str())).collect();
    let expected = [(1, "escalate"), (2, "resolve"), (3, "reopen"), (4, "release"), (5, "expire")];
    assert_eq!(steps, expected);
    let next = opened(&harness, id, ALICE, "2").await;
    assert_ne!(next.id, one.id, "one that is over is not gone on with");
    let clash = harness.store.move_conversation(moving(one.id, Step::Reopen)).await;
    assert!(matches!(clash, Err(StorageError::Conflict(_))), "{clash:?}");
    let nobody = harness.store.move_conversation(moving(fresh(), Step::TakeOver)).await;
    assert!(matches!(nobody, Err(StorageError::NotFound(_))), "{nobody:?}");
}

pub(crate) async fn the_assistant_speaks_only_while_it_is_its_turn(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    let one = opened(&harness, id, ALICE, "1").await;
    let row = |wa_id: &str, only_at| {
        let turn = Turn {
            conversation: one.id,
            only_at,
            id: fresh(),
            role: if only_at.is_some() { Role::Assistant } else { Role::Human },
            metadata: json!({}),
        };
        let mut row = outgoing(id, ALICE, wa_id);
        row.turn = Some(turn);
        row
    };
    let sent = harness.store.insert_outgoing(row("A1", Some(0))).await.expect("stored");
    assert_eq!(sent, OutgoingInsert::Inserted);
    harness.store.move_conversation(moving(one.id, Step::TakeOver)).await.expect("moved");
    let silenced = harness.store.message(id, "A1").await.expect("read").expect("there");
    assert_eq!(silenced.status, DeliveryStatus::Error, "what was not sent yet is not sent");
    let late = harness.store.insert_outgoing(row("A2", Some(0))).await.expect("no error");
    assert_eq!(late, OutgoingInsert::NotYourTurn);
    assert!(harness.store.message(id, "A2").await.expect("read").is_none());
    let person = harness.store.insert_outgoing(row("H1", None)).await.expect("stored");
    assert_eq!(person, OutgoingInsert::Inserted);
    harness.store.move_conversation(moving(one.id, Step::Release)).await.expect("moved");
    let stale = harness.store.insert_outgoing(row("A3", Some(0))).await.expect("no error");
    assert_eq!(stale, OutgoingInsert::NotYourTurn, "an answer from before the takeover is stale");
    let roles: Vec<_> = harness.store.said(one.id, None, 10).await.expect("read");
    let roles: Vec<_> = roles.iter().map(|one| one.role).collect();
    assert_eq!(roles, [Role::Human, Role::Assistant]);
}

pub(crate) async fn two_people_that_are_one_keep_the_conversation_that_waits(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    let by_phone = opened(&harness, id, ALICE, "1").await;
    let by_lid = opened(&harness, id, ALICE_LID, "2").await;
    harness.store.move_conversation(moving(by_lid.id, Step::Escalate)).await.expect("moved");
    let mut both = inbound(id, ALICE, "3");
    both.message.chat_alt = Some(jid(ALICE_LID));
    harness.store.commit_inbound(id, vec![both], NOW).await.expect("stored");
    for chat in [ALICE, ALICE_LID] {
        let found = harness.store.conversation_of_chat(id, &jid(chat)).await.expect("read");
        let found = found.expect("there");
        assert_eq!((found.id, found.standing.status), (by_lid.id, ConversationStatus::Escalated));
    }
    let other = harness.store.conversation(by_phone.id).await.expect("read").expect("there");
    assert_eq!(other.standing.status, ConversationStatus::Expired);
    assert_eq!(harness.store.transitions(by_phone.id, 10).await.expect("read").len(), 1);
}

/// What somebody does next.
#[derive(Debug, Clone, Copy)]
enum Act {
    CustomerWrites,
    AssistantThinks,
    AssistantSpeaks,
    Moves(Step),
    Restart,
}

const ACTS: [Act; 12] = [
    Act::CustomerWrites,
    Act::AssistantThinks,
    Act::AssistantSpeaks,
    Act::AssistantThinks,
    Act::AssistantSpeaks,
    Act::Moves(Step::TakeOver),
    Act::Moves(Step::Escalate),
    Act::Moves(Step::Release),
    Act::Moves(Step::Resolve { hand_back: true }),
    Act::Moves(Step::Resolve { hand_back: false }),
    Act::Moves(Step::Reopen),
    Act::Restart,
];

/// Everybody acts in an order that a seed tells; what the assistant began before somebody else had the
/// conversation is never said, who waits has a person, and every change has its row.
pub(crate) async fn who_may_speak_is_kept_over_every_interleaving(kind: Kind) {
    let mut harness = Harness::new(kind).await;
    let mut seed = 0x5eed_u64;
    let mut next = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).expect("31 bits")
    };
    for round in 0..12 {
        let id = harness.instance(&format!("shop{round}")).await;
        let one = opened(&harness, id, ALICE, "first").await;
        let (mut begun_at, mut changes) = (None, 0);
        for step in 0..30 {
            let before = harness.store.conversation(one.id).await.expect("read").expect("there");
            let act = ACTS[next() % ACTS.len()];
            match act {
                Act::CustomerWrites => {
                    let message = arrived(&harness, id, ALICE, &format!("c{step}")).await;
                    let same = open(&harness, &message).await;
                    assert_eq!(same.id, one.id);
                }
                Act::AssistantThinks => begun_at = Some(before.standing.version),
                Act::AssistantSpeaks => {
                    let Some(version) = begun_at.take() else { continue };
                    let mut row = outgoing(id, ALICE, &format!("a{step}"));
                    row.turn = Some(Turn {
                        conversation: one.id,
                        only_at: Some(version),
                        id: fresh(),
                        role: Role::Assistant,
                        metadata: json!({}),
                    });
                    let said = harness.store.insert_outgoing(row).await.expect("no error");
                    let may =
                        before.standing.owner == Owner::Ai && before.standing.version == version;
                    let expected =
                        if may { OutgoingInsert::Inserted } else { OutgoingInsert::NotYourTurn };
                    assert_eq!(said, expected, "{:?}", before.standing);
                }
                Act::Moves(step) => {
                    let moved = harness.store.move_conversation(moving(one.id, step)).await;
                    changes += i64::from(matches!(moved.expect("no error"), Moved::Done { .. }));
                }
                Act::Restart => harness = harness.reopen().await,
            }
            let now = harness.store.conversation(one.id).await.expect("read").expect("there");
            assert_eq!(now.standing.version, changes, "after {act:?}");
            if now.standing.status == ConversationStatus::Escalated {
                assert_eq!(now.standing.owner, Owner::Human, "after {act:?}");
            }
        }
        let rows = harness.store.transitions(one.id, 100).await.expect("read");
        assert_eq!(i64::try_from(rows.len()).expect("few"), changes);
        assert!(rows.windows(2).all(|two| two[0].owners.1 == two[1].owners.0));
    }
}
