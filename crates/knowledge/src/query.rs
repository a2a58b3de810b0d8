//! What is asked: the last message, and what was said before it as far as it helps.
//!
//! A follow-up ("and on Sundays?") says little by itself. Without a model its topic comes from the history: what the customer
//! said counts more than what was answered, what is recent more than what is old, and the more the
//! message says by itself the less of the history counts.

/// Who said something in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// The customer.
    User,
    /// The assistant, or a person in its place.
    Assistant,
}

/// A message of the conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub speaker: Speaker,
    pub text: String,
}

/// How many messages back a topic is looked for.
const MOST_HISTORY: usize = 8;
/// How many characters of a message are looked at.
const MOST_CHARACTERS: usize = 2_000;

/// A piece of what is asked, and what its words weigh against the last message's.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Part<'a> {
    pub(crate) text: &'a str,
    pub(crate) weight: f32,
}

/// A question with its history.
#[derive(Debug, Clone)]
pub struct Query<'a> {
    pub(crate) asked: &'a str,
    pub(crate) before: Vec<Part<'a>>,
}

impl<'a> Query<'a> {
    /// The question `asked` after `history`, oldest first.
    pub fn new(history: &'a [Line], asked: &'a str) -> Self {
        let mut before = Vec::new();
        let (mut theirs, mut ours) = (0, 0);
        for said in history.iter().rev().take(MOST_HISTORY) {
            let (count, base) = match said.speaker {
                Speaker::User => (&mut theirs, FROM_USER),
                Speaker::Assistant => (&mut ours, FROM_ASSISTANT),
            };
            let weight = base * FADING.powi(*count);
            *count += 1;
            before.push(Part { text: start_of(&said.text), weight });
        }
        Self { asked: start_of(asked), before }
    }
}

const FROM_USER: f32 = 0.6;
const FROM_ASSISTANT: f32 = 0.25;
const FADING: f32 = 0.6;

fn start_of(text: &str) -> &str {
    text.char_indices().nth(MOST_CHARACTERS).map_or(text, |(end, _)| &text[..end])
}
