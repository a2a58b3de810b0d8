//! Events as they happen, over SSE and over WebSocket: the same ones, with the same ids to come back with.
//!
//! Both end when the server stops; a client comes back with the last id that it saw and misses nothing. They
//! also end when the credential that opened them does.

use super::webhooks::unknown_event;
use crate::app::AppState;
use crate::auth::{Authenticated, Standing};
use crate::extract::{Asked, instance_name};
use crate::problem::Problem;
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event, KeepAlive};
use axum::response::{Response, Sse};
use flowcore_domain::event::EventKind;
use flowcore_domain::id::EventId;
use flowcore_gateway::{Caller, FollowFilter, Follower, Seen};
use futures_util::{Stream, StreamExt as _, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// A client that takes nothing for so long is gone.
const SEND_WITHIN: Duration = Duration::from_secs(30);
/// Clients have nothing to say but pongs and goodbye.
const MAX_FROM_CLIENT: usize = 4 << 10;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Query {
    instance: Option<String>,
    events: Option<String>,
    after: Option<String>,
}

impl Query {
    /// A browser that comes back says where it was in a header; the URL still says where it began.
    fn filter(self, headers: &HeaderMap) -> Result<FollowFilter, Problem> {
        let came_back = headers.get("last-event-id").and_then(|value| value.to_str().ok());
        let after = came_back.map(str::to_owned).or(self.after).filter(|text| !text.is_empty());
        let names = self.events.unwrap_or_default();
        let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
        let kind = |name| EventKind::parse(name).ok_or_else(|| unknown_event("events".to_owned()));
        Ok(FollowFilter {
            instance: self.instance.map(|name| instance_name(&name)).transpose()?,
            kinds: names.map(kind).collect::<Result<_, _>>()?,
            after: after.map(|text| event_id(&text)).transpose()?,
        })
    }
}

fn event_id(text: &str) -> Result<EventId, Problem> {
    text.parse().map_err(|_| {
        let rule = "give the id of an event as it came";
        Problem::field("invalid_query", "The query does not fit", "after", rule)
    })
}

async fn follow(
    state: &AppState,
    caller: &Caller,
    query: Query,
    headers: &HeaderMap,
) -> Result<Follower, Problem> {
    Ok(state.gateway.live().follow(caller, query.filter(headers)?).await?)
}

/// The next thing to see; `None` when the stream is to end, and the client to come back.
async fn next(follower: &mut Follower) -> Option<Seen> {
    match follower.next().await {
        Ok(seen) => seen,
        Err(error) => {
            tracing::warn!(%error, "a stream of events ends");
            None
        }
    }
}

fn missed() -> Value {
    json!({ "event": "missed", "detail": "Older events are gone. Look at the state anew." })
}

/// `GET /api/events`
pub(crate) async fn stream(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Asked(query): Asked<Query>,
    standing: Standing,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let follower = follow(&state, &caller, query, &headers).await?;
    let events = stream::unfold(follower, async |mut follower| {
        let event = match next(&mut follower).await? {
            Seen::Event { id, kind, body } => {
                Event::default().id(id.text()).event(kind.as_str()).data(body.to_string())
            }
            Seen::Missed => Event::default().event("missed").data(missed().to_string()),
        };
        Some((Ok(event), follower))
    });
    let events = events.take_until(Box::pin(standing.ends()));
    let events = events.take_until(state.stopping.clone().cancelled_owned());
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// `GET /api/ws`
pub(crate) async fn socket(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Asked(query): Asked<Query>,
    standing: Standing,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    same_origin(&headers)?;
    let follower = follow(&state, &caller, query, &headers).await?;
    let stopping = state.stopping.clone();
    let upgrade = upgrade.max_message_size(MAX_FROM_CLIENT).max_frame_size(MAX_FROM_CLIENT);
    Ok(upgrade.on_upgrade(async move |socket| talk(socket, follower, (stopping, standing)).await))
}

/// Browsers let any site open a WebSocket here and send the dashboard's cookie along.
fn same_origin(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(origin) = text(header::ORIGIN) else { return Ok(()) };
    let host = origin.split_once("://").map(|(_, host)| host);
    if host.is_some() && host == text(header::HOST) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        "origin_refused",
        "Not from this site",
        "Pages of other sites can't listen here. Connect from your server, with your key.",
    ))
}

async fn talk(
    mut socket: WebSocket,
    mut follower: Follower,
    (stopping, standing): (CancellationToken, Standing),
) {
    let mut goodbye = (close_code::AWAY, "come back with the last id");
    let mut ended = std::pin::pin!(standing.ends());
    let mut ping = interval(KEEP_ALIVE);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let message = tokio::select! {
            () = stopping.cancelled() => break,
            () = &mut ended => {
                goodbye = (close_code::POLICY, "the credential has ended");
                break;
            }
            seen = next(&mut follower) => match seen {
                Some(Seen::Event { body, .. }) => Message::Text(body.to_string().into()),
                Some(Seen::Missed) => Message::Text(missed().to_string().into()),
                None => break,
            },
            heard = socket.recv() => match heard {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => continue,
            },
            _ = ping.tick() => Message::Ping(bytes::Bytes::new()),
        };
        if !matches!(timeout(SEND_WITHIN, socket.send(message)).await, Ok(Ok(()))) {
            return;
        }
    }
    let (code, reason) = goodbye;
    let goodbye = CloseFrame { code, reason: reason.into() };
    // Who is gone needs no goodbye.
    let _ = timeout(SEND_WITHIN, socket.send(Message::Close(Some(goodbye)))).await;
}
