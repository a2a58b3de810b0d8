//! `/keys`: the keys of programs. A key is shown once, on the page that answers the form.

use super::frame::{Did, Frame, done};
use super::page;
use super::session::{Submitted, Viewer};
use super::view::Moment;
use crate::app::AppState;
use crate::extract::{Asked, Named, instance_name};
use crate::ledger::Ledger;
use crate::problem::Problem;
use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{Redirect, Response};
use flowcore_domain::account::{Scope, Scopes};
use flowcore_domain::clock::Millis;
use flowcore_gateway::{AccountError, ApiKey, KeyOrder};

/// Most keys on the page.
const MOST: usize = 200;

#[derive(Template)]
#[template(path = "keys.html")]
struct KeysPage {
    frame: Frame,
    keys: Vec<Row>,
    scopes: Vec<&'static str>,
    wrong: Option<String>,
    /// The key that was just made.
    made: Option<String>,
    /// What was typed.
    name: String,
}

struct Row {
    id: String,
    name: String,
    begins: String,
    scopes: String,
    limited: Option<usize>,
    used: Option<Moment>,
    ends: Option<Moment>,
}

impl From<&ApiKey> for Row {
    fn from(key: &ApiKey) -> Self {
        Self {
            id: key.id.text(),
            name: key.name.clone(),
            begins: key.prefix.clone().unwrap_or_default(),
            scopes: key.scopes.words().join(", "),
            limited: key.instances.as_ref().map(Vec::len),
            used: key.last_used_at.map(Moment::from),
            ends: key.expires_at.map(Moment::from),
        }
    }
}

struct Outcome {
    wrong: Option<String>,
    made: Option<String>,
    name: String,
}

async fn shown(
    state: &AppState,
    viewer: &Viewer,
    frame: Frame,
    outcome: Outcome,
) -> Result<Response, Problem> {
    let keys = state.gateway.accounts().keys(&viewer.caller, None, MOST).await?;
    let status = match &outcome {
        Outcome { wrong: Some(_), .. } => StatusCode::UNPROCESSABLE_ENTITY,
        Outcome { made: Some(_), .. } => StatusCode::CREATED,
        _ => StatusCode::OK,
    };
    let Outcome { wrong, made, name } = outcome;
    let mut response = page(&KeysPage {
        frame,
        keys: keys.iter().map(Row::from).collect(),
        scopes: viewer.caller.scopes.words(),
        wrong,
        made,
        name,
    });
    *response.status_mut() = status;
    Ok(response)
}

/// `GET /keys`
pub(crate) async fn list(
    State(state): State<AppState>,
    viewer: Viewer,
    Asked(did): Asked<Did>,
) -> Result<Response, Problem> {
    let frame = Frame::of(&viewer, "keys").after(&did);
    let outcome = Outcome { wrong: None, made: None, name: String::new() };
    shown(&state, &viewer, frame, outcome).await
}

/// `POST /keys`
pub(crate) async fn create(
    State(state): State<AppState>,
    ledger: Ledger,
    submitted: Submitted,
) -> Result<Response, Problem> {
    let viewer = &submitted.viewer;
    let accounts = state.gateway.accounts();
    let made = async {
        let order = order(&submitted)?;
        let instances = state.gateway.instances();
        Ok::<_, Problem>(accounts.create_key(&viewer.caller, instances, order).await?)
    };
    let outcome = match made.await {
        Ok((key, text)) => {
            ledger.about(key.id.text());
            ledger.add("scopes", key.scopes.words().into());
            Outcome { wrong: None, made: Some(text), name: String::new() }
        }
        Err(problem) if problem.status.is_client_error() => {
            let name = submitted.text("name").to_owned();
            Outcome { wrong: Some(problem.detail), made: None, name }
        }
        Err(problem) => return Err(problem),
    };
    shown(&state, viewer, Frame::of(viewer, "keys"), outcome).await
}

fn order(submitted: &Submitted) -> Result<KeyOrder, Problem> {
    let scopes: Vec<Scope> = submitted.all("scope").filter_map(Scope::parse).collect();
    let names = submitted.text("instances").split(',').map(str::trim).filter(|one| !one.is_empty());
    let names = names.map(instance_name).collect::<Result<Vec<_>, _>>()?;
    let addresses = submitted.text("addresses").split(',').map(str::trim);
    // A date is good until its day is over.
    let ends = submitted.given("expires").map(|day| format!("{day}T23:59:59Z"));
    let ends = ends.map(|text| Millis::parse_rfc3339(&text).ok_or(AccountError::ExpiryInThePast));
    Ok(KeyOrder {
        name: submitted.text("name").to_owned(),
        user_id: None,
        scopes: (!scopes.is_empty()).then(|| Scopes::of(&scopes)),
        instances: (!names.is_empty()).then_some(names),
        expires_at: ends.transpose().map_err(Problem::from)?,
        addresses: addresses.filter(|one| !one.is_empty()).map(str::to_owned).collect(),
    })
}

/// `POST /keys/{id}/delete`
pub(crate) async fn delete(
    State(state): State<AppState>,
    Named(id): Named<String>,
    submitted: Submitted,
) -> Result<Redirect, Problem> {
    let id = id.parse().map_err(|_| Problem::from(AccountError::KeyNotFound))?;
    state.gateway.accounts().delete_key(&submitted.viewer.caller, id).await?;
    Ok(done("/keys", "key-gone"))
}
