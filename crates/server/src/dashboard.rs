//! The dashboard: pages rendered on the server, kept live by one stream of fragments a tab.
//!
//! Everything that is a form works without JavaScript; the one module of ours (`assets/flowcore.js`)
//! opens pages as dialogs and swaps in the fragments that [`live`] sends. Signed in is who has the
//! cookie of a session; every form carries the session's token.

pub(crate) mod actions;
pub(crate) mod assets;
mod cookie;
pub(crate) mod live;
pub(crate) mod pages;
pub(crate) mod session;
mod view;

pub(crate) use cookie::Cookies;

use crate::problem::Problem;
use askama::Template;
use axum::response::{Html, IntoResponse as _, Response};

/// A page from its template.
fn page(template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => Html(html).into_response(),
        Err(error) => {
            tracing::error!(%error, "a template failed");
            Problem::internal().into_response()
        }
    }
}

/// What browsers get instead of problem JSON.
pub(crate) fn problem_page(problem: &Problem, id: Option<&str>) -> Response {
    let mut response = page(&view::ProblemPage {
        title: problem.title,
        detail: &problem.detail,
        request_id: id.filter(|_| problem.status.is_server_error()),
    });
    *response.status_mut() = problem.status;
    response
}
