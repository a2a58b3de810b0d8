//! `/account`: what is the viewer's own: quotas, password, second factor, sign-ins, language.

use super::frame::{Did, Frame, done};
use super::session::{Submitted, Viewer};
use super::view::Moment;
use super::words::{COOKIE, Language};
use super::{page, states};
use crate::app::AppState;
use crate::extract::{Asked, Named};
use crate::problem::Problem;
use crate::qr;
use askama::Template;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use flowcore_domain::id::SessionId;
use flowcore_domain::quota::Quota;
use flowcore_gateway::{AccountError, Credential, LoginSession, TotpOffer, Usage};

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    frame: Frame,
    username: String,
    role: &'static str,
    has_password: bool,
    totp: bool,
    offer: Option<Offer>,
    usage: Vec<Row>,
    sessions: Vec<SignIn>,
    languages: [Language; 3],
    wrong: Option<String>,
}

/// A second factor that waits for its first code.
struct Offer {
    secret: String,
    svg: Option<String>,
}

/// A quota as a row.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) used: u64,
    pub(super) limit: Option<u64>,
    pub(super) renews: Option<Moment>,
}

impl Row {
    pub(super) fn new(usage: &Usage, w: Language) -> Self {
        Self {
            name: word(usage.quota, w),
            used: usage.used,
            limit: usage.limit,
            renews: usage.renews.map(Moment::from),
        }
    }
}

/// A quota in words.
pub(super) fn word(quota: Quota, w: Language) -> &'static str {
    match quota {
        Quota::Instances => w.say("Instances"),
        Quota::MessagesPerDay => w.say("Messages a day"),
        Quota::AiRepliesPerMonth => w.say("Replies of the assistant a month"),
        Quota::PromptsPerMonth => w.say("Generated prompts a month"),
        Quota::Documents => w.say("Documents"),
        Quota::DocumentBytes => w.say("Bytes of documents"),
        Quota::Webhooks => w.say("Webhooks"),
    }
}

struct SignIn {
    id: String,
    program: bool,
    current: bool,
    address: String,
    agent: String,
    used: Moment,
}

impl SignIn {
    fn new(session: &LoginSession, viewer: &Viewer) -> Self {
        Self {
            id: session.id.text(),
            program: session.program,
            current: viewer.caller.credential == Credential::Session(session.id),
            address: session.address.clone().unwrap_or_default(),
            agent: session.agent.clone().unwrap_or_default(),
            used: session.last_used_at.into(),
        }
    }
}

async fn shown(
    state: &AppState,
    viewer: &Viewer,
    frame: Frame,
    (offer, wrong): (Option<Offer>, Option<String>),
) -> Result<Response, Problem> {
    let accounts = state.gateway.accounts();
    let user = accounts.user(viewer.caller.user_id).await?;
    let usage = accounts.usage(&user).await?;
    let sessions = accounts.sessions(&viewer.caller).await?;
    let status = if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let mut response = page(&AccountPage {
        frame,
        username: user.username.clone().unwrap_or_default(),
        role: states::role(user.role, viewer.language),
        has_password: !user.foreign,
        totp: user.has_totp,
        offer,
        usage: usage.iter().map(|one| Row::new(one, viewer.language)).collect(),
        sessions: sessions.iter().map(|one| SignIn::new(one, viewer)).collect(),
        languages: Language::ALL,
        wrong,
    });
    *response.status_mut() = status;
    Ok(response)
}

/// The page with what is wrong, when it is the viewer's to change.
async fn refused(
    state: &AppState,
    viewer: &Viewer,
    offer: Option<Offer>,
    error: impl Into<Problem>,
) -> Result<Response, Problem> {
    let problem: Problem = error.into();
    if !problem.status.is_client_error() {
        return Err(problem);
    }
    let frame = Frame::of(viewer, "account");
    shown(state, viewer, frame, (offer, Some(problem.detail))).await
}

/// `GET /account`
pub(crate) async fn show(
    State(state): State<AppState>,
    viewer: Viewer,
    Asked(did): Asked<Did>,
) -> Result<Response, Problem> {
    let frame = Frame::of(&viewer, "account").after(&did);
    shown(&state, &viewer, frame, (None, None)).await
}

/// `POST /account/password`: all sign-ins end, this one too.
pub(crate) async fn password(
    State(state): State<AppState>,
    submitted: Submitted,
) -> Result<Response, Problem> {
    let viewer = &submitted.viewer;
    let (old, new) = (submitted.typed("current"), submitted.typed("new"));
    let accounts = state.gateway.accounts();
    let changed = accounts.change_password(&viewer.caller, old.to_owned(), new.to_owned()).await;
    match changed {
        Ok(()) => Ok(Redirect::to("/login").into_response()),
        Err(error) => refused(&state, viewer, None, error).await,
    }
}

fn offered(offer: TotpOffer) -> Offer {
    Offer { svg: qr::svg(&offer.uri), secret: offer.secret }
}

/// `POST /account/totp`: shows a secret; nothing is changed yet.
pub(crate) async fn offer(
    State(state): State<AppState>,
    submitted: Submitted,
) -> Result<Response, Problem> {
    let viewer = &submitted.viewer;
    let offer = offered(state.gateway.accounts().offer_totp(&viewer.caller).await?);
    shown(&state, viewer, Frame::of(viewer, "account"), (Some(offer), None)).await
}

/// `POST /account/totp/on`
pub(crate) async fn confirm(
    State(state): State<AppState>,
    submitted: Submitted,
) -> Result<Response, Problem> {
    let viewer = &submitted.viewer;
    let (secret, code) = (submitted.text("secret"), submitted.text("code"));
    match state.gateway.accounts().confirm_totp(&viewer.caller, secret, code).await {
        Ok(()) => Ok(done("/account", "totp-on").into_response()),
        Err(error) => {
            let offer = Offer { secret: secret.to_owned(), svg: None };
            refused(&state, viewer, Some(offer), error).await
        }
    }
}

/// `POST /account/totp/off`
pub(crate) async fn remove(
    State(state): State<AppState>,
    submitted: Submitted,
) -> Result<Response, Problem> {
    let viewer = &submitted.viewer;
    let code = Some(submitted.text("code"));
    match state.gateway.accounts().remove_totp(viewer.caller.user_id, code).await {
        Ok(()) => Ok(done("/account", "totp-off").into_response()),
        Err(error) => refused(&state, viewer, None, error).await,
    }
}

/// `POST /account/sessions/{id}/end`
pub(crate) async fn end_session(
    State(state): State<AppState>,
    Named(id): Named<String>,
    submitted: Submitted,
) -> Result<Redirect, Problem> {
    let id: SessionId = id.parse().map_err(|_| Problem::from(AccountError::SessionNotFound))?;
    state.gateway.accounts().end_session(&submitted.viewer.caller, id).await?;
    Ok(done("/account", "session-gone"))
}

/// `POST /account/language`
pub(crate) async fn language(submitted: Submitted) -> Response {
    let chosen = Language::parse(submitted.text("language")).unwrap_or_default();
    let cookie = format!("{COOKIE}={}; Path=/; Max-Age=31536000; SameSite=Lax", chosen.code());
    let mut response = done("/account", "language").into_response();
    if let Ok(value) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    response
}
