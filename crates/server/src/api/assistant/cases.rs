//! Conversations that are kept to be tried again.

use super::Drafted;
use super::playground::ended;
use crate::app::AppState;
use crate::auth::Authenticated;
use crate::extract::{Body, OfId, OfInstance};
use crate::problem::Problem;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use flowcore_domain::id::AiCaseId;
use flowcore_gateway::{AiCase, CaseOutcome, NewCase, ServiceError};
use serde_json::{Value, json};

/// `GET /api/instances/{name}/ai/cases`
pub(crate) async fn list(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    OfInstance(name): OfInstance,
) -> Result<Json<Value>, Problem> {
    let cases = state.gateway.assistant().cases(&caller, &name).await?;
    let data: Vec<Value> = cases.into_iter().map(shown).collect();
    Ok(Json(json!({ "data": data, "nextCursor": null })))
}

/// `POST /api/instances/{name}/ai/cases`
pub(crate) async fn create(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    OfInstance(name): OfInstance,
    Body { value, .. }: Body<NewCase>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let case = state.gateway.assistant().add_case(&caller, &name, value).await?;
    Ok((StatusCode::CREATED, Json(shown(case))))
}

/// `DELETE /api/instances/{name}/ai/cases/{id}`
pub(crate) async fn delete(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    OfInstance(name): OfInstance,
    OfId(id): OfId,
) -> Result<StatusCode, Problem> {
    let id: AiCaseId = id.parse().map_err(|_| Problem::from(ServiceError::CaseNotFound))?;
    state.gateway.assistant().delete_case(&caller, &name, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/instances/{name}/ai/cases/run`: all of them, with what is saved or with a draft.
pub(crate) async fn run(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    OfInstance(name): OfInstance,
    Body { value, .. }: Body<Drafted>,
) -> Result<Json<Value>, Problem> {
    let assistant = state.gateway.assistant();
    let outcomes = assistant.run_cases(&caller, &name, value.draft.as_ref()).await?;
    let passed = outcomes.iter().filter(|outcome| outcome.failures.is_empty()).count();
    let data: Vec<Value> = outcomes.iter().map(shown_outcome).collect();
    Ok(Json(json!({ "data": data, "passed": passed, "failed": outcomes.len() - passed })))
}

fn shown(case: AiCase) -> Value {
    let mut answer = case.content;
    answer["id"] = json!(case.id);
    answer["lastOutcome"] = case.outcome.into();
    answer["createdAt"] = case.created_at.rfc3339().into();
    answer
}

fn shown_outcome(outcome: &CaseOutcome) -> Value {
    json!({
        "id": outcome.id,
        "name": outcome.name,
        "passed": outcome.failures.is_empty(),
        "failures": outcome.failures,
        "answer": outcome.end.as_ref().map(ended),
    })
}
