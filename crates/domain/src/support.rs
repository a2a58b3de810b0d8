//! When a customer needs a person, who is told, and what is said: pure rules.

pub mod command;
pub mod hours;
pub mod keyword;
pub mod template;

use crate::conversation::Role;
use hours::BusinessHours;
use serde::{Deserialize, Serialize};

/// Most support phones of an instance.
pub const MAX_PHONES: usize = 20;
/// Most keywords of an instance.
pub const MAX_KEYWORDS: usize = 200;
/// Longest keyword, in characters.
pub const MAX_KEYWORD: usize = 100;
/// Longest template, in characters.
pub const MAX_TEMPLATE: usize = 4000;
/// Longest name of a support phone, in characters.
pub const MAX_NAME: usize = 100;
/// Longest wait before a conversation goes back by itself: thirty days, in minutes.
pub const MAX_AUTO_RETURN: i64 = 30 * 24 * 60;

/// What a customer is told when a person is called, unless the owner says it better.
pub const CUSTOMER_TEMPLATE: &str =
    "Thank you, {{customer_name}}. A person from our team will answer you here.";
/// What a support phone is told.
pub const SUPPORT_TEMPLATE: &str = "{{customer_name}} ({{customer_phone}}) needs a person: {{reason}}.\n\
    {{summary}}\n{{link}}\n\nReply to this message to write to them. #resolve is done, #ai hands back, \
    #help tells more.";

/// A phone whose owner helps.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupportPhone {
    /// Its number in digits.
    pub number: String,
    /// Whose it is.
    #[serde(default)]
    pub name: String,
}

/// Never shows the number.
impl std::fmt::Debug for SupportPhone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SupportPhone(…)")
    }
}

/// How an instance hands over.
#[derive(Debug, Clone, PartialEq)]
pub struct SupportConfig {
    /// Keywords and the other triggers call a person.
    pub is_active: bool,
    /// Who is told, in this order.
    pub phones: Vec<SupportPhone>,
    /// What the customer is told.
    pub customer_template: String,
    /// What the phones are told.
    pub support_template: String,
    /// When somebody is there; `None`: always.
    pub business_hours: Option<BusinessHours>,
    /// A conversation in which nobody wrote for so long goes back to the assistant.
    pub auto_return_minutes: Option<i64>,
}

impl Default for SupportConfig {
    fn default() -> Self {
        Self {
            is_active: false,
            phones: Vec::new(),
            customer_template: CUSTOMER_TEMPLATE.to_owned(),
            support_template: SUPPORT_TEMPLATE.to_owned(),
            business_hours: None,
            auto_return_minutes: None,
        }
    }
}

/// Why a customer was handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// They said a keyword.
    Keyword,
    /// They asked for a person, as the model understood.
    Asked,
    /// The assistant had no answer several times.
    Unanswered,
    /// They asked the same again and again.
    Repeated,
    /// The assistant or what it needs failed.
    Failure,
    /// A program did it through the API.
    Api,
    /// The owner, or who works for them, did it in the dashboard.
    Owner,
    /// Somebody opened it again.
    Reopened,
}

impl Reason {
    /// The word of the database and the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Keyword => "keyword",
            Self::Asked => "asked",
            Self::Unanswered => "unanswered",
            Self::Repeated => "repeated",
            Self::Failure => "failure",
            Self::Api => "api",
            Self::Owner => "owner",
            Self::Reopened => "reopened",
        }
    }

    /// For the people who read it.
    #[must_use]
    pub fn sentence(self, keyword: Option<&str>) -> String {
        match (self, keyword) {
            (Self::Keyword, Some(keyword)) => format!("said \u{201c}{keyword}\u{201d}"),
            (Self::Keyword | Self::Asked, _) => "asks for a person".to_owned(),
            (Self::Unanswered, _) => "the assistant has no answer".to_owned(),
            (Self::Repeated, _) => "asks the same again".to_owned(),
            (Self::Failure, _) => "the assistant failed".to_owned(),
            (Self::Api | Self::Owner, _) => "handed over by the team".to_owned(),
            (Self::Reopened, _) => "opened again".to_owned(),
        }
    }
}

/// So often in a row the same is said before a person is called.
const SAME: usize = 3;

/// Whether a customer asked the same again and again. `said` is the latest first.
#[must_use]
pub fn is_repeated<'a>(said: impl IntoIterator<Item = (Role, &'a str)>) -> bool {
    let words = |text: &str| keyword::words(text);
    let mut own = said.into_iter().filter(|(role, _)| *role == Role::User).map(|(_, text)| text);
    let Some(last) = own.next().map(words).filter(|last| last.len() > 1) else { return false };
    let more: Vec<_> = own.take(SAME - 1).map(words).collect();
    more.len() == SAME - 1 && more.iter().all(|earlier| *earlier == last)
}

/// How an answer of the assistant turned out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Answered {
    /// It understood that the customer asks for a person.
    pub wants_person: bool,
    /// It had nothing to say to the question.
    pub unknown: bool,
    /// The model or what it needs failed.
    pub failed: bool,
}

/// So many answers in a row without knowing call a person.
const UNKNOWN: usize = 2;

/// Why a customer needs a person after what the assistant answered, the latest first.
#[must_use]
pub fn after_answers(answers: &[Answered]) -> Option<Reason> {
    let last = answers.first()?;
    if last.wants_person {
        Some(Reason::Asked)
    } else if last.failed {
        Some(Reason::Failure)
    } else {
        let unknown = answers.iter().take(UNKNOWN).filter(|one| one.unknown).count();
        (unknown == UNKNOWN).then_some(Reason::Unanswered)
    }
}

/// So many characters of each of the last messages are in a summary.
const EXCERPT: usize = 200;
/// So many of the last messages are.
const LAST: usize = 6;

/// What was said last, for who comes to it. `said` is the latest first; what comes out is in order.
#[must_use]
pub fn summary<'a>(said: impl IntoIterator<Item = (Role, &'a str)>) -> String {
    let spoken = said.into_iter().filter(|(_, text)| !text.trim().is_empty());
    let mut lines: Vec<String> = spoken.take(LAST).map(|(role, text)| line(role, text)).collect();
    lines.reverse();
    lines.join("\n")
}

fn line(role: Role, text: &str) -> String {
    let who = match role {
        Role::User => "Customer",
        Role::Assistant => "Assistant",
        Role::Human => "Team",
    };
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut shown: String = flat.chars().take(EXCERPT).collect();
    if shown.len() < flat.len() {
        shown.push('…');
    }
    format!("{who}: {shown}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_question_thrice_is_repeated_whatever_its_case() {
        let user = |text| (Role::User, text);
        let thrice = [
            user("Where is it?"),
            (Role::Assistant, "Hm"),
            user("where is it"),
            user("WHERE IS IT!"),
        ];
        assert!(is_repeated(thrice));
        assert!(!is_repeated(thrice[..3].iter().copied()));
        assert!(!is_repeated([user("ok"), user("ok"), user("ok")]), "one word is no question");
    }

    #[test]
    fn an_assistant_that_does_not_know_twice_calls_a_person() {
        let fine = Answered::default();
        let unknown = Answered { unknown: true, ..fine };
        assert_eq!(after_answers(&[unknown, fine, unknown]), None);
        assert_eq!(after_answers(&[unknown, unknown, fine]), Some(Reason::Unanswered));
        assert_eq!(after_answers(&[Answered { failed: true, ..fine }]), Some(Reason::Failure));
        let asked = Answered { wants_person: true, ..unknown };
        assert_eq!((after_answers(&[asked]), after_answers(&[])), (Some(Reason::Asked), None));
    }

    #[test]
    fn a_summary_is_short_and_in_order() {
        let long = "x".repeat(500);
        let said =
            [(Role::User, long.as_str()), (Role::Assistant, "Hello\nthere"), (Role::User, "Hi")];
        let summary = summary(said);
        let lines: Vec<_> = summary.lines().collect();
        assert_eq!(lines[..2], ["Customer: Hi", "Assistant: Hello there"]);
        assert!(lines[2].ends_with('…') && lines[2].chars().count() < 250);
    }
}
