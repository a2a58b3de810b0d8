//! `/webhook/*` and `/websocket/*`: where the events of an instance go.

use super::body::Posted;
use super::refusal::Refusal;
use super::schema::{Field, Kind, optional, required};
use super::{Answer, Held};
use crate::app::AppState;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use flowcore_domain::event::EventKind;
use flowcore_domain::instance::InstanceName;
use flowcore_domain::instance::settings::LiveSelection;
use flowcore_domain::webhook::{BytesForm, ChatFilter, FileForm, Webhook};
use flowcore_gateway::{Caller, InstanceView, NewWebhook};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What clients can choose, by the names that they use.
const CHOICES: [&str; 32] = [
    "APPLICATION_STARTUP",
    "QRCODE_UPDATED",
    "MESSAGES_SET",
    "MESSAGES_UPSERT",
    "MESSAGES_EDITED",
    "MESSAGES_UPDATE",
    "MESSAGES_DELETE",
    "SEND_MESSAGE",
    "SEND_MESSAGE_UPDATE",
    "CONTACTS_SET",
    "CONTACTS_UPSERT",
    "CONTACTS_UPDATE",
    "PRESENCE_UPDATE",
    "CHATS_SET",
    "CHATS_UPSERT",
    "CHATS_UPDATE",
    "CHATS_DELETE",
    "GROUPS_UPSERT",
    "GROUP_UPDATE",
    "GROUPS_UPDATE",
    "GROUP_PARTICIPANTS_UPDATE",
    "CONNECTION_UPDATE",
    "LABELS_EDIT",
    "LABELS_ASSOCIATION",
    "CALL",
    "TYPEBOT_START",
    "TYPEBOT_CHANGE_STATUS",
    "REMOVE_INSTANCE",
    "LOGOUT_INSTANCE",
    "INSTANCE_CREATE",
    "INSTANCE_DELETE",
    "STATUS_INSTANCE",
];

const EVENTS: Field = optional("events", Kind::List(&Kind::OneOf(&CHOICES), 0, 64));
const URL: Kind = Kind::Text(2048);

const WEBHOOK: [Field; 8] = [
    required("enabled", Kind::Flag),
    required("url", URL),
    optional("headers", Kind::AnyObject),
    optional("byEvents", Kind::Flag),
    optional("base64", Kind::Flag),
    optional("webhookByEvents", Kind::Flag),
    optional("webhookBase64", Kind::Flag),
    EVENTS,
];

/// The same where an instance is made: to give it is to enable it.
pub(super) const WEBHOOK_OF_NEW: [Field; 7] = [
    required("url", URL),
    optional("headers", Kind::AnyObject),
    optional("byEvents", Kind::Flag),
    optional("base64", Kind::Flag),
    optional("webhookByEvents", Kind::Flag),
    optional("webhookBase64", Kind::Flag),
    EVENTS,
];

const WEBSOCKET: [Field; 2] = [required("enabled", Kind::Flag), EVENTS];

/// The same where an instance is made.
pub(super) const SELECTION_OF_NEW: [Field; 2] = [optional("enabled", Kind::Flag), EVENTS];

pub(super) const WRAPPED_WEBHOOK: [Field; 1] = [required("webhook", Kind::Object(&WEBHOOK))];
pub(super) const WRAPPED_WEBSOCKET: [Field; 1] = [required("websocket", Kind::Object(&WEBSOCKET))];

/// A webhook as clients write it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WebhookBlock {
    enabled: Option<bool>,
    url: String,
    headers: Option<BTreeMap<String, Value>>,
    #[serde(alias = "webhookByEvents")]
    by_events: Option<bool>,
    #[serde(alias = "webhookBase64")]
    base64: Option<bool>,
    events: Option<Vec<String>>,
}

/// What Socket.IO is to tell.
#[derive(Debug, Deserialize)]
pub(super) struct Selection {
    enabled: Option<bool>,
    events: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
struct Wrapped<T> {
    #[serde(alias = "webhook", alias = "websocket")]
    block: T,
}

/// The kinds behind the names; none or none named are all.
fn kinds(names: Option<Vec<String>>) -> Vec<EventKind> {
    let names = names.unwrap_or_default();
    let mut kinds: Vec<EventKind> =
        names.iter().filter_map(|name| EventKind::parse(name)).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

/// By the names that clients use; all of them when none was chosen.
fn shown_kinds(kinds: &[EventKind], enabled: bool) -> Vec<String> {
    if !enabled {
        return Vec::new();
    }
    if kinds.is_empty() {
        let all = CHOICES.iter().filter(|name| **name != "GROUPS_UPDATE");
        return all.map(|name| (*name).to_owned()).collect();
    }
    kinds.iter().map(|kind| selected(*kind)).collect()
}

fn selected(kind: EventKind) -> String {
    match kind {
        // Its name to choose differs from that on the wire by a letter.
        EventKind::GroupsUpdate => "GROUP_UPDATE".to_owned(),
        other => other.as_str().replace(['.', '-'], "_").to_ascii_uppercase(),
    }
}

impl WebhookBlock {
    fn endpoint(self) -> Result<NewWebhook, Refusal> {
        let text = |(name, value): (String, Value)| match value {
            Value::String(text) => Ok((name, text)),
            Value::Number(_) | Value::Bool(_) => Ok((name, value.to_string())),
            _ => Err(Refusal::bad(format!("webhook.headers.{name} is not of a type(s) string"))),
        };
        let headers = self.headers.unwrap_or_default();
        Ok(NewWebhook {
            url: self.url,
            events: kinds(self.events),
            chats: ChatFilter::default(),
            headers: headers.into_iter().map(text).collect::<Result<_, _>>()?,
            secret: None,
            by_events: self.by_events.unwrap_or(false),
            enabled: self.enabled.unwrap_or(true),
            media: if self.base64.unwrap_or(false) { FileForm::Base64 } else { FileForm::None },
            bytes: BytesForm::Objects,
        })
    }
}

/// `POST /webhook/set/{name}`: the fields, or v1's body without the wrapper.
pub(super) async fn set_webhook(State(state): State<AppState>, held: Held, body: Posted) -> Answer {
    let block = if body.0.get("webhook").is_none() && body.0.get("url").is_some() {
        body.read::<WebhookBlock>(&WEBHOOK)?
    } else {
        body.read::<Wrapped<WebhookBlock>>(&WRAPPED_WEBHOOK)?.block
    };
    let webhooks = state.gateway.webhooks();
    let webhook = webhooks.set_evolution(&held.caller, &held.name, block.endpoint()?).await?;
    Ok((StatusCode::CREATED, Json(shown_webhook(&held.view, &webhook))))
}

/// `GET /webhook/find/{name}`
pub(super) async fn find_webhook(State(state): State<AppState>, held: Held) -> Answer {
    let found = state.gateway.webhooks().evolution(&held.caller, &held.name).await?;
    let shown = found.map_or(Value::Null, |webhook| shown_webhook(&held.view, &webhook));
    Ok((StatusCode::OK, Json(shown)))
}

/// The webhook of an instance that is being made.
pub(super) async fn begin_webhook(
    state: &AppState,
    (caller, name): (&Caller, &InstanceName),
    block: WebhookBlock,
) -> Result<Value, Refusal> {
    let new = WebhookBlock { enabled: Some(true), ..block }.endpoint()?;
    let made = state.gateway.webhooks().set_evolution(caller, name, new).await?;
    Ok(json!({
        "webhookUrl": made.url,
        "webhookHeaders": made.headers,
        "webhookByEvents": made.by_events,
        "webhookBase64": (made.media == FileForm::Base64),
    }))
}

fn shown_webhook(view: &InstanceView, webhook: &Webhook) -> Value {
    json!({
        "id": webhook.id.text(),
        "url": webhook.url,
        "headers": webhook.headers,
        "enabled": webhook.enabled,
        "events": shown_kinds(&webhook.events, webhook.enabled),
        "webhookByEvents": webhook.by_events,
        "webhookBase64": (webhook.media == FileForm::Base64),
        "createdAt": webhook.created_at.rfc3339(),
        "updatedAt": webhook.updated_at.rfc3339(),
        "instanceId": view.id.text(),
    })
}

/// `POST /websocket/set/{name}`
pub(super) async fn set_websocket(
    State(state): State<AppState>,
    held: Held,
    body: Posted,
) -> Answer {
    let selection = if body.0.get("websocket").is_none() && body.0.get("enabled").is_some() {
        body.read::<Selection>(&WEBSOCKET)?
    } else {
        body.read::<Wrapped<Selection>>(&WRAPPED_WEBSOCKET)?.block
    };
    let chosen = (selection.enabled.unwrap_or(true), kinds(selection.events));
    let instances = state.gateway.instances();
    let live = instances.set_live_selection(&held.caller, &held.name, chosen).await?;
    Ok((StatusCode::CREATED, Json(shown_selection(&held.view, &live))))
}

/// `GET /websocket/find/{name}`
pub(super) async fn find_websocket(State(state): State<AppState>, held: Held) -> Answer {
    let found = state.gateway.instances().live_selection(&held.caller, &held.name).await?;
    let shown = found.map_or(Value::Null, |live| shown_selection(&held.view, &live));
    Ok((StatusCode::OK, Json(shown)))
}

/// What Socket.IO tells of an instance that is being made.
pub(super) async fn begin_websocket(
    state: &AppState,
    (caller, name): (&Caller, &InstanceName),
    selection: Selection,
) -> Result<Value, Refusal> {
    let chosen = (true, kinds(selection.events));
    let live = state.gateway.instances().set_live_selection(caller, name, chosen).await?;
    let events = shown_kinds(&live.events, live.enabled);
    Ok(json!({ "enabled": live.enabled, "events": events }))
}

/// A stored choice as a row.
pub(super) fn shown_selection(view: &InstanceView, live: &LiveSelection) -> Value {
    json!({
        "id": view.id.text(),
        "enabled": live.enabled,
        "events": shown_kinds(&live.events, live.enabled),
        "createdAt": live.created_at.rfc3339(),
        "updatedAt": live.updated_at.rfc3339(),
        "instanceId": view.id.text(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_is_an_event_and_is_shown_by_its_name() {
        for name in CHOICES.iter().filter(|name| **name != "GROUPS_UPDATE") {
            let kind = EventKind::parse(name).unwrap_or_else(|| panic!("{name} is no event"));
            assert_eq!(selected(kind), *name);
        }
    }
}
