//! The pages that are looked at. What they do is in `actions`.

use super::frame::{Did, Frame, encoded};
use super::session::Viewer;
use super::view::{self, Link};
use super::{live, page};
use crate::app::AppState;
use crate::evolution;
use crate::extract::{Asked, OfInstance};
use crate::problem::{Problem, wants_page};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Redirect, Response};
use flowcore_domain::instance::{InstanceName, Status};
use flowcore_domain::quota::Quota;
use flowcore_gateway::{InstanceFilter, InstanceView, ServiceError};
use serde::Deserialize;

/// Cards on one page.
const CARDS: usize = 60;

/// Which instances the page shows, and what was just done.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct HomeQuery {
    #[serde(default)]
    search: String,
    #[serde(default)]
    status: String,
    after: Option<String>,
    #[serde(flatten)]
    did: Did,
}

impl HomeQuery {
    pub(super) fn of(search: String, status: String, after: Option<String>) -> Self {
        Self { search, status, after, did: Did::default() }
    }

    fn status(&self) -> Option<Status> {
        Status::parse(&self.status)
    }

    fn after(&self) -> Option<InstanceName> {
        self.after.as_deref().and_then(|name| name.parse().ok())
    }

    /// The instances that the page shows, and whether there are more.
    pub(super) async fn views(
        &self,
        state: &AppState,
        viewer: &Viewer,
    ) -> Result<(Vec<InstanceView>, bool), Problem> {
        let filter = InstanceFilter {
            status: self.status(),
            search: Some(self.search.trim().to_owned()).filter(|search| !search.is_empty()),
            after: self.after(),
            limit: CARDS + 1,
        };
        let mut views = state.gateway.instances().list(&viewer.caller, &filter).await?;
        let more = views.len() > CARDS;
        views.truncate(CARDS);
        Ok((views, more))
    }

    /// The query of the page's filter, without where it begins.
    fn filter(&self) -> String {
        let text = encoded(self.search.trim());
        let status = self.status().map_or("", Status::as_str);
        if text.is_empty() && status.is_empty() {
            return String::new();
        }
        format!("search={text}&status={status}")
    }
}

/// `GET /`: the instances for browsers, the welcome for programs.
pub(crate) async fn home(
    State(state): State<AppState>,
    Asked(query): Asked<HomeQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if !wants_page(&headers) {
        return Ok(evolution::welcome(&state));
    }
    let Some(viewer) = Viewer::of(&headers, &state).await? else {
        return Ok(Redirect::to("/login").into_response());
    };
    let (views, more) = query.views(&state, &viewer).await?;
    let frame = Frame::of(&viewer, "instances").after(&query.did);
    let (used, limit) = quota(&state, &viewer).await?;
    let after = query.after().map(|name| format!("after={name}")).unwrap_or_default();
    Ok(page(&view::InstancesPage {
        connected: views.iter().filter(|view| view.status == Status::Connected).count(),
        cards: view::cards(&state, &views, &frame).await?,
        later: !after.is_empty(),
        filter: query.filter(),
        live_query: format!("?{}&{after}", query.filter()),
        status: query.status().map_or("", Status::as_str),
        search: query.search,
        next: views.last().filter(|_| more).map(|view| view.name.to_string()),
        used,
        limit,
        frame,
    }))
}

/// How many instances the viewer has, and may have.
async fn quota(state: &AppState, viewer: &Viewer) -> Result<(u64, Option<u64>), Problem> {
    let accounts = state.gateway.accounts();
    let user = accounts.user(viewer.caller.user_id).await?;
    let usage = accounts.usage(&user).await?;
    let own = usage.iter().find(|usage| usage.quota == Quota::Instances);
    Ok(own.map_or((0, None), |usage| (usage.used, usage.limit)))
}

/// A name that is asked about while it is typed.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct NewQuery {
    #[serde(default)]
    name: String,
}

/// `GET /instances/new`
pub(crate) async fn new_instance(
    State(state): State<AppState>,
    viewer: Viewer,
    Asked(query): Asked<NewQuery>,
) -> Result<Response, Problem> {
    let frame = Frame::of(&viewer, "instances");
    let name = query.name;
    let wrong = match name.trim() {
        "" => None,
        typed => can_be_had(&state, &viewer, typed).await?.err(),
    };
    Ok(page(&view::NewInstancePage { name, wrong, frame }))
}

/// Reads the name of a new instance, or says in a sentence why it can't be had.
pub(super) async fn can_be_had(
    state: &AppState,
    viewer: &Viewer,
    typed: &str,
) -> Result<Result<InstanceName, String>, Problem> {
    let w = viewer.language;
    let Ok(name) = typed.parse::<InstanceName>() else {
        let rule =
            w.say("1 to 64 letters, digits, “_”, “-” or “.”, beginning with a letter or a digit.");
        return Ok(Err(rule.to_owned()));
    };
    match state.gateway.instances().get(&viewer.caller, &name).await {
        Ok(_) => Ok(Err(w.say("There is an instance of this name.").to_owned())),
        Err(ServiceError::InstanceNotFound) => Ok(Ok(name)),
        Err(error) => Err(error.into()),
    }
}

/// `GET /i/{name}/link`
pub(crate) async fn link(
    State(state): State<AppState>,
    viewer: Viewer,
    OfInstance(name): OfInstance,
) -> Result<Response, Problem> {
    let instance = find(&state, &viewer, &name).await?;
    let frame = Frame::of(&viewer, "instances");
    let link = Link::new(&instance, &frame, live::now());
    Ok(page(&view::LinkPage { link, frame }))
}

/// `GET /i/{name}/logout`
pub(crate) async fn confirm_logout(
    State(state): State<AppState>,
    viewer: Viewer,
    OfInstance(name): OfInstance,
) -> Result<Response, Problem> {
    confirm(&state, &viewer, &name, false).await
}

/// `GET /i/{name}/delete`
pub(crate) async fn confirm_delete(
    State(state): State<AppState>,
    viewer: Viewer,
    OfInstance(name): OfInstance,
) -> Result<Response, Problem> {
    confirm(&state, &viewer, &name, true).await
}

async fn confirm(
    state: &AppState,
    viewer: &Viewer,
    name: &InstanceName,
    delete: bool,
) -> Result<Response, Problem> {
    let instance = find(state, viewer, name).await?;
    Ok(page(&view::ConfirmPage {
        name: instance.name.to_string(),
        delete,
        wrong: false,
        frame: Frame::of(viewer, "instances"),
    }))
}

pub(super) async fn find(
    state: &AppState,
    viewer: &Viewer,
    name: &InstanceName,
) -> Result<InstanceView, Problem> {
    Ok(state.gateway.instances().get(&viewer.caller, name).await?)
}
