//! Who is calling, and whether they may.
//!
//! Three ways to say who: `Authorization: Bearer`, `apikey`, the dashboard's cookie. The first that is
//! there decides; when it is wrong, the next ones are not asked. Keys are compared by hash in the gateway.
//! [`guard`] stands before every route (see `surface`) and leaves who was recognised in the request, from
//! where [`Authenticated`] and the dashboard's `Viewer` take them.

mod standing;

pub(crate) use standing::{Doubt, Standing};

use crate::app::AppState;
use crate::client::Arrival;
use crate::dashboard::session::Viewer;
use crate::evolution;
use crate::ledger::Ledger;
use crate::problem::Problem;
use crate::surface::{Access, Route};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Redirect, Response};
use flowcore_domain::account::Scope;
use flowcore_gateway::{Allowance, Caller};
use sha2::{Digest as _, Sha256};

/// The header in which the dashboard's own scripts repeat the session's token.
pub(crate) const CSRF_HEADER: &str = "x-csrf-token";

/// A caller of the API with a credential that is good for the route.
#[derive(Clone)]
pub(crate) struct Authenticated(pub(crate) Caller);

/// Put into a request that the server makes of another one: who was recognised there. Nothing that comes over
/// the network can carry it.
#[derive(Clone)]
pub(crate) struct Forwarded(pub(crate) Caller);

enum Credential {
    Bearer(String),
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

/// Lets a request through to its route, or answers it. What it changed is noted.
pub(crate) async fn guard(
    State((state, route)): State<(AppState, Route)>,
    mut request: Request,
    next: Next,
) -> Response {
    let arrival = Arrival::of(request.extensions());
    let admitted = admit(&state, route.access, &arrival, &mut request).await;
    let (caller, allowance) = match admitted {
        Ok(None) => return next.run(request).await,
        Ok(Some(admitted)) => admitted,
        Err(answer) => return *answer,
    };
    let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let mut response = if safe || !route.access.is_noted() {
        next.run(request).await
    } else {
        noted(&state, (&caller, &arrival), route, (request, next)).await
    };
    if let Some(allowance) = allowance {
        tell(allowance, response.headers_mut());
    }
    response
}

/// Answers a request that changes something, and notes it.
async fn noted(
    state: &AppState,
    (caller, arrival): (&Caller, &Arrival),
    route: Route,
    (mut request, next): (Request, Next),
) -> Response {
    let accounts = state.gateway.accounts();
    let ledger = Ledger::default();
    request.extensions_mut().insert(ledger.clone());
    let begun = Ledger::begun(route, request.uri(), request.extensions().get());
    let deed = accounts.begin(Some(caller), &arrival.client, begun.clone());
    let response = deed.during(next.run(request)).await;
    let status = response.status();
    let succeeded = status.is_success() || status.is_redirection();
    accounts.finish(&deed, ledger.over(begun, status), succeeded).await;
    response
}

/// Who was let through, and what is left of their rate.
type Admitted = (Caller, Option<Allowance>);

async fn admit(
    state: &AppState,
    access: Access,
    arrival: &Arrival,
    request: &mut Request,
) -> Result<Option<Admitted>, Box<Response>> {
    let accounts = state.gateway.accounts();
    let refused = |problem: Problem| Box::new(problem.into_response());
    let (caller, scope) = match access {
        Access::Open | Access::Own => return Ok(None),
        Access::Key(scope) | Access::Bearer(scope) => {
            let only_bearer = matches!(access, Access::Bearer(_));
            let asked = (request.method(), request.headers());
            match recognise(state, asked, arrival, only_bearer).await {
                Ok(caller) => (caller, scope),
                Err(problem) => return Err(Box::new(stranger(state, arrival, problem))),
            }
        }
        Access::Evolution(scope) if request.extensions().get::<Forwarded>().is_some() => {
            let forwarded = request.extensions().get::<Forwarded>().cloned();
            let Some(Forwarded(caller)) = forwarded else { return Ok(None) };
            (caller, scope)
        }
        Access::Evolution(scope) => {
            let asked = (request.headers(), &arrival.client);
            match evolution::recognise(state, asked, scope).await {
                Ok(caller) => (caller, scope),
                Err(answer) if answer.status() == StatusCode::UNAUTHORIZED => {
                    let wait = accounts.allowance(None, &arrival.client).and_then(|one| one.wait);
                    return Err(wait.map_or(answer, |wait| Box::new(evolution::too_many(wait))));
                }
                Err(answer) => return Err(answer),
            }
        }
        Access::Page(scope) => {
            let viewer = Viewer::of(request.headers(), state).await.map_err(refused)?;
            let Some(viewer) = viewer else {
                return Err(Box::new(Redirect::to("/login").into_response()));
            };
            let caller = viewer.caller.clone();
            request.extensions_mut().insert(viewer);
            (caller, scope)
        }
    };
    let allowance = accounts.allowance(Some(&caller), &arrival.client);
    if let Some(wait) = allowance.and_then(|allowance| allowance.wait) {
        return Err(match (access, allowance) {
            (Access::Evolution(_), _) | (_, None) => evolution::too_many(wait).into(),
            (_, Some(allowance)) => too_many(allowance).into(),
        });
    }
    require(&caller, scope).map_err(refused)?;
    request.extensions_mut().insert(Authenticated(caller.clone()));
    Ok(Some((caller, allowance)))
}

/// Who is not recognised is counted by their address, and told so when it is too often.
fn stranger(state: &AppState, arrival: &Arrival, problem: Problem) -> Response {
    if problem.status != StatusCode::UNAUTHORIZED {
        return problem.into_response();
    }
    match state.gateway.accounts().allowance(None, &arrival.client) {
        Some(allowance) if allowance.wait.is_some() => too_many(allowance),
        _ => problem.into_response(),
    }
}

fn too_many(allowance: Allowance) -> Response {
    let wait = allowance.wait.unwrap_or(1);
    let mut response = Problem::rate_limited(wait).into_response();
    tell(allowance, response.headers_mut());
    response
}

/// The draft of the IETF that most clients read.
fn tell(allowance: Allowance, headers: &mut HeaderMap) {
    let reset = allowance.wait.unwrap_or(u32::from(allowance.remaining < allowance.limit));
    for (name, value) in [
        ("ratelimit-limit", allowance.limit),
        ("ratelimit-remaining", allowance.remaining),
        ("ratelimit-reset", reset),
    ] {
        headers.insert(name, value.into());
    }
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
    (method, headers): (&Method, &HeaderMap),
    arrival: &Arrival,
    only_bearer: bool,
) -> Result<Caller, Problem> {
    let accounts = state.gateway.accounts();
    let found = match credential(headers, state, only_bearer) {
        Credential::Bearer(text) => accounts.by_bearer(&text, &arrival.client).await?,
        Credential::Key(key) => accounts.by_key(&key, &arrival.client).await?,
        Credential::Cookie(token) => {
            let Some((caller, csrf)) = accounts.by_cookie(&token).await? else {
                return Err(Problem::unauthorized("The session has ended. Sign in again."));
            };
            check_csrf(method, headers, &csrf)?;
            return Ok(caller);
        }
        Credential::Unusable => {
            let why = "The Authorization header is not \"Bearer\" and a key or a token.";
            return Err(Problem::unauthorized(why));
        }
        Credential::None => {
            let why = "Send your key in the header \"apikey\", or as \"Authorization: Bearer\".";
            return Err(Problem::unauthorized(why));
        }
    };
    let why = "This key or token is not known here, or it has ended. Check it, or sign in again.";
    found.ok_or_else(|| Problem::unauthorized(why))
}

fn credential(headers: &HeaderMap, state: &AppState, only_bearer: bool) -> Credential {
    if headers.contains_key(header::AUTHORIZATION) {
        let value = single(headers, "authorization").and_then(bearer);
        return value.map_or(Credential::Unusable, |key| Credential::Bearer(key.to_owned()));
    }
    if only_bearer {
        return Credential::None;
    }
    if headers.contains_key("apikey") {
        return Credential::Key(single(headers, "apikey").unwrap_or_default().to_owned());
    }
    match state.cookies.session_of(headers) {
        Some(token) => Credential::Cookie(token),
        None => Credential::None,
    }
}

/// A header that came once. Of one that came twice, what is in front of us may have read the other.
pub(crate) fn single<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    value.to_str().ok()
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
