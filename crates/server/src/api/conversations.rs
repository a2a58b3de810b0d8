//! Conversations with customers: who answers them, what was said, and a person who comes in or goes.

use super::escalations::{skip, wrong};
use super::messages::Sent;
use crate::app::AppState;
use crate::auth::Authenticated;
use crate::extract::{Asked, Body, Named, instance_name};
use crate::problem::Problem;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use flowcore_domain::conversation::{ConversationStatus, Owner};
use flowcore_domain::id::ConversationId;
use flowcore_gateway::{
    Conversation, ConversationQuery, ConversationView, Page, Said, SentView, ServiceError,
    Transition,
};
use serde::Deserialize;
use serde_json::{Value, json};

const DEFAULT_LIMIT: usize = 100;
/// One less than the services give: one more says whether there is a next page.
const MAX_LIMIT: usize = 500;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Query {
    instance_name: Option<String>,
    status: Option<String>,
    owner: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

/// `GET /api/conversations`, the last active first.
pub(crate) async fn list(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Asked(query): Asked<Query>,
) -> Result<Json<Value>, Problem> {
    let status = query.status.map(|word| {
        ConversationStatus::parse(&word)
            .ok_or_else(|| wrong("status", "status is active, expired or escalated"))
    });
    let owner = query.owner.map(|word| {
        Owner::parse(&word).ok_or_else(|| wrong("owner", "owner is ai, human, paused or closed"))
    });
    let asked = ConversationQuery {
        instance: query.instance_name.as_deref().map(instance_name).transpose()?,
        status: status.transpose()?,
        owner: owner.transpose()?,
    };
    let (skip, limit) = (skip(query.cursor.as_deref())?, page_size(query.limit)?);
    let page = Page { skip, take: limit + 1 };
    let mut found = state.gateway.support().conversations(&caller, asked, page).await?;
    let next = (found.len() > limit).then(|| (skip + limit).to_string());
    found.truncate(limit);
    let data: Vec<Value> = found.iter().map(shown).collect();
    Ok(Json(json!({ "data": data, "nextCursor": next })))
}

/// `GET /api/conversations/{id}`, with every change of who answers.
pub(crate) async fn get(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Named(id): Named<String>,
) -> Result<Json<Value>, Problem> {
    let (support, id) = (state.gateway.support(), read_id(&id)?);
    let mut answer = shown(&support.conversation(&caller, id).await?);
    let changes = support.transitions(&caller, id).await?;
    answer["transitions"] = changes.iter().map(transition).collect();
    Ok(Json(answer))
}

#[derive(Debug, Deserialize)]
pub(crate) struct Pages {
    limit: Option<usize>,
    cursor: Option<String>,
}

/// `GET /api/conversations/{id}/messages`, the latest first.
pub(crate) async fn messages(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Named(id): Named<String>,
    Asked(query): Asked<Pages>,
) -> Result<Json<Value>, Problem> {
    let before = query.cursor.map(|text| text.parse()).transpose();
    let before = before.map_err(|_| wrong("cursor", "take nextCursor as it came"))?;
    let limit = page_size(query.limit)?;
    let asked = (before, limit + 1);
    let mut found = state.gateway.support().said(&caller, read_id(&id)?, asked).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|last| last.id.text());
    let data: Vec<Value> = found.iter().map(said).collect();
    Ok(Json(json!({ "data": data, "nextCursor": next })))
}

#[derive(Debug, Deserialize)]
pub(crate) struct NewMessage {
    message: String,
}

/// `POST /api/conversations/{id}/messages`: a person answers, and has the conversation from then on.
pub(crate) async fn say(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Named(id): Named<String>,
    Body { value, .. }: Body<NewMessage>,
) -> Result<(StatusCode, Json<Sent>), Problem> {
    let sent = state.gateway.support().say(&caller, read_id(&id)?, &value.message).await?;
    Ok((StatusCode::CREATED, Json(SentView::from(&sent).into())))
}

/// `POST /api/conversations/{id}/takeover`
pub(crate) async fn take_over(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Named(id): Named<String>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(shown(&state.gateway.support().take_over(&caller, read_id(&id)?).await?)))
}

/// `POST /api/conversations/{id}/release`
pub(crate) async fn release(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Named(id): Named<String>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(shown(&state.gateway.support().release(&caller, read_id(&id)?).await?)))
}

/// `POST /api/conversations/{id}/escalate`
pub(crate) async fn escalate(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Named(id): Named<String>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(shown(&state.gateway.support().escalate(&caller, read_id(&id)?).await?)))
}

fn page_size(limit: Option<usize>) -> Result<usize, Problem> {
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    let fits = (1..=MAX_LIMIT).contains(&limit);
    fits.then_some(limit).ok_or_else(|| wrong("limit", "limit is a number from 1 to 500"))
}

pub(crate) fn read_id(text: &str) -> Result<ConversationId, Problem> {
    text.parse().map_err(|_| ServiceError::ConversationNotFound.into())
}

/// Whom a conversation is with.
pub(super) fn contact(conversation: &Conversation) -> Value {
    json!({
        "phone": conversation.phone(),
        "lid": conversation.lid(),
        "name": conversation.name,
    })
}

fn shown(view: &ConversationView) -> Value {
    let one = &view.conversation;
    json!({
        "id": one.id,
        "instanceName": view.instance.as_str(),
        "contact": contact(one),
        "status": one.standing.status,
        "owner": one.standing.owner,
        "lastMessageAt": one.last_message_at.rfc3339(),
        "createdAt": one.created_at.rfc3339(),
        "updatedAt": one.updated_at.rfc3339(),
    })
}

fn said(one: &Said) -> Value {
    json!({
        "id": one.id,
        "role": one.role,
        "content": one.content,
        "metadata": one.metadata,
        "createdAt": one.at.rfc3339(),
    })
}

fn transition(one: &Transition) -> Value {
    json!({
        "version": one.version,
        "step": one.step,
        "fromOwner": one.owners.0,
        "toOwner": one.owners.1,
        "fromStatus": one.statuses.0,
        "toStatus": one.statuses.1,
        "cause": one.cause,
        "at": one.at.rfc3339(),
    })
}
