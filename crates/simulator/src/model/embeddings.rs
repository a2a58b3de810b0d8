//! The embedder double: words and their beginnings hashed into a vector, so that texts about the
//! same things are near each other without a model; of a few things it knows what they are called in
//! four languages. Each model has a space of its own, as real ones have. It speaks `OpenAI`'s wire and
//! Ollama's.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::script::Double;
use super::{parse, play, refusal, tokens, words};
use crate::hub::Hub;

const DIMENSIONS: usize = 384;
const MOST_DIMENSIONS: usize = 4096;
/// The beginning of a word stands for its inflections.
const STEM: usize = 5;
/// A whole word says more than its beginning.
const WORD_WEIGHT: f32 = 1.0;
const STEM_WEIGHT: f32 = 0.6;
const MEANING_WEIGHT: f32 = 2.0;

/// What the same things are called.
const MEANINGS: [&[&str]; 6] = [
    &["refund", "reimbursement", "reembolso", "devolucion", "rückerstattung", "erstattung"],
    &["delivery", "shipping", "entrega", "envio", "envío", "lieferung", "versand"],
    &["open", "aberto", "abre", "abierto", "geöffnet", "offen"],
    &["sunday", "sundays", "domingo", "domingos", "sonntag", "sonntags"],
    &["bread", "loaf", "loaves", "pão", "pan", "brot", "brote"],
    &["dog", "dogs", "puppy", "cachorro", "perro", "perros", "hund", "hunde"],
];

/// `POST /model/v1/embeddings`.
pub(super) async fn embed(State(hub): State<Arc<Hub>>, body: Bytes) -> Response {
    let request = match parse(&body) {
        Ok(request) => request,
        Err(refused) => return *refused,
    };
    let (vectors, used) = match vectors(&hub, &request).await {
        Ok(vectors) => vectors,
        Err(refused) => return *refused,
    };
    let packed = request["encoding_format"] == "base64";
    let data: Vec<Value> = vectors
        .iter()
        .enumerate()
        .map(|(index, vector)| {
            let embedding = if packed { pack(vector) } else { json!(vector) };
            json!({ "object": "embedding", "index": index, "embedding": embedding })
        })
        .collect();
    let model = request.get("model").cloned().unwrap_or_else(|| json!("embeddings-double"));
    let usage = json!({ "prompt_tokens": used, "total_tokens": used });
    let body = json!({ "object": "list", "data": data, "model": model, "usage": usage });
    Json(body).into_response()
}

/// `POST /model/api/embed`, as Ollama has it.
pub(super) async fn embed_as_ollama(State(hub): State<Arc<Hub>>, body: Bytes) -> Response {
    let request = match parse(&body) {
        Ok(request) => request,
        Err(refused) => return *refused,
    };
    let (vectors, used) = match vectors(&hub, &request).await {
        Ok(vectors) => vectors,
        Err(refused) => return *refused,
    };
    let body = json!({
        "model": request["model"], "embeddings": vectors, "total_duration": 1_000_000,
        "load_duration": 0, "prompt_eval_count": used,
    });
    Json(body).into_response()
}

/// The vectors of a request's texts, and how many tokens these have.
async fn vectors(hub: &Hub, request: &Value) -> Result<(Vec<Vec<f32>>, usize), Box<Response>> {
    let outcome = hub.doubles.ask(Double::Embeddings, request.clone());
    if let Some(response) = play(hub, &outcome, refusal).await {
        return Err(Box::new(response));
    }
    let inputs: Option<Vec<&str>> = match &request["input"] {
        Value::String(text) => Some(vec![text]),
        Value::Array(texts) => texts.iter().map(Value::as_str).collect(),
        _ => None,
    };
    let Some(inputs) = inputs.filter(|inputs| !inputs.is_empty()) else {
        let message = "'input' is a string or a list of strings.";
        let kind = "invalid_request_error";
        return Err(Box::new(refusal(StatusCode::BAD_REQUEST, kind, message)));
    };
    let dimensions = request["dimensions"].as_u64().and_then(|wanted| usize::try_from(wanted).ok());
    let dimensions = dimensions.unwrap_or(DIMENSIONS).clamp(1, MOST_DIMENSIONS);
    let model = request["model"].as_str().unwrap_or_default();
    let used = inputs.iter().map(|text| tokens(text)).sum();
    Ok((inputs.iter().map(|text| vector_of(model, text, dimensions)).collect(), used))
}

/// Little-endian floats, as the vendor packs them.
fn pack(vector: &[f32]) -> Value {
    let bytes: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
    json!(STANDARD.encode(bytes))
}

/// A unit vector; of a text without words the first axis, since a vendor gives no zeros.
fn vector_of(model: &str, text: &str, dimensions: usize) -> Vec<f32> {
    let mut vector = vec![0.0; dimensions];
    for word in words(text) {
        if let Some(meaning) = MEANINGS.iter().position(|names| names.contains(&word.as_str())) {
            add(&mut vector, &format!("{model} {meaning}"), MEANING_WEIGHT);
            continue;
        }
        add(&mut vector, &format!("{model} {word}"), WORD_WEIGHT);
        let stem: String = word.chars().take(STEM).collect();
        add(&mut vector, &format!("{model} {stem}*"), STEM_WEIGHT);
    }
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    if length == 0.0 {
        vector[0] = 1.0;
        return vector;
    }
    for value in &mut vector {
        *value /= length;
    }
    vector
}

fn add(vector: &mut [f32], feature: &str, weight: f32) {
    let digest = Sha256::digest(feature.as_bytes());
    let place = u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]]) as usize;
    let sign = if digest[4] & 1 == 0 { weight } else { -weight };
    let index = place % vector.len();
    vector[index] += sign;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nearness(one: &str, other: &str) -> f32 {
        let other = vector_of("m", other, DIMENSIONS);
        vector_of("m", one, DIMENSIONS).iter().zip(&other).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn texts_about_the_same_things_are_nearer_than_others() {
        let question = "When does the shop open on Sundays?";
        let answer = "On Sundays the shop opens at nine.";
        assert!(nearness(question, answer) > 0.5);
        assert!(nearness(question, answer) > 2.0 * nearness(question, "Grinders need new burrs."));
        assert!((nearness(question, question) - 1.0).abs() < 0.001);
        let abroad = "Wie bekomme ich eine Erstattung?";
        assert!(nearness(abroad, "A refund is paid within a week.") > 0.3);
    }
}
