//! What the owner sends through the API is part of the conversation that it is sent into, so that whoever
//! answers knows of it.
//!
//! A person who signed in and writes has the conversation from then on, as one who writes on the phone. A
//! program with a key tells something by the way: nobody is silenced by it, and no customer was answered
//! with it, unless it says so itself.

use crate::accounts::Caller;
use crate::error::ServiceError;
use crate::instances::Online;
use crate::support::moves::{self, Move};
use crate::support::relay;
use crate::{Shared, fresh_id, turns};
use flowcore_domain::conversation::{Role, Step};
use flowcore_domain::jid::Jid;
use flowcore_storage::{AUTOMATIC, Turn};
use serde_json::json;

/// The part of a message in the conversation with whom it goes to; `None` when nothing is noted of them.
pub(super) async fn turn(
    shared: &Shared,
    caller: &Caller,
    (online, to): (&Online, (&Jid, Option<&Jid>)),
    take_over: Option<bool>,
) -> Result<Option<Turn>, ServiceError> {
    let (store, instance) = (&shared.store, &online.instance);
    let attention = shared.attentions.of(store, instance.id).await?;
    if !turns::is_heard(attention, to.0) || turns::is_own_chat(instance, to) {
        return Ok(None);
    }
    let config = store.support_config(instance.id).await?.filter(|config| config.is_active);
    if let Some(config) = &config
        && relay::phone_of(shared, config, (instance.id, to)).await?.is_some()
    {
        return Ok(None);
    }
    let conversation = store.open_conversation(instance.id, to, shared.now()).await?.id;
    let by = caller.by();
    let takes = take_over.unwrap_or_else(|| caller.is_person());
    if takes {
        moves::make(shared, instance, Move::of(conversation, Step::TakeOver, by.as_str())).await?;
    }
    let metadata = if takes { json!({ "by": by }) } else { json!({ "by": by, AUTOMATIC: true }) };
    Ok(Some(Turn { conversation, only_at: None, id: fresh_id(), role: Role::Human, metadata }))
}
