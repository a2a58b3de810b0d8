//! The documents that the assistant answers from: sent, listed, mapped to instances, searched.

pub(crate) mod embedder;
mod upload;

use crate::app::AppState;
use crate::auth::Authenticated;
use crate::extract::{Asked, Body, Named, instance_name};
use crate::problem::Problem;
use crate::replay::ReplayKey;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use flowcore_domain::id::DocumentId;
use flowcore_gateway::{
    Document, FoundPassage, Line, MAX_FOUND, MAX_PASSAGES, ServiceError, Speaker,
};
use serde::Deserialize;
use serde_json::{Value, json};
pub(crate) use upload::UPLOAD_LIMIT;
use upload::Upload;

const PAGE: usize = 50;
const MAX_PAGE: usize = 200;
/// How many passages a search gives that does not say.
const FOUND: usize = 5;
/// Longest question, and longest message of a history, in characters.
pub(crate) const MAX_SAID: usize = 8_192;
/// Most messages of a history.
const MAX_HISTORY: usize = 100;

/// What the path names.
#[derive(Debug, Deserialize)]
pub(crate) struct Which {
    name: Option<String>,
    id: Option<String>,
}

impl Which {
    fn id(&self) -> Result<DocumentId, Problem> {
        document_id(self.id.as_deref().unwrap_or_default())
    }
}

pub(crate) fn document_id(text: &str) -> Result<DocumentId, Problem> {
    text.parse().map_err(|_| ServiceError::DocumentNotFound.into())
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Filter {
    instance_name: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

/// A question, and what was said before it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Question {
    query: String,
    #[serde(default)]
    history: Vec<Message>,
    instance_name: Option<String>,
    limit: Option<usize>,
}

#[derive(Debug, Deserialize)]
struct Message {
    role: Role,
    text: String,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Role {
    User,
    Assistant,
    /// A person in the assistant's place.
    Human,
}

/// `POST /api/documents`: a form with the part `file`, or JSON with a `url`.
pub(crate) async fn create(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    headers: HeaderMap,
    Upload { source, hash, room }: Upload,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let replay = ReplayKey::of(&headers, caller.user_id, "documents")?;
    if let Some(key) = &replay
        && let Some(answer) = state.replays.seen(key, hash)?
    {
        return Ok((StatusCode::ACCEPTED, Json(answer)));
    }
    let document = state.gateway.documents().add(&caller, source).await?;
    drop(room);
    let mut answer = shown(&document);
    answer["duplicateOf"] = json!(state.gateway.documents().original(&document).await?);
    if let Some(key) = replay {
        state.replays.keep(key, hash, Some(answer.clone()));
    }
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

/// `GET /api/documents`
pub(crate) async fn list(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Asked(filter): Asked<Filter>,
) -> Result<Json<Value>, Problem> {
    let wrong =
        |field, rule| Problem::field("invalid_query", "The query does not fit", field, rule);
    let limit = filter.limit.unwrap_or(PAGE);
    if !(1..=MAX_PAGE).contains(&limit) {
        return Err(wrong("limit", "limit is a number from 1 to 200"));
    }
    let cursor = filter.cursor.as_deref().map(str::parse).transpose();
    let before = cursor.map_err(|_| wrong("cursor", "give nextCursor as it came"))?;
    let name = filter.instance_name.as_deref().map(instance_name).transpose()?;
    let documents = state.gateway.documents();
    let mut page = documents.list(&caller, name.as_ref(), before, limit + 1).await?;
    let more = page.len() > limit;
    page.truncate(limit);
    let next = page.last().filter(|_| more).map(|document| document.id);
    let data: Vec<Value> = page.iter().map(shown).collect();
    Ok(Json(json!({ "data": data, "nextCursor": next })))
}

/// `GET /api/documents/{id}`
pub(crate) async fn get(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Named(which): Named<Which>,
) -> Result<Json<Value>, Problem> {
    let (document, instances, embedded) =
        state.gateway.documents().get(&caller, which.id()?).await?;
    let mut answer = shown(&document);
    answer["duplicateOf"] = json!(state.gateway.documents().original(&document).await?);
    answer["instances"] = instances.into();
    answer["embedded"] = embedded.into();
    Ok(Json(answer))
}

/// Where a page of passages begins.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct From {
    limit: Option<usize>,
    cursor: Option<String>,
}

/// `GET /api/documents/{id}/passages`: what was read of it, in its order.
pub(crate) async fn passages(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Named(which): Named<Which>,
    Asked(from): Asked<From>,
) -> Result<Json<Value>, Problem> {
    let wrong =
        |field, rule| Problem::field("invalid_query", "The query does not fit", field, rule);
    let limit = from.limit.unwrap_or(PAGE);
    if !(1..=MAX_PASSAGES).contains(&limit) {
        return Err(wrong("limit", "limit is a number from 1 to 200"));
    }
    let first = from.cursor.as_deref().map_or(Ok(0), str::parse::<usize>);
    let first = first.map_err(|_| wrong("cursor", "give nextCursor as it came"))?;
    let documents = state.gateway.documents();
    let (document, ..) = documents.get(&caller, which.id()?).await?;
    let passages = documents.passages(&caller, document.id, (first, limit)).await?;
    let end = first.saturating_add(passages.len());
    let more = !passages.is_empty() && u64::try_from(end).is_ok_and(|end| end < document.passages);
    let data: Vec<Value> = (first..)
        .zip(&passages)
        .map(
            |(number, one)| json!({ "number": number, "headings": one.headings, "text": one.text }),
        )
        .collect();
    Ok(Json(json!({ "data": data, "nextCursor": more.then(|| end.to_string()) })))
}

/// `DELETE /api/documents/{id}`
pub(crate) async fn delete(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Named(which): Named<Which>,
) -> Result<StatusCode, Problem> {
    state.gateway.documents().delete(&caller, which.id()?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/instances/{name}/documents/{id}`
pub(crate) async fn map(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Named(which): Named<Which>,
) -> Result<StatusCode, Problem> {
    let name = instance_name(which.name.as_deref().unwrap_or_default())?;
    state.gateway.documents().map(&caller, &name, which.id()?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /api/instances/{name}/documents/{id}`
pub(crate) async fn unmap(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Named(which): Named<Which>,
) -> Result<StatusCode, Problem> {
    let name = instance_name(which.name.as_deref().unwrap_or_default())?;
    state.gateway.documents().unmap(&caller, &name, which.id()?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/documents/search`: what the assistant would be given.
pub(crate) async fn search(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Body { value, .. }: Body<Question>,
) -> Result<Json<Value>, Problem> {
    let wrong = |field: &str, rule: &str| {
        Problem::field("invalid_body", "The body does not fit", field, rule)
    };
    let limit = value.limit.unwrap_or(FOUND);
    if !(1..=MAX_FOUND).contains(&limit) {
        return Err(wrong("limit", "limit is a number from 1 to 50"));
    }
    let long = |text: &str| text.chars().count() > MAX_SAID;
    if value.query.trim().is_empty() || long(&value.query) {
        return Err(wrong("query", "a query has 1 to 8192 characters"));
    }
    if value.history.len() > MAX_HISTORY || value.history.iter().any(|said| long(&said.text)) {
        return Err(wrong("history", "a history has at most 100 messages of 8192 characters"));
    }
    let name = value.instance_name.as_deref().map(instance_name).transpose()?;
    let history: Vec<Line> = value.history.into_iter().map(said).collect();
    let asked = (history.as_slice(), value.query.as_str());
    let found = state.gateway.documents().search(&caller, name.as_ref(), asked, limit).await?;
    let passages: Vec<Value> = found.iter().map(passage).collect();
    Ok(Json(json!({ "passages": passages })))
}

fn said(message: Message) -> Line {
    let role = match message.role {
        Role::User => Speaker::User,
        Role::Assistant | Role::Human => Speaker::Assistant,
    };
    Line { speaker: role, text: message.text }
}

fn passage(found: &FoundPassage) -> Value {
    json!({
        "documentId": found.document_id,
        "documentName": found.document_name,
        "text": found.text,
        "score": found.score,
        "headings": found.headings,
    })
}

/// Why a document could not be read: kept as a word and a sentence.
pub(crate) fn reason(document: &Document) -> Option<(&str, &str)> {
    let reason = document.reason.as_deref();
    reason.map(|why| why.split_once(": ").unwrap_or(("failed", why)))
}

fn shown(document: &Document) -> Value {
    let (code, reason) = reason(document).unzip();
    json!({
        "id": document.id,
        "name": document.name,
        "status": document.status.as_str(),
        "reason": reason,
        "reasonCode": code,
        "url": document.source,
        "bytes": document.bytes,
        "passages": document.passages,
        "createdAt": document.created_at.rfc3339(),
        "updatedAt": document.updated_at.rfc3339(),
    })
}
