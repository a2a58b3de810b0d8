//! What members do to messages of a group, and the group's picture.

use wacore::types::events::{Event, InboundMessage};
use wacore::types::message::MessageCategory;
use wacore_binary::Jid;
use waproto::whatsapp as wa;
use whatsapp_rust::RevokeType;
use whatsapp_rust::features::PictureType;

use crate::groups::group_of;
use crate::harness::{Sandbox, TestClient};

/// The next message of a person.
async fn next(client: &mut TestClient) -> InboundMessage {
    let is_one = |message: &InboundMessage| message.info.category != MessageCategory::Peer;
    let event = client
        .wait("a message", |event| match event {
            Event::Messages(batch) => batch.iter().any(is_one),
            _ => false,
        })
        .await;
    let Event::Messages(batch) = &*event else { unreachable!("matched above") };
    batch.iter().find(|message| is_one(message)).expect("matched above").clone()
}

async fn send(client: &TestClient, group: &Jid, text: &str) -> String {
    client.client.send_text(group.clone(), text).await.expect("the send succeeds").message_id
}

async fn stop(sandbox: Sandbox, clients: [TestClient; 2]) {
    for client in clients {
        client.stop().await;
    }
    sandbox.stop().await;
}

/// The message that a protocol message is about.
fn about(message: &wa::Message) -> Option<String> {
    let protocol = message.protocol_message.as_option()?;
    protocol.key.as_option()?.id.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn members_react_edit_and_take_back_and_an_admin_removes() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    let group = group_of(&ann, &[&bob]).await;
    let first = send(&ann, &group, "helo").await;
    bob.text("helo").await;
    let key = wa::MessageKey {
        remote_jid: Some(group.to_string()),
        from_me: Some(false),
        id: Some(first.clone()),
        participant: ann.client.lid().map(|lid| lid.to_non_ad().to_string()),
    };
    bob.client.send_reaction(group.clone(), key, "👍").await.expect("reacted");
    let reaction = next(&mut ann).await;
    let reaction = reaction.message.reaction_message.as_option().expect("a reaction");
    assert_eq!(reaction.text.as_deref(), Some("👍"));
    let text = wa::Message { conversation: Some("hello".to_owned()), ..wa::Message::default() };
    ann.client.edit_message(group.clone(), first.as_str(), text).await.expect("edited");
    let edit = next(&mut bob).await.message;
    assert_eq!(about(&edit).as_deref(), Some(first.as_str()), "{edit:?}");
    ann.client
        .revoke_message(group.clone(), first.as_str(), RevokeType::Sender)
        .await
        .expect("taken back");
    let revoke = next(&mut bob).await;
    assert_eq!(about(&revoke.message).as_deref(), Some(first.as_str()));
    let theirs = send(&bob, &group, "spam").await;
    ann.text("spam").await;
    let original_sender = bob.client.lid().expect("a LID").to_non_ad();
    ann.client
        .revoke_message(group.clone(), theirs.as_str(), RevokeType::Admin { original_sender })
        .await
        .expect("removed");
    let removal = next(&mut bob).await;
    assert_eq!(about(&removal.message).as_deref(), Some(theirs.as_str()));
    stop(sandbox, [ann, bob]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_ask_and_vote() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    let group = group_of(&ann, &[&bob]).await;
    let options = ["north".to_owned(), "south".to_owned()];
    let polls = ann.client.polls();
    let (asked, secret) = polls.create(group.clone(), "Where?", &options, 1).await.expect("asked");
    let poll = next(&mut bob).await;
    assert_eq!(poll.info.id, asked.message_id);
    let creator = poll.info.source.sender.to_non_ad();
    bob.client
        .polls()
        .vote(group, &asked.message_id, &creator, &secret, &options[1..])
        .await
        .expect("voted");
    let inbound = next(&mut ann).await;
    let update = inbound.message.poll_update_message.as_option().expect("a vote");
    let vote = update.vote.as_option().expect("a payload");
    let ciphertext = whatsapp_rust::features::PollVoteCiphertext {
        enc_payload: vote.enc_payload.as_deref().expect("a payload"),
        enc_iv: vote.enc_iv.as_deref().expect("an iv"),
    };
    let own = ann.client.lid().expect("a LID");
    let voter = &inbound.info.source.sender;
    let hashes = ann
        .client
        .polls()
        .decrypt_vote(ciphertext, &secret, &asked.message_id, &own, voter)
        .await
        .expect("the vote opens");
    assert_eq!(hashes, [wacore::poll::compute_option_hash("south").to_vec()]);
    stop(sandbox, [ann, bob]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_groups_picture_is_set_by_its_editors_and_seen_by_its_members() {
    let sandbox = Sandbox::start().await;
    let ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    let stranger = sandbox.linked("Carl").await;
    let group = group_of(&ann, &[&bob]).await;
    let groups = ann.client.groups();
    let set = groups.set_profile_picture(group.clone(), vec![1, 2, 3]).await.expect("set");
    let changed = |event: &Event| match event {
        Event::PictureUpdate(update) => {
            update.jid == group && !update.removed && update.author.is_some()
        }
        _ => false,
    };
    bob.wait("the picture", changed).await;
    let seen = bob.client.contacts().get_profile_picture(&group, true).await.expect("an answer");
    let seen = seen.expect("a picture");
    assert_eq!(seen.id, set.id);
    let jpeg = sandbox.http.get(&seen.url).send().await.expect("an answer");
    assert_eq!(jpeg.bytes().await.expect("a body").as_ref(), [1, 2, 3]);
    let both = bob
        .client
        .groups()
        .get_profile_pictures(vec![group.clone()], PictureType::Preview)
        .await
        .expect("an answer");
    assert_eq!(both[0].photo_id.as_deref(), Some(set.id.as_str()));
    let unseen = stranger.client.contacts().get_profile_picture(&group, false).await;
    assert!(unseen.expect("an answer").is_none(), "it is the members' picture");
    groups.set_locked(&group, true).await.expect("locked");
    let refused = bob.client.groups().set_profile_picture(group.clone(), vec![4]).await;
    assert!(refused.is_err(), "in a locked group admins only change it");
    groups.remove_profile_picture(group.clone()).await.expect("removed");
    let removed = |event: &Event| match event {
        Event::PictureUpdate(update) => update.jid == group && update.removed,
        _ => false,
    };
    bob.wait("no picture", removed).await;
    let seen = bob.client.contacts().get_profile_picture(&group, true).await.expect("an answer");
    assert!(seen.is_none());
    stranger.stop().await;
    stop(sandbox, [ann, bob]).await;
}
