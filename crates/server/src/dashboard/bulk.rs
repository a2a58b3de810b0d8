//! Several instances at once: started anew, logged out or deleted, each as if it were alone.

use super::frame::Frame;
use super::page;
use super::session::Submitted;
use crate::app::AppState;
use crate::extract::instance_name;
use crate::problem::Problem;
use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use flowcore_domain::instance::InstanceName;
use flowcore_gateway::{Caller, Instances, ServiceError};

/// As many as are on a page, and some that came while somebody ticked.
const MOST: usize = 100;

#[derive(Template)]
#[template(path = "bulk.html")]
struct BulkPage {
    frame: Frame,
    names: Vec<String>,
    delete: bool,
    /// The number was typed wrongly.
    wrong: bool,
    /// What could not be done, and why.
    failed: Vec<(String, String)>,
}

#[derive(Debug, Clone, Copy)]
enum Act {
    Restart,
    LogOut,
    Delete,
}

impl Act {
    async fn on(
        self,
        instances: &Instances,
        caller: &Caller,
        name: &InstanceName,
    ) -> Result<(), ServiceError> {
        match self {
            Self::Restart => instances.restart(caller, name).await.map(drop),
            Self::LogOut => instances.log_out(caller, name).await.map(drop),
            Self::Delete => instances.delete(caller, name).await,
        }
    }

    /// The word for the address of the list, which says what was done.
    fn done(self) -> &'static str {
        match self {
            Self::Restart => "all-restarted",
            Self::LogOut => "all-logged-out",
            Self::Delete => "all-deleted",
        }
    }
}

fn picked(submitted: &Submitted) -> Result<Vec<InstanceName>, Problem> {
    submitted.all("pick").take(MOST).map(instance_name).collect()
}

/// `POST /instances/bulk`: restarts at once; logs out when that was confirmed.
pub(crate) async fn act(
    State(state): State<AppState>,
    submitted: Submitted,
) -> Result<Response, Problem> {
    let names = picked(&submitted)?;
    if names.is_empty() {
        return Ok(Redirect::to("/?did=none-picked").into_response());
    }
    match submitted.text("do") {
        "restart" => each(&state, &submitted, (Act::Restart, &names)).await,
        _ if submitted.has("sure") => each(&state, &submitted, (Act::LogOut, &names)).await,
        _ => Ok(page(&question(&submitted, &names, false))),
    }
}

/// `POST /instances/bulk/delete`: only with their number typed.
pub(crate) async fn delete(
    State(state): State<AppState>,
    submitted: Submitted,
) -> Result<Response, Problem> {
    let names = picked(&submitted)?;
    if names.is_empty() {
        return Ok(Redirect::to("/?did=none-picked").into_response());
    }
    if submitted.text("sure") == names.len().to_string() {
        return each(&state, &submitted, (Act::Delete, &names)).await;
    }
    let wrong = submitted.has("sure");
    let mut response = page(&BulkPage { wrong, ..question(&submitted, &names, true) });
    if wrong {
        *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    }
    Ok(response)
}

fn question(submitted: &Submitted, names: &[InstanceName], delete: bool) -> BulkPage {
    BulkPage {
        frame: Frame::of(&submitted.viewer, "instances"),
        names: names.iter().map(ToString::to_string).collect(),
        delete,
        wrong: false,
        failed: vec![],
    }
}

/// One after the other; that one fails does not keep the others.
async fn each(
    state: &AppState,
    submitted: &Submitted,
    (act, names): (Act, &[InstanceName]),
) -> Result<Response, Problem> {
    let (instances, caller) = (state.gateway.instances(), &submitted.viewer.caller);
    let mut failed = vec![];
    for name in names {
        if let Err(error) = act.on(instances, caller, name).await {
            failed.push((name.to_string(), Problem::from(error).detail));
        }
    }
    if failed.is_empty() {
        return Ok(Redirect::to(&format!("/?did={}", act.done())).into_response());
    }
    let asked = question(submitted, names, matches!(act, Act::Delete));
    let mut response = page(&BulkPage { failed, ..asked });
    *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    Ok(response)
}
