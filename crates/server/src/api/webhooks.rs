//! The URLs of the user's app that get an instance's events, or those of all. The routes of both are the
//! same but for the name of the instance.

use crate::app::AppState;
use crate::auth::Authenticated;
use crate::extract::{Body, Named, instance_name};
use crate::problem::Problem;
use crate::replay::ReplayKey;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use flowcore_domain::account::Role;
use flowcore_domain::clock::Millis;
use flowcore_domain::event::EventKind;
use flowcore_domain::id::WebhookId;
use flowcore_domain::instance::InstanceName;
use flowcore_domain::webhook::{BytesForm, ChatFilter, FileForm, OffBecause, Secret, Webhook};
use flowcore_gateway::{NewWebhook, WebhookPatch, WebhooksOf};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What the path names: no instance means all of them.
#[derive(Debug, Deserialize)]
pub(crate) struct Which {
    name: Option<String>,
    id: Option<String>,
}

impl Which {
    fn name(&self) -> Result<Option<InstanceName>, Problem> {
        self.name.as_deref().map(instance_name).transpose()
    }

    fn id(&self) -> Result<WebhookId, Problem> {
        webhook_id(self.id.as_deref().unwrap_or_default())
    }
}

fn of(name: Option<&InstanceName>) -> WebhooksOf<'_> {
    name.map_or(WebhooksOf::All, WebhooksOf::Instance)
}

/// What a webhook is made with; a change names the same fields, each of them optional.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Fields {
    url: Option<String>,
    events: Option<Vec<String>>,
    chats: Option<Chats>,
    headers: Option<BTreeMap<String, String>>,
    secret: Option<String>,
    by_events: Option<bool>,
    media: Option<String>,
    bytes: Option<String>,
    enabled: Option<bool>,
}

/// Which chats; what is not named is in.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Chats {
    groups: bool,
    own: bool,
    status: bool,
}

impl Default for Chats {
    fn default() -> Self {
        Self { groups: true, own: true, status: true }
    }
}

impl From<Chats> for ChatFilter {
    fn from(chats: Chats) -> Self {
        Self { groups: chats.groups, own: chats.own, status: chats.status }
    }
}

/// `GET /api/instances/{name}/webhooks`, `/api/webhooks`
pub(crate) async fn list(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Named(which): Named<Which>,
) -> Result<Json<Value>, Problem> {
    let name = which.name()?;
    let webhooks = state.gateway.webhooks().list(&caller, of(name.as_ref())).await?;
    let data: Vec<Value> = webhooks.iter().map(shown).collect();
    Ok(Json(json!({ "data": data, "nextCursor": null })))
}

/// `POST /api/instances/{name}/webhooks`, `/api/webhooks`: the only answer that shows the secret.
pub(crate) async fn create(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Named(which): Named<Which>,
    headers: HeaderMap,
    Body { value, hash }: Body<Fields>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let name = which.name()?;
    let route = match &name {
        Some(name) => format!("webhooks/{}", name.folded()),
        None => "webhooks".to_owned(),
    };
    let replay = ReplayKey::of(&headers, caller.user_id, route)?;
    if let Some(key) = &replay
        && let Some(answer) = state.replays.seen(key, hash)?
    {
        return Ok((StatusCode::CREATED, Json(answer)));
    }
    let url = value.url.clone().ok_or_else(|| {
        let rule = "give the address that events are posted to";
        Problem::field("invalid_body", "The body does not fit", "url", rule)
    })?;
    let new = NewWebhook {
        url,
        events: parse_events(value.events)?.unwrap_or_default(),
        chats: value.chats.map(ChatFilter::from).unwrap_or_default(),
        headers: value.headers.unwrap_or_default(),
        secret: parse_secret(value.secret)?,
        by_events: value.by_events.unwrap_or(false),
        media: parse_media(value.media.as_deref())?.unwrap_or_default(),
        bytes: parse_bytes(value.bytes.as_deref())?.unwrap_or_default(),
        enabled: value.enabled.unwrap_or(true),
    };
    let webhook = state.gateway.webhooks().create(&caller, of(name.as_ref()), new).await?;
    let mut answer = shown(&webhook);
    answer["secret"] = webhook.secret.reveal().into();
    if let Some(key) = replay {
        state.replays.keep(key, hash, Some(answer.clone()));
    }
    Ok((StatusCode::CREATED, Json(answer)))
}

/// `GET /api/instances/{name}/webhooks/{id}`, `/api/webhooks/{id}`
pub(crate) async fn get(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Named(which): Named<Which>,
) -> Result<Json<Value>, Problem> {
    let name = which.name()?;
    let webhook = state.gateway.webhooks().get(&caller, of(name.as_ref()), which.id()?).await?;
    Ok(Json(shown(&webhook)))
}

/// `PUT /api/instances/{name}/webhooks/{id}`, `/api/webhooks/{id}`: changes what it names and leaves the rest.
pub(crate) async fn update(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Named(which): Named<Which>,
    Body { value, .. }: Body<Fields>,
) -> Result<Json<Value>, Problem> {
    let name = which.name()?;
    let patch = WebhookPatch {
        url: value.url,
        events: parse_events(value.events)?,
        chats: value.chats.map(ChatFilter::from),
        headers: value.headers,
        secret: parse_secret(value.secret)?,
        by_events: value.by_events,
        media: parse_media(value.media.as_deref())?,
        bytes: parse_bytes(value.bytes.as_deref())?,
        enabled: value.enabled,
    };
    let webhooks = state.gateway.webhooks();
    let webhook = webhooks.update(&caller, of(name.as_ref()), which.id()?, patch).await?;
    Ok(Json(shown(&webhook)))
}

/// `DELETE /api/instances/{name}/webhooks/{id}`, `/api/webhooks/{id}`
pub(crate) async fn delete(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Named(which): Named<Which>,
) -> Result<StatusCode, Problem> {
    let name = which.name()?;
    state.gateway.webhooks().delete(&caller, of(name.as_ref()), which.id()?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/instances/{name}/webhooks/{id}/rotate`, `/api/webhooks/{id}/rotate`: shows the new secret, and never again.
pub(crate) async fn rotate(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Named(which): Named<Which>,
) -> Result<Json<Value>, Problem> {
    let name = which.name()?;
    let webhook = state.gateway.webhooks().rotate(&caller, of(name.as_ref()), which.id()?).await?;
    let mut answer = shown(&webhook);
    answer["secret"] = webhook.secret.reveal().into();
    let until = webhook.previous_secrets.first().map(|(_, until)| until.rfc3339());
    answer["previousSecretUntil"] = until.into();
    Ok(Json(answer))
}

/// `POST /api/instances/{name}/webhooks/{id}/test`, `/api/webhooks/{id}/test`: whatever the receiver does, the answer is 200.
pub(crate) async fn test(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Named(which): Named<Which>,
) -> Result<Json<Value>, Problem> {
    let name = which.name()?;
    let trial = state.gateway.webhooks().test(&caller, of(name.as_ref()), which.id()?).await?;
    let mut answer = json!({
        "status": trial.status,
        "durationMs": trial.duration_ms,
        "request": {
            "method": "POST",
            "url": trial.url,
            "headers": trial.headers,
            "body": trial.body,
        },
    });
    if let Some(error) = trial.error {
        answer["error"] = error.into();
    }
    if caller.role == Role::Admin {
        answer["answer"] = trial.answer.into();
    }
    Ok(Json(answer))
}

/// Headers may hold the receiver's credentials: their names are shown, their values are not.
fn shown(webhook: &Webhook) -> Value {
    let headers: Vec<&String> = webhook.headers.keys().collect();
    json!({
        "id": webhook.id,
        "url": webhook.url,
        "enabled": webhook.enabled,
        "events": webhook.events.iter().map(|kind| kind.as_str()).collect::<Vec<_>>(),
        "byEvents": webhook.by_events,
        "media": webhook.media.as_str(),
        "bytes": webhook.bytes.as_str(),
        "chats": {
            "groups": webhook.chats.groups,
            "own": webhook.chats.own,
            "status": webhook.chats.status,
        },
        "headerNames": headers,
        "state": state_of(webhook),
        "stateReason": webhook.health.off_because.map(OffBecause::as_str),
        "failures": webhook.health.failures,
        "pausedUntil": webhook.health.paused_until.map(Millis::rfc3339),
        "createdAt": webhook.created_at.rfc3339(),
    })
}

fn state_of(webhook: &Webhook) -> &'static str {
    match (webhook.enabled, webhook.health.paused_until) {
        (false, _) => "disabled",
        (true, Some(_)) => "paused",
        (true, None) => "active",
    }
}

/// An id that is none can't be that of a webhook.
pub(super) fn webhook_id(text: &str) -> Result<WebhookId, Problem> {
    text.parse().map_err(|_| flowcore_gateway::ServiceError::WebhookNotFound.into())
}

fn parse_events(names: Option<Vec<String>>) -> Result<Option<Vec<EventKind>>, Problem> {
    let Some(names) = names else { return Ok(None) };
    let parse = |(at, name): (usize, &String)| {
        EventKind::parse(name).ok_or_else(|| unknown_event(format!("events[{at}]")))
    };
    names.iter().enumerate().map(parse).collect::<Result<_, _>>().map(Some)
}

/// No event of that name.
pub(super) fn unknown_event(field: String) -> Problem {
    let known = EventKind::ALL.map(EventKind::as_str).join(", ");
    let rule = format!("there is no such event; there are: {known}");
    Problem::field("unknown_event", "No such event", field, rule)
}

fn parse_media(word: Option<&str>) -> Result<Option<FileForm>, Problem> {
    let parse = |word| {
        let rule = "media is none, link or base64";
        FileForm::parse(word)
            .ok_or_else(|| Problem::field("invalid_body", "The body does not fit", "media", rule))
    };
    word.map(parse).transpose()
}

fn parse_bytes(word: Option<&str>) -> Result<Option<BytesForm>, Problem> {
    let parse = |word| {
        let rule = "bytes is base64 or objects";
        BytesForm::parse(word)
            .ok_or_else(|| Problem::field("invalid_body", "The body does not fit", "bytes", rule))
    };
    word.map(parse).transpose()
}

fn parse_secret(text: Option<String>) -> Result<Option<Secret>, Problem> {
    text.map(|text| Secret::parse(&text)).transpose().map_err(|error| {
        Problem::field("invalid_secret", "Not a webhook secret", "secret", error.to_string())
    })
}
