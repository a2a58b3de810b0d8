//! The lexical index: passages ranked for a question, without a model.
//!
//! BM25 over folded stems, with what plain BM25 lacks: each passage is stemmed in its own language and the
//! question in all of them; words of a name and of headings count for what they head; a word that
//! no passage holds is taken for what it may be (misspelt, a compound, two words written as one);
//! the language of the question is guessed from the passages themselves; and of two passages that answer the same
//! words the second gives way.

mod build;
mod digest;
mod rank;
mod similar;
mod tongue;
mod vocabulary;

use crate::language::Language;
use crate::passages::Passage;
pub use digest::Digest;
use vocabulary::Vocabulary;

/// A document as the index takes it.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    pub name: &'a str,
    pub passages: &'a [Passage],
}

/// A passage that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// The position of its document among the sources.
    pub document: usize,
    /// Its position in the document.
    pub passage: usize,
    /// How well it fits; only comparable within one search.
    pub score: f32,
}

/// Where a term stands: passages in rising order, and how much of it each has.
#[derive(Debug, Default)]
struct Postings {
    /// Where each term's run starts; one more than there are terms.
    starts: Vec<u32>,
    passages: Vec<u32>,
    /// BM25's saturated frequency, of 255 steps.
    impacts: Vec<u8>,
}

/// An index over documents. It keeps no text.
#[derive(Debug)]
pub struct Index {
    vocabulary: Vocabulary,
    postings: Postings,
    /// Of each passage: its document, its number there, its language by position in `languages`.
    places: Vec<Place>,
    languages: Vec<Language>,
    /// How many passages are in each of the languages.
    spoken: Vec<u32>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    document: u32,
    number: u32,
    /// `u8::MAX`: unknown.
    language: u8,
}

impl Postings {
    fn of(&self, term: u32) -> (&[u32], &[u8]) {
        let at = term as usize;
        let run = self.starts[at] as usize..self.starts[at + 1] as usize;
        (&self.passages[run.clone()], &self.impacts[run])
    }

    fn frequency(&self, term: u32) -> u32 {
        self.starts[term as usize + 1] - self.starts[term as usize]
    }
}

impl Index {
    /// How many passages it holds.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// About how many bytes it takes.
    pub fn bytes(&self) -> usize {
        self.postings.passages.len() * 5
            + self.postings.starts.len() * 4
            + self.places.len() * size_of::<Place>()
            + self.vocabulary.bytes()
    }
}
