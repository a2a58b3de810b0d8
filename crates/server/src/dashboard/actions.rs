//! What the dashboard's forms do. Each ends in a redirect, so that a reload repeats nothing.

use super::session::Submitted;
use super::{page, view};
use crate::app::AppState;
use crate::extract::{Named, instance_name};
use crate::problem::Problem;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use flowcore_domain::instance::{InstanceName, Status};
use flowcore_gateway::ServiceError;
use std::time::Duration;

/// Long enough for a code on a good line; on a bad one the page waits for it.
const WAIT_FOR_CODE: Duration = Duration::from_secs(4);

/// `POST /instances`: makes one and goes on to its QR code.
pub(crate) async fn create(
    State(state): State<AppState>,
    submitted: Submitted,
) -> Result<Response, Problem> {
    let name: InstanceName = match submitted.name.parse() {
        Ok(name) => name,
        Err(rule) => return Ok(refused(submitted, format!("{rule}."))),
    };
    let instances = state.gateway.instances();
    match instances.get(&submitted.viewer.caller, &name).await {
        Ok(_) => return Ok(refused(submitted, "There is an instance of this name.".to_owned())),
        Err(ServiceError::InstanceNotFound) => {}
        Err(error) => return Err(error.into()),
    }
    match instances.connect(&submitted.viewer.caller, &name, WAIT_FOR_CODE).await {
        Ok(_) => Ok(Redirect::to(&format!("/i/{name}/link")).into_response()),
        Err(error @ (ServiceError::NameTaken | ServiceError::LimitReached { .. })) => {
            let detail = Problem::from(error).detail;
            Ok(refused(submitted, detail))
        }
        Err(error) => Err(error.into()),
    }
}

fn refused(submitted: Submitted, wrong: String) -> Response {
    let form = view::NewInstancePage {
        name: submitted.name,
        wrong: Some(wrong),
        csrf: submitted.viewer.csrf,
    };
    let mut response = page(&form);
    *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    response
}

/// `POST /i/{name}/link`: starts linking, or another round of codes.
pub(crate) async fn connect(
    State(state): State<AppState>,
    Named(name): Named<String>,
    submitted: Submitted,
) -> Result<Redirect, Problem> {
    let name = instance_name(&name)?;
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

/// `POST /i/{name}/restart`
pub(crate) async fn restart(
    State(state): State<AppState>,
    Named(name): Named<String>,
    submitted: Submitted,
) -> Result<Redirect, Problem> {
    let name = instance_name(&name)?;
    state.gateway.instances().restart(&submitted.viewer.caller, &name).await?;
    Ok(done("restarted", &name))
}

/// `POST /i/{name}/logout`
pub(crate) async fn log_out(
    State(state): State<AppState>,
    Named(name): Named<String>,
    submitted: Submitted,
) -> Result<Redirect, Problem> {
    let name = instance_name(&name)?;
    state.gateway.instances().log_out(&submitted.viewer.caller, &name).await?;
    Ok(done("logged-out", &name))
}

/// `POST /i/{name}/delete`: only with the name typed.
pub(crate) async fn delete(
    State(state): State<AppState>,
    Named(name): Named<String>,
    submitted: Submitted,
) -> Result<Response, Problem> {
    let name = instance_name(&name)?;
    if !submitted.name.eq_ignore_ascii_case(name.as_str()) {
        let form = view::ConfirmPage {
            name: name.to_string(),
            delete: true,
            wrong: true,
            csrf: submitted.viewer.csrf,
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
