//! `docs/simulated-network.md` names a test for each behaviour: each name is a test, each test is
//! named.

use std::collections::BTreeSet;
use std::path::Path;

/// The tests of one file, as `file::test`.
fn tests_of(file: &str, source: &str) -> Vec<String> {
    let mut tests = Vec::new();
    let mut is_test = false;
    for line in source.lines() {
        is_test |= line.starts_with("#[tokio::test") || line == "#[test]";
        let name = line.split_once("fn ").and_then(|(_, rest)| rest.split_once('('));
        if let Some((name, _)) = name.filter(|_| is_test) {
            tests.push(format!("{file}::{name}"));
            is_test = false;
        }
    }
    tests
}

fn all_tests(folder: &Path) -> BTreeSet<String> {
    let files = std::fs::read_dir(folder).expect("the folder of the tests");
    let files = files.map(|file| file.expect("a file").path());
    let tests =
        files.filter(|path| path.extension().is_some_and(|end| end == "rs")).flat_map(|path| {
            let name = path.file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned();
            tests_of(&name, &std::fs::read_to_string(&path).expect("text"))
        });
    // This file is about the table, which is not about it.
    tests.filter(|test| !test.starts_with("table::")).collect()
}

#[test]
fn every_behaviour_has_a_test_and_every_test_a_behaviour() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = std::fs::read_to_string(home.join("../../docs/simulated-network.md"));
    let table = table.expect("the table");
    let rows = table.lines().filter(|line| line.starts_with("| ")).skip(1);
    let mut named = BTreeSet::new();
    for row in rows {
        let [behaviour, tests] = row.trim_matches('|').splitn(2, " | ").collect::<Vec<_>>()[..]
        else {
            panic!("a row has two columns: {row}");
        };
        let is_heading = behaviour.trim().starts_with("**");
        let before = named.len();
        named.extend(tests.split('`').skip(1).step_by(2).map(str::to_owned));
        assert!(is_heading || named.len() > before || tests.contains('`'), "no test: {row}");
    }
    let real = all_tests(&home.join("tests/it"));
    assert!(real.len() > 100, "the tests are found");
    let made_up: Vec<_> = named.difference(&real).collect();
    let unnamed: Vec<_> = real.difference(&named).collect();
    assert!(
        made_up.is_empty() && unnamed.is_empty(),
        "no tests: {made_up:#?}\nin no row: {unnamed:#?}"
    );
}
