//! What a message calls for, from what was said around it: an answer is due once for all that a customer
//! wrote since the last one, and never to something that was answered.

use super::manners::Dated;
use super::prompt::Speaker;
use crate::clock::Millis;
use std::time::Duration;

/// Who writes without a pause is answered all the same, after so many times the debounce.
const PATIENCE: u32 = 5;

/// What to do about a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// It is answered, or a later one will be.
    Nothing,
    /// Now, for everything since the last answer.
    Answer,
}

/// What a message calls for. `said` is the conversation, oldest first, and `at` where the message is in it.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// The conversation, oldest first.
    pub said: &'a [Dated],
    /// Where the message is in it.
    pub at: usize,
    /// How long more is waited for.
    pub debounce: Duration,
    /// When it is.
    pub now: Millis,
}

impl Situation<'_> {
    /// Judges it without waiting for more: whether it has no answer.
    #[must_use]
    pub fn unanswered(&self) -> Due {
        let later = self.said.get(self.at + 1..).unwrap_or_default();
        let answered = later.iter().any(|dated| dated.turn.speaker != Speaker::Customer);
        if answered { Due::Nothing } else { Due::Answer }
    }

    /// Judges it.
    #[must_use]
    pub fn due(&self) -> Due {
        if self.unanswered() == Due::Nothing {
            return Due::Nothing;
        }
        let later = self.said.get(self.at + 1..).unwrap_or_default();
        if later.is_empty() {
            return Due::Answer;
        }
        let earlier = self.said.get(..=self.at).unwrap_or_default();
        let unanswered =
            earlier.iter().rev().take_while(|dated| dated.turn.speaker == Speaker::Customer).last();
        let patience = self.debounce.saturating_mul(PATIENCE);
        let waited = unanswered.is_some_and(|first| first.at.plus(patience).0 <= self.now.0);
        if waited && !patience.is_zero() { Due::Answer } else { Due::Nothing }
    }
}

#[cfg(test)]
mod tests {
    use super::super::prompt::Turn;
    use super::*;
    use proptest::prelude::*;

    fn said(speakers: &[Speaker]) -> Vec<Dated> {
        let dated = |(at, speaker): (usize, &Speaker)| Dated {
            turn: Turn { speaker: *speaker, text: String::new() },
            at: Millis(i64::try_from(at).expect("small") * 1_000),
        };
        speakers.iter().enumerate().map(dated).collect()
    }

    fn due(said: &[Dated], at: usize, now: i64) -> Due {
        Situation { said, at, debounce: Duration::from_secs(2), now: Millis(now) }.due()
    }

    #[test]
    fn the_last_of_a_burst_is_answered_and_none_before_it() {
        use Speaker::{Assistant, Customer, Person};
        let burst = said(&[Customer, Customer, Customer]);
        assert_eq!(due(&burst, 0, 2_500), Due::Nothing);
        assert_eq!(due(&burst, 2, 4_500), Due::Answer);
        assert_eq!(due(&burst, 0, 10_000), Due::Answer, "who never pauses is answered");
        assert_eq!(due(&said(&[Customer, Assistant]), 0, 9_000), Due::Nothing);
        assert_eq!(due(&said(&[Customer, Person]), 0, 9_000), Due::Nothing);
        assert_eq!(due(&said(&[Customer, Assistant, Customer]), 2, 9_000), Due::Answer);
    }

    proptest! {
        #[test]
        fn after_an_answer_nothing_before_it_is_due(
            speakers in proptest::collection::vec(0..2_u8, 1..12), now in 0..100_000_i64,
        ) {
            let speaker = |one: &u8| if *one == 0 { Speaker::Customer } else { Speaker::Assistant };
            let mut all: Vec<Speaker> = speakers.iter().map(speaker).collect();
            all.push(Speaker::Assistant);
            let said = said(&all);
            for at in 0..said.len() - 1 {
                prop_assert_eq!(due(&said, at, now), Due::Nothing);
            }
        }
    }
}
