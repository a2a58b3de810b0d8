//! The pages that are looked at. What they do is in `actions`.

use super::frame::{Did, Frame, encoded};
use super::session::Viewer;
use super::view::{self, Card, Link};
use super::{live, page};
use crate::app::AppState;
use crate::evolution;
use crate::extract::{Asked, Named, instance_name};
use crate::problem::{Problem, wants_page};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Redirect, Response};
use flowcore_domain::instance::Status;
use flowcore_gateway::{InstanceFilter, InstanceView};
use serde::Deserialize;

/// Cards on one page; the search finds the others.
const CARDS: usize = 200;

/// Which instances the page shows, and what was just done.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct HomeQuery {
    #[serde(default)]
    search: String,
    #[serde(default)]
    status: String,
    #[serde(flatten)]
    did: Did,
}

impl HomeQuery {
    fn status(&self) -> Option<Status> {
        Status::parse(&self.status)
    }

    /// The instances that the page shows, and whether there are more.
    pub(super) async fn cards(
        &self,
        state: &AppState,
        viewer: &Viewer,
    ) -> Result<(Vec<InstanceView>, bool), Problem> {
        let filter = InstanceFilter {
            status: self.status(),
            search: Some(self.search.trim().to_owned()).filter(|search| !search.is_empty()),
            after: None,
            limit: CARDS + 1,
        };
        let mut views = state.gateway.instances().list(&viewer.caller, &filter).await?;
        let more = views.len() > CARDS;
        views.truncate(CARDS);
        Ok((views, more))
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
    let (views, more) = query.cards(&state, &viewer).await?;
    let frame = Frame::of(&viewer, "instances").after(&query.did);
    Ok(page(&view::InstancesPage {
        connected: views.iter().filter(|view| view.status == Status::Connected).count(),
        cards: views.iter().map(|view| Card::new(view, &frame)).collect(),
        live_query: live_query(&query),
        status: query.status().map_or("", Status::as_str),
        search: query.search,
        more,
        frame,
    }))
}

/// The stream shows what the page shows.
fn live_query(query: &HomeQuery) -> String {
    let text = encoded(query.search.trim());
    let status = query.status().map_or("", Status::as_str);
    if text.is_empty() && status.is_empty() {
        return String::new();
    }
    format!("?search={text}&status={status}")
}

/// `GET /instances/new`
pub(crate) async fn new_instance(viewer: Viewer) -> Response {
    let frame = Frame::of(&viewer, "instances");
    page(&view::NewInstancePage { name: String::new(), wrong: None, frame })
}

/// `GET /i/{name}/link`
pub(crate) async fn link(
    State(state): State<AppState>,
    viewer: Viewer,
    Named(name): Named<String>,
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
    Named(name): Named<String>,
) -> Result<Response, Problem> {
    confirm(&state, &viewer, &name, false).await
}

/// `GET /i/{name}/delete`
pub(crate) async fn confirm_delete(
    State(state): State<AppState>,
    viewer: Viewer,
    Named(name): Named<String>,
) -> Result<Response, Problem> {
    confirm(&state, &viewer, &name, true).await
}

async fn confirm(
    state: &AppState,
    viewer: &Viewer,
    name: &str,
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
    name: &str,
) -> Result<InstanceView, Problem> {
    let name = instance_name(name)?;
    Ok(state.gateway.instances().get(&viewer.caller, &name).await?)
}
