//! Communities: groups of groups, as a real client uses them.

use wacore_binary::Jid;
use whatsapp_rust::features::CreateCommunityOptions;

use crate::groups::{group_of, participants};
use crate::harness::{Sandbox, TestClient};

async fn community_of(founder: &TestClient, general: bool) -> Jid {
    let mut options = CreateCommunityOptions::new("Village");
    options.create_general_chat = general;
    options.description = Some("All of us".to_owned());
    founder.client.community().create(options).await.expect("a community").metadata.id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_community_has_its_announcement_group_and_takes_in_others() {
    let sandbox = Sandbox::start().await;
    let ann = sandbox.linked("Ann").await;
    let bob = sandbox.linked("Bob").await;
    let id = community_of(&ann, true).await;
    let community = ann.client.community();
    let subgroups = community.get_subgroups(&id).await.expect("the subgroups");
    assert_eq!(subgroups.iter().filter(|group| group.is_default_sub_group).count(), 1);
    assert_eq!(subgroups.iter().filter(|group| group.is_general_chat).count(), 1);
    let group = group_of(&ann, &[&bob]).await;
    let linked = community.link_subgroups(&id, std::slice::from_ref(&group)).await.expect("linked");
    assert_eq!(linked.linked_jids, std::slice::from_ref(&group));
    let subgroups = community.get_subgroups(&id).await.expect("the subgroups");
    assert!(subgroups.iter().any(|subgroup| subgroup.id == group));
    let seen = community.query_linked_group(&id, &group).await.expect("the group");
    assert_eq!(seen.parent_group_jid.as_ref(), Some(&id));
    let everybody = community.get_linked_groups_participants(&id).await.expect("the people");
    assert_eq!(everybody.len(), 2);
    let counts = community.get_subgroup_participant_counts(&id).await.expect("the counts");
    assert!(counts.contains(&(group.clone(), 2)));
    let mine = bob.client.community().get_participating().await.expect("the communities");
    assert!(mine.contains_key(&id), "who is in a subgroup is in the community");
    let unlinked = community.unlink_subgroups(&id, std::slice::from_ref(&group), false).await;
    assert_eq!(unlinked.expect("unlinked").unlinked_jids, [group]);
    community.deactivate(&id).await.expect("deactivated");
    assert!(ann.client.groups().get_metadata(&id).await.is_err());
    for client in [ann, bob] {
        client.stop().await;
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_of_the_community_joins_one_of_its_groups() {
    let sandbox = Sandbox::start().await;
    let ann = sandbox.linked("Ann").await;
    let mut bob = sandbox.linked("Bob").await;
    let id = community_of(&ann, false).await;
    let first = ann.client.community().create_subgroup("First", &participants(&[&bob]), &id).await;
    first.expect("a subgroup with Bob");
    let second = ann.client.community().create_subgroup("Second", &[], &id).await;
    let second = second.expect("a subgroup without Bob").metadata.id;
    let joined = bob.client.community().join_subgroup(&id, &second).await.expect("joined");
    assert_eq!(joined.participants.len(), 2);
    ann.client.send_text(second.clone(), "welcome").await.expect("the send succeeds");
    bob.text("welcome").await;
    for client in [ann, bob] {
        client.stop().await;
    }
    sandbox.stop().await;
}
