//! What is searched for one scope: the index of words, and the vectors of the documents that have them.

use super::super::embedder::unpacked;
use flowcore_knowledge::fusion::fuse;
use flowcore_knowledge::index::{Digest, Hit, Index};
use flowcore_knowledge::query::Query;
use flowcore_knowledge::vectors::Matrix;
use flowcore_storage::KnownDocument;
use std::sync::Arc;

/// How many passages of each opinion are fused.
const FUSED: usize = 50;

/// An index, vectors, and what they are of.
#[derive(Debug)]
pub(super) struct Catalog {
    pub(super) known: Vec<KnownDocument>,
    pub(super) index: Arc<Index>,
    /// What the index was made of: of a document that stays nothing is read again.
    pub(super) digests: Vec<Arc<Digest>>,
    /// Of each document, once all its passages have vectors of the embedder of now.
    pub(super) vectors: Vec<Option<Arc<Matrix>>>,
    /// Which embedder that is; empty where there is none.
    pub(super) embedder: String,
}

impl Catalog {
    /// Whether it is of these readings of these documents, whatever their vectors.
    pub(super) fn has_words_of(&self, known: &[KnownDocument]) -> bool {
        let same = |(one, other): (&KnownDocument, &KnownDocument)| one.is_same_reading(other);
        self.known.len() == known.len() && self.known.iter().zip(known).all(same)
    }

    /// What was read of a document, where it is the same as here.
    pub(super) fn digest_of(&self, document: &KnownDocument) -> Option<Arc<Digest>> {
        let at = self.known.iter().position(|known| known.is_same_reading(document))?;
        Some(Arc::clone(&self.digests[at]))
    }

    /// The vectors of a document, where they are the same as here.
    pub(super) fn vectors_of(&self, document: &KnownDocument) -> Option<Arc<Matrix>> {
        let at = self.known.iter().position(|known| known == document)?;
        self.vectors[at].clone()
    }

    /// Whether a question's vector is of use.
    pub(super) fn has_vectors(&self) -> bool {
        self.vectors.iter().any(Option::is_some)
    }

    /// The best passages by words, and by a vector where there is one. A document that has no vectors
    /// yet is not behind the others for it: its words count for both opinions.
    pub(super) fn search(
        &self,
        query: &Query<'_>,
        vector: Option<&[f32]>,
        limit: usize,
    ) -> Vec<Hit> {
        let Some(vector) = vector else { return self.index.search(query, limit) };
        let most = FUSED.max(limit);
        let words = self.index.search(query, most);
        let words: Vec<_> = words.iter().map(|hit| (hit.document, hit.passage)).collect();
        let blind = words.iter().copied().filter(|(document, _)| self.vectors[*document].is_none());
        let blind: Vec<_> = blind.collect();
        let near = self.nearest(vector, most);
        let opinions = [(words.as_slice(), 1.0), (near.as_slice(), 1.0), (blind.as_slice(), 1.0)];
        let fused = fuse(&opinions, limit).into_iter();
        fused.map(|((document, passage), score)| Hit { document, passage, score }).collect()
    }

    fn nearest(&self, vector: &[f32], most: usize) -> Vec<(usize, usize)> {
        let matrices = self.vectors.iter().enumerate();
        let matrices = matrices.filter_map(|(at, rows)| Some((at, rows.as_ref()?)));
        let near = matrices.flat_map(|(at, rows)| {
            let near = rows.nearest(vector, most).into_iter();
            near.map(move |(row, angle)| ((at, row), angle))
        });
        let mut near: Vec<((usize, usize), f32)> = near.collect();
        near.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        near.truncate(most);
        near.into_iter().map(|(place, _)| place).collect()
    }

    pub(super) fn bytes(&self) -> usize {
        let vectors = self.vectors.iter().flatten().map(|rows| rows.bytes());
        let digests = self.digests.iter().map(|digest| digest.bytes());
        self.index.bytes() + vectors.sum::<usize>() + digests.sum::<usize>()
    }
}

/// The rows of a document, from what is stored.
pub(super) fn matrix(vectors: &[Vec<u8>]) -> Matrix {
    let longest = vectors.iter().map(Vec::len).max().unwrap_or_default();
    let mut rows = Matrix::new(longest / size_of::<f32>());
    for vector in vectors {
        rows.push(&unpacked(vector));
    }
    rows
}
