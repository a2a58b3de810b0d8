//! Bodies of version 1, which wrapped what today stands in the body itself.

use serde_json::{Map, Value};

/// What a wrapper was called; its fields come out.
const WRAPPERS: [&str; 11] = [
    "textMessage",
    "mediaMessage",
    "audioMessage",
    "stickerMessage",
    "locationMessage",
    "reactionMessage",
    "pollMessage",
    "listMessage",
    "buttonsMessage",
    "buttonMessage",
    "statusMessage",
];

/// The body in today's shape; one that has it already stays as it is.
pub(super) fn flattened(body: Value) -> Value {
    let Value::Object(mut fields) = body else { return body };
    for wrapper in WRAPPERS {
        if let Some(inner) = fields.remove(wrapper).and_then(object) {
            take_out(&mut fields, inner);
        }
    }
    if let Some(cards @ Value::Array(_)) = fields.remove("contactMessage") {
        fields.entry("contact").or_insert(cards);
    }
    if let Some(mut options) = fields.remove("options").and_then(object) {
        if let Some(Value::Object(mut mentions)) = options.remove("mentions") {
            if let Some(all) = mentions.remove("everyOne") {
                options.insert("mentionsEveryOne".to_owned(), all);
            }
            take_out(&mut options, mentions);
        }
        take_out(&mut fields, options);
    }
    // A sticker was an image there.
    if let Some(image) = fields.get("image").cloned() {
        fields.entry("sticker").or_insert(image);
    }
    Value::Object(fields)
}

/// An object; in a form it is one written as a text.
fn object(value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(inner) => Some(inner),
        Value::String(text) => serde_json::from_str(&text).ok(),
        _ => None,
    }
}

fn take_out(fields: &mut Map<String, Value>, inner: Map<String, Value>) {
    for (name, value) in inner {
        fields.entry(name).or_insert(value);
    }
}

#[cfg(test)]
mod tests {
    use super::flattened;
    use serde_json::json;

    #[test]
    fn what_was_wrapped_comes_out() {
        let old = json!({
            "number": "55",
            "options": { "delay": 5, "mentions": { "everyOne": true, "mentioned": ["1"] } },
            "textMessage": { "text": "hi" },
        });
        let new = json!({
            "number": "55", "delay": 5, "mentionsEveryOne": true, "mentioned": ["1"], "text": "hi",
        });
        assert_eq!(flattened(old), new);
        assert_eq!(flattened(new.clone()), new);
        let old =
            json!({ "stickerMessage": { "image": "x" }, "contactMessage": [{ "fullName": "A" }] });
        assert_eq!(
            flattened(old),
            json!({ "image": "x", "sticker": "x", "contact": [{ "fullName": "A" }] })
        );
        let form = json!({ "options": "{\"delay\":5}", "text": "hi" });
        assert_eq!(flattened(form), json!({ "delay": 5, "text": "hi" }));
        assert_eq!(flattened(json!([1])), json!([1]));
    }
}
