//! The network's clock: what it says, and moving it ahead.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Json;
use serde::Deserialize;
use serde_json::{Value, json};

use super::AdminError;
use crate::clock::unix_seconds;
use crate::hub::Hub;

/// Ten years: no test needs more, and nothing overflows by it.
const LONGEST_STEP: Duration = Duration::from_secs(10 * 366 * 86_400);

/// Network time and how far it is ahead, in seconds.
pub(super) async fn show(State(hub): State<Arc<Hub>>) -> Json<Value> {
    Json(json!({ "now": unix_seconds(), "ahead": hub.clock.ahead().as_secs_f64() }))
}

#[derive(Deserialize)]
pub(super) struct Advance {
    advance: f64,
}

/// Moves the clock ahead by seconds.
pub(super) async fn advance(
    State(hub): State<Arc<Hub>>,
    Json(request): Json<Advance>,
) -> Result<Json<Value>, AdminError> {
    let step = Duration::try_from_secs_f64(request.advance).ok().filter(|s| *s <= LONGEST_STEP);
    let step = step.ok_or_else(|| {
        let message = "`advance` is a number of seconds, up to ten years; time never goes back";
        AdminError::new(StatusCode::UNPROCESSABLE_ENTITY, message)
    })?;
    hub.clock.advance(step);
    Ok(show(State(hub)).await)
}
