//! Who answers a customer: one value, moved by compare-and-set.
//!
//! A [`Standing`] is the owner, the status and a version that grows with every change. Each change is a
//! [`Step`]; [`Standing::after`] is the whole table of what may follow what. Whoever answers remembers the
//! version under which it began and is refused once it has grown: that is what keeps a machine from
//! talking over a person.
//!
//! Conversations that a person has (`human`) or that a customer silenced (`paused`) never end by idling,
//! so no machine comes back into them by the passing of time alone.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Owner {
    /// The assistant, where one is switched on.
    Ai,
    /// A person.
    Human,
    /// Nobody, as the customer or the owner wished.
    Paused,
    /// Nobody: it is over.
    Closed,
}

/// How a conversation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConversationStatus {
    /// Under way.
    Active,
    /// Nobody wrote for long; the next message begins another.
    Expired,
    /// The customer waits for a person, or one has it.
    Escalated,
}

macro_rules! words {
    ($type:ident: $($variant:ident = $word:literal),*) => {
        impl $type {
            /// The word of the database and the API.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }

            /// Reads that word.
            #[must_use]
            pub fn parse(word: &str) -> Option<Self> {
                Some(match word {
                    $($word => Self::$variant,)*
                    _ => return None,
                })
            }
        }
    };
}

words!(Owner: Ai = "ai", Human = "human", Paused = "paused", Closed = "closed");
words!(ConversationStatus: Active = "active", Expired = "expired", Escalated = "escalated");
words!(Role: User = "user", Assistant = "assistant", Human = "human");

/// Who said something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The customer.
    User,
    /// The assistant, or a text that the owner laid down beforehand.
    Assistant,
    /// A person of the owner's.
    Human,
}

/// What can happen to a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// The customer needs a person.
    Escalate,
    /// A person takes it.
    TakeOver,
    /// It goes back to the assistant; a customer who waited does not any more.
    Release,
    /// Nobody is to answer.
    Pause,
    /// The person is done.
    Resolve {
        /// The assistant goes on; else the person keeps it.
        hand_back: bool,
    },
    /// The person was not done after all.
    Reopen,
    /// Nobody wrote for long.
    Expire,
}

impl Step {
    /// The word of the audit row.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Escalate => "escalate",
            Self::TakeOver => "takeover",
            Self::Release => "release",
            Self::Pause => "pause",
            Self::Resolve { .. } => "resolve",
            Self::Reopen => "reopen",
            Self::Expire => "expire",
        }
    }
}

/// Owner, status, and how often they changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Standing {
    /// Who answers.
    pub owner: Owner,
    /// How it stands.
    pub status: ConversationStatus,
    /// Grows by one with each change.
    pub version: i64,
}

/// The conversation does not stand so that this could happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a conversation that is {} and with {} can't do that", .0.status, .0.owner)]
pub struct Refused(pub Standing);

impl Standing {
    /// How every conversation begins.
    pub const FIRST: Self =
        Self { owner: Owner::Ai, status: ConversationStatus::Active, version: 0 };

    /// How it stands after a step; `None` when the step changes nothing.
    ///
    /// # Errors
    /// [`Refused`] when the step can't follow.
    pub fn after(self, step: Step) -> Result<Option<Self>, Refused> {
        use ConversationStatus::{Active, Escalated, Expired};
        let next = match (step, self.status) {
            (Step::Reopen, _) => (Owner::Human, Escalated),
            (_, Expired) => {
                return if step == Step::Expire { Ok(None) } else { Err(Refused(self)) };
            }
            (Step::Escalate, _) => (Owner::Human, Escalated),
            (Step::TakeOver, status) => (Owner::Human, status),
            (Step::Release, _) => (Owner::Ai, Active),
            (Step::Pause, Active) if self.owner == Owner::Ai => (Owner::Paused, Active),
            (Step::Resolve { hand_back: true }, Escalated) => (Owner::Ai, Active),
            (Step::Resolve { hand_back: false }, Escalated) => (Owner::Human, Active),
            (Step::Pause | Step::Resolve { .. }, _) => return Ok(None),
            (Step::Expire, Active) if self.owner == Owner::Ai => (Owner::Closed, Expired),
            (Step::Expire, _) => return Err(Refused(self)),
        };
        let (owner, status) = next;
        if (owner, status) == (self.owner, self.status) {
            return Ok(None);
        }
        Ok(Some(Self { owner, status, version: self.version + 1 }))
    }

    /// Whether the assistant may say what it began to say under `version`.
    #[must_use]
    pub fn lets_assistant_speak(self, version: i64) -> bool {
        self.owner == Owner::Ai && self.version == version
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for ConversationStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that names nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not one of the words")]
pub struct WordError;

impl FromStr for Owner {
    type Err = WordError;

    fn from_str(word: &str) -> Result<Self, WordError> {
        Self::parse(word).ok_or(WordError)
    }
}

impl FromStr for ConversationStatus {
    type Err = WordError;

    fn from_str(word: &str) -> Result<Self, WordError> {
        Self::parse(word).ok_or(WordError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STEPS: [Step; 8] = [
        Step::Escalate,
        Step::TakeOver,
        Step::Release,
        Step::Pause,
        Step::Resolve { hand_back: true },
        Step::Resolve { hand_back: false },
        Step::Reopen,
        Step::Expire,
    ];

    #[test]
    fn a_hand_off_goes_there_and_back() {
        let after = |standing: Standing, step| standing.after(step).expect("fits").expect("moves");
        let escalated = after(Standing::FIRST, Step::Escalate);
        assert_eq!((escalated.owner, escalated.version), (Owner::Human, 1));
        assert_eq!(escalated.after(Step::Escalate), Ok(None), "once is enough");
        assert!(escalated.after(Step::Expire).is_err(), "nobody who waits is forgotten");
        let back = after(escalated, Step::Resolve { hand_back: true });
        assert_eq!((back.owner, back.status), (Owner::Ai, ConversationStatus::Active));
        assert_eq!(back.after(Step::Resolve { hand_back: true }), Ok(None));
        assert_eq!(after(back, Step::Reopen).status, ConversationStatus::Escalated);
    }

    proptest! {
        #[test]
        fn who_waits_has_a_person_and_versions_only_grow(
            steps in proptest::collection::vec(0..STEPS.len(), 0..40),
        ) {
            let mut standing = Standing::FIRST;
            for step in steps {
                let before = standing;
                if let Ok(Some(next)) = standing.after(STEPS[step]) {
                    prop_assert_eq!(next.version, before.version + 1);
                    standing = next;
                }
                if standing.status == ConversationStatus::Escalated {
                    prop_assert_eq!(standing.owner, Owner::Human);
                }
                prop_assert_eq!(
                    standing.status == ConversationStatus::Expired,
                    standing.owner == Owner::Closed
                );
                if standing != before {
                    prop_assert!(!standing.lets_assistant_speak(before.version));
                }
            }
        }
    }
}
