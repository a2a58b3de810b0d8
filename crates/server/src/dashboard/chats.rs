//! `/i/{name}/chats`: who wrote, what was said, and an answer. The thread follows the events of its instance
//! where there is a script.

use super::frame::{Did, Frame, encoded};
use super::session::{Submitted, Viewer};
use super::view::{Moment, one_line};
use super::{page, pages};
use crate::app::AppState;
use crate::extract::{Asked, Named, instance_name};
use crate::problem::Problem;
use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use flowcore_domain::instance::InstanceName;
use flowcore_domain::jid::Jid;
use flowcore_domain::message::DeliveryStatus;
use flowcore_gateway::{
    ChatFilter, ChatOverview, MAX_TEXT, MessageFilter, Page, ServiceError, StoredMessage,
};

const CHATS: usize = 100;
const MESSAGES: usize = 60;

#[derive(Template)]
#[template(path = "chats.html")]
struct ChatsPage {
    frame: Frame,
    name: String,
    chats: Vec<Row>,
    page: usize,
    more: bool,
}

struct Row {
    link: String,
    title: String,
    text: String,
    from_me: bool,
    unread: i64,
    at: Moment,
}

/// Who the other side is: their name, else their number, else the address.
fn title(chat: &ChatOverview) -> String {
    let named = chat.push_name.as_deref().map(one_line).filter(|name| !name.is_empty());
    named.unwrap_or_else(|| address_of(chat).as_str().to_owned())
}

/// The address that people know: the phone number where there is one.
fn address_of(chat: &ChatOverview) -> Shown {
    let mut all = std::iter::once(&chat.address).chain(&chat.addresses);
    let known = all.find(|jid| jid.to_string().ends_with("@s.whatsapp.net"));
    Shown(known.unwrap_or(&chat.address).to_string())
}

/// An address as it is shown.
struct Shown(String);

impl Shown {
    fn as_str(&self) -> &str {
        self.0.strip_suffix("@s.whatsapp.net").unwrap_or(&self.0)
    }
}

/// What a line says of a message.
pub(super) fn summary(message: &StoredMessage) -> String {
    let text = message.text.as_deref().map(one_line).filter(|text| !text.is_empty());
    text.unwrap_or_else(|| format!("[{}]", message.kind.trim_end_matches("Message")))
}

/// Where a list begins.
#[derive(Debug, Default, serde::Deserialize)]
pub(crate) struct Which {
    #[serde(default)]
    page: usize,
}

impl Which {
    /// Which page.
    pub(super) fn at(&self) -> usize {
        turned(self.page)
    }
}

/// As many pages as anybody turns.
pub(super) fn turned(page: usize) -> usize {
    page.min(10_000)
}

/// `GET /i/{name}/chats`
pub(crate) async fn list(
    State(state): State<AppState>,
    viewer: Viewer,
    Named(name): Named<String>,
    Asked(which): Asked<Which>,
) -> Result<Response, Problem> {
    let instance = pages::find(&state, &viewer, &name).await?;
    let name = instance.name;
    let at = which.at();
    let part = Page { skip: at * CHATS, take: CHATS + 1 };
    let conversations = state.gateway.conversations();
    let filter = ChatFilter::default();
    let mut chats = conversations.chats(&viewer.caller, &name, &filter, part).await?;
    let more = chats.len() > CHATS;
    chats.truncate(CHATS);
    let row = |chat: &ChatOverview| Row {
        link: encoded(&address_of(chat).0),
        title: title(chat),
        text: chat.last_message.as_ref().map(summary).unwrap_or_default(),
        from_me: chat.last_message.as_ref().is_some_and(|message| message.from_me),
        unread: chat.unread,
        at: chat.last_message_at.into(),
    };
    Ok(page(&ChatsPage {
        frame: Frame::of(&viewer, "chats").about(&name),
        name: name.to_string(),
        chats: chats.iter().map(row).collect(),
        page: at,
        more,
    }))
}

#[derive(Template)]
#[template(path = "chat.html")]
struct ChatPage {
    frame: Frame,
    name: String,
    link: String,
    title: String,
    address: String,
    bubbles: Vec<Bubble>,
    wrong: Option<String>,
    /// What was typed.
    text: String,
    most: usize,
}

struct Bubble {
    own: bool,
    who: Option<String>,
    text: String,
    at: Moment,
    ticks: &'static str,
    state: &'static str,
    edited: bool,
    revoked: bool,
    trace: String,
}

impl Bubble {
    fn new(message: &StoredMessage) -> Self {
        let (ticks, state) = if message.from_me { ticks(message.status) } else { ("", "") };
        Self {
            own: message.from_me,
            who: message.push_name.as_deref().map(one_line).filter(|_| message.chat.is_group()),
            text: match &message.text {
                Some(text) if !text.is_empty() => text.clone(),
                _ => summary(message),
            },
            at: message.at.into(),
            ticks,
            state,
            edited: message.edited_at.is_some(),
            revoked: message.revoked_at.is_some(),
            trace: encoded(&message.wa_id),
        }
    }
}

/// As phones show how far a message got, and the word for it.
fn ticks(status: DeliveryStatus) -> (&'static str, &'static str) {
    let mark = match status {
        DeliveryStatus::Error => "!",
        DeliveryStatus::Pending => "◷",
        DeliveryStatus::ServerAck => "✓",
        _ => "✓✓",
    };
    (mark, status.as_str())
}

async fn thread(
    state: &AppState,
    viewer: &Viewer,
    (name, chat): (&InstanceName, &Jid),
    (frame, wrong, text): (Frame, Option<String>, String),
) -> Result<Response, Problem> {
    let conversations = state.gateway.conversations();
    let filter = ChatFilter { chat: Some(chat.clone()), ..ChatFilter::default() };
    let found =
        conversations.chats(&viewer.caller, name, &filter, Page { skip: 0, take: 1 }).await?;
    let overview = found.first().ok_or_else(Problem::not_found)?;
    let filter = MessageFilter { chat: Some(chat.clone()), ..MessageFilter::default() };
    let part = Page { skip: 0, take: MESSAGES };
    let (_, mut messages) = conversations.messages(&viewer.caller, name, &filter, part).await?;
    messages.reverse();
    let status = if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let mut response = page(&ChatPage {
        frame,
        name: name.to_string(),
        link: encoded(&chat.to_string()),
        title: title(overview),
        address: address_of(overview).as_str().to_owned(),
        bubbles: messages.iter().map(Bubble::new).collect(),
        wrong,
        text,
        most: MAX_TEXT,
    });
    *response.status_mut() = status;
    Ok(response)
}

fn chat_of(text: &str) -> Result<Jid, Problem> {
    text.parse().map_err(|_| Problem::not_found())
}

/// `GET /i/{name}/chats/{chat}`
pub(crate) async fn show(
    State(state): State<AppState>,
    viewer: Viewer,
    Named((name, chat)): Named<(String, String)>,
    Asked(did): Asked<Did>,
) -> Result<Response, Problem> {
    let instance = pages::find(&state, &viewer, &name).await?;
    let frame = Frame::of(&viewer, "chats").about(&instance.name).after(&did);
    let shown = (&instance.name, &chat_of(&chat)?);
    thread(&state, &viewer, shown, (frame, None, String::new())).await
}

/// `POST /i/{name}/chats/{chat}`: an answer.
pub(crate) async fn reply(
    State(state): State<AppState>,
    Named((name, chat)): Named<(String, String)>,
    submitted: Submitted,
) -> Result<Response, Problem> {
    let (name, chat) = (instance_name(&name)?, chat_of(&chat)?);
    let viewer = &submitted.viewer;
    let text = submitted.text("message");
    let messages = state.gateway.messages();
    match messages.send_text(&viewer.caller, &name, (&chat.to_string(), text), None).await {
        Ok(sent) => {
            let did = if sent.acknowledged { "sent" } else { "pending" };
            let link = encoded(&chat.to_string());
            Ok(Redirect::to(&format!("/i/{name}/chats/{link}?did={did}")).into_response())
        }
        Err(error @ ServiceError::InstanceNotFound) => Err(error.into()),
        Err(error) => {
            let problem = Problem::from(error);
            let frame = Frame::of(viewer, "chats").about(&name);
            let said = (frame, Some(problem.detail), text.to_owned());
            thread(&state, viewer, (&name, &chat), said).await
        }
    }
}
