//! The port for groups, and groups as the engine sees them.

use super::EngineError;
use crate::jid::Jid;
use crate::message::Addressing;
use async_trait::async_trait;
use bytes::Bytes;

/// A group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its address.
    pub id: Jid,
    /// What it is called.
    pub subject: String,
    /// Who named it.
    pub subject_owner: Option<Jid>,
    /// When, in seconds.
    pub subject_time: Option<u64>,
    /// When it was made, in seconds.
    pub creation: Option<u64>,
    /// Who made it; by phone number where known.
    pub owner: Option<Jid>,
    /// What it is for.
    pub description: Option<String>,
    /// Which version of the description.
    pub description_id: Option<String>,
    /// Only admins may change what it is called and so on.
    pub locked: bool,
    /// Only admins may write.
    pub announcement: bool,
    /// Messages vanish after so many seconds; 0 is never.
    pub ephemeral: u32,
    /// What it is of a community.
    pub part: CommunityPart,
    /// The community that it belongs to.
    pub parent: Option<Jid>,
    /// How its members are addressed.
    pub addressing: Addressing,
    /// How many they are.
    pub size: usize,
    /// Who they are; empty when not asked for.
    pub members: Vec<GroupMember>,
}

/// What a group is of a community.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommunityPart {
    /// None, or one of its groups.
    Group,
    /// The frame of several groups.
    Whole,
    /// Where its admins write to all.
    Announcements,
}

/// Somebody in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    /// Their address in the group.
    pub jid: Jid,
    /// By phone number, when known.
    pub phone: Option<Jid>,
    /// By private id, when known.
    pub lid: Option<Jid>,
    /// What they may do.
    pub rank: MemberRank,
}

/// What a member may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberRank {
    /// Write.
    Member,
    /// Manage.
    Admin,
    /// Manage, and never be removed: made the group.
    SuperAdmin,
}

/// What is done to members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberChange {
    /// Let in.
    Add,
    /// Put out.
    Remove,
    /// Made an admin.
    Promote,
    /// Made an admin no more.
    Demote,
}

/// What became of one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberOutcome {
    /// Whose.
    pub jid: Jid,
    /// WhatsApp's code; 200 is done, 403 that they have to be invited, 408 that they left lately, 409 that they
    /// are in.
    pub status: u16,
}

/// What an admin can switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupSwitch {
    /// Only admins write.
    Announcement(bool),
    /// Only admins change what it is called and so on.
    Locked(bool),
    /// Messages vanish after so many seconds; 0 is never.
    Ephemeral(u32),
    /// Only admins let people in.
    Closed(bool),
}

/// Makes and manages groups. All errors: WhatsApp's refusal as [`EngineError::Rejected`] with its code.
#[async_trait]
pub trait Groups: Send + Sync {
    /// Makes a group.
    async fn create_group(&self, subject: &str, members: &[Jid]) -> Result<Group, EngineError>;

    /// A group that the number is in.
    async fn group(&self, id: &Jid) -> Result<Group, EngineError>;

    /// Whether only admins let people in, as WhatsApp says now.
    async fn is_closed(&self, id: &Jid) -> Result<bool, EngineError>;

    /// All groups that the number is in, with members.
    async fn groups(&self) -> Result<Vec<Group>, EngineError>;

    /// Calls it something else.
    async fn set_group_subject(&self, id: &Jid, subject: &str) -> Result<(), EngineError>;

    /// Says what it is for; `None` takes that away.
    async fn set_group_description(&self, id: &Jid, text: Option<&str>) -> Result<(), EngineError>;

    /// Gives it a picture (JPEG); `None` takes it away.
    async fn set_group_picture(&self, id: &Jid, jpeg: Option<Bytes>) -> Result<(), EngineError>;

    /// Changes who is in it and what they may do.
    async fn change_members(
        &self,
        id: &Jid,
        change: MemberChange,
        members: &[Jid],
    ) -> Result<Vec<MemberOutcome>, EngineError>;

    /// Switches something.
    async fn switch_group(&self, id: &Jid, switch: GroupSwitch) -> Result<(), EngineError>;

    /// What lets one in; a renewed code makes the earlier one useless.
    async fn invite_code(&self, id: &Jid, renew: bool) -> Result<String, EngineError>;

    /// The group that a code leads to.
    async fn invited_group(&self, code: &str) -> Result<Group, EngineError>;

    /// Goes in by a code.
    async fn join_group(&self, code: &str) -> Result<Jid, EngineError>;

    /// Goes out.
    async fn leave_group(&self, id: &Jid) -> Result<(), EngineError>;
}
