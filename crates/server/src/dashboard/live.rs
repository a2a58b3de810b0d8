//! The live stream of a tab: fragments of HTML as the instances change.
//!
//! It begins with everything that the page shows (`sync`), and does so again when the tab was too slow
//! to follow: after a lost connection a page is right again without a reload. Then each change sends
//! the instance's card (`card`) and the state of its linking (`qr`), read fresh from the gateway, so
//! that two quick changes never leave the older one on the screen. It ends with the session.

use super::frame::Frame;
use super::pages::HomeQuery;
use super::session::Viewer;
use super::view::{Card, CardFragment, CardsFragment, Link, LinkFragment};
use crate::app::AppState;
use crate::auth::Doubt;
use crate::extract::Asked;
use crate::problem::Problem;
use askama::Template;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use flowcore_domain::clock::Millis;
use flowcore_domain::event::EventKind;
use flowcore_gateway::{InstanceView, LiveEvent, ServiceError};
use futures_util::{Stream, StreamExt as _, stream};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::{Receiver, error::RecvError};

const KEEP_ALIVE: Duration = Duration::from_secs(15);

type Events = Vec<Result<Event, Infallible>>;

/// The time for countdowns; nothing is decided by it.
#[expect(
    clippy::disallowed_methods,
    reason = "the gateway's clock stays inside; this only displays"
)]
pub(super) fn now() -> Millis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Millis(0).plus(since.unwrap_or_default())
}

struct Tab {
    state: AppState,
    viewer: Viewer,
    query: HomeQuery,
    live: Receiver<Arc<LiveEvent>>,
    doubt: Doubt,
    begun: bool,
}

/// `GET /dashboard/live`
pub(crate) async fn stream(
    State(state): State<AppState>,
    Asked(query): Asked<HomeQuery>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let Some(viewer) = Viewer::of(&headers, &state).await? else {
        return Err(Problem::unauthorized("The session has ended. Sign in again."));
    };
    let live = state.gateway.live().subscribe();
    let doubt = Doubt::new(&state);
    let stopping = state.stopping.clone();
    let tab = Tab { state, viewer, query, live, doubt, begun: false };
    let events = stream::unfold(tab, next).flat_map(stream::iter);
    let events = events.take_until(stopping.cancelled_owned());
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// The next fragments; `None` ends the stream.
async fn next(mut tab: Tab) -> Option<(Events, Tab)> {
    if !tab.begun {
        tab.begun = true;
        let events = tab.sync().await?;
        return Some((events, tab));
    }
    loop {
        let received = tokio::select! {
            received = tab.live.recv() => received,
            () = tab.doubt.arises() => {
                if !tab.session_stands().await {
                    return None;
                }
                continue;
            }
        };
        let events = match received {
            Ok(event) => tab.changed(&event).await?,
            Err(RecvError::Lagged(_)) => tab.sync().await?,
            Err(RecvError::Closed) => return None,
        };
        if !events.is_empty() {
            return Some((events, tab));
        }
    }
}

impl Tab {
    async fn session_stands(&self) -> bool {
        let accounts = self.state.gateway.accounts();
        matches!(accounts.by_cookie(&self.viewer.token).await, Ok(Some(_)))
    }

    /// Everything that the page shows. `None` when it can't be read: the browser asks again.
    async fn sync(&self) -> Option<Events> {
        let (views, _) = self.query.cards(&self.state, &self.viewer).await.ok()?;
        let frame = self.frame();
        let cards = views.iter().map(|view| Card::new(view, &frame)).collect();
        let mut events = vec![fragment("sync", &CardsFragment { cards })];
        events.extend(views.iter().map(|view| self.link(view)));
        Some(events.into_iter().flatten().map(Ok).collect())
    }

    fn frame(&self) -> Frame {
        Frame::of(&self.viewer, "instances")
    }

    async fn changed(&self, event: &LiveEvent) -> Option<Events> {
        if !concerns_cards(event.kind) {
            return Some(vec![]);
        }
        let instances = self.state.gateway.instances();
        let events = match instances.get(&self.viewer.caller, &event.instance).await {
            Ok(view) if view.id == event.instance_id => {
                let card = Card::new(&view, &self.frame());
                vec![fragment("card", &CardFragment { card }), self.link(&view)]
            }
            // Gone, or another one took its name.
            Ok(_) | Err(ServiceError::InstanceNotFound)
                if self.viewer.caller.sees_instance(event.user_id, event.instance_id) =>
            {
                vec![Some(Event::default().event("gone").data(event.instance_id.text()))]
            }
            Ok(_) | Err(ServiceError::InstanceNotFound) => vec![],
            Err(_) => return None,
        };
        Some(events.into_iter().flatten().map(Ok).collect())
    }

    fn link(&self, view: &InstanceView) -> Option<Event> {
        let link = Link::new(view, &self.frame(), now());
        fragment("qr", &LinkFragment { link })
    }
}

fn concerns_cards(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::ConnectionUpdate
            | EventKind::QrcodeUpdated
            | EventKind::InstanceCreate
            | EventKind::InstanceDelete
            | EventKind::LogoutInstance
    )
}

fn fragment(kind: &'static str, template: &impl Template) -> Option<Event> {
    match template.render() {
        // A carriage return ends a line of the stream's format.
        Ok(html) => Some(Event::default().event(kind).data(html.replace('\r', " "))),
        Err(error) => {
            tracing::error!(%error, "a fragment failed");
            None
        }
    }
}
