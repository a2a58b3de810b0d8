//! The chat double: it quotes the passage of its prompt that has most to do with the question.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::script::{Double, Outcome};
use super::{parse, play, play_stream, refusal, stream_events, tokens, words};
use crate::clock::unix_seconds;
use crate::hub::Hub;

/// Words shorter than this carry no topic.
const SHORTEST_TOPIC: usize = 4;

/// `POST /model/v1/chat/completions`, as one answer or as a stream.
pub(super) async fn complete(State(hub): State<Arc<Hub>>, body: Bytes) -> Response {
    let request = match parse(&body) {
        Ok(request) => request,
        Err(refused) => return *refused,
    };
    let outcome = hub.doubles.ask(Double::Chat, request.clone());
    let streaming = request["stream"] == json!(true);
    let early = if streaming {
        play_stream(&hub, &outcome, refusal).await
    } else {
        play(&hub, &outcome, refusal).await
    };
    if let Some(response) = early {
        return response;
    }
    let Some(messages) = request["messages"].as_array().filter(|list| !list.is_empty()) else {
        let message = "Missing required parameter: 'messages'.";
        return refusal(StatusCode::BAD_REQUEST, "invalid_request_error", message);
    };
    let planned = outcome.text.as_deref().map(|text| marked(text, messages));
    let text = planned.unwrap_or_else(|| answer(messages));
    let completion = Completion::new(&request, messages, text);
    if streaming {
        completion.stream(&request, &outcome)
    } else {
        Json(completion.whole()).into_response()
    }
}

/// What a message says: a string, or the text parts of a list.
pub(super) fn text_of(message: &Value) -> String {
    match &message["content"] {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

/// A planned text, in which `[[word]]` stands for the mark `[[word …]]` that the prompt asks for.
fn marked(text: &str, messages: &[Value]) -> String {
    let prompt = messages.iter().map(text_of).collect::<Vec<_>>().join("\n");
    let mut said = text.to_owned();
    for part in text.split("[[").skip(1) {
        let Some((word, _)) = part.split_once("]]") else { continue };
        let asked = prompt
            .split_once(&format!("[[{word} "))
            .and_then(|(_, rest)| Some(format!("[[{word} {}]]", rest.split_once("]]")?.0)));
        said = asked.map_or(said.clone(), |mark| said.replace(&format!("[[{word}]]"), &mark));
    }
    said
}

/// The answer the double gives by itself.
pub(super) fn answer(messages: &[Value]) -> String {
    let asked = messages.iter().rposition(|message| message["role"] == "user");
    let question = asked.map(|index| text_of(&messages[index])).unwrap_or_default();
    let given: Vec<String> = messages
        .iter()
        .enumerate()
        .filter(|(index, message)| Some(*index) != asked && message["role"] != "assistant")
        .flat_map(|(_, message)| material(&text_of(message)))
        .collect();
    match best_passage(&question, &given) {
        Some(passage) => format!("From the passages I was given: {passage}"),
        None => format!("The passages I was given say nothing about: {}", question.trim()),
    }
}

/// What of a message is to be answered from: what stands between marks like `<<<passage …>>>` and
/// `<<<end …>>>` where there are any, else all of it.
fn material(text: &str) -> Vec<String> {
    let fenced: Vec<String> = text
        .split("<<<passage")
        .skip(1)
        .filter_map(|part| Some(part.split_once(">>>")?.1.split("<<<end").next()?.to_owned()))
        .collect();
    if fenced.is_empty() { vec![text.to_owned()] } else { fenced }
}

/// The paragraph that shares most topic words with the question.
fn best_passage(question: &str, given: &[String]) -> Option<String> {
    let topics: HashSet<String> =
        words(question).filter(|word| word.chars().count() >= SHORTEST_TOPIC).collect();
    let shared = |paragraph: &str| {
        words(paragraph).filter(|word| topics.contains(word)).collect::<HashSet<_>>().len()
    };
    given
        .iter()
        .flat_map(|text| text.split("\n\n"))
        .map(|paragraph| (shared(paragraph), paragraph))
        .filter(|(score, _)| *score > 0)
        // Of equals the first, which is what retrieval ranked higher.
        .min_by_key(|(score, _)| Reverse(*score))
        .map(|(_, paragraph)| paragraph.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// One answer in the vendor's shapes.
struct Completion {
    id: String,
    model: Value,
    text: String,
    prompt_tokens: usize,
}

impl Completion {
    fn new(request: &Value, messages: &[Value], text: String) -> Self {
        let digest = Sha256::digest(request.to_string().as_bytes());
        let id = digest[..12].iter().fold("chatcmpl-".to_owned(), |id, b| format!("{id}{b:02x}"));
        let prompt_tokens = messages.iter().map(|message| tokens(&text_of(message))).sum();
        let model = request.get("model").cloned().unwrap_or_else(|| json!("chat-double"));
        Self { id, model, text, prompt_tokens }
    }

    fn usage(&self) -> Value {
        let completion = tokens(&self.text);
        json!({
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": completion,
            "total_tokens": self.prompt_tokens + completion,
        })
    }

    fn whole(&self) -> Value {
        json!({
            "id": self.id,
            "object": "chat.completion",
            "created": unix_seconds(),
            "model": self.model,
            "choices": [{
                "index": 0,
                "message": { "role": "assistant", "content": self.text, "refusal": null },
                "logprobs": null,
                "finish_reason": "stop",
            }],
            "usage": self.usage(),
        })
    }

    fn chunk(&self, choices: &Value, usage: Option<Value>) -> Bytes {
        let mut chunk = json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": unix_seconds(),
            "model": self.model,
            "choices": choices,
        });
        if let Some(usage) = usage {
            chunk["usage"] = usage;
        }
        Bytes::from(format!("data: {chunk}\n\n"))
    }

    /// Server-sent events: the role, the words one by one, the reason of the end, `[DONE]`.
    fn stream(&self, request: &Value, outcome: &Outcome) -> Response {
        let delta = |delta: Value, finish: Option<&str>| {
            let choice = json!([{ "index": 0, "delta": delta, "finish_reason": finish }]);
            self.chunk(&choice, None)
        };
        let mut events = vec![delta(json!({ "role": "assistant", "content": "" }), None)];
        let pieces = self.text.split_inclusive(' ');
        events.extend(pieces.map(|piece| delta(json!({ "content": piece }), None)));
        let mut end = vec![delta(json!({}), Some("stop"))];
        if request["stream_options"]["include_usage"] == json!(true) {
            end.push(self.chunk(&json!([]), Some(self.usage())));
        }
        end.push(Bytes::from_static(b"data: [DONE]\n\n"));
        stream_events(events, end, outcome)
    }
}
