//! `/escalations`: customers who wait for a person, or did: the list, one of them with its conversation, and what
//! people do with it.

use super::chats::turned;
use super::conversations::{Standing, Thread, title};
use super::frame::{Did, Frame, done};
use super::page;
use super::session::{Submitted, Viewer};
use super::view::Moment;
use super::words::Language;
use crate::api::escalations::{MAX_NOTE, read_id, waited};
use crate::app::AppState;
use crate::extract::{Asked, Named, instance_name};
use crate::problem::Problem;
use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use flowcore_domain::clock::Millis;
use flowcore_domain::id::EscalationId;
use flowcore_gateway::{Escalation, EscalationQuery, EscalationView, Page};
use serde::Deserialize;

const MOST: usize = 50;

/// Which escalations, and where the page begins.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Query {
    #[serde(default)]
    status: String,
    #[serde(default)]
    instance: String,
    #[serde(default)]
    page: usize,
    #[serde(flatten)]
    did: Did,
}

#[derive(Template)]
#[template(path = "escalations.html")]
struct EscalationsPage {
    frame: Frame,
    rows: Vec<Row>,
    status: &'static str,
    instance: String,
    page: usize,
    more: bool,
}

struct Row {
    id: String,
    title: String,
    instance: String,
    why: String,
    summary: String,
    waited: String,
    since: Moment,
    resolved: bool,
    alert: Option<String>,
    standing: Standing,
}

impl Row {
    fn new(view: &EscalationView, now: Millis, w: Language) -> Self {
        let one = &view.escalation;
        Self {
            id: one.id.text(),
            title: title(&one.conversation),
            instance: view.instance.to_string(),
            why: why(one, w),
            summary: one.summary.lines().last().unwrap_or_default().to_owned(),
            waited: lasted(waited(one, now), w),
            since: one.created_at.into(),
            resolved: one.resolved_at.is_some(),
            alert: one.alert.clone(),
            standing: Standing::of(&one.conversation, w),
        }
    }
}

/// Why somebody was handed over.
fn why(one: &Escalation, w: Language) -> String {
    let sentence = match (one.reason.as_str(), &one.keyword) {
        ("keyword", Some(keyword)) => return w.fill("said “{}”", keyword),
        ("keyword" | "asked", _) => w.say("asks for a person"),
        ("unanswered", _) => w.say("the assistant has no answer"),
        ("repeated", _) => w.say("asks the same again"),
        ("failure", _) => w.say("the assistant failed"),
        ("reopened", _) => w.say("opened again"),
        _ => w.say("handed over by the team"),
    };
    sentence.to_owned()
}

/// A while, in the largest unit that fits.
fn lasted(seconds: i64, w: Language) -> String {
    match seconds {
        ..60 => w.fill("{} s", seconds),
        60..3600 => w.fill("{} min", seconds / 60),
        3600..86_400 => w.fill("{} h", seconds / 3600),
        _ => w.fill("{} d", seconds / 86_400),
    }
}

/// `GET /escalations`; those that are open, unless others are asked for.
pub(crate) async fn list(
    State(state): State<AppState>,
    viewer: Viewer,
    Asked(query): Asked<Query>,
) -> Result<Response, Problem> {
    let (status, resolved) = match query.status.as_str() {
        "resolved" => ("resolved", Some(true)),
        "all" => ("all", None),
        _ => ("open", Some(false)),
    };
    let name = Some(query.instance.trim()).filter(|name| !name.is_empty());
    let asked = EscalationQuery {
        instance: name.map(instance_name).transpose()?,
        resolved,
        ..EscalationQuery::default()
    };
    let at = turned(query.page);
    let part = Page { skip: at * MOST, take: MOST + 1 };
    let mut found = state.gateway.support().escalations(&viewer.caller, asked, part).await?;
    let more = found.len() > MOST;
    found.truncate(MOST);
    // Who still waits is above who does not.
    found.sort_by_key(|one| one.escalation.resolved_at.is_some());
    let now = state.gateway.now();
    let frame = Frame::of(&viewer, "escalations").after(&query.did);
    Ok(page(&EscalationsPage {
        rows: found.iter().map(|one| Row::new(one, now, frame.w)).collect(),
        status,
        instance: query.instance,
        page: at,
        more,
        frame,
    }))
}

#[derive(Template)]
#[template(path = "escalation.html")]
struct EscalationPage {
    frame: Frame,
    row: Row,
    summary: String,
    note: Option<String>,
    answered: Option<Moment>,
    over: Option<(Moment, String)>,
    thread: Thread,
    wrong: Option<String>,
    /// What was typed.
    typed: String,
    most: usize,
}

async fn one(
    state: &AppState,
    viewer: &Viewer,
    (id, did): (EscalationId, &Did),
    (wrong, typed): (Option<String>, String),
) -> Result<Response, Problem> {
    let view = state.gateway.support().escalation(&viewer.caller, id).await?;
    let escalation = &view.escalation;
    let mut thread = Thread::read(state, viewer, escalation.conversation.id).await?;
    thread.escalation = Some(id.text());
    let over = escalation.resolved_at.zip(escalation.resolved_by.clone());
    let status = if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let mut response = page(&EscalationPage {
        frame: Frame::of(viewer, "escalations").after(did),
        row: Row::new(&view, state.gateway.now(), viewer.language),
        summary: escalation.summary.clone(),
        note: escalation.note.clone(),
        answered: escalation.first_answer_at.map(Moment::from),
        over: over.map(|(at, by)| (at.into(), by)),
        thread,
        wrong,
        typed,
        most: MAX_NOTE,
    });
    *response.status_mut() = status;
    Ok(response)
}

/// `GET /escalations/{id}`
pub(crate) async fn show(
    State(state): State<AppState>,
    viewer: Viewer,
    Named(id): Named<String>,
    Asked(did): Asked<Did>,
) -> Result<Response, Problem> {
    one(&state, &viewer, (read_id(&id)?, &did), (None, String::new())).await
}

/// `POST /escalations/{id}/resolve`
pub(crate) async fn resolve(
    State(state): State<AppState>,
    Named(id): Named<String>,
    submitted: Submitted,
) -> Result<Response, Problem> {
    let id = read_id(&id)?;
    let viewer = &submitted.viewer;
    let note = submitted.given("note").map(|note| note.replace("\r\n", "\n"));
    if note.as_ref().is_some_and(|note| note.chars().count() > MAX_NOTE) {
        let wrong = viewer.language.fill("The note has at most {} characters.", MAX_NOTE);
        let typed = (Some(wrong), submitted.typed("note").to_owned());
        return one(&state, viewer, (id, &Did::default()), typed).await;
    }
    let how = (note, submitted.has("handBack"));
    state.gateway.support().resolve(&viewer.caller, id, how).await?;
    Ok(done("/escalations", "resolved").into_response())
}

/// `POST /escalations/{id}/reopen`
pub(crate) async fn reopen(
    State(state): State<AppState>,
    Named(id): Named<String>,
    submitted: Submitted,
) -> Result<Response, Problem> {
    let id = read_id(&id)?;
    let viewer = &submitted.viewer;
    match state.gateway.support().reopen(&viewer.caller, id).await {
        Ok(_) => Ok(done(&format!("/escalations/{id}"), "reopened").into_response()),
        Err(error) => {
            let problem = Problem::from(error);
            if !problem.status.is_client_error() || problem.status == StatusCode::NOT_FOUND {
                return Err(problem);
            }
            let wrong = (Some(problem.detail), String::new());
            one(&state, viewer, (id, &Did::default()), wrong).await
        }
    }
}
