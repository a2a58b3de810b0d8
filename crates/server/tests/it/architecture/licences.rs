//! Licences: everything that is built into Flowcore or its tests is under a licence that `deny.toml`
//! allows.
//!
//! `cargo deny` checks the same list and more, but takes longer to install than all tests to run;
//! this keeps the rule in the suite. The list stands in `deny.toml` only.

use std::collections::BTreeSet;
use std::process::Command;

use super::sources::Tree;
use super::{assert_caught, finding};

const ALLOWED_LICENCES: &str = "every package is under a licence that deny.toml allows";

/// A package of the build, as `cargo metadata` tells it.
#[derive(Debug, serde::Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
}

#[derive(Debug, serde::Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

/// The parts of `deny.toml` that matter here.
#[derive(Debug, serde::Deserialize)]
struct Deny {
    graph: Graph,
    licenses: Licenses,
}

#[derive(Debug, serde::Deserialize)]
struct Graph {
    targets: Vec<String>,
}

#[derive(Debug, serde::Deserialize)]
struct Licenses {
    allow: BTreeSet<String>,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

/// What one package may be under besides.
#[derive(Debug, serde::Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    package: String,
    allow: BTreeSet<String>,
}

fn deny(tree: &Tree) -> Deny {
    let file = tree.files.iter().find(|file| file.path == "deny.toml").expect("deny.toml is there");
    toml::from_str(&file.text).expect("deny.toml has its targets and its list of licences")
}

fn packages(targets: &[String]) -> Vec<Package> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args([
        "metadata",
        "--format-version=1",
        "--locked",
    ]);
    for target in targets {
        cargo.args(["--filter-platform", target]);
    }
    let output = cargo.output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Metadata =
        serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    metadata.packages
}

fn judge(packages: &[Package], licenses: &Licenses) -> Vec<String> {
    let refused = packages.iter().filter(|package| {
        let exceptions = licenses.exceptions.iter().filter(|one| one.package == package.name);
        let mut allowed = licenses.allow.clone();
        allowed.extend(exceptions.flat_map(|one| one.allow.iter().cloned()));
        !package.license.as_deref().is_some_and(|expression| satisfied(expression, &allowed))
    });
    refused
        .map(|package| {
            let licence = package.license.as_deref().unwrap_or("no licence expression");
            finding(&format!("{} {}", package.name, package.version), licence, ALLOWED_LICENCES)
        })
        .collect()
}

/// Whether an SPDX expression can be met with `allowed`. `A / B` is an old spelling of `A OR B`.
fn satisfied(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let met = either(&tokens, &mut at, allowed);
    met && at == tokens.len()
}

fn either(tokens: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let mut met = both(tokens, at, allowed);
    while tokens.get(*at) == Some(&"OR") {
        *at += 1;
        met |= both(tokens, at, allowed);
    }
    met
}

fn both(tokens: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let mut met = licence(tokens, at, allowed);
    while tokens.get(*at) == Some(&"AND") {
        *at += 1;
        met &= licence(tokens, at, allowed);
    }
    met
}

fn licence(tokens: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let Some(token) = tokens.get(*at) else { return false };
    *at += 1;
    if *token == "(" {
        let met = either(tokens, at, allowed);
        *at += 1;
        return met;
    }
    let mut name = (*token).to_owned();
    if tokens.get(*at) == Some(&"WITH")
        && let Some(exception) = tokens.get(*at + 1)
    {
        name = format!("{name} WITH {exception}");
        *at += 2;
    }
    allowed.contains(&name)
}

#[test]
fn every_package_is_under_an_allowed_licence() {
    let deny = deny(&Tree::of_this_repository());
    let packages = packages(&deny.graph.targets);
    assert!(packages.len() > 100, "cargo metadata told of {} packages only", packages.len());
    let findings = judge(&packages, &deny.licenses);
    assert!(findings.is_empty(), "broken rules:\n{}", findings.join("\n"));
}

/// [`judge`] over a made-up lock of one package, with MIT and Apache-2.0 allowed.
fn judge_made_up(tree: &Tree) -> Vec<String> {
    let exception = Exception { package: "other".to_owned(), allow: ["GPL-3.0".to_owned()].into() };
    let licenses = Licenses {
        allow: ["MIT", "Apache-2.0"].map(str::to_owned).into(),
        exceptions: vec![exception],
    };
    let package = |text: &str| Package {
        name: "made-up".to_owned(),
        version: "1.0.0".to_owned(),
        license: (!text.is_empty()).then(|| text.to_owned()),
    };
    let packages: Vec<_> = tree.files.iter().map(|file| package(&file.text)).collect();
    judge(&packages, &licenses)
}

#[test]
fn a_package_under_another_licence_is_found() {
    for expression in
        ["GPL-3.0", "MIT AND GPL-3.0", "Apache-2.0 WITH LLVM-exception", "(MIT OR", ""]
    {
        assert_caught(judge_made_up, &[("made-up", expression)], ALLOWED_LICENCES);
    }
    for expression in
        ["MIT", "GPL-3.0 OR MIT", "GPL-3.0/Apache-2.0", "(MIT OR GPL-3.0) AND Apache-2.0"]
    {
        super::assert_allowed(judge_made_up, &[("made-up", expression)]);
    }
}
