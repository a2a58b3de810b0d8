//! Customers who wait for a person, or did: the list, its export, and what people do with them.

use super::conversations::contact;
use crate::app::AppState;
use crate::auth::Authenticated;
use crate::extract::{Asked, Named, instance_name, parse};
use crate::problem::Problem;
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use flowcore_domain::clock::Millis;
use flowcore_domain::id::EscalationId;
use flowcore_gateway::{Escalation, EscalationQuery, EscalationView, Page, ServiceError};
use serde::Deserialize;
use serde_json::{Value, json};

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1000;
const MAX_EXPORT: usize = 10_000;
/// Longest note, in characters.
pub(crate) const MAX_NOTE: usize = 4000;

/// Which escalations; without a status, those that are open.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Query {
    instance_name: Option<String>,
    status: Option<String>,
    reason: Option<String>,
    from: Option<String>,
    to: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

impl Query {
    fn read(self) -> Result<(EscalationQuery, Page), Problem> {
        let time = |field, text: Option<String>| {
            let rule = "a time is RFC 3339, as 2026-01-05T09:00:00Z";
            let read =
                |text: String| Millis::parse_rfc3339(&text).ok_or_else(|| wrong(field, rule));
            text.map(read).transpose()
        };
        let resolved = match self.status.as_deref() {
            None | Some("open") => Some(false),
            Some("resolved") => Some(true),
            Some("all") => None,
            Some(_) => return Err(wrong("status", "status is open, resolved or all")),
        };
        let query = EscalationQuery {
            instance: self.instance_name.as_deref().map(instance_name).transpose()?,
            resolved,
            reason: self.reason,
            from: time("from", self.from)?,
            to: time("to", self.to)?,
        };
        let take = self.limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&take) {
            return Err(wrong("limit", "limit is a number from 1 to 1000"));
        }
        Ok((query, Page { skip: skip(self.cursor.as_deref())?, take }))
    }
}

/// How many entries come before a page.
pub(super) fn skip(cursor: Option<&str>) -> Result<usize, Problem> {
    let read = |text: &str| text.parse().map_err(|_| wrong("cursor", "take nextCursor as it came"));
    cursor.map_or(Ok(0), read)
}

pub(super) fn wrong(field: &'static str, rule: &str) -> Problem {
    Problem::field("invalid_query", "The query does not fit", field, rule)
}

/// `GET /api/escalations`
pub(crate) async fn list(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Asked(query): Asked<Query>,
) -> Result<Json<Value>, Problem> {
    let (query, page) = query.read()?;
    let more = Page { take: page.take + 1, ..page };
    let mut found = state.gateway.support().escalations(&caller, query, more).await?;
    let next = (found.len() > page.take).then(|| (page.skip + page.take).to_string());
    found.truncate(page.take);
    let now = state.gateway.now();
    let data: Vec<Value> = found.iter().map(|one| shown(one, now)).collect();
    Ok(Json(json!({ "data": data, "nextCursor": next })))
}

/// `GET /api/escalations/export`: the same as a table for spreadsheets.
pub(crate) async fn export(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Asked(query): Asked<Query>,
) -> Result<Response, Problem> {
    let (query, _) = query.read()?;
    let page = Page { skip: 0, take: MAX_EXPORT };
    let found = state.gateway.support().escalations(&caller, query, page).await?;
    let now = state.gateway.now();
    let columns = [
        "id",
        "instanceName",
        "conversationId",
        "phone",
        "name",
        "reason",
        "keyword",
        "createdAt",
        "firstAnswerAt",
        "waitingSeconds",
        "resolvedAt",
        "resolvedBy",
        "note",
    ];
    let mut table = columns.join(",") + "\r\n";
    for one in &found {
        let row = shown(one, now);
        let value = |column: &str| match column {
            "phone" | "name" => cell(&row["contact"][column]),
            column => cell(&row[column]),
        };
        table.push_str(&columns.map(value).join(","));
        table.push_str("\r\n");
    }
    let kind = (header::CONTENT_TYPE, "text/csv; charset=utf-8");
    let name = (header::CONTENT_DISPOSITION, "attachment; filename=\"escalations.csv\"");
    Ok(([kind, name], table).into_response())
}

/// A value as a cell. Customers write some of them: none is a formula.
fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.replace('"', "\"\""),
        other => other.to_string(),
    };
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    format!("\"{}{text}\"", if formula { "'" } else { "" })
}

/// `GET /api/escalations/{id}`
pub(crate) async fn get(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Named(id): Named<String>,
) -> Result<Json<Value>, Problem> {
    let found = state.gateway.support().escalation(&caller, read_id(&id)?).await?;
    Ok(Json(shown(&found, state.gateway.now())))
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Resolution {
    note: Option<String>,
    hand_back: Option<bool>,
}

/// `POST /api/escalations/{id}/resolve`; nothing has to be said about it.
pub(crate) async fn resolve(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Named(id): Named<String>,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let value: Resolution = if body.is_empty() { Resolution::default() } else { parse(&body)? };
    if value.note.as_ref().is_some_and(|note| note.chars().count() > MAX_NOTE) {
        let rule = format!("a note has at most {MAX_NOTE} characters");
        return Err(Problem::field("invalid_body", "The body does not fit", "note", rule));
    }
    let how = (value.note, value.hand_back.unwrap_or(true));
    let found = state.gateway.support().resolve(&caller, read_id(&id)?, how).await?;
    Ok(Json(shown(&found, state.gateway.now())))
}

/// `POST /api/escalations/{id}/reopen`
pub(crate) async fn reopen(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Named(id): Named<String>,
) -> Result<Json<Value>, Problem> {
    let found = state.gateway.support().reopen(&caller, read_id(&id)?).await?;
    Ok(Json(shown(&found, state.gateway.now())))
}

pub(crate) fn read_id(text: &str) -> Result<EscalationId, Problem> {
    text.parse().map_err(|_| ServiceError::EscalationNotFound.into())
}

/// How long a customer waited, in seconds: until a person answers, or until it is over.
pub(crate) fn waited(one: &Escalation, now: Millis) -> i64 {
    let until = one.first_answer_at.or(one.resolved_at).unwrap_or(now);
    (until.0 - one.created_at.0).max(0) / 1000
}

fn shown(view: &EscalationView, now: Millis) -> Value {
    let one = &view.escalation;
    json!({
        "id": one.id,
        "instanceName": view.instance.as_str(),
        "conversationId": one.conversation.id,
        "contact": contact(&one.conversation),
        "reason": one.reason,
        "keyword": one.keyword,
        "summary": one.summary,
        "note": one.note,
        "alert": one.alert,
        "owner": one.conversation.standing.owner,
        "createdAt": one.created_at.rfc3339(),
        "firstAnswerAt": one.first_answer_at.map(Millis::rfc3339),
        "waitingSeconds": waited(one, now),
        "resolvedAt": one.resolved_at.map(Millis::rfc3339),
        "resolvedBy": one.resolved_by,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        assert_eq!(cell(&json!("=1+1")), "\"'=1+1\"");
        assert_eq!(cell(&json!("say \"hi\", please")), "\"say \"\"hi\"\", please\"");
        assert_eq!((cell(&Value::Null), cell(&json!(7))), ("\"\"".into(), "\"7\"".into()));
    }
}
