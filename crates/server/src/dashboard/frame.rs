//! What is around every page: language, where one is, what the last form did.

use super::session::Viewer;
use super::words::Language;
use axum::response::Redirect;
use flowcore_domain::account::Scope;
use flowcore_domain::instance::InstanceName;
use serde::Deserialize;
use std::fmt::Write as _;

/// The part of a page that is the same on all of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Frame {
    pub(super) w: Language,
    /// The token of the session, for forms; empty when nobody is signed in.
    pub(super) csrf: String,
    /// Which entry of the navigation this is.
    pub(super) at: &'static str,
    /// Whether the viewer may do these.
    pub(super) may: May,
    /// Customers who wait for a person.
    pub(super) waiting: u64,
    /// The instance that the page is about.
    pub(super) instance: Option<String>,
    /// What was just done.
    pub(super) toast: Option<String>,
}

/// What the pages offer to whom.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a right of its own")]
pub(super) struct May {
    pub(super) send: bool,
    pub(super) manage: bool,
    pub(super) set: bool,
    pub(super) delete: bool,
    pub(super) administer: bool,
}

/// The query with which a page says what the form before it did.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Did {
    did: Option<String>,
    name: Option<String>,
}

impl Frame {
    /// For who is not signed in.
    pub(crate) fn of_nobody(w: Language) -> Self {
        Self { w, ..Self::default() }
    }

    pub(super) fn of(viewer: &Viewer, at: &'static str) -> Self {
        let may = |scope| viewer.caller.may(scope);
        Self {
            w: viewer.language,
            csrf: viewer.csrf.clone(),
            at,
            may: May {
                send: may(Scope::Send),
                manage: may(Scope::Manage),
                set: may(Scope::Settings),
                delete: may(Scope::Delete),
                administer: may(Scope::Admin),
            },
            waiting: viewer.waiting,
            instance: None,
            toast: None,
        }
    }

    pub(super) fn about(mut self, name: &InstanceName) -> Self {
        self.instance = Some(name.to_string());
        self
    }

    pub(super) fn after(mut self, did: &Did) -> Self {
        self.toast = did.told(self.w);
        self
    }

    /// For `aria-current`.
    pub(super) fn is_at(&self, entry: &str) -> bool {
        self.at == entry
    }
}

impl Did {
    /// In a sentence. Only our own words and a valid name get there.
    fn told(&self, w: Language) -> Option<String> {
        let name: Option<InstanceName> = self.name.as_deref().and_then(|name| name.parse().ok());
        match self.did.as_deref()? {
            "linked" => name.map(|name| w.fill("{} is connected.", name)),
            "restarted" => name.map(|name| w.fill("{} restarts.", name)),
            "logged-out" => name.map(|name| w.fill("{} was logged out. Its data is kept.", name)),
            "deleted" => name.map(|name| w.fill("{} was deleted.", name)),
            word => SAVED.iter().find(|(one, _)| *one == word).map(|(_, say)| say(w).to_owned()),
        }
    }
}

type Say = fn(Language) -> &'static str;

/// What forms end with, by the word in the address.
const SAVED: [(&str, Say); 36] = [
    ("saved", |w| w.say("Saved.")),
    ("key-gone", |w| w.say("The key is good for nothing any more.")),
    ("password", |w| w.say("The password was changed.")),
    ("totp-on", |w| w.say("The second factor is on.")),
    ("totp-off", |w| w.say("The second factor is off.")),
    ("session-gone", |w| w.say("The sign-in was ended.")),
    ("user-made", |w| w.say("The user was made.")),
    ("user-gone", |w| w.say("The user was deleted.")),
    ("webhook-gone", |w| w.say("The webhook was deleted.")),
    ("retried", |w| w.say("It is posted again.")),
    ("replayed", |w| w.say("The events are on their way again.")),
    ("nothing-replayed", |w| w.say("There were no events in that time.")),
    ("sent", |w| w.say("The message was sent.")),
    ("pending", |w| w.say("The message is stored and will be sent.")),
    ("assistant-on", |w| w.say("The assistant answers from now on.")),
    ("assistant-off", |w| w.say("The assistant is silent from now on.")),
    ("prompt-restored", |w| w.say("The prompt is worded as it was.")),
    ("prompt-accepted", |w| w.say("The prompt was changed.")),
    ("case-kept", |w| w.say("The case was kept.")),
    ("case-gone", |w| w.say("The case was deleted.")),
    ("cases-passed", |w| w.say("All cases passed.")),
    ("cases-failed", |w| w.say("Not all cases passed.")),
    ("document-taken", |w| w.say("The document was taken and is being read.")),
    ("document-gone", |w| w.say("The document was deleted.")),
    ("keyword-added", |w| w.say("The keyword was added.")),
    ("keyword-gone", |w| w.say("The keyword was deleted.")),
    ("taken-over", |w| w.say("The conversation is yours. The assistant is silent.")),
    ("handed-back", |w| w.say("The assistant goes on.")),
    ("escalated", |w| w.say("A person was called.")),
    ("resolved", |w| w.say("It is resolved.")),
    ("reopened", |w| w.say("It is open again.")),
    ("all-restarted", |w| w.say("The ticked instances restart.")),
    ("all-logged-out", |w| w.say("The ticked instances were logged out. Their data is kept.")),
    ("all-deleted", |w| w.say("The ticked instances were deleted.")),
    ("none-picked", |w| w.say("No instance was ticked.")),
    ("language", |w| w.say("The language was changed.")),
];

/// To a page that says what was done.
pub(super) fn done(path: &str, did: &str) -> Redirect {
    Redirect::to(&format!("{path}?did={did}"))
}

/// A text as one piece of an address.
pub(super) fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string can't fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}
