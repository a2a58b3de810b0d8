//! The assistant of an instance: what it is, the wordings of its prompt, whether its model answers.

pub(crate) mod cases;
pub(crate) mod playground;

use crate::app::AppState;
use crate::auth::Authenticated;
use crate::extract::{Body, OfId, OfInstance, instance_name};
use crate::problem::Problem;
use axum::Json;
use axum::extract::State;
use flowcore_domain::assistant::{AssistantPatch, diff};
use flowcore_domain::clock::Millis;
use flowcore_domain::id::PromptVersionId;
use flowcore_gateway::{AssistantView, PromptVersion, ServiceError};
use serde::Deserialize;
use serde_json::{Value, json};

/// `GET /api/instances/{name}/ai`
pub(crate) async fn get(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    OfInstance(name): OfInstance,
) -> Result<Json<Value>, Problem> {
    Ok(shown(&state.gateway.assistant().get(&caller, &name).await?))
}

/// `PUT /api/instances/{name}/ai`: what is not named stays as it is.
pub(crate) async fn update(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    OfInstance(name): OfInstance,
    Body { value, .. }: Body<AssistantPatch>,
) -> Result<Json<Value>, Problem> {
    Ok(shown(&state.gateway.assistant().update(&caller, &name, value).await?))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Switch {
    is_active: bool,
}

/// `POST /api/instances/{name}/ai/toggle`
pub(crate) async fn toggle(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    OfInstance(name): OfInstance,
    Body { value, .. }: Body<Switch>,
) -> Result<Json<Value>, Problem> {
    let patch = AssistantPatch { is_active: Some(value.is_active), ..AssistantPatch::default() };
    Ok(shown(&state.gateway.assistant().update(&caller, &name, patch).await?))
}

/// What may be tried without being saved.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Drafted {
    draft: Option<AssistantPatch>,
}

/// `POST /api/instances/{name}/ai/check`: whatever the provider does, the answer is 200.
pub(crate) async fn check(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    OfInstance(name): OfInstance,
    Body { value, .. }: Body<Drafted>,
) -> Result<Json<Value>, Problem> {
    let check = state.gateway.assistant().check(&caller, &name, value.draft.as_ref()).await?;
    Ok(Json(json!({
        "ok": check.error.is_none(),
        "model": check.model,
        "durationMs": check.took_ms,
        "problem": check.error.map(problem_of),
    })))
}

/// `GET /api/instances/{name}/ai/versions`
pub(crate) async fn versions(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    OfInstance(name): OfInstance,
) -> Result<Json<Value>, Problem> {
    let versions = state.gateway.assistant().versions(&caller, &name).await?;
    let newest = versions.first().map(|version| version.number);
    let data: Vec<Value> = versions
        .iter()
        .map(|version| shown_version(version, Some(version.number) == newest))
        .collect();
    Ok(Json(json!({ "data": data, "nextCursor": null })))
}

/// `GET /api/instances/{name}/ai/versions/{id}`: with what changed from it to the wording of now.
pub(crate) async fn version(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    OfInstance(name): OfInstance,
    OfId(id): OfId,
) -> Result<Json<Value>, Problem> {
    let assistant = state.gateway.assistant();
    let (version, now) = assistant.version(&caller, &name, version_id(&id)?).await?;
    let mut answer = shown_version(&version, version.system_prompt == now);
    answer["diff"] = json!(diff::lines(&version.system_prompt, &now));
    Ok(Json(answer))
}

/// `POST /api/instances/{name}/ai/versions/{id}/restore`
pub(crate) async fn restore(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    OfInstance(name): OfInstance,
    OfId(id): OfId,
) -> Result<Json<Value>, Problem> {
    let assistant = state.gateway.assistant();
    Ok(shown(&assistant.restore(&caller, &name, version_id(&id)?).await?))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Wanted {
    description: String,
    language: Option<String>,
    instance_name: Option<String>,
}

/// `POST /api/ai/prompts/generate`
pub(crate) async fn generate(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Body { value, .. }: Body<Wanted>,
) -> Result<Json<Value>, Problem> {
    let name = value.instance_name.as_deref().map(instance_name).transpose()?;
    let about = (value.description.as_str(), value.language.as_deref());
    let made = state.gateway.assistant().generate(&caller, name.as_ref(), about).await?;
    Ok(Json(json!({ "prompt": made.prompt, "used": made.used, "limit": made.limit })))
}

fn version_id(text: &str) -> Result<PromptVersionId, Problem> {
    text.parse().map_err(|_| ServiceError::VersionNotFound.into())
}

fn shown(view: &AssistantView) -> Json<Value> {
    let mut answer = json!(view.config);
    answer["hasApiKey"] = view.has_key.into();
    answer["problem"] = view.problem.clone().map(problem_of).into();
    answer["spentThisMonth"] = view.spent.into();
    answer["updatedAt"] = view.updated_at.map(Millis::rfc3339).into();
    Json(answer)
}

/// Why a model gives no answer, within an answer of ours.
pub(super) fn problem_of(error: flowcore_gateway::ModelError) -> Value {
    let code = error.code();
    let problem = Problem::from(ServiceError::Model(error));
    json!({ "code": code, "detail": problem.detail })
}

fn shown_version(version: &PromptVersion, current: bool) -> Value {
    json!({
        "id": version.id,
        "number": version.number,
        "systemPrompt": version.system_prompt,
        "createdBy": version.created_by,
        "createdAt": version.created_at.rfc3339(),
        "current": current,
    })
}
