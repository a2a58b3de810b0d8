//! `/i/{name}/deliveries/{id}`: what is posted to a webhook, and how the receiver took each attempt.

use crate::app::AppState;
use crate::dashboard::frame::Frame;
use crate::dashboard::session::Viewer;
use crate::dashboard::view::Moment;
use crate::dashboard::words::Language;
use crate::dashboard::{page, states};
use crate::extract::{OfId, OfInstance};
use crate::problem::Problem;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use flowcore_gateway::{DeliveryAttempt, DeliveryState, Posting, ServiceError};

/// So much of a body is shown, in bytes.
const SHOWN: usize = 24_000;
/// So many attempts are shown, the last ones.
const ATTEMPTS: usize = 50;

#[derive(Template)]
#[template(path = "delivery.html")]
struct DeliveryPage {
    frame: Frame,
    name: String,
    id: String,
    event: &'static str,
    state: &'static str,
    word: &'static str,
    over: bool,
    url: Option<String>,
    next: Option<Moment>,
    attempts: Vec<Row>,
    body: Option<String>,
    /// The body is longer.
    cut: bool,
}

/// An attempt.
struct Row {
    at: Moment,
    outcome: String,
    took_ms: u64,
    answer: Option<String>,
}

impl Row {
    fn new(attempt: &DeliveryAttempt, w: Language) -> Self {
        let failed = attempt.error.as_deref().map(|error| states::failure(error, w));
        let status = attempt.status.map(|status| status.to_string());
        Self {
            at: attempt.at.into(),
            outcome: status.or(failed).unwrap_or_default(),
            took_ms: attempt.duration_ms,
            answer: attempt.answer.clone(),
        }
    }
}

/// `GET /i/{name}/deliveries/{id}`
pub(crate) async fn show(
    State(state): State<AppState>,
    viewer: Viewer,
    OfInstance(name): OfInstance,
    OfId(id): OfId,
) -> Result<Response, Problem> {
    let w = viewer.language;
    let id = id.parse().map_err(|_| Problem::from(ServiceError::DeliveryNotFound))?;
    let found = state.gateway.webhooks().delivery(&viewer.caller, &name, id).await?;
    let Posting { delivery, url, body } = found;
    let whole = body.as_ref().map_or(0, String::len);
    let body = body.map(beginning);
    let older = delivery.attempts.len().saturating_sub(ATTEMPTS);
    Ok(page(&DeliveryPage {
        frame: Frame::of(&viewer, "webhooks").about(&name),
        name: name.to_string(),
        id: delivery.id.text(),
        event: delivery.kind.as_str(),
        state: delivery.state.as_str(),
        word: states::delivery(delivery.state, w),
        over: delivery.state != DeliveryState::Pending,
        url,
        next: delivery.next_at.map(Moment::from),
        attempts: delivery.attempts[older..].iter().map(|one| Row::new(one, w)).collect(),
        cut: body.as_ref().is_some_and(|shown| shown.len() < whole),
        body,
    }))
}

fn beginning(mut body: String) -> String {
    body.truncate(body.floor_char_boundary(SHOWN));
    body
}
