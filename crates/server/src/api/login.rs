//! Signing in by the API, the caller's own sign-ins, and their second factor.

use crate::app::AppState;
use crate::auth::Authenticated;
use crate::client::Arrival;
use crate::extract::{Body, Named};
use crate::problem::Problem;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use flowcore_domain::clock::Millis;
use flowcore_domain::id::SessionId;
use flowcore_gateway::{AccountError, Caller, Credential, Credentials, Deed, ServiceError, Tokens};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
pub(crate) struct Login {
    username: String,
    password: String,
    totp: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RefreshBody {
    refresh_token: String,
}

#[derive(Deserialize)]
pub(crate) struct TotpBody {
    secret: Option<String>,
    code: String,
}

/// `POST /api/auth/login`
pub(crate) async fn log_in(
    State(state): State<AppState>,
    Extension(arrival): Extension<Arrival>,
    Body { value, .. }: Body<Login>,
) -> Result<Json<Value>, Problem> {
    let Login { username, password, totp } = value;
    let accounts = state.gateway.accounts();
    let tried: String = username.chars().take(64).collect();
    let credentials = Credentials { username, password, totp };
    let outcome = accounts.log_in(credentials, &arrival.client).await;
    note_failure(&state, &arrival, &tried, outcome.as_ref().err()).await;
    Ok(shown(&outcome?))
}

/// Notes that somebody tried to sign in; that they did is noted with the sign-in.
pub(crate) async fn note_failure(
    state: &AppState,
    arrival: &Arrival,
    username: &str,
    error: Option<&ServiceError>,
) {
    // A crowd at the door must not fill the log.
    if matches!(error, None | Some(ServiceError::Account(AccountError::Throttled { .. }))) {
        return;
    }
    let data = json!({ "username": username });
    let deed = Deed { action: "login.failed".to_owned(), target: None, data };
    state.gateway.accounts().note(None, &arrival.client, deed).await;
}

/// `POST /api/auth/refresh`
pub(crate) async fn refresh(
    State(state): State<AppState>,
    Body { value, .. }: Body<RefreshBody>,
) -> Result<Json<Value>, Problem> {
    Ok(shown(&state.gateway.accounts().refresh(&value.refresh_token).await?))
}

fn shown(tokens: &Tokens) -> Json<Value> {
    Json(json!({
        "accessToken": tokens.access,
        "tokenType": "Bearer",
        "expiresIn": tokens.expires_in.as_secs(),
        "refreshToken": tokens.refresh,
    }))
}

/// `POST /api/auth/logout`
pub(crate) async fn log_out(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
) -> Result<StatusCode, Problem> {
    state.gateway.accounts().log_out(&caller).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /api/auth/sessions`
pub(crate) async fn sessions(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
) -> Result<Json<Value>, Problem> {
    in_person(&caller)?;
    let sessions = state.gateway.accounts().sessions(&caller).await?;
    let data: Vec<Value> = sessions
        .iter()
        .map(|session| {
            json!({
                "id": session.id,
                "kind": if session.program { "api" } else { "browser" },
                "current": caller.credential == Credential::Session(session.id),
                "address": session.address,
                "agent": session.agent,
                "createdAt": session.created_at.rfc3339(),
                "lastUsedAt": session.last_used_at.rfc3339(),
                "expiresAt": Millis::rfc3339(session.expires_at),
            })
        })
        .collect();
    Ok(Json(json!({ "data": data, "nextCursor": null })))
}

/// `DELETE /api/auth/sessions/{id}`
pub(crate) async fn end_session(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Named(id): Named<String>,
) -> Result<StatusCode, Problem> {
    in_person(&caller)?;
    let id: SessionId = id.parse().map_err(|_| Problem::from(AccountError::SessionNotFound))?;
    state.gateway.accounts().end_session(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/auth/totp`: a secret for an app; nothing is changed yet.
pub(crate) async fn offer_totp(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
) -> Result<Json<Value>, Problem> {
    in_person(&caller)?;
    let offer = state.gateway.accounts().offer_totp(&caller).await?;
    Ok(Json(json!({ "secret": offer.secret, "uri": offer.uri })))
}

/// `PUT /api/auth/totp`: the second factor is on from now.
pub(crate) async fn confirm_totp(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Body { value, .. }: Body<TotpBody>,
) -> Result<StatusCode, Problem> {
    in_person(&caller)?;
    let secret = value.secret.unwrap_or_default();
    state.gateway.accounts().confirm_totp(&caller, &secret, &value.code).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /api/auth/totp`
pub(crate) async fn remove_totp(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Body { value, .. }: Body<TotpBody>,
) -> Result<StatusCode, Problem> {
    in_person(&caller)?;
    state.gateway.accounts().remove_totp(caller.user_id, Some(&value.code)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What is about the person is done by the person: a key that was handed to a program is not good for it.
pub(crate) fn in_person(caller: &Caller) -> Result<(), Problem> {
    if matches!(caller.credential, Credential::Session(_)) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        "sign_in_required",
        "Sign in for this",
        "A key is not good for this. Sign in with name and password, and use the token from there.",
    ))
}
