//! `/healthz` (the process is alive) and `/readyz` (it can do its work).

use crate::app::AppState;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// Alive as long as it answers.
pub(crate) async fn healthz() -> Json<Value> {
    Json(json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }))
}

/// Ready when the storage takes writes and the server is not going down.
pub(crate) async fn readyz(State(state): State<AppState>) -> Response {
    let readiness = state.gateway.readiness().await;
    let stopping = state.stopping.is_cancelled();
    let ready = readiness.is_ready() && !stopping;
    if let Err(why) = &readiness.storage {
        tracing::warn!(%why, "not ready");
    }
    let word = |fine: bool| if fine { "ok" } else { "failed" };
    let body = json!({
        "status": if ready { "ready" } else if stopping { "stopping" } else { "not ready" },
        "storage": word(readiness.storage.is_ok()),
    });
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(body)).into_response()
}
