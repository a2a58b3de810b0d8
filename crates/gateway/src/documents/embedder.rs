//! The way to an embedder: `OpenAI`'s wire, which most speak, and Ollama's own.
//!
//! What it says of its failures never leaves this file, nor is more of an answer read than there can be.

use crate::assistant::model::{ModelError, of_status, of_transport};
use crate::clients::{self, AllowPrivate};
use bytes::BytesMut;
use flowcore_domain::assistant::ProviderKey;
use flowcore_domain::assistant::embedder::{EmbedderConfig, EmbedderKind};
use reqwest::header::RETRY_AFTER;
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;

/// Longest answer, in bytes.
const MOST_ANSWER: usize = 32 << 20;
/// Most numbers of a vector.
const MOST_NUMBERS: usize = 8_192;

/// An embedder that can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Embedder {
    pub(super) config: EmbedderConfig,
    pub(super) key: Option<ProviderKey>,
    /// The operator chose the address: it may be private.
    pub(super) trusted: bool,
}

/// The clients that embedders are asked with.
#[derive(Debug)]
pub(super) struct Clients {
    guarded: reqwest::Client,
    trusted: reqwest::Client,
    allow: AllowPrivate,
}

#[derive(Deserialize)]
struct OpenAiAnswer {
    data: Vec<OpenAiRow>,
}

#[derive(Deserialize)]
struct OpenAiRow {
    #[serde(default)]
    index: usize,
    embedding: Vec<f32>,
}

#[derive(Deserialize)]
struct OllamaAnswer {
    embeddings: Vec<Vec<f32>>,
}

impl Clients {
    pub(super) fn new(allow: AllowPrivate) -> Result<Self, reqwest::Error> {
        let guarded = clients::guarded_for_models(&allow)?;
        Ok(Self { guarded, trusted: clients::trusted_for_models()?, allow })
    }

    /// Refuses an address that an account may not name.
    pub(super) fn check(&self, config: &EmbedderConfig) -> Result<(), ModelError> {
        clients::check_url(&config.url(), &self.allow).map_err(ModelError::UrlNotAllowed)?;
        Ok(())
    }

    /// A vector for each of `texts`, in their order.
    pub(super) async fn embed(
        &self,
        embedder: &Embedder,
        texts: &[String],
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        let http = if embedder.trusted {
            &self.trusted
        } else {
            self.check(&embedder.config)?;
            &self.guarded
        };
        let (kind, url) = (embedder.config.provider, embedder.config.url());
        let method = if kind == EmbedderKind::Ollama { "api/embed" } else { "embeddings" };
        let body = json!({ "model": embedder.config.model, "input": texts });
        let mut ask = http.post(format!("{url}{method}")).json(&body);
        if let Some(key) = &embedder.key {
            ask = ask.bearer_auth(key.reveal());
        }
        let answer = ask.send().await.map_err(|error| of_transport(&error))?;
        let body = body_of(answer).await?;
        let vectors = read(kind, &body).ok_or(ModelError::Broken)?;
        let fits = |vector: &Vec<f32>| {
            (1..=MOST_NUMBERS).contains(&vector.len()) && vector.iter().all(|one| one.is_finite())
        };
        let whole = vectors.len() == texts.len() && vectors.iter().all(fits);
        if whole { Ok(vectors) } else { Err(ModelError::Broken) }
    }
}

async fn body_of(mut answer: reqwest::Response) -> Result<BytesMut, ModelError> {
    if !answer.status().is_success() {
        let wanted = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let seconds = wanted.and_then(|text| text.trim().parse::<u64>().ok());
        return Err(of_status(answer.status().as_u16(), seconds.map(Duration::from_secs)));
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| of_transport(&error))? {
        if body.len() + chunk.len() > MOST_ANSWER {
            return Err(ModelError::Broken);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn read(kind: EmbedderKind, body: &[u8]) -> Option<Vec<Vec<f32>>> {
    if kind == EmbedderKind::Ollama {
        return Some(serde_json::from_slice::<OllamaAnswer>(body).ok()?.embeddings);
    }
    let mut rows = serde_json::from_slice::<OpenAiAnswer>(body).ok()?.data;
    // Some leave the index out: then they are in order.
    rows.sort_by_key(|row| row.index);
    Some(rows.into_iter().map(|row| row.embedding).collect())
}

/// As it is stored: little-endian.
pub(super) fn packed(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// The other way around.
pub(super) fn unpacked(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)).collect()
}
