//! Paths that a source names, and where they lead inside its crate.
//!
//! `use` trees are spread out, so that `use crate::{events::{webhooks, live}, inbox}` is three paths;
//! `self` and `super` are followed from the file's own module. Modules written inside a file are
//! taken for the file: none of ours hold borders.

use super::sources::Shipped;

/// Every path in blanked code: those of `use` trees in full, and `a::b::c` where it stands.
pub(super) fn paths(code: &str) -> Vec<Vec<String>> {
    let tokens = tokens(code);
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at] == "use" {
            at = spread(&tokens, at + 1, &[], &mut found);
        } else if is_name(tokens[at]) {
            let mut path = vec![tokens[at].to_owned()];
            while tokens.get(at + 1) == Some(&"::")
                && let Some(next) = tokens.get(at + 2).filter(|next| is_name(next))
            {
                path.push((*next).to_owned());
                at += 2;
            }
            found.push(path);
        }
        at += 1;
    }
    found
}

/// The paths of `file` that lead into its own crate, from the crate's root.
pub(super) fn own_paths(file: &Shipped<'_>) -> Vec<Vec<String>> {
    let here = module_of(file.inner);
    paths(&file.code).into_iter().filter_map(|path| from_root(&here, &path)).collect()
}

fn module_of(inner: &str) -> Vec<String> {
    let stem = inner.strip_suffix(".rs").unwrap_or(inner);
    stem.split('/').filter(|part| !matches!(*part, "lib" | "main")).map(str::to_owned).collect()
}

fn from_root(here: &[String], path: &[String]) -> Option<Vec<String>> {
    let mut base = match path.first()?.as_str() {
        "crate" => Vec::new(),
        "self" | "super" => here.to_vec(),
        _ => return None,
    };
    let ups = path.iter().take_while(|part| matches!(part.as_str(), "crate" | "self" | "super"));
    for part in ups.clone() {
        if part == "super" {
            base.pop();
        }
    }
    base.extend(path.iter().skip(ups.count()).cloned());
    Some(base)
}

/// Spreads the `use` tree at `at` below `prefix`; returns where it ended.
fn spread(
    tokens: &[&str],
    mut at: usize,
    prefix: &[String],
    found: &mut Vec<Vec<String>>,
) -> usize {
    let mut path = prefix.to_vec();
    while let Some(&token) = tokens.get(at) {
        match token {
            "{" => {
                at += 1;
                while tokens.get(at).is_some_and(|token| *token != "}") {
                    at = spread(tokens, at, &path, found);
                    at += usize::from(tokens.get(at) == Some(&","));
                }
                return at + 1;
            }
            "::" => at += 1,
            "as" => at += 2,
            ";" | "," | "}" => break,
            _ => {
                path.push(token.to_owned());
                at += 1;
            }
        }
    }
    found.push(path);
    at
}

fn tokens(code: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let length = match word {
            0 if rest.starts_with("::") => 2,
            0 => first.len_utf8(),
            _ => word,
        };
        tokens.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    tokens
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::super::sources::Tree;
    use super::{own_paths, paths};

    fn joined(paths: Vec<Vec<String>>) -> Vec<String> {
        paths.into_iter().map(|path| path.join("::")).collect()
    }

    #[test]
    fn use_trees_are_spread_out() {
        let found = paths("use crate::{events::{webhooks, live as l}, inbox}; fn f() { a::b(); }");
        assert_eq!(
            joined(found),
            ["crate::events::webhooks", "crate::events::live", "crate::inbox", "fn", "f", "a::b"]
        );
    }

    #[test]
    fn self_and_super_lead_from_the_files_module() {
        let text = "use super::super::events; use self::x::Y; use serde::Z;";
        let tree = Tree::made_up(&[("crates/g/src/instances/actor.rs", text)]);
        let file = tree.shipped().next().expect("one file");
        assert_eq!(joined(own_paths(&file)), ["events", "instances::actor::x::Y"]);
    }
}
