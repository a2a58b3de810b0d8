//! The documents, questions and rules of `bench/kb` and `bench/kb-second`, and mistakes as people make them when they type.

#![expect(clippy::cast_precision_loss, reason = "shares of a few hundred")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use flowcore_knowledge::extract;
use flowcore_knowledge::index::{Index, Source};
use flowcore_knowledge::passages::{Passage, cut};
use flowcore_knowledge::query::{Line, Query, Speaker};
use unicode_normalization::UnicodeNormalization;

#[derive(Debug, Clone, serde::Deserialize)]
pub(crate) struct Item {
    pub(crate) id: String,
    pub(crate) lang: String,
    pub(crate) question: String,
    pub(crate) answerable: bool,
    doc: Vec<String>,
    evidence: Vec<String>,
    #[serde(default)]
    evidence_alt: Vec<Vec<String>>,
    #[serde(default)]
    pub(crate) tags: Vec<String>,
    #[serde(default)]
    history: Vec<HashMap<String, String>>,
}

/// What is asked, and where the answers stand.
#[derive(Debug)]
pub(crate) struct Gold {
    pub(crate) questions: Vec<Item>,
    pub(crate) conversations: Vec<Item>,
}

impl Gold {
    pub(crate) fn folder(set: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bench").join(set)
    }

    pub(crate) fn open(set: &str) -> Self {
        let read = |name: &str| {
            let text =
                std::fs::read_to_string(Self::folder(set).join(name)).expect("the file is there");
            text.lines().map(|line| serde_json::from_str(line).expect("an item")).collect()
        };
        Self { questions: read("questions.jsonl"), conversations: read("conversations.jsonl") }
    }
}

/// Documents, cut and indexed.
#[derive(Debug)]
pub(crate) struct Library {
    documents: Vec<(String, Vec<Passage>)>,
    /// The passages' texts as the scorer compares them.
    compared: Vec<Vec<String>>,
    index: Index,
}

impl Library {
    pub(crate) fn open(folder: &Path, longest: usize) -> Self {
        let files = std::fs::read_dir(folder.join("docs")).expect("documents");
        let mut paths: Vec<PathBuf> = files.flatten().map(|file| file.path()).collect();
        paths.sort();
        let read = |path: &PathBuf| {
            let name = path.file_name().and_then(|n| n.to_str()).expect("a name").to_owned();
            let bytes = std::fs::read(path).expect("a file");
            let blocks =
                extract::read(&name, &bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
            (name, cut(&blocks, longest))
        };
        let documents: Vec<_> = paths.iter().map(read).collect();
        let sources: Vec<Source<'_>> =
            documents.iter().map(|(name, passages)| Source { name, passages }).collect();
        let index = Index::new(&sources);
        let compared =
            documents.iter().map(|(_, ps)| ps.iter().map(|p| norm(&p.text)).collect()).collect();
        Self { documents, compared, index }
    }

    /// For each alternative of `item`, the share of its evidence that the first `limit` passages hold; the best counts.
    pub(crate) fn recall(&self, item: &Item, limit: usize) -> f64 {
        let history: Vec<Line> = item
            .history
            .iter()
            .map(|said| Line {
                speaker: if said["role"] == "user" { Speaker::User } else { Speaker::Assistant },
                text: said["text"].clone(),
            })
            .collect();
        let hits = self.index.search(&Query::new(&history, &item.question), limit);
        let texts: Vec<&str> = hits
            .iter()
            .filter(|hit| item.doc.contains(&self.documents[hit.document].0))
            .map(|hit| self.compared[hit.document][hit.passage].as_str())
            .collect();
        let share = |evidence: &Vec<String>| {
            let found =
                evidence.iter().filter(|e| texts.iter().any(|text| text.contains(&norm(e))));
            found.count() as f64 / evidence.len().max(1) as f64
        };
        item.evidence_alt.iter().chain([&item.evidence]).map(share).fold(0.0, f64::max)
    }
}

/// The mean recall@`limit` over `items`.
pub(crate) fn recall<'a>(
    library: &Library,
    items: impl IntoIterator<Item = &'a Item>,
    limit: usize,
) -> f64 {
    let found: Vec<f64> = items.into_iter().map(|item| library.recall(item, limit)).collect();
    found.iter().sum::<f64>() / found.len().max(1) as f64
}

/// As `score.py` compares: compatibility forms, quotes and dashes made plain, lower case, single spaces.
fn norm(text: &str) -> String {
    let plain = |c: char| match c {
        '\u{2019}' | '\u{2018}' => Some('\''),
        '\u{201c}' | '\u{201d}' => Some('"'),
        '\u{2013}' | '\u{2014}' | '\u{2011}' => Some('-'),
        '\u{a0}' | '\u{202f}' | '|' => Some(' '),
        '\u{ad}' => None,
        c => Some(c),
    };
    let text: String = text.chars().filter_map(plain).nfkc().collect();
    text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The item with a mistake in one or two of its longer words: a letter too few, too many, wrong, or two swapped.
pub(crate) fn misspelt(item: &Item, seed: u64) -> Item {
    let mut dice =
        item.id.bytes().fold(seed + 1, |h, b| h.wrapping_mul(0x100_0000_01b3) ^ u64::from(b));
    let mut roll = |most: usize| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(dice >> 33).expect("31 bits") % most
    };
    let mut words: Vec<String> = item.question.split(' ').map(str::to_owned).collect();
    let long: Vec<usize> = (0..words.len())
        .filter(|&at| words[at].chars().filter(|c| c.is_alphabetic()).count() >= 5)
        .collect();
    for _ in 0..long.len().min(2) {
        let at = long[roll(long.len())];
        let mut letters: Vec<char> = words[at].chars().collect();
        let place = 1 + roll(letters.len() - 2);
        match roll(4) {
            0 => drop(letters.remove(place)),
            1 => letters.insert(place, letters[place]),
            2 => letters[place] = char::from(b'a' + u8::try_from(roll(26)).expect("a letter")),
            _ => letters.swap(place, place - 1),
        }
        words[at] = letters.into_iter().collect();
    }
    Item { question: words.join(" "), ..item.clone() }
}
