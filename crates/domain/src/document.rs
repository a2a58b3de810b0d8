//! Documents that the assistant answers from: how far each is, and why one could not be read.

/// How far a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DocumentStatus {
    /// It waits to be read.
    Queued,
    /// It is being read.
    Reading,
    /// Its passages are found.
    Indexed,
    /// It could not be read.
    Failed,
}

impl DocumentStatus {
    /// The word of the API and the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Reading => "reading",
            Self::Indexed => "indexed",
            Self::Failed => "failed",
        }
    }

    /// The status of that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Queued, Self::Reading, Self::Indexed, Self::Failed]
            .into_iter()
            .find(|status| status.as_str() == word)
    }
}
