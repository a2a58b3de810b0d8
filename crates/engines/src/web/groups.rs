//! Groups over one client.

use super::session::WebSession;
use super::{error, translate};
use async_trait::async_trait;
use bytes::Bytes;
use flowcore_domain::engine::{
    CommunityPart, EngineError, Group, GroupMember, GroupSwitch, Groups, MemberChange,
    MemberOutcome, MemberRank,
};
use flowcore_domain::jid::{Jid, Server};
use flowcore_domain::message::Addressing;
use wacore::iq::groups::{
    GroupCreateOptions, GroupDescription, GroupParticipantOptions, GroupQueryIq, GroupSubject,
    MemberAddMode, ParticipantChangeResponse, ParticipantType,
};
use wacore::iq::spec::IqSpec;
use wacore::request::InfoQuery;
use wacore::types::message::AddressingMode;
use wacore_binary::{Jid as WireJid, NodeRef};
use whatsapp_rust::features::{GroupMetadata, GroupParticipant, PreviousDescription};

/// WhatsApp's word for done.
const DONE: u16 = 200;

#[async_trait]
impl Groups for WebSession {
    async fn create_group(&self, subject: &str, members: &[Jid]) -> Result<Group, EngineError> {
        let members = members.iter().map(|jid| GroupParticipantOptions::new(wire(jid))).collect();
        let options =
            GroupCreateOptions::builder().subject(subject).participants(members).build::<_>();
        let made = self.client()?.groups().create_group(options).await;
        made.map(|made| group(made.metadata)).map_err(|failure| error::of_any(&failure))
    }

    async fn group(&self, id: &Jid) -> Result<Group, EngineError> {
        let found = self.client()?.groups().get_metadata(&wire(id)).await;
        found.map(group).map_err(|failure| error::of_any(&failure))
    }

    async fn is_closed(&self, id: &Jid) -> Result<bool, EngineError> {
        let mode = self.client()?.execute(WhoMayAdd(GroupQueryIq::new(&wire(id)))).await;
        let mode = mode.map_err(|failure| error::of_any(&failure))?;
        Ok(mode == Some(MemberAddMode::AdminAdd))
    }

    async fn groups(&self) -> Result<Vec<Group>, EngineError> {
        let found = self.client()?.groups().get_participating().await;
        let found = found.map_err(|failure| error::of_any(&failure))?;
        Ok(found.into_values().map(group).collect())
    }

    async fn set_group_subject(&self, id: &Jid, subject: &str) -> Result<(), EngineError> {
        let subject = GroupSubject::new(subject)
            .map_err(|wrong| EngineError::Invalid(format!("the subject: {wrong}")))?;
        let done = self.client()?.groups().set_subject(wire(id), subject).await;
        done.map_err(|failure| error::of_any(&failure))
    }

    async fn set_group_description(&self, id: &Jid, text: Option<&str>) -> Result<(), EngineError> {
        let description = text
            .map(GroupDescription::new)
            .transpose()
            .map_err(|wrong| EngineError::Invalid(format!("the description: {wrong}")))?;
        let client = self.client()?;
        let groups = client.groups();
        let done = groups.set_description(wire(id), description, PreviousDescription::Resolve);
        done.await.map_err(|failure| error::of_any(&failure))
    }

    async fn set_group_picture(&self, id: &Jid, jpeg: Option<Bytes>) -> Result<(), EngineError> {
        let client = self.client()?;
        let groups = client.groups();
        let done = match jpeg {
            Some(jpeg) => groups.set_profile_picture(wire(id), jpeg.into()).await,
            None => groups.remove_profile_picture(wire(id)).await,
        };
        done.map(drop).map_err(|failure| error::of_any(&failure))
    }

    async fn change_members(
        &self,
        id: &Jid,
        change: MemberChange,
        members: &[Jid],
    ) -> Result<Vec<MemberOutcome>, EngineError> {
        let client = self.client()?;
        let (groups, id) = (client.groups(), wire(id));
        let members: Vec<_> = members.iter().map(wire).collect();
        let answer = match change {
            MemberChange::Add => groups.add_participants(id, &members).await,
            MemberChange::Remove => groups.remove_participants(id, &members).await,
            MemberChange::Promote => groups.promote_participants(id, &members).await,
            MemberChange::Demote => groups.demote_participants(id, &members).await,
        };
        let answer = answer.map_err(|failure| error::of_any(&failure))?;
        Ok(answer.iter().map(outcome).collect())
    }

    async fn switch_group(&self, id: &Jid, switch: GroupSwitch) -> Result<(), EngineError> {
        let client = self.client()?;
        let (groups, id) = (client.groups(), wire(id));
        let done = match switch {
            GroupSwitch::Announcement(on) => groups.set_announce(id, on).await,
            GroupSwitch::Locked(on) => groups.set_locked(id, on).await,
            GroupSwitch::Ephemeral(seconds) => groups.set_ephemeral(id, seconds).await,
            GroupSwitch::Closed(true) => {
                groups.set_member_add_mode(id, MemberAddMode::AdminAdd).await
            }
            GroupSwitch::Closed(false) => {
                groups.set_member_add_mode(id, MemberAddMode::AllMemberAdd).await
            }
        };
        done.map_err(|failure| error::of_any(&failure))
    }

    async fn invite_code(&self, id: &Jid, renew: bool) -> Result<String, EngineError> {
        let link = self.client()?.groups().get_invite_link(wire(id), renew).await;
        let link = link.map_err(|failure| error::of_any(&failure))?;
        Ok(link.rsplit('/').next().unwrap_or_default().to_owned())
    }

    async fn invited_group(&self, code: &str) -> Result<Group, EngineError> {
        let found = self.client()?.groups().get_invite_info(code).await;
        found.map(group).map_err(|failure| error::of_any(&failure))
    }

    async fn join_group(&self, code: &str) -> Result<Jid, EngineError> {
        let joined = self.client()?.groups().join_with_invite_code(code).await;
        let joined = joined.map_err(|failure| error::of_any(&failure))?;
        Ok(translate::address(joined.group_jid()))
    }

    async fn leave_group(&self, id: &Jid) -> Result<(), EngineError> {
        let done = self.client()?.groups().leave(wire(id)).await;
        done.map_err(|failure| error::of_any(&failure))
    }
}

/// Asks for a group and reads who may let people in. WhatsApp writes that as bytes, which the client's own
/// reading of a group passes over.
struct WhoMayAdd(GroupQueryIq);

impl IqSpec for WhoMayAdd {
    type Response = Option<MemberAddMode>;

    fn build_iq(&self) -> InfoQuery<'static> {
        self.0.build_iq()
    }

    fn parse_response(&self, response: &NodeRef<'_>) -> anyhow::Result<Self::Response> {
        let mode = response.get_optional_child_by_tag(&["group", "member_add_mode"]);
        let word = mode.and_then(NodeRef::content_as_string);
        Ok(word.and_then(|word| MemberAddMode::try_from(word.as_str()).ok()))
    }
}

fn wire(jid: &Jid) -> WireJid {
    translate::wire_address(jid)
}

fn outcome(answer: &ParticipantChangeResponse) -> MemberOutcome {
    let code = answer.error.as_deref().or(answer.status.as_deref());
    let jid = answer.phone_number.as_ref().unwrap_or(&answer.jid);
    MemberOutcome {
        jid: translate::address(jid),
        status: code.and_then(|code| code.parse().ok()).unwrap_or(DONE),
    }
}

fn group(found: GroupMetadata) -> Group {
    let size = found.size.and_then(|size| usize::try_from(size).ok());
    let by_phone =
        |phone: Option<&WireJid>, jid: Option<&WireJid>| phone.or(jid).map(translate::address);
    Group {
        id: translate::address(&found.id),
        subject_owner: by_phone(found.subject_owner_pn.as_ref(), found.subject_owner.as_ref()),
        owner: by_phone(found.creator_pn.as_ref(), found.creator.as_ref()),
        subject: found.subject,
        subject_time: found.subject_time,
        creation: found.creation_time,
        description: found.description,
        description_id: found.description_id,
        locked: found.is_locked,
        announcement: found.is_announcement,
        ephemeral: found.ephemeral.and_then(|timer| timer.expiration).unwrap_or_default(),
        part: match (found.is_parent_group, found.is_default_sub_group) {
            (true, _) => CommunityPart::Whole,
            (_, true) => CommunityPart::Announcements,
            _ => CommunityPart::Group,
        },
        parent: found.parent_group_jid.as_ref().map(translate::address),
        addressing: match found.addressing_mode {
            AddressingMode::Lid => Addressing::Lid,
            AddressingMode::Pn => Addressing::Pn,
        },
        size: size.unwrap_or(found.participants.len()),
        members: found.participants.iter().map(member).collect(),
    }
}

fn member(one: &GroupParticipant) -> GroupMember {
    let jid = translate::address(&one.jid);
    let own = |server| (jid.server() == server).then(|| jid.clone());
    GroupMember {
        phone: one.phone_number.as_ref().map(translate::address).or_else(|| own(Server::Person)),
        lid: one.lid.as_ref().map(translate::address).or_else(|| own(Server::Lid)),
        rank: match one.participant_type {
            ParticipantType::SuperAdmin => MemberRank::SuperAdmin,
            ParticipantType::Admin => MemberRank::Admin,
            ParticipantType::Member => MemberRank::Member,
        },
        jid,
    }
}
