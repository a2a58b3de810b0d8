//! `/i/{name}/logs`: the latest messages, and the way of each: received, stored, decided, answered, told, delivered.

use super::chats::{summary, turned};
use super::conversations::speaker;
use super::frame::{Frame, encoded};
use super::session::Viewer;
use super::view::{Moment, one_line};
use super::webhooks::Sent;
use super::words::Language;
use super::{page, pages, states};
use crate::app::AppState;
use crate::extract::{Asked, OfId, OfInstance};
use crate::problem::Problem;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use flowcore_domain::jid::{Jid, Server};
use flowcore_gateway::{MessageFilter, Page, Said, StoredMessage, TurnTaken, WebhooksOf};
use serde::Deserialize;

const MOST: usize = 50;

#[derive(Template)]
#[template(path = "logs.html")]
struct LogsPage {
    frame: Frame,
    name: String,
    rows: Vec<Row>,
    page: usize,
    more: bool,
    query: Query,
    /// The same for addresses of other pages.
    kept: String,
}

/// Which messages, and where the page begins.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Query {
    #[serde(default)]
    way: String,
    #[serde(default)]
    chat: String,
    #[serde(default)]
    page: usize,
}

impl Query {
    /// `None` when no message can fit: there is no such chat.
    fn filter(&self) -> Option<MessageFilter> {
        let from_me = match self.way.as_str() {
            "in" => Some(false),
            "out" => Some(true),
            _ => None,
        };
        let typed = self.chat.trim();
        let number = typed.trim_start_matches('+');
        let chat = match typed {
            "" => None,
            _ if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(Jid::new(number, Server::Person).ok()?)
            }
            address => Some(address.parse().ok()?),
        };
        Some(MessageFilter { from_me, chat, ..MessageFilter::default() })
    }

    fn is_empty(&self) -> bool {
        self.way.is_empty() && self.chat.trim().is_empty()
    }
}

struct Row {
    link: String,
    from_me: bool,
    chat: String,
    text: String,
    status: &'static str,
    at: Moment,
}

impl Row {
    fn new(message: &StoredMessage, w: Language) -> Self {
        Self {
            link: encoded(&message.wa_id),
            from_me: message.from_me,
            chat: known_as(message),
            text: summary(message),
            status: states::message(message.status, w),
            at: message.at.into(),
        }
    }
}

/// The conversation by its phone number, where it has one.
fn known_as(message: &StoredMessage) -> String {
    let all = [Some(&message.chat), message.chat_alt.as_ref()].into_iter().flatten();
    let mut all = all.map(ToString::to_string);
    let number = all.find_map(|text| text.strip_suffix("@s.whatsapp.net").map(str::to_owned));
    number.unwrap_or_else(|| message.chat.to_string())
}

/// `GET /i/{name}/logs`
pub(crate) async fn list(
    State(state): State<AppState>,
    viewer: Viewer,
    OfInstance(name): OfInstance,
    Asked(query): Asked<Query>,
) -> Result<Response, Problem> {
    let instance = pages::find(&state, &viewer, &name).await?;
    let at = turned(query.page);
    let part = Page { skip: at * MOST, take: MOST + 1 };
    let conversations = state.gateway.conversations();
    let mut found = match query.filter() {
        Some(filter) => {
            conversations.messages(&viewer.caller, &instance.name, &filter, part).await?.1
        }
        None => vec![],
    };
    let more = found.len() > MOST;
    found.truncate(MOST);
    Ok(page(&LogsPage {
        frame: Frame::of(&viewer, "logs").about(&instance.name),
        name: instance.name.to_string(),
        rows: found.iter().map(|one| Row::new(one, viewer.language)).collect(),
        page: at,
        more,
        kept: format!("way={}&chat={}", encoded(&query.way), encoded(&query.chat)),
        query,
    }))
}

#[derive(Template)]
#[template(path = "trace.html")]
struct TracePage {
    frame: Frame,
    name: String,
    id: String,
    message: Option<Way>,
    turn: Option<Turn>,
    event: Option<(Moment, &'static str)>,
    receipts: Vec<(String, &'static str, Moment)>,
    deliveries: Vec<Sent>,
    passed: Vec<(String, &'static str)>,
    notes: Vec<(String, Moment)>,
}

/// The stations of a message that it carries itself.
struct Way {
    from_me: bool,
    kind: String,
    status: &'static str,
    written: Moment,
    stored: Moment,
    sent: Option<Moment>,
}

/// What became of it in its conversation.
struct Turn {
    conversation: String,
    owner: &'static str,
    changes: Vec<(&'static str, Moment)>,
    answer: Option<Answer>,
}

/// Who answered it, and with what.
struct Answer {
    who: &'static str,
    at: Moment,
    facts: String,
}

impl Turn {
    fn new(turn: &TurnTaken, w: Language) -> Self {
        let changes = turn.changes.iter();
        Self {
            conversation: turn.conversation.text(),
            owner: states::owner(turn.owner, w),
            changes: changes.map(|one| (states::step(&one.step, w), one.at.into())).collect(),
            answer: turn.answer.as_ref().map(|said| Answer {
                who: speaker(said, w),
                at: said.at.into(),
                facts: facts(said, w),
            }),
        }
    }
}

/// The model of an answer, and how many passages it had.
fn facts(said: &Said, w: Language) -> String {
    let Some(model) = said.metadata["model"].as_str() else { return String::new() };
    let passages = said.metadata["passages"].as_array().map_or(0, Vec::len);
    format!("{} · {}", one_line(model), w.fill("{} passages", passages))
}

/// `GET /i/{name}/logs/{id}`
pub(crate) async fn show(
    State(state): State<AppState>,
    viewer: Viewer,
    OfInstance(name): OfInstance,
    OfId(id): OfId,
) -> Result<Response, Problem> {
    let instance = pages::find(&state, &viewer, &name).await?;
    let (name, caller) = (&instance.name, &viewer.caller);
    let trace = state.gateway.traces().of(caller, name, &id).await?;
    let webhooks = state.gateway.webhooks().list(caller, WebhooksOf::Instance(name)).await?;
    let w = viewer.language;
    let url_of = |id| webhooks.iter().find(|one| one.id == id).map(|one| one.url.clone());
    Ok(page(&TracePage {
        frame: Frame::of(&viewer, "logs").about(name),
        name: name.to_string(),
        message: trace.message.as_ref().map(|message| Way {
            from_me: message.from_me,
            kind: message.kind.clone(),
            status: states::message(message.status, w),
            written: message.at.into(),
            stored: message.created_at.into(),
            sent: message.sent_at.map(Moment::from),
        }),
        turn: trace.turn.as_ref().map(|turn| Turn::new(turn, w)),
        event: trace.event.as_ref().map(|one| (one.event.at.into(), one.event.kind.as_str())),
        receipts: trace
            .receipts
            .iter()
            .map(|one| (one.participant.to_string(), states::message(one.status, w), one.at.into()))
            .collect(),
        deliveries: trace.deliveries.iter().map(|one| Sent::new(one, &webhooks, w)).collect(),
        passed: trace
            .passed_over
            .iter()
            .map(|(id, why)| {
                (url_of(*id).unwrap_or_else(|| id.text()), states::passed_over(*why, w))
            })
            .collect(),
        notes: trace.notes.iter().map(|note| (noted(&note.step, w), note.at.into())).collect(),
        id,
    }))
}

/// What a note says. There is one kind so far; another would be shown by its word.
fn noted(step: &str, w: Language) -> String {
    match step {
        "came_again" => w.say("Came again, and was known").to_owned(),
        other => other.to_owned(),
    }
}
