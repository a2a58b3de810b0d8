//! Whether who opened a stream may still listen: keys are revoked, sessions end, tokens expire while it is
//! open.

use super::recognise;
use crate::app::AppState;
use crate::auth::Authenticated;
use crate::client::Arrival;
use crate::problem::Problem;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use flowcore_gateway::Caller;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Asked again at least so often: what expires, and what other servers change, tells nobody.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// When it is time to look whether a credential still stands: something changed in the accounts, or a
/// while has passed.
pub(crate) struct Doubt {
    changed: watch::Receiver<u64>,
    tick: Interval,
}

impl Doubt {
    pub(crate) fn new(state: &AppState) -> Self {
        let mut tick = interval(LOOK_AGAIN);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tick.reset();
        Self { changed: state.gateway.accounts().changes(), tick }
    }

    /// Waits for the next look.
    pub(crate) async fn arises(&mut self) {
        tokio::select! {
            _ = self.tick.tick() => {}
            Ok(()) = self.changed.changed() => {}
        }
    }
}

/// The credential of a request that goes on for long.
pub(crate) struct Standing {
    state: AppState,
    headers: HeaderMap,
    arrival: Arrival,
    caller: Caller,
    doubt: Doubt,
}

impl FromRequestParts<AppState> for Standing {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let Authenticated(caller) = Authenticated::from_request_parts(parts, state).await?;
        Ok(Self {
            state: state.clone(),
            headers: parts.headers.clone(),
            arrival: Arrival::of(&parts.extensions),
            caller,
            doubt: Doubt::new(state),
        })
    }
}

impl Standing {
    /// Resolves when the credential is gone, or good for something else than when it came.
    pub(crate) async fn ends(mut self) {
        loop {
            self.doubt.arises().await;
            let asked = (&Method::GET, &self.headers);
            match recognise(&self.state, asked, &self.arrival, false).await {
                Ok(caller) if caller == self.caller => {}
                // A store that can't be asked proves nothing.
                Err(problem) if problem.status.is_server_error() => {}
                Ok(_) | Err(_) => return,
            }
        }
    }
}
