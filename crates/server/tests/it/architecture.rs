//! The house rules that neither the compiler nor clippy can hold, read off the sources themselves.
//!
//! Each check takes a [`sources::Tree`] and returns the places where its rule is broken, each with
//! the rule's sentence. It runs twice: on this repository, where it must find nothing, and on a
//! made-up source that breaks the rule, where it must say so. A check that finds nothing because it
//! looks at nothing would otherwise pass for ever.
//!
//! What this does not do: understand Rust. It sees words and paths of the source with comments and
//! literals blanked, which is enough for rules about names.

mod borders;
mod house;
mod licences;
mod modules;
mod sources;

use sources::Tree;

/// A place where a rule is broken, followed by the rule.
fn finding(place: &str, detail: &str, rule: &str) -> String {
    format!("{place}: {detail}\n    rule: {rule}")
}

/// Fails with every finding, so that one run shows all there is to repair.
fn assert_kept(check: fn(&Tree) -> Vec<String>) {
    let findings = check(&Tree::of_this_repository());
    assert!(findings.is_empty(), "broken rules:\n{}", findings.join("\n"));
}

/// Fails unless `check` finds exactly one breach in the made-up `files` and names `rule`.
fn assert_caught(check: fn(&Tree) -> Vec<String>, files: &[(&str, &str)], rule: &str) {
    let findings = check(&Tree::made_up(files));
    assert_eq!(findings.len(), 1, "one breach expected in {files:?}: {findings:?}");
    assert!(findings[0].contains(rule), "{} does not say: {rule}", findings[0]);
}

/// Fails if `check` complains about made-up `files` that keep the rule.
fn assert_allowed(check: fn(&Tree) -> Vec<String>, files: &[(&str, &str)]) {
    let findings = check(&Tree::made_up(files));
    assert!(findings.is_empty(), "{findings:?}");
}
