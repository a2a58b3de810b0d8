//! Finds the owner's keywords in what a customer writes.
//!
//! A keyword is a word or a phrase. It is found as whole words, whatever the case and the accents, lightly
//! inflected (`inflection`) and with one slip of the finger in words of five letters or more (`slip`); in a
//! phrase one or two words may stand between. `atend*` takes any ending, `"exactly this"` no looseness but
//! that of case. A keyword that is refused in its clause ("I don't need an agent") is not found
//! (`negation`).
//!
//! Nothing here knows any keyword, and no rule is about one: what is listed are endings and function words
//! of languages. In scripts that put no spaces between words, a keyword is found anywhere.

mod inflection;
mod negation;
mod slip;
mod text;

use text::{Text, Word};

/// Most words of a message that are looked at.
const MAX_WORDS: usize = 2000;
/// So many words may stand between those of a phrase of two words.
const BETWEEN_TWO: usize = 1;
/// The same for longer ones.
const BETWEEN_MORE: usize = 2;
/// A word inside a phrase that is no longer than this may be missing.
const SMALL: usize = 3;

/// What a keyword asks of the text.
#[derive(Debug, Clone)]
enum Pattern {
    /// These words, one after the other.
    Words(Vec<Want>),
    /// These very words.
    Exact(Vec<String>),
    /// This text, wherever it is.
    Anywhere(String),
}

/// A word of a phrase.
#[derive(Debug, Clone)]
struct Want {
    word: Word,
    any_ending: bool,
}

/// Keywords, made ready.
#[derive(Debug, Clone, Default)]
pub struct Keywords(Vec<(String, Pattern)>);

impl Keywords {
    /// Makes keywords ready. What has no letter, digit or sign in it is left out.
    pub fn new<'a>(keywords: impl IntoIterator<Item = &'a str>) -> Self {
        let read = |keyword: &'a str| Some((keyword.to_owned(), read(keyword)?));
        Self(keywords.into_iter().filter_map(read).collect())
    }

    /// The first keyword, in the owner's order, that a customer says and does not refuse.
    #[must_use]
    pub fn find(&self, message: &str) -> Option<&str> {
        if self.0.is_empty() {
            return None;
        }
        let text = Text::read(message, MAX_WORDS);
        let found = self.0.iter().find(|(_, pattern)| pattern.is_in(&text));
        found.map(|(keyword, _)| keyword.as_str())
    }
}

/// Whether a keyword could ever be found.
#[must_use]
pub fn is_usable(keyword: &str) -> bool {
    read(keyword).is_some()
}

/// The words of a text without case and accents, to compare what is said.
#[must_use]
pub fn words(text: &str) -> Vec<String> {
    let words = Text::read(text, MAX_WORDS).words;
    words.iter().map(|word| word.plain().to_owned()).collect()
}

fn read(keyword: &str) -> Option<Pattern> {
    let keyword = keyword.trim();
    let quotes: &[char] = &['"', '\u{201c}', '\u{201d}', '\u{201e}', '\u{ab}', '\u{bb}'];
    let inside = keyword.strip_prefix(quotes).and_then(|rest| rest.strip_suffix(quotes));
    if let Some(exact) = inside {
        let words: Vec<String> = text::plain_words(exact);
        return (!words.is_empty()).then_some(Pattern::Exact(words));
    }
    let mut wanted = Vec::new();
    for part in keyword.split_whitespace() {
        let any_ending = part.ends_with('*');
        let mut words = Text::read(part, MAX_WORDS).words;
        let last = words.pop();
        wanted.extend(words.into_iter().map(|word| Want { word, any_ending: false }));
        wanted.extend(last.map(|word| Want { word, any_ending }));
    }
    if wanted.is_empty() || text::has_no_spaces(keyword) {
        let sign = text::folded(keyword.trim_end_matches('*'));
        let sign = sign.trim();
        return (!sign.is_empty()).then(|| Pattern::Anywhere(sign.to_owned()));
    }
    Some(Pattern::Words(wanted))
}

impl Pattern {
    fn is_in(&self, text: &Text) -> bool {
        match self {
            Self::Anywhere(sign) => text.folded.contains(sign.as_str()),
            Self::Exact(words) => places(text, |at| exact_at(text, words, at)),
            Self::Words(wanted) => places(text, |at| words_at(text, wanted, at)),
        }
    }
}

/// Whether `at` finds the end of an occurrence that begins at some word and is not refused.
fn places(text: &Text, at: impl Fn(usize) -> Option<usize>) -> bool {
    (0..text.words.len())
        .any(|start| at(start).is_some_and(|end| !negation::refuses(text, start, end)))
}

fn exact_at(text: &Text, words: &[String], start: usize) -> Option<usize> {
    let end = start + words.len();
    let there = text.words.get(start..end)?;
    let same = there.iter().zip(words).all(|(word, wanted)| word.lower == *wanted);
    same.then_some(end)
}

/// The end of the phrase that begins at a word. Its small words may be missing; others that stand between its
/// words are counted.
fn words_at(text: &Text, wanted: &[Want], start: usize) -> Option<usize> {
    let alone = wanted.len() == 1;
    let mut between = match wanted.len() {
        1 => 0,
        2 => BETWEEN_TWO,
        _ => BETWEEN_MORE,
    };
    let last = wanted.len() - 1;
    let is_small =
        |number: usize| (1..last).contains(&number) && wanted[number].word.length() <= SMALL;
    let mut at = start;
    let mut small: Vec<&Want> = Vec::new();
    for (number, want) in wanted.iter().enumerate() {
        if is_small(number) {
            small.push(want);
            continue;
        }
        loop {
            let word = text.words.get(at)?;
            if word.sentence != text.words[start].sentence {
                return None;
            }
            at += 1;
            if fits(word, want, alone) {
                break;
            }
            if number == 0 {
                return None;
            }
            if !small.iter().any(|want| fits(word, want, alone)) {
                between = between.checked_sub(1)?;
            }
        }
        small.clear();
    }
    Some(at)
}

fn fits(word: &Word, want: &Want, alone: bool) -> bool {
    if want.any_ending {
        return word.forms().any(|form| want.word.forms().any(|stem| form.starts_with(stem)));
    }
    let same = |form: &str, wanted: &str| {
        form == wanted
            || inflection::is_form(form, wanted)
            || (!alone && inflection::same_stem(form, wanted))
            || slip::is_slip(form, wanted)
    };
    word.forms().any(|form| want.word.forms().any(|wanted| same(form, wanted)))
}

#[cfg(test)]
mod tests;
