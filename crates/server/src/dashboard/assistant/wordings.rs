//! The wordings of a prompt: earlier ones compared and brought back, and new ones that a model writes.

use super::{Draft, Shown, mark, shown};
use crate::app::AppState;
use crate::dashboard::attached::Attached;
use crate::dashboard::frame::{Did, Frame, done};
use crate::dashboard::page;
use crate::dashboard::session::{Submitted, Viewer};
use crate::dashboard::view::Moment;
use crate::extract::{Asked, OfId, OfInstance};
use crate::problem::Problem;
use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use flowcore_domain::assistant::AssistantPatch;
use flowcore_domain::assistant::diff::{self, Line};
use flowcore_domain::id::PromptVersionId;
use flowcore_domain::instance::InstanceName;
use flowcore_gateway::ServiceError;

#[derive(Template)]
#[template(path = "wording.html")]
struct WordingPage {
    frame: Frame,
    name: String,
    id: String,
    number: i64,
    at: Moment,
    prompt: String,
    current: bool,
    diff: Vec<Line>,
}

fn version_id(text: &str) -> Result<PromptVersionId, Problem> {
    text.parse().map_err(|_| ServiceError::VersionNotFound.into())
}

/// `GET /i/{name}/ai/versions/{id}`: a wording, and what changed from it to the one of now.
pub(crate) async fn show(
    State(state): State<AppState>,
    viewer: Viewer,
    OfInstance(name): OfInstance,
    OfId(id): OfId,
    Asked(did): Asked<Did>,
) -> Result<Response, Problem> {
    let id = version_id(&id)?;
    let (version, now) = state.gateway.assistant().version(&viewer.caller, &name, id).await?;
    Ok(page(&WordingPage {
        frame: Frame::of(&viewer, "assistant").about(&name).after(&did),
        name: name.to_string(),
        id: version.id.text(),
        number: version.number,
        at: version.created_at.into(),
        current: version.system_prompt == now,
        diff: diff::lines(&version.system_prompt, &now),
        prompt: version.system_prompt,
    }))
}

/// `POST /i/{name}/ai/versions/{id}/restore`
pub(crate) async fn restore(
    State(state): State<AppState>,
    OfInstance(name): OfInstance,
    OfId(id): OfId,
    submitted: Submitted,
) -> Result<Response, Problem> {
    let id = version_id(&id)?;
    state.gateway.assistant().restore(&submitted.viewer.caller, &name, id).await?;
    Ok(done(&format!("/i/{name}/ai"), "prompt-restored").into_response())
}

/// `POST /i/{name}/ai/generate`: a model writes a prompt, which is shown and not saved.
pub(crate) async fn generate(
    State(state): State<AppState>,
    OfInstance(name): OfInstance,
    submitted: Submitted,
) -> Result<Response, Problem> {
    let viewer = &submitted.viewer;
    let about = (submitted.text("description"), submitted.given("language"));
    let assistant = state.gateway.assistant();
    let mut said = Shown {
        description: submitted.text("description").to_owned(),
        language: submitted.text("language").to_owned(),
        ..Shown::default()
    };
    match assistant.generate(&viewer.caller, Some(&name), about).await {
        Ok(made) => {
            let now = assistant.get(&viewer.caller, &name).await?.config.system_prompt;
            let diff = diff::lines(&now, &made.prompt);
            said.draft = Some(Draft { prompt: made.prompt, diff });
        }
        Err(error @ ServiceError::InstanceNotFound) => return Err(error.into()),
        // That the provider fails is told like what was typed wrongly: the text stays.
        Err(error) => {
            let problem = Problem::from(error);
            if problem.status == StatusCode::INTERNAL_SERVER_ERROR {
                return Err(problem);
            }
            said.wrong = Some(problem.detail);
        }
    }
    let frame = Frame::of(viewer, "assistant").about(&name);
    shown(&state, (frame, &name), viewer, (None, said)).await
}

/// `POST /i/{name}/ai/prompt`: a wording that was accepted.
pub(crate) async fn accept(
    State(state): State<AppState>,
    OfInstance(name): OfInstance,
    submitted: Submitted,
) -> Result<Response, Problem> {
    save(&state, &name, &submitted).await
}

/// `POST /i/{name}/ai/test/keep`: the wording that was tried in the playground.
pub(crate) async fn keep(
    State(state): State<AppState>,
    OfInstance(name): OfInstance,
    Attached { submitted, .. }: Attached,
) -> Result<Response, Problem> {
    save(&state, &name, &submitted).await
}

async fn save(
    state: &AppState,
    name: &InstanceName,
    submitted: &Submitted,
) -> Result<Response, Problem> {
    let prompt = submitted.text("systemPrompt").replace("\r\n", "\n");
    let patch = AssistantPatch { system_prompt: Some(prompt.clone()), ..AssistantPatch::default() };
    let viewer = &submitted.viewer;
    let assistant = state.gateway.assistant();
    let problem = match assistant.update(&viewer.caller, name, patch).await {
        Ok(_) => return Ok(done(&format!("/i/{name}/ai"), "prompt-accepted").into_response()),
        Err(error) => Problem::from(error),
    };
    if !problem.status.is_client_error() || problem.status == StatusCode::NOT_FOUND {
        return Err(problem);
    }
    let now = assistant.get(&viewer.caller, name).await?.config.system_prompt;
    let draft = Some(Draft { diff: diff::lines(&now, &prompt), prompt });
    let said = Shown { wrong: Some(problem.detail), draft, ..Shown::default() };
    let frame = Frame::of(viewer, "assistant").about(name);
    shown(state, (frame, name), viewer, (None, said)).await
}
