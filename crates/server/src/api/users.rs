//! Users for administrators, and what everybody sees of themselves.

use crate::api::login::in_person;
use crate::app::AppState;
use crate::auth::Authenticated;
use crate::extract::{Asked, Body, Named};
use crate::ledger::Ledger;
use crate::problem::Problem;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use flowcore_domain::account::Role;
use flowcore_domain::clock::Millis;
use flowcore_domain::id::UserId;
use flowcore_domain::quota::QuotaPatch;
use flowcore_gateway::{AccountError, Usage, User, UserOrder, UserPatch};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

/// Most rows of a page.
const MAX_PAGE: usize = 200;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewUser {
    username: String,
    email: Option<String>,
    password: String,
    role: Role,
    #[serde(default)]
    quotas: QuotaPatch,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Patch {
    #[serde(default)]
    email: Email,
    password: Option<String>,
    role: Option<Role>,
    disabled: Option<bool>,
    /// False takes the second factor away from somebody who lost it.
    totp: Option<bool>,
    #[serde(default)]
    quotas: QuotaPatch,
}

/// An address as a patch gives it: null takes it away, and what is left out stays.
#[derive(Default)]
enum Email {
    #[default]
    Unchanged,
    Changed(Option<String>),
}

impl<'de> Deserialize<'de> for Email {
    fn deserialize<D: Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        Option::deserialize(value).map(Self::Changed)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Page {
    limit: Option<usize>,
    cursor: Option<String>,
}

impl Page {
    /// How many rows, and behind which.
    pub(crate) fn read<T: std::str::FromStr>(&self) -> Result<(usize, Option<T>), Problem> {
        let wrong =
            |field, rule| Problem::field("invalid_query", "The query does not fit", field, rule);
        let limit = self.limit.unwrap_or(50);
        if !(1..=MAX_PAGE).contains(&limit) {
            return Err(wrong("limit", "limit is a number from 1 to 200"));
        }
        let after = self.cursor.as_deref().map(str::parse).transpose();
        let after = after.map_err(|_| wrong("cursor", "give nextCursor as it came"))?;
        Ok((limit, after))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewPassword {
    current_password: String,
    new_password: String,
}

/// A user as the API shows them. No secret is in it.
pub(crate) fn shown(user: &User) -> Value {
    json!({
        "id": user.id,
        "username": user.username,
        "email": user.email,
        "role": user.role,
        "disabled": user.disabled,
        "foreign": user.foreign,
        "totp": user.has_totp,
        "quotas": user.quotas,
        "createdAt": user.created_at.rfc3339(),
    })
}

/// `GET /api/users`
pub(crate) async fn list(
    State(state): State<AppState>,
    Asked(page): Asked<Page>,
) -> Result<Json<Value>, Problem> {
    let (limit, after) = page.read()?;
    let mut users = state.gateway.accounts().users(after, limit + 1).await?;
    let more = users.len() > limit;
    users.truncate(limit);
    let next = users.last().filter(|_| more).map(|user| user.id);
    let data: Vec<Value> = users.iter().map(shown).collect();
    Ok(Json(json!({ "data": data, "nextCursor": next })))
}

/// `POST /api/users`
pub(crate) async fn create(
    State(state): State<AppState>,
    ledger: Ledger,
    Body { value, .. }: Body<NewUser>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let NewUser { username, email, password, role, quotas } = value;
    let order = UserOrder { username, email, password, role, quotas };
    let user = state.gateway.accounts().create_user(order).await?;
    ledger.about(user.id.text());
    ledger.change(Value::Null, shown(&user));
    Ok((StatusCode::CREATED, Json(shown(&user))))
}

/// `GET /api/users/{id}`
pub(crate) async fn get(
    State(state): State<AppState>,
    Named(id): Named<String>,
) -> Result<Json<Value>, Problem> {
    let accounts = state.gateway.accounts();
    let user = accounts.user(user_id(&id)?).await?;
    let mut body = shown(&user);
    body["usage"] = usage(&accounts.usage(&user).await?);
    Ok(Json(body))
}

/// `PATCH /api/users/{id}`
pub(crate) async fn update(
    State(state): State<AppState>,
    Named(id): Named<String>,
    ledger: Ledger,
    Body { value, .. }: Body<Patch>,
) -> Result<Json<Value>, Problem> {
    let (id, accounts) = (user_id(&id)?, state.gateway.accounts());
    let Patch { email, password, role, disabled, totp, quotas } = value;
    if password.is_some() {
        ledger.add("password", "changed".into());
    }
    if totp == Some(false) {
        accounts.remove_totp(id, None).await?;
        ledger.add("totp", "removed".into());
    }
    let email = match email {
        Email::Unchanged => None,
        Email::Changed(email) => Some(email),
    };
    let patch = UserPatch { email, password, role, disabled, quotas };
    let (before, after) = accounts.update_user(id, patch).await?;
    ledger.change(shown(&before), shown(&after));
    Ok(Json(shown(&after)))
}

/// `DELETE /api/users/{id}`
pub(crate) async fn delete(
    State(state): State<AppState>,
    Named(id): Named<String>,
    ledger: Ledger,
) -> Result<StatusCode, Problem> {
    let id = user_id(&id)?;
    let gone = state.gateway.accounts().delete_user(state.gateway.instances(), id).await?;
    ledger.change(shown(&gone), Value::Null);
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /api/me`
pub(crate) async fn me(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
) -> Result<Json<Value>, Problem> {
    let accounts = state.gateway.accounts();
    let user = accounts.user(caller.user_id).await?;
    let mut body = shown(&user);
    body["scopes"] = json!(caller.scopes.words());
    body["instances"] = json!(caller.only.as_deref());
    body["quotas"] = usage(&accounts.usage(&user).await?);
    Ok(Json(body))
}

/// `POST /api/me/password`
pub(crate) async fn change_password(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Body { value, .. }: Body<NewPassword>,
) -> Result<StatusCode, Problem> {
    in_person(&caller)?;
    let (old, new) = (value.current_password, value.new_password);
    state.gateway.accounts().change_password(&caller, old, new).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn usage(usage: &[Usage]) -> Value {
    let rows = usage.iter().map(|one| {
        let row = json!({
            "used": one.used,
            "limit": one.limit,
            "renewsAt": one.renews.map(Millis::rfc3339),
        });
        (one.quota.as_str().to_owned(), row)
    });
    Value::Object(rows.collect::<Map<_, _>>())
}

fn user_id(text: &str) -> Result<UserId, Problem> {
    text.parse().map_err(|_| AccountError::UserNotFound.into())
}
