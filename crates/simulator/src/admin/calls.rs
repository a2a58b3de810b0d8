//! Calls of a phone's owner.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Json;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{AdminError, parse_recipient};
use crate::calls::{self, CallState};
use crate::hub::Hub;

/// A phone rings this long when nobody says otherwise.
const RING_SECONDS: f64 = 45.0;

#[derive(Deserialize)]
pub(super) struct NewCall {
    /// Whom to call.
    to: Option<String>,
    #[serde(default)]
    video: bool,
    /// How long it rings.
    seconds: Option<f64>,
    /// Instead of calling: hangs up the call with this id.
    end: Option<String>,
}

/// Calls somebody, or hangs up.
pub(super) async fn call(
    State(hub): State<Arc<Hub>>,
    Path(phone): Path<String>,
    Json(call): Json<NewCall>,
) -> Result<(StatusCode, Json<Value>), AdminError> {
    let invalid = |reason| AdminError::new(StatusCode::UNPROCESSABLE_ENTITY, reason);
    if let Some(id) = call.end {
        calls::end(&mut hub.world(), &id, CallState::Ended);
        return Ok((StatusCode::OK, Json(json!({ "id": id }))));
    }
    let to = call.to.ok_or_else(|| invalid("`to` or `end` is missing"))?;
    let ring = Duration::try_from_secs_f64(call.seconds.unwrap_or(RING_SECONDS))
        .map_err(|_| invalid("`seconds` is no time to ring"))?;
    let id = calls::place(&hub, &phone, &parse_recipient(&to)?, call.video, ring).await?;
    Ok((StatusCode::CREATED, Json(json!({ "id": id }))))
}
