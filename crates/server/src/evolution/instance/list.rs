//! `GET /instance/fetchInstances`: always an array, of those that the key may see.

use super::{LINKED_DEVICE, visible};
use crate::app::AppState;
use crate::evolution::access::Access;
use crate::evolution::refusal::Refusal;
use crate::evolution::{Answer, events, options};
use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use flowcore_domain::clock::Millis;
use flowcore_domain::instance::{Reason, Status};
use flowcore_gateway::{InstanceDetails, InstanceView, ServiceError};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Filter {
    instance_name: Option<String>,
    instance_id: Option<String>,
    number: Option<String>,
}

impl Filter {
    /// Evolution takes several names or ids with commas between them.
    fn passes(&self, view: &InstanceView) -> bool {
        let names =
            |list: &str, own: &str| list.split(',').any(|one| one.trim().eq_ignore_ascii_case(own));
        self.instance_name.as_deref().is_none_or(|list| names(list, view.name.as_str()))
            && self.instance_id.as_deref().is_none_or(|list| names(list, &view.id.text()))
            && self.number.as_deref().is_none_or(|number| view.number.as_deref() == Some(number))
    }

    /// What was looked for by name or id.
    fn wanted(&self) -> Option<&str> {
        self.instance_name.as_deref().or(self.instance_id.as_deref())
    }
}

/// `GET /instance/fetchInstances`
pub(crate) async fn fetch(
    State(state): State<AppState>,
    Access(caller): Access,
    Query(filter): Query<Filter>,
) -> Answer {
    let instances = state.gateway.instances();
    let mut shown = Vec::new();
    for view in visible(&state, &caller).await? {
        if !filter.passes(&view) {
            continue;
        }
        match instances.details(&caller, &view.name).await {
            Ok(details) => shown.push(entry(&view, &details, state.evolution.expose_tokens)),
            // Deleted in this instant.
            Err(ServiceError::InstanceNotFound) => {}
            Err(error) => return Err(error.into()),
        }
    }
    match filter.wanted() {
        Some(wanted) if shown.is_empty() => Err(Refusal::not_found(not_found(wanted))),
        _ => Ok((StatusCode::OK, Json(Value::Array(shown)))),
    }
}

fn not_found(wanted: &str) -> String {
    let plural = if wanted.contains(',') { "Instances" } else { "Instance" };
    format!("{plural} \"{wanted}\" not found")
}

fn entry(view: &InstanceView, details: &InstanceDetails, expose_tokens: bool) -> Value {
    let ended = view.reason.filter(|_| view.status == Status::Disconnected);
    let owner = view.number.as_ref().map(|number| format!("{number}@s.whatsapp.net"));
    let mut setting = options::shown(&details.settings);
    setting["id"] = json!(view.id.text());
    setting["createdAt"] = json!(view.created_at.rfc3339());
    setting["updatedAt"] = json!(view.updated_at.rfc3339());
    setting["instanceId"] = json!(view.id.text());
    json!({
        "id": view.id.text(),
        "name": view.name.as_str(),
        "connectionStatus": view.status.evolution(),
        "ownerJid": owner,
        "profileName": view.profile_name,
        "profilePicUrl": details.picture,
        "integration": LINKED_DEVICE,
        "number": view.number,
        "businessId": null,
        "token": details.token().filter(|_| expose_tokens),
        "clientName": "flowcore",
        "disconnectionReasonCode": ended.map(Reason::evolution_code),
        "disconnectionObject": ended.map(|reason| json!({ "reason": reason.as_str() }).to_string()),
        "disconnectionAt": ended.and(view.disconnected_at).map(Millis::rfc3339),
        "createdAt": view.created_at.rfc3339(),
        "updatedAt": view.updated_at.rfc3339(),
        "Chatwoot": null,
        "Proxy": details.proxy.as_ref().map(|proxy| options::shown_proxy(view, proxy)),
        "Rabbitmq": null,
        "Nats": null,
        "Sqs": null,
        "Websocket": details.live.as_ref().map(|live| events::shown_selection(view, live)),
        "Setting": setting,
        "_count": {
            "Message": details.counts.messages,
            "Contact": details.counts.contacts,
            "Chat": details.counts.chats,
        },
    })
}
