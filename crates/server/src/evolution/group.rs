//! `/group/*`. The group is named in the query or in the body; its server may be left out.

use super::body::Posted;
use super::message::{SHORT, TEXT, refused};
use super::refusal::Refusal;
use super::schema::{Field, Kind, optional, required};
use super::{Answer, Held, number};
use crate::app::AppState;
use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use flowcore_domain::engine::{Group, GroupMember, GroupSwitch, MemberChange};
use flowcore_domain::jid::Jid;
use flowcore_gateway::{NewGroup, ServiceError, group_record};
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) mod invites;
pub(super) mod manage;

pub(super) use invites::{accept, info, invite_code, revoke, send_invite};
pub(super) use manage::{
    describe, ephemeral, leave, member_add_mode, members, picture, setting, subject,
};

const MEMBER: Kind = Kind::Text(100);
pub(super) const MEMBERS: Kind = Kind::List(&MEMBER, 1, 1024);

/// The group that a request is about.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Which {
    group_jid: Option<String>,
}

impl Which {
    /// Named by the query, else by the body.
    pub(super) fn group(&self, body: Option<&Value>) -> Result<Jid, Refusal> {
        let in_body = body.and_then(|body| body["groupJid"].as_str());
        let given = self.group_jid.as_deref().or(in_body).map(str::trim);
        let Some(text) = given.filter(|text| !text.is_empty()) else {
            return Err(Refusal::bad_list(json!([
                "The group id needs to be informed in the query",
                "ex: \"groupJid=120362@g.us\"",
            ])));
        };
        number::group_of(text).ok_or_else(|| {
            let message = "groupJid does not match pattern \"^[\\\\d-]+@g.us$\"";
            Refusal::bad_list(json!([{ "property": "groupJid", "message": message }]))
        })
    }
}

/// Why it was not done, behind what was to be done.
pub(super) fn failed(what: &'static str) -> impl Fn(ServiceError) -> Refusal {
    move |error| match error {
        ServiceError::Rejected { .. } => Refusal::bad_list(json!([what, format!("{error}")])),
        other => refused(other, ""),
    }
}

pub(super) const CREATE: [Field; 4] = [
    required("subject", SHORT),
    required("participants", MEMBERS),
    optional("description", TEXT),
    optional("promoteParticipants", Kind::Flag),
];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Create {
    subject: String,
    participants: Vec<String>,
    description: Option<String>,
    promote_participants: Option<bool>,
}

/// `POST /group/create/{name}`
pub(super) async fn create(State(state): State<AppState>, held: Held, body: Posted) -> Answer {
    let asked: Create = body.read_of_group(&CREATE)?;
    let new = NewGroup {
        subject: asked.subject,
        description: asked.description.filter(|text| !text.is_empty()),
        members: asked.participants.iter().map(|one| number::wanted(one)).collect(),
        promote: asked.promote_participants.unwrap_or(false),
    };
    let groups = state.gateway.groups();
    let made = groups.create(&held.caller, &held.name, &new).await;
    let made = made.map_err(failed("Error creating group"))?;
    Ok((StatusCode::CREATED, Json(shown(&made, true))))
}

/// `GET /group/findGroupInfos/{name}`
pub(super) async fn find(
    State(state): State<AppState>,
    held: Held,
    Query(which): Query<Which>,
) -> Answer {
    let id = which.group(None)?;
    let groups = state.gateway.groups();
    let group = groups.get(&held.caller, &held.name, &id).await;
    let group = group.map_err(failed("Error fetching group"))?;
    let mut answer = shown(&group, true);
    let picture = groups.picture(&held.caller, &held.name, &id).await;
    // A picture that can't be seen is none.
    answer["pictureUrl"] = json!(picture.ok().flatten());
    Ok((StatusCode::OK, Json(answer)))
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WithMembers {
    get_participants: Option<String>,
}

/// `GET /group/fetchAllGroups/{name}`: with the pictures that are known; to ask for all would be a question to
/// WhatsApp for each.
pub(super) async fn fetch_all(
    State(state): State<AppState>,
    held: Held,
    Query(asked): Query<WithMembers>,
) -> Answer {
    let Some(with) = asked.get_participants.as_deref() else {
        return Err(Refusal::bad("The getParticipants needs to be informed in the query"));
    };
    let groups = state.gateway.groups().list(&held.caller, &held.name).await;
    let groups = groups.map_err(failed("Error fetching group"))?;
    let addresses: Vec<Jid> = groups.iter().map(|group| group.id.clone()).collect();
    let conversations = state.gateway.conversations();
    let pictures = conversations.pictures(&held.caller, &held.name, &addresses).await?;
    let list = groups.iter().map(|group| {
        let mut one = shown(group, with == "true");
        one["pictureUrl"] = json!(pictures.get(&group.id));
        one
    });
    Ok((StatusCode::OK, Json(list.collect())))
}

/// `GET /group/participants/{name}`: with the names and pictures that are known.
pub(super) async fn participants(
    State(state): State<AppState>,
    held: Held,
    Query(which): Query<Which>,
) -> Answer {
    let id = which.group(None)?;
    let group = state.gateway.groups().get(&held.caller, &held.name, &id).await;
    let group = group.map_err(failed("No participants"))?;
    let addresses: Vec<Jid> = group.members.iter().map(|one| address_of(one).clone()).collect();
    let conversations = state.gateway.conversations();
    let names = conversations.names(&held.caller, &held.name, &addresses).await?;
    let pictures = conversations.pictures(&held.caller, &held.name, &addresses).await?;
    let mut members = shown(&group, true)["participants"].take();
    for (shown, address) in members.as_array_mut().into_iter().flatten().zip(&addresses) {
        for (field, known) in [("name", names.get(address)), ("imgUrl", pictures.get(address))] {
            if let Some(known) = known {
                shown[field] = json!(known);
            }
        }
    }
    Ok((StatusCode::OK, Json(json!({ "participants": members }))))
}

/// The address by which a member is stored: the number where it is known.
fn address_of(member: &GroupMember) -> &Jid {
    member.phone.as_ref().unwrap_or(&member.jid)
}

/// A group as clients know it.
pub(super) fn shown(group: &Group, with_members: bool) -> Value {
    let mut shown = group_record(group);
    if !with_members {
        shown.as_object_mut().map(|fields| fields.remove("participants"));
    }
    shown
}

/// What can be switched, by its name.
pub(super) fn switch_of(word: &str) -> Option<GroupSwitch> {
    Some(match word {
        "announcement" => GroupSwitch::Announcement(true),
        "not_announcement" => GroupSwitch::Announcement(false),
        "locked" => GroupSwitch::Locked(true),
        "unlocked" => GroupSwitch::Locked(false),
        _ => return None,
    })
}

/// What can be done to members, by its name.
pub(super) fn change_of(word: &str) -> Option<MemberChange> {
    Some(match word {
        "add" => MemberChange::Add,
        "remove" => MemberChange::Remove,
        "promote" => MemberChange::Promote,
        "demote" => MemberChange::Demote,
        _ => return None,
    })
}
