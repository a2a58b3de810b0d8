//! Who writes down what was spoken: any server with `OpenAI`'s `audio/transcriptions`.
//!
//! Voice notes of WhatsApp are Ogg Opus, which these servers take as it is. Not all know `verbose_json`,
//! which tells language and length: who refuses it is asked for plain `json`.

use super::Assistant;
use super::model::{self, ModelError};
use super::target::TranscriberTarget;
use crate::accounts::Caller;
use crate::error::ServiceError;
use crate::instances::online_now;
use crate::jobs::Failure;
use crate::media;
use crate::outbox::render::Task;
use bytes::Bytes;
use flowcore_domain::id::ConversationId;
use flowcore_domain::instance::{Instance, InstanceName};
use flowcore_storage::StoredMessage;
use reqwest::multipart::{Form, Part};
use serde::Deserialize;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Longest recording that is transcribed, in bytes: half an hour of a voice note.
pub const MAX_AUDIO: usize = 16 << 20;
/// The same in seconds.
const MAX_SECONDS: i64 = 1800;
/// How often a transcriber is asked at most.
const ATTEMPTS: u32 = 2;
/// A transcriber that takes longer is not waited for.
const WITHIN: Duration = Duration::from_secs(90);
/// Longest answer.
const MAX_ANSWER: usize = 1 << 20;
/// Longest transcript, in characters.
const MAX_TEXT: usize = 20_000;

/// What was spoken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transcript {
    /// The words.
    pub text: String,
    /// The language, as the transcriber calls it.
    pub language: Option<String>,
    /// How long it is.
    pub duration_ms: Option<u64>,
}

#[derive(Deserialize)]
struct Reply {
    text: String,
    language: Option<String>,
    duration: Option<f64>,
}

impl Assistant {
    /// Transcribes a recording as the assistant of an instance would.
    ///
    /// # Errors
    /// [`ServiceError::Model`] when there is no transcriber or it fails.
    pub async fn transcribe_upload(
        &self,
        caller: &Caller,
        name: &InstanceName,
        (audio, mimetype): (Bytes, Option<&str>),
    ) -> Result<Transcript, ServiceError> {
        let instance = self.instances.find(caller, name).await?;
        let stored = self.shared.store.assistant(instance.id).await?;
        let (config, key) = stored.map(|it| (it.config, it.key)).unwrap_or_default();
        let target = self.transcriber(&config, key.as_ref())?;
        let language = Some(config.default_voice_language.as_str()).filter(|code| *code != "auto");
        let cancel = self.shared.lifecycle.stopping();
        Ok(self.write_down(&target, (audio, mimetype), language, cancel).await?)
    }

    /// What a voice note says; `None` when it is none, is not to be understood, or could not be. The
    /// owner's programs are told.
    ///
    /// # Errors
    /// [`Failure::Waits`] while the number is not connected: the recording can't be fetched then.
    pub(crate) async fn spoken(
        &self,
        instance: &Instance,
        (conversation, message): (ConversationId, &StoredMessage),
    ) -> Result<Option<Transcript>, Failure> {
        if message.kind != "audioMessage" {
            return Ok(None);
        }
        let stored = self.shared.store.assistant(instance.id).await?;
        let (config, key) = stored.map(|it| (it.config, it.key)).unwrap_or_default();
        let Ok(target) = self.transcriber(&config, key.as_ref()) else { return Ok(None) };
        if !config.process_voice_messages {
            return Ok(None);
        }
        let Some((audio, mimetype)) = self.recording(instance, message).await? else {
            return Ok(None);
        };
        let language = Some(config.default_voice_language.as_str()).filter(|code| *code != "auto");
        let cancel = self.shared.lifecycle.stopping();
        let (mut attempt, about) = (1, (conversation, message));
        let error = loop {
            let audio = (audio.clone(), mimetype.as_deref());
            match self.write_down(&target, audio, language, cancel).await {
                Ok(transcript) => {
                    self.tell_transcript(instance, about, &transcript).await?;
                    return Ok(Some(transcript));
                }
                Err(ModelError::Stopped) => return Err(Failure::Again("stopped".to_owned())),
                Err(error) => {
                    tracing::warn!(%error, attempt, instance = %instance.id, "not transcribed");
                    if !error.passes() || attempt == ATTEMPTS {
                        break error;
                    }
                    attempt += 1;
                }
            }
        };
        self.tell_failure(instance, about, (Task::Transcription, &error, "")).await?;
        Ok(None)
    }

    /// A voice note's sound and its kind; `None` when it is too long or gone.
    async fn recording(
        &self,
        instance: &Instance,
        message: &StoredMessage,
    ) -> Result<Option<(Bytes, Option<String>)>, Failure> {
        let media = self.shared.store.media(message.row_id).await?;
        let Some(media) = media.filter(|media| media.seconds.unwrap_or(0) <= MAX_SECONDS) else {
            return Ok(None);
        };
        let online = online_now(&self.shared, instance.clone());
        let online = online.map_err(|error| Failure::Waits(error.to_string()))?;
        match media::fetch(&*online.session, message.clone(), MAX_AUDIO).await {
            Ok(audio) => Ok(Some((audio, media.mimetype))),
            Err(error) => {
                tracing::warn!(%error, instance = %instance.id, "a voice note can't be fetched");
                Ok(None)
            }
        }
    }

    /// Asks a transcriber.
    pub(super) async fn write_down(
        &self,
        target: &TranscriberTarget,
        audio: (Bytes, Option<&str>),
        language: Option<&str>,
        cancel: &CancellationToken,
    ) -> Result<Transcript, ModelError> {
        let work = async {
            match self.ask_transcriber(target, audio.clone(), language, "verbose_json").await {
                Err(ModelError::Refused(_)) => {
                    self.ask_transcriber(target, audio, language, "json").await
                }
                answer => answer,
            }
        };
        let work = tokio::time::timeout(WITHIN, work);
        match cancel.run_until_cancelled(work).await {
            Some(Ok(answer)) => answer,
            Some(Err(_)) => Err(ModelError::TimedOut),
            None => Err(ModelError::Stopped),
        }
    }

    async fn ask_transcriber(
        &self,
        target: &TranscriberTarget,
        (audio, mimetype): (Bytes, Option<&str>),
        language: Option<&str>,
        format: &'static str,
    ) -> Result<Transcript, ModelError> {
        let mimetype = mimetype.and_then(|kind| kind.split(';').next()).unwrap_or("audio/ogg");
        let length = u64::try_from(audio.len()).unwrap_or(u64::MAX);
        let part = Part::stream_with_length(audio, length).file_name(file_name(mimetype));
        let part = part.mime_str(mimetype).map_err(|_| ModelError::Refused(415))?;
        let mut form = Form::new()
            .text("model", target.model.clone())
            .text("response_format", format)
            .part("file", part);
        if let Some(language) = language {
            form = form.text("language", language.to_owned());
        }
        let url = format!("{}audio/transcriptions", target.base_url);
        let mut request = self.models.http(target.trusted).post(url).multipart(form);
        if let Some(key) = &target.key {
            request = request.bearer_auth(key.reveal());
        }
        let mut answer = request.send().await.map_err(|error| model::of_transport(&error))?;
        if !answer.status().is_success() {
            return Err(model::of_status(answer.status().as_u16(), None));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| model::of_transport(&error))? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ANSWER {
                return Err(ModelError::Broken);
            }
        }
        let reply: Reply = serde_json::from_slice(&body).map_err(|_| ModelError::Broken)?;
        let millis =
            |seconds: f64| Duration::try_from_secs_f64(seconds).ok()?.as_millis().try_into().ok();
        Ok(Transcript {
            text: reply.text.trim().chars().take(MAX_TEXT).collect(),
            language: reply.language.filter(|language| language.len() <= 64),
            duration_ms: reply.duration.and_then(millis),
        })
    }
}

/// Servers tell the format by the name's ending.
fn file_name(mimetype: &str) -> &'static str {
    match mimetype {
        "audio/mpeg" | "audio/mp3" => "voice.mp3",
        "audio/mp4" | "audio/m4a" | "audio/x-m4a" | "audio/aac" => "voice.m4a",
        "audio/wav" | "audio/x-wav" | "audio/wave" => "voice.wav",
        "audio/webm" | "video/webm" => "voice.webm",
        "audio/flac" => "voice.flac",
        _ => "voice.ogg",
    }
}
