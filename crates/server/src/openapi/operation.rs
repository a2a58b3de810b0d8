//! What one route takes and answers.

use super::problems::{self, Dialect};
use super::shape;
use crate::surface::{Access, Route};
use flowcore_domain::account::Scope;
use serde_json::{Map, Value, json};

/// The description of a route. Made by [`op`].
pub(crate) struct Operation {
    method: &'static str,
    path: &'static str,
    pub(super) tag: &'static str,
    summary: &'static str,
    query: Option<Value>,
    body: Option<Body>,
    repeatable: bool,
    answers: Vec<(u16, Answer)>,
    refusals: Vec<u16>,
}

struct Body {
    kind: &'static str,
    schema: Value,
    required: bool,
}

enum Answer {
    Nothing,
    Of(&'static str, Value),
}

/// An operation by its method and path (`GET /api/me`), in one sentence.
pub(crate) fn op(tag: &'static str, route: &'static str, summary: &'static str) -> Operation {
    let (method, path) = route.split_once(' ').expect("a method, a space and a path");
    Operation {
        method,
        path,
        tag,
        summary,
        query: None,
        body: None,
        repeatable: false,
        answers: Vec::new(),
        refusals: Vec::new(),
    }
}

impl Operation {
    /// What the query may have, as the shape of an object.
    pub(crate) fn query(mut self, text: &str) -> Self {
        self.query = Some(shape(text));
        self
    }

    /// The JSON body.
    pub(crate) fn body(self, text: &str) -> Self {
        self.takes("application/json", shape(text))
    }

    /// A body by its schema.
    pub(crate) fn takes(mut self, kind: &'static str, schema: Value) -> Self {
        self.body = Some(Body { kind, schema, required: true });
        self
    }

    /// The body may be left out.
    pub(crate) fn or_none(mut self) -> Self {
        self.body = self.body.map(|body| Body { required: false, ..body });
        self
    }

    /// `Idempotency-Key` is honoured.
    pub(crate) fn once(mut self) -> Self {
        self.repeatable = true;
        self.refusals.push(409);
        self
    }

    /// What is answered with JSON.
    pub(crate) fn answers(self, status: u16, text: &str) -> Self {
        self.answers_with(status, "application/json", shape(text))
    }

    /// What is answered, by its type and schema.
    pub(crate) fn answers_with(mut self, status: u16, kind: &'static str, schema: Value) -> Self {
        self.answers.push((status, Answer::Of(kind, schema)));
        self
    }

    /// What is answered without a body.
    pub(crate) fn answers_nothing(mut self, status: u16) -> Self {
        self.answers.push((status, Answer::Nothing));
        self
    }

    /// Refusals besides those that follow from what the route takes and who may call it.
    pub(crate) fn refuses(mut self, statuses: &[u16]) -> Self {
        self.refusals.extend(statuses);
        self
    }

    pub(super) fn is_of(&self, route: &Route) -> bool {
        self.method == route.method && self.path == route.path
    }

    pub(super) fn described(&self, route: &Route) -> Value {
        let dialect = super::dialect(route);
        let mut operation = json!({
            "operationId": self.name(),
            "tags": [self.tag],
            "summary": self.summary,
            "responses": self.responses(route, dialect),
        });
        if let Some(scope) = scope(route.access) {
            let only_bearer = matches!(route.access, Access::Bearer(_));
            let ways: &[Value] = &[json!({ "bearer": [] }), json!({ "apikey": [] })];
            let ways = match dialect {
                Dialect::Evolution => &ways[1..],
                _ if only_bearer => &ways[..1],
                _ => ways,
            };
            operation["security"] = json!(ways);
            operation["x-scope"] = scope.as_str().into();
        }
        let parameters = self.parameters();
        if !parameters.is_empty() {
            operation["parameters"] = parameters.into();
        }
        if let Some(body) = &self.body {
            let content = json!({ body.kind: { "schema": body.schema } });
            operation["requestBody"] = json!({ "required": body.required, "content": content });
        }
        operation
    }

    /// `GET /api/users/{id}` is `getApiUsersId`.
    fn name(&self) -> String {
        let words = self.path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty());
        let capital = |word: &str| word[..1].to_ascii_uppercase() + &word[1..];
        words.fold(self.method.to_ascii_lowercase(), |name, word| name + &capital(word))
    }

    fn parameters(&self) -> Vec<Value> {
        let mut all = Vec::new();
        for segment in self.path.split('/') {
            let Some(name) = segment.strip_prefix('{').and_then(|s| s.strip_suffix('}')) else {
                continue;
            };
            let schema = json!({ "type": "string", "minLength": 1 });
            all.push(json!({ "name": name, "in": "path", "required": true, "schema": schema }));
        }
        if let Some(query) = &self.query {
            let required = query["required"].as_array().cloned().unwrap_or_default();
            for (name, schema) in query["properties"].as_object().into_iter().flatten() {
                let must = required.contains(&Value::from(name.as_str()));
                all.push(
                    json!({ "name": name, "in": "query", "required": must, "schema": schema }),
                );
            }
        }
        if self.repeatable {
            let schema = json!({ "type": "string", "minLength": 1, "maxLength": 255 });
            all.push(json!({ "name": "Idempotency-Key", "in": "header", "schema": schema }));
        }
        all
    }

    fn responses(&self, route: &Route, dialect: Dialect) -> Map<String, Value> {
        let mut responses = Map::new();
        for (status, answer) in &self.answers {
            let response = responses.entry(status.to_string());
            let response =
                response.or_insert_with(|| json!({ "description": problems::phrase(*status) }));
            if let Answer::Of(kind, schema) = answer {
                response["content"][*kind] = json!({ "schema": schema });
            }
        }
        for status in self.refused(route, dialect) {
            let refusal = responses.entry(status.to_string());
            refusal.or_insert_with(|| problems::reference(dialect, status));
        }
        responses
    }

    /// What follows from who may call it, and from what it takes.
    pub(super) fn refused(&self, route: &Route, dialect: Dialect) -> Vec<u16> {
        let mut all = self.refusals.clone();
        if scope(route.access).is_some() {
            all.extend([401, 403, 429, 500, 503]);
        }
        let names = self.path.contains('{');
        match dialect {
            Dialect::Own => {
                all.extend(
                    self.body.is_some().then_some([400, 408, 413, 415, 422]).iter().flatten(),
                );
                all.extend(names.then_some(404));
                let checked =
                    self.path.contains("{name}") || self.query.is_some() || self.repeatable;
                all.extend(checked.then_some(422));
            }
            Dialect::Evolution => {
                all.push(400);
                all.extend(self.body.is_some().then_some([408, 413]).iter().flatten());
                all.extend(names.then_some(404));
            }
            Dialect::Functions => {}
        }
        all.sort_unstable();
        all.dedup();
        all
    }
}

fn scope(access: Access) -> Option<Scope> {
    match access {
        Access::Key(scope) | Access::Bearer(scope) | Access::Evolution(scope) => Some(scope),
        Access::Open | Access::Own | Access::Page(_) => None,
    }
}
