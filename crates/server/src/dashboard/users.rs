//! `/users`, for administrators: who there is, what they may have, and what they use.

use super::account::{Row, word};
use super::frame::{Did, Frame, done};
use super::session::{Submitted, Viewer};
use super::view::Moment;
use super::words::Language;
use super::{page, states};
use crate::app::AppState;
use crate::extract::{Asked, Named};
use crate::ledger::Ledger;
use crate::problem::Problem;
use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use flowcore_domain::account::Role;
use flowcore_domain::id::UserId;
use flowcore_domain::quota::{Quota, QuotaPatch};
use flowcore_gateway::{AccountError, User, UserOrder, UserPatch};

const MOST: usize = 200;
const ROLES: [Role; 3] = [Role::Member, Role::Viewer, Role::Admin];

/// The roles with their words.
fn roles(w: Language) -> [(Role, &'static str); 3] {
    ROLES.map(|role| (role, states::role(role, w)))
}

#[derive(Template)]
#[template(path = "users.html")]
struct UsersPage {
    frame: Frame,
    users: Vec<Person>,
    more: bool,
    roles: [(Role, &'static str); 3],
    wrong: Option<String>,
    username: String,
    email: String,
}

struct Person {
    id: String,
    name: String,
    email: String,
    role: Role,
    word: &'static str,
    disabled: bool,
    foreign: bool,
    totp: bool,
    made: Moment,
}

impl Person {
    fn new(user: &User, w: Language) -> Self {
        Self {
            id: user.id.text(),
            name: user.username.clone().unwrap_or_else(|| user.id.text()),
            email: user.email.clone().unwrap_or_default(),
            role: user.role,
            word: states::role(user.role, w),
            disabled: user.disabled,
            foreign: user.foreign,
            totp: user.has_totp,
            made: user.created_at.into(),
        }
    }
}

async fn listed(
    state: &AppState,
    frame: Frame,
    wrong: Option<(String, &Submitted)>,
) -> Result<Response, Problem> {
    let mut users = state.gateway.accounts().users(None, MOST + 1).await?;
    let more = users.len() > MOST;
    users.truncate(MOST);
    let status = if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let w = frame.w;
    let typed = |field| wrong.as_ref().map(|(_, form)| form.text(field).to_owned());
    let mut response = page(&UsersPage {
        frame,
        users: users.iter().map(|one| Person::new(one, w)).collect(),
        more,
        roles: roles(w),
        username: typed("username").unwrap_or_default(),
        email: typed("email").unwrap_or_default(),
        wrong: wrong.map(|(why, _)| why),
    });
    *response.status_mut() = status;
    Ok(response)
}

/// `GET /users`
pub(crate) async fn list(
    State(state): State<AppState>,
    viewer: Viewer,
    Asked(did): Asked<Did>,
) -> Result<Response, Problem> {
    listed(&state, Frame::of(&viewer, "users").after(&did), None).await
}

/// `POST /users`
pub(crate) async fn create(
    State(state): State<AppState>,
    ledger: Ledger,
    submitted: Submitted,
) -> Result<Response, Problem> {
    let order = UserOrder {
        username: submitted.text("username").to_owned(),
        email: submitted.given("email").map(str::to_owned),
        password: submitted.typed("password").to_owned(),
        role: Role::parse(submitted.text("role")).unwrap_or(Role::Viewer),
        quotas: QuotaPatch::new(),
    };
    match state.gateway.accounts().create_user(order).await {
        Ok(user) => {
            ledger.about(user.id.text());
            ledger.add("role", user.role.as_str().into());
            Ok(done("/users", "user-made").into_response())
        }
        Err(error) => {
            let problem = Problem::from(error);
            if !problem.status.is_client_error() {
                return Err(problem);
            }
            let frame = Frame::of(&submitted.viewer, "users");
            listed(&state, frame, Some((problem.detail, &submitted))).await
        }
    }
}

#[derive(Template)]
#[template(path = "user.html")]
struct UserPage {
    frame: Frame,
    user: Person,
    roles: [(Role, &'static str); 3],
    limits: Vec<Limit>,
    usage: Vec<Row>,
    wrong: Option<String>,
}

/// A quota as a field.
struct Limit {
    name: &'static str,
    word: &'static str,
    most: String,
}

async fn one(
    state: &AppState,
    frame: Frame,
    id: UserId,
    wrong: Option<String>,
) -> Result<Response, Problem> {
    let accounts = state.gateway.accounts();
    let user = accounts.user(id).await?;
    let usage = accounts.usage(&user).await?;
    let status = if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let limits = Quota::ALL.map(|quota| Limit {
        name: quota.as_str(),
        word: word(quota, frame.w),
        most: user.quotas.limit(quota).map(|limit| limit.to_string()).unwrap_or_default(),
    });
    let w = frame.w;
    let mut response = page(&UserPage {
        frame,
        user: Person::new(&user, w),
        roles: roles(w),
        limits: limits.into(),
        usage: usage.iter().map(|one| Row::new(one, w)).collect(),
        wrong,
    });
    *response.status_mut() = status;
    Ok(response)
}

fn user_id(text: &str) -> Result<UserId, Problem> {
    text.parse().map_err(|_| AccountError::UserNotFound.into())
}

/// `GET /users/{id}`
pub(crate) async fn show(
    State(state): State<AppState>,
    viewer: Viewer,
    Named(id): Named<String>,
    Asked(did): Asked<Did>,
) -> Result<Response, Problem> {
    one(&state, Frame::of(&viewer, "users").after(&did), user_id(&id)?, None).await
}

/// `POST /users/{id}`: everything of the form at once.
pub(crate) async fn update(
    State(state): State<AppState>,
    Named(id): Named<String>,
    ledger: Ledger,
    submitted: Submitted,
) -> Result<Response, Problem> {
    let id = user_id(&id)?;
    let frame = Frame::of(&submitted.viewer, "users");
    let mut quotas = QuotaPatch::new();
    for quota in Quota::ALL {
        let limit = submitted.given(quota.as_str()).map(str::parse::<u64>).transpose();
        let Ok(limit) = limit else {
            let why = frame.w.say("A limit is a whole number, or empty for none.").to_owned();
            return one(&state, frame, id, Some(why)).await;
        };
        quotas.insert(quota, limit);
    }
    let password = submitted.typed("password");
    let patch = UserPatch {
        email: Some(submitted.given("email").map(str::to_owned)),
        password: (!password.is_empty()).then(|| password.to_owned()),
        role: Role::parse(submitted.text("role")),
        disabled: Some(submitted.has("disabled")),
        quotas,
    };
    if patch.password.is_some() {
        ledger.add("password", "changed".into());
    }
    match state.gateway.accounts().update_user(id, patch).await {
        Ok((_, after)) => {
            ledger.add("role", after.role.as_str().into());
            ledger.add("disabled", after.disabled.into());
            Ok(done(&format!("/users/{id}"), "saved").into_response())
        }
        Err(error) => {
            let problem = Problem::from(error);
            if !problem.status.is_client_error() {
                return Err(problem);
            }
            one(&state, frame, id, Some(problem.detail)).await
        }
    }
}

/// `POST /users/{id}/totp`: takes the second factor off for somebody who lost it.
pub(crate) async fn remove_totp(
    State(state): State<AppState>,
    Named(id): Named<String>,
    _: Submitted,
) -> Result<Response, Problem> {
    let id = user_id(&id)?;
    state.gateway.accounts().remove_totp(id, None).await?;
    Ok(done(&format!("/users/{id}"), "totp-off").into_response())
}

/// `POST /users/{id}/delete`: only with the name typed.
pub(crate) async fn delete(
    State(state): State<AppState>,
    Named(id): Named<String>,
    submitted: Submitted,
) -> Result<Response, Problem> {
    let id = user_id(&id)?;
    let accounts = state.gateway.accounts();
    let frame = Frame::of(&submitted.viewer, "users");
    let user = Person::new(&accounts.user(id).await?, frame.w);
    if !submitted.text("name").eq_ignore_ascii_case(&user.name) {
        let why = frame.w.say("That is not the name of this user.").to_owned();
        return one(&state, frame, id, Some(why)).await;
    }
    match accounts.delete_user(state.gateway.instances(), id).await {
        Ok(_) => Ok(done("/users", "user-gone").into_response()),
        Err(error) => {
            let problem = Problem::from(error);
            if !problem.status.is_client_error() {
                return Err(problem);
            }
            one(&state, frame, id, Some(problem.detail)).await
        }
    }
}
