//! The dialect of Evolution API 2.3.7: its routes, bodies, answers and errors, on our services.
//!
//! A product that speaks to one can be pointed at the other. What it depends on is kept; what is a hole is
//! closed (`docs/api.md` lists both). No rules live here.

mod access;
mod body;
mod events;
mod history;
mod instance;
mod message;
mod number;
mod options;
mod refusal;
mod schema;
mod system;
mod unserved;

pub(crate) use access::{Held, recognise};
pub use system::MetricsAccess;
pub(crate) use system::welcome;

use crate::extract::JSON_LIMIT;
use crate::surface::{Access, Surface};
use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Redirect, Response};
use flowcore_domain::account::Scope;
use refusal::Refusal;
use serde_json::Value;

/// What the operator chose for this dialect.
#[derive(Debug, Clone, Default)]
pub struct EvolutionSettings {
    /// Lists of instances show their tokens.
    pub expose_tokens: bool,
    /// `/metrics` is served, to whom.
    pub metrics: Option<MetricsAccess>,
}

/// What handlers answer.
type Answer = Result<(StatusCode, Json<Value>), Refusal>;

/// The first parts of paths that are this dialect's.
const GROUPS: [&str; 13] = [
    "instance",
    "message",
    "chat",
    "group",
    "label",
    "settings",
    "proxy",
    "webhook",
    "websocket",
    "call",
    "license",
    "verify-creds",
    "manager",
];

/// Whether an unknown path is answered in this dialect.
pub(crate) fn speaks(path: &str) -> bool {
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    GROUPS.contains(&first) || unserved::is_group(first)
}

/// What there is not, also by another method.
pub(crate) fn unknown(method: &Method, path: &str) -> Response {
    Refusal::not_found(format!("Cannot {method} {path}")).into_response()
}

const READ: Access = Access::Evolution(Scope::Read);
const SEND: Access = Access::Evolution(Scope::Send);
const MANAGE: Access = Access::Evolution(Scope::Manage);
const SETTINGS: Access = Access::Evolution(Scope::Settings);
const DELETE: Access = Access::Evolution(Scope::Delete);

/// The routes of this dialect.
pub(crate) fn routes(surface: Surface) -> Surface {
    surface
        .body_limit(JSON_LIMIT)
        .with(instances)
        .with(chats)
        .with(messages)
        .post("/verify-creds", READ, system::verify)
        .get("/metrics", Access::Own, system::metrics)
        .get("/manager", Access::Open, manager)
        .get("/manager/{*rest}", Access::Open, manager)
        .with(unserved::routes)
}

fn instances(surface: Surface) -> Surface {
    surface
        .post("/instance/create", MANAGE, instance::create)
        .get("/instance/fetchInstances", READ, instance::fetch)
        .get("/instance/connect/{name}", MANAGE, instance::connect)
        .get("/instance/connectionState/{name}", READ, instance::connection_state)
        .post("/instance/restart/{name}", MANAGE, instance::restart)
        .put("/instance/restart/{name}", MANAGE, instance::restart)
        .delete("/instance/logout/{name}", MANAGE, instance::log_out)
        .delete("/instance/delete/{name}", DELETE, instance::delete)
        .post("/settings/set/{name}", SETTINGS, options::set)
        .get("/settings/find/{name}", READ, options::find)
        .post("/proxy/set/{name}", SETTINGS, options::set_proxy)
        .get("/proxy/find/{name}", SETTINGS, options::find_proxy)
        .post("/webhook/set/{name}", SETTINGS, events::set_webhook)
        .get("/webhook/find/{name}", SETTINGS, events::find_webhook)
        .post("/websocket/set/{name}", SETTINGS, events::set_websocket)
        .get("/websocket/find/{name}", READ, events::find_websocket)
}

fn messages(surface: Surface) -> Surface {
    surface
        .post("/message/sendText/{name}", SEND, message::send_text)
        .post("/message/sendLocation/{name}", SEND, message::send_location)
        .post("/message/sendContact/{name}", SEND, message::send_contact)
        .post("/message/sendReaction/{name}", SEND, message::send_reaction)
        .post("/message/sendPoll/{name}", SEND, message::send_poll)
        .post("/message/sendList/{name}", SEND, message::send_list)
        .post("/message/sendButtons/{name}", SEND, message::send_buttons)
        .post("/chat/updateMessage/{name}", SEND, message::edit)
        .delete("/chat/deleteMessageForEveryone/{name}", SEND, message::delete)
        .body_limit(body::MEDIA_LIMIT)
        .post("/message/sendMedia/{name}", SEND, message::send_media)
        .post("/message/sendPtv/{name}", SEND, message::send_ptv)
        .post("/message/sendWhatsAppAudio/{name}", SEND, message::send_audio)
        .post("/message/sendSticker/{name}", SEND, message::send_sticker)
        .body_limit(JSON_LIMIT)
}

fn chats(surface: Surface) -> Surface {
    surface
        .post("/chat/findMessages/{name}", READ, history::messages)
        .post("/chat/findChats/{name}", READ, history::chats)
        .post("/chat/findContacts/{name}", READ, history::contacts)
        .post("/chat/findStatusMessage/{name}", READ, history::statuses)
        .get("/chat/findChatByRemoteJid/{name}", READ, history::chat)
}

/// Their dashboard is another; ours is at the root.
async fn manager() -> Redirect {
    Redirect::temporary("/")
}

/// Web clients of this dialect are served from elsewhere. Their key is in a header that no page of others
/// knows, so any origin may ask; the dashboard's cookie counts for nothing here.
pub(crate) async fn cross_origin(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if path != "/" && !speaks(path) {
        return next.run(request).await;
    }
    let asks = request.method() == Method::OPTIONS;
    let preflight = asks && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response =
        if preflight { StatusCode::NO_CONTENT.into_response() } else { next.run(request).await };
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    if preflight {
        let methods = HeaderValue::from_static("GET, POST, PUT, DELETE");
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
        let names = HeaderValue::from_static("apikey, content-type");
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names);
    }
    response
}
