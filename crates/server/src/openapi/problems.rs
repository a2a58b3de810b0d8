//! How refusals look in each dialect, by their status.

use serde_json::{Value, json};

/// Whose words a refusal is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Ours: RFC 9457.
    Own,
    /// Evolution's.
    Evolution,
    /// Those of the functions that the first frontend calls.
    Functions,
}

pub(super) const SCHEMAS: &[(&str, &str)] = &[
    (
        "Problem",
        "{type: string, title: string, status: integer, detail: string, code: string, \
          errors: {field: string, message: string}[], instance?: string, requestId?: string}",
    ),
    (
        "EvolutionRefusal",
        "{status?: integer, error: string, response?: {message: any}, message?: any}",
    ),
    ("FunctionRefusal", "{success: boolean, error: string}"),
];

impl Dialect {
    /// The name of its schema, the beginning of the names of its responses, and its media type.
    fn names(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Own => ("Problem", "Problem", "application/problem+json"),
            Self::Evolution => ("EvolutionRefusal", "Evolution", "application/json"),
            Self::Functions => ("FunctionRefusal", "Function", "application/json"),
        }
    }
}

/// What a status means, in the words of HTTP.
pub(super) fn phrase(status: u16) -> &'static str {
    let status = axum::http::StatusCode::from_u16(status).ok();
    status.and_then(|status| status.canonical_reason()).unwrap_or("Answer")
}

pub(super) fn reference(dialect: Dialect, status: u16) -> Value {
    let (_, name, _) = dialect.names();
    json!({ "$ref": format!("#/components/responses/{name}{status}") })
}

/// A refusal that is referred to.
pub(super) fn response(dialect: Dialect, status: u16) -> (String, Value) {
    let (schema, name, kind) = dialect.names();
    let schema = json!({ "$ref": format!("#/components/schemas/{schema}") });
    let mut response =
        json!({ "description": phrase(status), "content": { kind: { "schema": schema } } });
    if matches!(status, 429 | 503) && dialect == Dialect::Own {
        let seconds = json!({ "schema": { "type": "integer" } });
        response["headers"] = json!({ "Retry-After": seconds });
    }
    (format!("{name}{status}"), response)
}
