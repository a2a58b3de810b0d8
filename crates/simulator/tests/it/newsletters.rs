//! Newsletters: made, found, followed, read back, reacted to.

use buffa::MessageField;
use serde_json::json;
use wacore::request::InfoQuery;
use wacore::types::events::Event;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};
use waproto::whatsapp as wa;
use whatsapp_rust::features::{NewsletterMessageType, NewsletterRole};

use crate::harness::{Sandbox, TestClient};

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

/// What the newsletter says of one post: how often it was seen, and its reactions.
async fn counts(client: &TestClient, jid: &Jid, server_id: u64) -> (String, Vec<String>) {
    let updates = NodeBuilder::new("message_updates").attr("count", 100).build();
    let request = InfoQuery::get(
        "newsletter",
        jid.clone(),
        Some(wacore_binary::NodeContent::Nodes(vec![updates])),
    );
    let answer = client.client.send_iq(request).await.expect("an answer");
    let answer = answer.get().to_owned();
    let messages = answer
        .get_optional_child("message_updates")
        .and_then(|node| node.get_optional_child("messages"))
        .expect("messages");
    let is_it =
        |node: &&Node| node.attrs.get("server_id").is_some_and(|id| *id == *server_id.to_string());
    let message = messages.children().unwrap_or_default().iter().find(is_it).expect("the post");
    let text = |node: &Node, key| node.attrs.get(key).map(ToString::to_string).unwrap_or_default();
    let views = message.get_optional_child("views_count").map(|node| text(node, "count"));
    let reactions = message.get_optional_child("reactions").and_then(|node| node.children());
    let reactions = reactions.unwrap_or_default().iter();
    let reactions = reactions.map(|node| text(node, "code") + &text(node, "count")).collect();
    (views.unwrap_or_default(), reactions)
}

#[tokio::test(flavor = "multi_thread")]
async fn reactions_and_views_are_counted_once_a_person_and_taken_back() {
    let sandbox = Sandbox::start().await;
    let ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    let mut eve = sandbox.linked("Eve").await;
    let jid = ann.client.newsletter().create("Daily", None).await.expect("made").jid;
    bob.client.newsletter().join(&jid).await.expect("joined");
    ann.client.send_text(jid.clone(), "issue 1").await.expect("posted");
    bob.text("issue 1").await;
    let posts = bob.client.newsletter().get_messages(&jid, 1, None).await.expect("the post");
    let (post, id) = (posts[0].server_id, posts[0].message_id.clone());
    assert_eq!(counts(&ann, &jid, post).await, ("0".to_owned(), vec![]));

    // What a follower says twice counts once, and the last word counts.
    assert!(bob.client.newsletter().subscribe_live_updates(&jid).await.expect("a window") > 0);
    for reaction in ["👍", "👍", "🎉"] {
        ann.client.newsletter().send_reaction(&jid, post, "👍").await.expect("reacted");
        bob.client.newsletter().send_reaction(&jid, post, reaction).await.expect("reacted");
    }
    for _ in 0..2 {
        let item = NodeBuilder::new("item").attr("server_id", post).build();
        let seen = NodeBuilder::new("receipt")
            .attr("to", jid.clone())
            .attr("type", "view")
            .attr("id", bob.client.generate_message_id())
            .children([NodeBuilder::new("list").children([item]).build()]);
        bob.client.send_node(seen.build()).await.expect("seen");
    }
    let (views, reactions) = counts(&bob, &jid, post).await;
    assert_eq!((views.as_str(), reactions), ("1", vec!["🎉1".to_owned(), "👍1".to_owned()]));
    bob.wait("a live update", |event| matches!(event, Event::NewsletterLiveUpdate(_))).await;
    bob.client.newsletter().send_reaction(&jid, post, "").await.expect("taken back");
    assert_eq!(counts(&bob, &jid, post).await.1, ["👍1"]);

    // Who does not follow has no say, who only follows does not post.
    for (client, what) in [(&mut eve, "a stranger"), (&mut bob, "a reader")] {
        let sent = client.client.send_text(jid.clone(), what).await.expect("it goes out");
        let refused = |event: &Event| match event {
            Event::ServerAck(ack) => {
                ack.id == sent.message_id && ack.error.as_deref() == Some("403")
            }
            _ => false,
        };
        client.wait("the refusal", refused).await;
    }
    ann.client.newsletter().revoke_message(&jid, &id).await.expect("taken back");
    let gone = async {
        loop {
            let posts = ann.client.newsletter().get_messages(&jid, 1, None).await.expect("posts");
            if posts[0].message.as_ref().is_none_or(|message| message.conversation.is_none()) {
                return;
            }
        }
    };
    tokio::time::timeout(crate::harness::DEADLINE, gone).await.expect("it is gone");
    for client in [ann, bob, eve] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_is_posted_and_read_back_as_one() {
    let sandbox = Sandbox::start().await;
    let ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    let jid = ann.client.newsletter().create("Daily", None).await.expect("made").jid;
    bob.client.newsletter().join(&jid).await.expect("joined");
    let image = wa::message::ImageMessage {
        caption: Some("today".to_owned()),
        direct_path: Some("/v/t62.7118-24/1_n.enc".to_owned()),
        mimetype: Some("image/jpeg".to_owned()),
        ..wa::message::ImageMessage::default()
    };
    let post = wa::Message { image_message: MessageField::some(image), ..wa::Message::default() };
    let sent = ann.client.send_message(jid.clone(), post).await.expect("posted");
    let is_it = |event: &Event| match event {
        Event::Messages(batch) => batch.iter().any(|message| {
            let image = message.message.image_message.as_option();
            image.is_some_and(|image| image.caption.as_deref() == Some("today"))
        }),
        _ => false,
    };
    bob.wait("the picture", is_it).await;
    let posts = bob.client.newsletter().get_messages(&jid, 1, None).await.expect("the post");
    assert_eq!(posts[0].message_id, sent.message_id);
    assert_eq!(posts[0].message_type, NewsletterMessageType::Media);
    let told = sandbox.get("/admin/clock").await["now"].as_u64().expect("seconds");
    assert!(posts[0].timestamp > told - 60 && posts[0].server_id > 0);
    for client in [ann, bob] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_has_a_newsletter_that_clients_follow_and_find() {
    let sandbox = Sandbox::start().await;
    let ann = sandbox.linked("Ann").await;
    let carl = sandbox.contact("Carl").await;
    let body = json!({ "owner": carl, "name": "Cakes", "followers": [ann.phone] });
    let (status, made) = sandbox.post("/admin/newsletters", body).await;
    assert_eq!(status, 201, "{made}");
    let followed = ann.client.newsletter().list_subscribed().await.expect("the list");
    assert_eq!((followed[0].name.as_str(), followed[0].subscriber_count), ("Cakes", 2));
    assert_eq!(made["jid"], followed[0].jid.to_string());
    let invite = made["inviteCode"].as_str().expect("a code");
    let found = ann.client.newsletter().get_metadata_by_invite(invite).await.expect("found");
    assert_eq!(found.role, Some(NewsletterRole::Subscriber));
    for (body, status) in [
        (json!({ "owner": carl, "name": "" }), 422),
        (json!({ "owner": "4930000000", "name": "Cakes" }), 404),
    ] {
        assert_eq!(sandbox.post("/admin/newsletters", body).await.0, status);
    }
    ann.stop().await;
    sandbox.stop().await;
}
