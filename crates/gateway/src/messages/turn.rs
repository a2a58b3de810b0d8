//! Texts that belong to a conversation: of a person through the API, of the assistant, of support. They are
//! noted in the conversation in the transaction that stores them, and one that has a key is sent once
//! however often the work that sends it is done.

use super::{Extras, dispatch, drafts};
use crate::error::ServiceError;
use crate::instances::online_now;
use crate::{Shared, numbers};
use flowcore_domain::id::ConversationId;
use flowcore_domain::instance::Instance;
use flowcore_domain::jid::{Jid, Number};
use flowcore_domain::message::{Content, Draft};
use flowcore_storage::{StoredMessage, Turn};
use sha2::{Digest as _, Sha256};

/// A text to be sent.
#[derive(Debug)]
pub(crate) struct Spoken {
    pub(crate) to: Jid,
    /// Their other address.
    pub(crate) alternative: Option<Jid>,
    /// A text, or a message that is passed on.
    pub(crate) content: Content,
    /// Two with the same key are one.
    pub(crate) key: Option<String>,
    /// Its part in a conversation.
    pub(crate) turn: Option<Turn>,
    /// The support phone that it tells, and of whom: their reply is about that customer, however soon it comes.
    pub(crate) tells: Option<(String, ConversationId)>,
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
    let hash: [u8; 32] = match &spoken.content {
        Content::Text { text, .. } => {
            drafts::check_text(text)?;
            Sha256::digest(text).into()
        }
        Content::Forward(proto) => Sha256::digest(proto).into(),
        _ => return Err(ServiceError::Invalid("only texts and what is passed on".into())),
    };
    let online = online_now(shared, instance.clone())?;
    let draft = Draft::plain(spoken.to, spoken.content);
    let extras = Extras {
        alternative: spoken.alternative,
        idempotency: spoken.key.map(|key| (key, hash)),
        turn: spoken.turn,
        tells: spoken.tells,
        ..Extras::default()
    };
    dispatch(shared, &online, &draft, extras).await
}

/// The address behind a number, with the other one when known.
///
/// # Errors
/// [`ServiceError::NumberNotOnWhatsApp`] when nobody is.
pub(crate) async fn address_of(
    shared: &Shared,
    instance: &Instance,
    digits: &str,
) -> Result<(Jid, Option<Jid>), ServiceError> {
    let online = online_now(shared, instance.clone())?;
    numbers::resolve(shared, &*online.session, Number::Phone(digits.to_owned())).await
}
