//! Invitations into groups.

use super::{MEMBERS, Which, failed, shown};
use crate::app::AppState;
use crate::evolution::body::Posted;
use crate::evolution::message::TEXT;
use crate::evolution::refusal::Refusal;
use crate::evolution::schema::{Field, Kind, optional, required};
use crate::evolution::{Answer, Held, number};
use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::json;

fn link(code: &str) -> String {
    format!("https://chat.whatsapp.com/{code}")
}

/// `GET /group/inviteCode/{name}`
pub(in crate::evolution) async fn invite_code(
    State(state): State<AppState>,
    held: Held,
    Query(which): Query<Which>,
) -> Answer {
    let id = which.group(None)?;
    let code = state.gateway.groups().invite_code(&held.caller, &held.name, (&id, false)).await;
    let code = code.map_err(failed("No invite code"))?;
    Ok((StatusCode::OK, Json(json!({ "inviteUrl": link(&code), "inviteCode": code }))))
}

/// `POST /group/revokeInviteCode/{name}`
pub(in crate::evolution) async fn revoke(
    State(state): State<AppState>,
    held: Held,
    Query(which): Query<Which>,
    body: Posted,
) -> Answer {
    let id = which.group(Some(&body.0))?;
    let code = state.gateway.groups().invite_code(&held.caller, &held.name, (&id, true)).await;
    let code = code.map_err(failed("Revoke error"))?;
    Ok((StatusCode::CREATED, Json(json!({ "revoked": true, "inviteCode": code }))))
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Code {
    invite_code: Option<String>,
}

impl Code {
    fn given(self) -> Result<String, Refusal> {
        let code = self.invite_code.filter(|code| !code.is_empty());
        code.ok_or_else(|| {
            Refusal::bad_list(json!([
                "The group invite code id needs to be informed in the query",
                "ex: \"inviteCode=F1EX5QZxO181L3TMVP31gY\" (Obtained from group join link)",
            ]))
        })
    }
}

/// `GET /group/inviteInfo/{name}`
pub(in crate::evolution) async fn info(
    State(state): State<AppState>,
    held: Held,
    Query(code): Query<Code>,
) -> Answer {
    let group = state.gateway.groups().invited(&held.caller, &held.name, &code.given()?).await;
    let group = group.map_err(failed("No invite info"))?;
    Ok((StatusCode::OK, Json(shown(&group, true))))
}

/// `GET /group/acceptInviteCode/{name}`
pub(in crate::evolution) async fn accept(
    State(state): State<AppState>,
    held: Held,
    Query(code): Query<Code>,
) -> Answer {
    let joined = state.gateway.groups().join(&held.caller, &held.name, &code.given()?).await;
    let joined = joined.map_err(failed("Accept invite error"))?;
    Ok((StatusCode::OK, Json(json!({ "accepted": true, "groupJid": joined }))))
}

pub(in crate::evolution) const INVITE: [Field; 3] = [
    required("groupJid", Kind::Text(100)),
    optional("description", TEXT),
    required("numbers", MEMBERS),
];

#[derive(Debug, Deserialize)]
struct Invite {
    description: Option<String>,
    numbers: Vec<String>,
}

/// `POST /group/sendInvite/{name}`
pub(in crate::evolution) async fn send_invite(
    State(state): State<AppState>,
    held: Held,
    body: Posted,
) -> Answer {
    let id = body.0["groupJid"].as_str().and_then(number::group_of);
    let asked: Invite = body.read_of_group(&INVITE)?;
    let id =
        id.ok_or_else(|| Refusal::bad("groupJid does not match pattern \"^[\\d-]+@g.us$\""))?;
    let people: Vec<String> = asked.numbers.iter().map(|one| number::wanted(one)).collect();
    let text = asked.description.unwrap_or_default();
    let groups = state.gateway.groups();
    let sent = groups.send_invite(&held.caller, &held.name, &id, (&people, &text)).await;
    let (code, _) = sent.map_err(failed("No send invite"))?;
    Ok((StatusCode::OK, Json(json!({ "send": true, "inviteUrl": link(&code) }))))
}
