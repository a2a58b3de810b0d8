//! The languages of the dashboard. A text is named by its English wording, and where a translation lacks it,
//! that is what is shown: a new sentence is never missing, and a test says what is not translated.

mod told;

use axum::http::{HeaderMap, header};
use std::collections::HashMap;
use std::sync::LazyLock;

/// The cookie that keeps a choice; without it the browser's languages decide.
pub(super) const COOKIE: &str = "flowcore-language";

/// A language that pages are shown in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Language {
    #[default]
    English,
    Portuguese,
    Spanish,
}

/// Pairs of lines, the English wording and the other one, with an empty line between.
fn read(text: &'static str) -> HashMap<&'static str, &'static str> {
    let pairs = text.split("\n\n").filter_map(|pair| pair.trim().split_once('\n'));
    pairs.map(|(english, other)| (english.trim(), other.trim())).collect()
}

static PORTUGUESE: LazyLock<HashMap<&'static str, &'static str>> =
    LazyLock::new(|| read(include_str!("../../messages/pt.txt")));
static SPANISH: LazyLock<HashMap<&'static str, &'static str>> =
    LazyLock::new(|| read(include_str!("../../messages/es.txt")));

impl Language {
    pub(super) const ALL: [Self; 3] = [Self::English, Self::Portuguese, Self::Spanish];

    /// Its tag.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Portuguese => "pt",
            Self::Spanish => "es",
        }
    }

    /// What it calls itself.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::Portuguese => "Português",
            Self::Spanish => "Español",
        }
    }

    pub(super) fn parse(tag: &str) -> Option<Self> {
        let first = tag.trim().split(['-', '_', ';']).next().unwrap_or_default();
        Self::ALL.into_iter().find(|one| one.code().eq_ignore_ascii_case(first))
    }

    /// The language of who sends this.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
        let cookies =
            text(header::COOKIE).split(';').filter_map(|pair| pair.trim().split_once('='));
        let chosen =
            cookies.filter(|(name, _)| *name == COOKIE).find_map(|(_, tag)| Self::parse(tag));
        let wanted = || text(header::ACCEPT_LANGUAGE).split(',').find_map(Self::parse);
        chosen.or_else(wanted).unwrap_or_default()
    }

    /// A text in this language.
    pub(super) fn say(self, english: &str) -> &str {
        let known = match self {
            Self::English => None,
            Self::Portuguese => PORTUGUESE.get(english),
            Self::Spanish => SPANISH.get(english),
        };
        known.copied().unwrap_or(english)
    }

    /// The same with something put in for `{}`.
    pub(super) fn fill(self, english: &str, value: impl std::fmt::Display) -> String {
        self.say(english).replacen("{}", &value.to_string(), 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowcore_domain::instance::Reason;
    use std::collections::BTreeSet;
    use std::path::Path;

    /// The texts in quotes behind `say(` and `fill(`.
    fn said(text: &str, into: &mut BTreeSet<String>) {
        for call in ["say(", "fill("] {
            for rest in text.split(call).skip(1) {
                let Some(rest) = rest.trim_start().strip_prefix('"') else { continue };
                let end = rest.find('"').expect("a text ends");
                into.insert(rest[..end].to_owned());
            }
        }
    }

    fn files(folder: &Path, into: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                files(&path, into);
            } else if !path.ends_with("words.rs") {
                said(&std::fs::read_to_string(&path).expect("a text"), into);
            }
        }
    }

    #[test]
    fn every_text_is_translated_and_nothing_is_left_over() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut texts = BTreeSet::new();
        files(&root.join("templates"), &mut texts);
        files(&root.join("src/dashboard"), &mut texts);
        texts.extend(Reason::ALL.iter().map(|reason| reason.sentence().to_owned()));
        for dictionary in [&*PORTUGUESE, &*SPANISH] {
            let known: BTreeSet<String> = dictionary.keys().map(|&key| key.to_owned()).collect();
            let missing: Vec<_> = texts.difference(&known).collect();
            assert!(missing.is_empty(), "not translated: {missing:#?}");
            let unused: Vec<_> = known.difference(&texts).collect();
            assert!(unused.is_empty(), "nobody says: {unused:#?}");
        }
    }

    #[test]
    fn the_choice_counts_before_the_browser_s_languages() {
        let language = |cookie: &str, accept: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::COOKIE, cookie.parse().expect("a header"));
            headers.insert(header::ACCEPT_LANGUAGE, accept.parse().expect("a header"));
            Language::of(&headers)
        };
        assert_eq!(language("a=b", "pt-BR,en;q=0.8"), Language::Portuguese);
        assert_eq!(language("a=b; flowcore-language=es", "pt-BR"), Language::Spanish);
        assert_eq!(language("flowcore-language=xx", "fr, de"), Language::English);
    }
}
