//! What a route answers, as the snapshot of its name. `routes.rs` fails when a route has none.

use super::settled;
use reqwest::StatusCode;
use serde_json::{Value, json};

/// What is drawn for each file, or up to who encodes it.
const OF_FILES: [&str; 10] = [
    "url",
    "directPath",
    "mediaKey",
    "mediaKeyTimestamp",
    "fileSha256",
    "fileEncSha256",
    "fileLength",
    "jpegThumbnail",
    "streamingSidecar",
    "waveform",
];
/// How long an id of a message is.
const ID: usize = 22;

/// Takes the snapshot `name` of an answer; the answer, for what comes next.
pub(crate) fn answered(name: &str, (status, answer): (StatusCode, Value)) -> Value {
    let mut shown = json!({ "status": status.as_u16(), "answer": settled(answer.clone()) });
    hide(&mut shown);
    insta::assert_json_snapshot!(name, shown);
    answer
}

fn hide(value: &mut Value) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(hide),
        Value::Object(fields) => {
            let of_file = fields.contains_key("directPath");
            for (name, one) in fields {
                let drawn = of_file && OF_FILES.contains(&name.as_str());
                if !one.is_null() && (drawn || name == "fileLength") {
                    *one = json!("[of the file]");
                }
                hide(one);
            }
        }
        // Files without a name are called by their message's id.
        Value::String(text) if text.starts_with("3EB0") && text.len() > ID => {
            text.replace_range(..ID, "[id]");
        }
        Value::String(text) if text.len() > 400 => *value = json!("[long]"),
        _ => {}
    }
}
