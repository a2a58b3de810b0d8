//! The admin key of the configuration, and what makes a secret weak.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

/// Fewest characters of a secret that is given by configuration.
const MIN_LENGTH: usize = 32;
/// Longest credential that is looked at; longer ones are wrong without hashing.
pub(crate) const MAX_CREDENTIAL: usize = 256;
/// Beginnings of secrets that everybody knows from examples.
const KNOWN: [&str; 10] = [
    "flowcore123",
    "changeme",
    "change-me",
    "change_me",
    "secret",
    "password",
    "429683c4c977415caafcce10f7d57e11",
    "bqyhjgjhj",
    "super-secret-jwt-token-with-at-least-32-characters-long",
    "your-",
];

/// An admin key that is good enough to be used.
#[derive(Clone)]
pub struct AdminKey(pub(crate) String);

/// Why a secret from the configuration is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WeakKey {
    /// Too short.
    #[error("the admin key has fewer than 32 characters; make one with: openssl rand -hex 32")]
    Short,
    /// Longer than any header should be.
    #[error("the admin key has more than 256 characters")]
    Long,
    /// The same few characters again and again.
    #[error("the admin key repeats a few characters; make one with: openssl rand -hex 32")]
    Monotonous,
    /// Printed in documentation somewhere.
    #[error("the admin key is known from examples; make one with: openssl rand -hex 32")]
    Known,
}

impl WeakKey {
    /// Says whether a secret is one that could be guessed.
    pub fn check(text: &str) -> Result<(), Self> {
        const FEWEST_DIFFERENT: usize = 8;
        let folded = text.to_ascii_lowercase();
        if KNOWN.iter().any(|known| folded.starts_with(known)) {
            return Err(Self::Known);
        }
        if text.chars().count() < MIN_LENGTH {
            return Err(Self::Short);
        }
        if text.len() > MAX_CREDENTIAL {
            return Err(Self::Long);
        }
        let mut different: Vec<char> = text.chars().collect();
        different.sort_unstable();
        different.dedup();
        if different.len() < FEWEST_DIFFERENT { Err(Self::Monotonous) } else { Ok(()) }
    }
}

impl AdminKey {
    /// Takes a key that can't be guessed.
    ///
    /// # Errors
    /// [`WeakKey`] says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, WeakKey> {
        WeakKey::check(text).map(|()| Self(text.to_owned()))
    }

    pub(crate) fn generate() -> Self {
        Self(format!("{PREFIX}{}", random_token()))
    }
}

impl std::fmt::Debug for AdminKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AdminKey(…)")
    }
}

/// What every key of ours begins with, so that scanners of secrets find it.
pub(crate) const PREFIX: &str = "fc_";

/// 256 bits of chance as text for URLs and headers.
pub(crate) fn random_token() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

/// What is stored of a credential.
pub(crate) fn hash(credential: &str) -> [u8; 32] {
    Sha256::digest(credential.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_keys_are_refused_with_the_reason() {
        let error = |key: &str| AdminKey::parse(key).err();
        assert_eq!(error("short"), Some(WeakKey::Short));
        assert_eq!(error("flowcore123"), Some(WeakKey::Known));
        assert_eq!(error("flowcore123flowcore123flowcore123"), Some(WeakKey::Known));
        assert_eq!(error(&"a".repeat(64)), Some(WeakKey::Monotonous));
        assert_eq!(error(&"x".repeat(300)), Some(WeakKey::Long));
        let AdminKey(fresh) = AdminKey::generate();
        assert!(AdminKey::parse(&fresh).is_ok());
    }
}
