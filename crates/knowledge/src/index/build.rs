//! Making an index of documents that were read: the words of all of them first, then the terms that these
//! words stand for, then where each term stands.

use std::collections::HashMap;

use super::digest::{Digest, Form};
use super::vocabulary::{Meaning, Vocabulary};
use super::{Index, Place, Postings, Source, similar};
use crate::language::Language;

/// How fast repeating a word stops to count.
pub(super) const K1: f32 = 1.2;
/// How much a long passage is held against it.
const B: f32 = 0.6;
/// What a word in a heading above the passage counts against one in its text, and one in the document's name.
pub(super) const IN_HEADINGS: f32 = 1.0;
pub(super) const IN_NAME: f32 = 0.6;
/// What a part of a compound counts.
const IN_COMPOUND: f32 = 0.5;
/// What a spelling counts that is written in parts too.
pub(super) const JOINED: f32 = 0.5;
/// Languages that write compounds as one word.
const COMPOUNDING: [&str; 7] = ["de", "nl", "sv", "da", "no", "fi", "hu"];
/// The shortest word that is taken apart.
const SHORTEST_COMPOUND: usize = 9;

/// The words of all documents, each once in each language.
struct Gathered<'a> {
    forms: Vec<&'a Form>,
    /// Of each document: the number of each of its forms.
    numbers: Vec<Vec<u32>>,
}

impl<'a> Gathered<'a> {
    fn of(digests: &[&'a Digest]) -> Self {
        let mut known: HashMap<(Option<Language>, &str), u32> = HashMap::new();
        let mut gathered = Self { forms: Vec::new(), numbers: Vec::with_capacity(digests.len()) };
        for digest in digests {
            let number = |form: &'a Form| {
                *known.entry((form.language, &form.plain)).or_insert_with(|| {
                    gathered.forms.push(form);
                    count(gathered.forms.len() - 1)
                })
            };
            let numbers = digest.forms.iter().map(number).collect();
            gathered.numbers.push(numbers);
        }
        gathered
    }
}

/// Sorts what was counted, and makes one of what was counted twice.
pub(super) fn merge(counts: &mut Vec<(u32, f32)>) {
    counts.sort_unstable_by_key(|(number, _)| *number);
    counts.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        kept.1 += if same { next.1 } else { 0.0 };
        same
    });
}

/// Indexes have fewer of anything than four billion: their text would not fit into memory.
pub(super) fn count(number: usize) -> u32 {
    u32::try_from(number).expect("fewer than four billion")
}

impl Index {
    /// An index over `sources`, whose positions are the documents' numbers in what is found.
    pub fn new(sources: &[Source<'_>]) -> Self {
        let digests: Vec<Digest> = sources.iter().map(Digest::new).collect();
        Self::of(&digests.iter().collect::<Vec<_>>())
    }

    /// The same of documents that were read before.
    pub fn of(digests: &[&Digest]) -> Self {
        let mut languages: Vec<Language> = Vec::new();
        let mut places = Vec::new();
        for (document, digest) in digests.iter().enumerate() {
            for (number, passage) in digest.passages.iter().enumerate() {
                let language = passage.language.map_or(u8::MAX, |language| {
                    let at = languages.iter().position(|known| *known == language);
                    u8::try_from(at.unwrap_or_else(|| {
                        languages.push(language);
                        languages.len() - 1
                    }))
                    .expect("fewer than twenty")
                });
                places.push(Place { document: count(document), number: count(number), language });
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
        let gathered = Gathered::of(digests);
        let (vocabulary, meanings) = vocabulary(&gathered.forms, &languages);
        let postings = postings((digests, &gathered), &meanings, vocabulary.terms());
        Self { vocabulary, postings, places, languages, spoken }
    }
}

/// The terms of every word: its senses in its language, or in all when that is unknown, and the parts of a compound.
fn vocabulary(forms: &[&Form], languages: &[Language]) -> (Vocabulary, Vec<Vec<Meaning>>) {
    let mut vocabulary = Vocabulary::default();
    let mut meanings: Vec<Vec<Meaning>> = Vec::with_capacity(forms.len());
    for form in forms {
        let in_all =
            || languages.iter().flat_map(|l| l.senses(&form.plain, &form.folded)).collect();
        let mut senses: Vec<String> =
            if form.language.is_some() { form.senses.clone() } else { in_all() };
        senses.sort_unstable();
        senses.dedup();
        let terms: Vec<u32> = senses.iter().map(|sense| vocabulary.take_term(sense)).collect();
        vocabulary.take_word(&form.folded, &terms);
        meanings.push(terms.into_iter().map(|term| Meaning { term, share: 1.0 }).collect());
    }
    for (Form { folded, language, .. }, meanings) in forms.iter().zip(&mut meanings) {
        let compounding = language.is_some_and(|language| COMPOUNDING.contains(&language.code()));
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

fn postings(
    (digests, gathered): (&[&Digest], &Gathered<'_>),
    meanings: &[Vec<Meaning>],
    terms: usize,
) -> Postings {
    let lengths = || digests.iter().flat_map(|digest| &digest.passages).map(|one| one.length);
    #[expect(clippy::cast_precision_loss, reason = "a mean")]
    let mean = (lengths().sum::<f32>() / lengths().count().max(1) as f32).max(1.0);
    let mut lists: Vec<Vec<(u32, u8)>> = vec![Vec::new(); terms];
    let mut counts: Vec<(u32, f32)> = Vec::new();
    let read = digests.iter().zip(&gathered.numbers);
    let passages =
        read.flat_map(|(digest, numbers)| digest.passages.iter().map(move |one| (one, numbers)));
    for (passage, (read, numbers)) in passages.enumerate() {
        counts.clear();
        for (word, much) in &read.words {
            for meaning in &meanings[numbers[*word as usize] as usize] {
                counts.push((meaning.term, much * meaning.share));
            }
        }
        merge(&mut counts);
        let norm = K1 * (1.0 - B + B * read.length / mean);
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
