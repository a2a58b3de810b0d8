//! The transcriber double: a simulated person's voice note says in its own tags what was spoken.
//!
//! An Ogg Opus file has a comment header; the network's notes carry a `TRANSCRIPT` comment there
//! ([`COMMENT`]), which survives encryption, upload and a restart. Other audio is silence to the
//! double, and a transcriber answers silence with an empty text.

use std::sync::Arc;

use axum::extract::multipart::MultipartError;
use axum::extract::{Multipart, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Json, Response};
use serde_json::{Map, Value, json};

use super::script::Double;
use super::{play, refusal};
use crate::hub::Hub;

/// What begins the comment of an Ogg Opus file that holds its text.
pub(crate) const COMMENT: &str = "TRANSCRIPT=";
const COMMENT_HEADER: &[u8] = b"OpusTags";

/// `POST /model/v1/audio/transcriptions`.
pub(super) async fn transcribe(State(hub): State<Arc<Hub>>, form: Multipart) -> Response {
    let (fields, audio) = match read(form).await {
        Ok(parts) => parts,
        Err(error) => {
            return refusal(error.status(), "invalid_request_error", &error.body_text());
        }
    };
    let format = fields.get("response_format").and_then(Value::as_str).unwrap_or("json").to_owned();
    let language = fields.get("language").cloned().unwrap_or_else(|| json!("english"));
    let outcome = hub.doubles.ask(Double::Transcriptions, Value::Object(fields));
    if let Some(response) = play(&hub, &outcome, refusal).await {
        return response;
    }
    let Some(audio) = audio else {
        let message = "Missing required parameter: 'file'.";
        return refusal(StatusCode::BAD_REQUEST, "invalid_request_error", message);
    };
    let text = outcome.text.or_else(|| spoken(&audio)).unwrap_or_default();
    match format.as_str() {
        "text" => ([(CONTENT_TYPE, "text/plain")], format!("{text}\n")).into_response(),
        "verbose_json" => {
            let segments = json!([{ "id": 0, "start": 0.0, "end": 1.0, "text": text }]);
            let body = json!({
                "task": "transcribe", "language": language, "duration": 1.0, "text": text,
                "segments": segments,
            });
            Json(body).into_response()
        }
        _ => Json(json!({ "text": text })).into_response(),
    }
}

/// The fields as they are recorded, and the audio. Of the file the record holds name and size.
async fn read(
    mut form: Multipart,
) -> Result<(Map<String, Value>, Option<Vec<u8>>), MultipartError> {
    let mut fields = Map::new();
    let mut audio = None;
    while let Some(field) = form.next_field().await? {
        let name = field.name().unwrap_or_default().to_owned();
        if name == "file" {
            let file_name = field.file_name().map(ToOwned::to_owned);
            let mimetype = field.content_type().map(ToOwned::to_owned);
            let bytes = field.bytes().await?;
            let about = json!({ "name": file_name, "mimetype": mimetype, "bytes": bytes.len() });
            fields.insert(name, about);
            audio = Some(bytes.to_vec());
        } else {
            fields.insert(name, json!(field.text().await?));
        }
    }
    Ok((fields, audio))
}

/// What the comment header says was spoken.
pub(crate) fn spoken(audio: &[u8]) -> Option<String> {
    let start = audio.windows(COMMENT_HEADER.len()).position(|part| part == COMMENT_HEADER)?;
    let mut rest = &audio[start + COMMENT_HEADER.len()..];
    take(&mut rest)?;
    let count = rest.split_off(..4).and_then(|bytes| bytes.try_into().ok())?;
    (0..u32::from_le_bytes(count)).find_map(|_| {
        let comment = std::str::from_utf8(take(&mut rest)?).ok()?;
        comment.strip_prefix(COMMENT).map(ToOwned::to_owned)
    })
}

/// A string behind its little-endian length.
fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = rest.split_off(..4).and_then(|bytes| bytes.try_into().ok())?;
    let length = usize::try_from(u32::from_le_bytes(length)).ok()?;
    rest.split_off(..length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(comments: &[&str]) -> Vec<u8> {
        let count = u32::try_from(comments.len()).expect("few");
        let string = |text: &str| {
            let length = u32::try_from(text.len()).expect("short").to_le_bytes();
            [&length[..], text.as_bytes()].concat()
        };
        let mut bytes = b"OggS....OpusTags".to_vec();
        bytes.extend(string("vendor"));
        bytes.extend(count.to_le_bytes());
        bytes.extend(comments.iter().flat_map(|comment| string(comment)));
        bytes
    }

    #[test]
    fn the_text_is_found_in_the_comment_header() {
        let note = tags(&["ENCODER=x", "TRANSCRIPT=bom dia, é você?"]);
        assert_eq!(spoken(&note).as_deref(), Some("bom dia, é você?"));
    }

    #[test]
    fn other_audio_and_cut_off_headers_say_nothing() {
        let note = tags(&["TRANSCRIPT=hello"]);
        for end in 0..note.len() {
            assert_eq!(spoken(&note[..end]), None, "{end}");
        }
        assert_eq!(spoken(&tags(&["ENCODER=x"])), None);
    }
}
