//! Knowledge: files of an owner become passages, and passages are found again.
//!
//! Three steps, each pure and testable alone: [`extract`] makes blocks (headings, paragraphs, rows of
//! tables) of a file's bytes; [`passages`] cuts blocks into pieces of at most
//! [`passages::LONGEST`] characters that say where they stand; [`index`] ranks pieces for a [`query`],
//! without a model, in any language, and [`vectors`] and [`fusion`] add an embedder's opinion when
//! there is one; [`local`] is an embedder.
//!
//! It promises: no I/O, no clock, no tenant. It does not promise that [`extract`] survives every
//! file: the parsers of PDF and workbooks can run out of memory or panic on hostile bytes, so whoever serves
//! strangers calls [`extract::read`] in a child process with limits.

pub mod extract;
pub mod fusion;
pub mod index;
pub mod language;
pub mod local;
pub mod passages;
pub mod query;
pub mod vectors;
mod words;
