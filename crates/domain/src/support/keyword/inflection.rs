//! Light inflection: number and gender of a word that stands alone, and the stem of one that a phrase holds
//! in place. What makes another word of one ("-ity", "-dad", "-ung") is no inflection.

use rust_stemmers::{Algorithm, Stemmer};

/// Endings that are added to a word as it is: plurals, German cases and feminine forms.
const ADDED: [&str; 7] = ["s", "es", "n", "en", "in", "innen", "nen"];
/// Endings that take the place of one of the word's: number and gender of Romance words, plurals of English
/// ones, feminine forms of German ones.
const CHANGED: [(&str, &[&str]); 14] = [
    ("o", &["a", "os", "as"]),
    ("a", &["o", "os", "as"]),
    ("os", &["o", "a", "as"]),
    ("as", &["o", "a", "os"]),
    ("or", &["ora", "oras", "ores"]),
    ("ora", &["or", "ores", "oras"]),
    ("ao", &["oes", "aos", "aes"]),
    ("m", &["ns"]),
    ("z", &["ces", "zes"]),
    ("l", &["is"]),
    ("y", &["ies"]),
    ("e", &["in", "innen"]),
    ("fe", &["ves"]),
    ("ente", &["enta", "entas"]),
];
/// No word that is inflected is shorter.
const SHORTEST: usize = 3;
/// The shortest stem that two words share.
const STEM: usize = 3;

/// Whether `written` is a form of `meant`, or the reverse.
pub(super) fn is_form(written: &str, meant: &str) -> bool {
    if meant.chars().count() < SHORTEST || written.chars().count() < SHORTEST {
        return false;
    }
    let added = |long: &str, short: &str| {
        long.strip_prefix(short).is_some_and(|ending| ADDED.contains(&ending))
    };
    let changed = CHANGED.iter().any(|(ending, others)| {
        let stem = meant.strip_suffix(ending).filter(|stem| !stem.is_empty());
        let rest = stem.and_then(|stem| written.strip_prefix(stem));
        rest.is_some_and(|rest| others.contains(&rest))
    });
    // The singular of a plural keyword.
    let singular = meant.strip_suffix('s').is_some_and(|one| one == written);
    added(written, meant) || changed || singular
}

/// Whether two words have one stem in one of the languages.
pub(super) fn same_stem(written: &str, meant: &str) -> bool {
    const LANGUAGES: [Algorithm; 6] = [
        Algorithm::English,
        Algorithm::Portuguese,
        Algorithm::Spanish,
        Algorithm::German,
        Algorithm::French,
        Algorithm::Italian,
    ];
    // Stemming is dear; what begins differently has no stem in common.
    let begins = |word: &str| word.chars().take(STEM).collect::<String>();
    if meant.chars().count() <= STEM || begins(written) != begins(meant) {
        return false;
    }
    LANGUAGES.into_iter().any(|language| {
        let stemmer = Stemmer::create(language);
        let stem = stemmer.stem(meant);
        stem.chars().count() >= STEM && stem == stemmer.stem(written)
    })
}
