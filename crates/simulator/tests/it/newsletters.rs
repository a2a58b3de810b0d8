//! Newsletters: made, found, followed, read back, reacted to.

use wacore::types::events::Event;
use waproto::whatsapp as wa;
use whatsapp_rust::features::NewsletterRole;

use crate::harness::Sandbox;

#[tokio::test(flavor = "multi_thread")]
async fn a_newsletter_is_made_found_followed_renamed_and_left() {
    let sandbox = Sandbox::start().await;
    let ann = sandbox.linked("Ann").await;
    let bob = sandbox.linked("Bob").await;
    let made = ann.client.newsletter().create("Daily", Some("All the news")).await.expect("made");
    assert_eq!(made.role, Some(NewsletterRole::Owner));
    let invite = made.invite_code.clone().expect("an invitation");
    let newsletter = bob.client.newsletter();
    let found = newsletter.get_metadata_by_invite(&invite).await.expect("found by invitation");
    assert_eq!((found.jid.clone(), found.role), (made.jid.clone(), Some(NewsletterRole::Guest)));
    assert_eq!(found.description.as_deref(), Some("All the news"));
    let joined = newsletter.join(&made.jid).await.expect("joined");
    assert_eq!((joined.subscriber_count, joined.role), (2, Some(NewsletterRole::Subscriber)));
    assert_eq!(newsletter.list_subscribed().await.expect("the list").len(), 1);
    newsletter.set_follower_mute(&made.jid, true).await.expect("muted");
    assert!(newsletter.update(&made.jid, Some("Mine"), None).await.is_err(), "not an admin");
    let renamed = ann.client.newsletter().update(&made.jid, Some("Weekly"), None).await;
    assert_eq!(renamed.expect("renamed").name, "Weekly");
    assert_eq!(newsletter.get_metadata(&made.jid).await.expect("found").name, "Weekly");
    newsletter.leave(&made.jid).await.expect("left");
    assert!(newsletter.list_subscribed().await.expect("the list").is_empty());
    for client in [ann, bob] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn posts_reach_followers_and_are_read_back_in_pages() {
    let sandbox = Sandbox::start().await;
    let ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    let jid = ann.client.newsletter().create("Daily", None).await.expect("made").jid;
    bob.client.newsletter().join(&jid).await.expect("joined");
    for number in 1..=3 {
        let text = format!("issue {number}");
        ann.client.send_text(jid.clone(), &text).await.expect("posted");
        bob.text(&text).await;
    }
    let reader = std::sync::Arc::clone(&bob.client);
    let newsletter = reader.newsletter();
    let latest = newsletter.get_messages(&jid, 2, None).await.expect("the latest");
    let text = |message: &wa::Message| message.conversation.clone().unwrap_or_default();
    let texts: Vec<String> = latest.iter().filter_map(|m| m.message.as_ref().map(text)).collect();
    assert_eq!(texts, ["issue 2", "issue 3"]);
    let older = newsletter.get_messages(&jid, 5, Some(latest[0].server_id)).await.expect("older");
    assert_eq!(older.len(), 1);
    assert!(older[0].server_id < latest[0].server_id);
    assert!(newsletter.subscribe_live_updates(&jid).await.expect("a window") > 0);
    ann.client.newsletter().send_reaction(&jid, older[0].server_id, "👍").await.expect("reacted");
    bob.wait("a live update", |event| matches!(event, Event::NewsletterLiveUpdate(_))).await;
    let seen = newsletter.get_messages(&jid, 1, Some(latest[0].server_id)).await.expect("again");
    assert_eq!((seen[0].reactions[0].code.as_str(), seen[0].reactions[0].count), ("👍", 1));
    let edited = wa::Message {
        conversation: Some("issue 1, corrected".to_owned()),
        ..wa::Message::default()
    };
    ann.client.newsletter().edit_message(&jid, &older[0].message_id, edited).await.expect("edited");
    bob.text("issue 1, corrected").await;
    for client in [ann, bob] {
        client.stop().await;
    }
    sandbox.stop().await;
}
