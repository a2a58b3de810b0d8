//! Groups between real clients: members and their rights, settings, ways in, messages and ticks.

use serde_json::json;
use wacore::iq::groups::{
    GroupCreateOptions, GroupDescription, GroupParticipantOptions, GroupSubject, MemberAddMode,
    MembershipApprovalMode,
};
use wacore::iq::privacy::{PrivacyCategory, PrivacyValue};
use wacore::stanza::groups::GroupNotificationAction as Action;
use wacore::types::events::{Event, Receipt};
use wacore::types::presence::ReceiptType;
use wacore_binary::{Jid, JidExt};
use whatsapp_rust::features::{JoinGroupResult, PreviousDescription};

use crate::harness::{Sandbox, TestClient};

pub(crate) fn participants(clients: &[&TestClient]) -> Vec<Jid> {
    clients.iter().map(|client| Jid::pn(client.phone.as_str())).collect()
}

/// A group that the first of these makes with the others.
pub(crate) async fn group_of(founder: &TestClient, others: &[&TestClient]) -> Jid {
    let options = GroupCreateOptions {
        subject: "Walkers".to_owned(),
        participants: participants(others).into_iter().map(GroupParticipantOptions::new).collect(),
        ..GroupCreateOptions::default()
    };
    let created = founder.client.groups().create_group(options).await.expect("a group");
    created.metadata.id
}

async fn send(client: &TestClient, group: &Jid, text: &str) -> String {
    client.client.send_text(group.clone(), text).await.expect("the send succeeds").message_id
}

async fn wait_action(client: &mut TestClient, what: &str, is: impl Fn(&Action) -> bool) {
    client
        .wait(what, |event| matches!(event, Event::GroupUpdate(update) if is(&update.action)))
        .await;
}

fn receipt_from(event: &Event, kind: &ReceiptType, id: &str) -> bool {
    let is = |receipt: &Receipt| {
        receipt.r#type == *kind
            && receipt.source.chat.is_group()
            && receipt.message_ids.iter().any(|known| *known == *id)
    };
    matches!(event, Event::Receipt(receipt) if is(receipt))
}

async fn nack(client: &mut TestClient, id: &str, code: &str) {
    let is = |event: &Event| match event {
        Event::ServerAck(ack) => ack.id == id && ack.error.as_deref() == Some(code),
        _ => false,
    };
    client.wait("the nack", is).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_made_and_everybody_in_it_reads_and_answers() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    let mut second = sandbox.linked("Bob").await;
    let mut carl = sandbox.linked("Carl").await;
    let group = group_of(&ann, &[&bob, &carl]).await;
    wait_action(&mut bob, "told of the group", |a| matches!(a, Action::Create { .. })).await;
    let sent = send(&ann, &group, "hello all").await;
    for client in [&mut bob, &mut second, &mut carl] {
        assert_eq!(client.text("hello all").await, sent);
    }
    let delivered = |event: &Event| receipt_from(event, &ReceiptType::Delivered, &sent);
    ann.wait("a delivery receipt", delivered).await;
    let author = ann.client.lid().expect("a linked client knows its LID");
    bob.client.mark_as_read(&group, Some(&author), &[&sent]).await.expect("read");
    ann.wait("a read receipt", |event| receipt_from(event, &ReceiptType::Read, &sent)).await;
    send(&bob, &group, "hello Ann").await;
    ann.text("hello Ann").await;
    carl.text("hello Ann").await;
    second.text("hello Ann").await;
    send(&ann, &group, "again").await;
    carl.text("again").await;
    let metadata = carl.client.groups().get_metadata(&group).await.expect("the metadata");
    assert_eq!(metadata.subject, "Walkers");
    assert_eq!(metadata.participants.len(), 3);
    let mine = carl.client.groups().get_participating().await.expect("the list");
    assert!(mine.contains_key(&group));
    for client in [ann, bob, second, carl] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_come_and_go_and_everybody_hears_of_it() {
    let sandbox = Sandbox::start().await;
    let ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    let mut carl = sandbox.linked("Carl").await;
    let group = group_of(&ann, &[&bob]).await;
    send(&ann, &group, "before Carl").await;
    bob.text("before Carl").await;
    let added = ann.client.groups().add_participants(&group, &participants(&[&carl])).await;
    assert_eq!(added.expect("added")[0].status.as_deref(), Some("200"));
    wait_action(&mut bob, "an addition", |a| matches!(a, Action::Add { .. })).await;
    wait_action(&mut carl, "an addition", |a| matches!(a, Action::Add { .. })).await;
    send(&ann, &group, "welcome Carl").await;
    carl.text("welcome Carl").await;
    bob.text("welcome Carl").await;
    let groups = ann.client.groups();
    groups.promote_participants(&group, &participants(&[&bob])).await.expect("promoted");
    wait_action(&mut carl, "a promotion", |a| matches!(a, Action::Promote { .. })).await;
    let metadata = groups.get_metadata(&group).await.expect("the metadata");
    assert_eq!(metadata.participants.iter().filter(|p| p.is_admin()).count(), 2);
    groups.demote_participants(&group, &participants(&[&bob])).await.expect("demoted");
    wait_action(&mut carl, "a demotion", |a| matches!(a, Action::Demote { .. })).await;
    let forbidden = bob.client.groups().remove_participants(&group, &participants(&[&carl])).await;
    assert!(forbidden.is_err(), "members may not remove others");
    groups.remove_participants(&group, &participants(&[&carl])).await.expect("removed");
    wait_action(&mut carl, "the own removal", |a| matches!(a, Action::Remove { .. })).await;
    wait_action(&mut bob, "a removal", |a| matches!(a, Action::Remove { .. })).await;
    send(&ann, &group, "without Carl").await;
    bob.text("without Carl").await;
    assert_eq!(carl.texts(), ["welcome Carl"]);
    bob.client.groups().leave(&group).await.expect("left");
    let metadata = groups.get_metadata(&group).await.expect("the metadata");
    assert_eq!(metadata.participants.len(), 1);
    for client in [ann, bob, carl] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_seen_by_all_and_changed_by_admins_only() {
    let sandbox = Sandbox::start().await;
    let ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    let group = group_of(&ann, &[&bob]).await;
    let groups = ann.client.groups();
    groups.set_locked(&group, true).await.expect("locked");
    groups.set_announce(&group, true).await.expect("announcement");
    groups.set_ephemeral(&group, 86_400).await.expect("a timer");
    groups.set_membership_approval(&group, MembershipApprovalMode::On).await.expect("approval");
    groups.set_member_add_mode(&group, MemberAddMode::AdminAdd).await.expect("a mode");
    let subject = GroupSubject::new("Runners").expect("a subject");
    groups.set_subject(&group, subject.clone()).await.expect("a subject");
    wait_action(
        &mut bob,
        "the subject",
        |action| matches!(action, Action::Subject { subject, .. } if subject == "Runners"),
    )
    .await;
    let described = Some(GroupDescription::new("We run.").expect("a description"));
    groups
        .set_description(&group, described, PreviousDescription::Resolve)
        .await
        .expect("a description");
    let metadata = bob.client.groups().get_metadata(&group).await.expect("the metadata");
    assert!(metadata.is_locked && metadata.is_announcement && metadata.membership_approval);
    let timer = |m: &whatsapp_rust::features::GroupMetadata| {
        m.ephemeral.as_ref().and_then(|timer| timer.expiration)
    };
    assert_eq!(timer(&metadata), Some(86_400));
    let addition = bob.client.groups().add_participants(&group, &participants(&[&ann])).await;
    assert!(addition.is_err(), "members may not add others now");
    assert_eq!(metadata.subject, "Runners");
    assert_eq!(metadata.description.as_deref(), Some("We run."));
    let stale = GroupDescription::new("We walk.").expect("a description");
    let conflict = groups.set_description(&group, Some(stale), PreviousDescription::Id("0")).await;
    assert!(conflict.is_err(), "a stale description is refused");
    assert!(bob.client.groups().set_locked(&group, false).await.is_err());
    assert!(bob.client.groups().set_subject(&group, subject).await.is_err());
    let id = send(&bob, &group, "may I speak?").await;
    nack(&mut bob, &id, "401").await;
    groups.set_locked(&group, false).await.expect("unlocked");
    groups.set_announce(&group, false).await.expect("no announcement");
    groups.set_ephemeral(&group, 0).await.expect("no timer");
    let metadata = bob.client.groups().get_metadata(&group).await.expect("the metadata");
    assert!(!metadata.is_locked && !metadata.is_announcement);
    assert_eq!(timer(&metadata), None);
    for client in [ann, bob] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_join_by_link_or_after_the_admins_said_yes() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let bob = sandbox.linked("Bob").await;
    let mut carl = sandbox.linked("Carl").await;
    let group = group_of(&ann, &[]).await;
    let link = ann.client.groups().get_invite_link(&group, false).await.expect("a link");
    let code = link.rsplit('/').next().expect("a code").to_owned();
    let shown = bob.client.groups().get_invite_info(&code).await.expect("what it leads to");
    assert_eq!(shown.subject, "Walkers");
    let joined = bob.client.groups().join_with_invite_code(&code).await.expect("joined");
    assert_eq!(joined, JoinGroupResult::Joined(group.clone()));
    let groups = ann.client.groups();
    groups.set_membership_approval(&group, MembershipApprovalMode::On).await.expect("approval");
    let asked = carl.client.groups().join_with_invite_code(&code).await.expect("asked");
    assert_eq!(asked, JoinGroupResult::PendingApproval(group.clone()));
    wait_action(&mut ann, "a request", |a| matches!(a, Action::CreatedMembershipRequests { .. }))
        .await;
    let groups = ann.client.groups();
    let requests = groups.get_membership_requests(&group).await.expect("the requests");
    assert_eq!(requests.len(), 1);
    groups.approve_membership_requests(&group, &[requests[0].jid.clone()]).await.expect("yes");
    wait_action(&mut carl, "the admission", |a| matches!(a, Action::Add { .. })).await;
    assert!(groups.get_membership_requests(&group).await.expect("the requests").is_empty());
    let renewed = groups.get_invite_link(&group, true).await.expect("a new link");
    assert_ne!(renewed, link);
    assert!(bob.client.groups().get_invite_info(&code).await.is_err(), "the old link is dead");
    for client in [ann, bob, carl] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_in_a_group_waits_for_an_absent_member() {
    let sandbox = Sandbox::start().await;
    let ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    let carl = sandbox.linked("Carl").await;
    let group = group_of(&ann, &[&bob]).await;
    send(&ann, &group, "hello").await;
    bob.text("hello").await;
    bob.skip_past();
    let away = json!({ "target": bob.phone, "fault": "refuse-login", "code": 503, "seconds": 1.0 });
    sandbox.fault(away).await;
    sandbox.fault(json!({ "target": bob.phone, "fault": "drop" })).await;
    sandbox.until("Bob is away", |stats| stats["online"] == 2).await;
    let groups = ann.client.groups();
    groups.add_participants(&group, &participants(&[&carl])).await.expect("added");
    for number in 0..5 {
        send(&ann, &group, &format!("while away {number}")).await;
    }
    wait_action(&mut bob, "the addition", |a| matches!(a, Action::Add { .. })).await;
    bob.text("while away 4").await;
    let expected: Vec<String> = std::iter::once("hello".to_owned())
        .chain((0..5).map(|number| format!("while away {number}")))
        .collect();
    assert_eq!(bob.texts(), expected);
    for client in [ann, bob, carl] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_idea_of_the_addresses_is_refused_and_outsiders_have_no_say() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    let group = group_of(&ann, &[&bob]).await;
    send(&ann, &group, "hello").await;
    bob.text("hello").await;
    let path = format!("/admin/groups/{group}");
    let (status, body) = sandbox.post(&path, json!({ "addressingMode": "pn" })).await;
    assert_eq!(status, 200, "{body}");
    let id = send(&ann, &group, "to old addresses").await;
    nack(&mut ann, &id, "421").await;
    let (status, _) = sandbox.post(&path, json!({ "addressingMode": "lid" })).await;
    assert_eq!(status, 200);
    bob.client.groups().leave(&group).await.expect("left");
    let outsider = bob.client.groups().get_metadata(&group).await;
    assert!(outsider.is_err(), "who left sees nothing");
    for client in [ann, bob] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn privacy_keeps_from_being_added_and_gives_an_invitation_instead() {
    let sandbox = Sandbox::start().await;
    let ann = sandbox.linked("Ann").await;
    let bob = sandbox.linked("Bob").await;
    let group = group_of(&ann, &[]).await;
    bob.client
        .set_privacy_setting(PrivacyCategory::GroupAdd, PrivacyValue::None)
        .await
        .expect("the setting is accepted");
    let refused = ann.client.groups().add_participants(&group, &participants(&[&bob])).await;
    let refused = &refused.expect("an answer")[0];
    assert_eq!(refused.error.as_deref(), Some("403"));
    let invite = refused.add_request.as_ref().expect("a personal invitation");
    let expires = i64::try_from(invite.expiration).expect("a time");
    let joined = bob
        .client
        .groups()
        .join_with_invite_v4(&group, &invite.code, expires, &Jid::pn(ann.phone.as_str()))
        .await
        .expect("the invitation counts");
    assert_eq!(joined, JoinGroupResult::Joined(group));
    for client in [ann, bob] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_makes_a_group_and_writes_in_it() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let carl = sandbox.contact("Carl").await;
    let path = format!("/admin/contacts/{carl}/groups");
    let body = json!({ "subject": "Neighbours", "participants": [ann.phone] });
    let (status, made) = sandbox.post(&path, body).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(made["inviteCode"].as_str().map(str::len), Some(22));
    let group: Jid = made["jid"].as_str().expect("a jid").parse().expect("a jid");
    wait_action(&mut ann, "told of the group", |a| matches!(a, Action::Create { .. })).await;
    let write = format!("/admin/contacts/{carl}/messages");
    let (status, sent) =
        sandbox.post(&write, json!({ "to": group.to_string(), "text": "hi" })).await;
    assert_eq!(status, 201, "{sent}");
    ann.text("hi").await;
    let id = send(&ann, &group, "hi Carl").await;
    let received = sandbox.get(&format!("{write}?wait=10")).await;
    assert_eq!(received["messages"][0]["text"], "hi Carl");
    assert_eq!(received["messages"][0]["chat"], json!(group.to_string()));
    assert_eq!(received["messages"][0]["from"], json!(ann.phone));
    let read = json!({ "chat": group.to_string(), "ids": [id] });
    let (status, body) = sandbox.post(&format!("/admin/contacts/{carl}/read"), read).await;
    assert_eq!(status, 200, "{body}");
    ann.wait("a read receipt", |event| receipt_from(event, &ReceiptType::Read, &id)).await;
    let act = format!("{path}/{group}");
    let (status, _) =
        sandbox.post(&act, json!({ "action": "subject", "subject": "Block 7" })).await;
    assert_eq!(status, 200);
    let seen = ann.client.groups().get_metadata(&group).await.expect("the metadata");
    assert_eq!(seen.subject, "Block 7");
    let (status, _) = sandbox.post(&act, json!({ "action": "leave" })).await;
    assert_eq!(status, 200);
    wait_action(&mut ann, "Carl is gone", |a| matches!(a, Action::Remove { .. })).await;
    ann.stop().await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_device_of_a_member_gets_what_is_written_from_then_on() {
    let sandbox = Sandbox::start().await;
    let ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    let group = group_of(&ann, &[&bob]).await;
    send(&ann, &group, "to one device").await;
    bob.text("to one device").await;
    let mut second = sandbox.linked("Bob").await;
    sandbox.until("Ann knows of it", |stats| stats["queued"] == 0).await;
    send(&ann, &group, "to both devices").await;
    second.text("to both devices").await;
    bob.text("to both devices").await;
    assert_eq!(second.texts(), ["to both devices"]);
    for client in [ann, bob, second] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_writes_in_a_group_on_the_phone_itself() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    let group = group_of(&ann, &[&bob]).await;
    let path = format!("/admin/mock-phone/{}/messages", ann.phone);
    let (status, sent) =
        sandbox.post(&path, json!({ "to": group.to_string(), "text": "by thumb" })).await;
    assert_eq!(status, 201, "{sent}");
    assert_eq!(json!(bob.text("by thumb").await), sent["id"]);
    assert_eq!(json!(ann.text("by thumb").await), sent["id"]);
    for client in [ann, bob] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_survives_a_restart_of_the_network() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = || flowcore_simulator::NetworkConfig {
        state_dir: Some(folder.path().to_owned()),
        ..flowcore_simulator::NetworkConfig::default()
    };
    let sandbox = Sandbox::with(config()).await;
    let ann = sandbox.linked("Ann").await;
    let bob = sandbox.linked("Bob").await;
    let group = group_of(&ann, &[&bob]).await;
    for client in [ann, bob] {
        client.stop().await;
    }
    sandbox.stop().await;
    let sandbox = Sandbox::with(config()).await;
    let groups = sandbox.get("/admin/groups").await;
    assert_eq!(groups["groups"][0]["jid"], json!(group.to_string()));
    assert_eq!(groups["groups"][0]["members"].as_object().map(serde_json::Map::len), Some(2));
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_asks_in_a_group_and_a_member_votes() {
    let sandbox = Sandbox::start().await;
    let mut ann = sandbox.linked("Ann").await;
    let carl = sandbox.contact("Carl").await;
    let path = format!("/admin/contacts/{carl}/groups");
    let body = json!({ "subject": "Neighbours", "participants": [ann.phone] });
    let (status, made) = sandbox.post(&path, body).await;
    assert_eq!(status, 201, "{made}");
    let group = made["jid"].as_str().expect("a jid").to_owned();
    let write = format!("/admin/contacts/{carl}/messages");
    let poll = json!({ "to": group, "poll": { "name": "When?", "options": ["now", "later"] } });
    let (status, sent) = sandbox.post(&write, poll).await;
    assert_eq!(status, 201, "{sent}");
    let id = sent["id"].as_str().expect("an id").to_owned();
    let is_poll = |event: &Event| match event {
        Event::Messages(batch) => batch.iter().any(|message| message.info.id == id),
        _ => false,
    };
    let event = ann.wait("the poll", is_poll).await;
    let Event::Messages(batch) = &*event else { unreachable!("matched above") };
    let asked = batch.iter().find(|message| message.info.id == id).expect("matched above");
    let context = asked.message.message_context_info.as_option().expect("a poll has a secret");
    let secret = context.message_secret.clone().expect("a poll has a secret");
    let chat: Jid = group.parse().expect("a jid");
    let creator = asked.info.source.sender.to_non_ad();
    ann.client
        .polls()
        .vote(&chat, &id, &creator, &secret, &["later".to_owned()])
        .await
        .expect("the vote is sent");
    let received = sandbox.get(&format!("{write}?wait=10")).await;
    let vote = &received["messages"][0];
    assert!(vote.to_string().contains("later"), "{vote}");
    ann.stop().await;
    sandbox.stop().await;
}
