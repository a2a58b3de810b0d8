//! The way to a language model, whoever made it.
//!
//! What a provider says of its failures never leaves this file: not to customers, not to owners, not to the
//! log. [`ModelError`] says what happened in our words. Answers are always read as streams, so that one that
//! never ends is cut off.

use super::stream::Events;
use super::target::Target;
use super::wire::{self, Piece};
use crate::clients::{self, AllowPrivate};
use flowcore_domain::assistant::prompt::Prompt;
use flowcore_domain::assistant::provider::Tokens;
use flowcore_domain::backoff::Backoff;
use reqwest::header::RETRY_AFTER;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// How often one question is asked at most.
const ATTEMPTS: u32 = 3;
/// Between two attempts: 0.5 s, 1 s.
const PAUSE: Backoff =
    Backoff { first: Duration::from_millis(500), cap: Duration::from_secs(4), jitter_percent: 30 };
/// A provider that wants a longer pause is not waited for.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// How long is listened on when an answer is whole.
const AFTERWORD: Duration = Duration::from_secs(1);
/// Until an answer begins.
const SILENCE: Duration = Duration::from_secs(45);
/// More is no answer to a customer.
const MAX_ANSWER: usize = 64 << 10;

/// Why a model gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// Nobody chose a provider.
    #[error("no provider is configured")]
    NoProvider,
    /// Nobody chose a model.
    #[error("no model is configured")]
    NoModel,
    /// Nobody transcribes.
    #[error("no transcriber is configured")]
    NoTranscriber,
    /// An address that users may not name.
    #[error("this address is not allowed: {0}")]
    UrlNotAllowed(String),
    /// The key is none, or not good for that.
    #[error("the provider refuses the key")]
    KeyRefused,
    /// The provider does not know the model, or does not take the request.
    #[error("the provider refuses the request (status {0})")]
    Refused(u16),
    /// Too much was asked of the provider.
    #[error("the provider is asked too much")]
    Busy {
        /// How long it wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// It took too long.
    #[error("the provider takes too long")]
    TimedOut,
    /// It is not there.
    #[error("the provider can't be reached")]
    Unreachable,
    /// It is there, and does not work.
    #[error("the provider does not work at the moment")]
    Down,
    /// What it said can't be read, or broke off.
    #[error("the provider's answer can't be read")]
    Broken,
    /// The documents can't be searched.
    #[error("the documents can't be searched at the moment")]
    NoDocuments,
    /// The answer is not wanted any more.
    #[error("the answer is not wanted any more")]
    Stopped,
}

impl ModelError {
    /// The word for it that programs switch on.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoProvider | Self::NoModel => "assistant_not_configured",
            Self::NoTranscriber => "transcriber_not_configured",
            Self::UrlNotAllowed(_) => "url_not_allowed",
            Self::KeyRefused => "provider_key_refused",
            Self::Refused(_) => "provider_refused",
            Self::Busy { .. } => "provider_busy",
            Self::TimedOut => "provider_timed_out",
            Self::Unreachable => "provider_unreachable",
            Self::Down => "provider_down",
            Self::Broken => "provider_broken",
            Self::Stopped | Self::NoDocuments => "unavailable",
        }
    }

    /// Whether asking again may help.
    #[must_use]
    pub fn passes(&self) -> bool {
        matches!(
            self,
            Self::Busy { .. }
                | Self::TimedOut
                | Self::Unreachable
                | Self::Down
                | Self::Broken
                | Self::NoDocuments
        )
    }
}

/// A picture that is shown with the last turn.
#[derive(Debug, Clone)]
pub(crate) struct Picture {
    pub(crate) mimetype: String,
    pub(crate) base64: String,
}

/// What a model is asked.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) prompt: Prompt,
    pub(crate) picture: Option<Picture>,
    pub(crate) temperature: f64,
    pub(crate) max_tokens: u32,
}

/// What a model said.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    pub(crate) text: String,
    pub(crate) tokens: Tokens,
    pub(crate) took: Duration,
    pub(crate) first_after: Duration,
}

/// The clients that models are asked with.
#[derive(Debug)]
pub(crate) struct Models {
    guarded: reqwest::Client,
    trusted: reqwest::Client,
}

impl Models {
    pub(crate) fn new(allow: &AllowPrivate) -> Result<Self, reqwest::Error> {
        let guarded = clients::guarded_for_models(allow)?;
        Ok(Self { guarded, trusted: clients::trusted_for_models()? })
    }

    /// The client for an address.
    pub(crate) fn http(&self, trusted: bool) -> &reqwest::Client {
        if trusted { &self.trusted } else { &self.guarded }
    }

    /// Asks a model; `told` gets the words as they come. A provider that fails before the first word is asked
    /// again, a bounded number of times.
    pub(crate) async fn speak(
        &self,
        target: &Target,
        ask: &Ask,
        told: &mut (dyn FnMut(&str) + Send),
        cancel: &CancellationToken,
    ) -> Result<Said, ModelError> {
        let mut attempt = 1;
        loop {
            let mut silent = true;
            let mut tell = |words: &str| {
                silent = false;
                told(words);
            };
            let once = cancel.run_until_cancelled(self.once(target, ask, &mut tell)).await;
            let error = match once {
                Some(Ok(said)) => return Ok(said),
                Some(Err(error)) => error,
                None => return Err(ModelError::Stopped),
            };
            tracing::warn!(%error, attempt, "a model gave no answer");
            if attempt == ATTEMPTS || !silent || !error.passes() {
                return Err(error);
            }
            let pause = PAUSE.delay(attempt, rand::random());
            let pause = match error {
                ModelError::Busy { retry_after: Some(wanted) } if wanted > LONGEST_PAUSE => {
                    return Err(error);
                }
                ModelError::Busy { retry_after: Some(wanted) } => pause.max(wanted),
                _ => pause,
            };
            if cancel.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return Err(ModelError::Stopped);
            }
            attempt += 1;
        }
    }

    async fn once(
        &self,
        target: &Target,
        ask: &Ask,
        told: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Said, ModelError> {
        let began = Instant::now();
        let mut events = Events::of(self.ask(target, ask).await?);
        let (mut text, mut first_after, mut whole) = (String::new(), None, false);
        let (mut input, mut output) = (None, None);
        loop {
            // Behind the end there may be the count of tokens, and some keep the line open.
            let next = if whole {
                tokio::time::timeout(AFTERWORD, events.next()).await.unwrap_or(Ok(None)).ok()
            } else {
                Some(events.next().await?)
            };
            let Some(data) = next.flatten() else { break };
            for piece in wire::read(target.wire, &data)? {
                match piece {
                    Piece::Words(words) => {
                        first_after.get_or_insert_with(|| began.elapsed());
                        text.push_str(&words);
                        told(&words);
                    }
                    Piece::Read(tokens) => input = Some(tokens),
                    Piece::Written(tokens) => output = Some(tokens),
                    Piece::End => whole = true,
                }
            }
            if text.len() > MAX_ANSWER {
                return Err(ModelError::Broken);
            }
        }
        if !whole {
            // The end was never told: what came may be half of it.
            return Err(ModelError::Broken);
        }
        let tokens = Tokens {
            input: input.unwrap_or_else(|| prompt_tokens(&ask.prompt)),
            output: output.unwrap_or_else(|| Tokens::estimate(&text)),
        };
        let took = began.elapsed();
        Ok(Said { text, tokens, took, first_after: first_after.unwrap_or(took) })
    }

    async fn ask(&self, target: &Target, ask: &Ask) -> Result<reqwest::Response, ModelError> {
        let question = wire::request(target, ask);
        let mut request = self.http(target.trusted).post(question.url).json(&question.body);
        for (name, value) in question.headers {
            request = request.header(name, value);
        }
        let answer = tokio::time::timeout(SILENCE, request.send()).await;
        let answer = answer.map_err(|_| ModelError::TimedOut)?;
        let answer = answer.map_err(|error| of_transport(&error))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let wanted = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let seconds = wanted.and_then(|text| text.trim().parse::<u64>().ok());
        Err(of_status(status.as_u16(), seconds.map(Duration::from_secs)))
    }
}

fn prompt_tokens(prompt: &Prompt) -> u32 {
    let turns: u32 = prompt.turns.iter().map(|turn| Tokens::estimate(&turn.text)).sum();
    turns.saturating_add(Tokens::estimate(&prompt.system))
}

/// What a refusal means.
pub(crate) fn of_status(status: u16, retry_after: Option<Duration>) -> ModelError {
    match status {
        401 | 403 => ModelError::KeyRefused,
        408 => ModelError::TimedOut,
        429 => ModelError::Busy { retry_after },
        500.. => ModelError::Down,
        status => ModelError::Refused(status),
    }
}

/// What a connection's failure means.
pub(crate) fn of_transport(error: &reqwest::Error) -> ModelError {
    if error.is_timeout() {
        ModelError::TimedOut
    } else if error.is_connect() {
        ModelError::Unreachable
    } else {
        ModelError::Broken
    }
}
