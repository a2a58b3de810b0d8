//! Who changed what, for administrators: in pages, or all of it as lines of JSON.

use crate::app::AppState;
use crate::extract::Asked;
use crate::problem::Problem;
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use flowcore_domain::clock::Millis;
use flowcore_domain::id::UserId;
use flowcore_gateway::{AuditEntry, AuditFilter, ServiceError};
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Value, json};
use std::fmt::Write as _;

const MAX_PAGE: usize = 500;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Query {
    user_id: Option<UserId>,
    action: Option<String>,
    target: Option<String>,
    from: Option<String>,
    to: Option<String>,
    format: Option<Format>,
    limit: Option<usize>,
    cursor: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    Json,
    Ndjson,
}

impl Query {
    fn filter(&self) -> Result<AuditFilter, Problem> {
        let wrong =
            |field, rule| Problem::field("invalid_query", "The query does not fit", field, rule);
        let time = |field, text: Option<&str>| {
            let read = |text| Millis::parse_rfc3339(text);
            let rule = "a time is RFC 3339, as 2026-01-05T09:00:00Z";
            text.map(|text| read(text).ok_or_else(|| wrong(field, rule))).transpose()
        };
        let cursor = self.cursor.as_deref().map(str::parse).transpose();
        Ok(AuditFilter {
            user: self.user_id,
            action: self.action.clone(),
            target: self.target.clone(),
            from: time("from", self.from.as_deref())?,
            to: time("to", self.to.as_deref())?,
            before: cursor.map_err(|_| wrong("cursor", "give nextCursor as it came"))?,
        })
    }
}

fn shown(entry: &AuditEntry) -> Value {
    json!({
        "id": entry.id,
        "at": entry.at.rfc3339(),
        "userId": entry.user_id,
        "username": entry.username,
        "credential": entry.credential,
        "address": entry.address,
        "action": entry.action,
        "target": entry.target,
        "data": entry.data,
    })
}

/// `GET /api/audit`
pub(crate) async fn list(
    State(state): State<AppState>,
    Asked(query): Asked<Query>,
) -> Result<Response, Problem> {
    let filter = query.filter()?;
    if query.format == Some(Format::Ndjson) {
        return Ok(export(state, filter));
    }
    let limit = query.limit.unwrap_or(50);
    if !(1..=MAX_PAGE).contains(&limit) {
        let rule = "limit is a number from 1 to 500";
        return Err(Problem::field("invalid_query", "The query does not fit", "limit", rule));
    }
    let mut entries = state.gateway.accounts().audit(&filter, limit + 1).await?;
    let more = entries.len() > limit;
    entries.truncate(limit);
    let next = entries.last().filter(|_| more).map(|entry| entry.id);
    let data: Vec<Value> = entries.iter().map(shown).collect();
    Ok(Json(json!({ "data": data, "nextCursor": next })).into_response())
}

/// Everything that passes, a page at a time as the reader takes it.
fn export(state: AppState, filter: AuditFilter) -> Response {
    let pages = stream::try_unfold(Some(filter), move |filter| {
        let state = state.clone();
        async move {
            let Some(mut filter) = filter else { return Ok::<_, ServiceError>(None) };
            let entries = state.gateway.accounts().audit(&filter, MAX_PAGE).await?;
            let mut lines = String::new();
            for entry in &entries {
                // Writing to a string can't fail.
                let _ = writeln!(lines, "{}", shown(entry));
            }
            let next = (entries.len() == MAX_PAGE).then(|| {
                filter.before = entries.last().map(|entry| entry.id);
                filter
            });
            Ok(Some((Bytes::from(lines), next)))
        }
    });
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    (kind, Body::from_stream(pages)).into_response()
}
