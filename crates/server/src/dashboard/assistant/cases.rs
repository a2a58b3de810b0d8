//! `/i/{name}/ai/cases`: conversations that are kept to be tried again, what an answer to each must have, and what
//! became of them the last time. They are written here, kept from the playground, or taken from what was held.

use crate::app::AppState;
use crate::dashboard::attached::Attached;
use crate::dashboard::frame::{Did, Frame, done};
use crate::dashboard::session::{Submitted, Viewer};
use crate::dashboard::view::one_line;
use crate::dashboard::{page, pages};
use crate::extract::{Asked, OfId, OfInstance};
use crate::problem::Problem;
use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use flowcore_domain::id::AiCaseId;
use flowcore_domain::instance::InstanceName;
use flowcore_gateway::{AiCase, CaseTurn, Expectation, NewCase, ServiceError};

#[derive(Template)]
#[template(path = "cases.html")]
struct CasesPage {
    frame: Frame,
    name: String,
    cases: Vec<Row>,
    typed: Typed,
    wrong: Option<String>,
}

/// What stands in the form.
#[derive(Default)]
struct Typed {
    name: String,
    message: String,
    contains: String,
    not_contains: String,
    unknown: String,
}

struct Row {
    id: String,
    name: String,
    before: Vec<(&'static str, String)>,
    message: String,
    contains: Vec<String>,
    not_contains: Vec<String>,
    unknown: Option<bool>,
    outcome: Option<Outcome>,
}

/// What came out the last time.
struct Outcome {
    passed: bool,
    failures: Vec<String>,
    text: String,
}

impl Outcome {
    fn of(case: &AiCase) -> Option<Self> {
        let stored = case.outcome.as_ref()?;
        let failures = stored["failures"].as_array().into_iter().flatten();
        Some(Self {
            passed: stored["passed"].as_bool().unwrap_or_default(),
            failures: failures.filter_map(|one| one.as_str()).map(str::to_owned).collect(),
            text: stored["text"].as_str().unwrap_or_default().to_owned(),
        })
    }
}

impl Row {
    /// `None` for what no version of this program stored.
    fn new(case: &AiCase) -> Option<Self> {
        let outcome = Outcome::of(case);
        let content: NewCase = serde_json::from_value(case.content.clone()).ok()?;
        let begins = content.message.lines().next().unwrap_or_default().to_owned();
        let own = |turn: &CaseTurn| if turn.role == "user" { "own" } else { "" };
        Some(Self {
            id: case.id.text(),
            name: if content.name.is_empty() { begins } else { one_line(&content.name) },
            before: content.history.iter().map(|turn| (own(turn), turn.text.clone())).collect(),
            message: content.message,
            contains: content.expect.contains,
            not_contains: content.expect.not_contains,
            unknown: content.expect.unknown,
            outcome,
        })
    }
}

async fn shown(
    state: &AppState,
    (frame, name): (Frame, &InstanceName),
    viewer: &Viewer,
    (typed, wrong): (Typed, Option<String>),
) -> Result<Response, Problem> {
    let cases = state.gateway.assistant().cases(&viewer.caller, name).await?;
    let status = if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let mut response = page(&CasesPage {
        frame,
        name: name.to_string(),
        cases: cases.iter().filter_map(Row::new).collect(),
        typed,
        wrong,
    });
    *response.status_mut() = status;
    Ok(response)
}

/// `GET /i/{name}/ai/cases`
pub(crate) async fn list(
    State(state): State<AppState>,
    viewer: Viewer,
    OfInstance(name): OfInstance,
    Asked(did): Asked<Did>,
) -> Result<Response, Problem> {
    let instance = pages::find(&state, &viewer, &name).await?;
    let frame = Frame::of(&viewer, "assistant").about(&instance.name).after(&did);
    shown(&state, (frame, &instance.name), &viewer, (Typed::default(), None)).await
}

/// Keeps a case; the page says so, or what is wrong with what was typed.
async fn keep(
    state: &AppState,
    name: &InstanceName,
    submitted: &Submitted,
    case: NewCase,
) -> Result<Response, Problem> {
    let viewer = &submitted.viewer;
    match state.gateway.assistant().add_case(&viewer.caller, name, case).await {
        Ok(_) => Ok(done(&format!("/i/{name}/ai/cases"), "case-kept").into_response()),
        Err(error) => refused(state, name, submitted, error.into()).await,
    }
}

async fn refused(
    state: &AppState,
    name: &InstanceName,
    submitted: &Submitted,
    problem: Problem,
) -> Result<Response, Problem> {
    if problem.status == StatusCode::INTERNAL_SERVER_ERROR || problem.code == "instance_not_found" {
        return Err(problem);
    }
    let typed = Typed {
        name: submitted.text("name").to_owned(),
        message: submitted.text("message").to_owned(),
        contains: submitted.text("contains").to_owned(),
        not_contains: submitted.text("notContains").to_owned(),
        unknown: submitted.text("unknown").to_owned(),
    };
    let frame = Frame::of(&submitted.viewer, "assistant").about(name);
    shown(state, (frame, name), &submitted.viewer, (typed, Some(problem.detail))).await
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// `POST /i/{name}/ai/cases`: one that was written, or a conversation that was held.
pub(crate) async fn create(
    State(state): State<AppState>,
    OfInstance(name): OfInstance,
    submitted: Submitted,
) -> Result<Response, Problem> {
    let held = submitted.given("conversationId").map(str::parse).transpose();
    let conversation_id = held.map_err(|_| Problem::from(ServiceError::ConversationNotFound))?;
    let case = NewCase {
        name: submitted.text("name").to_owned(),
        history: vec![],
        message: submitted.text("message").replace("\r\n", "\n"),
        conversation_id,
        expect: Expectation {
            contains: lines(submitted.text("contains")),
            not_contains: lines(submitted.text("notContains")),
            unknown: submitted.text("unknown").parse().ok(),
        },
    };
    keep(&state, &name, &submitted, case).await
}

/// `POST /i/{name}/ai/test/case`: what was said in the playground, up to the last question.
pub(crate) async fn keep_tried(
    State(state): State<AppState>,
    OfInstance(name): OfInstance,
    Attached { submitted, .. }: Attached,
) -> Result<Response, Problem> {
    let turns = submitted.all("said").filter_map(|said| said.split_once(':'));
    let turn = |(role, text): (&str, &str)| CaseTurn { role: role.into(), text: text.into() };
    let mut history: Vec<CaseTurn> = turns.map(turn).collect();
    let asked = history.iter().rposition(|turn| turn.role == "user");
    history.truncate(asked.map_or(0, |at| at + 1));
    let message = history.pop().map(|turn| turn.text).unwrap_or_default();
    let case = NewCase {
        name: String::new(),
        history,
        message,
        conversation_id: None,
        expect: Expectation::default(),
    };
    keep(&state, &name, &submitted, case).await
}

/// `POST /i/{name}/ai/cases/run`: all of them, with what is saved.
pub(crate) async fn run(
    State(state): State<AppState>,
    OfInstance(name): OfInstance,
    submitted: Submitted,
) -> Result<Response, Problem> {
    let viewer = &submitted.viewer;
    match state.gateway.assistant().run_cases(&viewer.caller, &name, None).await {
        Ok(outcomes) => {
            let all = outcomes.iter().all(|outcome| outcome.failures.is_empty());
            let did = if all { "cases-passed" } else { "cases-failed" };
            Ok(done(&format!("/i/{name}/ai/cases"), did).into_response())
        }
        Err(error) => refused(&state, &name, &submitted, error.into()).await,
    }
}

/// `POST /i/{name}/ai/cases/{id}/delete`
pub(crate) async fn delete(
    State(state): State<AppState>,
    OfInstance(name): OfInstance,
    OfId(id): OfId,
    submitted: Submitted,
) -> Result<Response, Problem> {
    let id: AiCaseId = id.parse().map_err(|_| Problem::from(ServiceError::CaseNotFound))?;
    state.gateway.assistant().delete_case(&submitted.viewer.caller, &name, id).await?;
    Ok(done(&format!("/i/{name}/ai/cases"), "case-gone").into_response())
}
