//! `/instance/*`: make, link, list, restart, log out, delete.

use super::access::Everywhere;
use super::body::Posted;
use super::events::{self, Selection, WebhookBlock};
use super::options::{self, ProxyFields, Switches};
use super::refusal::Refusal;
use super::schema::{Field, Kind, optional, required};
use super::{Answer, Held};
use crate::app::AppState;
use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use flowcore_domain::instance::pairing::QrCode;
use flowcore_domain::instance::settings::Settings;
use flowcore_domain::instance::{InstanceName, NameError, Status};
use flowcore_gateway::{Caller, InstanceView, MIN_TOKEN, NewOptions, ServiceError, png_data_url};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

mod list;

pub(super) use list::fetch;

/// How long a call waits for a code to show.
const QR_WITHIN: Duration = Duration::from_secs(20);
/// The one way to WhatsApp that is served here.
const LINKED_DEVICE: &str = "WHATSAPP-BAILEYS";
/// What a new instance could be wired to elsewhere and can't be here.
const ELSEWHERE: [&str; 6] = ["rabbitmq", "sqs", "nats", "kafka", "pusher", "chatwoot"];

pub(super) const CREATE: [Field; 22] = [
    required("instanceName", Kind::Text(255)),
    optional("integration", Kind::Text(64)),
    optional("token", Kind::Text(flowcore_gateway::MAX_TOKEN)),
    optional("qrcode", Kind::Flag),
    optional("number", Kind::Text(64)).says("Invalid format"),
    optional("businessId", Kind::Text(255)),
    options::MSG_CALL,
    optional("rejectCall", Kind::Flag),
    optional("groupsIgnore", Kind::Flag),
    optional("alwaysOnline", Kind::Flag),
    optional("readMessages", Kind::Flag),
    optional("readStatus", Kind::Flag),
    optional("syncFullHistory", Kind::Flag),
    optional("wavoipToken", Kind::Text(255)),
    optional("proxyHost", Kind::Text(255)),
    optional("proxyPort", Kind::TextOrWhole(5)),
    optional("proxyProtocol", Kind::Text(16)),
    optional("proxyUsername", Kind::Text(255)),
    optional("proxyPassword", Kind::Text(255)),
    optional("webhook", Kind::Object(&events::WEBHOOK_OF_NEW)),
    optional("websocket", Kind::Object(&events::SELECTION_OF_NEW)),
    optional("chatwootAccountId", Kind::TextOrWhole(64)),
];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Create {
    instance_name: String,
    integration: Option<String>,
    token: Option<String>,
    qrcode: Option<bool>,
    number: Option<String>,
    webhook: Option<WebhookBlock>,
    websocket: Option<Selection>,
    proxy_host: Option<String>,
    proxy_port: Option<Value>,
    proxy_protocol: Option<String>,
    proxy_username: Option<String>,
    proxy_password: Option<String>,
    #[serde(flatten)]
    switches: Switches,
}

impl Create {
    async fn options(&mut self, state: &AppState) -> Result<NewOptions, Refusal> {
        let proxy = self.proxy().map(ProxyFields::proxy).transpose()?;
        if let Some(proxy) = &proxy {
            options::try_proxy(state, proxy).await?;
        }
        let settings = std::mem::take(&mut self.switches).applied_to(Settings::default());
        Ok(NewOptions { settings, token: checked_token(self.token.take())?, proxy })
    }

    fn proxy(&self) -> Option<ProxyFields> {
        let host = self.proxy_host.clone().filter(|host| !host.is_empty())?;
        Some(ProxyFields {
            host,
            port: self.proxy_port.clone().unwrap_or_else(|| json!("80")),
            protocol: self.proxy_protocol.clone().unwrap_or_else(|| "http".to_owned()),
            username: self.proxy_username.clone(),
            password: self.proxy_password.clone(),
        })
    }
}

/// `POST /instance/create`
pub(super) async fn create(
    State(state): State<AppState>,
    Everywhere(caller): Everywhere,
    body: Posted,
) -> Answer {
    if let Some(name) = body.0["instanceName"].as_str().and_then(|name| name.parse().ok()) {
        refuse_taken(&state, &caller, &name).await?;
    }
    refuse_elsewhere(&body.0)?;
    let mut asked: Create = body.read(&CREATE)?;
    let name: InstanceName =
        asked.instance_name.parse().map_err(|rule: NameError| Refusal::bad(rule.to_string()))?;
    check_integration(asked.integration.as_deref())?;
    let phone = asked.number.as_deref().filter(|text| !text.is_empty()).map(phone).transpose()?;
    let new = asked.options(&state).await?;
    let made = state.gateway.instances().create(&caller, &name, new).await;
    let (view, token) = made.map_err(|error| taken(error, &name))?;
    let mut answer = match begin(&state, (&caller, &name), asked.webhook, asked.websocket).await {
        Ok(begun) => begun,
        Err(refusal) => {
            // What can't be made as asked is not made at all.
            state.gateway.instances().delete(&caller, &name).await?;
            return Err(refusal);
        }
    };
    answer["hash"] = json!(token);
    if asked.qrcode == Some(true) {
        answer["qrcode"] = link(&state, &caller, &name, phone.as_deref()).await?;
    }
    let now = state.gateway.instances().get(&caller, &name).await?;
    answer["instance"] = json!({
        "instanceName": name.as_str(),
        "instanceId": view.id.text(),
        "integration": LINKED_DEVICE,
        "webhookWaBusiness": null,
        "accessTokenWaBusiness": "",
        "status": now.status.evolution(),
    });
    Ok((StatusCode::CREATED, Json(answer)))
}

async fn refuse_taken(
    state: &AppState,
    caller: &Caller,
    name: &InstanceName,
) -> Result<(), Refusal> {
    match state.gateway.instances().get(caller, name).await {
        Ok(_) => Err(taken(ServiceError::NameTaken, name)),
        Err(ServiceError::InstanceNotFound) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn taken(error: ServiceError, name: &InstanceName) -> Refusal {
    match error {
        ServiceError::NameTaken => {
            Refusal::forbidden(format!("This name \"{name}\" is already in use."))
        }
        other => other.into(),
    }
}

fn refuse_elsewhere(body: &Value) -> Result<(), Refusal> {
    let wanted = |block: &Value| !block.is_null() && block["enabled"] != json!(false);
    let chatwoot = body.get("chatwootAccountId").is_some_and(|id| !id.is_null());
    let named = ELSEWHERE.iter().find(|name| body.get(**name).is_some_and(wanted));
    match named.or(chatwoot.then_some(&"chatwoot")) {
        Some(name) => Err(super::unserved::refusal(name)),
        None => Ok(()),
    }
}

fn check_integration(integration: Option<&str>) -> Result<(), Refusal> {
    match integration {
        Some(LINKED_DEVICE) => Ok(()),
        Some(other @ ("WHATSAPP-BUSINESS" | "EVOLUTION")) => Err(Refusal::bad(format!(
            "The integration {other} is not served here; use {LINKED_DEVICE}."
        ))),
        _ => Err(Refusal::bad("Invalid integration")),
    }
}

fn checked_token(token: Option<String>) -> Result<Option<String>, Refusal> {
    let Some(token) = token.filter(|token| !token.is_empty()) else { return Ok(None) };
    if token.len() < MIN_TOKEN || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Refusal::bad(format!(
            "A token has at least {MIN_TOKEN} letters, digits or signs, without spaces."
        )));
    }
    Ok(Some(token))
}

/// What the new instance is wired to, and the rest of the answer.
async fn begin(
    state: &AppState,
    (caller, name): (&Caller, &InstanceName),
    webhook: Option<WebhookBlock>,
    websocket: Option<Selection>,
) -> Result<Value, Refusal> {
    let webhook = match webhook {
        Some(block) => events::begin_webhook(state, (caller, name), block).await?,
        None => json!({}),
    };
    let websocket = match websocket {
        Some(selection) => events::begin_websocket(state, (caller, name), selection).await?,
        None => json!({}),
    };
    let settings = state.gateway.instances().settings(caller, name).await?;
    Ok(json!({
        "webhook": webhook,
        "websocket": websocket,
        "rabbitmq": {},
        "nats": {},
        "sqs": {},
        "settings": options::shown(&settings),
    }))
}

/// The digits of the phone that is to be linked.
fn phone(text: &str) -> Result<String, Refusal> {
    let text = text.split(['@', ':']).next().unwrap_or_default();
    flowcore_domain::jid::Number::phone(text)
        .map_err(|error| Refusal::from(ServiceError::from(error)))
}

/// Starts the instance and waits until it can be told what to do next: the code to scan, or its state.
async fn link(
    state: &AppState,
    caller: &Caller,
    name: &InstanceName,
    phone: Option<&str>,
) -> Result<Value, Refusal> {
    let instances = state.gateway.instances();
    let linking = async {
        let view = instances.connect(caller, name, QR_WITHIN).await?;
        let code = match (phone, &view.qr) {
            (Some(phone), Some(_)) => instances.pairing_code(caller, name, phone).await?,
            _ => None,
        };
        Ok::<_, ServiceError>((view, code))
    };
    let (view, pairing) = tokio::select! {
        linked = linking => linked?,
        () = state.stopping.cancelled() => {
            return Err(ServiceError::Unavailable("the server stops".to_owned()).into());
        }
    };
    match (&view.qr, view.status, view.reason) {
        (Some(code), ..) => Ok(shown_code(code, pairing.or(view.typed.clone()).as_deref())),
        (None, Status::Disconnected, Some(reason)) => Err(Refusal::bad(reason.sentence())),
        _ => Ok(state_of(&view)),
    }
}

fn shown_code(code: &QrCode, pairing: Option<&str>) -> Value {
    json!({
        "pairingCode": pairing,
        "code": code.text,
        "base64": png_data_url(&code.text),
        "count": code.number,
    })
}

fn state_of(view: &InstanceView) -> Value {
    json!({ "instance": { "instanceName": view.name.as_str(), "state": view.status.evolution() } })
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Linking {
    number: Option<String>,
}

/// `GET /instance/connect/{name}`: the code to scan; with `?number=` also the one to type, at any time.
pub(super) async fn connect(
    State(state): State<AppState>,
    held: Held,
    query: Query<Linking>,
) -> Answer {
    let number = query.0.number.as_deref().map(str::trim).filter(|text| !text.is_empty());
    let phone = number.map(phone).transpose()?;
    Ok((StatusCode::OK, Json(link(&state, &held.caller, &held.name, phone.as_deref()).await?)))
}

/// `GET /instance/connectionState/{name}`
pub(super) async fn connection_state(held: Held) -> Answer {
    Ok((StatusCode::OK, Json(state_of(&held.view))))
}

/// `POST /instance/restart/{name}`: the link is kept; a stopped one is started.
pub(super) async fn restart(State(state): State<AppState>, held: Held) -> Answer {
    state.gateway.instances().restart(&held.caller, &held.name).await?;
    Ok((StatusCode::OK, Json(link(&state, &held.caller, &held.name, None).await?)))
}

/// `DELETE /instance/logout/{name}`: may be repeated.
pub(super) async fn log_out(State(state): State<AppState>, held: Held) -> Answer {
    state.gateway.instances().log_out(&held.caller, &held.name).await?;
    Ok(done("Instance logged out"))
}

/// `DELETE /instance/delete/{name}`: unlinks first.
pub(super) async fn delete(State(state): State<AppState>, held: Held) -> Answer {
    match state.gateway.instances().delete(&held.caller, &held.name).await {
        // Somebody else was quicker: it is gone, as wanted.
        Ok(()) | Err(ServiceError::InstanceNotFound) => Ok(done("Instance deleted")),
        Err(error) => Err(error.into()),
    }
}

fn done(what: &str) -> (StatusCode, Json<Value>) {
    let body = json!({ "status": "SUCCESS", "error": false, "response": { "message": what } });
    (StatusCode::OK, Json(body))
}

/// Those that a caller may see.
pub(super) async fn visible(
    state: &AppState,
    caller: &Caller,
) -> Result<Vec<InstanceView>, Refusal> {
    let mut filter = flowcore_gateway::InstanceFilter::default();
    let mut all = Vec::new();
    loop {
        let page = state.gateway.instances().list(caller, &filter).await?;
        let Some(last) = page.last() else { return Ok(all) };
        filter.after = Some(last.name.clone());
        all.extend(page);
    }
}
