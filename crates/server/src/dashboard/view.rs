//! What the templates show: instances in the words of the dashboard.

use super::frame::Frame;
use super::words::Language;
use crate::app::AppState;
use crate::problem::Problem;
use crate::qr;
use askama::Template;
use flowcore_domain::clock::Millis;
use flowcore_domain::instance::pairing::{CODES_PER_ROUND, FIRST_CODE, NEXT_CODE};
use flowcore_domain::instance::{Reason, Status};
use flowcore_gateway::{Glance, InstanceView};

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
    /// Its assistant answers, calls are turned away, so many customers wait.
    pub(super) assistant: bool,
    pub(super) rejects_calls: bool,
    pub(super) waiting: u64,
    pub(super) frame: Frame,
}

/// Instances as their cards show them.
pub(super) async fn cards(
    state: &AppState,
    views: &[InstanceView],
    frame: &Frame,
) -> Result<Vec<Card>, Problem> {
    let glances = state.gateway.glance(views).await?;
    Ok(views.iter().map(|view| Card::new(view, glances.get(&view.id), frame)).collect())
}

impl Card {
    fn new(view: &InstanceView, glance: Option<&Glance>, frame: &Frame) -> Self {
        let w = frame.w;
        Self {
            id: view.id.text(),
            name: view.name.to_string(),
            status: view.status.as_str(),
            word: word(view.status, w),
            sentence: sentence(view, w),
            number: view.number.as_deref().map(international),
            profile: view.profile_name.as_deref().map(one_line),
            last_connected: view.last_connected.map(Moment::from),
            primary: primary(view),
            assistant: glance.is_some_and(|glance| glance.assistant),
            rejects_calls: glance.is_some_and(|glance| glance.rejects_calls),
            waiting: glance.map_or(0, |glance| glance.waiting),
            frame: frame.clone(),
        }
    }
}

/// A status as a word.
pub(super) fn word(status: Status, w: Language) -> &'static str {
    match status {
        Status::Created => w.say("Created"),
        Status::Connecting => w.say("Connecting"),
        Status::Connected => w.say("Connected"),
        Status::Disconnected => w.say("Disconnected"),
    }
}

/// Why it is so, and what to do.
pub(super) fn sentence(view: &InstanceView, w: Language) -> Option<&'static str> {
    match (view.status, view.reason) {
        (Status::Connected, _) => None,
        (_, Some(reason)) => Some(w.say(reason.sentence())),
        (Status::Created, None) => Some(w.say("Not linked to a phone yet.")),
        (Status::Connecting, None) if view.qr.is_some() => {
            Some(w.say("Waiting for a phone to scan."))
        }
        (Status::Connecting, None) => Some(w.say("On its way to WhatsApp.")),
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
pub(super) fn international(number: &str) -> String {
    format!("+{number}")
}

/// Names come from phones; a line break in one would break the stream's frames.
pub(super) fn one_line(text: &str) -> String {
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
    pub(super) frame: Frame,
}

impl Link {
    pub(super) fn new(view: &InstanceView, frame: &Frame, now: Millis) -> Self {
        Self {
            id: view.id.text(),
            name: view.name.to_string(),
            number: view.number.as_deref().map(international),
            stage: stage(view, frame.w, now),
            codes: CODES_PER_ROUND,
            frame: frame.clone(),
        }
    }

    /// Whether the page should look again by itself, for who has no script.
    pub(super) fn moves(&self) -> bool {
        matches!(self.stage, Stage::Code { .. } | Stage::Waiting | Stage::Linking)
    }
}

fn stage(view: &InstanceView, w: Language, now: Millis) -> Stage {
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
        (Status::Created, _) => Stage::Ended(w.say("Not linked to a phone yet.")),
        (Status::Disconnected, _) => {
            let why = view.reason.map(|reason| w.say(reason.sentence()));
            Stage::Ended(why.unwrap_or(w.say("It is not running.")))
        }
    }
}

#[derive(Template)]
#[template(path = "login.html")]
pub(super) struct LoginPage<'a> {
    pub(super) frame: Frame,
    /// What is wrong with what was sent.
    pub(super) refused: Option<String>,
    /// Why a browser can't sign in at this address at all.
    pub(super) blocked: Option<String>,
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
    pub(super) filter: String,
    pub(super) live_query: String,
    /// The name to go on after, and whether this is not the first page.
    pub(super) next: Option<String>,
    pub(super) later: bool,
    /// Instances that there are, and may be.
    pub(super) used: u64,
    pub(super) limit: Option<u64>,
    pub(super) frame: Frame,
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
#[template(path = "parts/waiting.html")]
pub(super) struct WaitingFragment {
    pub(super) frame: Frame,
}

#[derive(Template)]
#[template(path = "new_instance.html")]
pub(super) struct NewInstancePage {
    pub(super) name: String,
    pub(super) wrong: Option<String>,
    pub(super) frame: Frame,
}

#[derive(Template)]
#[template(path = "link.html")]
pub(super) struct LinkPage {
    pub(super) link: Link,
    pub(super) frame: Frame,
}

#[derive(Template)]
#[template(path = "code.html")]
pub(super) struct CodePage {
    pub(super) id: String,
    pub(super) name: String,
    /// `None` when there is none to show: the number is linked, or nothing is being linked.
    pub(super) code: Option<String>,
    pub(super) wrong: Option<String>,
    pub(super) number: String,
    pub(super) frame: Frame,
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
    pub(super) frame: Frame,
}

#[derive(Template)]
#[template(path = "problem.html")]
pub(super) struct ProblemPage<'a> {
    pub(super) frame: Frame,
    pub(super) title: String,
    pub(super) detail: String,
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
