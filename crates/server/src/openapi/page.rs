//! `GET /openapi.json`, and `GET /docs`: the same for people, to read and to try with a key. The page needs
//! nothing from elsewhere, and its policy lets nothing from elsewhere in.

use crate::problem::Problem;
use crate::router;
use askama::Template;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::sync::LazyLock;

/// It depends on nothing but the program.
static DOCUMENT: LazyLock<Value> = LazyLock::new(|| super::document(&router::list()));
static TEXT: LazyLock<String> = LazyLock::new(|| {
    let text = serde_json::to_string_pretty(&*DOCUMENT);
    text.expect("a value of JSON can be written") + "\n"
});

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The document as text, for who has no server to ask.
pub fn text() -> &'static str {
    &TEXT
}

/// `GET /openapi.json`
pub(crate) async fn document(headers: HeaderMap) -> Response {
    static TAG: LazyLock<String> = LazyLock::new(|| {
        let hash = Sha256::digest(TEXT.as_bytes());
        let hex = hash[..8].iter().map(|byte| format!("{byte:02x}"));
        format!("\"{}\"", hex.collect::<String>())
    });
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|tag| tag == TAG.as_str());
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, "application/json")], text()).into_response()
    };
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::from_str(&TAG) {
        headers.insert(header::ETAG, tag);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

#[derive(Template)]
#[template(path = "docs.html")]
struct Page {
    version: &'static str,
    groups: Vec<Group>,
}

struct Group {
    name: String,
    operations: Vec<Shown>,
}

struct Shown {
    id: String,
    method: String,
    path: String,
    summary: String,
    scope: String,
    parameters: Vec<Parameter>,
    body: Option<String>,
    answers: Vec<(String, String)>,
}

struct Parameter {
    name: String,
    place: String,
    required: bool,
}

/// `GET /docs`
pub(crate) async fn page() -> Response {
    static HTML: LazyLock<Option<String>> = LazyLock::new(|| {
        let page = Page { version: env!("CARGO_PKG_VERSION"), groups: groups(&DOCUMENT) };
        page.render().ok()
    });
    let Some(html) = HTML.as_deref() else { return Problem::internal().into_response() };
    let mut response = Html(html).into_response();
    let policy = HeaderValue::from_static(POLICY);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

fn groups(document: &Value) -> Vec<Group> {
    let tags = document["tags"].as_array().into_iter().flatten();
    let group = |tag: &Value| {
        let name = text_of(&tag["name"]);
        let paths = document["paths"].as_object().into_iter().flatten();
        let operations = paths.flat_map(|(path, methods)| {
            let methods = methods.as_object().into_iter().flatten();
            methods.map(move |(method, operation)| (path, method, operation))
        });
        let own = operations.filter(|(_, _, operation)| operation["tags"][0] == tag["name"]);
        let own = own.map(|(path, method, operation)| shown(document, (path, method), operation));
        Group { name, operations: own.collect() }
    };
    tags.map(group).collect()
}

fn shown(document: &Value, (path, method): (&str, &str), operation: &Value) -> Shown {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let body = &operation["requestBody"]["content"]["application/json"]["schema"];
    let answers = operation["responses"].as_object().into_iter().flatten();
    Shown {
        id: text_of(&operation["operationId"]),
        method: method.to_ascii_uppercase(),
        path: path.to_owned(),
        summary: text_of(&operation["summary"]),
        scope: text_of(&operation["x-scope"]),
        parameters: parameters
            .map(|one| Parameter {
                name: text_of(&one["name"]),
                place: text_of(&one["in"]),
                required: one["required"] == true,
            })
            .collect(),
        body: (!body.is_null()).then(|| pretty(&example(document, body, 0))),
        answers: answers
            .map(|(status, answer)| {
                let schema = &answer["content"]["application/json"]["schema"];
                let text = match schema {
                    Value::Null => String::new(),
                    schema => pretty(&example(document, schema, 0)),
                };
                (status.clone(), text)
            })
            .collect(),
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// A value of this shape, to begin from. What is empty in it is to be filled in.
fn example(document: &Value, schema: &Value, depth: u8) -> Value {
    if depth > 6 {
        return Value::Null;
    }
    let inner = |schema| example(document, schema, depth + 1);
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return inner(&document["components"]["schemas"][name]);
    }
    if let Some(first) = schema["enum"].get(0).or(schema.get("const")) {
        return first.clone();
    }
    if let Some(first) = schema["anyOf"].get(0) {
        return inner(first);
    }
    let kind = schema["type"].as_str().or(schema["type"][0].as_str());
    match kind {
        Some("object") => {
            let fields = schema["properties"].as_object().into_iter().flatten();
            Value::Object(fields.map(|(name, schema)| (name.clone(), inner(schema))).collect())
        }
        Some("array") => Value::Array(vec![inner(&schema["items"])]),
        Some("string") => match schema["format"].as_str() {
            Some("date-time") => "2026-01-05T09:00:00.000Z".into(),
            Some("uuid") => "0192d3a0-0000-7000-8000-000000000000".into(),
            _ => "".into(),
        },
        Some("integer" | "number") => schema["minimum"].as_i64().unwrap_or(0).into(),
        Some("boolean") => true.into(),
        _ => Value::Null,
    }
}
