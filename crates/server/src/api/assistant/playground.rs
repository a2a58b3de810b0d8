//! Trying an assistant: a question in, the answer as a stream of events.

use super::problem_of;
use crate::app::AppState;
use crate::auth::Authenticated;
use crate::extract::{OfInstance, Upload};
use crate::problem::Problem;
use axum::Json;
use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use flowcore_domain::assistant::AssistantPatch;
use flowcore_domain::assistant::prompt::{Speaker, Turn};
use flowcore_gateway::{Draft, Rehearsal, RehearsalEnd, Told, Transcript};
use futures_util::{Stream, StreamExt as _, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::time::Duration;

const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A question.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Question {
    #[serde(default)]
    message: String,
    #[serde(default)]
    history: Vec<Said>,
    draft: Option<AssistantPatch>,
    /// What is saved answers beside the draft.
    #[serde(default)]
    compare: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    role: Role,
    text: String,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Role {
    User,
    Assistant,
    Human,
}

impl From<Said> for Turn {
    fn from(said: Said) -> Self {
        let speaker = match said.role {
            Role::User => Speaker::Customer,
            Role::Assistant => Speaker::Assistant,
            Role::Human => Speaker::Person,
        };
        Self { speaker, text: said.text }
    }
}

/// `POST /api/instances/{name}/ai/test`
pub(crate) async fn test(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    OfInstance(name): OfInstance,
    Upload { value, file, room }: Upload<Question>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let tagged = value.compare && value.draft.is_some();
    let trial = Rehearsal {
        message: value.message,
        voice: file.map(|file| (file.bytes, file.mimetype)),
        history: value.history.into_iter().map(Turn::from).collect(),
        draft: value.draft,
        beside: value.compare,
    };
    let told = state.gateway.assistant().try_out(&caller, &name, trial).await?;
    drop(room);
    let events = stream::unfold(told, move |mut told| async move {
        let (which, next) = told.recv().await?;
        Some((Ok(event(which, next, tagged)), told))
    });
    let events = events.take_until(state.stopping.clone().cancelled_owned());
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

fn event(which: Draft, told: Told, tagged: bool) -> Event {
    let (kind, mut data) = match told {
        Told::Transcript(transcript) => ("transcript", transcribed(&transcript)),
        Told::Passages(passages) => ("passages", json!({ "passages": passages })),
        Told::Prompt(prompt) => {
            let role = |speaker| match speaker {
                Speaker::Customer => "user",
                Speaker::Assistant => "assistant",
                Speaker::Person => "human",
            };
            let turns = prompt.turns.iter();
            let turns = turns.map(|turn| json!({ "role": role(turn.speaker), "text": turn.text }));
            let messages: Vec<Value> = turns.collect();
            ("prompt", json!({ "system": prompt.system, "messages": messages }))
        }
        Told::Words(text) => ("token", json!({ "text": text })),
        Told::Done(end) => ("done", ended(&end)),
        Told::Failed(error) => ("error", problem_of(error)),
    };
    if tagged {
        data["of"] = if which == Draft::Drafted { "draft".into() } else { "saved".into() };
    }
    Event::default().event(kind).data(data.to_string())
}

/// How an answer ended.
pub(super) fn ended(end: &RehearsalEnd) -> Value {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    json!({
        "text": end.bubbles.join("\n\n"),
        "messages": end.bubbles,
        "model": end.model,
        "usage": { "inputTokens": end.tokens.input, "outputTokens": end.tokens.output },
        "cost": end.cost,
        "times": {
            "modelMs": millis(end.took),
            "firstTokenMs": millis(end.first_after),
            "totalMs": millis(end.total),
        },
        "unknown": end.unknown,
        "wantsPerson": end.person,
        "withheld": end.withheld,
    })
}

/// What the body of a transcription has besides its file.
#[derive(Debug, Deserialize)]
pub(crate) struct Nothing {}

/// `POST /api/instances/{name}/ai/transcribe`
pub(crate) async fn transcribe(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    OfInstance(name): OfInstance,
    Upload { file, room: _room, .. }: Upload<Nothing>,
) -> Result<Json<Value>, Problem> {
    let file = file.filter(|file| !file.bytes.is_empty()).ok_or_else(|| {
        let rule = "send a form with the recording as the part named file";
        Problem::field("invalid_body", "The body does not fit", "file", rule)
    })?;
    let audio = (file.bytes, file.mimetype.as_deref());
    let transcript = state.gateway.assistant().transcribe_upload(&caller, &name, audio).await?;
    Ok(Json(transcribed(&transcript)))
}

fn transcribed(transcript: &Transcript) -> Value {
    json!({
        "text": transcript.text,
        "language": transcript.language,
        "durationMs": transcript.duration_ms,
    })
}
