//! What admins do to a group. Each route names the group, says in its body what is to be, and is told that it
//! is so; [`Asked`] is what they have in common.

use super::{MEMBERS, Which, change_of, failed, switch_of};
use crate::app::AppState;
use crate::evolution::body::Posted;
use crate::evolution::message::{FILE, SHORT, TEXT, source};
use crate::evolution::refusal::Refusal;
use crate::evolution::schema::{Field, Kind, required};
use crate::evolution::{Answer, Held, number};
use axum::Json;
use axum::extract::{FromRequest, FromRequestParts as _, Query, Request, State};
use axum::http::StatusCode;
use flowcore_domain::engine::GroupSwitch;
use flowcore_domain::jid::Jid;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// A change that is asked for, of which group.
#[derive(Debug)]
pub(crate) struct Asked {
    held: Held,
    id: Jid,
    body: Posted,
}

impl FromRequest<AppState> for Asked {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Refusal> {
        let (mut parts, body) = request.into_parts();
        let held = Held::from_request_parts(&mut parts, state).await?;
        let Ok(Query(which)) = Query::<Which>::try_from_uri(&parts.uri) else {
            return Err(Refusal::bad("The query can't be read"));
        };
        let body = Posted::from_request(Request::from_parts(parts, body), state).await?;
        let id = which.group(Some(&body.0))?;
        Ok(Self { held, id, body })
    }
}

impl Asked {
    /// What the body says.
    fn read<T: DeserializeOwned>(self, fields: &[Field]) -> Result<(Held, Jid, T), Refusal> {
        Ok((self.held, self.id, self.body.read_of_group(fields)?))
    }
}

async fn switch(
    state: &AppState,
    (held, id): (&Held, &Jid),
    wanted: GroupSwitch,
) -> Result<(), Refusal> {
    let done = state.gateway.groups().switch(&held.caller, &held.name, (id, wanted)).await;
    done.map_err(failed("Error updating setting"))
}

fn updated() -> (StatusCode, Json<Value>) {
    (StatusCode::CREATED, Json(json!({ "update": "success" })))
}

#[derive(Debug, Deserialize)]
struct Subject {
    subject: String,
}

pub(in crate::evolution) const SUBJECT: [Field; 1] = [required("subject", SHORT)];

/// `POST /group/updateGroupSubject/{name}`
pub(in crate::evolution) async fn subject(State(state): State<AppState>, asked: Asked) -> Answer {
    let (held, id, new) = asked.read::<Subject>(&SUBJECT)?;
    let groups = state.gateway.groups();
    let done = groups.set_subject(&held.caller, &held.name, (&id, &new.subject)).await;
    done.map_err(failed("Error updating group subject"))?;
    Ok(updated())
}

#[derive(Debug, Deserialize)]
struct Description {
    description: String,
}

pub(in crate::evolution) const DESCRIPTION: [Field; 1] = [required("description", TEXT)];

/// `POST /group/updateGroupDescription/{name}`
pub(in crate::evolution) async fn describe(State(state): State<AppState>, asked: Asked) -> Answer {
    let (held, id, new) = asked.read::<Description>(&DESCRIPTION)?;
    let groups = state.gateway.groups();
    let done = groups.set_description(&held.caller, &held.name, (&id, &new.description)).await;
    done.map_err(failed("Error updating group description"))?;
    Ok(updated())
}

#[derive(Debug, Deserialize)]
struct Picture {
    image: String,
}

pub(in crate::evolution) const PICTURE: [Field; 1] = [required("image", FILE)];

/// `POST /group/updateGroupPicture/{name}`
pub(in crate::evolution) async fn picture(State(state): State<AppState>, asked: Asked) -> Answer {
    let (held, id, new) = asked.read::<Picture>(&PICTURE)?;
    let image = source(Some(new.image), None, "Error update group picture: give a url or base64")?;
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
pub(in crate::evolution) async fn members(State(state): State<AppState>, asked: Asked) -> Answer {
    let (held, id, new) = asked.read::<Change>(&CHANGE)?;
    let change = change_of(&new.action).ok_or_else(|| Refusal::bad("Unknown action"))?;
    let people: Vec<String> = new.participants.iter().map(|one| number::wanted(one)).collect();
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
pub(in crate::evolution) async fn setting(State(state): State<AppState>, asked: Asked) -> Answer {
    let (held, id, new) = asked.read::<Setting>(&SETTING)?;
    let wanted = switch_of(&new.action).ok_or_else(|| Refusal::bad("Unknown action"))?;
    switch(&state, (&held, &id), wanted).await?;
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
pub(in crate::evolution) async fn ephemeral(State(state): State<AppState>, asked: Asked) -> Answer {
    let (held, id, new) = asked.read::<Ephemeral>(&EPHEMERAL)?;
    if !DURATIONS.contains(&new.expiration) {
        let message = "expiration is not one of enum values: 0,86400,604800,7776000";
        let fault = json!([{ "property": "expiration", "message": message }]);
        return Err(Refusal::bad_list(fault));
    }
    switch(&state, (&held, &id), GroupSwitch::Ephemeral(new.expiration)).await?;
    Ok((StatusCode::CREATED, Json(json!({ "success": true }))))
}

/// Who may let people in.
const MODES: [&str; 2] = ["all_member_add", "admin_add"];

#[derive(Debug, Deserialize)]
struct Mode {
    mode: String,
}

pub(in crate::evolution) const MODE: [Field; 1] = [required("mode", Kind::OneOf(&MODES))];

/// `POST /group/updateMemberAddMode/{name}`, of 2.4: answers with the mode that WhatsApp has then.
pub(in crate::evolution) async fn member_add_mode(
    State(state): State<AppState>,
    asked: Asked,
) -> Answer {
    let (held, id, new) = asked.read::<Mode>(&MODE)?;
    switch(&state, (&held, &id), GroupSwitch::Closed(new.mode == MODES[1])).await?;
    let closed = state.gateway.groups().is_closed(&held.caller, &held.name, &id).await;
    let closed = closed.map_err(failed("Error updating setting"))?;
    let answer = json!({ "update": "success", "mode": MODES[usize::from(closed)] });
    Ok((StatusCode::CREATED, Json(answer)))
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
