//! Searching an index.

use std::collections::BTreeMap;

use super::{Hit, Index, build, similar};
use crate::query::Query;
use crate::words::{self, Word};

/// Below this weight a word is asked only when there is no other.
const SAYS_LITTLE: f32 = 0.1;
/// What a spelling counts that the question writes in parts too.
const JOINED: f32 = 0.6;
/// What a part of a compound counts that is asked for.
const IN_COMPOUND: f32 = 0.5;
/// How much more a passage counts that is in the question's language.
const SAME_LANGUAGE: f32 = 0.3;
/// What remains of a word once a passage before has answered it.
const ANSWERED: f32 = 0.93;
/// How many passages are chosen from, for each that is wanted.
const CHOICE: usize = 8;
/// The rarity of words at which a message counts twice as much as what was said before it.
const SPEAKS_FOR_ITSELF: f32 = 40.0;
/// Most words that one search looks for.
const MOST_WORDS: usize = 120;

/// A word that is asked for: what it weighs, and the terms it may stand for, each with how sure that is.
#[derive(Debug)]
struct Asked {
    weight: f32,
    terms: Vec<(u32, f32)>,
}

type Words = BTreeMap<String, Asked>;

impl Index {
    /// The passages that fit `query` best, at most `limit`, best first.
    pub fn search(&self, query: &Query<'_>, limit: usize) -> Vec<Hit> {
        let likely = self.likely_languages(query);
        let asked = self.asked(query, &likely);
        let mut scores = self.scores(&asked);
        for (score, place) in scores.iter_mut().zip(&self.places) {
            let same = likely.get(usize::from(place.language)).copied().unwrap_or_default();
            *score *= 1.0 + SAME_LANGUAGE * same;
        }
        let fitting = (0u32..).zip(&scores).filter(|(_, score)| **score > 0.0);
        let mut best: Vec<u32> = fitting.map(|(passage, _)| passage).collect();
        let by_score =
            |a: &u32, b: &u32| scores[*b as usize].total_cmp(&scores[*a as usize]).then(a.cmp(b));
        let most = limit.saturating_mul(CHOICE);
        if most < best.len() {
            best.select_nth_unstable_by(most, by_score);
            best.truncate(most);
        }
        best.sort_unstable_by(by_score);
        self.chosen(best, &scores, &asked, limit)
    }

    /// Everything that is asked for, now and before.
    fn asked(&self, query: &Query<'_>, likely: &[f32]) -> Vec<Asked> {
        let mut all = self.weighted(query.asked, likely);
        let says: f32 = all.values().map(|asked| asked.weight * self.rarity(&asked.terms)).sum();
        let history = SPEAKS_FOR_ITSELF / (SPEAKS_FOR_ITSELF + says);
        for part in &query.before {
            for (word, mut asked) in self.weighted(part.text, likely) {
                asked.weight *= part.weight * history;
                let known = all.entry(word).or_insert(Asked { weight: 0.0, terms: asked.terms });
                known.weight = known.weight.max(asked.weight);
            }
        }
        let mut all: Vec<Asked> =
            all.into_values().filter(|asked| !asked.terms.is_empty()).collect();
        if all.iter().any(|asked| asked.weight > SAYS_LITTLE) {
            all.retain(|asked| asked.weight > SAYS_LITTLE);
        }
        all.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        all.truncate(MOST_WORDS);
        all
    }

    /// The words of `text`, and pairs of them that passages write as one.
    fn weighted(&self, text: &str, likely: &[f32]) -> Words {
        let words = words::of(text);
        let mut all = Words::new();
        for word in &words {
            let languages = self.languages.iter().zip(likely);
            let little: f32 =
                languages.filter(|(l, _)| l.says_little(&word.folded)).map(|(_, p)| p).sum();
            let weight = (1.0 - little).max(0.01) * if word.joined { JOINED } else { 1.0 };
            all.entry(word.folded.clone())
                .or_insert_with(|| Asked { weight, terms: self.terms(word, little) });
        }
        let plain: Vec<&Word> = words.iter().filter(|word| !word.joined).collect();
        for pair in plain.windows(2).filter(|pair| pair.iter().all(|word| word.folded.len() > 1)) {
            let joined = pair[0].folded.clone() + &pair[1].folded;
            let meanings = self.vocabulary.meanings(&joined);
            if !meanings.is_empty() {
                let terms = meanings.iter().map(|term| (*term, 1.0)).collect();
                all.entry(joined).or_insert(Asked { weight: 1.0, terms });
            }
        }
        all
    }

    /// What a word may stand for: its stems, the parts of a compound, and what it resembles when it is unknown.
    fn terms(&self, word: &Word, little: f32) -> Vec<(u32, f32)> {
        let known = self.vocabulary.lookup(word, &self.languages);
        let mut terms: Vec<(u32, f32)> = known.into_iter().map(|term| (term, 1.0)).collect();
        let mut readings = Vec::new();
        let holds = |part: &str| self.vocabulary.holds(part);
        if let Some((head, tail)) = similar::parts(&word.folded, holds) {
            let part = |word: &str| similar::Reading { word: word.to_owned(), sure: IN_COMPOUND };
            readings.extend([part(head), part(tail)]);
        }
        if terms.is_empty() && readings.is_empty() && little < 0.5 {
            readings = similar::readings(&self.vocabulary, &word.folded);
        }
        for reading in readings {
            for term in self.vocabulary.meanings(&reading.word) {
                if terms.iter().all(|(known, _)| known != term) {
                    terms.push((*term, reading.sure));
                }
            }
        }
        terms
    }

    /// How rare the surest of these terms is: BM25's inverse document frequency.
    fn rarity(&self, terms: &[(u32, f32)]) -> f32 {
        let surest = terms.iter().map(|(_, sure)| *sure).fold(0.0, f32::max);
        let sure = terms.iter().filter(|(_, sure)| *sure >= surest);
        let frequency = sure.map(|(term, _)| self.postings.frequency(*term)).max();
        #[expect(clippy::cast_precision_loss, reason = "counts of passages")]
        let (all, with) = (self.places.len() as f32, frequency.unwrap_or_default() as f32);
        surest * (1.0 + (all - with + 0.5) / (with + 0.5)).ln()
    }

    /// The score of every passage: for each word, the best of what it may stand for.
    fn scores(&self, asked: &[Asked]) -> Vec<f32> {
        let mut scores = vec![0.0f32; self.places.len()];
        let mut best = vec![0.0f32; self.places.len()];
        for asked in asked {
            let alone = asked.terms.len() == 1;
            for (term, worth) in self.worths(asked) {
                let (passages, impacts) = self.postings.of(term);
                let into = if alone { &mut scores } else { &mut best };
                for (&passage, &impact) in passages.iter().zip(impacts) {
                    let (worth, at) = (worth * f32::from(impact), &mut into[passage as usize]);
                    *at = if alone { *at + worth } else { at.max(worth) };
                }
            }
            for (term, _) in asked.terms.iter().filter(|_| !alone) {
                for &passage in self.postings.of(*term).0 {
                    scores[passage as usize] += std::mem::take(&mut best[passage as usize]);
                }
            }
        }
        scores
    }

    /// What one step of each term's impact is worth.
    fn worths<'a>(&'a self, asked: &'a Asked) -> impl Iterator<Item = (u32, f32)> + 'a {
        let step = asked.weight * (build::K1 + 1.0) / f32::from(u8::MAX);
        let terms = asked.terms.iter();
        terms.map(move |&(term, sure)| (term, step * sure * self.rarity(&[(term, 1.0)])))
    }

    /// Takes the best one by one; a word that was answered weighs less in what comes after.
    fn chosen(
        &self,
        mut best: Vec<u32>,
        scores: &[f32],
        asked: &[Asked],
        limit: usize,
    ) -> Vec<Hit> {
        let mut shares: Vec<Vec<f32>> = best.iter().map(|at| self.shares(*at, asked)).collect();
        let mut left = vec![1.0f32; asked.len()];
        let mut hits = Vec::new();
        while hits.len() < limit && !best.is_empty() {
            let worth = |at: usize| {
                let all: f32 = shares[at].iter().sum();
                let still: f32 =
                    shares[at].iter().zip(&left).map(|(share, left)| share * left).sum();
                scores[best[at] as usize] * if all > 0.0 { still / all } else { 1.0 }
            };
            let first = (1..best.len())
                .fold(0, |first, at| if worth(at) > worth(first) { at } else { first });
            let score = worth(first);
            let place = self.places[best.remove(first) as usize];
            for (left, share) in left.iter_mut().zip(shares.remove(first)) {
                *left *= if share > 0.0 { ANSWERED } else { 1.0 };
            }
            hits.push(Hit {
                document: place.document as usize,
                passage: place.number as usize,
                score,
            });
        }
        hits
    }

    /// What each word asked for gives to this passage.
    fn shares(&self, passage: u32, asked: &[Asked]) -> Vec<f32> {
        let share = |(term, worth): (u32, f32)| {
            let (passages, impacts) = self.postings.of(term);
            passages.binary_search(&passage).map_or(0.0, |at| worth * f32::from(impacts[at]))
        };
        asked.iter().map(|asked| self.worths(asked).map(share).fold(0.0, f32::max)).collect()
    }
}
