//! Files that users send: fetched, looked at, and made into what WhatsApp shows.
//!
//! Nothing that a user says of a file is believed: its kind is read from its first bytes, its length is
//! counted while it comes. What is decoded is decoded on threads of its own, within bounds.

mod fetch;
mod file;
mod film;
mod kind;
pub(crate) mod picture;
mod prepare;
mod voice;

pub(crate) use fetch::Fetcher;
pub(crate) use file::fetch;
pub use file::{File, Files};
pub(crate) use prepare::prepare;

use bytes::Bytes;

/// Longest file that is taken, in bytes. WhatsApp takes longer documents; they would stand in memory.
pub const MAX_MEDIA: usize = 100 << 20;

/// Where a file comes from.
#[derive(Clone)]
pub enum MediaSource {
    /// A page of the web.
    Url(String),
    /// The caller has it.
    Bytes(Bytes),
}

/// Never shows what is in it.
impl std::fmt::Debug for MediaSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Url(_) => "Url(…)",
            Self::Bytes(_) => "Bytes(…)",
        })
    }
}
