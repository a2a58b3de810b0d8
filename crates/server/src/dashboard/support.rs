//! `/i/{name}/support`: when a customer of an instance is handed over to people, who is told, and what is said.

mod form;

use super::frame::{Did, Frame, done};
use super::session::{Submitted, Viewer};
use super::{page, pages};
use crate::app::AppState;
use crate::extract::{Asked, OfId, OfInstance};
use crate::problem::Problem;
use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use flowcore_domain::instance::InstanceName;
use flowcore_domain::support::template::{PLACES, Values, fill};
use flowcore_domain::support::{MAX_KEYWORD, MAX_TEMPLATE};
use flowcore_gateway::ServiceError;
use form::{DAYS, Fields};
use serde::Deserialize;

/// Longest message that is tried with the keywords.
const MAX_TRIED: usize = 1000;

/// What the templates are shown with.
const SAMPLE: Values<'static> = Values {
    customer_name: "Ana",
    customer_phone: "+5511999990000",
    last_message: "Can I talk to somebody?",
    summary: "Customer: Can I talk to somebody?",
    reason: "asks for a person",
    link: "https://wa.me/5511999990000",
};

#[derive(Template)]
#[template(path = "support.html")]
struct SupportPage {
    frame: Frame,
    name: String,
    fields: Fields,
    /// What the customer and the phones would read.
    previews: (String, String),
    sample: Values<'static>,
    places: &'static str,
    keywords: Vec<(String, String)>,
    days: [&'static str; 7],
    most: usize,
    longest: usize,
    shown: Shown,
}

/// What the page says besides what is stored.
#[derive(Default)]
struct Shown {
    wrong: Option<String>,
    /// A keyword that was refused.
    keyword: String,
    /// A message that was tried, and the keyword in it.
    tried: Option<(String, Option<String>)>,
}

impl SupportPage {
    /// A day as it is called, and its hours.
    fn week(&self) -> Vec<(&'static str, &'static str, &str)> {
        let w = self.frame.w;
        let words = [
            w.say("Monday"),
            w.say("Tuesday"),
            w.say("Wednesday"),
            w.say("Thursday"),
            w.say("Friday"),
            w.say("Saturday"),
            w.say("Sunday"),
        ];
        let days = self.days.iter().zip(words).zip(&self.fields.week);
        days.map(|((day, word), hours)| (*day, word, hours.as_str())).collect()
    }
}

async fn shown(
    state: &AppState,
    (frame, name): (Frame, &InstanceName),
    viewer: &Viewer,
    (typed, shown): (Option<Fields>, Shown),
) -> Result<Response, Problem> {
    let support = state.gateway.support();
    let config = support.config(&viewer.caller, name).await?;
    let keywords = support.keywords(&viewer.caller, name).await?;
    let fields = typed.unwrap_or_else(|| Fields::of(&config));
    let status =
        if shown.wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let mut response = page(&SupportPage {
        frame,
        name: name.to_string(),
        previews: (fill(&fields.customer, &SAMPLE), fill(&fields.support, &SAMPLE)),
        sample: SAMPLE,
        places: PLACES,
        fields,
        keywords: keywords.into_iter().map(|one| (one.id.to_string(), one.keyword)).collect(),
        days: DAYS,
        most: MAX_TEMPLATE,
        longest: MAX_KEYWORD,
        shown,
    });
    *response.status_mut() = status;
    Ok(response)
}

/// The page once more, with what is wrong; what is not the viewer's to change is an error page.
async fn refused(
    state: &AppState,
    submitted: &Submitted,
    name: &InstanceName,
    (problem, typed): (Problem, Option<Fields>),
) -> Result<Response, Problem> {
    if !problem.status.is_client_error() || problem.status == StatusCode::NOT_FOUND {
        return Err(problem);
    }
    let viewer = &submitted.viewer;
    let frame = Frame::of(viewer, "support").about(name);
    let keyword = submitted.text("keyword").to_owned();
    let said = Shown { wrong: Some(problem.detail), keyword, tried: None };
    shown(state, (frame, name), viewer, (typed, said)).await
}

/// A message that is tried with the keywords, and what the last form did.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Query {
    #[serde(rename = "try")]
    message: Option<String>,
    #[serde(flatten)]
    did: Did,
}

/// `GET /i/{name}/support`
pub(crate) async fn show(
    State(state): State<AppState>,
    viewer: Viewer,
    OfInstance(name): OfInstance,
    Asked(query): Asked<Query>,
) -> Result<Response, Problem> {
    let name = pages::find(&state, &viewer, &name).await?.name;
    let mut said = Shown::default();
    if let Some(message) = query.message.filter(|message| !message.trim().is_empty()) {
        let message: String = message.chars().take(MAX_TRIED).collect();
        let support = state.gateway.support();
        let found = support.test_keywords(&viewer.caller, &name, &message).await?;
        said.tried = Some((message, found));
    }
    let frame = Frame::of(&viewer, "support").about(&name).after(&query.did);
    shown(&state, (frame, &name), &viewer, (None, said)).await
}

/// `POST /i/{name}/support`: everything of the form at once.
pub(crate) async fn save(
    State(state): State<AppState>,
    OfInstance(name): OfInstance,
    submitted: Submitted,
) -> Result<Response, Problem> {
    let caller = &submitted.viewer.caller;
    let saving = async {
        let patch = form::patch(&submitted)?;
        Ok::<_, Problem>(state.gateway.support().set_config(caller, &name, patch).await?)
    };
    match saving.await {
        Ok(_) => Ok(done(&format!("/i/{name}/support"), "saved").into_response()),
        Err(problem) => {
            let typed = Some(Fields::typed(&submitted));
            refused(&state, &submitted, &name, (problem, typed)).await
        }
    }
}

/// `POST /i/{name}/support/keywords`
pub(crate) async fn add_keyword(
    State(state): State<AppState>,
    OfInstance(name): OfInstance,
    submitted: Submitted,
) -> Result<Response, Problem> {
    let (caller, keyword) = (&submitted.viewer.caller, submitted.text("keyword"));
    match state.gateway.support().add_keyword(caller, &name, keyword).await {
        Ok(_) => Ok(done(&format!("/i/{name}/support"), "keyword-added").into_response()),
        Err(error) => refused(&state, &submitted, &name, (error.into(), None)).await,
    }
}

/// `POST /i/{name}/support/keywords/{id}/delete`
pub(crate) async fn delete_keyword(
    State(state): State<AppState>,
    OfInstance(name): OfInstance,
    OfId(id): OfId,
    submitted: Submitted,
) -> Result<Response, Problem> {
    let id = id.parse().map_err(|_| Problem::from(ServiceError::KeywordNotFound))?;
    let caller = &submitted.viewer.caller;
    state.gateway.support().delete_keyword(caller, &name, id).await?;
    Ok(done(&format!("/i/{name}/support"), "keyword-gone").into_response())
}
