//! What a person does with groups, through its own client.

use wacore::iq::groups::{
    GroupCreateOptions, GroupDescription, GroupParticipantOptions, GroupSubject, MemberAddMode,
    MembershipApprovalMode,
};
use wacore_binary::Jid;
use whatsapp_rust::features::{JoinGroupResult, PreviousDescription};

use super::person::{Person, PersonError};

/// Something to do in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum GroupAction {
    Add(Vec<Jid>),
    Remove(Vec<Jid>),
    Promote(Vec<Jid>),
    Demote(Vec<Jid>),
    Subject(String),
    /// Empty takes it away.
    Description(String),
    /// A picture's bytes; none take it away.
    Picture(Vec<u8>),
    /// Only admins write.
    Announcement(bool),
    /// Only admins change what the group says of itself.
    Locked(bool),
    /// Members add others.
    MembersAdd(bool),
    /// Who joins by the link waits for an admin.
    Approval(bool),
    /// Seconds after which messages disappear; 0 for never.
    Ephemeral(u32),
    Approve(Vec<Jid>),
    Reject(Vec<Jid>),
    /// The invitation's code is no longer good.
    Revoke,
    Leave,
}

fn refused(error: &impl std::fmt::Display) -> PersonError {
    PersonError::Client(error.to_string())
}

impl Person {
    /// Makes a group; gives its address and the code of its invitation link.
    pub(crate) async fn create_group(
        &self,
        subject: &str,
        participants: &[Jid],
    ) -> Result<(Jid, String), PersonError> {
        for participant in participants {
            self.require_recipient(participant)?;
        }
        let groups = self.client.groups();
        let options = GroupCreateOptions {
            subject: subject.to_owned(),
            participants: participants.iter().cloned().map(GroupParticipantOptions::new).collect(),
            ..GroupCreateOptions::default()
        };
        let created = groups.create_group(options).await.map_err(|error| refused(&error))?;
        let jid = created.metadata.id;
        let link = groups.get_invite_link(&jid, false).await.map_err(|error| refused(&error))?;
        let code = link.rsplit('/').next().unwrap_or_default().to_owned();
        Ok((jid, code))
    }

    /// Joins by an invitation's code; `None` while the admins have to decide.
    pub(crate) async fn join_group(&self, code: &str) -> Result<(Jid, bool), PersonError> {
        let joined = self.client.groups().join_with_invite_code(code).await;
        Ok(match joined.map_err(|error| refused(&error))? {
            JoinGroupResult::Joined(jid) => (jid, true),
            JoinGroupResult::PendingApproval(jid) => (jid, false),
        })
    }

    /// Does something in a group that this person is in.
    pub(crate) async fn act_in_group(
        &self,
        group: &Jid,
        action: GroupAction,
    ) -> Result<(), PersonError> {
        let groups = self.client.groups();
        let outcome = match action {
            GroupAction::Add(who) => groups.add_participants(group, &who).await.map(drop),
            GroupAction::Remove(who) => groups.remove_participants(group, &who).await.map(drop),
            GroupAction::Promote(who) => groups.promote_participants(group, &who).await.map(drop),
            GroupAction::Demote(who) => groups.demote_participants(group, &who).await.map(drop),
            GroupAction::Subject(text) => {
                let subject = GroupSubject::new(text).map_err(|error| refused(&error))?;
                groups.set_subject(group, subject).await
            }
            GroupAction::Description(text) => {
                let text = Some(text).filter(|text| !text.is_empty()).map(GroupDescription::new);
                let text = text.transpose().map_err(|error| refused(&error))?;
                groups.set_description(group, text, PreviousDescription::Resolve).await
            }
            GroupAction::Picture(bytes) if bytes.is_empty() => {
                groups.remove_profile_picture(group).await.map(drop)
            }
            GroupAction::Picture(bytes) => groups.set_profile_picture(group, bytes).await.map(drop),
            GroupAction::Announcement(on) => groups.set_announce(group, on).await,
            GroupAction::Locked(on) => groups.set_locked(group, on).await,
            GroupAction::MembersAdd(on) => {
                let mode = if on { MemberAddMode::AllMemberAdd } else { MemberAddMode::AdminAdd };
                groups.set_member_add_mode(group, mode).await
            }
            GroupAction::Approval(on) => {
                let mode =
                    if on { MembershipApprovalMode::On } else { MembershipApprovalMode::Off };
                groups.set_membership_approval(group, mode).await
            }
            GroupAction::Ephemeral(seconds) => groups.set_ephemeral(group, seconds).await,
            GroupAction::Approve(who) => {
                groups.approve_membership_requests(group, &who).await.map(drop)
            }
            GroupAction::Reject(who) => {
                groups.reject_membership_requests(group, &who).await.map(drop)
            }
            GroupAction::Revoke => groups.get_invite_link(group, true).await.map(drop),
            GroupAction::Leave => groups.leave(group).await,
        };
        outcome.map_err(|error| refused(&error))
    }
}
