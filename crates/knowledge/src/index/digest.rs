//! What an index needs to know of a document, made once: reading is what takes its time, and another document
//! around it changes nothing of it.

use std::collections::HashMap;

use super::Source;
use super::build::{IN_HEADINGS, IN_NAME, JOINED, count, merge};
use crate::language::Language;
use crate::words;

/// A word as it was read: the same letters are another word in another language.
#[derive(Debug)]
pub(super) struct Form {
    pub(super) plain: Box<str>,
    pub(super) folded: Box<str>,
    pub(super) language: Option<Language>,
    /// What it stands for in its language; nothing when that is unknown.
    pub(super) senses: Vec<String>,
}

/// A passage that was read.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) language: Option<Language>,
    /// Its words, by their place among the document's forms, in rising order, and how much of each.
    pub(super) words: Vec<(u32, f32)>,
    pub(super) length: f32,
}

/// A document that was read.
#[derive(Debug)]
pub struct Digest {
    pub(super) forms: Vec<Form>,
    pub(super) passages: Vec<Counted>,
}

type Numbers = HashMap<(Option<Language>, Box<str>), u32>;

impl Digest {
    /// Reads a document.
    pub fn new(source: &Source<'_>) -> Self {
        let whole = Language::of(&start_of(source));
        let mut numbers = Numbers::new();
        let mut digest = Self { forms: Vec::new(), passages: Vec::new() };
        for passage in source.passages {
            let language = Language::of(&passage.text).or(whole);
            let headings = passage.headings.join("\n");
            let fields = [(&*passage.text, 1.0), (&*headings, IN_HEADINGS), (source.name, IN_NAME)];
            digest.take(&mut numbers, language, &fields);
        }
        digest
    }

    fn take(&mut self, numbers: &mut Numbers, language: Option<Language>, fields: &[(&str, f32)]) {
        let forms = &mut self.forms;
        let mut words: Vec<(u32, f32)> = Vec::new();
        let mut length = 0.0;
        for (text, weight) in fields {
            words::each(text, |plain, joined| {
                let weight = if joined { weight * JOINED } else { *weight };
                length += if joined { 0.0 } else { weight };
                let key = (language, Box::from(plain));
                if let Some(&number) = numbers.get(&key) {
                    words.push((number, weight));
                    return;
                }
                let folded = words::fold(plain).into_boxed_str();
                if !folded.is_empty() {
                    let number = count(forms.len());
                    words.push((number, weight));
                    let senses = language.map(|language| language.senses(plain, &folded));
                    let senses = senses.unwrap_or_default();
                    forms.push(Form { plain: plain.into(), folded, language, senses });
                    numbers.insert(key, number);
                }
            });
        }
        merge(&mut words);
        words.shrink_to_fit();
        self.passages.push(Counted { language, words, length });
    }

    /// About how many bytes it takes.
    pub fn bytes(&self) -> usize {
        let form = |form: &Form| {
            let senses: usize = form.senses.iter().map(|sense| sense.len() + 24).sum();
            form.plain.len() + form.folded.len() + senses + size_of::<Form>()
        };
        let words = self.passages.iter().map(|passage| passage.words.len() * 8 + 40);
        self.forms.iter().map(form).sum::<usize>() + words.sum::<usize>()
    }
}

/// Enough of a document to tell its language.
fn start_of(source: &Source<'_>) -> String {
    let mut text = String::new();
    for passage in source.passages.iter().take(4) {
        text.push_str(&passage.text);
        text.push('\n');
    }
    text
}
