//! What bodies must look like, and the sentences of the validator that Evolution uses when they don't.
//!
//! What is not named is let through, as there. A null stands for a field that is not given.

use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// One thing that is wrong with a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// Where: `contact[0].fullName`, or `instance` for the body itself.
    pub(super) path: String,
    pub(super) message: String,
}

/// What a value has to be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// A text with at most so many characters.
    Text(usize),
    /// A text with so many characters, from and to.
    Phrase(usize, usize),
    /// A whole number between these two.
    Whole(i64, i64),
    /// Any number.
    Number,
    /// `true` or `false`.
    Flag,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A list with so many entries, from and to.
    List(&'static Kind, usize, usize),
    /// A list whose entries differ.
    Set(&'static Kind, usize, usize),
    /// An object with these fields.
    Object(&'static [Field]),
    /// Text or whole number.
    TextOrWhole(usize),
    /// An object, whatever is in it.
    AnyObject,
}

/// A field of a body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    name: &'static str,
    kind: Kind,
    required: bool,
    /// Said instead of the validator's own sentence.
    says: Option<&'static str>,
}

/// A field that must be there.
pub(super) const fn required(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, required: true, says: None }
}

/// A field that may be there.
pub(super) const fn optional(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, required: false, says: None }
}

impl Field {
    /// What is said when its value does not fit.
    pub(super) const fn says(mut self, sentence: &'static str) -> Self {
        self.says = Some(sentence);
        self
    }
}

/// Most faults that are told of one body.
const MOST: usize = 20;

/// What is wrong with a body; nothing when it fits.
pub(super) fn faults(body: &Value, fields: &[Field]) -> Vec<Fault> {
    let mut found = Vec::new();
    object(body, fields, "", None, &mut found);
    found.truncate(MOST);
    found
}

fn object(
    value: &Value,
    fields: &[Field],
    path: &str,
    says: Option<&'static str>,
    found: &mut Vec<Fault>,
) {
    let Some(map) = value.as_object() else {
        return fault(path, "is not of a type(s) object", says, found);
    };
    for field in fields {
        let Some(value) = map.get(field.name).filter(|value| !value.is_null()) else { continue };
        let path =
            if path.is_empty() { field.name.to_owned() } else { format!("{path}.{}", field.name) };
        check(value, field.kind, &path, field.says, found);
    }
    for field in fields {
        if field.required && map.get(field.name).is_none_or(Value::is_null) {
            fault(path, &format!("requires property \"{}\"", field.name), None, found);
        }
    }
}

fn check(
    value: &Value,
    kind: Kind,
    path: &str,
    says: Option<&'static str>,
    found: &mut Vec<Fault>,
) {
    if found.len() >= MOST {
        return;
    }
    let wrong = match kind {
        Kind::Text(most) => text(value, most, "string"),
        Kind::Phrase(least, most) => {
            text(value, most, "string").or_else(|| too_short(value, least))
        }
        Kind::TextOrWhole(_) if value.is_i64() => None,
        Kind::TextOrWhole(most) => text(value, most, "string,integer"),
        Kind::Whole(least, most) => whole(value, least, most),
        Kind::Number => (!value.is_number()).then(|| "is not of a type(s) number".to_owned()),
        Kind::Flag => (!value.is_boolean()).then(|| "is not of a type(s) boolean".to_owned()),
        Kind::AnyObject => (!value.is_object()).then(|| "is not of a type(s) object".to_owned()),
        Kind::OneOf(words) => one_of(value, words),
        Kind::Object(fields) => return object(value, fields, path, says, found),
        Kind::List(of, least, most) | Kind::Set(of, least, most) => {
            let distinct = matches!(kind, Kind::Set(..));
            return list(value, (of, distinct), (least, most), (path, says), found);
        }
    };
    if let Some(wrong) = wrong {
        fault(path, &wrong, says, found);
    }
}

fn text(value: &Value, most: usize, types: &str) -> Option<String> {
    match value.as_str() {
        None => Some(format!("is not of a type(s) {types}")),
        Some(text) if text.chars().count() > most => {
            Some(format!("does not meet maximum length of {most}"))
        }
        Some(_) => None,
    }
}

fn too_short(value: &Value, least: usize) -> Option<String> {
    let short = value.as_str().is_some_and(|text| text.chars().count() < least);
    short.then(|| format!("does not meet minimum length of {least}"))
}

fn whole(value: &Value, least: i64, most: i64) -> Option<String> {
    // 3.0 is a whole number in JSON.
    #[expect(clippy::cast_possible_truncation, reason = "it is whole, and small enough")]
    let number = value.as_i64().or_else(|| {
        value.as_f64().filter(|n| n.fract() == 0.0 && n.abs() < 1e15).map(|n| n as i64)
    });
    match number {
        None => Some("is not of a type(s) integer".to_owned()),
        Some(n) if n < least => Some(format!("must be greater than or equal to {least}")),
        Some(n) if n > most => Some(format!("must be less than or equal to {most}")),
        Some(_) => None,
    }
}

fn one_of(value: &Value, words: &[&str]) -> Option<String> {
    let fits = value.as_str().is_some_and(|word| words.contains(&word));
    (!fits).then(|| format!("is not one of enum values: {}", words.join(",")))
}

fn list(
    value: &Value,
    (of, distinct): (&Kind, bool),
    (least, most): (usize, usize),
    (path, says): (&str, Option<&'static str>),
    found: &mut Vec<Fault>,
) {
    let Some(entries) = value.as_array() else {
        return fault(path, "is not of a type(s) array", says, found);
    };
    if entries.len() < least {
        fault(path, &format!("does not meet minimum length of {least}"), says, found);
    }
    if entries.len() > most {
        return fault(path, &format!("does not meet maximum length of {most}"), says, found);
    }
    if distinct && entries.iter().enumerate().any(|(at, one)| entries[..at].contains(one)) {
        fault(path, "contains duplicate item", says, found);
    }
    for (at, entry) in entries.iter().enumerate() {
        let mut place = path.to_owned();
        let _ = write!(place, "[{at}]");
        check(entry, *of, &place, says, found);
    }
}

fn fault(path: &str, wrong: &str, says: Option<&'static str>, found: &mut Vec<Fault>) {
    let path = if path.is_empty() { "instance" } else { path };
    let message = says.map_or_else(|| format!("{path} {wrong}"), str::to_owned);
    found.push(Fault { path: path.to_owned(), message });
}

/// A form has texts only: those that a field wants to be something else, and that can be read so, become it.
pub(super) fn meant(body: Value, fields: &[Field]) -> Value {
    let Value::Object(mut map) = body else { return body };
    for field in fields {
        if let Some(value) = map.remove(field.name) {
            map.insert(field.name.to_owned(), meant_as(value, field.kind));
        }
    }
    Value::Object(map)
}

fn meant_as(value: Value, kind: Kind) -> Value {
    match (kind, value) {
        (Kind::Flag, Value::String(text)) => match text.as_str() {
            "true" | "True" => Value::Bool(true),
            "false" | "False" => Value::Bool(false),
            _ => Value::String(text),
        },
        (Kind::Whole(..) | Kind::Number, Value::String(text)) => {
            text.trim().parse().map_or(Value::String(text), Value::Number)
        }
        (
            Kind::Object(_) | Kind::AnyObject | Kind::List(..) | Kind::Set(..),
            Value::String(text),
        ) => match serde_json::from_str(&text) {
            Ok(read @ (Value::Object(_) | Value::Array(_))) => read,
            _ => Value::String(text),
        },
        (Kind::Object(fields), value) => meant(value, fields),
        (Kind::List(of, ..) | Kind::Set(of, ..), Value::Array(entries)) => {
            entries.into_iter().map(|entry| meant_as(entry, *of)).collect()
        }
        (_, value) => value,
    }
}

/// The same as JSON Schema, for the reference. A field that is null is as one that is not there.
pub(super) fn described(fields: &[Field]) -> Value {
    let properties = fields.iter().map(|field| (field.name.to_owned(), of_kind(field.kind)));
    let properties: Map<String, Value> = properties.collect();
    let required: Vec<&str> =
        fields.iter().filter(|one| one.required).map(|one| one.name).collect();
    let mut schema = json!({ "type": "object", "properties": properties });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn of_kind(kind: Kind) -> Value {
    match kind {
        Kind::Text(most) => json!({ "type": "string", "maxLength": most }),
        Kind::Phrase(least, most) => {
            json!({ "type": "string", "minLength": least, "maxLength": most })
        }
        Kind::Whole(least, most) => {
            json!({ "type": "integer", "minimum": least, "maximum": most })
        }
        Kind::Number => json!({ "type": "number" }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::OneOf(words) => json!({ "type": "string", "enum": words }),
        Kind::TextOrWhole(most) => json!({ "type": ["string", "integer"], "maxLength": most }),
        Kind::AnyObject => json!({ "type": "object" }),
        Kind::Object(fields) => described(fields),
        Kind::List(of, least, most) | Kind::Set(of, least, most) => {
            let distinct = matches!(kind, Kind::Set(..));
            let items = of_kind(*of);
            json!({ "type": "array", "items": items, "minItems": least, "maxItems": most,
                    "uniqueItems": distinct })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERSON: [Field; 2] =
        [required("fullName", Kind::Text(10)), optional("age", Kind::Whole(0, 200))];
    const BODY: [Field; 5] = [
        required("number", Kind::Text(20)).says("Invalid format"),
        required("kind", Kind::OneOf(&["a", "b"])),
        optional("people", Kind::List(&Kind::Object(&PERSON), 1, 2)),
        optional("values", Kind::Set(&Kind::Text(5), 2, 3)),
        optional("on", Kind::Flag),
    ];

    fn said(body: &Value) -> Vec<String> {
        faults(body, &BODY).into_iter().map(|fault| fault.message).collect()
    }

    #[test]
    fn the_sentences_are_those_of_the_validator() {
        assert_eq!(
            said(&json!({})),
            ["instance requires property \"number\"", "instance requires property \"kind\""]
        );
        assert_eq!(
            said(&json!({ "number": 1, "kind": "c", "on": "yes", "people": [{ "age": 300 }] })),
            [
                "Invalid format",
                "kind is not one of enum values: a,b",
                "people[0].age must be less than or equal to 200",
                "people[0] requires property \"fullName\"",
                "on is not of a type(s) boolean",
            ]
        );
        assert_eq!(
            said(&json!({ "number": "1", "kind": "a", "values": ["x", "x"], "people": [] })),
            ["people does not meet minimum length of 1", "values contains duplicate item"]
        );
        assert_eq!(said(&json!([1])), ["instance is not of a type(s) object"]);
        let fits = json!({ "number": "1", "kind": "a", "on": null, "other": 7 });
        assert!(said(&fits).is_empty());
    }

    #[test]
    fn texts_of_a_form_are_what_the_fields_want_them_to_be() {
        let form = json!({
            "number": "55", "kind": "true", "on": "True", "values": "[\"1\"]", "x": "7",
            "people": [{ "fullName": "12", "age": "30" }, "{\"age\":\"old\"}"],
        });
        let read = json!({
            "number": "55", "kind": "true", "on": true, "values": ["1"], "x": "7",
            "people": [{ "fullName": "12", "age": 30 }, { "age": "old" }],
        });
        assert_eq!(meant(form, &BODY), read);
    }

    #[test]
    fn a_body_full_of_faults_is_told_of_some() {
        let people: Vec<Value> = (0..2).map(|_| json!({ "fullName": 1 })).collect();
        assert!(said(&json!({ "people": people })).len() <= MOST);
    }
}
