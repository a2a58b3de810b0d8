//! What the services refuse, in the language of the page: the sentences of problems as the API says them, with what is
//! put into them.
//!
//! The API's own wording stays English; its programs switch on codes. A sentence that is not known here is shown as it is.

use super::Language;
use std::collections::HashMap;
use std::sync::LazyLock;

/// A sentence with places (`{}`): what stands between them, and both translations.
struct Pattern {
    pieces: Vec<&'static str>,
    others: [&'static str; 2],
}

#[derive(Default)]
struct Sentences {
    whole: HashMap<&'static str, [&'static str; 2]>,
    patterns: Vec<Pattern>,
}

const TEXT: &str = include_str!("../../../messages/problems.txt");

/// Blocks of three lines: English, Portuguese, Spanish.
fn blocks() -> impl Iterator<Item = (&'static str, [&'static str; 2])> {
    TEXT.split("\n\n").filter_map(|block| {
        let mut lines = block.trim().lines();
        Some((lines.next()?, [lines.next()?, lines.next()?]))
    })
}

static SENTENCES: LazyLock<Sentences> = LazyLock::new(|| {
    let mut all = Sentences::default();
    for (english, others) in blocks() {
        if english.contains("{}") {
            all.patterns.push(Pattern { pieces: english.split("{}").collect(), others });
        } else {
            all.whole.insert(english, others);
        }
    }
    // The more a pattern says itself, the surer it is meant.
    all.patterns.sort_by_key(|one| std::cmp::Reverse(one.pieces.concat().len()));
    all
});

impl Pattern {
    /// What stands at the places of a sentence of this pattern.
    fn values<'a>(&self, text: &'a str) -> Option<Vec<&'a str>> {
        let (first, rest) = self.pieces.split_first()?;
        let (last, between) = rest.split_last()?;
        let mut text = text.strip_prefix(first)?.strip_suffix(last)?;
        let mut values = vec![];
        for piece in between {
            let (value, after) = text.split_once(piece)?;
            values.push(value);
            text = after;
        }
        values.push(text);
        values.iter().all(|value| !value.is_empty()).then_some(values)
    }
}

impl Language {
    /// A sentence of the services in this language.
    pub(crate) fn tell(self, english: &str) -> String {
        let at = match self {
            Self::English => return english.to_owned(),
            Self::Portuguese => 0,
            Self::Spanish => 1,
        };
        if let Some(others) = SENTENCES.whole.get(english) {
            return others[at].to_owned();
        }
        let found = SENTENCES.patterns.iter().find_map(|one| Some((one, one.values(english)?)));
        let Some((pattern, values)) = found else { return self.say(english).to_owned() };
        // A value is shorter than its sentence: this ends.
        let values = values.into_iter().map(|value| self.tell(value));
        values.fold(pattern.others[at].to_owned(), |text, value| text.replacen("{}", &value, 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;
    use std::path::Path;

    /// Titles and details of all problems that have a snapshot.
    fn told() -> Vec<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/problem/snapshots");
        let mut told = vec![];
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let text = std::fs::read_to_string(entry.expect("an entry").path()).expect("a text");
            let json = text.splitn(3, "---").nth(2).expect("a snapshot");
            let problems: Vec<serde_json::Value> = serde_json::from_str(json).expect("JSON");
            for problem in problems {
                told.extend(
                    ["title", "detail"].map(|name| problem[name].as_str().map(str::to_owned)),
                );
            }
        }
        told.into_iter().flatten().collect()
    }

    #[test]
    fn every_problem_is_told_in_each_language() {
        let told = told();
        assert!(told.len() > 100, "{}", told.len());
        let mut missing = String::new();
        for sentence in &told {
            for language in [Language::Portuguese, Language::Spanish] {
                if language.tell(sentence) == *sentence {
                    let _ = writeln!(missing, "{}: {sentence}", language.code());
                }
            }
        }
        assert!(missing.is_empty(), "not translated:\n{missing}");
    }

    #[test]
    fn what_is_put_into_a_sentence_is_told_as_well() {
        let tell = |text: &str| Language::Portuguese.tell(text);
        assert_eq!(
            tell(
                "Your limit of instances is 3, and 3 are used. Delete something, or ask the administrator for more."
            ),
            "Seu limite de instâncias é 3, e 3 estão em uso. Exclua algo ou peça mais ao administrador."
        );
        assert_eq!(
            tell(
                "The instance is disconnected. The device was unlinked. Connect again and scan a new QR code."
            ),
            format!(
                "A instância está desconectada. {}",
                tell("The device was unlinked. Connect again and scan a new QR code.")
            )
        );
        assert_eq!(tell("Nobody ever wrote this."), "Nobody ever wrote this.");
        assert_eq!(Language::English.tell("Stopped"), "Stopped");
    }

    #[test]
    fn each_translation_has_the_places_of_its_sentence() {
        for (english, others) in blocks() {
            for other in others {
                assert_eq!(other.matches("{}").count(), english.matches("{}").count(), "{english}");
            }
        }
    }
}
