//! Making an index: words of all passages first, then the terms that these words stand for.

use std::collections::HashMap;

use super::vocabulary::{Meaning, Vocabulary};
use super::{Index, Place, Postings, Source, similar};
use crate::language::Language;
use crate::words;

/// How fast repeating a word stops to count.
pub(super) const K1: f32 = 1.2;
/// How much a long passage is held against it.
const B: f32 = 0.6;
/// What a word in a heading above the passage counts against one in its text, and one in the document's name.
const IN_HEADINGS: f32 = 1.0;
const IN_NAME: f32 = 0.6;
/// What a part of a compound counts.
const IN_COMPOUND: f32 = 0.5;
/// What a spelling counts that is written in parts too.
const JOINED: f32 = 0.5;
/// Languages that write compounds as one word.
const COMPOUNDING: [&str; 7] = ["de", "nl", "sv", "da", "no", "fi", "hu"];
/// The shortest word that is taken apart.
const SHORTEST_COMPOUND: usize = 9;

/// A word as it was read: the same letters are another word in another language.
#[derive(Debug)]
struct Form {
    plain: Box<str>,
    folded: Box<str>,
    language: u8,
}

/// What is known while passages are read.
#[derive(Debug, Default)]
struct Reading {
    /// The numbers of the words of each language.
    numbers: HashMap<u8, HashMap<Box<str>, u32>>,
    forms: Vec<Form>,
    /// Of each passage: its words, in rising order, and how much of each.
    counts: Vec<Vec<(u32, f32)>>,
    lengths: Vec<f32>,
}

impl Reading {
    fn take(&mut self, language: u8, fields: &[(&str, f32)]) {
        let numbers = self.numbers.entry(language).or_default();
        let forms = &mut self.forms;
        let mut counts: Vec<(u32, f32)> = Vec::new();
        let mut length = 0.0;
        for (text, weight) in fields {
            words::each(text, |plain, joined| {
                let weight = if joined { weight * JOINED } else { *weight };
                length += if joined { 0.0 } else { weight };
                if let Some(&number) = numbers.get(plain) {
                    counts.push((number, weight));
                    return;
                }
                let folded = words::fold(plain).into_boxed_str();
                if !folded.is_empty() {
                    let number = count(forms.len());
                    numbers.insert(plain.into(), number);
                    forms.push(Form { plain: plain.into(), folded, language });
                    counts.push((number, weight));
                }
            });
        }
        merge(&mut counts);
        counts.shrink_to_fit();
        self.counts.push(counts);
        self.lengths.push(length);
    }
}

/// Sorts what was counted, and makes one of what was counted twice.
fn merge(counts: &mut Vec<(u32, f32)>) {
    counts.sort_unstable_by_key(|(number, _)| *number);
    counts.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        kept.1 += if same { next.1 } else { 0.0 };
        same
    });
}

/// Indexes have fewer of anything than four billion: their text would not fit into memory.
fn count(number: usize) -> u32 {
    u32::try_from(number).expect("fewer than four billion")
}

impl Index {
    /// An index over `sources`, whose positions are the documents' numbers in what is found.
    pub fn new(sources: &[Source<'_>]) -> Self {
        let mut languages: Vec<Language> = Vec::new();
        let mut places = Vec::new();
        let mut reading = Reading::default();
        for (document, source) in sources.iter().enumerate() {
            let whole = Language::of(&start_of(source));
            for (number, passage) in source.passages.iter().enumerate() {
                let language = Language::of(&passage.text).or(whole);
                let language = language.map_or(u8::MAX, |language| {
                    let at = languages.iter().position(|known| *known == language);
                    u8::try_from(at.unwrap_or_else(|| {
                        languages.push(language);
                        languages.len() - 1
                    }))
                    .expect("fewer than twenty")
                });
                let headings = passage.headings.join("\n");
                reading.take(
                    language,
                    &[(&passage.text, 1.0), (&headings, IN_HEADINGS), (source.name, IN_NAME)],
                );
                let document = count(document);
                let number = count(number);
                places.push(Place { document, number, language });
            }
        }
        if languages.is_empty() {
            languages.extend(Language::of_code("en"));
        }
        let mut spoken = vec![0; languages.len()];
        for place in &places {
            if let Some(count) = spoken.get_mut(usize::from(place.language)) {
                *count += 1;
            }
        }
        let (vocabulary, meanings) = vocabulary(&reading, &languages);
        let postings = postings(&reading, &meanings, vocabulary.terms());
        Self { vocabulary, postings, places, languages, spoken }
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

/// The terms of every word: its senses in its language, or in all when that is unknown, and the parts of a compound.
fn vocabulary(reading: &Reading, languages: &[Language]) -> (Vocabulary, Vec<Vec<Meaning>>) {
    let mut vocabulary = Vocabulary::default();
    let senses_of = |plain: &str, folded: &str, language: u8| -> Vec<String> {
        let one = languages.get(usize::from(language)).map(std::slice::from_ref);
        let mut senses: Vec<String> =
            one.unwrap_or(languages).iter().flat_map(|l| l.senses(plain, folded)).collect();
        senses.sort_unstable();
        senses.dedup();
        senses
    };
    let mut meanings: Vec<Vec<Meaning>> = Vec::with_capacity(reading.forms.len());
    for Form { plain, folded, language } in &reading.forms {
        let terms: Vec<u32> = senses_of(plain, folded, *language)
            .iter()
            .map(|sense| vocabulary.take_term(sense))
            .collect();
        vocabulary.take_word(folded, &terms);
        meanings.push(terms.into_iter().map(|term| Meaning { term, share: 1.0 }).collect());
    }
    for (Form { folded, language, .. }, meanings) in reading.forms.iter().zip(&mut meanings) {
        let compounding = languages
            .get(usize::from(*language))
            .is_some_and(|language| COMPOUNDING.contains(&language.code()));
        if !compounding || folded.len() < SHORTEST_COMPOUND {
            continue;
        }
        let Some((head, tail)) = similar::parts(folded, |part| vocabulary.holds(part)) else {
            continue;
        };
        for part in [head, tail] {
            for term in vocabulary.meanings(part) {
                if meanings.iter().all(|meaning| meaning.term != *term) {
                    meanings.push(Meaning { term: *term, share: IN_COMPOUND });
                }
            }
        }
    }
    vocabulary.finish();
    (vocabulary, meanings)
}

fn postings(reading: &Reading, meanings: &[Vec<Meaning>], terms: usize) -> Postings {
    #[expect(clippy::cast_precision_loss, reason = "a mean")]
    let mean = (reading.lengths.iter().sum::<f32>() / reading.lengths.len().max(1) as f32).max(1.0);
    let mut lists: Vec<Vec<(u32, u8)>> = vec![Vec::new(); terms];
    let mut counts: Vec<(u32, f32)> = Vec::new();
    for (passage, words) in reading.counts.iter().enumerate() {
        counts.clear();
        for (word, much) in words {
            for meaning in &meanings[*word as usize] {
                counts.push((meaning.term, much * meaning.share));
            }
        }
        merge(&mut counts);
        let norm = K1 * (1.0 - B + B * reading.lengths[passage] / mean);
        let passage = count(passage);
        for &(term, much) in &counts {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "below one"
            )]
            let impact = (255.0 * much / (much + norm)).round().max(1.0) as u8;
            lists[term as usize].push((passage, impact));
        }
    }
    let mut postings = Postings::default();
    postings.starts.push(0);
    for list in &mut lists {
        for (passage, impact) in std::mem::take(list) {
            postings.passages.push(passage);
            postings.impacts.push(impact);
        }
        let end = count(postings.passages.len());
        postings.starts.push(end);
    }
    postings
}
