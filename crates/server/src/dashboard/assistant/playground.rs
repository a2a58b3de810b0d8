//! `/i/{name}/ai/test`: a conversation with the assistant before customers have one, and beside each answer what
//! it was made of. A prompt is tried as it stands in the form, alone or beside the saved one, and not saved.
//!
//! A script streams the same from the API; without one the whole answer is on the page that comes. What was said
//! before is in the form.

use super::said;
use crate::app::AppState;
use crate::dashboard::attached::Attached;
use crate::dashboard::frame::Frame;
use crate::dashboard::session::{Submitted, Viewer};
use crate::dashboard::{page, pages};
use crate::extract::OfInstance;
use crate::problem::Problem;
use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use flowcore_domain::assistant::prompt::{Prompt, Shown, Speaker, Turn};
use flowcore_domain::assistant::{AssistantPatch, MAX_PROMPT};
use flowcore_domain::instance::InstanceName;
use flowcore_gateway::{Draft, Rehearsal, RehearsalEnd, Told};
use std::fmt::Write as _;
use tokio::sync::mpsc;

#[derive(Template)]
#[template(path = "playground.html")]
struct PlaygroundPage {
    frame: Frame,
    name: String,
    said: Vec<Said>,
    /// Those that came now; two when the saved prompt answered beside the draft.
    answers: Vec<Answer>,
    /// What a script fills in.
    blank: Answer,
    prompt: String,
    saved: String,
    compare: bool,
    message: String,
    wrong: Option<String>,
    most: usize,
}

/// Something that was said before.
struct Said {
    role: &'static str,
    text: String,
}

impl Said {
    /// As it is in the form: who, a colon, what.
    fn parse(field: &str) -> Option<Self> {
        let (role, text) = field.split_once(':')?;
        let role = ["user", "assistant"].into_iter().find(|one| *one == role)?;
        Some(Self { role, text: text.to_owned() })
    }

    fn turn(&self) -> Turn {
        let speaker = if self.role == "user" { Speaker::Customer } else { Speaker::Assistant };
        Turn { speaker, text: self.text.clone() }
    }
}

/// An answer and what it was made of.
#[derive(Default)]
struct Answer {
    drafted: bool,
    text: String,
    /// What was spoken, when the question was.
    heard: Option<String>,
    passages: Vec<Shown>,
    prompt: String,
    facts: Option<Facts>,
    wrong: Option<String>,
}

/// What an answer took.
struct Facts {
    model: String,
    read: u64,
    written: u64,
    cost: String,
    first_ms: u128,
    total_ms: u128,
    unknown: bool,
    person: bool,
    withheld: bool,
}

impl From<&RehearsalEnd> for Facts {
    fn from(end: &RehearsalEnd) -> Self {
        Self {
            model: end.model.clone(),
            read: end.tokens.input.into(),
            written: end.tokens.output.into(),
            cost: format!("{:.6}", end.cost),
            first_ms: end.first_after.as_millis(),
            total_ms: end.total.as_millis(),
            unknown: end.unknown,
            person: end.person,
            withheld: end.withheld,
        }
    }
}

impl Answer {
    fn take(&mut self, told: Told) {
        match told {
            Told::Transcript(transcript) => self.heard = Some(transcript.text),
            Told::Passages(passages) => self.passages = passages,
            Told::Prompt(prompt) => self.prompt = in_full(&prompt),
            Told::Words(_) => {}
            Told::Done(end) => {
                self.text = end.bubbles.join("\n\n");
                self.facts = Some(Facts::from(&*end));
            }
            Told::Failed(error) => self.wrong = Some(said(error)),
        }
    }
}

/// The prompt as the model gets it.
fn in_full(prompt: &Prompt) -> String {
    prompt.turns.iter().fold(prompt.system.clone(), |mut text, turn| {
        let who = match turn.speaker {
            Speaker::Customer => "user",
            Speaker::Assistant => "assistant",
            Speaker::Person => "human",
        };
        // Writing to a string can't fail.
        let _ = write!(text, "\n\n[{who}] {}", turn.text);
        text
    })
}

/// What the page shows besides the prompt that is saved.
#[derive(Default)]
struct Conversation {
    said: Vec<Said>,
    answers: Vec<Answer>,
    prompt: Option<String>,
    compare: bool,
    message: String,
    wrong: Option<String>,
}

async fn shown(
    state: &AppState,
    viewer: &Viewer,
    name: &InstanceName,
    now: Conversation,
) -> Result<Response, Problem> {
    let saved = state.gateway.assistant().get(&viewer.caller, name).await?.config.system_prompt;
    let status =
        if now.wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let mut response = page(&PlaygroundPage {
        frame: Frame::of(viewer, "assistant").about(name),
        name: name.to_string(),
        said: now.said,
        answers: now.answers,
        blank: Answer::default(),
        prompt: now.prompt.unwrap_or_else(|| saved.clone()),
        saved,
        compare: now.compare,
        message: now.message,
        wrong: now.wrong,
        most: MAX_PROMPT,
    });
    *response.status_mut() = status;
    Ok(response)
}

/// `GET /i/{name}/ai/test`
pub(crate) async fn show(
    State(state): State<AppState>,
    viewer: Viewer,
    OfInstance(name): OfInstance,
) -> Result<Response, Problem> {
    let instance = pages::find(&state, &viewer, &name).await?;
    shown(&state, &viewer, &instance.name, Conversation::default()).await
}

/// `POST /i/{name}/ai/test`: a question, and the page with what was answered.
pub(crate) async fn ask(
    State(state): State<AppState>,
    OfInstance(name): OfInstance,
    Attached { submitted, file, room }: Attached,
) -> Result<Response, Problem> {
    let viewer = &submitted.viewer;
    let saved = state.gateway.assistant().get(&viewer.caller, &name).await?.config.system_prompt;
    let mut now = typed(&submitted);
    let prompt = now.prompt.clone().filter(|prompt| *prompt != saved.trim());
    let trial = Rehearsal {
        message: now.message.clone(),
        voice: file.map(|file| (file.bytes, file.mimetype)),
        history: now.said.iter().map(Said::turn).collect(),
        beside: now.compare && prompt.is_some(),
        draft: prompt.map(|prompt| AssistantPatch {
            system_prompt: Some(prompt),
            ..AssistantPatch::default()
        }),
    };
    match state.gateway.assistant().try_out(&viewer.caller, &name, trial).await {
        Ok(told) => {
            drop(room);
            now.answers = heard_out(told).await;
            let answered = now.answers.first();
            let spoken = answered.and_then(|answer| answer.heard.clone());
            let text = spoken.unwrap_or_else(|| std::mem::take(&mut now.message));
            now.message.clear();
            now.said.push(Said { role: "user", text });
        }
        Err(error) => {
            let problem = Problem::from(error);
            if !problem.status.is_client_error() || problem.status == StatusCode::NOT_FOUND {
                return Err(problem);
            }
            now.wrong = Some(problem.detail);
        }
    }
    shown(&state, viewer, &name, now).await
}

fn typed(form: &Submitted) -> Conversation {
    Conversation {
        said: form.all("said").filter_map(Said::parse).collect(),
        prompt: form.given("systemPrompt").map(|text| text.replace("\r\n", "\n")),
        compare: form.has("compare"),
        message: form.text("message").replace("\r\n", "\n"),
        ..Conversation::default()
    }
}

/// Waits for the end of a trial; the draft's answer comes first.
async fn heard_out(mut told: mpsc::Receiver<(Draft, Told)>) -> Vec<Answer> {
    let mut answers: Vec<(bool, Answer)> = vec![];
    while let Some((which, told)) = told.recv().await {
        let drafted = which == Draft::Drafted;
        if !answers.iter().any(|(one, _)| *one == drafted) {
            answers.push((drafted, Answer { drafted, ..Answer::default() }));
        }
        for (one, answer) in &mut answers {
            if *one == drafted {
                answer.take(told);
                break;
            }
        }
    }
    answers.sort_by_key(|(drafted, _)| !drafted);
    answers.into_iter().map(|(_, answer)| answer).collect()
}
