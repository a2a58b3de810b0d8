//! `/i/{name}/ai`: what the assistant of an instance is, whether its model answers, and the switch. The wordings
//! of its prompt are in [`wordings`], trying it is in [`playground`] and, again and again, in [`cases`].

pub(super) mod cases;
mod form;
pub(super) mod playground;
pub(super) mod wordings;

use super::frame::{Did, Frame, done};
use super::session::{Submitted, Viewer};
use super::view::Moment;
use super::{page, pages};
use crate::app::AppState;
use crate::extract::{Asked, OfInstance};
use crate::problem::Problem;
use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use flowcore_domain::assistant::diff::{Change, Line};
use flowcore_domain::assistant::provider::Provider;
use flowcore_domain::assistant::{AssistantPatch, MAX_PHRASE, MAX_PROMPT};
use flowcore_domain::instance::InstanceName;
use flowcore_domain::quota::Quota;
use flowcore_gateway::{AssistantView, ModelCheck, PromptVersion, ServiceError};
use form::Fields;

/// Voice notes' languages that are offered by name; others are typed as codes into the API.
const LANGUAGES: [&str; 11] = ["auto", "en", "pt", "es", "de", "fr", "it", "nl", "ar", "hi", "zh"];

#[derive(Template)]
#[template(path = "assistant.html")]
struct AssistantPage {
    frame: Frame,
    name: String,
    fields: Fields,
    active: bool,
    /// Why it could not answer as it is.
    problem: Option<String>,
    has_key: bool,
    spent: String,
    versions: Vec<Version>,
    documents: Vec<(String, String)>,
    providers: [Provider; Provider::ALL.len()],
    languages: Vec<String>,
    prompts: Prompts,
    most: usize,
    phrase: usize,
    shown: Shown,
}

/// What the page says besides what is stored.
#[derive(Default)]
struct Shown {
    wrong: Option<String>,
    checked: Option<Checked>,
    draft: Option<Draft>,
    /// What was typed about the business, and in which language the prompt should be.
    description: String,
    language: String,
}

/// What came of asking the model for a word.
struct Checked {
    model: String,
    took_ms: u64,
    wrong: Option<String>,
}

impl From<ModelCheck> for Checked {
    fn from(check: ModelCheck) -> Self {
        Self {
            model: check.model.unwrap_or_default(),
            took_ms: check.took_ms,
            wrong: check.error.map(said),
        }
    }
}

/// A prompt that waits for its owner's word.
struct Draft {
    prompt: String,
    diff: Vec<Line>,
}

/// Prompts that were written this month.
struct Prompts {
    used: u64,
    limit: Option<u64>,
}

struct Version {
    id: String,
    number: i64,
    begins: String,
    at: Moment,
    current: bool,
}

impl Version {
    fn new(version: &PromptVersion, current: bool) -> Self {
        Self {
            id: version.id.text(),
            number: version.number,
            begins: version.system_prompt.lines().next().unwrap_or_default().to_owned(),
            at: version.created_at.into(),
            current,
        }
    }
}

/// The mark in front of a line of a comparison.
fn mark(line: &Line) -> &'static str {
    match line.change {
        Change::Same => "same",
        Change::Added => "added",
        Change::Removed => "removed",
    }
}

/// What a model's failure says to people.
fn said(error: flowcore_gateway::ModelError) -> String {
    Problem::from(ServiceError::Model(error)).detail
}

/// The page with what is stored, or with what was typed.
async fn shown(
    state: &AppState,
    (frame, name): (Frame, &InstanceName),
    viewer: &Viewer,
    (typed, shown): (Option<Fields>, Shown),
) -> Result<Response, Problem> {
    let assistant = state.gateway.assistant();
    let view = assistant.get(&viewer.caller, name).await?;
    let versions = assistant.versions(&viewer.caller, name).await?;
    let status =
        if shown.wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let mut response = page(&AssistantPage {
        frame,
        name: name.to_string(),
        active: view.config.is_active,
        has_key: view.has_key,
        spent: format!("{:.2}", view.spent),
        documents: documents(state, viewer, name).await?,
        prompts: prompts(state, viewer).await?,
        fields: typed.unwrap_or_else(|| Fields::of(&view.config)),
        languages: languages(&view),
        problem: view.problem.map(said),
        versions: versions.iter().enumerate().map(|(at, one)| Version::new(one, at == 0)).collect(),
        providers: Provider::ALL,
        most: MAX_PROMPT,
        phrase: MAX_PHRASE,
        shown,
    });
    *response.status_mut() = status;
    Ok(response)
}

/// Those that are offered, with the one that is set.
fn languages(view: &AssistantView) -> Vec<String> {
    let set = &view.config.default_voice_language;
    let mut all: Vec<String> = LANGUAGES.iter().map(ToString::to_string).collect();
    if !all.contains(set) {
        all.push(set.clone());
    }
    all
}

async fn documents(
    state: &AppState,
    viewer: &Viewer,
    name: &InstanceName,
) -> Result<Vec<(String, String)>, Problem> {
    const MOST: usize = 50;
    let listed = state.gateway.documents().list(&viewer.caller, Some(name), None, MOST).await?;
    Ok(listed.iter().map(|one| (one.id.text(), one.name.clone())).collect())
}

async fn prompts(state: &AppState, viewer: &Viewer) -> Result<Prompts, Problem> {
    let accounts = state.gateway.accounts();
    let user = accounts.user(viewer.caller.user_id).await?;
    let usage = accounts.usage(&user).await?;
    let month = usage.iter().find(|usage| usage.quota == Quota::PromptsPerMonth);
    Ok(Prompts {
        used: month.map_or(0, |usage| usage.used),
        limit: month.and_then(|usage| usage.limit),
    })
}

/// The page once more with what was typed, and what is wrong with it. What is not the viewer's to change is an
/// error page.
async fn refused(
    state: &AppState,
    submitted: &Submitted,
    name: &InstanceName,
    problem: Problem,
) -> Result<Response, Problem> {
    if !problem.status.is_client_error() || problem.status == StatusCode::NOT_FOUND {
        return Err(problem);
    }
    let viewer = &submitted.viewer;
    let frame = Frame::of(viewer, "assistant").about(name);
    let said = Shown { wrong: Some(problem.detail), ..Shown::default() };
    shown(state, (frame, name), viewer, (Some(Fields::typed(submitted)), said)).await
}

/// `GET /i/{name}/ai`
pub(crate) async fn show(
    State(state): State<AppState>,
    viewer: Viewer,
    OfInstance(name): OfInstance,
    Asked(did): Asked<Did>,
) -> Result<Response, Problem> {
    let instance = pages::find(&state, &viewer, &name).await?;
    let frame = Frame::of(&viewer, "assistant").about(&instance.name).after(&did);
    shown(&state, (frame, &instance.name), &viewer, (None, Shown::default())).await
}

/// `POST /i/{name}/ai`: everything of the form at once.
pub(crate) async fn save(
    State(state): State<AppState>,
    OfInstance(name): OfInstance,
    submitted: Submitted,
) -> Result<Response, Problem> {
    let caller = &submitted.viewer.caller;
    let saving = async {
        let patch = form::patch(&submitted)?;
        Ok::<_, Problem>(state.gateway.assistant().update(caller, &name, patch).await?)
    };
    match saving.await {
        Ok(_) => Ok(done(&format!("/i/{name}/ai"), "saved").into_response()),
        Err(problem) => refused(&state, &submitted, &name, problem).await,
    }
}

/// `POST /i/{name}/ai/toggle`: on or off.
pub(crate) async fn toggle(
    State(state): State<AppState>,
    OfInstance(name): OfInstance,
    submitted: Submitted,
) -> Result<Response, Problem> {
    let on = submitted.has("on");
    let patch = AssistantPatch { is_active: Some(on), ..AssistantPatch::default() };
    state.gateway.assistant().update(&submitted.viewer.caller, &name, patch).await?;
    let did = if on { "assistant-on" } else { "assistant-off" };
    Ok(done(&format!("/i/{name}/ai"), did).into_response())
}

/// `POST /i/{name}/ai/check`: asks the model for a word, as the form would have it, without saving it.
pub(crate) async fn check(
    State(state): State<AppState>,
    OfInstance(name): OfInstance,
    submitted: Submitted,
) -> Result<Response, Problem> {
    let viewer = &submitted.viewer;
    let checking = async {
        let patch = form::patch(&submitted)?;
        Ok::<_, Problem>(
            state.gateway.assistant().check(&viewer.caller, &name, Some(&patch)).await?,
        )
    };
    match checking.await {
        Ok(check) => {
            let frame = Frame::of(viewer, "assistant").about(&name);
            let said = Shown { checked: Some(check.into()), ..Shown::default() };
            shown(&state, (frame, &name), viewer, (Some(Fields::typed(&submitted)), said)).await
        }
        Err(problem) => refused(&state, &submitted, &name, problem).await,
    }
}
