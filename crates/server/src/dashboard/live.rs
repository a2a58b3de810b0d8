//! The live stream of a tab: fragments of HTML as the instances change.
//!
//! It begins with everything that the page shows (`sync`), and does so again when the tab was too slow
//! to follow: after a lost connection a page is right again without a reload. Between changes a beat (`beat`)
//! tells that the line stands. Each change sends the instance's card (`card`) and the state of its linking (`qr`), read fresh from the gateway, so
//! that two quick changes never leave the older one on the screen. A page about messages is only told
//! that there is news (`news`), and looks by itself. Every page is told how many customers wait for a
//! person (`waiting`). It ends with the session.

use super::frame::Frame;
use super::pages::HomeQuery;
use super::session::Viewer;
use super::view::{CardFragment, CardsFragment, Link, LinkFragment, WaitingFragment, cards};
use crate::app::AppState;
use crate::auth::Doubt;
use crate::extract::{Asked, instance_name};
use crate::problem::Problem;
use askama::Template;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use flowcore_domain::clock::Millis;
use flowcore_domain::event::EventKind;
use flowcore_domain::instance::InstanceName;
use flowcore_gateway::{InstanceView, LiveEvent, ServiceError, Settled};
use futures_util::{Stream, StreamExt as _, stream};
use serde::Deserialize;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::{Receiver, error::RecvError};

/// The longest that a stream is silent. A page that hears nothing for longer takes the line for broken
/// (`assets/live.js`).
const BEAT: Duration = Duration::from_millis(1500);

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

/// What the page of a tab is about.
enum Topic {
    /// Cards of instances, those of the query.
    Cards(HomeQuery),
    /// Messages and conversations, of one instance or of all.
    Messages(Option<InstanceName>),
    /// What becomes of the events that an instance's webhooks get.
    Deliveries(InstanceName),
    /// Nothing that changes by itself.
    Still,
}

/// What a tab asks for: `of=shop`, `of=*`, `of=-`, `deliveries=shop`, or the cards of the list's query.
#[derive(Debug, Deserialize)]
pub(crate) struct Wanted {
    of: Option<String>,
    deliveries: Option<String>,
    #[serde(default)]
    search: String,
    #[serde(default)]
    status: String,
    after: Option<String>,
}

impl Wanted {
    fn topic(self) -> Result<Topic, Problem> {
        if let Some(name) = &self.deliveries {
            return Ok(Topic::Deliveries(instance_name(name)?));
        }
        Ok(match self.of.as_deref() {
            None => Topic::Cards(HomeQuery::of(self.search, self.status, self.after)),
            Some("*") => Topic::Messages(None),
            Some("-") => Topic::Still,
            Some(name) => Topic::Messages(Some(instance_name(name)?)),
        })
    }
}

struct Tab {
    state: AppState,
    viewer: Viewer,
    topic: Topic,
    live: Receiver<Arc<LiveEvent>>,
    settled: Receiver<Settled>,
    doubt: Doubt,
    begun: bool,
}

/// `GET /dashboard/live`
pub(crate) async fn stream(
    State(state): State<AppState>,
    Asked(wanted): Asked<Wanted>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let Some(viewer) = Viewer::of(&headers, &state).await? else {
        return Err(Problem::unauthorized("The session has ended. Sign in again."));
    };
    let topic = wanted.topic()?;
    let live = state.gateway.live().subscribe();
    let settled = state.gateway.live().settled();
    let doubt = Doubt::new(&state);
    let stopping = state.stopping.clone();
    let tab = Tab { state, viewer, topic, live, settled, doubt, begun: false };
    let events = stream::unfold(tab, next).flat_map(stream::iter);
    let events = events.take_until(stopping.cancelled_owned());
    let beat = KeepAlive::new().interval(BEAT).event(Event::default().event("beat").data("-"));
    Ok(Sse::new(events).keep_alive(beat))
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
            settled = tab.settled.recv(), if matches!(tab.topic, Topic::Deliveries(_)) => {
                if tab.concerned_by(settled) {
                    return Some((vec![Ok(news())], tab));
                }
                continue;
            }
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
    async fn sync(&mut self) -> Option<Events> {
        let mut events = vec![self.waiting().await?];
        match &self.topic {
            Topic::Cards(query) => {
                let frame = self.frame();
                let (views, _) = query.views(&self.state, &self.viewer).await.ok()?;
                let cards = cards(&self.state, &views, &frame).await.ok()?;
                events.push(fragment("sync", &CardsFragment { cards }));
                events.extend(views.iter().map(|view| self.link(view)));
            }
            Topic::Messages(_) | Topic::Deliveries(_) => events.push(Some(news())),
            Topic::Still => {}
        }
        Some(events.into_iter().flatten().map(Ok).collect())
    }

    fn frame(&self) -> Frame {
        Frame::of(&self.viewer, "instances")
    }

    /// The mark in the bar, counted anew.
    async fn waiting(&mut self) -> Option<Option<Event>> {
        let count = self.state.gateway.customers_waiting(&self.viewer.caller).await;
        self.viewer.waiting = count.ok()?;
        Some(fragment("waiting", &WaitingFragment { frame: self.frame() }))
    }

    async fn changed(&mut self, event: &LiveEvent) -> Option<Events> {
        if !self.viewer.caller.sees_instance(event.user_id, event.instance_id) {
            return Some(vec![]);
        }
        let mut events = vec![];
        if concerns_people(event.kind) {
            events.push(self.waiting().await?);
        }
        match &self.topic {
            Topic::Cards(_) if concerns_cards(event.kind) => events.extend(self.card(event).await?),
            Topic::Messages(of) => {
                let wanted = of.as_ref().is_none_or(|name| *name == event.instance);
                events.extend((wanted && concerns_messages(event.kind)).then(|| Some(news())));
            }
            Topic::Deliveries(name) if *name == event.instance => {
                events.extend(concerns_messages(event.kind).then(|| Some(news())));
            }
            _ => {}
        }
        Some(events.into_iter().flatten().map(Ok).collect())
    }

    /// Whether a delivery that was settled, or one of those that wait to be told with it, is on the page.
    fn concerned_by(&mut self, settled: Result<Settled, RecvError>) -> bool {
        let Topic::Deliveries(name) = &self.topic else { return false };
        let shown = |one: &Settled| {
            one.instance == *name && self.viewer.caller.sees_instance(one.user_id, one.instance_id)
        };
        let mut concerned = match settled {
            Ok(one) => shown(&one),
            Err(RecvError::Lagged(_)) => true,
            // The server stops; the stream of events ends with it.
            Err(RecvError::Closed) => false,
        };
        while let Ok(one) = self.settled.try_recv() {
            concerned |= shown(&one);
        }
        concerned
    }

    /// The card of an instance and where its linking stands, or that it is gone.
    async fn card(&self, event: &LiveEvent) -> Option<Vec<Option<Event>>> {
        let instances = self.state.gateway.instances();
        Some(match instances.get(&self.viewer.caller, &event.instance).await {
            Ok(view) if view.id == event.instance_id => {
                let views = [view];
                let cards = cards(&self.state, &views, &self.frame()).await.ok()?;
                let link = self.link(&views[0]);
                let card = cards.into_iter().next();
                vec![card.and_then(|card| fragment("card", &CardFragment { card })), link]
            }
            // Gone, or another one took its name.
            Ok(_) | Err(ServiceError::InstanceNotFound) => {
                vec![Some(Event::default().event("gone").data(event.instance_id.text()))]
            }
            Err(_) => return None,
        })
    }

    fn link(&self, view: &InstanceView) -> Option<Event> {
        let link = Link::new(view, &self.frame(), now());
        fragment("qr", &LinkFragment { link })
    }
}

/// That something came or went; what, the page looks up itself.
fn news() -> Event {
    Event::default().event("news").data("-")
}

fn concerns_cards(kind: EventKind) -> bool {
    concerns_people(kind)
        || matches!(
            kind,
            EventKind::ConnectionUpdate
                | EventKind::QrcodeUpdated
                | EventKind::InstanceCreate
                | EventKind::InstanceDelete
                | EventKind::LogoutInstance
        )
}

fn concerns_people(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::ConversationEscalated
            | EventKind::ConversationResolved
            | EventKind::ConversationOwner
            | EventKind::InstanceDelete
    )
}

fn concerns_messages(kind: EventKind) -> bool {
    concerns_people(kind)
        || matches!(
            kind,
            EventKind::MessagesUpsert
                | EventKind::SendMessage
                | EventKind::MessagesUpdate
                | EventKind::MessagesEdited
                | EventKind::MessagesDelete
                | EventKind::ChatsUpdate
                | EventKind::ConnectionUpdate
                | EventKind::WebhookUpdate
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
