//! Who is calling, and whether they may.
//!
//! Three ways to say who: `Authorization: Bearer`, `apikey`, the dashboard's cookie. The first that is
//! there decides; when it is wrong, the next ones are not asked. Keys are compared by hash in the gateway.
//! [`guard`] stands before every route (see `surface`) and leaves who was recognised in the request, from
//! where [`Authenticated`] and the dashboard's `Viewer` take them.

use crate::app::AppState;
use crate::dashboard::session::Viewer;
use crate::evolution;
use crate::problem::Problem;
use crate::surface::{Access, Route};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Redirect, Response};
use flowcore_domain::account::Scope;
use flowcore_gateway::Caller;
use sha2::{Digest as _, Sha256};

/// The header in which the dashboard's own scripts repeat the session's token.
pub(crate) const CSRF_HEADER: &str = "x-csrf-token";

/// A caller of the API with a credential that is good for the route.
#[derive(Clone)]
pub(crate) struct Authenticated(pub(crate) Caller);

enum Credential {
    Key(String),
    Cookie(String),
    Unusable,
    None,
}

impl FromRequestParts<AppState> for Authenticated {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Problem> {
        // Missing only where a route that lets everybody in asks who it is.
        parts.extensions.get::<Self>().cloned().ok_or_else(Problem::internal)
    }
}

/// Lets a request through to its route, or answers it.
pub(crate) async fn guard(
    State((state, route)): State<(AppState, Route)>,
    mut request: Request,
    next: Next,
) -> Response {
    match admit(&state, route.access, &mut request).await {
        Ok(()) => next.run(request).await,
        Err(answer) => *answer,
    }
}

async fn admit(
    state: &AppState,
    access: Access,
    request: &mut Request,
) -> Result<(), Box<Response>> {
    let refused = |problem: Problem| Box::new(problem.into_response());
    match access {
        Access::Open | Access::Own => {}
        Access::Key(scope) => {
            let caller =
                recognise(state, request.method(), request.headers()).await.map_err(refused)?;
            require(&caller, scope).map_err(refused)?;
            request.extensions_mut().insert(Authenticated(caller));
        }
        Access::Evolution(scope) => {
            let caller = evolution::recognise(state, request.headers(), scope).await;
            request.extensions_mut().insert(Authenticated(caller?));
        }
        Access::Page(scope) => {
            let viewer = Viewer::of(request.headers(), state).await.map_err(refused)?;
            let Some(viewer) = viewer else {
                return Err(Box::new(Redirect::to("/login").into_response()));
            };
            require(&viewer.caller, scope).map_err(refused)?;
            request.extensions_mut().insert(viewer);
        }
    }
    Ok(())
}

fn require(caller: &Caller, scope: Scope) -> Result<(), Problem> {
    if caller.may(scope) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        "forbidden",
        "Not allowed",
        format!(
            "This needs the scope \"{}\", which this key or user does not have. Use one that has it, or \
             ask the administrator.",
            scope.as_str()
        ),
    ))
}

async fn recognise(
    state: &AppState,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Caller, Problem> {
    let accounts = state.gateway.accounts();
    match credential(headers, state) {
        Credential::Key(key) => match accounts.by_key(&key).await? {
            Some(caller) => Ok(caller),
            None => Err(Problem::unauthorized("This key is not known here. Check it.")),
        },
        Credential::Cookie(token) => {
            let Some((caller, csrf)) = accounts.by_cookie(&token).await? else {
                return Err(Problem::unauthorized("The session has ended. Sign in again."));
            };
            check_csrf(method, headers, &csrf)?;
            Ok(caller)
        }
        Credential::Unusable => {
            Err(Problem::unauthorized("The Authorization header is not \"Bearer\" and a key."))
        }
        Credential::None => Err(Problem::unauthorized(
            "Send your key in the header \"apikey\", or as \"Authorization: Bearer\".",
        )),
    }
}

fn credential(headers: &HeaderMap, state: &AppState) -> Credential {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        return match value.to_str().ok().and_then(bearer) {
            Some(key) => Credential::Key(key.to_owned()),
            None => Credential::Unusable,
        };
    }
    if let Some(value) = headers.get("apikey") {
        return Credential::Key(value.to_str().unwrap_or_default().to_owned());
    }
    match state.cookies.session_of(headers) {
        Some(token) => Credential::Cookie(token),
        None => Credential::None,
    }
}

/// The key behind `Bearer`.
pub(crate) fn bearer(value: &str) -> Option<&str> {
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim()).filter(|key| !key.is_empty())
}

fn check_csrf(method: &Method, headers: &HeaderMap, expected: &str) -> Result<(), Problem> {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let given = headers.get(CSRF_HEADER).and_then(|value| value.to_str().ok());
    match given {
        Some(given) if same_token(given, expected) => Ok(()),
        _ => Err(csrf_refused()),
    }
}

/// Compared by hash, so that the time tells nothing about the token.
pub(crate) fn same_token(given: &str, expected: &str) -> bool {
    Sha256::digest(given) == Sha256::digest(expected)
}

/// The form was not one of ours, or is from an older session.
pub(crate) fn csrf_refused() -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "csrf_refused",
        "This form can't be used",
        "The form is from an older session or another site. Reload the page and try again.",
    )
}
