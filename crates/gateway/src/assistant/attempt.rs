//! Composing an answer to a customer, for as long as it is the assistant's to answer.
//!
//! While the model thinks the customer sees typing, and every change of who answers is looked at: what is
//! composed for a conversation that a person took is dropped in that moment.

use super::composing::{Composed, Question, money};
use super::matter::Matter;
use super::model::Picture;
use super::{Assistant, ModelError};
use crate::instances::online_now;
use crate::media;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flowcore_domain::assistant::prompt::Turn;
use flowcore_domain::engine::Typing;
use flowcore_domain::id::SaidId;
use flowcore_storage::Said;
use serde_json::{Value, json};
use std::time::Duration;

/// How often typing is shown again: phones take it away after about ten seconds.
const TYPING_LASTS: Duration = Duration::from_secs(8);
/// Largest picture that a model is shown, in bytes.
const MAX_PICTURE: usize = 5 << 20;

/// What is noted with an answer.
pub(super) struct Noted {
    pub(super) model: String,
    pub(super) cost: f64,
    pub(super) passages: Vec<Value>,
}

/// An answer and what is noted with it; `None` when somebody else answers by now.
pub(super) async fn compose(
    assistant: &Assistant,
    matter: &Matter,
) -> Result<Option<(Composed, Noted)>, ModelError> {
    if let Some(seen) = picture(assistant, matter).await {
        match attempt(assistant, matter, Some(seen)).await {
            // It can't see after all, or not this one: the customer is answered as far as it goes.
            Err(ModelError::Refused(_)) => {}
            answered => return answered,
        }
    }
    attempt(assistant, matter, None).await
}

async fn attempt(
    assistant: &Assistant,
    matter: &Matter,
    seen: Option<(SaidId, Picture)>,
) -> Result<Option<(Composed, Noted)>, ModelError> {
    let cancel = assistant.shared.lifecycle.stopping().child_token();
    let (seen, picture) = seen.unzip();
    let turns: Vec<Turn> = matter.dated(seen).into_iter().map(|dated| dated.turn).collect();
    let config = &matter.assistant.config;
    let prepared = assistant.prepare(Question {
        instance: matter.instance.id,
        config,
        key: matter.assistant.key.as_ref(),
        summary: matter.summary.as_ref().map(|summary| summary.text.as_str()),
        turns: &turns,
        picture,
    });
    let prepared = prepared.await?;
    let _dropped_with_us = cancel.clone().drop_guard();
    let mut unheard = |_: &str| {};
    let composing = assistant.compose(&prepared, &mut unheard, &cancel);
    let composed = tokio::select! {
        composed = composing => composed?,
        () = taken(assistant, matter) => return Ok(None),
        () = typing(assistant, matter) => return Ok(None),
    };
    let noted = Noted {
        model: prepared.target.model.clone(),
        cost: money(composed.micros),
        passages: prepared.passages.iter().map(|passage| json!(passage.document)).collect(),
    };
    Ok(Some((composed, noted)))
}

/// Returns once the conversation is not as it was.
async fn taken(assistant: &Assistant, matter: &Matter) {
    let mut bell = assistant.shared.bell.subscribe();
    let version = matter.conversation.standing.version;
    loop {
        let now = assistant.shared.store.conversation(matter.conversation.id).await;
        if let Ok(found) = now
            && found.is_none_or(|found| !found.standing.lets_assistant_speak(version))
        {
            return;
        }
        if bell.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Shows typing as long as it is polled.
async fn typing(assistant: &Assistant, matter: &Matter) {
    if !matter.assistant.config.pacing.typing {
        std::future::pending::<()>().await;
    }
    loop {
        if let Ok(online) = online_now(&assistant.shared, matter.instance.clone()) {
            let to = &matter.conversation.chat;
            if let Err(error) = online.session.show_typing(to, Typing::Composing).await {
                tracing::debug!(%error, "typing could not be shown");
            }
        }
        tokio::time::sleep(TYPING_LASTS).await;
    }
}

/// The last picture that waits for an answer, when the model can see. One that can't be had is only named.
async fn picture(assistant: &Assistant, matter: &Matter) -> Option<(SaidId, Picture)> {
    if !matter.assistant.config.see_images {
        return None;
    }
    let is_picture = |one: &&Said| one.metadata["kind"] == "imageMessage";
    let asked = matter.waiting().iter().rev().find(is_picture)?;
    let store = &assistant.shared.store;
    let message = store.message_by_row(asked.message?).await.ok()??;
    let media = store.media(message.row_id).await.ok()??;
    let online = online_now(&assistant.shared, matter.instance.clone()).ok()?;
    let bytes = media::fetch(&*online.session, message, MAX_PICTURE).await.ok()?;
    let mimetype = media.mimetype.filter(|kind| kind.starts_with("image/"))?;
    Some((asked.id, Picture { mimetype, base64: STANDARD.encode(&bytes) }))
}
