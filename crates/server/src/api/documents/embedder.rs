//! Who gives an account's passages their vectors, and how far that is.

use crate::api::assistant::problem_of;
use crate::app::AppState;
use crate::auth::Authenticated;
use crate::extract::Body;
use crate::problem::Problem;
use axum::Json;
use axum::extract::State;
use flowcore_domain::assistant::embedder::EmbedderOrder;
use flowcore_domain::clock::Millis;
use flowcore_gateway::EmbedderView;
use serde_json::{Value, json};

/// `GET /api/documents/embedder`
pub(crate) async fn get(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
) -> Result<Json<Value>, Problem> {
    Ok(shown(state.gateway.documents().embedder(&caller).await?))
}

/// `PUT /api/documents/embedder`
pub(crate) async fn set(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Body { value, .. }: Body<EmbedderOrder>,
) -> Result<Json<Value>, Problem> {
    Ok(shown(state.gateway.documents().set_embedder(&caller, value).await?))
}

fn shown(view: EmbedderView) -> Json<Value> {
    let mut answer = json!(view.config);
    answer["hasApiKey"] = view.has_key.into();
    answer["isActive"] = view.is_active.into();
    answer["passages"] = view.progress.passages.into();
    answer["embedded"] = view.progress.embedded.into();
    answer["problem"] = view.problem.map(problem_of).into();
    answer["updatedAt"] = view.updated_at.map(Millis::rfc3339).into();
    Json(answer)
}
