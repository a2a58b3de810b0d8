//! Which of the index's languages a question is in: the one whose passages use its words.
//!
//! Detectors of languages guess at questions of five words; the passages themselves do not.

use super::Index;
use crate::language::Language;
use crate::query::Query;
use crate::words::{self, Word};

/// With fewer words than this the history has a say.
const FEW: usize = 6;
/// Most words that are looked at.
const MOST: usize = 60;
/// How many of a word's passages are looked at to know how common it is.
const SAMPLE: usize = 256;

impl Index {
    /// How likely the question is in each of the languages of the index; together 1.
    pub(super) fn likely_languages(&self, query: &Query<'_>) -> Vec<f32> {
        let mut words = words::of(query.asked);
        if words.len() < FEW {
            words.extend(query.before.iter().flat_map(|part| words::of(part.text)));
        }
        let mut likely = vec![0.0f32; self.languages.len()];
        for word in words.iter().filter(|word| !word.joined).take(MOST) {
            for (at, (likely, language)) in likely.iter_mut().zip(&self.languages).enumerate() {
                *likely += self.share(word, at, *language).clamp(0.005, 0.5).ln();
            }
        }
        let top = likely.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        for likely in &mut likely {
            *likely = (*likely - top).exp();
        }
        let all: f32 = likely.iter().sum();
        likely.iter().map(|likely| likely / all).collect()
    }

    /// How much of what is written in a language holds this word.
    fn share(&self, word: &Word, at: usize, language: Language) -> f32 {
        if language.says_little(&word.folded) {
            return 0.5;
        }
        let terms = self.vocabulary.lookup(word, std::slice::from_ref(&language));
        let found = terms.into_iter().map(|term| {
            let (passages, _) = self.postings.of(term);
            let step = (passages.len() / SAMPLE).max(1);
            let sample = passages.iter().step_by(step);
            sample.filter(|p| usize::from(self.places[**p as usize].language) == at).count() * step
        });
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        let (found, spoken) = (found.max().unwrap_or_default() as f32, self.spoken[at] as f32);
        (found + 0.1) / (spoken + 1.0)
    }
}
