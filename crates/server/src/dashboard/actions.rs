//! What the dashboard's forms do. Each ends in a redirect, so that a reload repeats nothing.

use super::frame::Frame;
use super::session::Submitted;
use super::{page, pages, view};
use crate::app::AppState;
use crate::extract::OfInstance;
use crate::problem::Problem;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use flowcore_domain::instance::{InstanceName, Status};
use flowcore_domain::jid::Number;
use flowcore_gateway::ServiceError;
use std::time::Duration;

/// Long enough for a code on a good line; on a bad one the page waits for it.
const WAIT_FOR_CODE: Duration = Duration::from_secs(4);

/// `POST /instances`: makes one and goes on to its QR code.
pub(crate) async fn create(
    State(state): State<AppState>,
    submitted: Submitted,
) -> Result<Response, Problem> {
    let viewer = &submitted.viewer;
    let name = match pages::can_be_had(&state, viewer, submitted.text("name")).await? {
        Ok(name) => name,
        Err(why) => return Ok(refused(&submitted, why)),
    };
    let instances = state.gateway.instances();
    match instances.connect(&viewer.caller, &name, WAIT_FOR_CODE).await {
        Ok(_) => Ok(Redirect::to(&format!("/i/{name}/link")).into_response()),
        Err(
            error @ (ServiceError::NameTaken
            | ServiceError::LimitReached { .. }
            | ServiceError::OverQuota(_)),
        ) => {
            let detail = Problem::from(error).detail;
            Ok(refused(&submitted, detail))
        }
        Err(error) => Err(error.into()),
    }
}

fn refused(submitted: &Submitted, wrong: String) -> Response {
    let form = view::NewInstancePage {
        name: submitted.text("name").to_owned(),
        wrong: Some(wrong),
        frame: Frame::of(&submitted.viewer, "instances"),
    };
    let mut response = page(&form);
    *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    response
}

/// `POST /i/{name}/link`: starts linking, or another round of codes.
pub(crate) async fn connect(
    State(state): State<AppState>,
    OfInstance(name): OfInstance,
    submitted: Submitted,
) -> Result<Redirect, Problem> {
    let caller = &submitted.viewer.caller;
    let instances = state.gateway.instances();
    // Only what is there: a stale page must not bring a deleted instance back.
    instances.get(caller, &name).await?;
    let view = instances.connect(caller, &name, WAIT_FOR_CODE).await?;
    if view.status == Status::Connected {
        return Ok(done("linked", &name));
    }
    Ok(Redirect::to(&format!("/i/{name}/link")))
}

/// `POST /i/{name}/link/code`: eight characters that are typed on the phone, in place of a picture.
pub(crate) async fn pairing_code(
    State(state): State<AppState>,
    OfInstance(name): OfInstance,
    submitted: Submitted,
) -> Result<Response, Problem> {
    let viewer = &submitted.viewer;
    let instances = state.gateway.instances();
    let view = instances.get(&viewer.caller, &name).await?;
    let asking = async {
        let phone = Number::phone(submitted.text("number")).map_err(ServiceError::from)?;
        instances.pairing_code(&viewer.caller, &name, &phone).await
    };
    let (code, wrong) = match asking.await {
        Ok(code) => (code, None),
        Err(error) => {
            let problem = Problem::from(error);
            let told = problem.status.is_client_error()
                || problem.status == StatusCode::BAD_GATEWAY
                || problem.status == StatusCode::GATEWAY_TIMEOUT;
            if !told {
                return Err(problem);
            }
            (None, Some(problem.detail))
        }
    };
    let status = if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let mut response = page(&view::CodePage {
        id: view.id.text(),
        name: name.to_string(),
        code,
        wrong,
        number: submitted.text("number").to_owned(),
        frame: Frame::of(viewer, "instances"),
    });
    *response.status_mut() = status;
    Ok(response)
}

/// `POST /i/{name}/restart`
pub(crate) async fn restart(
    State(state): State<AppState>,
    OfInstance(name): OfInstance,
    submitted: Submitted,
) -> Result<Redirect, Problem> {
    state.gateway.instances().restart(&submitted.viewer.caller, &name).await?;
    Ok(done("restarted", &name))
}

/// `POST /i/{name}/logout`
pub(crate) async fn log_out(
    State(state): State<AppState>,
    OfInstance(name): OfInstance,
    submitted: Submitted,
) -> Result<Redirect, Problem> {
    state.gateway.instances().log_out(&submitted.viewer.caller, &name).await?;
    Ok(done("logged-out", &name))
}

/// `POST /i/{name}/delete`: only with the name typed.
pub(crate) async fn delete(
    State(state): State<AppState>,
    OfInstance(name): OfInstance,
    submitted: Submitted,
) -> Result<Response, Problem> {
    if !submitted.text("name").eq_ignore_ascii_case(name.as_str()) {
        let form = view::ConfirmPage {
            name: name.to_string(),
            delete: true,
            wrong: true,
            frame: Frame::of(&submitted.viewer, "instances"),
        };
        let mut response = page(&form);
        *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
        return Ok(response);
    }
    state.gateway.instances().delete(&submitted.viewer.caller, &name).await?;
    Ok(done("deleted", &name).into_response())
}

/// Back to the list, which says what happened.
fn done(what: &str, name: &InstanceName) -> Redirect {
    Redirect::to(&format!("/?did={what}&name={name}"))
}
