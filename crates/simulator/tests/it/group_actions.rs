//! What the network's people do in groups, through the admin API: every member's client sees it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use wacore_binary::Jid;

use crate::harness::Sandbox;

/// A contact's group with one linked client in it.
struct Made {
    sandbox: Sandbox,
    carl: String,
    group: Jid,
}

impl Made {
    async fn act(&self, action: Value) -> (u16, Value) {
        let path = format!("/admin/contacts/{}/groups/{}", self.carl, self.group);
        self.sandbox.post(&path, action).await
    }

    async fn done(&self, action: Value) {
        let (status, answer) = self.act(action.clone()).await;
        assert_eq!(status, 200, "{action}: {answer}");
    }

    /// The group as the server keeps it.
    async fn kept(&self) -> Value {
        let all = self.sandbox.get("/admin/groups").await;
        let groups = all["groups"].as_array().expect("groups").clone();
        let is_it = |group: &Value| group["jid"] == self.group.to_string();
        groups.into_iter().find(is_it).expect("the group")
    }
}

async fn make(sandbox: Sandbox, members: &[&str]) -> Made {
    let carl = sandbox.contact("Carl").await;
    let body = json!({ "subject": "Neighbours", "participants": members });
    let (status, made) = sandbox.post(&format!("/admin/contacts/{carl}/groups"), body).await;
    assert_eq!(status, 201, "{made}");
    let group = made["jid"].as_str().expect("a jid").parse().expect("a jid");
    Made { sandbox, carl, group }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_admin_on_the_phones_page_sets_is_in_every_members_metadata() {
    let sandbox = Sandbox::start().await;
    let ann = sandbox.linked("Ann").await;
    let made = make(sandbox, &[&ann.phone]).await;
    for action in [
        json!({ "action": "description", "description": "Block 7" }),
        json!({ "action": "announcement", "on": true }),
        json!({ "action": "locked", "on": true }),
        json!({ "action": "approval", "on": true }),
        json!({ "action": "membersAdd", "on": true }),
        json!({ "action": "ephemeral", "seconds": 86_400 }),
        json!({ "action": "picture", "picture": STANDARD.encode("jpeg") }),
        json!({ "action": "promote", "participants": [ann.phone] }),
    ] {
        made.done(action).await;
    }
    let seen = ann.client.groups().get_metadata(&made.group).await.expect("the metadata");
    assert_eq!(seen.description.as_deref(), Some("Block 7"));
    assert!(seen.is_announcement && seen.is_locked && seen.membership_approval, "{seen:?}");
    assert_eq!(seen.ephemeral.as_ref().and_then(|timer| timer.expiration), Some(86_400));
    assert!(seen.participants.iter().all(whatsapp_rust::GroupParticipant::is_admin), "{seen:?}");
    let kept = made.kept().await;
    assert!(kept["picture"].is_string(), "{kept}");
    let code = kept["inviteCode"].clone();
    for action in [
        json!({ "action": "description", "description": "" }),
        json!({ "action": "announcement", "on": false }),
        json!({ "action": "locked", "on": false }),
        json!({ "action": "ephemeral", "seconds": 0 }),
        json!({ "action": "picture", "picture": "" }),
        json!({ "action": "demote", "participants": [ann.phone] }),
        json!({ "action": "revoke" }),
    ] {
        made.done(action).await;
    }
    let seen = ann.client.groups().get_metadata(&made.group).await.expect("the metadata");
    assert!(!seen.is_announcement && !seen.is_locked, "{seen:?}");
    assert!(seen.description.is_none_or(|text| text.is_empty()) && seen.ephemeral.is_none());
    let kept = made.kept().await;
    assert!(kept["picture"].is_null() && kept["inviteCode"] != code, "{kept}");
    let (status, answer) = made.act(json!({ "action": "picture", "picture": "*" })).await;
    assert_eq!(status, 422, "{answer}");
    ann.stop().await;
    made.sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_lets_one_in_and_turns_another_away() {
    let sandbox = Sandbox::start().await;
    let ann = sandbox.linked("Ann").await;
    let bob = sandbox.linked("Bob").await;
    let made = make(sandbox, &[]).await;
    made.done(json!({ "action": "approval", "on": true })).await;
    let code = made.kept().await["inviteCode"].as_str().expect("a code").to_owned();
    for client in [&ann, &bob] {
        client.client.groups().join_with_invite_code(&code).await.expect("asked to join");
    }
    made.done(json!({ "action": "approve", "participants": [ann.phone] })).await;
    made.done(json!({ "action": "reject", "participants": [bob.phone] })).await;
    let members = made.kept().await["members"].clone();
    assert!(members[&ann.phone].is_string() && members[&bob.phone].is_null(), "{members}");
    assert!(ann.client.groups().get_metadata(&made.group).await.is_ok());
    assert!(bob.client.groups().get_metadata(&made.group).await.is_err());
    for client in [ann, bob] {
        client.stop().await;
    }
    made.sandbox.stop().await;
}
