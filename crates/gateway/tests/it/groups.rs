//! Groups, as the network keeps them after the product has changed them.

use crate::harness::{World, named};
use crate::sending::PNG;
use bytes::Bytes;
use flowcore_domain::engine::{GroupSwitch, MemberChange, MemberRank};
use flowcore_domain::jid::Jid;
use flowcore_gateway::{MediaSource, NewContent, NewGroup, NewMessage, ServiceError};
use serde_json::{Value, json};

async fn on_network(world: &World, id: &Jid) -> Value {
    let all = world.ask("/admin/groups").await;
    let found = all["groups"]
        .as_array()
        .and_then(|groups| groups.iter().find(|group| group["jid"] == id.to_string()).cloned());
    found.expect("the group")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_made_and_managed() {
    let world = World::start().await;
    let (ana, bea) = (world.contact("Ana").await, world.contact("Bea").await);
    let phone = world.linked("shop").await;
    let (groups, caller, shop) = (world.gateway.groups(), &world.caller, named("shop"));
    let new = NewGroup {
        subject: "Orders".into(),
        description: Some("all of them".into()),
        members: vec![ana.clone()],
        promote: true,
    };
    let made = groups.create(caller, &shop, &new).await.expect("made");
    assert_eq!((made.subject.as_str(), made.size), ("Orders", 2));
    let id = made.id.clone();
    let kept = on_network(&world, &id).await;
    assert_eq!(kept["members"], json!({ &ana: "admin", &phone: "superadmin" }));
    assert_eq!(kept["description"], "all of them");

    groups.set_subject(caller, &shop, (&id, "Old orders")).await.expect("called");
    groups.set_description(caller, &shop, (&id, "closed")).await.expect("described");
    let png = MediaSource::Bytes(Bytes::from_static(PNG));
    groups.set_picture(caller, &shop, (&id, &png)).await.expect("a picture");
    for switch in
        [GroupSwitch::Announcement(true), GroupSwitch::Locked(true), GroupSwitch::Ephemeral(86_400)]
    {
        groups.switch(caller, &shop, (&id, switch)).await.expect("switched");
    }
    let (just_ana, just_bea) = ([ana.clone()], [bea.clone()]);
    let added = groups.change_members(caller, &shop, &id, (MemberChange::Add, &just_bea));
    let added = added.await.expect("added");
    assert_eq!((added[0].status, added[0].jid.user()), (200, bea.as_str()));
    let demoted = groups.change_members(caller, &shop, &id, (MemberChange::Demote, &just_ana));
    demoted.await.expect("demoted");
    let kept = on_network(&world, &id).await;
    assert_eq!(kept["subject"], "Old orders");
    assert_eq!(kept["description"], "closed");
    assert!(kept["picture"].is_string());
    assert_eq!(kept["expiration"], 86_400);
    assert_eq!(kept["members"], json!({ &ana: "member", &bea: "member", &phone: "superadmin" }));
    let switches = kept["switches"].as_array().expect("switches");
    assert!(switches.contains(&json!("announcement")) && switches.contains(&json!("locked")));
    let shown = groups.get(caller, &shop, &id).await.expect("shown");
    assert!(shown.announcement && shown.locked && shown.ephemeral == 86_400);
    assert!(groups.picture(caller, &shop, &id).await.expect("asked").is_some());
    let listed = groups.list(caller, &shop).await.expect("listed");
    assert_eq!((listed.len(), listed[0].members.len()), (1, 3));

    groups
        .change_members(caller, &shop, &id, (MemberChange::Remove, &just_bea))
        .await
        .expect("out");
    groups.leave(caller, &shop, &id).await.expect("left");
    let kept = on_network(&world, &id).await;
    assert_eq!(kept["members"].as_object().map(serde_json::Map::len), Some(1));
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invitations_lead_into_groups_both_ways() {
    let world = World::start().await;
    let ana = world.contact("Ana").await;
    let phone = world.linked("shop").await;
    let (groups, caller, shop) = (world.gateway.groups(), &world.caller, named("shop"));
    let path = format!("/admin/contacts/{ana}/groups");
    let theirs = world.admin(&path, json!({ "subject": "Fans", "participants": [] })).await;
    let code = theirs["inviteCode"].as_str().expect("a code");
    assert_eq!(groups.invited(caller, &shop, code).await.expect("shown").subject, "Fans");
    let joined = groups.join(caller, &shop, code).await.expect("joined");
    let kept = on_network(&world, &joined).await;
    assert_eq!(kept["members"][&phone], "member");

    let new = NewGroup { subject: "Ours".into(), ..NewGroup::default() };
    let ours = groups.create(caller, &shop, &new).await.expect("made");
    let code = groups.invite_code(caller, &shop, (&ours.id, false)).await.expect("a code");
    let invited = [ana.clone()];
    let invite = groups.send_invite(caller, &shop, &ours.id, (&invited, "come"));
    let (sent_code, sent) = invite.await.expect("sent");
    assert_eq!(sent_code, code);
    world.on_phone(&ana, &sent[0].wa_id).await;
    let renewed = groups.invite_code(caller, &shop, (&ours.id, true)).await.expect("a code");
    assert_ne!(renewed, code);
    assert_eq!(on_network(&world, &ours.id).await["inviteCode"], renewed);
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_in_a_group_is_named_and_its_messages_are_edited_and_taken_back() {
    let world = World::start().await;
    let ana = world.contact("Ana").await;
    world.linked("shop").await;
    let (groups, caller, shop) = (world.gateway.groups(), &world.caller, named("shop"));
    let new =
        NewGroup { subject: "Team".into(), members: vec![ana.clone()], ..NewGroup::default() };
    let group = groups.create(caller, &shop, &new).await.expect("made");
    assert!(group.members.iter().any(|one| one.rank == MemberRank::SuperAdmin));
    let text = NewContent::Text("all of you".into());
    let mut message = NewMessage::plain(group.id.to_string(), text);
    message.mention_all = true;
    let sent = world.send(message).await;
    let named_in_it = sent.context.as_ref().expect("context")["mentionedJid"].as_array();
    assert_eq!(named_in_it.map(Vec::len), Some(2));
    let seen = world.on_phone(&ana, &sent.wa_id).await;
    assert_eq!(seen["text"], "all of you");
    let key = flowcore_domain::message::MessageKey {
        chat: group.id.clone(),
        from_me: true,
        id: sent.wa_id.clone(),
        participant: None,
    };
    let messages = world.gateway.messages();
    let edit = messages.edit(caller, &shop, key.clone(), "some of you").await.expect("edited");
    let seen = world.on_phone(&ana, &edit.wa_id).await;
    assert_eq!(seen["edit"]["text"], "some of you");
    let gone = messages.delete(caller, &shop, key).await.expect("taken back");
    assert_eq!(world.on_phone(&ana, &gone.wa_id).await["delete"]["id"], sent.wa_id);
    let nowhere = "120363000000000001@g.us".parse().expect("a JID");
    let refused = groups.get(caller, &shop, &nowhere).await;
    assert!(matches!(refused, Err(ServiceError::Rejected { .. })));
    world.gateway.stop().await;
}
