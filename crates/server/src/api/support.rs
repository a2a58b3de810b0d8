//! How an instance hands customers over to people: settings and keywords.

use crate::app::AppState;
use crate::auth::Authenticated;
use crate::extract::{Body, OfId, OfInstance};
use crate::problem::Problem;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use flowcore_domain::support::hours::BusinessHours;
use flowcore_domain::support::{SupportConfig, SupportPhone};
use flowcore_gateway::{Held, ServiceError, StoredKeyword, SupportPatch};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

/// What is changed; what is not named stays, and `null` takes away.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Fields {
    is_active: Option<bool>,
    phones: Option<Vec<SupportPhone>>,
    customer_template: Option<String>,
    support_template: Option<String>,
    #[serde(deserialize_with = "named")]
    business_hours: Held<BusinessHours>,
    #[serde(deserialize_with = "named")]
    auto_return_minutes: Held<i64>,
}

/// Tells `null` from nothing.
fn named<'de, T: Deserialize<'de>, D: Deserializer<'de>>(value: D) -> Result<Held<T>, D::Error> {
    Option::deserialize(value).map(Held::Set)
}

/// `GET /api/instances/{name}/support`
pub(crate) async fn get(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    OfInstance(name): OfInstance,
) -> Result<Json<Value>, Problem> {
    Ok(Json(shown(&state.gateway.support().config(&caller, &name).await?)))
}

/// `PUT /api/instances/{name}/support`
pub(crate) async fn put(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    OfInstance(name): OfInstance,
    Body { value, .. }: Body<Fields>,
) -> Result<Json<Value>, Problem> {
    let patch = SupportPatch {
        is_active: value.is_active,
        phones: value.phones,
        customer_template: value.customer_template,
        support_template: value.support_template,
        business_hours: value.business_hours,
        auto_return_minutes: value.auto_return_minutes,
    };
    Ok(Json(shown(&state.gateway.support().set_config(&caller, &name, patch).await?)))
}

fn shown(config: &SupportConfig) -> Value {
    json!({
        "isActive": config.is_active,
        "phones": config.phones,
        "customerTemplate": config.customer_template,
        "supportTemplate": config.support_template,
        "businessHours": config.business_hours,
        "autoReturnMinutes": config.auto_return_minutes,
    })
}

#[derive(Debug, Deserialize)]
pub(crate) struct NewKeyword {
    keyword: String,
}

/// `GET /api/instances/{name}/support/keywords`
pub(crate) async fn keywords(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    OfInstance(name): OfInstance,
) -> Result<Json<Value>, Problem> {
    let all = state.gateway.support().keywords(&caller, &name).await?;
    let data: Vec<Value> = all.iter().map(keyword).collect();
    Ok(Json(json!({ "data": data, "nextCursor": null })))
}

fn keyword(one: &StoredKeyword) -> Value {
    json!({ "id": one.id, "keyword": one.keyword, "createdAt": one.created_at.rfc3339() })
}

/// `POST /api/instances/{name}/support/keywords`
pub(crate) async fn add_keyword(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    OfInstance(name): OfInstance,
    Body { value, .. }: Body<NewKeyword>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let id = state.gateway.support().add_keyword(&caller, &name, &value.keyword).await?;
    Ok((StatusCode::CREATED, Json(json!({ "id": id, "keyword": value.keyword.trim() }))))
}

/// `DELETE /api/instances/{name}/support/keywords/{id}`
pub(crate) async fn delete_keyword(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    OfInstance(name): OfInstance,
    OfId(id): OfId,
) -> Result<StatusCode, Problem> {
    let id = id.parse().map_err(|_| ServiceError::KeywordNotFound)?;
    state.gateway.support().delete_keyword(&caller, &name, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize)]
pub(crate) struct Trial {
    message: String,
}

/// `POST /api/instances/{name}/support/keywords/test`
pub(crate) async fn test_keywords(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    OfInstance(name): OfInstance,
    Body { value, .. }: Body<Trial>,
) -> Result<Json<Value>, Problem> {
    let found = state.gateway.support().test_keywords(&caller, &name, &value.message).await?;
    Ok(Json(json!({ "escalate": found.is_some(), "keyword": found })))
}
