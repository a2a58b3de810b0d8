//! The dialect of Evolution API 2.3.7: its routes, bodies, answers and errors, on our services.
//!
//! A product that speaks to one can be pointed at the other. What it depends on is kept; what is a hole is
//! closed (`docs/api.md` lists both). No rules live here.

mod access;
mod body;
mod chat;
mod described;
mod download;
mod events;
mod group;
mod history;
mod instance;
mod label;
mod message;
mod number;
mod options;
mod poll;
mod profile;
mod refusal;
mod schema;
mod system;
mod unserved;

pub(crate) use access::{Held, recognise, too_many};
pub(crate) use described::operations;
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
use flowcore_domain::event::EventKind;
use flowcore_domain::webhook::{BytesForm, ChatFilter, FileForm};
use flowcore_gateway::{Gateway, Linking, NewWebhook, ServiceError};
use refusal::Refusal;
use serde_json::Value;
use std::collections::BTreeMap;

/// What the operator chose for this dialect.
#[derive(Debug, Clone, Default)]
pub struct EvolutionSettings {
    /// Lists of instances show their tokens.
    pub expose_tokens: bool,
    /// Who reads `/metrics` besides those with a key.
    pub metrics: Option<MetricsAccess>,
    /// Where the events of all the admin's instances go; without an address, nowhere any more. `None`
    /// leaves what there is.
    pub global_webhook: Option<GlobalWebhook>,
    /// How numbers are linked and reach WhatsApp.
    pub linking: Linking,
    /// Names of Evolution in the environment that have no meaning here.
    pub ignored: Vec<String>,
}

/// An endpoint that the operator chose for all instances.
#[derive(Debug, Clone, Default)]
pub struct GlobalWebhook {
    /// Where to post.
    pub url: Option<String>,
    /// One path per event.
    pub by_events: bool,
    /// Which events; none named are all.
    pub events: Vec<EventKind>,
}

/// Carries out what the operator chose, when the server starts.
pub(crate) async fn begin(
    gateway: &Gateway,
    settings: &EvolutionSettings,
) -> Result<(), ServiceError> {
    if !settings.ignored.is_empty() {
        let names = settings.ignored.join(", ");
        tracing::warn!(names, "settings of Evolution API that have no meaning here are ignored");
    }
    let Some(wanted) = &settings.global_webhook else { return Ok(()) };
    let new = wanted.url.as_ref().map(|url| NewWebhook {
        url: url.clone(),
        events: wanted.events.clone(),
        chats: ChatFilter::default(),
        headers: BTreeMap::new(),
        secret: None,
        by_events: wanted.by_events,
        enabled: true,
        media: FileForm::None,
        bytes: BytesForm::Objects,
    });
    gateway.webhooks().set_global(&gateway.accounts().admin(), new).await
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

/// Pictures of people and groups, as base64.
const PICTURE_LIMIT: usize = 16 << 20;

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
        .with(around)
        .with(groups)
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
        .post("/message/sendCarousel/{name}", SEND, message::send_carousel)
        .post("/chat/updateMessage/{name}", SEND, message::edit)
        .delete("/chat/deleteMessageForEveryone/{name}", SEND, message::delete)
        .body_limit(body::MEDIA_LIMIT)
        .post("/message/sendMedia/{name}", SEND, message::send_media)
        .post("/message/sendPtv/{name}", SEND, message::send_ptv)
        .post("/message/sendWhatsAppAudio/{name}", SEND, message::send_audio)
        .post("/message/sendSticker/{name}", SEND, message::send_sticker)
        .post("/message/sendStatus/{name}", SEND, message::send_status)
        .body_limit(JSON_LIMIT)
}

fn chats(surface: Surface) -> Surface {
    surface
        .post("/chat/findMessages/{name}", READ, history::messages)
        .post("/chat/findChats/{name}", READ, history::chats)
        .post("/chat/getBase64FromMediaMessage/{name}", READ, download::base64)
        .post("/chat/findContacts/{name}", READ, history::contacts)
        .post("/chat/findStatusMessage/{name}", READ, history::statuses)
        .get("/chat/findChatByRemoteJid/{name}", READ, history::chat)
        .post("/chat/findChannels/{name}", READ, chat::channels)
        .post("/chat/getPollVote/{name}", READ, poll::votes)
}

fn around(surface: Surface) -> Surface {
    surface
        .post("/instance/setPresence/{name}", SEND, chat::own_presence)
        .post("/chat/whatsappNumbers/{name}", READ, chat::numbers)
        .post("/chat/checkIsWhatsappNumber/{name}", READ, chat::numbers)
        .post("/chat/markMessageAsRead/{name}", SEND, chat::mark_read)
        .post("/chat/markMessageAsPlayed/{name}", SEND, chat::mark_played)
        .post("/chat/archiveChat/{name}", SEND, chat::archive)
        .post("/chat/markChatUnread/{name}", SEND, chat::mark_unread)
        .post("/chat/sendPresence/{name}", SEND, chat::presence)
        .post("/chat/updateBlockStatus/{name}", SEND, chat::block)
        .get("/label/findLabels/{name}", READ, label::find)
        .post("/label/handleLabel/{name}", SEND, label::handle)
        .post("/chat/fetchProfilePictureUrl/{name}", READ, profile::picture_url)
        .post("/chat/fetchProfile/{name}", READ, profile::profile)
        .post("/chat/fetchBusinessProfile/{name}", READ, profile::business)
        .post("/chat/updateProfileName/{name}", SEND, profile::set_name)
        .post("/chat/updateProfileStatus/{name}", SEND, profile::set_about)
        .delete("/chat/removeProfilePicture/{name}", SEND, profile::remove_picture)
        .get("/chat/fetchPrivacySettings/{name}", READ, profile::privacy)
        .post("/chat/updatePrivacySettings/{name}", SEND, profile::set_privacy)
        .body_limit(PICTURE_LIMIT)
        .post("/chat/updateProfilePicture/{name}", SEND, profile::set_picture)
        .post("/group/updateGroupPicture/{name}", SEND, group::picture)
        .body_limit(JSON_LIMIT)
}

fn groups(surface: Surface) -> Surface {
    surface
        .post("/group/create/{name}", SEND, group::create)
        .post("/group/updateGroupSubject/{name}", SEND, group::subject)
        .post("/group/updateGroupDescription/{name}", SEND, group::describe)
        .get("/group/findGroupInfos/{name}", READ, group::find)
        .get("/group/fetchAllGroups/{name}", READ, group::fetch_all)
        .get("/group/participants/{name}", READ, group::participants)
        .get("/group/inviteCode/{name}", READ, group::invite_code)
        .get("/group/inviteInfo/{name}", READ, group::info)
        .get("/group/acceptInviteCode/{name}", SEND, group::accept)
        .post("/group/sendInvite/{name}", SEND, group::send_invite)
        .post("/group/revokeInviteCode/{name}", SEND, group::revoke)
        .post("/group/updateParticipant/{name}", SEND, group::members)
        .post("/group/updateSetting/{name}", SEND, group::setting)
        .post("/group/updateMemberAddMode/{name}", SEND, group::member_add_mode)
        .post("/group/toggleEphemeral/{name}", SEND, group::ephemeral)
        .delete("/group/leaveGroup/{name}", SEND, group::leave)
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
