//! When an assistant keeps silent by itself: it was asked to, or nobody human is on the other side.

use super::prompt::{Speaker, Turn};
use crate::clock::Millis;
use std::time::Duration;

/// The same text so often in a row is a machine, or somebody whom the answers do not help.
const SAME_TEXT: usize = 4;
/// So many answers within [`SPAN`] are more than a person reads.
const EXCHANGES: usize = 20;
const SPAN: Duration = Duration::from_secs(5 * 60);
/// A text of ours this long that comes back is an echo.
const ECHO: usize = 24;

/// Something that was said, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dated {
    /// What and by whom.
    pub turn: Turn,
    /// When.
    pub at: Millis,
}

/// Whether a message is one of these words and nothing else.
#[must_use]
pub fn opts_out(message: &str, words: &[String]) -> bool {
    let message = plain(message);
    !message.is_empty() && words.iter().any(|word| plain(word) == message)
}

/// Whether the other side seems to be a machine: it repeats itself, it repeats us, or it writes faster than
/// people read. Oldest first.
#[must_use]
pub fn is_looping(said: &[Dated], now: Millis) -> bool {
    let customer = |turn: &&Dated| turn.turn.speaker == Speaker::Customer;
    let mut theirs = said.iter().rev().filter(customer).map(|dated| plain(&dated.turn.text));
    let Some(last) = theirs.next() else { return false };
    if !last.is_empty()
        && theirs.take(SAME_TEXT - 1).filter(|text| *text == last).count() == SAME_TEXT - 1
    {
        return true;
    }
    let mut ours = said.iter().rev().filter(|dated| dated.turn.speaker == Speaker::Assistant);
    if last.chars().count() >= ECHO
        && ours.clone().take(5).any(|dated| plain(&dated.turn.text) == last)
    {
        return true;
    }
    let span = i64::try_from(SPAN.as_millis()).unwrap_or(i64::MAX);
    ours.nth(EXCHANGES - 1).is_some_and(|dated| now.0 - dated.at.0 < span)
}

/// Lower case, words only.
fn plain(text: &str) -> String {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(speaker: Speaker, text: &str, at: i64) -> Dated {
        Dated { turn: Turn { speaker, text: text.to_owned() }, at: Millis(at) }
    }

    #[test]
    fn the_word_alone_is_meant() {
        let words = ["Stop".to_owned(), "não responda".to_owned()];
        assert!(opts_out(" STOP! ", &words) && opts_out("Não  responda.", &words));
        assert!(!opts_out("when does the bus stop?", &words) && !opts_out("", &words));
    }

    #[test]
    fn machines_are_noticed_and_people_are_not() {
        let repeated: Vec<Dated> = (0..4)
            .flat_map(|n| {
                let ours = said(Speaker::Assistant, &format!("answer {n}"), n * 60_000 + 1);
                [said(Speaker::Customer, "I am away.", n * 60_000), ours]
            })
            .collect();
        assert!(is_looping(&repeated, Millis(300_000)));
        assert!(!is_looping(&repeated[..5], Millis(300_000)));
        let echo = [
            said(Speaker::Assistant, "We are open from nine to six.", 0),
            said(Speaker::Customer, "we are open from nine to six", 1),
        ];
        assert!(is_looping(&echo, Millis(2)));
        let fast: Vec<Dated> = (0..20)
            .flat_map(|n| {
                let theirs = said(Speaker::Customer, &format!("q{n}"), n * 1_000);
                [theirs, said(Speaker::Assistant, &format!("a{n}"), n * 1_000 + 1)]
            })
            .collect();
        assert!(is_looping(&fast, Millis(30_000)));
        assert!(!is_looping(&fast, Millis(3_600_000)));
    }
}
