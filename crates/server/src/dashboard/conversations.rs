//! `/conversations`: who answers which customer, what was said, and a person who comes in or goes. The thread and
//! its forms are also on the page of an escalation.

use super::chats::turned;
use super::frame::{Did, Frame, done};
use super::session::{Submitted, Viewer};
use super::view::{Moment, international, one_line};
use super::words::Language;
use super::{page, states};
use crate::api::conversations::read_id;
use crate::app::AppState;
use crate::extract::{Asked, Named, instance_name};
use crate::problem::Problem;
use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use flowcore_domain::conversation::{ConversationStatus, Owner, Role};
use flowcore_domain::id::{ConversationId, EscalationId};
use flowcore_gateway::{
    Conversation, ConversationQuery, ConversationView, MAX_TEXT, Page, Said, Transition,
};
use serde::Deserialize;

const MOST: usize = 50;
/// Entries of a thread, and changes of who answers.
const SAID: usize = 100;

/// Which conversations, and where the page begins.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Query {
    #[serde(default)]
    instance: String,
    #[serde(default)]
    owner: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    page: usize,
    #[serde(flatten)]
    did: Did,
}

#[derive(Template)]
#[template(path = "conversations.html")]
struct ConversationsPage {
    frame: Frame,
    rows: Vec<Row>,
    instance: String,
    owner: String,
    status: String,
    page: usize,
    more: bool,
}

struct Row {
    id: String,
    title: String,
    instance: String,
    standing: Standing,
    at: Moment,
}

/// Who answers, in a word and its colour.
pub(super) struct Standing {
    pub(super) word: &'static str,
    pub(super) badge: &'static str,
}

impl Standing {
    pub(super) fn of(conversation: &Conversation, w: Language) -> Self {
        let standing = conversation.standing;
        let (word, badge) = match (standing.owner, standing.status) {
            (_, ConversationStatus::Escalated) => (w.say("Waits for a person"), "disconnected"),
            (Owner::Human, _) => (w.say("A person answers"), "connecting"),
            (Owner::Ai, _) => (w.say("The assistant answers"), "connected"),
            (Owner::Paused, _) => (w.say("Silenced"), ""),
            (Owner::Closed, _) => (w.say("Over"), ""),
        };
        Self { word, badge }
    }
}

/// Who a conversation is with.
pub(super) fn title(conversation: &Conversation) -> String {
    let name = conversation.name.as_deref().map(one_line).filter(|name| !name.is_empty());
    name.or_else(|| conversation.phone().map(international))
        .unwrap_or_else(|| conversation.chat.to_string())
}

/// `GET /conversations`, the last active first.
pub(crate) async fn list(
    State(state): State<AppState>,
    viewer: Viewer,
    Asked(query): Asked<Query>,
) -> Result<Response, Problem> {
    let name = Some(query.instance.trim()).filter(|name| !name.is_empty());
    let asked = ConversationQuery {
        instance: name.map(instance_name).transpose()?,
        status: ConversationStatus::parse(&query.status),
        owner: Owner::parse(&query.owner),
    };
    let at = turned(query.page);
    let part = Page { skip: at * MOST, take: MOST + 1 };
    let mut found = state.gateway.support().conversations(&viewer.caller, asked, part).await?;
    let more = found.len() > MOST;
    found.truncate(MOST);
    let frame = Frame::of(&viewer, "conversations").after(&query.did);
    let row = |view: &ConversationView| Row {
        id: view.conversation.id.text(),
        title: title(&view.conversation),
        instance: view.instance.to_string(),
        standing: Standing::of(&view.conversation, frame.w),
        at: view.conversation.last_message_at.into(),
    };
    Ok(page(&ConversationsPage {
        rows: found.iter().map(row).collect(),
        instance: query.instance,
        owner: query.owner,
        status: query.status,
        page: at,
        more,
        frame,
    }))
}

/// A conversation as its page and that of its escalation show it.
pub(super) struct Thread {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) phone: Option<String>,
    pub(super) instance: String,
    pub(super) standing: Standing,
    pub(super) owner: &'static str,
    /// It goes on: a person can come in.
    pub(super) open: bool,
    pub(super) bubbles: Vec<Bubble>,
    pub(super) changes: Vec<Change>,
    /// What was typed.
    pub(super) text: String,
    pub(super) most: usize,
    /// The escalation that forms lead back to.
    pub(super) escalation: Option<String>,
}

pub(super) struct Bubble {
    pub(super) own: bool,
    pub(super) who: &'static str,
    pub(super) text: String,
    pub(super) at: Moment,
}

impl Bubble {
    fn new(said: &Said, w: Language) -> Self {
        let kind = said.metadata["kind"].as_str().unwrap_or("message");
        let empty = said.content.trim().is_empty();
        Self {
            own: said.role != Role::User,
            who: speaker(said, w),
            text: if empty {
                format!("[{}]", kind.trim_end_matches("Message"))
            } else {
                said.content.clone()
            },
            at: said.at.into(),
        }
    }
}

/// Who said it; nobody for the customer, whose side that is.
pub(super) fn speaker(said: &Said, w: Language) -> &'static str {
    match said.role {
        Role::User => "",
        Role::Assistant if said.metadata["by"] == "template" => w.say("Automatic"),
        Role::Assistant => w.say("Assistant"),
        Role::Human => w.say("Team"),
    }
}

/// A change of who answers.
pub(super) struct Change {
    pub(super) step: &'static str,
    pub(super) from: &'static str,
    pub(super) to: &'static str,
    pub(super) at: Moment,
}

impl Change {
    fn new(change: &Transition, w: Language) -> Self {
        Self {
            step: states::step(&change.step, w),
            from: states::owner(change.owners.0, w),
            to: states::owner(change.owners.1, w),
            at: change.at.into(),
        }
    }
}

impl Thread {
    pub(super) async fn read(
        state: &AppState,
        viewer: &Viewer,
        id: ConversationId,
    ) -> Result<Self, Problem> {
        let (support, w) = (state.gateway.support(), viewer.language);
        let view = support.conversation(&viewer.caller, id).await?;
        let mut said = support.said(&viewer.caller, id, (None, SAID)).await?;
        said.reverse();
        let changes = support.transitions(&viewer.caller, id).await?;
        let one = &view.conversation;
        Ok(Self {
            id: id.text(),
            title: title(one),
            phone: one.phone().map(international),
            instance: view.instance.to_string(),
            standing: Standing::of(one, w),
            owner: one.standing.owner.as_str(),
            open: one.standing.status != ConversationStatus::Expired,
            bubbles: said.iter().map(|one| Bubble::new(one, w)).collect(),
            changes: changes.iter().map(|one| Change::new(one, w)).collect(),
            text: String::new(),
            most: MAX_TEXT,
            escalation: None,
        })
    }
}

#[derive(Template)]
#[template(path = "conversation.html")]
struct ConversationPage {
    frame: Frame,
    thread: Thread,
    wrong: Option<String>,
}

/// `GET /conversations/{id}`
pub(crate) async fn show(
    State(state): State<AppState>,
    viewer: Viewer,
    Named(id): Named<String>,
    Asked(did): Asked<Did>,
) -> Result<Response, Problem> {
    let thread = Thread::read(&state, &viewer, read_id(&id)?).await?;
    let frame = Frame::of(&viewer, "conversations").after(&did);
    Ok(page(&ConversationPage { frame, thread, wrong: None }))
}

/// Where a form of a thread leads: back to the page that it was on.
fn back(submitted: &Submitted, id: ConversationId, did: &str) -> Response {
    let escalation = submitted.text("escalation").parse::<EscalationId>();
    let path = escalation
        .map_or_else(|_| format!("/conversations/{id}"), |one| format!("/escalations/{one}"));
    done(&path, did).into_response()
}

/// The conversation once more, with what is wrong and what was typed.
async fn refused(
    state: &AppState,
    submitted: &Submitted,
    id: ConversationId,
    problem: Problem,
) -> Result<Response, Problem> {
    if problem.status == StatusCode::NOT_FOUND
        || problem.status == StatusCode::INTERNAL_SERVER_ERROR
    {
        return Err(problem);
    }
    let viewer = &submitted.viewer;
    let mut thread = Thread::read(state, viewer, id).await?;
    submitted.typed("message").clone_into(&mut thread.text);
    let frame = Frame::of(viewer, "conversations");
    let mut response = page(&ConversationPage { frame, thread, wrong: Some(problem.detail) });
    *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    Ok(response)
}

/// `POST /conversations/{id}`: a person answers, and has it from then on.
pub(crate) async fn say(
    State(state): State<AppState>,
    Named(id): Named<String>,
    submitted: Submitted,
) -> Result<Response, Problem> {
    let id = read_id(&id)?;
    let text = submitted.text("message").replace("\r\n", "\n");
    match state.gateway.support().say(&submitted.viewer.caller, id, &text).await {
        Ok(_) => Ok(back(&submitted, id, "sent")),
        Err(error) => refused(&state, &submitted, id, error.into()).await,
    }
}

/// `POST /conversations/{id}/takeover`
pub(crate) async fn take_over(
    State(state): State<AppState>,
    Named(id): Named<String>,
    submitted: Submitted,
) -> Result<Response, Problem> {
    let id = read_id(&id)?;
    match state.gateway.support().take_over(&submitted.viewer.caller, id).await {
        Ok(_) => Ok(back(&submitted, id, "taken-over")),
        Err(error) => refused(&state, &submitted, id, error.into()).await,
    }
}

/// `POST /conversations/{id}/release`
pub(crate) async fn release(
    State(state): State<AppState>,
    Named(id): Named<String>,
    submitted: Submitted,
) -> Result<Response, Problem> {
    let id = read_id(&id)?;
    match state.gateway.support().release(&submitted.viewer.caller, id).await {
        Ok(_) => Ok(back(&submitted, id, "handed-back")),
        Err(error) => refused(&state, &submitted, id, error.into()).await,
    }
}

/// `POST /conversations/{id}/escalate`
pub(crate) async fn escalate(
    State(state): State<AppState>,
    Named(id): Named<String>,
    submitted: Submitted,
) -> Result<Response, Problem> {
    let id = read_id(&id)?;
    match state.gateway.support().escalate(&submitted.viewer.caller, id).await {
        Ok(_) => Ok(back(&submitted, id, "escalated")),
        Err(error) => refused(&state, &submitted, id, error.into()).await,
    }
}
