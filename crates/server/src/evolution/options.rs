//! `/settings/*` and `/proxy/*`.

use super::body::Posted;
use super::refusal::Refusal;
use super::schema::{Field, Kind, optional, required};
use super::{Answer, Held};
use crate::app::AppState;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use flowcore_domain::instance::settings::{MAX_REJECTION, Settings};
use flowcore_domain::proxy::{Proxy, ProxyProtocol};
use flowcore_gateway::InstanceView;
use serde::Deserialize;
use serde_json::{Value, json};

/// What callers are told when they are turned away.
pub(super) const MSG_CALL: Field = optional("msgCall", Kind::Text(MAX_REJECTION));

pub(super) const SETTINGS: [Field; 8] = [
    required("rejectCall", Kind::Flag),
    MSG_CALL,
    required("groupsIgnore", Kind::Flag),
    required("alwaysOnline", Kind::Flag),
    required("readMessages", Kind::Flag),
    required("readStatus", Kind::Flag),
    required("syncFullHistory", Kind::Flag),
    optional("wavoipToken", Kind::Text(255)),
];

/// The switches as clients name them; what is not named stays.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Switches {
    reject_call: Option<bool>,
    msg_call: Option<String>,
    groups_ignore: Option<bool>,
    always_online: Option<bool>,
    read_messages: Option<bool>,
    read_status: Option<bool>,
    sync_full_history: Option<bool>,
}

impl Switches {
    pub(super) fn applied_to(self, old: Settings) -> Settings {
        Settings {
            reject_calls: self.reject_call.unwrap_or(old.reject_calls),
            reject_calls_message: self.msg_call.unwrap_or(old.reject_calls_message),
            groups_ignore: self.groups_ignore.unwrap_or(old.groups_ignore),
            always_online: self.always_online.unwrap_or(old.always_online),
            read_messages: self.read_messages.unwrap_or(old.read_messages),
            read_status: self.read_status.unwrap_or(old.read_status),
            sync_full_history: self.sync_full_history.unwrap_or(old.sync_full_history),
        }
    }
}

pub(super) fn shown(settings: &Settings) -> Value {
    json!({
        "rejectCall": settings.reject_calls,
        "msgCall": settings.reject_calls_message,
        "groupsIgnore": settings.groups_ignore,
        "alwaysOnline": settings.always_online,
        "readMessages": settings.read_messages,
        "readStatus": settings.read_status,
        "syncFullHistory": settings.sync_full_history,
        "wavoipToken": "",
    })
}

/// `POST /settings/set/{name}`
pub(super) async fn set(State(state): State<AppState>, held: Held, body: Posted) -> Answer {
    let switches: Switches = body.read(&SETTINGS)?;
    let instances = state.gateway.instances();
    let old = instances.settings(&held.caller, &held.name).await?;
    instances.set_settings(&held.caller, &held.name, switches.applied_to(old)).await?;
    let now = instances.settings(&held.caller, &held.name).await?;
    let mut settings = shown(&now);
    settings.as_object_mut().map(|fields| fields.remove("wavoipToken"));
    let answer = json!({ "instanceName": held.name.as_str(), "settings": settings });
    Ok((StatusCode::CREATED, Json(json!({ "settings": answer }))))
}

/// `GET /settings/find/{name}`
pub(super) async fn find(State(state): State<AppState>, held: Held) -> Answer {
    let settings = state.gateway.instances().settings(&held.caller, &held.name).await?;
    Ok((StatusCode::OK, Json(shown(&settings))))
}

pub(super) const PROXY: [Field; 6] = [
    required("enabled", Kind::Flag),
    required("host", Kind::Text(255)),
    required("port", Kind::TextOrWhole(5)),
    required("protocol", Kind::Text(16)),
    optional("username", Kind::Text(255)),
    optional("password", Kind::Text(255)),
];

/// To switch it off, its particulars are not needed.
const PROXY_OFF: [Field; 1] = [required("enabled", Kind::Flag)];

/// A proxy as clients write it.
#[derive(Debug, Deserialize)]
pub(super) struct ProxyFields {
    pub(super) host: String,
    pub(super) port: Value,
    pub(super) protocol: String,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
}

impl ProxyFields {
    /// The proxy, or what is wrong with it.
    pub(super) fn proxy(self) -> Result<Proxy, Refusal> {
        let wrong = |sentence: &str| Refusal::bad_list(json!(["Invalid proxy", sentence]));
        let protocol = ProxyProtocol::parse(&self.protocol.to_ascii_lowercase())
            .ok_or_else(|| wrong("The protocol of a proxy is http or socks5."))?;
        let port = self.port.as_str().map_or_else(|| self.port.to_string(), str::to_owned);
        let port = port.trim().parse::<u16>().ok().filter(|port| *port > 0);
        let host = self.host.trim();
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.:[]".contains(c);
        if host.is_empty() || !host.chars().all(fits) {
            return Err(wrong("The host of a proxy is a name or an address, without a scheme."));
        }
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        Ok(Proxy {
            protocol,
            host: host.trim_matches(['[', ']']).to_owned(),
            port: port.ok_or_else(|| wrong("The port of a proxy is a number from 1 to 65535."))?,
            username: given(self.username),
            password: given(self.password),
        })
    }
}

/// A proxy that does not lead to WhatsApp is refused before it is stored.
pub(super) async fn try_proxy(state: &AppState, proxy: &Proxy) -> Result<(), Refusal> {
    Ok(state.gateway.instances().try_proxy(proxy).await?)
}

/// `POST /proxy/set/{name}`
pub(super) async fn set_proxy(State(state): State<AppState>, held: Held, body: Posted) -> Answer {
    let off = body.0["enabled"] == json!(false);
    let proxy = if off {
        body.read::<Value>(&PROXY_OFF)?;
        None
    } else {
        let proxy = body.read::<ProxyFields>(&PROXY)?.proxy()?;
        try_proxy(&state, &proxy).await?;
        Some(proxy)
    };
    let instances = state.gateway.instances();
    instances.set_proxy(&held.caller, &held.name, proxy).await?;
    let stored = instances.proxy(&held.caller, &held.name).await?;
    let shown = match &stored {
        Some(proxy) => fields_of(proxy),
        None => json!({ "enabled": false, "host": "", "port": "", "protocol": "" }),
    };
    let answer = json!({ "instanceName": held.name.as_str(), "proxy": shown });
    Ok((StatusCode::CREATED, Json(json!({ "proxy": answer }))))
}

/// `GET /proxy/find/{name}`
pub(super) async fn find_proxy(State(state): State<AppState>, held: Held) -> Answer {
    let stored = state.gateway.instances().proxy(&held.caller, &held.name).await?;
    let shown = stored.map_or(Value::Null, |proxy| shown_proxy(&held.view, &proxy));
    Ok((StatusCode::OK, Json(shown)))
}

fn fields_of(proxy: &Proxy) -> Value {
    json!({
        "enabled": true,
        "host": proxy.host,
        "port": proxy.port.to_string(),
        "protocol": proxy.protocol.as_str(),
        "username": proxy.username.as_deref().unwrap_or_default(),
        "password": proxy.password.as_deref().unwrap_or_default(),
    })
}

/// A stored proxy as a row.
pub(super) fn shown_proxy(view: &InstanceView, proxy: &Proxy) -> Value {
    let mut row = fields_of(proxy);
    row["id"] = json!(view.id.text());
    row["createdAt"] = json!(view.created_at.rfc3339());
    row["updatedAt"] = json!(view.updated_at.rfc3339());
    row["instanceId"] = json!(view.id.text());
    row
}
