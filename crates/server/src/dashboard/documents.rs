//! `/documents`: what the assistants answer from. Sent as a form or dropped, read in the background, searched as
//! an assistant would search, and given to instances.

use super::attached::Attached;
use super::frame::{Did, Frame, done};
use super::page;
use super::session::{Submitted, Viewer};
use super::view::Moment;
use super::words::Language;
use crate::api::documents::{MAX_SAID, document_id, reason};
use crate::app::AppState;
use crate::extract::{Asked, Named, instance_name};
use crate::problem::Problem;
use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use flowcore_domain::document::DocumentStatus;
use flowcore_domain::id::DocumentId;
use flowcore_gateway::{
    Caller, Document, DocumentPassage, DocumentSource, FoundPassage, InstanceFilter,
};
use serde::Deserialize;

const MOST: usize = 30;
/// Passages of one search: as many as an assistant is given, and some that it is not.
const FOUND: usize = 8;
/// Passages of a document on one page.
const PASSAGES: usize = 40;
/// Names that are offered where one is typed.
const NAMES: usize = 100;

/// Which documents, and what is searched in them.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Query {
    before: Option<String>,
    #[serde(default)]
    ask: String,
    #[serde(default)]
    of: String,
    #[serde(flatten)]
    did: Did,
}

#[derive(Template)]
#[template(path = "documents.html")]
struct DocumentsPage {
    frame: Frame,
    documents: Vec<Row>,
    /// The document to go on after.
    next: Option<String>,
    names: Vec<String>,
    ask: String,
    of: String,
    found: Option<Vec<FoundPassage>>,
    wrong: Option<String>,
    url: String,
}

impl DocumentsPage {
    /// Whether the page should look again by itself, for who has no script.
    fn moves(&self) -> bool {
        self.ask.is_empty() && self.documents.iter().any(|one| one.moving)
    }
}

#[derive(Template)]
#[template(path = "document.html")]
struct DocumentPage {
    frame: Frame,
    document: Row,
    /// How many passages have a vector, where something makes them.
    vectors: Option<u64>,
    /// What it is a copy of.
    original: Option<String>,
    names: Vec<String>,
    /// A part of what was read of it, where that part begins, and where the next one does.
    passages: Vec<DocumentPassage>,
    from: usize,
    next: Option<usize>,
    wrong: Option<String>,
}

impl DocumentPage {
    /// Where the part before this one begins.
    fn before(&self) -> Option<usize> {
        (self.from > 0).then(|| self.from.saturating_sub(PASSAGES))
    }
}

/// Which part of a document's passages.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Part {
    #[serde(default)]
    from: usize,
    #[serde(flatten)]
    did: Did,
}

/// A document as a row.
struct Row {
    id: String,
    name: String,
    source: Option<String>,
    status: &'static str,
    word: &'static str,
    /// It is not read yet.
    moving: bool,
    reason: Option<String>,
    passages: u64,
    size: String,
    instances: Vec<String>,
    came: Moment,
}

impl Row {
    fn new(document: &Document, instances: Vec<String>, w: Language) -> Self {
        Self {
            id: document.id.text(),
            name: document.name.clone(),
            source: document.source.clone(),
            status: badge(document.status),
            word: word(document.status, w),
            moving: matches!(document.status, DocumentStatus::Queued | DocumentStatus::Reading),
            reason: reason(document).map(|(_, sentence)| sentence.to_owned()),
            passages: document.passages,
            size: size(document.bytes),
            instances,
            came: document.created_at.into(),
        }
    }
}

fn word(status: DocumentStatus, w: Language) -> &'static str {
    match status {
        DocumentStatus::Queued => w.say("Waiting"),
        DocumentStatus::Reading => w.say("Being read"),
        DocumentStatus::Indexed => w.say("Ready"),
        DocumentStatus::Failed => w.say("Failed"),
    }
}

/// The colour of a status, as instances have it.
fn badge(status: DocumentStatus) -> &'static str {
    match status {
        DocumentStatus::Queued | DocumentStatus::Reading => "connecting",
        DocumentStatus::Indexed => "connected",
        DocumentStatus::Failed => "disconnected",
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{} KiB", bytes / 1024),
        _ => format!("{}.{} MiB", bytes >> 20, ((bytes % (1 << 20)) * 10) >> 20),
    }
}

/// What the page says besides what is stored.
#[derive(Default)]
struct Shown {
    found: Option<Vec<FoundPassage>>,
    wrong: Option<String>,
    url: String,
}

async fn shown(
    state: &AppState,
    (viewer, query): (&Viewer, Query),
    shown: Shown,
) -> Result<Response, Problem> {
    let frame = Frame::of(viewer, "documents").after(&query.did);
    let before = query.before.as_deref().map(document_id).transpose()?;
    let service = state.gateway.documents();
    let mut listed = service.list(&viewer.caller, None, before, MOST + 1).await?;
    let more = listed.len() > MOST;
    listed.truncate(MOST);
    let mut documents = Vec::with_capacity(listed.len());
    for one in &listed {
        let (_, instances, _) = service.get(&viewer.caller, one.id).await?;
        documents.push(Row::new(one, instances, frame.w));
    }
    let wrong = shown.wrong.is_some();
    let mut response = page(&DocumentsPage {
        frame,
        next: listed.last().filter(|_| more).map(|one| one.id.text()),
        documents,
        names: names(state, &viewer.caller).await?,
        ask: query.ask,
        of: query.of,
        found: shown.found,
        wrong: shown.wrong,
        url: shown.url,
    });
    if wrong {
        *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    }
    Ok(response)
}

async fn names(state: &AppState, caller: &Caller) -> Result<Vec<String>, Problem> {
    let filter = InstanceFilter { limit: NAMES, ..InstanceFilter::default() };
    let listed = state.gateway.instances().list(caller, &filter).await?;
    Ok(listed.iter().map(|one| one.name.to_string()).collect())
}

/// `GET /documents`
pub(crate) async fn list(
    State(state): State<AppState>,
    viewer: Viewer,
    Asked(query): Asked<Query>,
) -> Result<Response, Problem> {
    if query.ask.trim().is_empty() {
        return shown(&state, (&viewer, query), Shown::default()).await;
    }
    let said = match search(&state, &viewer.caller, &query).await {
        Ok(found) => Shown { found: Some(found), ..Shown::default() },
        Err(problem) if problem.status.is_client_error() => {
            Shown { wrong: Some(problem.detail), ..Shown::default() }
        }
        Err(problem) => return Err(problem),
    };
    shown(&state, (&viewer, query), said).await
}

async fn search(
    state: &AppState,
    caller: &Caller,
    query: &Query,
) -> Result<Vec<FoundPassage>, Problem> {
    let asked: String = query.ask.trim().chars().take(MAX_SAID).collect();
    let of = Some(query.of.trim()).filter(|of| !of.is_empty()).map(instance_name).transpose()?;
    let documents = state.gateway.documents();
    Ok(documents.search(caller, of.as_ref(), (&[], &asked), FOUND).await?)
}

/// `POST /documents`: a file or the address of a page, and the instance that answers from it.
pub(crate) async fn create(
    State(state): State<AppState>,
    Attached { submitted, file, room }: Attached,
) -> Result<Response, Problem> {
    let viewer = &submitted.viewer;
    let url = submitted.text("url").to_owned();
    let source = match file {
        Some(file) => DocumentSource::File { name: file.name, bytes: file.bytes },
        None if url.is_empty() => {
            let why = viewer.language.say("Choose a file, or give the address of a page.");
            let said = Shown { wrong: Some(why.to_owned()), ..Shown::default() };
            return shown(&state, (viewer, Query::default()), said).await;
        }
        None => DocumentSource::Page(url.clone()),
    };
    let taken = take(&state, &submitted, source).await;
    drop(room);
    match taken {
        Ok(()) => Ok(done("/documents", "document-taken").into_response()),
        Err(problem) if problem.status.is_client_error() => {
            let said = Shown { wrong: Some(problem.detail), url, found: None };
            shown(&state, (viewer, Query::default()), said).await
        }
        Err(problem) => Err(problem),
    }
}

async fn take(
    state: &AppState,
    submitted: &Submitted,
    source: DocumentSource,
) -> Result<(), Problem> {
    let caller = &submitted.viewer.caller;
    let name = submitted.given("instance").map(instance_name).transpose()?;
    if let Some(name) = &name {
        // Before the document is stored: a name that is wrong must not leave one behind.
        state.gateway.instances().get(caller, name).await?;
    }
    let document = state.gateway.documents().add(caller, source).await?;
    if let Some(name) = &name {
        state.gateway.documents().map(caller, name, document.id).await?;
    }
    Ok(())
}

async fn one(
    state: &AppState,
    viewer: &Viewer,
    (id, part): (DocumentId, &Part),
    wrong: Option<String>,
) -> Result<Response, Problem> {
    let frame = Frame::of(viewer, "documents").after(&part.did);
    let service = state.gateway.documents();
    let (document, instances, vectors) = service.get(&viewer.caller, id).await?;
    let original = service.original(&document).await?;
    let passages = service.passages(&viewer.caller, id, (part.from, PASSAGES)).await?;
    let end = part.from.saturating_add(passages.len());
    let more = !passages.is_empty() && u64::try_from(end).is_ok_and(|end| end < document.passages);
    let status = if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let mut response = page(&DocumentPage {
        passages,
        from: part.from,
        next: more.then_some(end),
        document: Row::new(&document, instances, frame.w),
        vectors,
        original: original.map(|id| id.text()),
        names: names(state, &viewer.caller).await?,
        frame,
        wrong,
    });
    *response.status_mut() = status;
    Ok(response)
}

/// `GET /documents/{id}`
pub(crate) async fn show(
    State(state): State<AppState>,
    viewer: Viewer,
    Named(id): Named<String>,
    Asked(part): Asked<Part>,
) -> Result<Response, Problem> {
    one(&state, &viewer, (document_id(&id)?, &part), None).await
}

/// `POST /documents/{id}/use`: an instance answers from it, or does not any more.
pub(crate) async fn give(
    State(state): State<AppState>,
    Named(id): Named<String>,
    submitted: Submitted,
) -> Result<Response, Problem> {
    let id = document_id(&id)?;
    let caller = &submitted.viewer.caller;
    let giving = async {
        let name = instance_name(submitted.text("instance"))?;
        let documents = state.gateway.documents();
        if submitted.has("away") {
            documents.unmap(caller, &name, id).await?;
        } else {
            documents.map(caller, &name, id).await?;
        }
        Ok::<_, Problem>(())
    };
    match giving.await {
        Ok(()) => Ok(done(&format!("/documents/{id}"), "saved").into_response()),
        Err(problem) if problem.status.is_client_error() => {
            let wrong = Some(problem.detail);
            one(&state, &submitted.viewer, (id, &Part::default()), wrong).await
        }
        Err(problem) => Err(problem),
    }
}

/// `POST /documents/{id}/delete`
pub(crate) async fn delete(
    State(state): State<AppState>,
    Named(id): Named<String>,
    submitted: Submitted,
) -> Result<Response, Problem> {
    let caller = &submitted.viewer.caller;
    state.gateway.documents().delete(caller, document_id(&id)?).await?;
    Ok(done("/documents", "document-gone").into_response())
}
