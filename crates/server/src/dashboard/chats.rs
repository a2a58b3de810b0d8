//! `/i/{name}/chats`: who wrote, and messages found by their words. What was said in one is in [`thread`].

pub(super) mod thread;

use super::frame::{Frame, encoded};
use super::session::Viewer;
use super::view::{Moment, one_line};
use super::{page, pages};
use crate::app::AppState;
use crate::extract::{Asked, OfInstance};
use crate::problem::Problem;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use flowcore_domain::instance::InstanceName;
use flowcore_domain::jid::Jid;
use flowcore_gateway::{ChatFilter, ChatOverview, Page, StoredMessage};
use std::collections::HashMap;

const CHATS: usize = 100;
/// Messages of one page of a search.
const FOUND: usize = 30;

#[derive(Template)]
#[template(path = "chats.html")]
struct ChatsPage {
    frame: Frame,
    name: String,
    chats: Vec<Row>,
    page: usize,
    more: bool,
    search: String,
    /// What the search found, and the message to go on after.
    found: Option<Vec<Found>>,
    next: Option<String>,
}

/// A message with the words that were looked for.
struct Found {
    id: String,
    link: String,
    title: String,
    text: String,
    from_me: bool,
    at: Moment,
    /// The same for addresses.
    ms: i64,
}

struct Row {
    link: String,
    title: String,
    text: String,
    from_me: bool,
    unread: i64,
    at: Moment,
}

/// What groups are called.
type Groups = HashMap<Jid, String>;

/// What those of these conversations are called that are groups.
async fn groups(
    state: &AppState,
    viewer: &Viewer,
    name: &InstanceName,
    chats: &[ChatOverview],
) -> Result<Groups, Problem> {
    let addresses: Vec<Jid> = chats.iter().map(|chat| chat.address.clone()).collect();
    Ok(state.gateway.groups().names_at_hand(&viewer.caller, name, &addresses).await?)
}

/// Who the other side is: their name, else their number, else the address.
fn title(chat: &ChatOverview, groups: &Groups) -> String {
    let named = chat.push_name.as_ref().or_else(|| groups.get(&chat.address));
    let named = named.map(|name| one_line(name)).filter(|name| !name.is_empty());
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

/// As many pages as anybody turns.
pub(super) fn turned(page: usize) -> usize {
    page.min(10_000)
}

/// Which conversations, or which words are looked for in all of them.
#[derive(Debug, Default, serde::Deserialize)]
pub(crate) struct Query {
    #[serde(default)]
    page: usize,
    #[serde(default)]
    search: String,
    before: Option<String>,
}

/// `GET /i/{name}/chats`
pub(crate) async fn list(
    State(state): State<AppState>,
    viewer: Viewer,
    OfInstance(name): OfInstance,
    Asked(query): Asked<Query>,
) -> Result<Response, Problem> {
    let instance = pages::find(&state, &viewer, &name).await?;
    let name = instance.name;
    if !query.search.trim().is_empty() {
        return search(&state, &viewer, &name, query).await;
    }
    let at = turned(query.page);
    let part = Page { skip: at * CHATS, take: CHATS + 1 };
    let conversations = state.gateway.conversations();
    let filter = ChatFilter::default();
    let mut chats = conversations.chats(&viewer.caller, &name, &filter, part).await?;
    let more = chats.len() > CHATS;
    chats.truncate(CHATS);
    let groups = groups(&state, &viewer, &name, &chats).await?;
    let row = |chat: &ChatOverview| Row {
        link: encoded(&address_of(chat).0),
        title: title(chat, &groups),
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
        search: String::new(),
        found: None,
        next: None,
    }))
}

/// The messages that hold the words, newest first, each with the conversation it is in.
async fn search(
    state: &AppState,
    viewer: &Viewer,
    name: &InstanceName,
    query: Query,
) -> Result<Response, Problem> {
    let before = query.before.as_deref().map(str::parse).transpose();
    let before = before.map_err(|_| Problem::not_found())?;
    let conversations = state.gateway.conversations();
    let words = query.search.trim();
    let mut messages =
        conversations.search(&viewer.caller, name, (words, before), FOUND + 1).await?;
    let more = messages.len() > FOUND;
    messages.truncate(FOUND);
    let mut known: HashMap<Jid, (String, String)> = HashMap::new();
    let mut found = Vec::with_capacity(messages.len());
    for message in &messages {
        if !known.contains_key(&message.chat) {
            let chat = known_as(state, viewer, name, &message.chat).await?;
            known.insert(message.chat.clone(), chat);
        }
        let (title, link) = known[&message.chat].clone();
        found.push(Found {
            id: message.row_id.text(),
            link,
            title,
            text: summary(message),
            from_me: message.from_me,
            at: message.at.into(),
            ms: message.at.0,
        });
    }
    Ok(page(&ChatsPage {
        frame: Frame::of(viewer, "chats").about(name),
        name: name.to_string(),
        chats: vec![],
        page: 0,
        more: false,
        search: words.to_owned(),
        next: found.last().filter(|_| more).map(|one| one.id.clone()),
        found: Some(found),
    }))
}

/// What a conversation is called, and its address as a piece of a path.
async fn known_as(
    state: &AppState,
    viewer: &Viewer,
    name: &InstanceName,
    chat: &Jid,
) -> Result<(String, String), Problem> {
    let filter = ChatFilter { chat: Some(chat.clone()), ..ChatFilter::default() };
    let first = Page { skip: 0, take: 1 };
    let conversations = state.gateway.conversations();
    let chats = conversations.chats(&viewer.caller, name, &filter, first).await?;
    let groups = groups(state, viewer, name, &chats).await?;
    Ok(match chats.first() {
        Some(chat) => (title(chat, &groups), encoded(&address_of(chat).0)),
        None => (chat.to_string(), encoded(&chat.to_string())),
    })
}
