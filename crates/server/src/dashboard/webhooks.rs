//! `/i/{name}/webhooks`: where an instance's events go, and what became of them. One of them is in [`delivery`].

pub(super) mod delivery;

use super::attached::Attached;
use super::frame::{Did, Frame, done};
use super::session::{Submitted, Viewer};
use super::view::Moment;
use super::words::Language;
use super::{page, pages, states};
use crate::app::AppState;
use crate::extract::{Asked, OfId, OfInstance};
use crate::problem::Problem;
use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use flowcore_domain::clock::Millis;
use flowcore_domain::event::EventKind;
use flowcore_domain::id::WebhookId;
use flowcore_domain::instance::InstanceName;
use flowcore_domain::webhook::{BytesForm, ChatFilter, FileForm, Webhook};
use flowcore_gateway::{
    Delivery, DeliveryFilter, DeliveryState, NewWebhook, ServiceError, Trial, WebhookPatch,
    WebhooksOf,
};
use std::time::Instant;

/// Most deliveries on the page.
const MOST: usize = 50;

#[derive(Template)]
#[template(path = "webhooks.html")]
struct WebhooksPage {
    frame: Frame,
    name: String,
    webhooks: Vec<Row>,
    deliveries: Vec<Sent>,
    events: [EventKind; EventKind::ALL.len()],
    shown: Shown,
}

/// What the page says besides what is stored.
#[derive(Default)]
struct Shown {
    wrong: Option<String>,
    /// The address that was typed.
    url: String,
    /// A secret that is shown this once.
    secret: Option<String>,
    trial: Option<Tried>,
    voice: Option<Heard>,
}

/// A recording that was written down.
struct Heard {
    text: String,
    language: String,
    lasts_ms: Option<u64>,
    took_ms: u128,
}

struct Tried {
    status: Option<u16>,
    duration_ms: u64,
    error: Option<String>,
    url: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Tried {
    fn new(trial: Trial, w: Language) -> Self {
        let error = trial.error.as_deref().map(|error| states::failure(error, w));
        let Trial { status, duration_ms, url, headers, body, .. } = trial;
        Self { status, duration_ms, error, url, headers: headers.into_iter().collect(), body }
    }
}

struct Row {
    id: String,
    url: String,
    state: &'static str,
    word: &'static str,
    reason: Option<&'static str>,
    until: Option<Moment>,
    events: String,
    media: &'static str,
}

impl Row {
    fn new(webhook: &Webhook, w: Language) -> Self {
        let (state, word) = match (webhook.enabled, webhook.health.paused_until) {
            (false, _) => ("disabled", w.say("switched off")),
            (true, Some(_)) => ("paused", w.say("paused")),
            (true, None) => ("active", w.say("active")),
        };
        let events: Vec<&str> = webhook.events.iter().map(|kind| kind.as_str()).collect();
        Self {
            id: webhook.id.text(),
            url: webhook.url.clone(),
            state,
            word,
            reason: webhook.health.off_because.map(|why| states::off(why, w)),
            until: webhook.health.paused_until.map(Moment::from),
            events: events.join(", "),
            media: states::files(webhook.media, w),
        }
    }
}

/// A delivery as a row.
pub(super) struct Sent {
    pub(super) id: String,
    pub(super) event: &'static str,
    pub(super) state: &'static str,
    pub(super) word: &'static str,
    pub(super) url: String,
    pub(super) attempts: usize,
    pub(super) last: Option<Moment>,
    pub(super) outcome: String,
    pub(super) next: Option<Moment>,
}

impl Sent {
    pub(super) fn new(delivery: &Delivery, webhooks: &[Webhook], w: Language) -> Self {
        let webhook = webhooks.iter().find(|one| one.id == delivery.webhook_id);
        let last = delivery.attempts.last();
        let outcome = last.map(|attempt| match (attempt.status, &attempt.error) {
            (Some(status), _) => format!("{status}, {} ms", attempt.duration_ms),
            (None, Some(error)) => states::failure(error, w),
            (None, None) => String::new(),
        });
        Self {
            id: delivery.id.text(),
            event: delivery.kind.as_str(),
            state: delivery.state.as_str(),
            word: states::delivery(delivery.state, w),
            url: webhook.map(|one| one.url.clone()).unwrap_or_default(),
            attempts: delivery.attempts.len(),
            last: last.map(|attempt| attempt.at.into()),
            outcome: outcome.unwrap_or_default(),
            next: delivery.next_at.map(Moment::from),
        }
    }

    fn is_over(&self) -> bool {
        self.state != DeliveryState::Pending.as_str()
    }
}

async fn shown(
    state: &AppState,
    viewer: &Viewer,
    (name, did): (&InstanceName, &Did),
    shown: Shown,
) -> Result<Response, Problem> {
    let service = state.gateway.webhooks();
    let webhooks = service.list(&viewer.caller, WebhooksOf::Instance(name)).await?;
    let filter = DeliveryFilter::default();
    let deliveries = service.deliveries(&viewer.caller, name, &filter, MOST).await?;
    let status = match &shown {
        Shown { wrong: Some(_), .. } => StatusCode::UNPROCESSABLE_ENTITY,
        _ => StatusCode::OK,
    };
    let w = viewer.language;
    let mut response = page(&WebhooksPage {
        frame: Frame::of(viewer, "webhooks").about(name).after(did),
        name: name.to_string(),
        webhooks: webhooks.iter().map(|one| Row::new(one, w)).collect(),
        deliveries: deliveries.iter().map(|one| Sent::new(one, &webhooks, w)).collect(),
        events: EventKind::ALL,
        shown,
    });
    *response.status_mut() = status;
    Ok(response)
}

/// The page once more, saying what is wrong or what came out.
async fn told(
    state: &AppState,
    viewer: &Viewer,
    name: &InstanceName,
    said: Shown,
) -> Result<Response, Problem> {
    shown(state, viewer, (name, &Did::default()), said).await
}

/// `GET /i/{name}/webhooks`
pub(crate) async fn list(
    State(state): State<AppState>,
    viewer: Viewer,
    OfInstance(name): OfInstance,
    Asked(did): Asked<Did>,
) -> Result<Response, Problem> {
    let instance = pages::find(&state, &viewer, &name).await?;
    shown(&state, &viewer, (&instance.name, &did), Shown::default()).await
}

/// `POST /i/{name}/webhooks`
pub(crate) async fn create(
    State(state): State<AppState>,
    OfInstance(name): OfInstance,
    submitted: Submitted,
) -> Result<Response, Problem> {
    let viewer = &submitted.viewer;
    let url = submitted.text("url").to_owned();
    let new = NewWebhook {
        url: url.clone(),
        events: submitted.all("event").filter_map(EventKind::parse).collect(),
        chats: ChatFilter {
            groups: submitted.has("groups"),
            own: submitted.has("own"),
            status: submitted.has("status"),
        },
        headers: std::collections::BTreeMap::default(),
        secret: None,
        by_events: submitted.has("by_events"),
        media: FileForm::parse(submitted.text("media")).unwrap_or_default(),
        bytes: BytesForm::default(),
        enabled: true,
    };
    let made = state.gateway.webhooks().create(&viewer.caller, WebhooksOf::Instance(&name), new);
    let said = match made.await {
        Ok(webhook) => {
            let secret = Some(webhook.secret.reveal());
            Shown { secret, ..Shown::default() }
        }
        Err(error) => {
            let problem = Problem::from(error);
            if !problem.status.is_client_error() {
                return Err(problem);
            }
            Shown { wrong: Some(problem.detail), url, ..Shown::default() }
        }
    };
    told(&state, viewer, &name, said).await
}

/// `POST /i/{name}/webhooks/voice`: what would be written down of a voice note.
pub(crate) async fn test_voice(
    State(state): State<AppState>,
    OfInstance(name): OfInstance,
    Attached { submitted, file, room }: Attached,
) -> Result<Response, Problem> {
    let viewer = &submitted.viewer;
    let Some(file) = file else {
        let wrong = Some(viewer.language.say("Choose a recording.").to_owned());
        return told(&state, viewer, &name, Shown { wrong, ..Shown::default() }).await;
    };
    let began = Instant::now();
    let audio = (file.bytes, file.mimetype.as_deref());
    let heard = state.gateway.assistant().transcribe_upload(&viewer.caller, &name, audio).await;
    drop(room);
    let said = match heard {
        Ok(transcript) => {
            let voice = Some(Heard {
                text: transcript.text,
                language: transcript.language.unwrap_or_default(),
                lasts_ms: transcript.duration_ms,
                took_ms: began.elapsed().as_millis(),
            });
            Shown { voice, ..Shown::default() }
        }
        Err(error @ ServiceError::InstanceNotFound) => return Err(error.into()),
        // That the transcriber fails is an outcome of the test.
        Err(error) => Shown { wrong: Some(Problem::from(error).detail), ..Shown::default() },
    };
    told(&state, viewer, &name, said).await
}

fn webhook_id(text: &str) -> Result<WebhookId, Problem> {
    text.parse().map_err(|_| ServiceError::WebhookNotFound.into())
}

/// `POST /i/{name}/webhooks/{id}/test`
pub(crate) async fn test(
    State(state): State<AppState>,
    OfInstance(name): OfInstance,
    OfId(id): OfId,
    submitted: Submitted,
) -> Result<Response, Problem> {
    let id = webhook_id(&id)?;
    let viewer = &submitted.viewer;
    let webhooks = state.gateway.webhooks();
    let trial = webhooks.test(&viewer.caller, WebhooksOf::Instance(&name), id).await?;
    let said = Shown { trial: Some(Tried::new(trial, viewer.language)), ..Shown::default() };
    told(&state, viewer, &name, said).await
}

/// `POST /i/{name}/webhooks/{id}/rotate`
pub(crate) async fn rotate(
    State(state): State<AppState>,
    OfInstance(name): OfInstance,
    OfId(id): OfId,
    submitted: Submitted,
) -> Result<Response, Problem> {
    let id = webhook_id(&id)?;
    let viewer = &submitted.viewer;
    let webhooks = state.gateway.webhooks();
    let webhook = webhooks.rotate(&viewer.caller, WebhooksOf::Instance(&name), id).await?;
    let secret = Some(webhook.secret.reveal());
    told(&state, viewer, &name, Shown { secret, ..Shown::default() }).await
}

/// `POST /i/{name}/webhooks/{id}/switch`: on, which also ends a pause, or off.
pub(crate) async fn switch(
    State(state): State<AppState>,
    OfInstance(name): OfInstance,
    OfId(id): OfId,
    submitted: Submitted,
) -> Result<Redirect, Problem> {
    let id = webhook_id(&id)?;
    let enabled = Some(submitted.has("on"));
    let patch = WebhookPatch { enabled, ..WebhookPatch::default() };
    let caller = &submitted.viewer.caller;
    state.gateway.webhooks().update(caller, WebhooksOf::Instance(&name), id, patch).await?;
    Ok(done(&format!("/i/{name}/webhooks"), "saved"))
}

/// `POST /i/{name}/webhooks/{id}/delete`
pub(crate) async fn delete(
    State(state): State<AppState>,
    OfInstance(name): OfInstance,
    OfId(id): OfId,
    submitted: Submitted,
) -> Result<Redirect, Problem> {
    let id = webhook_id(&id)?;
    let caller = &submitted.viewer.caller;
    state.gateway.webhooks().delete(caller, WebhooksOf::Instance(&name), id).await?;
    Ok(done(&format!("/i/{name}/webhooks"), "webhook-gone"))
}

/// `POST /i/{name}/deliveries/{id}/retry`
pub(crate) async fn retry(
    State(state): State<AppState>,
    OfInstance(name): OfInstance,
    OfId(id): OfId,
    submitted: Submitted,
) -> Result<Response, Problem> {
    let id = id.parse().map_err(|_| Problem::from(ServiceError::DeliveryNotFound))?;
    let viewer = &submitted.viewer;
    match state.gateway.webhooks().retry(&viewer.caller, &name, id).await {
        Ok(()) => Ok(done(&format!("/i/{name}/webhooks"), "retried").into_response()),
        Err(error @ ServiceError::WebhookDisabled) => {
            let wrong = Some(Problem::from(error).detail);
            told(&state, viewer, &name, Shown { wrong, ..Shown::default() }).await
        }
        Err(error) => Err(error.into()),
    }
}

/// `POST /i/{name}/replay`: the events since a time, in UTC as the form says.
pub(crate) async fn replay(
    State(state): State<AppState>,
    OfInstance(name): OfInstance,
    submitted: Submitted,
) -> Result<Response, Problem> {
    let viewer = &submitted.viewer;
    let time = |field| Millis::parse_rfc3339(&format!("{}:00Z", submitted.text(field)));
    let to = submitted.given("to").map(|_| time("to"));
    let (Some(from), None | Some(Some(_))) = (time("from"), to) else {
        let wrong = Some(viewer.language.say("Give a day and a time to begin with.").to_owned());
        return told(&state, viewer, &name, Shown { wrong, ..Shown::default() }).await;
    };
    let webhooks = state.gateway.webhooks();
    let count = webhooks.replay(&viewer.caller, &name, (from, to.flatten()), None).await?;
    let did = if count == 0 { "nothing-replayed" } else { "replayed" };
    Ok(done(&format!("/i/{name}/webhooks"), did).into_response())
}
