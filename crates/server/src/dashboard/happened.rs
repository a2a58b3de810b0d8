//! Events as sentences, in the language of who looks. Events carry the words of the API; these are for people.

use super::words::Language;
use flowcore_domain::event::{EventKind, NewEvent};
use flowcore_domain::instance::{Reason, Status};
use flowcore_domain::webhook::OffBecause;

/// What an event of note says. `None` for one that is of none.
pub(super) fn told(event: &NewEvent, w: Language) -> Option<String> {
    let word = |name: &str| event.data[name].as_str().unwrap_or_default();
    Some(match event.kind {
        EventKind::ConnectionUpdate => connection(word("state"), word("reason"), w).to_owned(),
        EventKind::InstanceCreate => w.say("The instance was made.").to_owned(),
        EventKind::WebhookUpdate => webhook(word("state"), word("reason"), w).to_owned(),
        EventKind::ConversationEscalated => w.say("A customer waits for a person.").to_owned(),
        EventKind::ConversationResolved => w.say("A customer was helped.").to_owned(),
        EventKind::AssistantFailed if word("task") == "transcription" => {
            w.fill("A voice note could not be written down ({}).", word("code"))
        }
        EventKind::AssistantFailed => {
            w.fill("The assistant could not answer a customer ({}).", word("code"))
        }
        _ => return None,
    })
}

fn connection(state: &str, reason: &str, w: Language) -> &'static str {
    if state == Status::Connected.evolution() {
        return w.say("Connected to WhatsApp.");
    }
    match Reason::parse(reason) {
        Some(reason) => w.say(reason.sentence()),
        None if state == Status::Connecting.evolution() => w.say("Connecting to WhatsApp."),
        None => w.say("Disconnected from WhatsApp."),
    }
}

fn webhook(state: &str, reason: &str, w: Language) -> &'static str {
    match (state, OffBecause::parse(reason)) {
        ("paused", _) => w.say("A webhook was paused: it failed again and again."),
        (_, Some(OffBecause::Gone)) => w.say("A webhook was switched off: its receiver is gone."),
        (_, Some(OffBecause::Failing)) => w.say("A webhook was switched off: it failed for a day."),
        _ => w.say("A webhook gets events again."),
    }
}
