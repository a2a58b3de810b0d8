//! Languages: which one a text is in, its stemmer, and the words in it that say little.
//!
//! Nothing here is of a business: Snowball's stemmers, NLTK's stop words, trigrams for detection.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use pure_rust_locales as locales;
use rust_stemmers::Algorithm;
use whatlang::{Detector, Lang};

use crate::words;

/// A language with a stemmer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Language(u8);

/// Code, stemmer and detector's name of each; the position is [`Language`]'s number.
const KNOWN: [(&str, Algorithm, Lang); 17] = [
    ("en", Algorithm::English, Lang::Eng),
    ("pt", Algorithm::Portuguese, Lang::Por),
    ("es", Algorithm::Spanish, Lang::Spa),
    ("de", Algorithm::German, Lang::Deu),
    ("fr", Algorithm::French, Lang::Fra),
    ("it", Algorithm::Italian, Lang::Ita),
    ("nl", Algorithm::Dutch, Lang::Nld),
    ("ar", Algorithm::Arabic, Lang::Ara),
    ("da", Algorithm::Danish, Lang::Dan),
    ("el", Algorithm::Greek, Lang::Ell),
    ("fi", Algorithm::Finnish, Lang::Fin),
    ("hu", Algorithm::Hungarian, Lang::Hun),
    ("no", Algorithm::Norwegian, Lang::Nob),
    ("ro", Algorithm::Romanian, Lang::Ron),
    ("ru", Algorithm::Russian, Lang::Rus),
    ("sv", Algorithm::Swedish, Lang::Swe),
    ("tr", Algorithm::Turkish, Lang::Tur),
];

/// The names of the days and the months of each, in the same order.
const CALENDARS: [(&[&str], &[&str]); 17] = [
    (locales::en_US::LC_TIME::DAY, locales::en_US::LC_TIME::MON),
    (locales::pt_BR::LC_TIME::DAY, locales::pt_BR::LC_TIME::MON),
    (locales::es_ES::LC_TIME::DAY, locales::es_ES::LC_TIME::MON),
    (locales::de_DE::LC_TIME::DAY, locales::de_DE::LC_TIME::MON),
    (locales::fr_FR::LC_TIME::DAY, locales::fr_FR::LC_TIME::MON),
    (locales::it_IT::LC_TIME::DAY, locales::it_IT::LC_TIME::MON),
    (locales::nl_NL::LC_TIME::DAY, locales::nl_NL::LC_TIME::MON),
    (locales::ar_EG::LC_TIME::DAY, locales::ar_EG::LC_TIME::MON),
    (locales::da_DK::LC_TIME::DAY, locales::da_DK::LC_TIME::MON),
    (locales::el_GR::LC_TIME::DAY, locales::el_GR::LC_TIME::MON),
    (locales::fi_FI::LC_TIME::DAY, locales::fi_FI::LC_TIME::MON),
    (locales::hu_HU::LC_TIME::DAY, locales::hu_HU::LC_TIME::MON),
    (locales::nb_NO::LC_TIME::DAY, locales::nb_NO::LC_TIME::MON),
    (locales::ro_RO::LC_TIME::DAY, locales::ro_RO::LC_TIME::MON),
    (locales::ru_RU::LC_TIME::DAY, locales::ru_RU::LC_TIME::MON),
    (locales::sv_SE::LC_TIME::DAY, locales::sv_SE::LC_TIME::MON),
    (locales::tr_TR::LC_TIME::DAY, locales::tr_TR::LC_TIME::MON),
];

/// Below this much text a detector guesses.
const ENOUGH: usize = 40;

impl Language {
    /// All that are known.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..KNOWN.len()).map(|at| Self(u8::try_from(at).expect("seventeen")))
    }

    /// The language with this code of two letters.
    pub fn of_code(code: &str) -> Option<Self> {
        Self::all().find(|language| language.code() == code)
    }

    /// Its code of two letters.
    pub fn code(self) -> &'static str {
        KNOWN[usize::from(self.0)].0
    }

    /// The language that `text` is written in, if that is certain and known.
    pub fn of(text: &str) -> Option<Self> {
        static DETECTOR: LazyLock<Detector> =
            LazyLock::new(|| Detector::with_allowlist(KNOWN.map(|known| known.2).to_vec()));
        if text.len() < ENOUGH {
            return None;
        }
        let start: String = text.chars().take(8_000).collect();
        let found = DETECTOR.detect(&start).filter(|found| found.confidence() > 0.4)?;
        Self::all().find(|language| KNOWN[usize::from(language.0)].2 == found.lang())
    }

    /// What a word in lower case stands for: the folded stems of the word as it is, and of the word without its
    /// accents, for who leaves them out; and, as names of days and months are the same thing in every language, which one it is.
    /// German `ae`, `oe`, `ue` count as umlauts without their dots.
    pub(crate) fn senses(self, word: &str, folded: &str) -> Vec<String> {
        let stemmer = rust_stemmers::Stemmer::create(KNOWN[usize::from(self.0)].1);
        let mut senses = vec![words::fold(&stemmer.stem(word)), stemmer.stem(folded).into_owned()];
        if self.code() == "de" {
            senses = senses.into_iter().map(umlauts).collect();
        }
        senses.dedup();
        senses.extend(self.date(folded));
        senses
    }

    /// The day or the month that a folded word names in this language.
    fn date(self, folded: &str) -> Option<String> {
        static NAMES: LazyLock<Vec<HashMap<String, String>>> = LazyLock::new(|| {
            let named = |kind: &'static str, names: &'static [&'static str]| {
                let numbered = names.iter().enumerate();
                // No word of a text holds a space.
                numbered.map(move |(at, name)| (words::fold(name), format!("{kind} {at}")))
            };
            let calendars = CALENDARS.iter();
            calendars
                .map(|(days, months)| named("day", days).chain(named("month", months)).collect())
                .collect()
        });
        NAMES[usize::from(self.0)].get(folded).cloned()
    }

    /// Whether this folded word says little in this language.
    pub(crate) fn says_little(self, folded: &str) -> bool {
        static LISTS: LazyLock<Vec<HashSet<String>>> = LazyLock::new(|| {
            KNOWN
                .iter()
                .map(|(code, ..)| {
                    let list = stop_words::lookup(code).unwrap_or_default();
                    // Contractions are words of their own here, as they are in texts.
                    list.iter().flat_map(|word| words::of(word)).map(|word| word.folded).collect()
                })
                .collect()
        });
        LISTS[usize::from(self.0)].contains(folded)
    }
}

fn umlauts(stem: String) -> String {
    let pairs = [("ae", "a"), ("oe", "o"), ("ue", "u")];
    pairs.iter().fold(
        stem,
        |stem, (from, to)| {
            if stem.contains(from) { stem.replace(from, to) } else { stem }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_told_apart_and_stems_meet() {
        let german =
            Language::of("Die Öffnungszeiten des Ladens sind am Samstag von neun bis vierzehn Uhr");
        assert_eq!(german.map(Language::code), Some("de"));
        let portuguese = Language::of_code("pt").expect("known");
        let stems = |word: &str| portuguese.senses(word, &words::fold(word));
        assert!(stems("entregas").iter().any(|stem| stems("entrega").contains(stem)));
        assert!(stems("informacao").iter().any(|stem| stems("informação").contains(stem)));
        assert!(portuguese.says_little("nao"));
        let german = Language::of_code("de").expect("known");
        assert_eq!(german.senses("oeffnen", "oeffnen")[0], german.senses("öffnen", "offnen")[0]);
        assert_eq!(
            german.senses("samstag", "samstag")[1],
            portuguese.senses("sábado", "sabado")[1]
        );
    }
}
