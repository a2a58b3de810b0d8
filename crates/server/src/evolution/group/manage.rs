//! What admins do to a group.

use super::{MEMBERS, Which, change_of, failed, switch_of};
use crate::app::AppState;
use crate::evolution::body::Posted;
use crate::evolution::message::{FILE, SHORT, TEXT, source};
use crate::evolution::refusal::Refusal;
use crate::evolution::schema::{Field, Kind, required};
use crate::evolution::{Answer, Held, number};
use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use flowcore_domain::engine::GroupSwitch;
use serde::Deserialize;
use serde_json::{Value, json};

fn updated() -> (StatusCode, Json<Value>) {
    (StatusCode::CREATED, Json(json!({ "update": "success" })))
}

#[derive(Debug, Deserialize)]
struct Subject {
    subject: String,
}

pub(in crate::evolution) const SUBJECT: [Field; 1] = [required("subject", SHORT)];

/// `POST /group/updateGroupSubject/{name}`
pub(in crate::evolution) async fn subject(
    State(state): State<AppState>,
    held: Held,
    Query(which): Query<Which>,
    body: Posted,
) -> Answer {
    let id = which.group(Some(&body.0))?;
    let asked: Subject = body.read_of_group(&SUBJECT)?;
    let groups = state.gateway.groups();
    let done = groups.set_subject(&held.caller, &held.name, (&id, &asked.subject)).await;
    done.map_err(failed("Error updating group subject"))?;
    Ok(updated())
}

#[derive(Debug, Deserialize)]
struct Description {
    description: String,
}

pub(in crate::evolution) const DESCRIPTION: [Field; 1] = [required("description", TEXT)];

/// `POST /group/updateGroupDescription/{name}`
pub(in crate::evolution) async fn describe(
    State(state): State<AppState>,
    held: Held,
    Query(which): Query<Which>,
    body: Posted,
) -> Answer {
    let id = which.group(Some(&body.0))?;
    let asked: Description = body.read_of_group(&DESCRIPTION)?;
    let groups = state.gateway.groups();
    let done = groups.set_description(&held.caller, &held.name, (&id, &asked.description)).await;
    done.map_err(failed("Error updating group description"))?;
    Ok(updated())
}

#[derive(Debug, Deserialize)]
struct Picture {
    image: String,
}

pub(in crate::evolution) const PICTURE: [Field; 1] = [required("image", FILE)];

/// `POST /group/updateGroupPicture/{name}`
pub(in crate::evolution) async fn picture(
    State(state): State<AppState>,
    held: Held,
    Query(which): Query<Which>,
    body: Posted,
) -> Answer {
    let id = which.group(Some(&body.0))?;
    let asked: Picture = body.read_of_group(&PICTURE)?;
    let image =
        source(Some(asked.image), None, "Error update group picture: give a url or base64")?;
    let groups = state.gateway.groups();
    let done = groups.set_picture(&held.caller, &held.name, (&id, &image)).await;
    done.map_err(failed("Error update group picture"))?;
    Ok(updated())
}

const CHANGES: [&str; 4] = ["add", "remove", "promote", "demote"];
pub(in crate::evolution) const CHANGE: [Field; 2] =
    [required("action", Kind::OneOf(&CHANGES)), required("participants", MEMBERS)];

#[derive(Debug, Deserialize)]
struct Change {
    action: String,
    participants: Vec<String>,
}

/// `POST /group/updateParticipant/{name}`
pub(in crate::evolution) async fn members(
    State(state): State<AppState>,
    held: Held,
    Query(which): Query<Which>,
    body: Posted,
) -> Answer {
    let id = which.group(Some(&body.0))?;
    let asked: Change = body.read_of_group(&CHANGE)?;
    let change = change_of(&asked.action).ok_or_else(|| Refusal::bad("Unknown action"))?;
    let people: Vec<String> = asked.participants.iter().map(|one| number::wanted(one)).collect();
    let groups = state.gateway.groups();
    let done = groups.change_members(&held.caller, &held.name, &id, (change, &people)).await;
    let outcomes = done.map_err(failed("Error updating participants"))?;
    let outcomes: Vec<Value> = outcomes
        .iter()
        .map(|one| json!({ "status": one.status.to_string(), "jid": one.jid, "content": {} }))
        .collect();
    Ok((StatusCode::CREATED, Json(json!({ "updateParticipants": outcomes }))))
}

const SWITCHES: [&str; 4] = ["announcement", "not_announcement", "locked", "unlocked"];

#[derive(Debug, Deserialize)]
struct Setting {
    action: String,
}

pub(in crate::evolution) const SETTING: [Field; 1] = [required("action", Kind::OneOf(&SWITCHES))];

/// `POST /group/updateSetting/{name}`
pub(in crate::evolution) async fn setting(
    State(state): State<AppState>,
    held: Held,
    Query(which): Query<Which>,
    body: Posted,
) -> Answer {
    let id = which.group(Some(&body.0))?;
    let asked: Setting = body.read_of_group(&SETTING)?;
    let switch = switch_of(&asked.action).ok_or_else(|| Refusal::bad("Unknown action"))?;
    let groups = state.gateway.groups();
    let done = groups.switch(&held.caller, &held.name, (&id, switch)).await;
    done.map_err(failed("Error updating setting"))?;
    Ok((StatusCode::CREATED, Json(json!({}))))
}

#[derive(Debug, Deserialize)]
struct Ephemeral {
    expiration: u32,
}

/// How long messages can last, in seconds.
const DURATIONS: [u32; 4] = [0, 86_400, 604_800, 7_776_000];

pub(in crate::evolution) const EPHEMERAL: [Field; 1] =
    [required("expiration", Kind::Whole(0, 7_776_000))];

/// `POST /group/toggleEphemeral/{name}`
pub(in crate::evolution) async fn ephemeral(
    State(state): State<AppState>,
    held: Held,
    Query(which): Query<Which>,
    body: Posted,
) -> Answer {
    let id = which.group(Some(&body.0))?;
    let asked: Ephemeral = body.read_of_group(&EPHEMERAL)?;
    if !DURATIONS.contains(&asked.expiration) {
        let message = "expiration is not one of enum values: 0,86400,604800,7776000";
        let fault = json!([{ "property": "expiration", "message": message }]);
        return Err(Refusal::bad_list(fault));
    }
    let switch = GroupSwitch::Ephemeral(asked.expiration);
    let groups = state.gateway.groups();
    let done = groups.switch(&held.caller, &held.name, (&id, switch)).await;
    done.map_err(failed("Error updating setting"))?;
    Ok((StatusCode::CREATED, Json(json!({ "success": true }))))
}

/// `DELETE /group/leaveGroup/{name}`
pub(in crate::evolution) async fn leave(
    State(state): State<AppState>,
    held: Held,
    Query(which): Query<Which>,
) -> Answer {
    let id = which.group(None)?;
    let done = state.gateway.groups().leave(&held.caller, &held.name, &id).await;
    done.map_err(failed("Unable to leave the group"))?;
    Ok((StatusCode::OK, Json(json!({ "groupJid": id, "leave": true }))))
}
