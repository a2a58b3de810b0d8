//! Inbound messages: once, with chat, contact and event.

use crate::harness::{
    ALICE, ALICE_LID, BOB, Harness, Kind, NOW, event, fresh, inbound, jid, outgoing,
};
use flowcore_domain::event::EventKind;
use flowcore_domain::message::DeliveryStatus;
use flowcore_storage::{ChatCursor, InboundRow, MessageCursor, StorageError};

pub(crate) async fn a_message_that_comes_twice_is_stored_once(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    harness.webhook(id, &[EventKind::MessagesUpsert]).await;
    let batch = vec![inbound(id, ALICE, "A"), inbound(id, ALICE, "A"), inbound(id, BOB, "A")];
    let stored = harness.store.commit_inbound(id, batch, NOW).await.expect("stored");
    assert_eq!(stored.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 2]);
    assert!(stored.iter().all(|event| event.deliveries == 1));
    let again = vec![inbound(id, ALICE, "A"), inbound(id, ALICE, "B")];
    let stored = harness.store.commit_inbound(id, again, NOW).await.expect("stored");
    assert_eq!(stored.iter().map(|event| event.seq).collect::<Vec<_>>(), [3]);
    let counts = harness.counts().await;
    assert_eq!((counts["messages"], counts["events"], counts["deliveries"]), (3, 3, 3));
    let message = harness.store.message(id, "B").await.expect("read").expect("there");
    assert_eq!(message.status, DeliveryStatus::DeliveryAck);
    assert_eq!(message.proto.as_ref(), b"\x0a\x02hi");
    assert_eq!(message.at, NOW);
}

pub(crate) async fn a_person_is_introduced_once_before_their_first_message(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    let row = |wa_id: &str| {
        let introduction = [EventKind::ContactsUpsert, EventKind::ChatsUpsert]
            .map(|kind| event(id, kind, ALICE))
            .to_vec();
        InboundRow { introduction, ..inbound(id, ALICE, wa_id) }
    };
    let stored = harness.store.commit_inbound(id, vec![row("1"), row("2")], NOW).await;
    let stored = stored.expect("stored");
    let told: Vec<_> = stored.iter().map(|one| (one.seq, one.event.kind)).collect();
    let (contact, chat) = (EventKind::ContactsUpsert, EventKind::ChatsUpsert);
    let message = EventKind::MessagesUpsert;
    assert_eq!(told, [(1, contact), (2, chat), (3, message), (4, message)]);
    let stored = harness.store.commit_inbound(id, vec![row("3")], NOW).await.expect("stored");
    assert_eq!((stored.len(), stored[0].seq), (1, 5), "no number is left out");
}

pub(crate) async fn both_addresses_of_a_person_share_one_chat_and_one_contact(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    let mut both = inbound(id, ALICE_LID, "1");
    both.message.chat_alt = Some(jid(ALICE));
    harness.store.commit_inbound(id, vec![both], NOW).await.expect("stored");
    let by_phone = inbound(id, ALICE, "2");
    harness.store.commit_inbound(id, vec![by_phone], NOW).await.expect("stored");
    harness.store.insert_outgoing(outgoing(id, ALICE, "3")).await.expect("stored");
    let chats = harness.store.chats(id, None, 10).await.expect("listed");
    assert_eq!(chats.len(), 1);
    assert_eq!((chats[0].unread, chats[0].push_name.as_deref()), (2, Some("Alice")));
    assert_eq!(chats[0].addresses, [jid(ALICE_LID), jid(ALICE)]);
    let names = harness.store.names(id, &[jid(ALICE), jid(ALICE_LID), jid(BOB)]).await;
    let names = names.expect("looked up");
    assert_eq!(names.len(), 2, "of her by both addresses, of nobody else: {names:?}");
    assert!(names.values().all(|name| name == "Alice"));
    for address in [ALICE, ALICE_LID] {
        let chat = jid(address);
        let messages = harness.store.messages_of_chat(id, &chat, None, 10).await;
        assert_eq!(messages.expect("listed").len(), 3);
    }
}

pub(crate) async fn two_people_become_one_when_a_late_mapping_says_so(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    for (chat, wa_id) in [(ALICE, "1"), (ALICE_LID, "2"), (BOB, "3")] {
        harness
            .store
            .commit_inbound(id, vec![inbound(id, chat, wa_id)], NOW)
            .await
            .expect("stored");
    }
    assert_eq!(harness.counts().await["contacts"], 3);
    let mut mapping = inbound(id, ALICE_LID, "4");
    mapping.message.chat_alt = Some(jid(ALICE));
    mapping.message.timestamp += 60;
    harness.store.commit_inbound(id, vec![mapping], NOW).await.expect("stored");
    let counts = harness.counts().await;
    assert_eq!((counts["contacts"], counts["chats"], counts["contact_addresses"]), (2, 2, 3));
    let chats = harness.store.chats(id, None, 10).await.expect("listed");
    assert_eq!(chats.iter().map(|chat| chat.unread).collect::<Vec<_>>(), [3, 1]);
    let messages = harness.store.messages_of_chat(id, &jid(ALICE), None, 10).await.expect("listed");
    let ids: Vec<_> = messages.iter().map(|message| message.wa_id.as_str()).collect();
    assert_eq!(ids[0], "4");
    assert_eq!(ids.len(), 3);
}

pub(crate) async fn a_group_message_knows_its_writer_but_its_chat_is_the_group(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    let group = "120363000000000001@g.us";
    let mut message = inbound(id, group, "1");
    message.message.sender = jid(ALICE_LID);
    message.message.sender_alt = Some(jid(ALICE));
    let mut own = inbound(id, group, "2");
    own.message.sender = jid(crate::harness::OWN);
    own.message.from_me = true;
    harness.store.commit_inbound(id, vec![message, own], NOW).await.expect("stored");
    let chats = harness.store.chats(id, None, 10).await.expect("listed");
    assert_eq!((chats.len(), chats[0].unread), (1, 1));
    assert_eq!((&chats[0].address, chats[0].addresses.len()), (&jid(group), 0));
    let counts = harness.counts().await;
    assert_eq!((counts["contacts"], counts["contact_addresses"]), (1, 2));
    let own = harness.store.message(id, "2").await.expect("read").expect("there");
    assert_eq!(own.status, DeliveryStatus::ServerAck);
}

pub(crate) async fn an_unknown_instance_takes_no_messages(kind: Kind) {
    let harness = Harness::new(kind).await;
    let nobody = fresh();
    let refused =
        harness.store.commit_inbound(nobody, vec![inbound(nobody, ALICE, "1")], NOW).await;
    assert!(matches!(refused, Err(StorageError::NotFound("the instance"))), "{refused:?}");
    assert_eq!(harness.counts().await["messages"], 0);
}

pub(crate) async fn pages_show_everything_once_newest_first(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    let rows = (0..25)
        .map(|n| {
            let mut row = inbound(id, ALICE, &format!("{n:02}"));
            // Pairs within one second, as WhatsApp's clock counts.
            row.message.timestamp += n / 2;
            row
        })
        .collect();
    harness.store.commit_inbound(id, rows, NOW).await.expect("stored");
    let (mut seen, mut cursor) = (vec![], None);
    loop {
        let page =
            harness.store.messages_of_chat(id, &jid(ALICE), cursor, 7).await.expect("a page");
        let Some(last) = page.last() else { break };
        cursor = Some(MessageCursor { at: last.at, row_id: last.row_id });
        seen.extend(page.into_iter().map(|message| message.wa_id));
    }
    let wanted: Vec<String> = (0..25).rev().map(|n| format!("{n:02}")).collect();
    assert_eq!(seen, wanted);
}

pub(crate) async fn chats_page_by_their_last_message(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    for n in 0..5_i64 {
        let mut row = inbound(id, &format!("49151000000{n}@s.whatsapp.net"), "1");
        row.message.timestamp += n / 2;
        harness.store.commit_inbound(id, vec![row], NOW).await.expect("stored");
    }
    let (mut seen, mut cursor) = (vec![], None::<ChatCursor>);
    loop {
        let page = harness.store.chats(id, cursor.as_ref(), 2).await.expect("a page");
        let Some(last) = page.last() else { break };
        cursor = Some(ChatCursor { at: last.last_message_at, key: last.key.clone() });
        seen.extend(page);
    }
    assert_eq!(seen.len(), 5);
    assert!(seen.is_sorted_by(|a, b| a.last_message_at >= b.last_message_at));
}

pub(crate) async fn any_text_that_whatsapp_carries_is_stored(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    let mut row = inbound(id, ALICE, "odd");
    row.message.text = Some("before\0after \u{10FFFF} 'quoted' \\ 👩‍👩‍👧".to_owned());
    row.message.push_name = Some("\0".to_owned());
    row.message.content = serde_json::json!({ "conversation": "before\0after" });
    harness.store.commit_inbound(id, vec![row], NOW).await.expect("stored");
    let read = harness.store.message(id, "odd").await.expect("read").expect("there");
    assert!(read.text.expect("a text").ends_with("after \u{10FFFF} 'quoted' \\ 👩‍👩‍👧"));
    assert_eq!(read.content["conversation"], "before\0after");
}

pub(crate) async fn a_chat_that_was_read_counts_anew(kind: Kind) {
    let harness = Harness::new(kind).await;
    let id = harness.instance("shop").await;
    let unread = async || harness.store.chats(id, None, 10).await.expect("read")[0].unread;
    for wa_id in ["1", "2"] {
        let row = inbound(id, ALICE, wa_id);
        harness.store.commit_inbound(id, vec![row], NOW).await.expect("stored");
    }
    assert_eq!(unread().await, 2);
    assert!(harness.store.mark_chat(id, &jid(ALICE), true).await.expect("marked"));
    assert_eq!(unread().await, 0);
    assert!(harness.store.mark_chat(id, &jid(ALICE), false).await.expect("marked"));
    assert_eq!(unread().await, 1, "marked as unread");
    let row = inbound(id, ALICE, "3");
    harness.store.commit_inbound(id, vec![row], NOW).await.expect("stored");
    assert_eq!(unread().await, 2);
    assert!(!harness.store.mark_chat(id, &jid(BOB), true).await.expect("fine"), "unknown");
}
