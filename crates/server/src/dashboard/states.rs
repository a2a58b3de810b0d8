//! The words of the API for how far something got, as sentences for people, in their language.

use super::words::Language;
use flowcore_domain::account::Role;
use flowcore_domain::conversation::Owner;
use flowcore_domain::message::DeliveryStatus;
use flowcore_domain::webhook::{FileForm, OffBecause};
use flowcore_gateway::{DeliveryState, PassedOver};

/// How far a message got.
pub(super) fn message(status: DeliveryStatus, w: Language) -> &'static str {
    match status {
        DeliveryStatus::Error => w.say("failed"),
        DeliveryStatus::Pending => w.say("not yet at WhatsApp"),
        DeliveryStatus::ServerAck => w.say("at WhatsApp"),
        DeliveryStatus::DeliveryAck => w.say("on the phone"),
        DeliveryStatus::Read => w.say("read"),
        DeliveryStatus::Played => w.say("listened to"),
    }
}

/// How far an event got on its way to a webhook.
pub(super) fn delivery(state: DeliveryState, w: Language) -> &'static str {
    match state {
        DeliveryState::Pending => w.say("on its way"),
        DeliveryState::Failed => w.say("to be tried again"),
        DeliveryState::Delivered => w.say("delivered"),
        DeliveryState::Dead => w.say("given up"),
    }
}

/// Why a webhook did not get an event.
pub(super) fn passed_over(why: PassedOver, w: Language) -> &'static str {
    match why {
        PassedOver::MadeLater => w.say("it was made later"),
        PassedOver::Disabled => w.say("it is switched off"),
        PassedOver::KindNotWanted => w.say("it does not want such events"),
        PassedOver::ChatLeftOut => w.say("it does not want such chats"),
        PassedOver::NotKnown => w.say("it was set otherwise then"),
    }
}

/// Why an endpoint was switched off.
pub(super) fn off(why: OffBecause, w: Language) -> &'static str {
    match why {
        OffBecause::Gone => w.say("its receiver is gone"),
        OffBecause::Failing => w.say("it failed for a day"),
    }
}

/// How an endpoint gets files.
pub(super) fn files(form: FileForm, w: Language) -> &'static str {
    match form {
        FileForm::None => w.say("without"),
        FileForm::Link => w.say("as a link"),
        FileForm::Base64 => w.say("inside, as base64"),
    }
}

/// Who answers a customer.
pub(super) fn owner(owner: Owner, w: Language) -> &'static str {
    match owner {
        Owner::Ai => w.say("The assistant answers"),
        Owner::Human => w.say("A person answers"),
        Owner::Paused => w.say("Silenced"),
        Owner::Closed => w.say("Over"),
    }
}

/// What changed who answers; by the word that is stored of it.
pub(super) fn step(word: &str, w: Language) -> &'static str {
    match word {
        "escalate" => w.say("A person was called"),
        "takeover" => w.say("Taken over"),
        "release" => w.say("Handed back"),
        "pause" => w.say("Silenced"),
        "resolve" => w.say("Resolved"),
        "reopen" => w.say("Opened again"),
        "expire" => w.say("Over"),
        _ => w.say("Changed"),
    }
}

/// What somebody may do.
pub(super) fn role(role: Role, w: Language) -> &'static str {
    match role {
        Role::Admin => w.say("Administrator"),
        Role::Member => w.say("Member"),
        Role::Viewer => w.say("Only looks"),
    }
}

/// What a receiver failed with, which is kept as it was said; in the language of the page where that is known.
pub(super) fn failure(said: &str, w: Language) -> String {
    let mut letters = said.trim_end_matches('.').chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    w.tell(&first.chain(letters).chain(['.']).collect::<String>())
}
