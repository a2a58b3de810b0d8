//! The body that an endpoint gets: the envelope, with bytes and files as the endpoint wants them.
//!
//! A file that can't be had now does not hold the event up: the endpoint is told why, and where to fetch it.

use super::post::Poster;
use crate::error::ServiceError;
use crate::{Shared, media};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flowcore_domain::event::{Envelope, EventKind};
use flowcore_domain::id::MessageRowId;
use flowcore_domain::instance::InstanceName;
use flowcore_domain::jid::Jid;
use flowcore_domain::webhook::{FileForm, Webhook};
use flowcore_storage::{ClaimedDelivery, StoredEvent};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Longest file that goes into a body.
const MAX_FILE: usize = 16 << 20;
/// How many bodies with files stand in memory at once.
const MAX_BODIES: usize = 4;
/// How long a file may take to come; with the request after it less than the lease.
const PATIENCE: Duration = Duration::from_secs(15);

/// Makes bodies. Clones share the room for files.
#[derive(Debug, Clone)]
pub(crate) struct Bodies(Arc<Semaphore>);

/// A body, and the room that it takes while it is posted.
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
    pub(crate) _room: Option<OwnedSemaphorePermit>,
}

impl Default for Bodies {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_BODIES)))
    }
}

impl Bodies {
    /// What is posted to `destination`.
    ///
    /// # Errors
    /// When it can't be written as JSON.
    pub(crate) async fn make(
        &self,
        (shared, poster): (&Shared, &Poster),
        delivery: &ClaimedDelivery,
        destination: &str,
    ) -> Result<Body, serde_json::Error> {
        let mut data = delivery.event.event.data.clone();
        let room = self.add_file((shared, poster), delivery, &mut data).await;
        delivery.webhook.bytes.write(&mut data);
        let whose = (&delivery.instance_name, delivery.sender.as_ref());
        let told = (&delivery.event, data);
        let bytes = serde_json::to_vec(&envelope(poster, whose, told, destination))?;
        Ok(Body { bytes, _room: room })
    }

    async fn add_file(
        &self,
        (shared, poster): (&Shared, &Poster),
        delivery: &ClaimedDelivery,
        data: &mut Value,
    ) -> Option<OwnedSemaphorePermit> {
        let (event, form) = (&delivery.event.event, delivery.webhook.media);
        let tells = matches!(event.kind, EventKind::MessagesUpsert | EventKind::SendMessage);
        if form == FileForm::None || !tells {
            return None;
        }
        // The event of a message has the id of its row.
        let row = MessageRowId(event.id.0);
        let Ok(Some(_)) = shared.store.media(row).await else { return None };
        let link = link(&poster.server_url, &delivery.instance_name, &data["key"]["id"]);
        if form == FileForm::Link {
            data["message"]["mediaUrl"] = json!(link);
            return None;
        }
        let room = Arc::clone(&self.0).acquire_owned().await.ok();
        let brought = tokio::time::timeout(PATIENCE, bring(shared, event.instance_id, row)).await;
        match brought.unwrap_or(Err(ServiceError::TimedOut)) {
            Ok(file) => data["message"]["base64"] = json!(STANDARD.encode(file)),
            Err(error) => {
                data["message"]["mediaUrl"] = json!(link);
                data["message"]["mediaError"] = json!(error.to_string());
            }
        }
        room
    }
}

fn envelope<'a>(
    poster: &'a Poster,
    (instance, sender): (&'a InstanceName, Option<&Jid>),
    (stored, data): (&StoredEvent, Value),
    destination: &'a str,
) -> Envelope<'a> {
    let event = &stored.event;
    Envelope {
        event: event.kind.as_str(),
        instance: instance.as_str(),
        data,
        destination,
        date_time: event.at.rfc3339(),
        sender: sender.map(ToString::to_string),
        server_url: &poster.server_url,
        apikey: None,
        id: Some(event.id.text()),
        seq: Some(stored.seq),
    }
}

/// The body of an event for an endpoint as people read it, without the file that it may have.
///
/// # Errors
/// When it can't be written as JSON.
pub(crate) fn shown(
    poster: &Poster,
    whose: (&InstanceName, Option<&Jid>),
    stored: &StoredEvent,
    webhook: &Webhook,
) -> Result<String, serde_json::Error> {
    let destination = webhook.destination(stored.event.kind);
    let mut data = stored.event.data.clone();
    webhook.bytes.write(&mut data);
    serde_json::to_string_pretty(&envelope(poster, whose, (stored, data), &destination))
}

async fn bring(
    shared: &Shared,
    instance: flowcore_domain::id::InstanceId,
    row: MessageRowId,
) -> Result<bytes::Bytes, ServiceError> {
    let message = shared.store.message_by_row(row).await?.ok_or(ServiceError::MessageNotFound)?;
    let session = shared.registry.get(instance).and_then(|handle| handle.session());
    let session = session.ok_or(ServiceError::TimedOut)?;
    media::fetch(&*session, message, MAX_FILE).await
}

/// Where our API gives the file, to who has a key.
fn link(server: &str, instance: &InstanceName, id: &Value) -> String {
    let id = id.as_str().unwrap_or_default();
    format!("{server}/api/instances/{}/messages/{id}/media", instance.as_str())
}
