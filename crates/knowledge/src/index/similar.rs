//! What a word may be that no passage holds: misspelt, part of a compound or made of one, two words
//! written as one.

use super::vocabulary::Vocabulary;

/// How many words that share trigrams are looked at.
const CANDIDATES: usize = 200;
/// How many readings of one word are kept.
const READINGS: usize = 6;
/// The shortest part of a compound.
const SHORTEST_PART: usize = 4;
/// What joins the parts of a compound, in the languages that write them as one word.
const LINKS: [&str; 7] = ["", "s", "n", "en", "es", "e", "er"];

/// A reading of a word: a word that passages hold, and how sure that is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reading {
    pub(super) word: String,
    pub(super) sure: f32,
}

/// Readings of `folded`, the surest first.
pub(super) fn readings(vocabulary: &Vocabulary, folded: &str) -> Vec<Reading> {
    let characters: Vec<char> = folded.chars().collect();
    if characters.len() < 3 || folded.contains(|c: char| c.is_ascii_digit()) {
        return Vec::new();
    }
    let mut readings = Vec::new();
    for at in vocabulary.neighbours(folded, CANDIDATES) {
        let other = vocabulary.word(at);
        let sure = spelling(&characters, other).max(containing(folded, other));
        if sure > 0.0 {
            readings.push(Reading { word: other.to_owned(), sure });
        }
    }
    readings.sort_by(|a, b| b.sure.total_cmp(&a.sure).then_with(|| a.word.cmp(&b.word)));
    readings.truncate(READINGS);
    readings
}

/// How many mistakes a word of this length may have.
fn mistakes(length: usize) -> usize {
    match length {
        0..=3 => 0,
        4..=6 => 1,
        7..=11 => 2,
        _ => 3,
    }
}

fn spelling(word: &[char], other: &str) -> f32 {
    let other: Vec<char> = other.chars().collect();
    let most = mistakes(word.len().max(other.len()));
    if word.len().abs_diff(other.len()) > most {
        return 0.0;
    }
    let distance = distance(word, &other);
    if distance > most {
        return 0.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "lengths of words")]
    let sure = 1.0 - 1.5 * distance as f32 / word.len().max(other.len()) as f32;
    // Few people miss the first letter.
    if word.first() == other.first() { sure } else { sure * 0.8 }
}

fn containing(word: &str, other: &str) -> f32 {
    let (short, long) = if word.len() < other.len() { (word, other) } else { (other, word) };
    if short.len() < SHORTEST_PART + 1 || !(long.starts_with(short) || long.ends_with(short)) {
        return 0.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "lengths of words")]
    let share = short.len() as f32 / long.len() as f32;
    0.3 + 0.4 * share
}

/// Edits from one word to another, two letters swapped being one.
fn distance(a: &[char], b: &[char]) -> usize {
    let width = b.len() + 1;
    let mut rows = [vec![0; width], (0..width).collect::<Vec<_>>(), vec![0; width]];
    for i in 1..=a.len() {
        let [before, last, row] = &mut rows;
        row[0] = i;
        for j in 1..width {
            let same = usize::from(a[i - 1] != b[j - 1]);
            row[j] = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + same);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        rows.rotate_left(1);
    }
    rows[1][b.len()]
}

/// The two words that `folded` is made of, if `known` holds both; the longest tail wins, for it says what the whole is.
pub(super) fn parts(folded: &str, known: impl Fn(&str) -> bool) -> Option<(&str, &str)> {
    if folded.len() < 2 * SHORTEST_PART {
        return None;
    }
    let cuts = folded.char_indices().map(|(at, _)| at);
    for cut in cuts.skip(SHORTEST_PART).filter(|cut| folded.len() - cut >= SHORTEST_PART) {
        let (head, tail) = folded.split_at(cut);
        if !known(tail) {
            continue;
        }
        for link in LINKS {
            let bare = head.strip_suffix(link).filter(|bare| bare.len() >= SHORTEST_PART);
            if let Some(bare) = bare.filter(|bare| known(bare)) {
                return Some((bare, tail));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edits(a: &str, b: &str) -> usize {
        distance(&a.chars().collect::<Vec<_>>(), &b.chars().collect::<Vec<_>>())
    }

    #[test]
    fn edits_are_counted_and_swaps_are_one() {
        assert_eq!(edits("machne", "machine"), 1);
        assert_eq!(edits("opne", "open"), 1);
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("same", "same"), 0);
    }

    #[test]
    fn compounds_come_apart_where_both_parts_are_known() {
        let known = |word: &str| ["arbeit", "zeiten", "laden"].contains(&word);
        assert_eq!(parts("arbeitszeiten", known), Some(("arbeit", "zeiten")));
        assert_eq!(parts("ladenzeiten", known), Some(("laden", "zeiten")));
        assert_eq!(parts("unbekannt", known), None);
    }
}
