//! Trying an assistant before customers do: the passages, the final prompt, the words as they come, and what
//! it took. A draft is tried without being saved, alone or beside what is saved.

use super::composing::{Composed, Prepared, Question, money, shown_prompt};
use super::{Assistant, MAX_AUDIO, ModelError};
use crate::accounts::Caller;
use crate::error::ServiceError;
use bytes::Bytes;
use flowcore_domain::assistant::prompt::{Prompt, Shown, Speaker, Turn};
use flowcore_domain::assistant::provider::Tokens;
use flowcore_domain::assistant::{AssistantConfig, AssistantPatch, ProviderKey};
use flowcore_domain::id::InstanceId;
use flowcore_domain::instance::InstanceName;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Longest question, in characters, and most turns before it.
const MAX_MESSAGE: usize = 4_096;
const MAX_HISTORY: usize = 200;
/// Events that wait for a slow reader; words are put together when there are more.
const BACKLOG: usize = 64;

/// Something to try.
#[derive(Debug, Clone, Default)]
pub struct Rehearsal {
    /// The question, unless it was spoken.
    pub message: String,
    /// A recording in its place, and what its sender calls its format.
    pub voice: Option<(Bytes, Option<String>)>,
    /// What was said before.
    pub history: Vec<Turn>,
    /// What to change for the trial.
    pub draft: Option<AssistantPatch>,
    /// Whether what is saved answers too, beside the draft.
    pub beside: bool,
}

/// Which of two answers is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Draft {
    /// That of what is saved.
    Saved,
    /// That of the draft.
    Drafted,
}

/// What a trial tells as it goes on.
#[derive(Debug, Clone)]
pub enum Told {
    /// What was spoken.
    Transcript(super::Transcript),
    /// What was found in the documents, the best first.
    Passages(Vec<Shown>),
    /// The prompt that the model gets.
    Prompt(Prompt),
    /// Some words of the answer.
    Words(String),
    /// It is over.
    Done(Box<RehearsalEnd>),
    /// It failed.
    Failed(ModelError),
}

/// How a trial ended.
#[derive(Debug, Clone)]
pub struct RehearsalEnd {
    /// The messages that a customer would get.
    pub bubbles: Vec<String>,
    /// Of which model.
    pub model: String,
    /// How much it read and wrote.
    pub tokens: Tokens,
    /// What it cost.
    pub cost: f64,
    /// How long the model took, and until its first word.
    pub took: Duration,
    /// Until the first word.
    pub first_after: Duration,
    /// How long everything took.
    pub total: Duration,
    /// It said that it does not know.
    pub unknown: bool,
    /// It said that a person is wanted.
    pub person: bool,
    /// It told what is private: a customer would not get it.
    pub withheld: bool,
}

/// What a trial needs once it is known to be possible.
struct Stage {
    instance: InstanceId,
    config: AssistantConfig,
    key: Option<ProviderKey>,
    which: Draft,
}

impl Assistant {
    /// Begins a trial. Whoever drops the receiver ends it.
    ///
    /// # Errors
    /// What is known before a model is asked: no such instance, a draft that does not fit, no provider.
    pub async fn try_out(
        &self,
        caller: &Caller,
        name: &InstanceName,
        trial: Rehearsal,
    ) -> Result<mpsc::Receiver<(Draft, Told)>, ServiceError> {
        check(&trial)?;
        let instance = self.instances.find(caller, name).await?.id;
        let mut stages = vec![];
        if trial.draft.is_none() || trial.beside {
            let (config, key) = self.configured(instance, None).await?;
            stages.push(Stage { instance, config, key, which: Draft::Saved });
        }
        if trial.draft.is_some() {
            let (config, key) = self.configured(instance, trial.draft.as_ref()).await?;
            stages.push(Stage { instance, config, key, which: Draft::Drafted });
        }
        for stage in &stages {
            self.target(&stage.config, stage.key.as_ref())?;
            if trial.voice.is_some() {
                self.transcriber(&stage.config, stage.key.as_ref())?;
            }
        }
        let (sender, receiver) = mpsc::channel(BACKLOG);
        for stage in stages {
            let (this, trial, sender) = (self.clone(), trial.clone(), sender.clone());
            self.shared.lifecycle.tracker().spawn(async move {
                let gone = sender.clone();
                tokio::select! {
                    () = this.perform(stage, trial, &sender) => {}
                    () = gone.closed() => {}
                }
            });
        }
        Ok(receiver)
    }

    async fn perform(&self, stage: Stage, trial: Rehearsal, sender: &mpsc::Sender<(Draft, Told)>) {
        let which = stage.which;
        let end = match self.answer_rehearsal(&stage, trial, sender).await {
            Ok(end) => Told::Done(Box::new(end)),
            Err(error) => Told::Failed(error),
        };
        // Who is gone needs no end.
        let _ = sender.send((which, end)).await;
    }

    async fn answer_rehearsal(
        &self,
        stage: &Stage,
        trial: Rehearsal,
        sender: &mpsc::Sender<(Draft, Told)>,
    ) -> Result<RehearsalEnd, ModelError> {
        let began = Instant::now();
        let tell =
            async |told| sender.send((stage.which, told)).await.map_err(|_| ModelError::Stopped);
        let cancel = self.shared.lifecycle.stopping();
        let mut message = trial.message;
        if let Some((audio, kind)) = trial.voice {
            let target = self.transcriber(&stage.config, stage.key.as_ref())?;
            let code = stage.config.default_voice_language.as_str();
            let language = Some(code).filter(|code| *code != "auto");
            let audio = (audio, kind.as_deref());
            let transcript = self.write_down(&target, audio, language, cancel).await?;
            message.clone_from(&transcript.text);
            tell(Told::Transcript(transcript)).await?;
        }
        let prepared = self.stage_question(stage, trial.history, message).await?;
        tell(Told::Passages(prepared.passages.clone())).await?;
        tell(Told::Prompt(shown_prompt(&prepared))).await?;
        let composed = self.compose_aloud(&prepared, (stage.which, sender), cancel).await?;
        Ok(end_of(composed, prepared.target.model, began.elapsed()))
    }

    async fn stage_question(
        &self,
        stage: &Stage,
        history: Vec<Turn>,
        message: String,
    ) -> Result<Prepared, ModelError> {
        let mut turns = history;
        turns.push(Turn { speaker: Speaker::Customer, text: message });
        self.prepare(Question {
            instance: stage.instance,
            config: &stage.config,
            key: stage.key.as_ref(),
            summary: None,
            turns: &turns,
            picture: None,
        })
        .await
    }

    /// Words go out as they come; where the reader is slow, some at a time.
    async fn compose_aloud(
        &self,
        prepared: &Prepared,
        (which, sender): (Draft, &mpsc::Sender<(Draft, Told)>),
        cancel: &CancellationToken,
    ) -> Result<Composed, ModelError> {
        let mut held = String::new();
        let mut aloud = |words: &str| {
            held.push_str(words);
            if let Ok(room) = sender.try_reserve() {
                room.send((which, Told::Words(std::mem::take(&mut held))));
            }
        };
        let composed = self.compose(prepared, &mut aloud, cancel).await?;
        if !held.is_empty() {
            let rest = (which, Told::Words(held));
            sender.send(rest).await.map_err(|_| ModelError::Stopped)?;
        }
        Ok(composed)
    }
}

fn check(trial: &Rehearsal) -> Result<(), ServiceError> {
    let refused = |why: &str| Err(ServiceError::Invalid(why.to_owned()));
    if let Some((audio, _)) = &trial.voice {
        if audio.len() > MAX_AUDIO {
            return Err(ServiceError::MediaTooLong { limit: MAX_AUDIO });
        }
        if audio.is_empty() {
            return refused("the recording is empty");
        }
    } else if trial.message.trim().is_empty() {
        return Err(ServiceError::EmptyText);
    }
    let too_long = |text: &str| text.chars().count() > MAX_MESSAGE;
    if too_long(&trial.message) || trial.history.iter().any(|turn| too_long(&turn.text)) {
        return Err(ServiceError::TextTooLong { limit: MAX_MESSAGE });
    }
    if trial.history.len() > MAX_HISTORY {
        return refused("history has at most 200 entries");
    }
    Ok(())
}

pub(super) fn end_of(composed: Composed, model: String, total: Duration) -> RehearsalEnd {
    RehearsalEnd {
        bubbles: composed.bubbles,
        model,
        tokens: composed.said.tokens,
        cost: money(composed.micros),
        took: composed.said.took,
        first_after: composed.said.first_after,
        total,
        unknown: composed.answer.unknown,
        person: composed.answer.person,
        withheld: composed.answer.withheld,
    }
}
