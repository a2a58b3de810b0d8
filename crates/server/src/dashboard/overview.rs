//! `/i/{name}`: how an instance is doing, a day of its messages, and what happened to it. The picture has a table beside it.

use super::frame::{Did, Frame};
use super::session::Viewer;
use super::view::{Moment, international, one_line, sentence, word};
use super::words::Language;
use super::{happened, page, pages, states};
use crate::app::AppState;
use crate::extract::{Asked, OfInstance};
use crate::problem::Problem;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use flowcore_domain::instance::{InstanceName, Status};
use flowcore_gateway::{AckDelay, Hour, Pulse, ServiceError, WebhooksOf};
use std::fmt::Write as _;
use std::time::Duration;

/// How many the picture has room for.
const HOURS: u64 = 24;
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
    /// Whether it is connected now, and since when, or when it was last.
    is_connected: bool,
    connected: Option<Moment>,
    last_in: Option<Moment>,
    last_out: Option<Moment>,
    /// The median and the longest of the latest acknowledgements.
    acks: Option<(String, String)>,
    reconnects: usize,
    to_whatsapp: u64,
    to_webhooks: u64,
    /// What a number takes of the server's memory, for who runs it.
    memory: Option<String>,
    hours: Vec<Row>,
    bars: Bars,
    total_in: u64,
    total_out: u64,
    recent: Vec<(Moment, String)>,
    /// Webhooks that were switched off or paused because they failed.
    failing: Vec<(String, &'static str)>,
}

/// An hour of messages.
struct Row {
    begins: Moment,
    came: u64,
    went: u64,
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
    let Pulse { hours, last_in, last_out, acks, reconnects, queue, recent } =
        state.gateway.pulse(&view).await?;
    let w = frame.w;
    Ok(page(&OverviewPage {
        name: view.name.to_string(),
        status: view.status.as_str(),
        word: word(view.status, w),
        sentence: sentence(&view, w),
        number: view.number.as_deref().map(international),
        profile: view.profile_name.as_deref().map(one_line),
        is_connected: view.status == Status::Connected,
        connected: view.last_connected.map(Moment::from),
        last_in: last_in.map(Moment::from),
        last_out: last_out.map(Moment::from),
        acks: acks.map(|AckDelay { median, longest, .. }| (lasts(median, w), lasts(longest, w))),
        reconnects,
        to_whatsapp: queue.to_whatsapp,
        to_webhooks: queue.to_webhooks,
        memory: memory(&state, &viewer).await?,
        bars: bars(&hours),
        total_in: hours.iter().map(|hour| hour.came).sum(),
        total_out: hours.iter().map(|hour| hour.went).sum(),
        recent: recent
            .iter()
            .filter_map(|one| Some((one.event.at.into(), happened::told(&one.event, w)?)))
            .collect(),
        failing: failing(&state, &viewer, &view.name).await?,
        hours: hours
            .into_iter()
            .map(|Hour { begins, came, went }| Row { begins: begins.into(), came, went })
            .collect(),
        frame,
    }))
}

/// A delay as people read it: milliseconds, and seconds where there are some.
fn lasts(delay: Duration, w: Language) -> String {
    match delay.as_millis() {
        ms @ ..1000 => format!("{ms} ms"),
        _ => format!("{:.1} s", delay.as_secs_f64()).replace('.', point(w)),
    }
}

/// A size as people read it.
fn weighs(bytes: u64, w: Language) -> String {
    match bytes.div_ceil(1024) {
        kib @ ..1024 => format!("{kib} KiB"),
        kib => format!("{}{}{} MiB", kib / 1024, point(w), kib % 1024 * 10 / 1024),
    }
}

/// What stands before decimals.
fn point(w: Language) -> &'static str {
    if w == Language::English { "." } else { "," }
}

async fn memory(state: &AppState, viewer: &Viewer) -> Result<Option<String>, Problem> {
    if !viewer.caller.is_admin() {
        return Ok(None);
    }
    let each = state.gateway.memory_each().await.map_err(ServiceError::from)?;
    Ok(each.map(|bytes| weighs(bytes, viewer.language)))
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
        let why = one.health.off_because.map(|why| states::off(why, viewer.language));
        let paused = one.health.paused_until.map(|_| viewer.language.say("it is paused"));
        Some((one.url.clone(), why.or(paused)?))
    });
    Ok(off.collect())
}

/// Both rows in one scale.
fn bars(hours: &[Hour]) -> Bars {
    let most = hours.iter().map(|hour| hour.came.max(hour.went)).max().unwrap_or(0).max(1);
    let slot = WIDTH / HOURS;
    let mut bars = Bars::default();
    for (hour, left) in hours.iter().zip((0..).step_by(usize::try_from(slot).unwrap_or(1))) {
        let pairs = [(&mut bars.came, hour.came, 1), (&mut bars.went, hour.went, slot / 2)];
        for (path, count, aside) in pairs {
            // What there is is seen, however much more there was in another hour.
            let high = if count == 0 { 0 } else { (count * HEIGHT / most).max(1) };
            if high > 0 {
                let (x, wide) = (left + aside, slot / 2 - 2);
                // Writing to a string can't fail.
                let _ = write!(path, "M{x} {HEIGHT}v-{high}h{wide}v{high}z");
            }
        }
    }
    bars
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_the_unit_that_is_read_best() {
        let w = Language::English;
        assert_eq!(lasts(Duration::from_millis(999), w), "999 ms");
        assert_eq!(lasts(Duration::from_millis(1_240), w), "1.2 s");
        assert_eq!(lasts(Duration::from_millis(1_240), Language::Spanish), "1,2 s");
        assert_eq!(weighs(300 << 10, w), "300 KiB");
        assert_eq!(weighs((1 << 20) + (512 << 10), w), "1.5 MiB");
        assert_eq!(weighs(1 << 20, Language::Portuguese), "1,0 MiB");
    }

    #[test]
    fn an_hour_with_one_message_is_seen_beside_one_with_thousands() {
        let begins = flowcore_domain::clock::Millis(0);
        let hour = |came, went| Hour { begins, came, went };
        let drawn = bars(&[hour(100_000, 1), hour(0, 0)]);
        assert_eq!(
            (drawn.came.as_str(), drawn.went.as_str()),
            ("M1 80v-80h8v80z", "M10 80v-1h8v1z")
        );
    }
}
