//! What an instance does by itself, as its owner switched it: whom it ignores, what it marks as read, how
//! it takes calls, whether it shows as being there.
//!
//! All of it happens beside the actor and the way of messages: neither waits for WhatsApp here.

use super::Online;
use super::owed::Owed;
use crate::Shared;
use crate::messages::send_draft;
use crate::outbox::render;
use flowcore_domain::engine::{EngineError, Session};
use flowcore_domain::event::NewEvent;
use flowcore_domain::happening::{Call, CallStep, Happening};
use flowcore_domain::id::{InstanceId, UserId};
use flowcore_domain::instance::InstanceName;
use flowcore_domain::instance::settings::Settings;
use flowcore_domain::jid::{Jid, Server};
use flowcore_domain::message::{Content, Draft, Inbound, MessageKey};
use flowcore_storage::StorageError;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long WhatsApp may take to say what a new group is.
const GROUP_WITHIN: Duration = Duration::from_secs(10);

/// Whether nothing of a conversation is to be known.
pub(crate) fn ignores(settings: &Settings, chat: &Jid) -> bool {
    match chat.server() {
        Server::Group => settings.groups_ignore,
        Server::Broadcast => !settings.read_status && chat.user() == "status",
        _ => false,
    }
}

/// The messages that are marked as read by themselves, by conversation and writer.
pub(crate) fn to_be_read(settings: &Settings, inbound: &[Inbound]) -> Vec<Vec<MessageKey>> {
    let mut receipts: BTreeMap<(&Jid, Option<&Jid>), Vec<MessageKey>> = BTreeMap::new();
    for item in inbound {
        let Inbound::Message(message) = item else { continue };
        let wanted = match message.chat.server() {
            Server::Broadcast => settings.read_status,
            _ => settings.read_messages,
        };
        if !wanted || message.from_me {
            continue;
        }
        let participant = (message.sender != message.chat).then_some(&message.sender);
        let key = MessageKey {
            chat: message.chat.clone(),
            from_me: false,
            id: message.id.clone(),
            participant: participant.cloned(),
        };
        receipts.entry((&message.chat, participant)).or_default().push(key);
    }
    receipts.into_values().collect()
}

/// Tells the writers that their messages were read.
pub(crate) fn mark_read(shared: &Arc<Shared>, id: InstanceId, receipts: Vec<Vec<MessageKey>>) {
    if receipts.is_empty() {
        return;
    }
    beside(shared, id, move |session| async move {
        for keys in &receipts {
            session.mark_read(keys).await?;
        }
        Ok(())
    });
}

/// A number that is logged in.
pub(crate) fn opened(shared: &Arc<Shared>, id: InstanceId) {
    shown(shared, id);
    look_at_own_picture(shared, id, Look::Unknown);
}

/// The number is there or not, as its owner likes: while a linked device is there, phones stay silent.
pub(crate) fn shown(shared: &Arc<Shared>, id: InstanceId) {
    let known = Arc::clone(shared);
    beside(shared, id, move |session| async move {
        let settings = known.switches.of(&known.store, id).await;
        let settings = settings.map_err(|error| EngineError::Store(error.to_string()))?;
        session.set_available(settings.always_online).await
    });
}

/// When the owner's picture is looked at.
#[derive(Clone, Copy, PartialEq)]
enum Look {
    /// Only when nothing is known of it.
    Unknown,
    /// Also then: there is another one.
    Anew,
}

/// Notes where the owner's picture is: lists of instances show it.
fn look_at_own_picture(shared: &Arc<Shared>, id: InstanceId, look: Look) {
    let known = Arc::clone(shared);
    beside(shared, id, move |session| async move {
        let stored = |error: StorageError| EngineError::Store(error.to_string());
        let Some(instance) = known.store.instance(id).await.map_err(stored)? else { return Ok(()) };
        let Some(own) = instance.identity.map(|who| who.jid) else { return Ok(()) };
        let noted = known.store.pictures(id, std::slice::from_ref(&own)).await.map_err(stored)?;
        if look == Look::Anew || noted.is_empty() {
            let url = session.picture_of(&own).await?;
            known.store.note_picture(id, &own, (url, known.now())).await.map_err(stored)?;
        }
        Ok(())
    });
}

/// Tells that the number is in a new group, with everything that WhatsApp says of it; with what the notice said
/// when it says nothing.
pub(crate) fn tell_of_group(
    shared: &Arc<Shared>,
    (id, user, name): (InstanceId, UserId, &InstanceName),
    (group, otherwise): (Jid, NewEvent),
) {
    let (known, name) = (Arc::clone(shared), name.clone());
    beside(shared, id, move |session| async move {
        let now = otherwise.at;
        let asking = tokio::time::timeout(GROUP_WITHIN, session.group(&group));
        let event = match asking.await {
            Ok(Ok(found)) => render::grouped(id, &found, now),
            _ => otherwise,
        };
        let told = Owed::Events(vec![event]).write(&known, (id, user, &name)).await;
        told.map_err(|error| EngineError::Store(error.to_string()))
    });
}

/// Whether a picture that changed is the owner's own. It is asked for anew; those of others when somebody
/// asks.
pub(crate) fn own_picture_changed(shared: &Arc<Shared>, id: InstanceId, whose: &Jid) -> bool {
    let live = shared.registry.get(id).map(|handle| handle.snapshot());
    let own = live.and_then(|live| live.identity);
    let is_own = own.is_some_and(|own| own.jid == *whose || own.lid.as_ref() == Some(whose));
    if is_own {
        look_at_own_picture(shared, id, Look::Anew);
    }
    is_own
}

/// Whether what happened is told; and answers a call.
pub(crate) async fn takes(shared: &Arc<Shared>, id: InstanceId, happening: &Happening) -> bool {
    let settings = match shared.switches.of(&shared.store, id).await {
        Ok(settings) => settings,
        Err(error) => {
            tracing::warn!(instance = %id, %error, "the switches could not be read");
            return true;
        }
    };
    if let Happening::Call(call) = happening
        && call.step == CallStep::Offer
        && !call.offline
    {
        answer(shared, id, call.clone(), Arc::clone(&settings));
    }
    !(settings.groups_ignore && happening.group().is_some())
}

/// Hangs up on a caller and tells them what the owner wants them to be told.
fn answer(shared: &Arc<Shared>, id: InstanceId, call: Call, settings: Arc<Settings>) {
    if !settings.reject_calls && settings.reject_calls_message.is_empty() {
        return;
    }
    let known = Arc::clone(shared);
    beside(shared, id, move |session| async move {
        if settings.reject_calls {
            session.reject_call(&call.id, &call.from.jid).await?;
        }
        let text = settings.reject_calls_message.clone();
        if text.is_empty() || call.group.is_some() {
            return Ok(());
        }
        let found = known.store.instance(id).await;
        let Ok(Some(instance)) = found else { return Ok(()) };
        let Some(own) = instance.identity.as_ref().map(|who| who.jid.clone()) else {
            return Ok(());
        };
        let online = Online { instance, session, own };
        let to = [Some(&call.from.jid), call.from.alt.as_ref()];
        let phone = to.into_iter().flatten().find(|jid| jid.phone().is_some());
        let to = phone.unwrap_or(&call.from.jid).clone();
        let draft = Draft::plain(to, Content::Text { text, preview: None });
        if let Err(error) = send_draft(&known, &online, &draft).await {
            tracing::warn!(instance = %id, %error, "a caller could not be told");
        }
        Ok(())
    });
}

/// Does something with the session, on a task of its own.
fn beside<F>(shared: &Arc<Shared>, id: InstanceId, work: impl FnOnce(Arc<dyn Session>) -> F)
where
    F: Future<Output = Result<(), EngineError>> + Send + 'static,
{
    let Some(session) = shared.registry.get(id).and_then(|handle| handle.session()) else { return };
    let stopping = shared.lifecycle.stopping().clone();
    let work = work(session);
    let done = async move {
        if let Err(error) = work.await {
            tracing::debug!(instance = %id, %error, "something that is done by itself failed");
        }
    };
    shared.lifecycle.tracker().spawn(stopping.run_until_cancelled_owned(done));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_and_statuses_are_ignored_as_they_are_switched() {
        let group: Jid = "120363@g.us".parse().expect("a group");
        let person: Jid = "5511@s.whatsapp.net".parse().expect("a person");
        let ignoring = Settings { groups_ignore: true, ..Settings::default() };
        assert!(ignores(&ignoring, &group) && !ignores(&ignoring, &person));
        assert!(!ignores(&Settings::default(), &group));
        let status: Jid = "status@broadcast".parse().expect("the status");
        let reading = Settings { read_status: true, ..Settings::default() };
        assert!(ignores(&Settings::default(), &status) && !ignores(&reading, &status));
    }
}
