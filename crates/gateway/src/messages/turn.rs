//! Texts that belong to a conversation: of a person through the API, of the assistant, of support. They are
//! noted in the conversation in the transaction that stores them, and one that has a key is sent once
//! however often the work that sends it is done.

use super::{Extras, dispatch, drafts};
use crate::Shared;
use crate::error::ServiceError;
use crate::instances::online_now;
use flowcore_domain::instance::Instance;
use flowcore_domain::jid::Jid;
use flowcore_domain::message::{Content, Draft};
use flowcore_storage::{StoredMessage, Turn};
use sha2::{Digest as _, Sha256};

/// A text to be sent.
#[derive(Debug)]
pub(crate) struct Spoken {
    pub(crate) to: Jid,
    /// Their other address.
    pub(crate) alternative: Option<Jid>,
    pub(crate) text: String,
    /// Two with the same key are one.
    pub(crate) key: Option<String>,
    /// Its part in a conversation.
    pub(crate) turn: Option<Turn>,
}

/// Sends it, or finds it sent.
///
/// # Errors
/// [`ServiceError::ConversationTaken`] when it was not its speaker's turn any more; nothing was stored then,
/// nor with the other errors.
pub(crate) async fn speak(
    shared: &Shared,
    instance: &Instance,
    spoken: Spoken,
) -> Result<StoredMessage, ServiceError> {
    drafts::check_text(&spoken.text)?;
    let online = online_now(shared, instance.clone())?;
    let hash: [u8; 32] = Sha256::digest(&spoken.text).into();
    let draft = Draft::plain(spoken.to, Content::Text { text: spoken.text, preview: None });
    let extras = Extras {
        alternative: spoken.alternative,
        idempotency: spoken.key.map(|key| (key, hash)),
        turn: spoken.turn,
        ..Extras::default()
    };
    dispatch(shared, &online, &draft, extras).await
}
