//! Keys of programs, and the tokens of instances.

use super::users::Page;
use crate::app::AppState;
use crate::auth::Authenticated;
use crate::extract::{Asked, Body, Named, instance_name};
use crate::ledger::Ledger;
use crate::problem::Problem;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use flowcore_domain::account::{Scope, Scopes};
use flowcore_domain::clock::Millis;
use flowcore_domain::id::UserId;
use flowcore_gateway::{AccountError, ApiKey, KeyOrder};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewKey {
    name: String,
    user_id: Option<UserId>,
    scopes: Option<Vec<Scope>>,
    instances: Option<Vec<String>>,
    expires_at: Option<String>,
    #[serde(default)]
    allowed_addresses: Vec<String>,
}

/// A key as lists show it: everything but the key.
fn shown(key: &ApiKey) -> Value {
    json!({
        "id": key.id,
        "name": key.name,
        "userId": key.user_id,
        "prefix": key.prefix,
        "scopes": key.scopes.words(),
        "instances": key.instances,
        "allowedAddresses": key.addresses,
        "createdAt": key.created_at.rfc3339(),
        "expiresAt": key.expires_at.map(Millis::rfc3339),
        "lastUsedAt": key.last_used_at.map(Millis::rfc3339),
    })
}

/// `GET /api/keys`
pub(crate) async fn list(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Asked(page): Asked<Page>,
) -> Result<Json<Value>, Problem> {
    let (limit, after) = page.read()?;
    let mut keys = state.gateway.accounts().keys(&caller, after, limit + 1).await?;
    let more = keys.len() > limit;
    keys.truncate(limit);
    let next = keys.last().filter(|_| more).map(|key| key.id);
    let data: Vec<Value> = keys.iter().map(shown).collect();
    Ok(Json(json!({ "data": data, "nextCursor": next })))
}

/// `POST /api/keys`: the key is in this answer and in no other.
pub(crate) async fn create(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    ledger: Ledger,
    Body { value, .. }: Body<NewKey>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let names = value.instances.map(|names| names.iter().map(|name| instance_name(name)).collect());
    let expires_at = value.expires_at.as_deref().map(time).transpose()?;
    let order = KeyOrder {
        name: value.name,
        user_id: value.user_id,
        scopes: value.scopes.map(|scopes| Scopes::of(&scopes)),
        instances: names.transpose()?,
        expires_at,
        addresses: value.allowed_addresses,
    };
    let accounts = state.gateway.accounts();
    let (key, text) = accounts.create_key(&caller, state.gateway.instances(), order).await?;
    ledger.about(key.id.text());
    ledger.change(Value::Null, shown(&key));
    let mut body = shown(&key);
    body["key"] = text.into();
    Ok((StatusCode::CREATED, Json(body)))
}

/// `DELETE /api/keys/{id}`
pub(crate) async fn delete(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Named(id): Named<String>,
    ledger: Ledger,
) -> Result<StatusCode, Problem> {
    let id = id.parse().map_err(|_| Problem::from(AccountError::KeyNotFound))?;
    let gone = state.gateway.accounts().delete_key(&caller, id).await?;
    ledger.change(shown(&gone), Value::Null);
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/instances/{name}/token`: a new token in place of the one before.
pub(crate) async fn instance_token(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Named(name): Named<String>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let token = state.gateway.instances().renew_token(&caller, &instance_name(&name)?).await?;
    Ok((StatusCode::CREATED, Json(json!({ "token": token }))))
}

fn time(text: &str) -> Result<Millis, Problem> {
    Millis::parse_rfc3339(text).ok_or_else(|| {
        let rule = "a time is RFC 3339, as 2026-01-05T09:00:00Z";
        Problem::field("invalid_expiry", "Not a time", "expiresAt", rule)
    })
}
