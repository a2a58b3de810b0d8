//! Bodies of forms without files, `application/x-www-form-urlencoded`: `a=1&b[c]=2&d[]=3` as PHP and jQuery
//! write it becomes an object, whose values are texts.

use serde_json::{Map, Value};
use url::form_urlencoded;

/// Most pairs of a form; more is nobody's form.
const MAX_PAIRS: usize = 1000;
/// Most names of one pair, the first and those in brackets.
const MAX_DEPTH: usize = 5;

/// The form as an object; `None` when it has too many pairs, or one too many brackets.
pub(super) fn object(bytes: &[u8]) -> Option<Value> {
    let mut fields = Map::new();
    for (count, (name, text)) in form_urlencoded::parse(bytes).enumerate() {
        let path = path(&name);
        if count >= MAX_PAIRS || path.len() > MAX_DEPTH {
            return None;
        }
        put(&mut fields, &path, text.into_owned());
    }
    Some(Value::Object(fields.into_iter().map(|(name, value)| (name, with_lists(value))).collect()))
}

/// `a[b][]` is a, b and the next of b. What has no such brackets is one name.
fn path(name: &str) -> Vec<&str> {
    let inner =
        name.split_once('[').and_then(|(first, rest)| Some((first, rest.strip_suffix(']')?)));
    match inner {
        Some((first, rest)) if !first.is_empty() => {
            std::iter::once(first).chain(rest.split("][")).collect()
        }
        _ => vec![name],
    }
}

/// Lists are objects by number until all is there.
fn put(fields: &mut Map<String, Value>, path: &[&str], text: String) {
    let Some((name, rest)) = path.split_first() else { return };
    let name = if name.is_empty() { fields.len().to_string() } else { (*name).to_owned() };
    let known = fields.remove(&name);
    let value = match (known, rest.is_empty()) {
        (None, true) => Value::String(text),
        (Some(Value::Object(mut inner)), true) => {
            put(&mut inner, &[""], text);
            Value::Object(inner)
        }
        (Some(first), true) => {
            let both = [("0".to_owned(), first), ("1".to_owned(), Value::String(text))];
            Value::Object(both.into_iter().collect())
        }
        (known, false) => {
            // `a=1&a[b]=2`: what has brackets counts.
            let mut inner = match known {
                Some(Value::Object(inner)) => inner,
                _ => Map::new(),
            };
            put(&mut inner, rest, text);
            Value::Object(inner)
        }
    };
    fields.insert(name, value);
}

fn with_lists(value: Value) -> Value {
    let Value::Object(fields) = value else { return value };
    let mut fields: Map<String, Value> =
        fields.into_iter().map(|(name, value)| (name, with_lists(value))).collect();
    if !(0..fields.len()).all(|at| fields.contains_key(&at.to_string())) {
        return Value::Object(fields);
    }
    (0..fields.len()).filter_map(|at| fields.remove(&at.to_string())).collect()
}

#[cfg(test)]
mod tests {
    use super::object;
    use serde_json::json;

    #[test]
    fn brackets_are_objects_and_lists() {
        let form =
            b"number=55+1&quoted[key][id]=A%26B&numbers[]=1&numbers[]=2&x=1&x=2&x=3&l[1]=b&l[0]=a";
        let read = json!({
            "number": "55 1", "quoted": { "key": { "id": "A&B" } }, "numbers": ["1", "2"],
            "x": ["1", "2", "3"], "l": ["a", "b"],
        });
        assert_eq!(object(form), Some(read));
        assert_eq!(object(b""), Some(json!({})));
        let odd = json!({ "[a]": "1", "b[": "2", "c": { "d": "4" }, "e": { "2": "5" } });
        assert_eq!(object(b"[a]=1&b[=2&c=3&c[d]=4&e[2]=5"), Some(odd));
    }

    #[test]
    fn a_form_that_is_none_is_not_read() {
        assert_eq!(object(b"a[b][c][d][e][f]=1"), None);
        assert_eq!(object("a=1&".repeat(1001).as_bytes()), None);
    }
}
