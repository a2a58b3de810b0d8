//! `/i/{name}`: how an instance is doing, and a day of its messages. The picture has a table beside it.

use super::frame::{Did, Frame};
use super::session::Viewer;
use super::view::{Moment, international, one_line, sentence, word};
use super::{live, page, pages};
use crate::app::AppState;
use crate::extract::{Asked, OfInstance};
use crate::problem::Problem;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use flowcore_domain::clock::Millis;
use flowcore_domain::instance::InstanceName;
use flowcore_domain::webhook::OffBecause;
use flowcore_gateway::{MessageFilter, Page, ServiceError, WebhooksOf};
use std::fmt::Write as _;

const HOUR: i64 = 3_600_000;
const HOURS: i64 = 24;
/// The size of the picture, in its own units.
const WIDTH: u64 = 480;
const HEIGHT: u64 = 80;

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    frame: Frame,
    name: String,
    status: &'static str,
    word: &'static str,
    sentence: Option<&'static str>,
    number: Option<String>,
    profile: Option<String>,
    connected: Option<Moment>,
    last_in: Option<Moment>,
    last_out: Option<Moment>,
    /// What a number takes of the server's memory, for who runs it.
    memory: Option<String>,
    hours: Vec<Hour>,
    bars: Bars,
    total_in: i64,
    total_out: i64,
    /// Webhooks that were switched off or paused because they failed.
    failing: Vec<(String, &'static str)>,
}

/// An hour of messages.
struct Hour {
    begins: Moment,
    came: i64,
    went: i64,
}

/// Paths of the two rows of bars.
#[derive(Default)]
struct Bars {
    came: String,
    went: String,
}

/// `GET /i/{name}`
pub(crate) async fn show(
    State(state): State<AppState>,
    viewer: Viewer,
    OfInstance(name): OfInstance,
    Asked(did): Asked<Did>,
) -> Result<Response, Problem> {
    let view = pages::find(&state, &viewer, &name).await?;
    let frame = Frame::of(&viewer, "overview").about(&view.name).after(&did);
    let hours = hours(&state, &viewer, &view.name).await?;
    Ok(page(&OverviewPage {
        name: view.name.to_string(),
        status: view.status.as_str(),
        word: word(view.status, frame.w),
        sentence: sentence(&view, frame.w),
        number: view.number.as_deref().map(international),
        profile: view.profile_name.as_deref().map(one_line),
        connected: view.last_connected.map(Moment::from),
        last_in: last(&state, &viewer, &view.name, false).await?,
        last_out: last(&state, &viewer, &view.name, true).await?,
        memory: memory(&state, &viewer).await?,
        bars: bars(&hours),
        total_in: hours.iter().map(|hour| hour.came).sum(),
        total_out: hours.iter().map(|hour| hour.went).sum(),
        failing: failing(&state, &viewer, &view.name).await?,
        hours,
        frame,
    }))
}

/// In KiB: a number takes about half a MiB.
async fn memory(state: &AppState, viewer: &Viewer) -> Result<Option<String>, Problem> {
    if !viewer.caller.is_admin() {
        return Ok(None);
    }
    let each = state.gateway.memory_each().await.map_err(ServiceError::from)?;
    Ok(each.map(|bytes| format!("{} KiB", bytes.div_ceil(1024))))
}

/// The addresses of webhooks that get nothing now, and why.
async fn failing(
    state: &AppState,
    viewer: &Viewer,
    name: &InstanceName,
) -> Result<Vec<(String, &'static str)>, Problem> {
    let webhooks = state.gateway.webhooks();
    let all = webhooks.list(&viewer.caller, WebhooksOf::Instance(name)).await?;
    let off = all.iter().filter_map(|one| {
        let why = one.health.off_because.map(OffBecause::as_str);
        let paused = one.health.paused_until.map(|_| "paused");
        Some((one.url.clone(), why.or(paused)?))
    });
    Ok(off.collect())
}

async fn last(
    state: &AppState,
    viewer: &Viewer,
    name: &InstanceName,
    from_me: bool,
) -> Result<Option<Moment>, Problem> {
    let filter = MessageFilter { from_me: Some(from_me), ..MessageFilter::default() };
    let conversations = state.gateway.conversations();
    let page = Page { skip: 0, take: 1 };
    let (_, found) = conversations.messages(&viewer.caller, name, &filter, page).await?;
    Ok(found.first().map(|message| message.at.into()))
}

/// The messages of each of the last hours, counted by the store.
async fn hours(
    state: &AppState,
    viewer: &Viewer,
    name: &InstanceName,
) -> Result<Vec<Hour>, Problem> {
    let this_hour = live::now().0.div_euclid(HOUR) * HOUR;
    let mut hours = Vec::new();
    for back in (0..HOURS).rev() {
        let begins = Millis(this_hour - back * HOUR);
        let count = async |from_me| {
            let filter = MessageFilter {
                from_me: Some(from_me),
                from: Some(begins),
                to: Some(Millis(begins.0 + HOUR - 1)),
                ..MessageFilter::default()
            };
            let page = Page { skip: 0, take: 1 };
            let conversations = state.gateway.conversations();
            conversations.messages(&viewer.caller, name, &filter, page).await
        };
        let (came, went) = (count(false).await?.0, count(true).await?.0);
        hours.push(Hour { begins: begins.into(), came, went });
    }
    Ok(hours)
}

/// Both rows in one scale.
fn bars(hours: &[Hour]) -> Bars {
    let most = hours.iter().map(|hour| hour.came.max(hour.went)).max().unwrap_or(0).max(1);
    let slot = WIDTH / HOURS.unsigned_abs();
    let mut bars = Bars::default();
    for (hour, left) in hours.iter().zip((0..).step_by(usize::try_from(slot).unwrap_or(1))) {
        let pairs = [(&mut bars.came, hour.came, 1), (&mut bars.went, hour.went, slot / 2)];
        for (path, count, aside) in pairs {
            let high = count.unsigned_abs() * HEIGHT / most.unsigned_abs();
            if high > 0 {
                let (x, wide) = (left + aside, slot / 2 - 2);
                // Writing to a string can't fail.
                let _ = write!(path, "M{x} {HEIGHT}v-{high}h{wide}v{high}z");
            }
        }
    }
    bars
}
