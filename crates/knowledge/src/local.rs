//! A model of static vectors, as `Model2Vec` makes them: a row a token, and a text is the mean of its tokens' rows.
//!
//! No network of neurons runs, so that a processor of any machine does thousands of passages a second, and nothing is
//! needed but two files: `tokenizer.json` (word pieces or unigrams) and `model.safetensors` (one matrix). Of
//! what a tokenizer may do to a text beforehand the common is done: compatibility forms, and lower case without accents
//! where it says so.

use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// Longer words are not looked for in pieces.
const LONGEST_WORD: usize = 100;
/// Longest piece that is looked for, in characters.
const LONGEST_PIECE: usize = 24;
/// What begins a word among unigrams.
const WORD: char = '▁';
/// What is added to the worst score for a character that no unigram holds.
const UNKNOWN: f64 = 10.0;

/// Why files are no model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// The tokenizer's file.
    #[error("tokenizer.json is not that of word pieces or unigrams")]
    Tokenizer,
    /// The weights' file.
    #[error("model.safetensors holds no single matrix of F32 or F16 with a row for each token")]
    Weights,
}

/// A model that is loaded.
pub struct StaticModel {
    pieces: Pieces,
    rows: Rows,
}

/// Never shows the weights.
impl std::fmt::Debug for StaticModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StaticModel")
            .field("dimension", &self.rows.dimension)
            .finish_non_exhaustive()
    }
}

impl StaticModel {
    /// Reads a model's two files.
    pub fn read(tokenizer: &[u8], weights: &[u8]) -> Result<Self, Unusable> {
        let pieces = Pieces::read(tokenizer).ok_or(Unusable::Tokenizer)?;
        let rows = Rows::read(weights).ok_or(Unusable::Weights)?;
        if pieces.last() >= rows.len() {
            return Err(Unusable::Weights);
        }
        Ok(Self { pieces, rows })
    }

    /// The vector of a text; the first axis for one of which it knows nothing.
    pub fn embed(&self, text: &str) -> Vec<f32> {
        let mut vector = vec![0.0; self.rows.dimension];
        let tokens = self.pieces.of(text);
        for token in &tokens {
            self.rows.add(*token, &mut vector);
        }
        if tokens.is_empty() {
            vector[0] = 1.0;
        }
        vector
    }
}

/// How a text becomes tokens.
enum Pieces {
    Words { vocabulary: HashMap<String, usize>, unknown: Option<usize>, lower: bool },
    Unigrams { scores: HashMap<String, (usize, f64)>, unknown: Option<usize>, worst: f64 },
}

#[derive(Deserialize)]
struct TokenizerFile {
    #[serde(default)]
    normalizer: Value,
    model: Value,
}

impl Pieces {
    fn read(file: &[u8]) -> Option<Self> {
        let TokenizerFile { normalizer, model } = serde_json::from_slice(file).ok()?;
        match model["type"].as_str()? {
            "WordPiece" => {
                let vocabulary: HashMap<String, usize> =
                    serde_json::from_value(model["vocab"].clone()).ok()?;
                let unknown = model["unk_token"].as_str().and_then(|name| vocabulary.get(name));
                let (unknown, lower) = (unknown.copied(), normalizer["lowercase"] == true);
                (!vocabulary.is_empty()).then_some(Self::Words { vocabulary, unknown, lower })
            }
            "Unigram" => {
                let list: Vec<(String, f64)> =
                    serde_json::from_value(model["vocab"].clone()).ok()?;
                let worst = list.iter().map(|(_, score)| *score).fold(0.0, f64::min);
                let unknown = model["unk_id"].as_u64().and_then(|id| usize::try_from(id).ok());
                let numbered = list.into_iter().enumerate();
                let scores: HashMap<_, _> =
                    numbered.map(|(id, (piece, score))| (piece, (id, score))).collect();
                (!scores.is_empty()).then_some(Self::Unigrams { scores, unknown, worst })
            }
            _ => None,
        }
    }

    /// The largest token there is.
    fn last(&self) -> usize {
        match self {
            Self::Words { vocabulary, .. } => vocabulary.values().copied().max(),
            Self::Unigrams { scores, .. } => scores.values().map(|(id, _)| *id).max(),
        }
        .unwrap_or_default()
    }

    /// The tokens of a text; what is unknown is left out.
    fn of(&self, text: &str) -> Vec<usize> {
        match self {
            Self::Words { vocabulary, unknown, lower } => {
                let text: String = if *lower {
                    let plain = text.nfd().filter(|c| !is_combining_mark(*c));
                    plain.flat_map(char::to_lowercase).collect()
                } else {
                    text.nfc().collect()
                };
                let pieces = split(&text).into_iter().flat_map(|word| in_pieces(word, vocabulary));
                pieces.filter(|piece| Some(*piece) != *unknown).collect()
            }
            Self::Unigrams { scores, unknown, worst } => {
                let plain: String = text.nfkc().collect();
                let words = plain.split_whitespace();
                let tokens = words.flat_map(|word| likeliest(word, scores, worst - UNKNOWN));
                tokens.filter(|token| Some(*token) != *unknown).collect()
            }
        }
    }
}

/// Words and marks, each alone.
fn split(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    for run in text.split_whitespace() {
        let mut start = 0;
        for (at, c) in run.char_indices().filter(|(_, c)| !c.is_alphanumeric()) {
            words.extend([&run[start..at], &run[at..at + c.len_utf8()]]);
            start = at + c.len_utf8();
        }
        words.push(&run[start..]);
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The longest pieces of a word from its start on; none when a rest is in no vocabulary.
fn in_pieces(word: &str, vocabulary: &HashMap<String, usize>) -> Vec<usize> {
    let ends: Vec<usize> = word.char_indices().map(|(at, c)| at + c.len_utf8()).collect();
    if ends.len() > LONGEST_WORD {
        return vec![];
    }
    let (mut pieces, mut start) = (Vec::new(), 0);
    while start < word.len() {
        let longest = ends.iter().rev().filter(|end| **end > start).find_map(|end| {
            let piece = &word[start..*end];
            let found = match start {
                0 => vocabulary.get(piece),
                _ => vocabulary.get(&format!("##{piece}")),
            };
            found.map(|token| (*token, *end))
        });
        let Some((token, end)) = longest else { return vec![] };
        pieces.push(token);
        start = end;
    }
    pieces
}

/// The likeliest unigrams that a word is made of: Viterbi's way through it.
fn likeliest(word: &str, scores: &HashMap<String, (usize, f64)>, unknown: f64) -> Vec<usize> {
    let marked: String = std::iter::once(WORD).chain(word.chars()).collect();
    let mut places: Vec<usize> = marked.char_indices().map(|(at, _)| at).collect();
    places.push(marked.len());
    // Of each place: how likely what is before it is, where its last piece began, which token that is.
    let mut best: Vec<(f64, usize, Option<usize>)> = vec![(0.0, 0, None)];
    for end in 1..places.len() {
        let (before, ..) = best[end - 1];
        let mut found = (before + unknown, end - 1, None);
        for start in end.saturating_sub(LONGEST_PIECE)..end {
            let Some((token, score)) = scores.get(&marked[places[start]..places[end]]) else {
                continue;
            };
            if best[start].0 + score > found.0 {
                found = (best[start].0 + score, start, Some(*token));
            }
        }
        best.push(found);
    }
    let (mut tokens, mut at) = (Vec::new(), best.len() - 1);
    while at > 0 {
        tokens.extend(best[at].2);
        at = best[at].1;
    }
    tokens.reverse();
    tokens
}

/// The matrix, as it is in the file.
struct Rows {
    dimension: usize,
    halves: bool,
    bytes: Vec<u8>,
}

#[derive(Deserialize)]
struct Tensor {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (usize, usize),
}

impl Rows {
    fn read(file: &[u8]) -> Option<Self> {
        let (length, rest) = file.split_first_chunk::<8>()?;
        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        let (header, data) = rest.split_at_checked(length)?;
        let mut header: HashMap<String, Value> = serde_json::from_slice(header).ok()?;
        header.remove("__metadata__");
        let mut tensors = header.into_values();
        let (Some(only), None) = (tensors.next(), tensors.next()) else { return None };
        let Tensor { dtype, shape, data_offsets: (from, to) } =
            serde_json::from_value(only).ok()?;
        let halves = match dtype.as_str() {
            "F32" => false,
            "F16" => true,
            _ => return None,
        };
        let [count, dimension] = shape[..] else { return None };
        let bytes = data.get(from..to)?.to_vec();
        let wanted = count.checked_mul(dimension)?.checked_mul(if halves { 2 } else { 4 })?;
        (dimension > 0 && bytes.len() == wanted).then_some(Self { dimension, halves, bytes })
    }

    fn width(&self) -> usize {
        self.dimension * if self.halves { 2 } else { 4 }
    }

    fn len(&self) -> usize {
        self.bytes.len() / self.width()
    }

    fn add(&self, row: usize, to: &mut [f32]) {
        let row = &self.bytes[row * self.width()..(row + 1) * self.width()];
        if self.halves {
            for (sum, value) in to.iter_mut().zip(row.as_chunks::<2>().0) {
                *sum += half(u16::from_le_bytes(*value));
            }
        } else {
            for (sum, value) in to.iter_mut().zip(row.as_chunks::<4>().0) {
                *sum += f32::from_le_bytes(*value);
            }
        }
    }
}

/// A number of 16 bits, as IEEE 754 has it.
fn half(bits: u16) -> f32 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from((bits >> 10) & 0x1f), f32::from(bits & 0x3ff) / 1024.0);
    match exponent {
        0 => sign * fraction * 2.0_f32.powi(-14),
        31 => 0.0,
        _ => sign * (1.0 + fraction) * 2.0_f32.powi(exponent - 15),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn weights(dtype: &str, rows: &[&[f32]]) -> Vec<u8> {
        let data: Vec<u8> = rows
            .iter()
            .flat_map(|row| row.iter())
            .flat_map(|value| match dtype {
                // One and minus one, as halves.
                "F16" => if *value > 0.0 { 0x3c00_u16 } else { 0xbc00 }.to_le_bytes().to_vec(),
                _ => value.to_le_bytes().to_vec(),
            })
            .collect();
        let tensor = json!({
            "dtype": dtype, "shape": [rows.len(), rows[0].len()], "data_offsets": [0, data.len()],
        });
        let header =
            json!({ "__metadata__": { "made": "here" }, "embeddings": tensor }).to_string();
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat()
    }

    fn word_pieces() -> Vec<u8> {
        let vocabulary = json!({ "[UNK]": 0, "open": 1, "##ing": 2, "hours": 3, "?": 4 });
        let model = json!({ "type": "WordPiece", "unk_token": "[UNK]", "vocab": vocabulary });
        json!({ "normalizer": { "type": "BertNormalizer", "lowercase": true }, "model": model })
            .to_string()
            .into_bytes()
    }

    #[test]
    fn a_text_is_the_sum_of_its_pieces() {
        let rows: [&[f32]; 5] = [&[9.0, 9.0], &[1.0, 0.0], &[0.0, 1.0], &[2.0, 2.0], &[0.5, 0.0]];
        let model = StaticModel::read(&word_pieces(), &weights("F32", &rows)).expect("a model");
        assert_eq!(model.embed("Ópening hours?"), [3.5, 3.0]);
        assert_eq!(model.embed("openers xyz"), [1.0, 0.0], "what is unknown says nothing");
    }

    #[test]
    fn unigrams_are_chosen_by_how_likely_they_are_together() {
        let vocabulary = json!([
            ["<unk>", 0.0],
            ["▁", -3.0],
            ["▁ho", -2.0],
            ["ra", -2.0],
            ["▁hora", -2.5],
            ["rio", -2.0],
        ]);
        let model = json!({ "type": "Unigram", "unk_id": 0, "vocab": vocabulary });
        let tokenizer = json!({ "normalizer": null, "model": model }).to_string().into_bytes();
        let one = [1.0, -1.0];
        let rows: [&[f32]; 6] = [&one, &one, &one, &one, &one, &one];
        let model = StaticModel::read(&tokenizer, &weights("F16", &rows)).expect("a model");
        // ▁hora + rio, not ▁ho + ra + rio.
        assert_eq!(model.embed("horario"), [2.0, -2.0]);
        assert_eq!(model.pieces.of("hora"), [4]);
        assert_eq!(model.pieces.of("ho ra"), [2, 1, 3]);
    }

    #[test]
    fn what_is_no_model_is_refused() {
        let good = weights("F32", &[&[1.0_f32] as &[f32]; 5]);
        assert_eq!(StaticModel::read(b"{}", &good).err(), Some(Unusable::Tokenizer));
        for end in 0..good.len() {
            let cut = StaticModel::read(&word_pieces(), &good[..end]);
            assert_eq!(cut.err(), Some(Unusable::Weights), "{end}");
        }
        let few = weights("F32", &[&[1.0_f32] as &[f32]; 4]);
        assert_eq!(StaticModel::read(&word_pieces(), &few).err(), Some(Unusable::Weights));
        let huge = [u64::MAX.to_le_bytes().as_slice(), b"{}"].concat();
        assert_eq!(StaticModel::read(&word_pieces(), &huge).err(), Some(Unusable::Weights));
    }
}
