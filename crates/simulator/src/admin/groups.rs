//! Groups of the people: making them, joining, and what members do in them.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Json;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use wacore_binary::{Jid, Server};

use super::contacts::find;
use super::{AdminError, parse_recipient};
use crate::hub::Hub;
use crate::people::GroupAction;
use crate::world::groups::{Addressing, Group};

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Entering {
    New { subject: String, participants: Vec<String> },
    Joined { code: String },
}

/// The contact makes a group, or joins one by its code.
pub(super) async fn enter(
    State(hub): State<Arc<Hub>>,
    Path(phone): Path<String>,
    Json(entering): Json<Entering>,
) -> Result<(StatusCode, Json<Value>), AdminError> {
    let person = find(&hub, &phone)?;
    match entering {
        Entering::New { subject, participants } => {
            let (jid, code) = person.create_group(&subject, &parse_all(&participants)?).await?;
            Ok((StatusCode::CREATED, Json(json!({ "jid": jid.to_string(), "inviteCode": code }))))
        }
        Entering::Joined { code } => {
            let (jid, joined) = person.join_group(&code).await?;
            Ok((StatusCode::OK, Json(json!({ "jid": jid.to_string(), "joined": joined }))))
        }
    }
}

#[derive(Deserialize)]
#[serde(tag = "action", rename_all = "camelCase")]
pub(super) enum Act {
    Add { participants: Vec<String> },
    Remove { participants: Vec<String> },
    Promote { participants: Vec<String> },
    Demote { participants: Vec<String> },
    Subject { subject: String },
    Description { description: String },
    Picture { picture: String },
    Announcement { on: bool },
    Locked { on: bool },
    MembersAdd { on: bool },
    Approval { on: bool },
    Ephemeral { seconds: u32 },
    Approve { participants: Vec<String> },
    Reject { participants: Vec<String> },
    Revoke,
    Leave,
}

/// The contact does something in a group.
pub(super) async fn act(
    State(hub): State<Arc<Hub>>,
    Path((phone, group)): Path<(String, String)>,
    Json(act): Json<Act>,
) -> Result<Json<Value>, AdminError> {
    let person = find(&hub, &phone)?;
    let group = known_group(&hub, &group)?;
    person.act_in_group(&group, act.action()?).await?;
    Ok(Json(json!({ "jid": group.to_string() })))
}

impl Act {
    fn action(self) -> Result<GroupAction, AdminError> {
        Ok(match self {
            Self::Add { participants } => GroupAction::Add(parse_all(&participants)?),
            Self::Remove { participants } => GroupAction::Remove(parse_all(&participants)?),
            Self::Promote { participants } => GroupAction::Promote(parse_all(&participants)?),
            Self::Demote { participants } => GroupAction::Demote(parse_all(&participants)?),
            Self::Approve { participants } => GroupAction::Approve(parse_all(&participants)?),
            Self::Reject { participants } => GroupAction::Reject(parse_all(&participants)?),
            Self::Subject { subject } => GroupAction::Subject(subject),
            Self::Description { description } => GroupAction::Description(description),
            Self::Picture { picture } => GroupAction::Picture(parse_picture(&picture)?),
            Self::Announcement { on } => GroupAction::Announcement(on),
            Self::Locked { on } => GroupAction::Locked(on),
            Self::MembersAdd { on } => GroupAction::MembersAdd(on),
            Self::Approval { on } => GroupAction::Approval(on),
            Self::Ephemeral { seconds } => GroupAction::Ephemeral(seconds),
            Self::Revoke => GroupAction::Revoke,
            Self::Leave => GroupAction::Leave,
        })
    }
}

fn parse_picture(text: &str) -> Result<Vec<u8>, AdminError> {
    let invalid = "`picture` is no base64";
    STANDARD.decode(text).map_err(|_| AdminError::new(StatusCode::UNPROCESSABLE_ENTITY, invalid))
}

fn parse_all(participants: &[String]) -> Result<Vec<Jid>, AdminError> {
    participants.iter().map(|text| parse_recipient(text)).collect()
}

fn known_group(hub: &Hub, text: &str) -> Result<Jid, AdminError> {
    let jid: Option<Jid> = text.parse().ok();
    jid.filter(|jid| jid.server == Server::Group && hub.world().is_chat(jid))
        .ok_or_else(|| AdminError::new(StatusCode::NOT_FOUND, "there is no such group"))
}

/// All groups as the server keeps them.
pub(super) async fn list(State(hub): State<Arc<Hub>>) -> Json<Value> {
    let world = hub.world();
    let groups: Vec<Value> = world.groups.values().map(describe).collect();
    Json(json!({ "groups": groups }))
}

fn describe(group: &Group) -> Value {
    json!({
        "jid": group.jid().to_string(),
        "subject": group.subject,
        "addressingMode": group.addressing.name(),
        "inviteCode": group.invite_code,
        "members": group.members,
        "description": group.description.as_ref().map(|description| &description.text),
        "switches": group.switches,
        "expiration": group.ephemeral.map_or(0, |ephemeral| ephemeral.expiration),
        "picture": group.picture.as_ref().map(|picture| &picture.id),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Migration {
    addressing_mode: Addressing,
}

/// Members are known by their other addresses from now on, and nobody is told: senders with an
/// old idea of the group get 421, as when WhatsApp migrates one.
pub(super) async fn migrate(
    State(hub): State<Arc<Hub>>,
    Path(group): Path<String>,
    Json(migration): Json<Migration>,
) -> Result<Json<Value>, AdminError> {
    let jid = known_group(&hub, &group)?;
    let mut world = hub.world();
    let Some(group) = world.groups.get_mut(jid.user.as_str()) else {
        return Err(AdminError::new(StatusCode::NOT_FOUND, "there is no such group"));
    };
    group.addressing = migration.addressing_mode;
    let described = describe(group);
    world.touch();
    Ok(Json(described))
}
