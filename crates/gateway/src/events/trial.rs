//! Trying an endpoint by hand: a signed sample, the exact request, and what the receiver said.

use super::post::Poster;
use crate::Shared;
use crate::error::ServiceError;
use flowcore_domain::event::Envelope;
use flowcore_domain::id::EventId;
use flowcore_domain::webhook::Webhook;
use serde_json::json;
use std::collections::BTreeMap;

/// The sample is no event of the vocabulary, so that no app takes it for a customer.
const SAMPLE: &str = "webhook.test";
/// Stands for the values of the user's headers: they may be credentials.
const HIDDEN: &str = "(as configured)";

/// What came of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// The receiver's status, when it answered.
    pub status: Option<u16>,
    /// How long it took.
    pub duration_ms: u64,
    /// What went wrong, when it did not.
    pub error: Option<String>,
    /// The beginning of what it answered.
    pub answer: Option<String>,
    /// Where the sample went.
    pub url: String,
    /// The request's headers; the values of the user's own are hidden.
    pub headers: BTreeMap<String, String>,
    /// The request's body, byte for byte.
    pub body: String,
}

pub(crate) async fn run(
    shared: &Shared,
    poster: &Poster,
    name: &str,
    webhook: &Webhook,
) -> Result<Trial, ServiceError> {
    let now = shared.now();
    let url = if webhook.by_events {
        format!("{}/webhook-test", webhook.url.trim_end_matches('/'))
    } else {
        webhook.url.clone()
    };
    let id: EventId = crate::fresh_id();
    let envelope = Envelope {
        event: SAMPLE,
        instance: name,
        data: json!({ "webhookId": webhook.id.text(), "message": "This is a test." }),
        destination: &url,
        date_time: now.rfc3339(),
        sender: None,
        server_url: &poster.server_url,
        apikey: None,
        id: Some(id.text()),
        seq: None,
    };
    let body = serde_json::to_string(&envelope)
        .map_err(|error| ServiceError::Internal(error.to_string()))?;
    let signed = Poster::sign(webhook, &id.text(), now, body.as_bytes());
    let outcome = poster.post(webhook, &url, &signed, (body.clone().into_bytes(), now)).await;
    let own = webhook.sent_headers(now).into_keys().map(|name| (name, HIDDEN.to_owned()));
    let ours = signed.into_iter().map(|(name, value)| (name.to_owned(), value));
    Ok(Trial {
        status: outcome.status.as_ref().ok().copied(),
        error: outcome.status.err(),
        duration_ms: outcome.duration_ms,
        answer: outcome.answer,
        url,
        headers: own.chain(ours).collect(),
        body,
    })
}
