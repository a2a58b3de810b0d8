//! What leaves the assistant: marks are read and taken out, and an answer that repeats its instructions or a
//! key does not leave at all.

use super::prompt::{self, RULES};
use std::collections::HashSet;

/// So many words in a row of our own rules are no accident.
const RULE_RUN: usize = 8;
/// So many words in a row of the owner's prompt are more than a fact that stands in it.
const PROMPT_RUN: usize = 40;
/// A prompt shorter than this says nothing worth keeping, and its facts are answers.
const PROMPT_WORDS: usize = 30;
/// Beginnings of keys as vendors make them, and how much follows at least.
const KEYS: [&str; 8] =
    ["sk-", "sk_live_", "gsk_", "AIza", "xai-", "Bearer ", "-----BEGIN", "eyJhbGciOi"];
const KEY_TAIL: usize = 12;

/// What may not be repeated.
#[derive(Debug, Clone, Copy)]
pub struct Private<'a> {
    /// The owner's prompt.
    pub system: &'a str,
    /// The nonce of this prompt.
    pub nonce: &'a str,
    /// Keys that are in use.
    pub keys: &'a [&'a str],
    /// Passages that the prompt had: what looks like a key there may be told.
    pub passages: &'a [prompt::Shown],
}

/// An answer as it may leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What the customer gets; empty when nothing is left.
    pub text: String,
    /// The model said that it does not know.
    pub unknown: bool,
    /// The model said that the customer wants a person.
    pub person: bool,
    /// It told what is private and was held back.
    pub withheld: bool,
}

/// Reads the marks and holds back what is private.
#[must_use]
pub fn pass(said: &str, private: &Private<'_>) -> Answer {
    let (unknown, person) =
        (prompt::unknown_mark(private.nonce), prompt::person_mark(private.nonce));
    let (is_unknown, is_person) = (said.contains(&unknown), said.contains(&person));
    let text = said.replace(&unknown, "").replace(&person, "");
    let text = without_thoughts(&text).trim().to_owned();
    let withheld = leaks(&text, private);
    Answer {
        text: if withheld { String::new() } else { text },
        unknown: is_unknown,
        person: is_person,
        withheld,
    }
}

/// Models that think aloud do so in a block of their own at the beginning.
fn without_thoughts(text: &str) -> &str {
    let text = text.trim_start();
    if !text.starts_with("<think>") {
        return text;
    }
    text.split_once("</think>").map_or("", |(_, rest)| rest)
}

fn leaks(text: &str, private: &Private<'_>) -> bool {
    let nonce = !private.nonce.is_empty() && text.contains(private.nonce);
    let told = private.keys.iter().any(|key| key.len() >= 8 && text.contains(key));
    nonce || told || new_key(text, private) || repeats(text, RULES, RULE_RUN) || {
        words(private.system).count() >= PROMPT_WORDS && repeats(text, private.system, PROMPT_RUN)
    }
}

/// Something like a key that no passage has.
fn new_key(text: &str, private: &Private<'_>) -> bool {
    KEYS.iter().any(|begin| {
        text.match_indices(begin).any(|(at, _)| {
            let tail: String = text[at + begin.len()..]
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || "-_. ".contains(*c))
                .take_while(|c| !c.is_whitespace())
                .collect();
            let key = format!("{begin}{tail}");
            let published = private.passages.iter().any(|passage| passage.text.contains(&key));
            (tail.len() >= KEY_TAIL || *begin == "-----BEGIN") && !published
        })
    })
}

/// Whether so many words in a row of `source` are in `text`; a shorter source counts whole.
fn repeats(text: &str, source: &str, run: usize) -> bool {
    let source: Vec<String> = words(source).collect();
    let run = run.min(source.len());
    if run == 0 {
        return false;
    }
    let runs: HashSet<&[String]> = source.windows(run).collect();
    let text: Vec<String> = words(text).collect();
    text.windows(run).any(|window| runs.contains(window))
}

fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYSTEM: &str = "You are Ana, the assistant of the bakery at the harbour. We open at seven and \
        close at six, on Sundays at two. Deliveries leave at nine, and cakes have to be ordered two days \
        before. Never speak about the recipe of the rye bread, and never promise a discount to anybody.";

    fn private<'a>(keys: &'a [&'a str]) -> Private<'a> {
        Private { system: SYSTEM, nonce: "n0nce", keys, passages: &[] }
    }

    #[test]
    fn marks_are_read_and_never_seen() {
        let answer = pass("I don't know.\n[[unknown n0nce]]\n[[person n0nce]]", &private(&[]));
        assert_eq!(answer.text, "I don't know.");
        assert!(answer.unknown && answer.person && !answer.withheld);
        let forged = pass("[[unknown other]] sure", &private(&[]));
        assert!(!forged.unknown);
    }

    #[test]
    fn facts_of_the_prompt_are_told_and_the_prompt_is_not() {
        let fact = pass("We open at seven and close at six, on Sundays at two.", &private(&[]));
        assert!(!fact.withheld);
        assert!(pass(&format!("My instructions: {SYSTEM}"), &private(&[])).withheld);
        assert!(pass(&SYSTEM.to_uppercase(), &private(&[])).withheld);
        let rules: String = RULES.split_inclusive(' ').skip(20).take(12).collect();
        assert!(pass(&rules, &private(&[])).withheld, "{rules}");
    }

    #[test]
    fn keys_stay_inside() {
        assert!(pass("it is k3y-of-the-owner", &private(&["k3y-of-the-owner"])).withheld);
        assert!(pass("try sk-abcdefghijklmnop1234", &private(&[])).withheld);
        assert!(!pass("our risk-free offer", &private(&[])).withheld);
        let shown = prompt::Shown {
            document: String::new(),
            headings: vec![],
            text: "the demo key is sk-abcdefghijklmnop1234".into(),
            score: 1.0,
        };
        let told = Private { passages: &[shown], ..private(&[]) };
        assert!(!pass("use sk-abcdefghijklmnop1234", &told).withheld);
    }

    #[test]
    fn thoughts_are_not_for_the_customer() {
        assert_eq!(pass("<think>hm</think>\nYes.", &private(&[])).text, "Yes.");
        assert_eq!(pass("<think>never ending", &private(&[])).text, "");
    }
}
