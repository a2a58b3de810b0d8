//! What models are asked in and answer in: three wires, and everybody speaks one of them.
//!
//! The library that knows them all would reorder every JSON object of this process (it switches on a feature
//! of `serde_json`), log what providers say, and read bodies without an end; hence these few fields by hand.

use super::model::{Ask, ModelError, Picture};
use super::target::Target;
use flowcore_domain::assistant::prompt::{Speaker, Turn};
use flowcore_domain::assistant::provider::Wire;
use serde_json::{Value, json};

/// The version of Anthropic's wire.
const ANTHROPIC_VERSION: &str = "2023-06-01";

/// Something of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Some words.
    Words(String),
    /// How much was read so far, where it is told.
    Read(u32),
    /// How much was written so far, where it is told.
    Written(u32),
    /// It is whole.
    End,
}

/// A question as a request.
pub(super) struct Request {
    pub(super) url: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Value,
}

/// Puts a question on its wire.
pub(super) fn request(target: &Target, ask: &Ask) -> Request {
    let key = target.key.as_ref().map(|key| key.reveal().to_owned());
    let base = &target.base_url;
    match target.wire {
        Wire::OpenAi => Request {
            url: format!("{base}chat/completions"),
            headers: key
                .map(|key| ("authorization", format!("Bearer {key}")))
                .into_iter()
                .collect(),
            body: openai(target, ask),
        },
        Wire::Anthropic => {
            let version = ("anthropic-version", ANTHROPIC_VERSION.to_owned());
            let key = key.map(|key| ("x-api-key", key));
            Request {
                url: format!("{base}messages"),
                headers: key.into_iter().chain([version]).collect(),
                body: anthropic(target, ask),
            }
        }
        Wire::Gemini => Request {
            url: format!("{base}models/{}:streamGenerateContent?alt=sse", target.model),
            headers: key.map(|key| ("x-goog-api-key", key)).into_iter().collect(),
            body: gemini(ask),
        },
    }
}

/// The turns, each with the picture where it has one.
fn turns(ask: &Ask) -> impl Iterator<Item = (&Turn, String, Option<&Picture>)> {
    let last = ask.prompt.turns.len().saturating_sub(1);
    ask.prompt.turns.iter().enumerate().map(move |(at, turn)| {
        let text = match turn.speaker {
            Speaker::Person => format!("(a colleague of yours wrote) {}", turn.text),
            Speaker::Customer | Speaker::Assistant => turn.text.clone(),
        };
        let seen = at == last && turn.speaker == Speaker::Customer;
        (turn, text, ask.picture.as_ref().filter(|_| seen))
    })
}

fn role(turn: &Turn, of_model: &'static str) -> &'static str {
    if turn.speaker == Speaker::Customer { "user" } else { of_model }
}

fn openai(target: &Target, ask: &Ask) -> Value {
    let mut messages = vec![json!({ "role": "system", "content": ask.prompt.system })];
    messages.extend(turns(ask).map(|(turn, text, picture)| {
        let content = match picture {
            Some(Picture { mimetype, base64 }) => json!([
                { "type": "text", "text": text },
                { "type": "image_url",
                  "image_url": { "url": format!("data:{mimetype};base64,{base64}") } },
            ]),
            None => text.into(),
        };
        json!({ "role": role(turn, "assistant"), "content": content })
    }));
    let mut body = json!({ "model": target.model, "messages": messages, "stream": true });
    if target.reasons {
        // These refuse a temperature, and count their thoughts.
        body["max_completion_tokens"] = ask.max_tokens.into();
    } else {
        body["max_tokens"] = ask.max_tokens.into();
        body["temperature"] = ask.temperature.into();
    }
    if target.asks_usage {
        body["stream_options"] = json!({ "include_usage": true });
    }
    body
}

fn anthropic(target: &Target, ask: &Ask) -> Value {
    let messages: Vec<Value> = turns(ask)
        .map(|(turn, text, picture)| {
            let content = match picture {
                Some(Picture { mimetype, base64 }) => json!([
                    { "type": "image",
                      "source": { "type": "base64", "media_type": mimetype, "data": base64 } },
                    { "type": "text", "text": text },
                ]),
                None => text.into(),
            };
            json!({ "role": role(turn, "assistant"), "content": content })
        })
        .collect();
    json!({
        "model": target.model,
        "system": ask.prompt.system,
        "messages": messages,
        "max_tokens": ask.max_tokens,
        "temperature": ask.temperature.min(1.0),
        "stream": true,
    })
}

fn gemini(ask: &Ask) -> Value {
    let contents: Vec<Value> = turns(ask)
        .map(|(turn, text, picture)| {
            let mut parts = vec![json!({ "text": text })];
            parts.extend(picture.map(|Picture { mimetype, base64 }| {
                json!({ "inlineData": { "mimeType": mimetype, "data": base64 } })
            }));
            json!({ "role": role(turn, "model"), "parts": parts })
        })
        .collect();
    json!({
        "systemInstruction": { "parts": [{ "text": ask.prompt.system }] },
        "contents": contents,
        "generationConfig": { "temperature": ask.temperature, "maxOutputTokens": ask.max_tokens },
    })
}

/// What an event of the stream says.
pub(super) fn read(wire: Wire, data: &str) -> Result<Vec<Piece>, ModelError> {
    if wire == Wire::OpenAi && data == "[DONE]" {
        return Ok(vec![Piece::End]);
    }
    let event: Value = serde_json::from_str(data).map_err(|_| ModelError::Broken)?;
    if event["error"].is_object() || event["type"] == "error" {
        // An error in the middle of a stream is the provider's own trouble.
        return Err(ModelError::Down);
    }
    Ok(match wire {
        Wire::OpenAi => from_openai(&event),
        Wire::Anthropic => from_anthropic(&event),
        Wire::Gemini => from_gemini(&event),
    })
}

fn count(number: &Value) -> Option<u32> {
    number.as_u64().and_then(|number| u32::try_from(number).ok()).filter(|number| *number > 0)
}

fn from_openai(event: &Value) -> Vec<Piece> {
    let choice = &event["choices"][0];
    let mut pieces = vec![];
    match &choice["delta"]["content"] {
        Value::String(words) => pieces.push(Piece::Words(words.clone())),
        // Models that think aloud send a list of kinds.
        Value::Array(parts) => pieces.extend(
            parts.iter().filter_map(|part| Some(Piece::Words(part["text"].as_str()?.to_owned()))),
        ),
        _ => {}
    }
    pieces.extend(count(&event["usage"]["prompt_tokens"]).map(Piece::Read));
    pieces.extend(count(&event["usage"]["completion_tokens"]).map(Piece::Written));
    if choice["finish_reason"].is_string() {
        pieces.push(Piece::End);
    }
    pieces
}

fn from_anthropic(event: &Value) -> Vec<Piece> {
    let mut pieces = vec![];
    match event["type"].as_str() {
        Some("message_start") => {
            pieces.extend(count(&event["message"]["usage"]["input_tokens"]).map(Piece::Read));
        }
        Some("content_block_delta") => {
            let words = event["delta"]["text"].as_str();
            pieces.extend(words.map(|words| Piece::Words(words.to_owned())));
        }
        Some("message_delta") => {
            pieces.extend(count(&event["usage"]["output_tokens"]).map(Piece::Written));
        }
        Some("message_stop") => pieces.push(Piece::End),
        _ => {}
    }
    pieces
}

fn from_gemini(event: &Value) -> Vec<Piece> {
    let candidate = &event["candidates"][0];
    let parts = candidate["content"]["parts"].as_array().into_iter().flatten();
    let spoken = parts.filter(|part| part["thought"] != true);
    let mut pieces: Vec<Piece> =
        spoken.filter_map(|part| Some(Piece::Words(part["text"].as_str()?.to_owned()))).collect();
    pieces.extend(count(&event["usageMetadata"]["promptTokenCount"]).map(Piece::Read));
    pieces.extend(count(&event["usageMetadata"]["candidatesTokenCount"]).map(Piece::Written));
    if candidate["finishReason"].is_string() {
        pieces.push(Piece::End);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(wire: Wire, events: &[Value]) -> Vec<Piece> {
        let read = |event: &Value| read(wire, &event.to_string()).expect("readable");
        events.iter().flat_map(read).collect()
    }

    fn words(text: &str) -> Piece {
        Piece::Words(text.to_owned())
    }

    #[test]
    fn the_three_wires_say_the_same() {
        let openai = [
            json!({ "choices": [{ "delta": { "role": "assistant", "content": "Hi" } }] }),
            json!({ "choices": [{ "delta": {}, "finish_reason": "stop" }] }),
            json!({ "choices": [], "usage": { "prompt_tokens": 7, "completion_tokens": 2 } }),
        ];
        let told = all(Wire::OpenAi, &openai);
        assert_eq!(told, [words("Hi"), Piece::End, Piece::Read(7), Piece::Written(2)]);
        let anthropic = [
            json!({ "type": "message_start", "message": { "usage": { "input_tokens": 7 } } }),
            json!({ "type": "content_block_start", "content_block": { "type": "text", "text": "" } }),
            json!({ "type": "content_block_delta", "delta": { "type": "text_delta", "text": "Hi" } }),
            json!({ "type": "content_block_delta", "delta": { "type": "thinking_delta", "thinking": "x" } }),
            json!({ "type": "message_delta", "delta": {}, "usage": { "output_tokens": 2 } }),
            json!({ "type": "message_stop" }),
        ];
        let told = all(Wire::Anthropic, &anthropic);
        assert_eq!(told, [Piece::Read(7), words("Hi"), Piece::Written(2), Piece::End]);
        let gemini = [json!({
            "candidates": [{ "content": { "parts": [{ "text": "hm", "thought": true }, { "text": "Hi" }] },
                             "finishReason": "STOP" }],
            "usageMetadata": { "promptTokenCount": 7, "candidatesTokenCount": 2 },
        })];
        let told = all(Wire::Gemini, &gemini);
        assert_eq!(told, [words("Hi"), Piece::Read(7), Piece::Written(2), Piece::End]);
    }

    #[test]
    fn trouble_in_the_stream_is_no_answer() {
        assert_eq!(read(Wire::OpenAi, "{\"choices\":[{"), Err(ModelError::Broken));
        let overloaded = json!({ "type": "error", "error": { "type": "overloaded_error" } });
        assert_eq!(read(Wire::Anthropic, &overloaded.to_string()), Err(ModelError::Down));
        assert_eq!(read(Wire::OpenAi, "[DONE]"), Ok(vec![Piece::End]));
    }
}
