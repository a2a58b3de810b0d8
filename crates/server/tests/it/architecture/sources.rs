//! The repository as the checks see it: text files, Rust files with comments and literals blanked,
//! manifests with their dependencies, and the paths a source names.
//!
//! Promises: blanking keeps line breaks, so that lines can be counted; comments become blanks and
//! literals become `~`, so that a line of a long string still counts as code.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Folders that hold nothing of ours, wherever they lie: build output and fetched packages.
const FOREIGN: [&str; 3] = ["target", ".git", "node_modules"];

/// Folders at the root in which a started server keeps its data.
const LOCAL: [&str; 2] = ["data", "sandbox-data"];

/// One text file, by its path from the repository's root.
#[derive(Debug)]
pub(super) struct TextFile {
    pub(super) path: String,
    pub(super) text: String,
}

/// The files that the checks look at.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) files: Vec<TextFile>,
}

impl Tree {
    pub(super) fn of_this_repository() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut files = Vec::new();
        read_folder(&root, "", &mut files);
        assert!(files.iter().any(|file| file.path == "Cargo.toml"), "the root is not where I look");
        Self { files }
    }

    pub(super) fn made_up(files: &[(&str, &str)]) -> Self {
        let file = |(path, text): &(&str, &str)| TextFile {
            path: (*path).to_owned(),
            text: (*text).to_owned(),
        };
        Self { files: files.iter().map(file).collect() }
    }

    /// The Rust files of our crates that end up in a program: no tests, no benches.
    pub(super) fn shipped(&self) -> impl Iterator<Item = Shipped<'_>> {
        self.files.iter().filter_map(|file| Shipped::of(&file.path, &file.text))
    }

    /// The manifests of our crates.
    pub(super) fn manifests(&self) -> impl Iterator<Item = Manifest> {
        self.files.iter().filter_map(|file| Manifest::of(&file.path, &file.text))
    }
}

fn read_folder(folder: &Path, prefix: &str, files: &mut Vec<TextFile>) {
    for entry in fs::read_dir(folder).expect("a folder of the repository can be read") {
        let entry = entry.expect("an entry of the repository can be read");
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type().expect("an entry has a type");
        let path = format!("{prefix}{name}");
        let skipped = FOREIGN.contains(&name.as_str()) || LOCAL.contains(&path.as_str());
        if kind.is_dir() && !skipped {
            read_folder(&entry.path(), &format!("{path}/"), files);
        } else if kind.is_file()
            && let Ok(text) = fs::read_to_string(entry.path())
        {
            files.push(TextFile { path, text });
        }
    }
}

/// A Rust file under `crates/<krate>/src`, without its tests.
#[derive(Debug)]
pub(super) struct Shipped<'a> {
    pub(super) path: &'a str,
    pub(super) krate: &'a str,
    /// Path inside the crate's `src`.
    pub(super) inner: &'a str,
    /// The source with comments and literals blanked and `#[cfg(test)]` items removed.
    pub(super) code: String,
}

impl<'a> Shipped<'a> {
    fn of(path: &'a str, text: &str) -> Option<Self> {
        let (krate, inside) = path.strip_prefix("crates/")?.split_once('/')?;
        let inner = inside.strip_prefix("src/")?;
        let is_rust = Path::new(inner).extension().is_some_and(|extension| extension == "rs");
        let is_test =
            inner == "tests.rs" || inner.ends_with("/tests.rs") || inner.contains("tests/");
        (is_rust && !is_test).then(|| Self {
            path,
            krate,
            inner,
            code: without_tests(&blank(text)),
        })
    }

    /// Whether the file is the module `name` of its crate (`name.rs`) or lies below it (`name/`).
    pub(super) fn within(&self, name: &str) -> bool {
        self.inner.strip_prefix(name).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
    }
}

/// What one of our crates depends on, dev-dependencies left out.
#[derive(Debug)]
pub(super) struct Manifest {
    pub(super) path: String,
    pub(super) krate: String,
    pub(super) dependencies: BTreeSet<String>,
}

impl Manifest {
    fn of(path: &str, text: &str) -> Option<Self> {
        let krate = path.strip_prefix("crates/")?.strip_suffix("/Cargo.toml")?.to_owned();
        let table: toml::Table = toml::from_str(text).expect("a manifest is TOML");
        let mut dependencies = BTreeSet::new();
        collect_dependencies(&table, &mut dependencies);
        for (_, target) in table.get("target").and_then(toml::Value::as_table).into_iter().flatten()
        {
            collect_dependencies(target.as_table()?, &mut dependencies);
        }
        Some(Self { path: path.to_owned(), krate, dependencies })
    }
}

fn collect_dependencies(table: &toml::Table, into: &mut BTreeSet<String>) {
    for section in ["dependencies", "build-dependencies"] {
        let entries = table.get(section).and_then(toml::Value::as_table).into_iter().flatten();
        for (name, value) in entries {
            let renamed = value.get("package").and_then(toml::Value::as_str);
            into.insert(renamed.unwrap_or(name).to_owned());
        }
    }
}

/// Blanks comments with spaces and literals with `~`.
pub(super) fn blank(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let (end, filler) = if let Some(end) = comment_end(&chars, at) {
            (end, ' ')
        } else if let Some(end) = literal_end(&chars, at) {
            (end, '~')
        } else {
            out.push(chars[at]);
            at += 1;
            continue;
        };
        out.extend(chars[at..end].iter().map(|&c| if c == '\n' { c } else { filler }));
        at = end;
    }
    out
}

fn comment_end(chars: &[char], at: usize) -> Option<usize> {
    let pair = |i: usize| (chars.get(i).copied(), chars.get(i + 1).copied());
    match pair(at) {
        (Some('/'), Some('/')) => {
            Some(chars[at..].iter().position(|&c| c == '\n').map_or(chars.len(), |n| at + n))
        }
        (Some('/'), Some('*')) => {
            let (mut depth, mut i) = (1, at + 2);
            while depth > 0 && i < chars.len() {
                match pair(i) {
                    (Some('/'), Some('*')) => (depth, i) = (depth + 1, i + 2),
                    (Some('*'), Some('/')) => (depth, i) = (depth - 1, i + 2),
                    _ => i += 1,
                }
            }
            Some(i.min(chars.len()))
        }
        _ => None,
    }
}

fn literal_end(chars: &[char], at: usize) -> Option<usize> {
    match chars[at] {
        '"' => Some(quoted_end(chars, at + 1, '"')),
        'r' if starts_word(chars, at) => raw_string_end(chars, at + 1),
        // A quote opens a character only if one character later it closes; else it is a lifetime.
        '\'' if chars.get(at + 1) == Some(&'\\') || chars.get(at + 2) == Some(&'\'') => {
            let escaped = chars.get(at + 1) == Some(&'\\');
            Some(if escaped { quoted_end(chars, at + 1, '\'') } else { at + 3 })
        }
        _ => None,
    }
}

/// Whether a word starts at `at`, or at the `b` or `c` before it (`br"…"`).
fn starts_word(chars: &[char], at: usize) -> bool {
    let in_word = |i: Option<usize>| i.is_some_and(|i| is_word(chars[i]));
    let before = at.checked_sub(1);
    !in_word(before)
        || (before.is_some_and(|i| matches!(chars[i], 'b' | 'c')) && !in_word(at.checked_sub(2)))
}

fn quoted_end(chars: &[char], mut i: usize, quote: char) -> usize {
    while i < chars.len() && chars[i] != quote {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    (i + 1).min(chars.len())
}

fn raw_string_end(chars: &[char], at: usize) -> Option<usize> {
    let hashes = chars[at..].iter().take_while(|&&c| c == '#').count();
    if chars.get(at + hashes) != Some(&'"') {
        return None;
    }
    let closes = |i: usize| {
        chars[i] == '"'
            && chars[i + 1..].iter().take(hashes).filter(|&&c| c == '#').count() == hashes
    };
    let end = (at + hashes + 1..chars.len()).find(|&i| closes(i));
    Some(end.map_or(chars.len(), |i| i + 1 + hashes))
}

/// Removes every item under `#[cfg(test)]` from blanked code.
fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(start) = rest.find(MARK) {
        out.push_str(&rest[..start]);
        let item = &rest[start + MARK.len()..];
        rest = &item[item_end(item)..];
    }
    out.push_str(rest);
    out
}

/// The end of the item that `code` begins with: its `;`, or the brace that closes its body.
fn item_end(code: &str) -> usize {
    let mut depth = 0_usize;
    for (i, c) in code.char_indices() {
        match c {
            ';' if depth == 0 => return i + 1,
            '{' => depth += 1,
            '}' if depth == 1 => return i + 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    code.len()
}

/// Whether `c` can stand in a Rust name.
fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The names in blanked code.
pub(super) fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c| !is_word(c)).filter(|word| word.starts_with(|c: char| !c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::{Tree, blank, words};

    #[test]
    fn comments_and_literals_hide_what_they_say() {
        let source = "let a = \"sqlx\"; // sqlx\n/* sqlx /* sqlx */ */ let b = r#\"sq\"lx\"#; 'x: loop { '\\'' }";
        let code = blank(source);
        assert_eq!(words(&code).filter(|word| word.contains("sqlx")).count(), 0);
        assert!(code.contains("'x: loop {"), "a lifetime opens no literal: {code}");
        assert_eq!(code.lines().count(), source.lines().count());
    }

    #[test]
    fn test_modules_are_not_shipped() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests { fn b() { \"}\"; } }\nfn c() {}";
        let tree = Tree::made_up(&[("crates/x/src/y.rs", text), ("crates/x/src/y/tests.rs", text)]);
        let shipped: Vec<_> = tree.shipped().collect();
        assert_eq!(shipped.len(), 1);
        assert_eq!(words(&shipped[0].code).collect::<Vec<_>>(), ["fn", "a", "fn", "c"]);
    }

    #[test]
    fn dependencies_of_targets_count_and_those_of_tests_do_not() {
        let text = "[dependencies]\na = '1'\n[target.'cfg(unix)'.dependencies]\nb = { package = 'c', version = '1' }\n[dev-dependencies]\nd = '1'";
        let tree = Tree::made_up(&[("crates/x/Cargo.toml", text)]);
        let manifest = tree.manifests().next().expect("one manifest");
        assert_eq!(manifest.dependencies.into_iter().collect::<Vec<_>>(), ["a", "c"]);
    }
}
