//! `/i/{name}/chats/{chat}`: what was said in one conversation, with its pictures and recordings, and an answer.
//! Where there is a script the thread follows what comes.
//!
//! Files are not kept here: a page names where the API has them, and the browser asks for those that are looked at. What
//! their senders say of them is not believed: pictures are pictures to the browser whatever they are called.

use super::{address_of, groups, title, turned};
use crate::app::AppState;
use crate::dashboard::frame::{Did, Frame, encoded};
use crate::dashboard::session::{Submitted, Viewer};
use crate::dashboard::view::{Moment, one_line};
use crate::dashboard::words::Language;
use crate::dashboard::{page, pages, states};
use crate::extract::{Asked, Named, instance_name};
use crate::problem::Problem;
use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flowcore_domain::clock::Millis;
use flowcore_domain::instance::{InstanceName, Status};
use flowcore_domain::jid::Jid;
use flowcore_domain::message::DeliveryStatus;
use flowcore_gateway::{
    ChatFilter, MAX_TEXT, Media, MessageFilter, Page, ServiceError, StoredMessage,
};

const MESSAGES: usize = 60;
/// Longest thumbnail that is put into a page, in characters of base64.
const MAX_THUMBNAIL: usize = 16 << 10;

#[derive(Template)]
#[template(path = "chat.html")]
struct ChatPage {
    frame: Frame,
    name: String,
    link: String,
    title: String,
    address: String,
    bubbles: Vec<Bubble>,
    /// The queries of older messages and of newer ones.
    older: Option<String>,
    newer: Option<String>,
    wrong: Option<String>,
    /// What was typed.
    text: String,
    most: usize,
}

struct Bubble {
    id: String,
    own: bool,
    who: Option<String>,
    text: String,
    file: Option<Attachment>,
    at: Moment,
    ticks: &'static str,
    word: &'static str,
    state: &'static str,
    edited: bool,
    revoked: bool,
    trace: String,
}

impl Bubble {
    /// `fetched` says where its file is, when files can be had.
    fn new(message: &StoredMessage, name: &InstanceName, (fetched, w): (bool, Language)) -> Self {
        let status = message.from_me.then_some(message.status);
        let file = Attachment::of(message, name, fetched).filter(|_| message.revoked_at.is_none());
        let text = message.text.clone().filter(|text| !text.is_empty());
        Self {
            id: message.row_id.text(),
            own: message.from_me,
            who: message.push_name.as_deref().map(one_line).filter(|_| message.chat.is_group()),
            text: match text {
                Some(text) => text,
                None if file.is_some() => String::new(),
                None => super::summary(message),
            },
            file,
            at: message.at.into(),
            ticks: status.map_or("", ticks),
            state: status.map_or("", DeliveryStatus::as_str),
            word: status.map_or("", |status| states::message(status, w)),
            edited: message.edited_at.is_some(),
            revoked: message.revoked_at.is_some(),
            trace: encoded(&message.wa_id),
        }
    }
}

/// As what a file is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    Picture,
    Sticker,
    Film,
    Recording,
    Document,
}

/// The file of a message.
struct Attachment {
    look: Look,
    /// Where it is; `None` while the number is not connected, as files are fetched from WhatsApp.
    url: Option<String>,
    /// The small picture that came with it, as an address of its own.
    thumbnail: Option<String>,
    wide: i64,
    high: i64,
    name: String,
    lasts: Option<String>,
}

impl Attachment {
    fn of(message: &StoredMessage, name: &InstanceName, fetched: bool) -> Option<Self> {
        let media = Media::of(message)?;
        let look = match media.kind.as_str() {
            "imageMessage" => Look::Picture,
            "stickerMessage" => Look::Sticker,
            "videoMessage" | "ptvMessage" => Look::Film,
            "audioMessage" => Look::Recording,
            _ => Look::Document,
        };
        let path = || format!("/api/instances/{name}/messages/{}/media", encoded(&message.wa_id));
        let (wide, high) = match (media.width, media.height) {
            (Some(wide @ 1..=20_000), Some(high @ 1..=20_000)) => (wide, high),
            _ => (4, 3),
        };
        Some(Self {
            look,
            url: fetched.then(path),
            thumbnail: thumbnail(message),
            wide,
            high,
            name: media.file_name.as_deref().map(one_line).unwrap_or_default(),
            lasts: media.seconds.filter(|seconds| (1..86_400).contains(seconds)).map(lasts),
        })
    }

    /// What a picture is shown from: the file, else what came with the message.
    fn picture(&self) -> Option<&str> {
        self.url.as_deref().or(self.thumbnail.as_deref())
    }
}

fn lasts(seconds: i64) -> String {
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

fn thumbnail(message: &StoredMessage) -> Option<String> {
    let said = message.content.get(&message.kind)?.get("jpegThumbnail")?.as_str()?;
    let fits = !said.is_empty() && said.len() <= MAX_THUMBNAIL && STANDARD.decode(said).is_ok();
    fits.then(|| format!("data:image/jpeg;base64,{said}"))
}

/// As phones show how far a message got.
fn ticks(status: DeliveryStatus) -> &'static str {
    match status {
        DeliveryStatus::Error => "!",
        DeliveryStatus::Pending => "◷",
        DeliveryStatus::ServerAck => "✓",
        _ => "✓✓",
    }
}

/// Which messages: the newest, or those up to a time.
#[derive(Debug, Default, serde::Deserialize)]
pub(crate) struct Query {
    to: Option<i64>,
    #[serde(default)]
    page: usize,
    #[serde(flatten)]
    did: Did,
}

impl Query {
    fn turned(&self, page: usize) -> String {
        let to = self.to.map(|to| format!("&to={to}")).unwrap_or_default();
        format!("page={page}{to}")
    }
}

/// What the form says besides what is stored.
#[derive(Default)]
struct Typed {
    wrong: Option<String>,
    text: String,
}

async fn shown(
    state: &AppState,
    viewer: &Viewer,
    (name, chat): (&InstanceName, &Jid),
    (query, typed): (Query, Typed),
) -> Result<Response, Problem> {
    let instance = pages::find(state, viewer, name).await?;
    let conversations = state.gateway.conversations();
    let filter = ChatFilter { chat: Some(chat.clone()), ..ChatFilter::default() };
    let found =
        conversations.chats(&viewer.caller, name, &filter, Page { skip: 0, take: 1 }).await?;
    let overview = found.first().ok_or_else(Problem::not_found)?;
    let groups = groups(state, viewer, name, &found).await?;
    let filter = MessageFilter {
        chat: Some(chat.clone()),
        to: query.to.map(Millis),
        ..MessageFilter::default()
    };
    let at = turned(query.page);
    let part = Page { skip: at * MESSAGES, take: MESSAGES + 1 };
    let (_, mut messages) = conversations.messages(&viewer.caller, name, &filter, part).await?;
    let more = messages.len() > MESSAGES;
    messages.truncate(MESSAGES);
    messages.reverse();
    let fetched = instance.status == Status::Connected;
    let status =
        if typed.wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let mut response = page(&ChatPage {
        frame: Frame::of(viewer, "chats").about(name).after(&query.did),
        name: name.to_string(),
        link: encoded(&chat.to_string()),
        title: title(overview, &groups),
        address: address_of(overview).as_str().to_owned(),
        bubbles: messages
            .iter()
            .map(|one| Bubble::new(one, name, (fetched, viewer.language)))
            .collect(),
        older: more.then(|| query.turned(at + 1)),
        newer: match at {
            0 => query.to.map(|_| String::new()),
            _ => Some(query.turned(at - 1)),
        },
        wrong: typed.wrong,
        text: typed.text,
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
    Asked(query): Asked<Query>,
) -> Result<Response, Problem> {
    let (name, chat) = (instance_name(&name)?, chat_of(&chat)?);
    shown(&state, &viewer, (&name, &chat), (query, Typed::default())).await
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
            let typed = Typed { wrong: Some(problem.detail), text: text.to_owned() };
            shown(&state, viewer, (&name, &chat), (Query::default(), typed)).await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_told_as_phones_tell_them() {
        assert_eq!((lasts(7).as_str(), lasts(754).as_str()), ("0:07", "12:34"));
    }
}
