//! Every route of Evolution API, one by one: it is served, or the table says why not and so does the answer.

use super::{create, get};
use crate::harness::{ADMIN_KEY, TestServer, answer};
use flowcore_server::{Access, Route};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;

const TABLE: &str = include_str!("routes.csv");

/// Served besides: other names that clients have for the same.
const BESIDES: [&str; 3] =
    ["PUT /instance/restart/{name}", "POST /chat/checkIsWhatsappNumber/{name}", "GET /manager"];

struct Row {
    method: &'static str,
    path: &'static str,
    reason: &'static str,
}

fn rows() -> Vec<Row> {
    let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
    let row = |line: &'static str| {
        let mut fields = line.splitn(3, ',');
        let mut next = || fields.next().expect("three fields");
        Row { method: next(), path: next(), reason: next() }
    };
    lines.map(row).collect()
}

fn serves(route: &Route, row: &Row) -> bool {
    route.method == row.method && route.path == row.path
}

#[tokio::test]
async fn each_is_served_or_says_why_not() {
    let server = TestServer::start().await;
    create(&server, "shop").await;
    let routes = server.server.routes().to_vec();
    let (mut answering, mut refused) = (0, 0);
    for row in rows() {
        let Row { method, path, reason } = row;
        if reason.is_empty() {
            assert!(
                routes.iter().any(|route| serves(route, &row)),
                "{method} {path}: nobody serves it"
            );
            answering += 1;
            continue;
        }
        let asked = path.replace("{name}", "shop").replace("{*rest}", "x");
        let asked = asked.replace(['{', '}'], "");
        let method: Method = method.parse().expect("a method");
        let request = server.plain(method.clone(), &asked).header("apikey", ADMIN_KEY);
        let (status, said) = answer(request).await;
        let gone = path.starts_with("/license/") || path.starts_with("/assets/");
        let expected = if gone { StatusCode::NOT_FOUND } else { StatusCode::BAD_REQUEST };
        assert_eq!(status, expected, "{method} {path} ({reason}): {said}");
        if !gone {
            let sentence = said["response"]["message"][0].as_str().unwrap_or_default();
            assert!(sentence.contains("is not served by this server"), "{method} {path}: {said}");
        }
        refused += 1;
    }
    assert_eq!((answering, refused, get(&server, "/").await.0), (78, 114, StatusCode::OK));
    server.stop().await;
}

#[tokio::test]
async fn nothing_is_served_that_the_table_does_not_know() {
    let server = TestServer::start().await;
    let known = rows();
    for route in server.server.routes() {
        let Access::Evolution(_) = route.access else { continue };
        let named = format!("{} {}", route.method, route.path);
        let in_table = route.method == "*"
            || known.iter().any(|row| serves(route, row))
            || BESIDES.contains(&named.as_str());
        assert!(in_table, "{named} is in no row");
    }
    server.stop().await;
}

/// Answered by another page, not by this dialect.
const WITHOUT_SNAPSHOT: [&str; 1] = ["/manager/{*rest}"];

/// By which names the snapshots show routes that did what they are for: their own, up to a dot, and those of
/// entries in them.
fn shown() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/evolution/snapshots");
    let mut names = BTreeSet::new();
    for file in std::fs::read_dir(folder).expect("snapshots") {
        let path = file.expect("a file").path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).expect("a name");
        let own = stem.rsplit("__").next().unwrap_or_default();
        names.extend(own.split('.').next().map(str::to_owned));
        let text = std::fs::read_to_string(&path).expect("a text");
        let content = text.splitn(3, "---\n").nth(2).unwrap_or_default();
        let entries: Value = serde_json::from_str(content).unwrap_or_default();
        for entry in entries.as_array().into_iter().flatten() {
            let done = entry["status"].as_u64().is_some_and(|status| status < 300);
            let route = entry["route"].as_str().and_then(|route| route.split(',').next());
            names.extend(route.filter(|_| done).map(str::to_owned));
        }
    }
    names
}

/// What a route may be called in a snapshot: what it does; where several do something of that name, its group
/// before that.
fn names_of(path: &str, doing: &HashMap<&str, usize>) -> Vec<String> {
    let mut parts = path.trim_matches('/').split('/');
    let group = parts.next().unwrap_or_default();
    match parts.next() {
        Some(action) if doing[action] == 1 => vec![action.to_owned(), format!("{group}_{action}")],
        Some(action) => vec![format!("{group}_{action}")],
        None if group.is_empty() => vec!["welcome".to_owned()],
        None => vec![group.to_owned()],
    }
}

#[test]
fn the_answer_of_each_that_is_served_is_a_snapshot() {
    let served: Vec<&str> =
        rows().iter().filter(|row| row.reason.is_empty()).map(|row| row.path).collect();
    let mut doing = HashMap::new();
    for action in served.iter().filter_map(|path| path.split('/').nth(2)) {
        *doing.entry(action).or_insert(0) += 1;
    }
    let shown = shown();
    let lacking = served.iter().filter(|path| {
        let mut names = names_of(path, &doing).into_iter();
        !WITHOUT_SNAPSHOT.contains(*path) && !names.any(|name| shown.contains(&name))
    });
    let lacking: Vec<_> = lacking.collect();
    assert!(lacking.is_empty(), "take one with `answered`: {lacking:#?}");
}
