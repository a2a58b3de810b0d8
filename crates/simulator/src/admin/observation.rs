//! Looking at the network: record, statistics, and the page at `/`.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::Json;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::hub::Hub;
use crate::world::device::Device;

#[derive(Deserialize)]
pub(super) struct RecordQuery {
    phone: Option<String>,
}

/// Which messages the network accepted, and which the receiving devices acked.
pub(super) async fn record(
    State(hub): State<Arc<Hub>>,
    Query(query): Query<RecordQuery>,
) -> Json<Value> {
    let world = hub.world();
    let phone = query.phone.as_deref();
    Json(json!({
        "accepted": world.record.accepted(phone),
        "acked": world.record.acked(phone),
    }))
}

pub(super) async fn stats(State(hub): State<Arc<Hub>>) -> Json<Value> {
    let world = hub.world();
    let devices = || world.accounts.values().flat_map(|account| account.devices.values());
    let unacked =
        |device: &Device| device.link.as_ref().map_or(0, |link| device.queue.unacked(link.cursor));
    Json(json!({
        "sockets": world.stats.sockets,
        "accounts": world.accounts.len(),
        "devices": devices().count(),
        "online": devices().filter(|device| device.is_active()).count(),
        "linking": world.registrations.len(),
        "stanzasIn": world.stats.stanzas_in,
        "stanzasOut": world.stats.stanzas_out,
        "queued": devices().map(|device| device.queue.len()).sum::<usize>(),
        "acksOutstanding": devices().map(unacked).sum::<usize>(),
        "handshakes": world.stats.handshakes,
        "refused": world.stats.refused,
        "iqs": world.stats.iqs,
        "unknown": world.stats.unknown,
        "conflicts": world.stats.conflicts,
        "clientNacks": world.stats.client_nacks,
        "pings": world.stats.pings,
    }))
}

/// What a client that verifies the Noise certificate must pin instead of WhatsApp's root key.
pub(super) async fn certificate(State(hub): State<Arc<Hub>>) -> Json<Value> {
    Json(json!({ "noiseRoot": STANDARD.encode(hub.identity().root) }))
}

/// Starts over: nobody is linked, nobody exists.
pub(super) async fn reset(State(hub): State<Arc<Hub>>) -> Json<Value> {
    hub.people.stop().await;
    hub.doubles.clear();
    hub.world().reset();
    Json(json!({ "reset": true }))
}
