//! Signing in and out, and the extractors that say who is looking.

use super::{page, view};
use crate::app::AppState;
use crate::auth::{csrf_refused, same_token};
use crate::problem::Problem;
use axum::Form;
use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use flowcore_gateway::Caller;
use serde::Deserialize;

/// Somebody who is signed in. Who is not was sent to the form by the guard.
#[derive(Clone)]
pub(crate) struct Viewer {
    pub(crate) caller: Caller,
    /// The token that every form of this session carries.
    pub(crate) csrf: String,
    pub(crate) token: String,
}

impl Viewer {
    /// `None` when the cookie is missing or its session over.
    pub(crate) async fn of(headers: &HeaderMap, state: &AppState) -> Result<Option<Self>, Problem> {
        let Some(token) = state.cookies.session_of(headers) else { return Ok(None) };
        let found = state.gateway.accounts().by_cookie(&token).await?;
        Ok(found.map(|(caller, csrf)| Self { caller, csrf, token }))
    }
}

impl FromRequestParts<AppState> for Viewer {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Response> {
        let admitted = parts.extensions.get::<Self>().cloned();
        admitted.ok_or_else(|| Redirect::to("/login").into_response())
    }
}

/// The fields that the dashboard's forms have.
#[derive(Debug, Deserialize)]
struct Fields {
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    name: String,
}

/// A form of the dashboard, sent by somebody who is signed in, with the session's token.
pub(crate) struct Submitted {
    pub(crate) viewer: Viewer,
    /// The name that was typed, in the forms that ask for one.
    pub(crate) name: String,
}

impl FromRequest<AppState> for Submitted {
    type Rejection = Response;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let viewer = Viewer::from_request_parts(&mut parts, state).await?;
        let request = Request::from_parts(parts, body);
        let form = Form::<Fields>::from_request(request, state).await;
        let Form(fields) = form.map_err(|_| unreadable().into_response())?;
        if !same_token(&fields.csrf, &viewer.csrf) {
            return Err(csrf_refused().into_response());
        }
        Ok(Self { viewer, name: fields.name.trim().to_owned() })
    }
}

fn unreadable() -> Problem {
    let status = StatusCode::BAD_REQUEST;
    let detail = "The form can't be read. Reload the page and try again.";
    Problem::new(status, "invalid_form", "The form can't be read", detail)
}

/// `GET /login`
pub(crate) async fn form(State(state): State<AppState>, headers: HeaderMap) -> Response {
    match Viewer::of(&headers, &state).await {
        Ok(Some(_)) => Redirect::to("/").into_response(),
        Ok(None) => page(&view::LoginPage { refused: false }),
        Err(problem) => problem.into_response(),
    }
}

#[derive(Deserialize)]
pub(crate) struct SignIn {
    #[serde(default)]
    key: String,
}

/// `POST /login`
pub(crate) async fn sign_in(
    State(state): State<AppState>,
    headers: HeaderMap,
    Form(form): Form<SignIn>,
) -> Result<Response, Problem> {
    // There is no session yet whose token the form could carry; the browser says where it comes from.
    let site = headers.get("sec-fetch-site").and_then(|value| value.to_str().ok());
    if site.is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return Err(csrf_refused());
    }
    let Some(session) = state.gateway.accounts().sign_in(form.key.trim()).await? else {
        let mut response = page(&view::LoginPage { refused: true });
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        return Ok(response);
    };
    let mut response = Redirect::to("/").into_response();
    if let Some(cookie) = state.cookies.set(&session.token) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// `POST /logout`
pub(crate) async fn sign_out(
    State(state): State<AppState>,
    submitted: Submitted,
) -> Result<Response, Problem> {
    state.gateway.accounts().sign_out(&submitted.viewer.token).await?;
    let mut response = Redirect::to("/login").into_response();
    if let Some(cookie) = state.cookies.clear() {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}
