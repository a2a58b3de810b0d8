//! A message as words: folded, with the clause and the sentence that each belongs to.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// Letters that stand alone are one word when there are at least so many in a row: "h e l p".
const SPACED: usize = 4;

/// A word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    /// In small letters.
    pub(super) lower: String,
    /// Without accents too.
    plain: String,
    /// With `ae` for `ä` and the like, where that is another word.
    spelt_out: Option<String>,
    /// Without letters that are held down, where there are any.
    squeezed: Option<String>,
    /// Which sentence it is in.
    pub(super) sentence: usize,
    /// Which clause it is in; no two sentences share one.
    pub(super) clause: usize,
}

impl Word {
    /// The spellings under which it is looked for.
    pub(super) fn forms(&self) -> impl Iterator<Item = &str> {
        [Some(&self.plain), self.spelt_out.as_ref(), self.squeezed.as_ref()]
            .into_iter()
            .flatten()
            .map(String::as_str)
    }

    /// Without case and accents.
    pub(super) fn plain(&self) -> &str {
        &self.plain
    }

    /// How many letters it has.
    pub(super) fn length(&self) -> usize {
        self.plain.chars().count()
    }

    fn of(letters: &str, (sentence, clause): (usize, usize)) -> Self {
        let lower = letters.to_lowercase();
        let plain = folded(letters);
        let spelt_out = Some(umlauts(&lower)).filter(|other| *other != plain);
        let squeezed = Some(squeezed(&plain)).filter(|other| *other != plain);
        Self { lower, plain, spelt_out, squeezed, sentence, clause }
    }
}

/// A message.
#[derive(Debug, Clone)]
pub(super) struct Text {
    pub(super) words: Vec<Word>,
    /// Whether each sentence is a question.
    questions: Vec<bool>,
    /// All of it, without case and accents.
    pub(super) folded: String,
}

impl Text {
    /// Reads the first words of a message. Addresses and links have no words.
    pub(super) fn read(message: &str, most: usize) -> Self {
        let mut text = Self { words: Vec::new(), questions: vec![false], folded: String::new() };
        let mut place = (0, 0);
        for line in message.lines() {
            for chunk in line.split_whitespace().filter(|chunk| !is_address(chunk)) {
                text.read_chunk(chunk, &mut place);
                if text.words.len() >= most {
                    break;
                }
            }
            text.end_sentence(&mut place);
        }
        text.words.truncate(most);
        text.join_spaced();
        text.folded = folded(message);
        text
    }

    pub(super) fn is_question(&self, word: &Word) -> bool {
        self.questions[word.sentence]
    }

    fn read_chunk(&mut self, chunk: &str, place: &mut (usize, usize)) {
        let mut letters = String::new();
        for sign in chunk.chars() {
            if sign.is_alphanumeric() || is_combining_mark(sign) {
                letters.push(sign);
                continue;
            }
            // "don't" is one word.
            if matches!(sign, '\'' | '\u{2019}' | '\u{2018}' | '\u{2bc}') {
                continue;
            }
            self.end_word(&mut letters, *place);
            match sign {
                '?' | '\u{bf}' | '\u{ff1f}' => {
                    self.questions[place.0] = true;
                    if sign != '\u{bf}' {
                        self.end_sentence(place);
                    }
                }
                '.' | '!' | '\u{2026}' | '\u{3002}' | '\u{ff01}' => self.end_sentence(place),
                ',' | ';' | ':' | '(' | ')' | '\u{2013}' | '\u{2014}' => place.1 += 1,
                _ => {}
            }
        }
        self.end_word(&mut letters, *place);
    }

    fn end_word(&mut self, letters: &mut String, place: (usize, usize)) {
        if !letters.is_empty() {
            self.words.push(Word::of(letters, place));
            letters.clear();
        }
    }

    fn end_sentence(&mut self, place: &mut (usize, usize)) {
        // Several signs end one sentence.
        if self.words.last().is_some_and(|word| word.sentence == place.0) {
            *place = (place.0 + 1, place.1 + 1);
            self.questions.push(false);
        }
    }

    /// Makes one word of letters that stand alone.
    fn join_spaced(&mut self) {
        let mut joined: Vec<Word> = Vec::with_capacity(self.words.len());
        let mut run: Vec<Word> = Vec::new();
        for word in std::mem::take(&mut self.words) {
            if word.length() == 1 {
                run.push(word);
            } else {
                end_run(&mut run, &mut joined);
                joined.push(word);
            }
        }
        end_run(&mut run, &mut joined);
        self.words = joined;
    }
}

fn end_run(run: &mut Vec<Word>, joined: &mut Vec<Word>) {
    if run.len() < SPACED {
        joined.append(run);
        return;
    }
    let place = (run[0].sentence, run[0].clause);
    let letters: String = run.drain(..).map(|word| word.lower).collect();
    joined.push(Word::of(&letters, place));
}

/// The words of a text in small letters.
pub(super) fn plain_words(text: &str) -> Vec<String> {
    let words = Text::read(text, usize::MAX).words;
    words.into_iter().map(|word| word.lower).collect()
}

/// Without case and accents.
pub(super) fn folded(text: &str) -> String {
    let bare = text.nfkd().filter(|sign| !is_combining_mark(*sign)).collect::<String>();
    bare.to_lowercase().replace('ß', "ss").replace('ø', "o").replace('ł', "l").replace('ı', "i")
}

fn umlauts(lower: &str) -> String {
    let spelt: String = lower.nfc().collect();
    folded(&spelt.replace('ä', "ae").replace('ö', "oe").replace('ü', "ue"))
}

/// Letters three or more times in a row are once.
fn squeezed(plain: &str) -> String {
    let signs: Vec<char> = plain.chars().collect();
    let mut kept = String::with_capacity(plain.len());
    let mut start = 0;
    while start < signs.len() {
        let run = signs[start..].iter().take_while(|sign| **sign == signs[start]).count();
        kept.extend(std::iter::repeat_n(signs[start], if run > 2 { 1 } else { run }));
        start += run;
    }
    kept
}

fn is_address(chunk: &str) -> bool {
    let mail =
        chunk.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.'));
    mail || chunk.contains("://") || chunk.starts_with("www.")
}

/// Whether a text is in a script that puts no spaces between words.
pub(super) fn has_no_spaces(text: &str) -> bool {
    text.chars().any(|sign| {
        matches!(u32::from(sign),
            0x0E00..=0x0EFF | 0x1000..=0x109F | 0x1780..=0x17FF | 0x3040..=0x30FF
            | 0x3400..=0x9FFF | 0xF900..=0xFAFF | 0x20000..=0x323AF)
    })
}
