//! Signing in and out, and the extractors that say who is looking.

use super::frame::Frame;
use super::words::Language;
use super::{page, view};
use crate::api::login;
use crate::app::AppState;
use crate::auth::{csrf_refused, same_token};
use crate::client::Arrival;
use crate::problem::Problem;
use axum::extract::rejection::FormRejection;
use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Extension, Form};
use flowcore_gateway::{AccountError, BrowserSession, Caller, Credentials, ServiceError};
use serde::Deserialize;

/// Somebody who is signed in. Who is not was sent to the form by the guard.
#[derive(Clone)]
pub(crate) struct Viewer {
    pub(crate) caller: Caller,
    /// The token that every form of this session carries.
    pub(crate) csrf: String,
    pub(crate) token: String,
    pub(crate) language: Language,
    /// Customers who wait for a person, for the mark in the bar.
    pub(crate) waiting: u64,
}

impl Viewer {
    /// `None` when the cookie is missing or its session over.
    pub(crate) async fn of(headers: &HeaderMap, state: &AppState) -> Result<Option<Self>, Problem> {
        let Some(token) = state.cookies.session_of(headers) else { return Ok(None) };
        let found = state.gateway.accounts().by_cookie(&token).await?;
        let Some((caller, csrf)) = found else { return Ok(None) };
        let waiting = state.gateway.customers_waiting(&caller).await?;
        let language = Language::of(headers);
        Ok(Some(Self { caller, csrf, token, language, waiting }))
    }
}

impl FromRequestParts<AppState> for Viewer {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Response> {
        let admitted = parts.extensions.get::<Self>().cloned();
        admitted.ok_or_else(|| Redirect::to("/login").into_response())
    }
}

/// A form of the dashboard, sent by somebody who is signed in, with the session's token.
pub(crate) struct Submitted {
    pub(crate) viewer: Viewer,
    fields: Vec<(String, String)>,
}

impl Submitted {
    /// Fields that came with the session's token.
    pub(super) fn of(viewer: Viewer, fields: Vec<(String, String)>) -> Result<Self, Problem> {
        let submitted = Self { viewer, fields };
        if same_token(submitted.typed("csrf"), &submitted.viewer.csrf) {
            Ok(submitted)
        } else {
            Err(csrf_refused())
        }
    }

    /// What was typed into a field, without the spaces around it.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.typed(name).trim()
    }

    /// The same as it was typed.
    pub(crate) fn typed(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or_default()
    }

    /// What was typed into a field that may be left empty.
    pub(crate) fn given(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    /// Everything of one name: boxes that were ticked.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.fields.iter().filter(move |(one, _)| one == name).map(|(_, value)| value.as_str())
    }

    /// Whether a box was ticked.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }
}

impl FromRequest<AppState> for Submitted {
    type Rejection = Response;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let viewer = Viewer::from_request_parts(&mut parts, state).await?;
        let request = Request::from_parts(parts, body);
        let form = Form::<Vec<(String, String)>>::from_request(request, state).await;
        let Form(fields) = form.map_err(|_| unreadable().into_response())?;
        Self::of(viewer, fields).map_err(Problem::into_response)
    }
}

pub(super) fn unreadable() -> Problem {
    let status = StatusCode::BAD_REQUEST;
    let detail = "The form can't be read. Reload the page and try again.";
    Problem::new(status, "invalid_form", "The form can't be read", detail)
}

/// `GET /login`
pub(crate) async fn form(
    State(state): State<AppState>,
    Extension(arrival): Extension<Arrival>,
    headers: HeaderMap,
) -> Response {
    match Viewer::of(&headers, &state).await {
        Ok(Some(_)) => Redirect::to("/").into_response(),
        Ok(None) => {
            let frame = Frame::of_nobody(Language::of(&headers));
            let blocked = blocked(&state, &arrival);
            page(&view::LoginPage { frame, refused: None, blocked, username: "" })
        }
        Err(problem) => problem.into_response(),
    }
}

/// Why the browser would not keep, or should not be given, a session at this address. Said before anybody
/// types a password.
fn blocked(state: &AppState, arrival: &Arrival) -> Option<String> {
    if arrival.encrypted || arrival.is_loopback() {
        return None;
    }
    let settings = &state.settings;
    if !state.cookies.are_secure() {
        let why = "Over plain HTTP everybody on the way could take the session. Put TLS in front \
                   (FLOWCORE_PUBLIC_URL with https, or FLOWCORE_TLS_CERT and FLOWCORE_TLS_KEY), or set \
                   FLOWCORE_INSECURE_COOKIES=true to sign in all the same.";
        return (!settings.insecure_cookies).then(|| why.to_owned());
    }
    let (_, public) = settings.public_url.split_once("://").unwrap_or_default();
    let elsewhere = !public.eq_ignore_ascii_case(&arrival.host);
    elsewhere
        .then(|| format!("Sign in at {}: the session is kept there only.", settings.public_url))
}

#[derive(Deserialize)]
pub(crate) struct SignIn {
    #[serde(default)]
    key: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    totp: String,
}

/// `POST /login`: with name and password, or with the admin key.
pub(crate) async fn sign_in(
    State(state): State<AppState>,
    Extension(arrival): Extension<Arrival>,
    headers: HeaderMap,
    form: Result<Form<SignIn>, FormRejection>,
) -> Result<Response, Problem> {
    let Form(form) = form.map_err(|_| unreadable())?;
    // There is no session yet whose token the form could carry; the browser says where it comes from.
    let site = headers.get("sec-fetch-site").and_then(|value| value.to_str().ok());
    if site.is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return Err(csrf_refused());
    }
    let username = form.username.clone();
    let frame = Frame::of_nobody(Language::of(&headers));
    if let Some(why) = blocked(&state, &arrival) {
        let blocked = Some(why);
        let refused = view::LoginPage { frame, refused: None, blocked, username: &username };
        return Ok(answered(StatusCode::FORBIDDEN, page(&refused)));
    }
    let with_key = username.is_empty();
    let session = match open(&state, &arrival, form).await {
        Ok(session) => session,
        Err(ServiceError::Account(error)) => {
            let (status, why) = told(&error, with_key, frame.w)?;
            let refused = Some(why);
            let refused = view::LoginPage { frame, refused, blocked: None, username: &username };
            return Ok(answered(status, page(&refused)));
        }
        Err(error) => return Err(error.into()),
    };
    let mut response = Redirect::to("/").into_response();
    if let Some(cookie) = state.cookies.set(&session.token) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

async fn open(
    state: &AppState,
    arrival: &Arrival,
    form: SignIn,
) -> Result<BrowserSession, ServiceError> {
    let (accounts, client) = (state.gateway.accounts(), &arrival.client);
    let username = form.username.trim().to_owned();
    let outcome = if username.is_empty() {
        let found = accounts.sign_in_with_key(form.key.trim(), client).await;
        found.and_then(|found| found.ok_or_else(|| AccountError::InvalidCredentials.into()))
    } else {
        let totp = Some(form.totp).filter(|code| !code.trim().is_empty());
        let password = form.password;
        accounts.sign_in(Credentials { username: username.clone(), password, totp }, client).await
    };
    let tried: String = username.chars().take(64).collect();
    login::note_failure(state, arrival, &tried, outcome.as_ref().err()).await;
    outcome
}

/// What the form says of a sign-in that failed.
fn told(
    error: &AccountError,
    with_key: bool,
    w: Language,
) -> Result<(StatusCode, String), Problem> {
    Ok(match error {
        AccountError::InvalidCredentials if with_key => {
            let why = w.say("This key is not known here. Check it and try again.");
            (StatusCode::UNAUTHORIZED, why.to_owned())
        }
        AccountError::InvalidCredentials => {
            let why =
                w.say("The name, the password or the code is wrong. Check them and try again.");
            (StatusCode::UNAUTHORIZED, why.to_owned())
        }
        AccountError::TotpRequired => {
            let why = w.say("Type the password again, and the code of your authenticator app.");
            (StatusCode::UNAUTHORIZED, why.to_owned())
        }
        AccountError::Throttled { wait } => {
            let why = w.fill("Too many tries. Wait {} seconds.", wait.as_secs().max(1));
            (StatusCode::TOO_MANY_REQUESTS, why)
        }
        other => return Err(other.clone().into()),
    })
}

fn answered(status: StatusCode, mut response: Response) -> Response {
    *response.status_mut() = status;
    response
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
