//! The words that passages hold, the terms each stands for, and the way from a wrong spelling to them.

use std::collections::HashMap;

use crate::language::Language;
use crate::words::Word;

/// What a word adds to the passages that hold it: a term, and how much of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Meaning {
    pub(super) term: u32,
    pub(super) share: f32,
}

/// All words, their terms, and an index of their trigrams.
#[derive(Debug, Default)]
pub(super) struct Vocabulary {
    terms: HashMap<Box<str>, u32>,
    /// Folded words, each once.
    words: Vec<Box<str>>,
    numbers: HashMap<Box<str>, u32>,
    /// The terms of each folded word.
    meanings: Vec<Vec<u32>>,
    trigrams: HashMap<[char; 3], Vec<u32>>,
}

impl Vocabulary {
    /// The number of a term, new if it was not seen.
    pub(super) fn take_term(&mut self, stem: &str) -> u32 {
        if let Some(&term) = self.terms.get(stem) {
            return term;
        }
        let term =
            u32::try_from(self.terms.len()).expect("fewer words than a file may have characters");
        self.terms.insert(stem.into(), term);
        term
    }

    /// Notes that `folded` stands for `term`.
    pub(super) fn take_word(&mut self, folded: &str, terms: &[u32]) {
        let at = if let Some(&at) = self.numbers.get(folded) {
            at as usize
        } else {
            let at = self.words.len();
            self.words.push(folded.into());
            self.numbers.insert(folded.into(), u32::try_from(at).expect("fewer than terms"));
            self.meanings.push(Vec::new());
            at
        };
        for term in terms {
            if !self.meanings[at].contains(term) {
                self.meanings[at].push(*term);
            }
        }
    }

    /// Makes the trigrams of all words.
    pub(super) fn finish(&mut self) {
        for (at, word) in self.words.iter().enumerate() {
            for trigram in trigrams(word) {
                let list = self.trigrams.entry(trigram).or_default();
                let at = u32::try_from(at).expect("fewer than terms");
                if list.last() != Some(&at) {
                    list.push(at);
                }
            }
        }
    }

    pub(super) fn terms(&self) -> usize {
        self.terms.len()
    }

    pub(super) fn holds(&self, folded: &str) -> bool {
        self.numbers.contains_key(folded)
    }

    pub(super) fn word(&self, at: u32) -> &str {
        &self.words[at as usize]
    }

    /// The terms of a folded word that passages hold.
    pub(super) fn meanings(&self, folded: &str) -> &[u32] {
        self.numbers.get(folded).map_or(&[], |&at| self.meanings[at as usize].as_slice())
    }

    /// The terms that a word of a question may stand for, in any of `languages`.
    pub(super) fn lookup(&self, word: &Word, languages: &[Language]) -> Vec<u32> {
        let mut terms: Vec<u32> = languages
            .iter()
            .flat_map(|language| language.senses(&word.plain, &word.folded))
            .filter_map(|stem| self.terms.get(stem.as_str()).copied())
            .collect();
        terms.extend(self.meanings(&word.folded));
        terms.sort_unstable();
        terms.dedup();
        terms
    }

    /// The words that share most trigrams with `folded`, for their length; the likest first.
    pub(super) fn neighbours(&self, folded: &str, most: usize) -> Vec<u32> {
        let mut shared = vec![0u16; self.words.len()];
        for trigram in trigrams(folded) {
            for &at in self.trigrams.get(&trigram).into_iter().flatten() {
                shared[at as usize] += 1;
            }
        }
        let length = folded.len();
        let mut likest: Vec<(usize, u32)> = (0u32..)
            .zip(&shared)
            .filter(|(_, n)| **n > 0)
            .map(|(at, n)| ((usize::from(*n) << 20) / (length + self.word(at).len() + 4), at))
            .collect();
        let likeness = |a: &(usize, u32), b: &(usize, u32)| b.0.cmp(&a.0).then(a.1.cmp(&b.1));
        if most < likest.len() {
            likest.select_nth_unstable_by(most, likeness);
            likest.truncate(most);
        }
        likest.sort_unstable_by(likeness);
        likest.into_iter().map(|(_, at)| at).collect()
    }

    pub(super) fn bytes(&self) -> usize {
        let words: usize = self.words.iter().map(|word| word.len() * 2 + 96).sum();
        let grams: usize = self.trigrams.values().map(|list| list.len() * 4 + 48).sum();
        words + grams + self.terms.len() * 64
    }
}

/// The runs of three characters of a word, its borders counting as one.
fn trigrams(word: &str) -> impl Iterator<Item = [char; 3]> {
    let characters: Vec<char> = std::iter::once('^').chain(word.chars()).chain(['$']).collect();
    (2..characters.len()).map(move |at| [characters[at - 2], characters[at - 1], characters[at]])
}
