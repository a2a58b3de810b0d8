//! The instances: connect, list, status, restart, log out, delete.

use crate::app::AppState;
use crate::auth::Authenticated;
use crate::extract::{Asked, Body, OfInstance, instance_name};
use crate::problem::Problem;
use crate::replay::ReplayKey;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flowcore_domain::clock::Millis;
use flowcore_domain::instance::{InstanceName, Reason, Status};
use flowcore_domain::jid::Number;
use flowcore_gateway::{InstanceFilter, InstanceView, ServiceError, png_data_url};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;

/// How long `connect` waits for a QR code unless told otherwise.
const DEFAULT_WAIT: u64 = 10;
const MAX_WAIT: u64 = 60;
/// The seed's list has no pages: without a limit this many come at once.
const LIST_LIMIT: usize = 10_000;
const NEXT_CURSOR: HeaderName = HeaderName::from_static("x-next-cursor");

/// An instance as the API shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Instance {
    #[serde(rename = "instanceName")]
    name: String,
    #[serde(rename = "instanceId")]
    id: String,
    status: &'static str,
    reason: Option<&'static str>,
    reason_message: Option<&'static str>,
    number: Option<String>,
    lid: Option<String>,
    profile_name: Option<String>,
    last_connected: Option<String>,
    created_at: String,
    updated_at: String,
}

impl From<InstanceView> for Instance {
    fn from(view: InstanceView) -> Self {
        Self {
            name: view.name.to_string(),
            id: view.id.text(),
            status: view.status.as_str(),
            reason: view.reason.map(Reason::as_str),
            reason_message: view.reason.map(Reason::sentence),
            number: view.number,
            lid: view.lid,
            profile_name: view.profile_name,
            last_connected: view.last_connected.map(Millis::rfc3339),
            created_at: view.created_at.rfc3339(),
            updated_at: view.updated_at.rfc3339(),
        }
    }
}

/// The body of the routes that name an instance.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Which {
    instance_name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Connect {
    instance_name: String,
    number: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Wait {
    wait: Option<u64>,
}

/// `POST /api/whatsapp/connect`: made if new, started if stopped, answered when there is a QR code, the
/// session is open, or the wait is over. The same idempotency key again gives the code of now: the
/// first one may have expired, and connecting twice is connecting once anyway.
pub(crate) async fn connect(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Asked(query): Asked<Wait>,
    headers: HeaderMap,
    Body { value, hash }: Body<Connect>,
) -> Result<Json<Value>, Problem> {
    let name = instance_name(&value.instance_name)?;
    let wait = wait_for(&query)?;
    let phone = value.number.as_deref().map(Number::phone).transpose();
    let phone = phone.map_err(ServiceError::from)?;
    let replay = ReplayKey::of(&headers, caller.user_id, "connect")?;
    if let Some(key) = replay {
        state.replays.seen(&key, hash)?;
        state.replays.keep(key, hash, None);
    }
    let instances = state.gateway.instances();
    let connecting = async {
        let view = instances.connect(&caller, &name, wait).await?;
        let code = match phone.filter(|_| view.qr.is_some()) {
            Some(phone) => instances.pairing_code(&caller, &name, &phone).await?,
            None => None,
        };
        Ok::<_, ServiceError>(connected(view, code.as_deref()))
    };
    tokio::select! {
        answer = connecting => Ok(Json(answer?)),
        () = state.stopping.cancelled() => Err(Problem::stopping()),
    }
}

fn wait_for(query: &Wait) -> Result<Duration, Problem> {
    let seconds = query.wait.unwrap_or(DEFAULT_WAIT);
    if seconds > MAX_WAIT {
        let rule = "wait is a number of seconds from 0 to 60";
        return Err(Problem::field("invalid_query", "The query does not fit", "wait", rule));
    }
    Ok(Duration::from_secs(seconds))
}

fn connected(view: InstanceView, pairing_code: Option<&str>) -> Value {
    let code = view.qr.clone();
    json!({
        "instance": Instance::from(view),
        "qrcode": code.as_ref().map(|code| &code.text),
        "qrcodeImage": code.as_ref().and_then(|code| png_data_url(&code.text)),
        "pairingCode": pairing_code,
        "expiresAt": code.as_ref().map(|code| code.expires_at.rfc3339()),
    })
}

#[derive(Debug, Deserialize)]
pub(crate) struct ListQuery {
    status: Option<String>,
    search: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

/// `GET /api/whatsapp/instances`: a bare array; the next page's cursor is in a header.
pub(crate) async fn list(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Asked(query): Asked<ListQuery>,
) -> Result<(HeaderMap, Json<Vec<Instance>>), Problem> {
    let limit = query.limit.unwrap_or(LIST_LIMIT);
    if !(1..=LIST_LIMIT).contains(&limit) {
        let rule = format!("limit is a number from 1 to {LIST_LIMIT}");
        return Err(Problem::field("invalid_query", "The query does not fit", "limit", rule));
    }
    let filter = InstanceFilter {
        status: query.status.as_deref().map(parse_status).transpose()?,
        search: query.search.filter(|search| !search.is_empty()),
        after: query.cursor.as_deref().map(parse_cursor).transpose()?,
        limit: limit + 1,
    };
    let mut views = state.gateway.instances().list(&caller, &filter).await?;
    let more = views.len() > limit;
    views.truncate(limit);
    let mut headers = HeaderMap::new();
    if let Some(last) = views.last().filter(|_| more) {
        let cursor = URL_SAFE_NO_PAD.encode(last.name.as_str());
        if let Ok(value) = HeaderValue::from_str(&cursor) {
            headers.insert(NEXT_CURSOR, value);
        }
    }
    Ok((headers, Json(views.into_iter().map(Instance::from).collect())))
}

fn parse_status(text: &str) -> Result<Status, Problem> {
    Status::parse(text).ok_or_else(|| {
        let rule = "status is created, connecting, connected or disconnected";
        Problem::field("invalid_query", "The query does not fit", "status", rule)
    })
}

fn parse_cursor(text: &str) -> Result<InstanceName, Problem> {
    let decoded = URL_SAFE_NO_PAD.decode(text).ok().and_then(|name| String::from_utf8(name).ok());
    decoded.and_then(|name| name.parse().ok()).ok_or_else(|| {
        let rule = "take the cursor as it came in X-Next-Cursor";
        Problem::field("invalid_query", "The query does not fit", "cursor", rule)
    })
}

/// `GET /api/whatsapp/status/{name}`
pub(crate) async fn status(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    OfInstance(name): OfInstance,
) -> Result<Json<Value>, Problem> {
    let view = state.gateway.instances().get(&caller, &name).await?;
    Ok(Json(wrapped(view)))
}

/// `POST /api/whatsapp/restart`
pub(crate) async fn restart(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Body { value, .. }: Body<Which>,
) -> Result<Json<Value>, Problem> {
    let name = instance_name(&value.instance_name)?;
    let view = state.gateway.instances().restart(&caller, &name).await?;
    Ok(Json(wrapped(view)))
}

/// `POST /api/whatsapp/logout`
pub(crate) async fn log_out(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Body { value, .. }: Body<Which>,
) -> Result<Json<Value>, Problem> {
    let name = instance_name(&value.instance_name)?;
    let view = state.gateway.instances().log_out(&caller, &name).await?;
    Ok(Json(wrapped(view)))
}

/// `DELETE /api/whatsapp/delete/{name}`
pub(crate) async fn delete(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    OfInstance(name): OfInstance,
) -> Result<Json<Value>, Problem> {
    state.gateway.instances().delete(&caller, &name).await?;
    Ok(Json(json!({ "instance": { "instanceName": name, "deleted": true } })))
}

fn wrapped(view: InstanceView) -> Value {
    json!({ "instance": Instance::from(view) })
}
