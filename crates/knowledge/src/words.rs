//! Words of a text: lower case, folded, with the spellings that people mix up.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// A longer run is no word of anybody.
const LONGEST: usize = 64;
/// A run of more parts is no one thing.
const MOST_PARTS: usize = 6;

/// A word of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    /// In lower case, as written.
    pub(crate) plain: String,
    /// Without accents.
    pub(crate) folded: String,
    /// Whether it is made of words that come beside it (`wi-fi`, `250g`, `17:00`).
    pub(crate) joined: bool,
}

/// Lower case without accents; letters that are no letter with an accent get their common spelling.
pub(crate) fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for c in text.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase) {
        match c {
            'ß' => folded.push_str("ss"),
            'æ' => folded.push_str("ae"),
            'œ' => folded.push_str("oe"),
            'ø' => folded.push('o'),
            'đ' => folded.push('d'),
            'ł' => folded.push('l'),
            'ı' => folded.push('i'),
            'ς' => folded.push('σ'),
            c => folded.push(c),
        }
    }
    folded
}

/// Scripts that are written without spaces: their words are pairs of characters.
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{0e00}'..='\u{0e7f}' | '\u{20000}'..='\u{2ffff}')
}

/// The words of `text` in order, as [`each`] gives them.
pub(crate) fn of(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    each(text, |plain, joined| {
        let folded = if plain.is_ascii() { plain.to_owned() } else { fold(plain) };
        if !folded.is_empty() {
            words.push(Word { plain: plain.to_owned(), folded, joined });
        }
    });
    words
}

/// Calls `take` with the words of `text` in order, in lower case, and with whether each is joined. What a hyphen, a
/// point or a change from digits to letters parts comes as a whole and in its parts.
pub(crate) fn each(text: &str, mut take: impl FnMut(&str, bool)) {
    let lower: String = if text.is_ascii() {
        text.to_ascii_lowercase()
    } else {
        text.nfkc().collect::<String>().to_lowercase()
    };
    let mut parts: Vec<&str> = Vec::new();
    for run in lower.split(|c: char| !(c.is_alphanumeric() || is_combining_mark(c) || joins(c))) {
        let run = run.trim_matches(joins);
        parts.clear();
        run.split(joins).for_each(|part| by_kind(part, &mut parts));
        if (2..=MOST_PARTS).contains(&parts.len()) && run.len() <= LONGEST {
            take(&parts.concat(), true);
        }
        for part in
            parts.iter().filter(|part| part.len() <= LONGEST || part.starts_with(is_unspaced))
        {
            if part.starts_with(is_unspaced) {
                pairs(part, |pair| take(pair, false));
            } else {
                take(part, false);
            }
        }
    }
}

/// Characters that part a word into parts which are one thing together.
fn joins(c: char) -> bool {
    matches!(c, '-' | '\'' | '’' | '.' | ':' | '/' | '_' | '&' | ',' | '\u{2011}' | '@')
}

/// Parts a run where digits meet letters and where scripts without spaces begin.
fn by_kind<'a>(run: &'a str, parts: &mut Vec<&'a str>) {
    let kind = |c: char| {
        if c.is_numeric() {
            0
        } else if is_unspaced(c) {
            1
        } else {
            2
        }
    };
    let mut start = 0;
    let mut last = None;
    for (at, c) in run.char_indices().filter(|(_, c)| !is_combining_mark(*c)) {
        if last.is_some_and(|last| last != kind(c)) {
            parts.push(&run[start..at]);
            start = at;
        }
        last = Some(kind(c));
    }
    if start < run.len() {
        parts.push(&run[start..]);
    }
}

/// The pairs of characters that stand beside each other; a single one is a word of its own.
fn pairs(run: &str, mut take: impl FnMut(&str)) {
    let starts: Vec<usize> = run.char_indices().map(|(at, _)| at).chain([run.len()]).collect();
    match starts.as_slice() {
        [_, _] => take(run),
        _ => starts.windows(3).for_each(|pair| take(&run[pair[0]..pair[2]])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(text: &str) -> Vec<String> {
        of(text).into_iter().map(|word| word.folded).collect()
    }

    #[test]
    fn words_come_folded_in_parts_and_whole() {
        assert_eq!(folded("Öffnungszeiten, WI-FI!"), ["offnungszeiten", "wifi", "wi", "fi"]);
        assert_eq!(folded("250g à 9.40"), ["250g", "250", "g", "a", "940", "9", "40"]);
        assert_eq!(folded("Straße Ærø"), ["strasse", "aero"]);
        assert_eq!(folded("営業時間"), ["営業", "業時", "時間"]);
        assert_eq!(folded("… -- ?!"), Vec::<String>::new());
    }
}
