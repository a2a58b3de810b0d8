//! `/i/{name}/calls`: calls turned away by themselves, and what callers are told; and the other switches.

use super::frame::{Did, Frame, done};
use super::session::{Submitted, Viewer};
use super::{page, pages};
use crate::app::AppState;
use crate::extract::{Asked, OfInstance};
use crate::problem::Problem;
use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use flowcore_domain::instance::settings::{MAX_REJECTION, Settings};

#[derive(Template)]
#[template(path = "calls.html")]
struct CallsPage {
    frame: Frame,
    name: String,
    settings: Settings,
    most: usize,
    wrong: Option<String>,
}

/// `GET /i/{name}/calls`
pub(crate) async fn show(
    State(state): State<AppState>,
    viewer: Viewer,
    OfInstance(name): OfInstance,
    Asked(did): Asked<Did>,
) -> Result<Response, Problem> {
    let instance = pages::find(&state, &viewer, &name).await?;
    let settings = state.gateway.instances().settings(&viewer.caller, &instance.name).await?;
    Ok(page(&CallsPage {
        frame: Frame::of(&viewer, "calls").about(&instance.name).after(&did),
        name: instance.name.to_string(),
        settings,
        most: MAX_REJECTION,
        wrong: None,
    }))
}

/// `POST /i/{name}/calls`: everything of the form at once.
pub(crate) async fn save(
    State(state): State<AppState>,
    OfInstance(name): OfInstance,
    submitted: Submitted,
) -> Result<Response, Problem> {
    let viewer = &submitted.viewer;
    let instances = state.gateway.instances();
    let old = instances.settings(&viewer.caller, &name).await?;
    let settings = Settings {
        reject_calls: submitted.has("reject_calls"),
        reject_calls_message: submitted.text("message").to_owned(),
        groups_ignore: submitted.has("groups_ignore"),
        always_online: submitted.has("always_online"),
        read_messages: submitted.has("read_messages"),
        read_status: submitted.has("read_status"),
        ..old
    };
    if settings.reject_calls_message.chars().count() > MAX_REJECTION {
        let wrong = viewer.language.fill("The message has at most {} characters.", MAX_REJECTION);
        let mut response = page(&CallsPage {
            frame: Frame::of(viewer, "calls").about(&name),
            name: name.to_string(),
            settings,
            most: MAX_REJECTION,
            wrong: Some(wrong),
        });
        *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
        return Ok(response);
    }
    instances.set_settings(&viewer.caller, &name, settings).await?;
    Ok(done(&format!("/i/{name}/calls"), "saved").into_response())
}
