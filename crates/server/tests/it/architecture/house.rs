//! How a file looks: its size, its name, what it may say, and that every dependency says why.

use std::path::Path;

use super::modules::paths;
use super::sources::Tree;
use super::{assert_allowed, assert_caught, assert_kept, finding};

const CEILING: usize = 500;

const SHORT_FILES: &str = "no source file has more than 500 lines of code outside its tests";
const NO_MOD_RS: &str = "no `mod.rs`: a module is `foo.rs` beside `foo/`";
const TRACKED_TASKS: &str = "no `tokio::spawn`: a task is spawned on its owner's tracker";
const MODULE_DOCS: &str = "each file begins with `//!`: what it owns, what it promises";
const ON_ITS_OWN: &str = "the repository stands on its own: it names no folder outside of it";
const REASONS: &str =
    "every dependency in Cargo.toml has a comment above that says why it is there";

fn files_are_short(tree: &Tree) -> Vec<String> {
    let sizes = tree.shipped().map(|file| {
        let lines = file.code.lines().filter(|line| !line.trim().is_empty()).count();
        (file.path, lines)
    });
    sizes
        .filter(|(_, lines)| *lines > CEILING)
        .map(|(path, lines)| finding(path, &format!("{lines} lines"), SHORT_FILES))
        .collect()
}

fn modules_lie_beside_their_folder(tree: &Tree) -> Vec<String> {
    let files = tree.files.iter().filter(|file| file.path.ends_with("/mod.rs"));
    files.map(|file| finding(&file.path, "is a mod.rs", NO_MOD_RS)).collect()
}

fn tasks_have_an_owner(tree: &Tree) -> Vec<String> {
    let spawns = |path: &Vec<String>| {
        let parts: Vec<&str> = path.iter().map(String::as_str).collect();
        matches!(parts.as_slice(), ["tokio" | "task", "spawn"] | ["tokio", "task", "spawn"])
    };
    tree.shipped()
        .filter(|file| paths(&file.code).iter().any(spawns))
        .map(|file| finding(file.path, "spawns a task of its own", TRACKED_TASKS))
        .collect()
}

fn files_say_what_they_own(tree: &Tree) -> Vec<String> {
    let is_rust = |path: &str| Path::new(path).extension().is_some_and(|end| end == "rs");
    let is_ours = |path: &str| path.starts_with("crates/") && is_rust(path);
    let bare =
        tree.files.iter().filter(|file| is_ours(&file.path) && !file.text.starts_with("//!"));
    bare.map(|file| finding(&file.path, "begins otherwise", MODULE_DOCS)).collect()
}

/// The two folders beside which this repository was written. Spelt in pieces, so that this file
/// does not name them.
fn outside_folders() -> [String; 2] {
    [["..", "shared"].join("/"), ["", "work", ""].join("/")]
}

fn repository_stands_alone(tree: &Tree) -> Vec<String> {
    let mut findings = Vec::new();
    for file in &tree.files {
        for folder in outside_folders() {
            // `network/…` of a longer path is not the folder at the root.
            let mut hits = file.text.match_indices(&folder);
            let named = |at: usize| !file.text[..at].ends_with(|c: char| c.is_alphanumeric());
            if hits.any(|(at, _)| named(at)) {
                findings.push(finding(&file.path, &format!("names {folder}"), ON_ITS_OWN));
            }
        }
    }
    findings
}

fn dependencies_give_reasons(tree: &Tree) -> Vec<String> {
    let Some(manifest) = tree.files.iter().find(|file| file.path == "Cargo.toml") else {
        return vec![finding("Cargo.toml", "is missing", REASONS)];
    };
    let (mut findings, mut inside, mut above) = (Vec::new(), false, "");
    for line in manifest.text.lines() {
        if line.starts_with('[') {
            inside = line == "[workspace.dependencies]";
        }
        let entry = line.split_once('=').map(|(name, _)| name.trim());
        if let Some(name) = entry.filter(|name| inside && is_dependency(name)) {
            let explained = above.starts_with("# ") && !above.starts_with("# ---");
            if !explained && !name.starts_with("flowcore-") {
                findings.push(finding("Cargo.toml", &format!("{name} has no comment"), REASONS));
            }
        }
        above = line;
    }
    findings
}

fn is_dependency(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

#[test]
fn no_source_file_is_over_the_ceiling() {
    assert_kept(files_are_short);
    let path = "crates/gateway/src/inbox.rs";
    let over = "let a = 1;\n".repeat(CEILING + 1);
    assert_caught(files_are_short, &[(path, &over)], SHORT_FILES);
    let just = format!(
        "{}{}#[cfg(test)]\nmod tests {{ {over} }}",
        "// a comment\n".repeat(CEILING),
        "let a = 1;\n".repeat(CEILING)
    );
    assert_allowed(files_are_short, &[(path, &just)]);
}

#[test]
fn no_module_is_a_mod_rs() {
    assert_kept(modules_lie_beside_their_folder);
    assert_caught(
        modules_lie_beside_their_folder,
        &[("crates/server/src/api/mod.rs", "")],
        NO_MOD_RS,
    );
}

#[test]
fn no_task_is_spawned_without_an_owner() {
    assert_kept(tasks_have_an_owner);
    let path = "crates/gateway/src/inbox.rs";
    for source in ["fn f() { tokio::spawn(g()); }", "use tokio::{task::spawn};"] {
        assert_caught(tasks_have_an_owner, &[(path, source)], TRACKED_TASKS);
    }
    let kept =
        "fn f() { tracker.spawn(g()); }\n#[cfg(test)]\nmod tests { fn f() { tokio::spawn(g()); } }";
    assert_allowed(tasks_have_an_owner, &[(path, kept)]);
}

#[test]
fn each_file_begins_with_what_it_owns() {
    assert_kept(files_say_what_they_own);
    assert_caught(
        files_say_what_they_own,
        &[("crates/x/src/y.rs", "use a;\n//! Late.")],
        MODULE_DOCS,
    );
}

#[test]
fn nothing_names_a_folder_outside_the_repository() {
    assert_kept(repository_stands_alone);
    for folder in outside_folders() {
        let text = format!("see `{folder}/notes.md`");
        assert_caught(repository_stands_alone, &[("README.md", &text)], ON_ITS_OWN);
    }
    assert_allowed(repository_stands_alone, &[("README.md", "docs/work/notes.md")]);
}

#[test]
fn every_dependency_says_why_it_is_there() {
    assert_kept(dependencies_give_reasons);
    let bare = "[workspace.dependencies]\n# --- words ---\nserde = '1'\n# JSON.\nserde_json = '1'";
    assert_caught(dependencies_give_reasons, &[("Cargo.toml", bare)], REASONS);
    let kept = "[workspace.package]\nversion = '1'\n[workspace.dependencies]\nflowcore-x = '1'\n# JSON.\nserde_json = '1'";
    assert_allowed(dependencies_give_reasons, &[("Cargo.toml", kept)]);
}
