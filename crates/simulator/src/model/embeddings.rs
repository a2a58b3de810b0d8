//! The embedder double: words and their beginnings hashed into a vector, so that texts about the
//! same things are near each other without a model.

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

/// `POST /model/v1/embeddings`.
pub(super) async fn embed(State(hub): State<Arc<Hub>>, body: Bytes) -> Response {
    let request = match parse(&body) {
        Ok(request) => request,
        Err(refused) => return *refused,
    };
    let outcome = hub.doubles.ask(Double::Embeddings, request.clone());
    if let Some(response) = play(&hub, &outcome).await {
        return response;
    }
    let inputs: Option<Vec<&str>> = match &request["input"] {
        Value::String(text) => Some(vec![text]),
        Value::Array(texts) => texts.iter().map(Value::as_str).collect(),
        _ => None,
    };
    let Some(inputs) = inputs.filter(|inputs| !inputs.is_empty()) else {
        let message = "'input' is a string or a list of strings.";
        return refusal(StatusCode::BAD_REQUEST, "invalid_request_error", message);
    };
    let dimensions = request["dimensions"].as_u64().and_then(|wanted| usize::try_from(wanted).ok());
    let dimensions = dimensions.unwrap_or(DIMENSIONS).clamp(1, MOST_DIMENSIONS);
    let packed = request["encoding_format"] == "base64";
    let data: Vec<Value> = inputs
        .iter()
        .enumerate()
        .map(|(index, text)| {
            let vector = vector_of(text, dimensions);
            let embedding = if packed { pack(&vector) } else { json!(vector) };
            json!({ "object": "embedding", "index": index, "embedding": embedding })
        })
        .collect();
    let used: usize = inputs.iter().map(|text| tokens(text)).sum();
    let model = request.get("model").cloned().unwrap_or_else(|| json!("embeddings-double"));
    let usage = json!({ "prompt_tokens": used, "total_tokens": used });
    let body = json!({ "object": "list", "data": data, "model": model, "usage": usage });
    Json(body).into_response()
}

/// Little-endian floats, as the vendor packs them.
fn pack(vector: &[f32]) -> Value {
    let bytes: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
    json!(STANDARD.encode(bytes))
}

/// A unit vector; of a text without words the first axis, since a vendor gives no zeros.
fn vector_of(text: &str, dimensions: usize) -> Vec<f32> {
    let mut vector = vec![0.0; dimensions];
    for word in words(text) {
        add(&mut vector, &word, WORD_WEIGHT);
        let stem: String = word.chars().take(STEM).collect();
        add(&mut vector, &format!("{stem}*"), STEM_WEIGHT);
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
        let other = vector_of(other, DIMENSIONS);
        vector_of(one, DIMENSIONS).iter().zip(&other).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn texts_about_the_same_things_are_nearer_than_others() {
        let question = "When does the shop open on Sundays?";
        let answer = "On Sundays the shop opens at nine.";
        assert!(nearness(question, answer) > 0.5);
        assert!(nearness(question, answer) > 2.0 * nearness(question, "Grinders need new burrs."));
        assert!((nearness(question, question) - 1.0).abs() < 0.001);
    }
}
