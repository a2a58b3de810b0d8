//! What the templates show: instances in the words of the dashboard.

use crate::qr;
use askama::Template;
use flowcore_domain::clock::Millis;
use flowcore_domain::instance::pairing::{CODES_PER_ROUND, FIRST_CODE, NEXT_CODE};
use flowcore_domain::instance::{Reason, Status};
use flowcore_gateway::InstanceView;

/// A point in time: exact for the script, readable without it.
pub(super) struct Moment {
    pub(super) exact: String,
    pub(super) plain: String,
}

impl From<Millis> for Moment {
    fn from(at: Millis) -> Self {
        let exact = at.rfc3339();
        let plain = format!("{} {} UTC", &exact[..10], &exact[11..16]);
        Self { exact, plain }
    }
}

/// What the card offers first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Primary {
    Link,
    ShowCode,
    Restart,
    None,
}

/// An instance as its card shows it.
pub(super) struct Card {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) status: &'static str,
    pub(super) word: &'static str,
    pub(super) sentence: Option<&'static str>,
    pub(super) number: Option<String>,
    pub(super) profile: Option<String>,
    pub(super) last_connected: Option<Moment>,
    pub(super) primary: Primary,
    pub(super) csrf: String,
}

impl Card {
    pub(super) fn new(view: &InstanceView, csrf: &str) -> Self {
        Self {
            id: view.id.text(),
            name: view.name.to_string(),
            status: view.status.as_str(),
            word: word(view.status),
            sentence: sentence(view),
            number: view.number.as_deref().map(international),
            profile: view.profile_name.as_deref().map(one_line),
            last_connected: view.last_connected.map(Moment::from),
            primary: primary(view),
            csrf: csrf.to_owned(),
        }
    }
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Created => "Created",
        Status::Connecting => "Connecting",
        Status::Connected => "Connected",
        Status::Disconnected => "Disconnected",
    }
}

fn sentence(view: &InstanceView) -> Option<&'static str> {
    match (view.status, view.reason) {
        (Status::Connected, _) => None,
        (_, Some(reason)) => Some(reason.sentence()),
        (Status::Created, None) => Some("Not linked to a phone yet."),
        (Status::Connecting, None) if view.qr.is_some() => Some("Waiting for a phone to scan."),
        (Status::Connecting, None) => Some("On its way to WhatsApp."),
        (Status::Disconnected, None) => None,
    }
}

/// Restarting helps only who is still linked.
fn primary(view: &InstanceView) -> Primary {
    let unlinked = matches!(view.reason, Some(Reason::LoggedOut | Reason::QrExpired));
    match view.status {
        Status::Connected => Primary::None,
        Status::Connecting if view.number.is_some() => Primary::None,
        Status::Connecting => Primary::ShowCode,
        Status::Disconnected if view.number.is_some() && !unlinked => Primary::Restart,
        Status::Created | Status::Disconnected => Primary::Link,
    }
}

/// As it is dialed from abroad; grouping digits well needs each country's rules.
fn international(number: &str) -> String {
    format!("+{number}")
}

/// Names come from phones; a line break in one would break the stream's frames.
fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// Where linking stands.
pub(super) enum Stage {
    /// A code to scan, until a time.
    Code { svg: String, number: u8, left_ms: i64, whole_ms: u128 },
    /// No code yet.
    Waiting,
    /// A phone has scanned it.
    Linking,
    /// Done.
    Connected,
    /// Not running; why, and a way to try again.
    Ended(&'static str),
}

/// The picture and the words beside it.
pub(super) struct Link {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) number: Option<String>,
    pub(super) stage: Stage,
    pub(super) codes: u8,
    pub(super) csrf: String,
}

impl Link {
    pub(super) fn new(view: &InstanceView, csrf: &str, now: Millis) -> Self {
        Self {
            id: view.id.text(),
            name: view.name.to_string(),
            number: view.number.as_deref().map(international),
            stage: stage(view, now),
            codes: CODES_PER_ROUND,
            csrf: csrf.to_owned(),
        }
    }

    /// Whether the page should look again by itself, for who has no script.
    pub(super) fn moves(&self) -> bool {
        matches!(self.stage, Stage::Code { .. } | Stage::Waiting | Stage::Linking)
    }
}

fn stage(view: &InstanceView, now: Millis) -> Stage {
    let code = view.qr.as_ref().filter(|code| !code.is_stale(now));
    match (view.status, code) {
        (Status::Connected, _) => Stage::Connected,
        (Status::Connecting, Some(code)) => match qr::svg(&code.text) {
            Some(svg) => Stage::Code {
                svg,
                number: code.number,
                left_ms: code.expires_at.0 - now.0,
                whole_ms: if code.number == 1 { FIRST_CODE } else { NEXT_CODE }.as_millis(),
            },
            None => Stage::Waiting,
        },
        (Status::Connecting, None) if view.number.is_some() => Stage::Linking,
        (Status::Connecting, None) => Stage::Waiting,
        (Status::Created, _) => Stage::Ended("Not linked to a phone yet."),
        (Status::Disconnected, _) => {
            Stage::Ended(view.reason.map_or("It is not running.", Reason::sentence))
        }
    }
}

#[derive(Template)]
#[template(path = "login.html")]
pub(super) struct LoginPage<'a> {
    /// What is wrong with what was sent.
    pub(super) refused: Option<&'a str>,
    /// Why a browser can't sign in at this address at all.
    pub(super) blocked: Option<&'a str>,
    /// The name that was sent.
    pub(super) username: &'a str,
}

#[derive(Template)]
#[template(path = "instances.html")]
pub(super) struct InstancesPage {
    pub(super) cards: Vec<Card>,
    pub(super) connected: usize,
    pub(super) search: String,
    pub(super) status: &'static str,
    pub(super) live_query: String,
    pub(super) more: bool,
    pub(super) toast: Option<String>,
    pub(super) csrf: String,
}

#[derive(Template)]
#[template(path = "parts/cards.html")]
pub(super) struct CardsFragment {
    pub(super) cards: Vec<Card>,
}

#[derive(Template)]
#[template(path = "parts/card.html")]
pub(super) struct CardFragment {
    pub(super) card: Card,
}

#[derive(Template)]
#[template(path = "new_instance.html")]
pub(super) struct NewInstancePage {
    pub(super) name: String,
    pub(super) wrong: Option<String>,
    pub(super) csrf: String,
}

#[derive(Template)]
#[template(path = "link.html")]
pub(super) struct LinkPage {
    pub(super) link: Link,
    pub(super) csrf: String,
}

#[derive(Template)]
#[template(path = "parts/link.html")]
pub(super) struct LinkFragment {
    pub(super) link: Link,
}

#[derive(Template)]
#[template(path = "confirm.html")]
pub(super) struct ConfirmPage {
    pub(super) name: String,
    pub(super) delete: bool,
    pub(super) wrong: bool,
    pub(super) csrf: String,
}

#[derive(Template)]
#[template(path = "problem.html")]
pub(super) struct ProblemPage<'a> {
    pub(super) title: &'a str,
    pub(super) detail: &'a str,
    pub(super) request_id: Option<&'a str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_from_a_phone_stays_on_one_line() {
        assert_eq!(one_line("a\r\nb"), "a  b");
    }
}
