//! Every route of Evolution API, one by one: it is served, or the table says why not and so does the answer.

use super::{create, get};
use crate::harness::{ADMIN_KEY, TestServer, answer};
use flowcore_server::{Access, Route};
use reqwest::{Method, StatusCode};

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
