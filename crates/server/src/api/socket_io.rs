//! Events over Socket.IO, for clients of Evolution: the namespace `/{instance}` has those of one instance,
//! `/` those of all the caller's. The event's name is the wire's, what comes with it the body of webhooks.
//!
//! A socket is a follower of the outbox like those of `/api/events`. Whose events it has is decided by the
//! key before the namespace is joined; the dashboard's cookie counts for nothing here, so pages of other
//! sites have nothing to ride on. Socket.IO has no way back to an event that was missed: a client that is
//! too slow is cut off and sees it.

use crate::app::AppState;
use crate::auth::Doubt;
use crate::client::Arrival;
use axum::http::header;
use axum::http::request::Parts;
use flowcore_domain::account::Scope;
use flowcore_domain::event::EventKind;
use flowcore_domain::instance::InstanceName;
use flowcore_domain::webhook::BytesForm;
use flowcore_gateway::{Caller, FollowFilter, Follower, Seen, ServiceError};
use serde_json::json;
use socketioxide::SocketIo;
use socketioxide::extract::{SocketRef, State};
use socketioxide::handler::ConnectHandler as _;
use socketioxide::layer::SocketIoLayer;
use tokio_util::sync::CancellationToken;

/// How many events a client may be behind.
const BUFFER: usize = 1024;
/// Clients have nothing to say but their namespaces.
const MAX_FROM_CLIENT: u64 = 4 << 10;

/// Why a namespace is not joined.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("unauthorized")]
    Unauthorized,
    #[error("instance_not_found")]
    NoInstance,
    #[error("websocket_disabled")]
    SwitchedOff,
    #[error("unavailable")]
    Unavailable,
}

/// Answers under `/socket.io/` until the server stops.
pub(crate) fn layer(state: &AppState) -> SocketIoLayer {
    let (layer, io) = SocketIo::builder()
        .max_payload(MAX_FROM_CLIENT)
        .max_buffer_size(BUFFER)
        .with_state(state.clone())
        .build_layer();
    io.ns("/", serve.with(admit));
    io.dyn_ns("/{instance}", serve.with(admit)).expect("the pattern is one");
    let stopping = state.stopping.clone();
    state.tasks.spawn(async move {
        stopping.cancelled().await;
        io.close().await;
    });
    layer
}

async fn admit(socket: SocketRef, State(state): State<AppState>) -> Result<(), Refused> {
    let (caller, filter) = asked(&socket, &state).await?;
    follow(&state, &caller, filter).await.map(drop)
}

async fn serve(socket: SocketRef, State(state): State<AppState>) {
    let asked = asked(&socket, &state).await;
    let follower = match &asked {
        Ok((caller, filter)) => follow(&state, caller, filter.clone()).await,
        Err(_) => Err(Refused::Unauthorized),
    };
    let (Ok(asked), Ok(follower)) = (asked, follower) else {
        // It was admitted a moment ago: the key or the instance is gone.
        let _ = socket.disconnect();
        return;
    };
    let gone = CancellationToken::new();
    let told = gone.clone();
    socket.on_disconnect(move || {
        told.cancel();
        std::future::ready(())
    });
    let ends = ends(socket.clone(), state.clone(), asked);
    let stopping = state.stopping.clone();
    state.tasks.spawn(async move {
        tokio::select! {
            () = gone.cancelled() => return,
            () = stopping.cancelled() => return,
            () = tell(&socket, follower) => {}
            () = ends => {}
        }
        // Fails only when it is gone already.
        let _ = socket.disconnect();
    });
}

/// Resolves when the key, or what its owner chose to be told, is not what it was when the namespace was
/// joined: the client comes back to the new state, or is refused.
async fn ends(socket: SocketRef, state: AppState, joined: (Caller, FollowFilter)) {
    let mut doubt = Doubt::new(&state);
    loop {
        doubt.arises().await;
        match asked(&socket, &state).await {
            Ok(now) if now == joined => {}
            Err(Refused::Unavailable) => {}
            Ok(_) | Err(_) => return,
        }
    }
}

/// Who asks, and for what: the namespace is the instance.
async fn asked(socket: &SocketRef, state: &AppState) -> Result<(Caller, FollowFilter), Refused> {
    let key = key_of(socket.req_parts()).ok_or(Refused::Unauthorized)?;
    let client = Arrival::of(&socket.req_parts().extensions).client;
    let caller = state.gateway.accounts().by_bearer(&key, &client).await;
    let caller = match caller {
        Ok(Some(caller)) if caller.may(Scope::Read) => caller,
        Ok(_) | Err(ServiceError::Account(_)) => return Err(Refused::Unauthorized),
        Err(_) => return Err(Refused::Unavailable),
    };
    let mut filter = FollowFilter::default();
    let name = socket.ns().trim_start_matches('/');
    if !name.is_empty() {
        let name: InstanceName = name.parse().map_err(|_| Refused::NoInstance)?;
        filter.kinds = chosen(state, &caller, &name).await?;
        filter.instance = Some(name);
    }
    Ok((caller, filter))
}

async fn follow(
    state: &AppState,
    caller: &Caller,
    filter: FollowFilter,
) -> Result<Follower, Refused> {
    state.gateway.live().follow(caller, filter).await.map_err(|_| Refused::NoInstance)
}

/// What the owner chose to be told of an instance; nobody chose is everything.
async fn chosen(
    state: &AppState,
    caller: &Caller,
    name: &InstanceName,
) -> Result<Vec<EventKind>, Refused> {
    let selection = state.gateway.instances().live_selection(caller, name).await;
    match selection.map_err(|_| Refused::NoInstance)? {
        Some(selection) if !selection.enabled => Err(Refused::SwitchedOff),
        selection => Ok(selection.map(|selection| selection.events).unwrap_or_default()),
    }
}

/// The first credential that is there decides, as everywhere; Evolution's clients put it into the query.
fn key_of(parts: &Parts) -> Option<String> {
    let text = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(value) = text(header::AUTHORIZATION.as_str()) {
        return crate::auth::bearer(value).map(str::to_owned);
    }
    if let Some(key) = text("apikey") {
        return Some(key.to_owned());
    }
    let query = parts.uri.query().unwrap_or_default();
    query.split('&').find_map(|pair| pair.strip_prefix("apikey=")).map(str::to_owned)
}

/// Tells what is seen until nothing more can be told.
async fn tell(socket: &SocketRef, mut follower: Follower) {
    loop {
        let sent = match follower.next().await {
            Ok(Some(Seen::Event { kind, mut body, .. })) => {
                // Who listens here speaks Evolution's dialect.
                BytesForm::Objects.write(&mut body["data"]);
                socket.emit(kind.as_str(), &body)
            }
            Ok(Some(Seen::Missed)) => socket.emit("missed", &json!({ "event": "missed" })),
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%error, "a socket's events end");
                return;
            }
        };
        if sent.is_err() {
            return;
        }
    }
}
