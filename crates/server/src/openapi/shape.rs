//! A short notation for the shapes of bodies, and what it is as JSON Schema (the dialect of OpenAPI 3.1).
//!
//! `{name: string(1..100), role?: "admin" | "member", tags: string[], at: time | null}`: fields, those that may
//! be left out with `?`; `string`, `integer`, `number`, `boolean`, `null`, `any`; `time` is RFC 3339, `id` a
//! UUID, `bytes` a file; bounds in parentheses; `{*: T}` is an object with any names; a word with a capital
//! names another schema.

use serde_json::{Map, Value, json};

/// The schema that a text in this notation stands for. Only texts of this program are read.
pub(crate) fn shape(text: &str) -> Value {
    let mut reader = Reader { rest: text };
    let value = reader.union();
    assert!(reader.peek().is_none(), "behind a shape there is: {}", reader.rest);
    value
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn peek(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start();
        self.rest.chars().next()
    }

    /// Whether this is next; then it is taken.
    fn takes(&mut self, sign: &str) -> bool {
        self.peek();
        let Some(rest) = self.rest.strip_prefix(sign) else { return false };
        self.rest = rest;
        true
    }

    fn wants(&mut self, sign: &str) {
        assert!(self.takes(sign), "a shape lacks {sign:?} before: {}", self.rest);
    }

    fn until(&mut self, ends: impl Fn(char) -> bool) -> &'a str {
        let at = self.rest.find(ends).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(at);
        self.rest = rest;
        taken
    }

    fn union(&mut self) -> Value {
        let mut all = vec![self.list()];
        while self.takes("|") {
            all.push(self.list());
        }
        match all.len() {
            1 => all.swap_remove(0),
            _ => joined(&all),
        }
    }

    fn list(&mut self) -> Value {
        let mut one = self.one();
        while self.takes("[]") {
            one = json!({ "type": "array", "items": one });
        }
        one
    }

    fn one(&mut self) -> Value {
        if self.takes("(") {
            let inner = self.union();
            self.wants(")");
            return inner;
        }
        if self.takes("{") {
            return self.object();
        }
        if self.takes("\"") {
            let word = self.until(|c| c == '"').to_owned();
            self.wants("\"");
            return json!({ "enum": [word] });
        }
        self.peek();
        let word = self.until(|c| !c.is_ascii_alphanumeric());
        let bounds = if self.takes("(") { Some(self.bounds()) } else { None };
        named(word, bounds)
    }

    fn bounds(&mut self) -> (i64, i64) {
        let least = self.number();
        self.wants("..");
        let most = self.number();
        self.wants(")");
        (least, most)
    }

    fn number(&mut self) -> i64 {
        let digits = self.until(|c| !c.is_ascii_digit());
        digits.parse().expect("a bound of a shape is a number")
    }

    fn object(&mut self) -> Value {
        let (mut fields, mut required) = (Map::new(), Vec::new());
        while !self.takes("}") {
            self.peek();
            if self.takes("*") {
                self.wants(":");
                let of = self.union();
                self.wants("}");
                return json!({ "type": "object", "additionalProperties": of });
            }
            let name = self.until(|c| c == ':' || c == '?' || c.is_whitespace()).to_owned();
            if !self.takes("?") {
                required.push(Value::from(name.clone()));
            }
            self.wants(":");
            fields.insert(name, self.union());
            if !self.takes(",") {
                self.wants("}");
                break;
            }
        }
        let mut schema = json!({ "type": "object", "properties": fields });
        if !required.is_empty() {
            schema["required"] = required.into();
        }
        schema
    }
}

fn named(word: &str, bounds: Option<(i64, i64)>) -> Value {
    let mut schema = match word {
        "string" | "integer" | "number" | "boolean" | "null" => json!({ "type": word }),
        "any" => json!({}),
        "time" => json!({ "type": "string", "format": "date-time" }),
        "id" => json!({ "type": "string", "format": "uuid" }),
        "bytes" => json!({ "type": "string", "contentMediaType": "application/octet-stream" }),
        name => {
            assert!(
                name.starts_with(|c: char| c.is_ascii_uppercase()),
                "no shape is called {name:?}"
            );
            json!({ "$ref": format!("#/components/schemas/{name}") })
        }
    };
    if let Some((least, most)) = bounds {
        let names =
            if word == "string" { ["minLength", "maxLength"] } else { ["minimum", "maximum"] };
        schema[names[0]] = least.into();
        schema[names[1]] = most.into();
    }
    schema
}

/// Words become one list of words, `T | null` a type that may be null; the rest is any of them.
fn joined(all: &[Value]) -> Value {
    if all.iter().all(|one| one.get("enum").is_some()) {
        let words = all.iter().filter_map(|one| one["enum"].get(0).cloned());
        return json!({ "type": "string", "enum": words.collect::<Vec<_>>() });
    }
    if let [one, null] = all
        && null["type"] == "null"
        && one["type"].is_string()
    {
        let mut either = one.clone();
        either["type"] = json!([one["type"], "null"]);
        return either;
    }
    json!({ "anyOf": all })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_notation_is_json_schema() {
        assert_eq!(
            shape("{name: string(1..100), at?: time | null, tags: Word[], kind: \"a\" | \"b\"}"),
            json!({
                "type": "object",
                "properties": {
                    "name": { "type": "string", "minLength": 1, "maxLength": 100 },
                    "at": { "type": ["string", "null"], "format": "date-time" },
                    "tags": { "type": "array", "items": { "$ref": "#/components/schemas/Word" } },
                    "kind": { "type": "string", "enum": ["a", "b"] },
                },
                "required": ["name", "tags", "kind"],
            })
        );
        assert_eq!(
            shape("Word | null"),
            json!({ "anyOf": [{ "$ref": "#/components/schemas/Word" }, { "type": "null" }] })
        );
        assert_eq!(
            shape("{*: integer(0..60)}"),
            json!({ "type": "object",
                    "additionalProperties": { "type": "integer", "minimum": 0, "maximum": 60 } })
        );
    }

    #[test]
    #[should_panic(expected = "no shape is called \"text\"")]
    fn a_word_of_no_meaning_is_found_out() {
        shape("{name: text}");
    }
}
