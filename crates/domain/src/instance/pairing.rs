//! The rounds of QR codes while an unlinked instance waits for a phone.
//!
//! WhatsApp hands out six references per connection. The first is shown for 60 seconds, each other one
//! for 20; after the last, the round is over and the user has to ask again. While a code is shown,
//! WhatsApp may demand a new secret for the *same* reference (`companion_reg_refresh`): the code changes
//! and its time does not, so whoever shows it must show the newest one.

use crate::clock::Millis;
use std::time::Duration;

/// How many codes a round has.
pub const CODES_PER_ROUND: u8 = 6;
/// How long the first code of a round is good for.
pub const FIRST_CODE: Duration = Duration::from_secs(60);
/// How long each further code is good for.
pub const NEXT_CODE: Duration = Duration::from_secs(20);

/// The code that a phone can scan now.
#[derive(Clone, PartialEq, Eq)]
pub struct QrCode {
    /// The text inside the QR image. A secret until scanned.
    pub text: String,
    /// Which code of the round this is, from 1.
    pub number: u8,
    /// When it stops working.
    pub expires_at: Millis,
}

impl QrCode {
    /// Whether a phone that scans it now would be refused.
    #[must_use]
    pub fn is_stale(&self, now: Millis) -> bool {
        now >= self.expires_at
    }

    /// The reference that WhatsApp gave; the same after a refresh of the secret.
    #[must_use]
    pub fn reference(&self) -> &str {
        self.text.split(',').next().unwrap_or_default()
    }

    /// The code that follows when the engine shows `text`: a refresh of this one keeps number and
    /// time, another reference is the next code.
    #[must_use]
    pub fn follow(shown: Option<&Self>, text: String, now: Millis, valid_for: Duration) -> Self {
        let fresh = Self { text, number: 1, expires_at: now.plus(valid_for) };
        match shown {
            Some(old) if old.reference() == fresh.reference() => {
                Self { number: old.number, expires_at: old.expires_at, ..fresh }
            }
            Some(old) => Self { number: old.number.saturating_add(1), ..fresh },
            None => fresh,
        }
    }
}

/// The text of a code lets whoever has it link the number: it is never printed.
impl std::fmt::Debug for QrCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QrCode")
            .field("number", &self.number)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refresh_keeps_its_place_and_a_new_reference_takes_the_next() {
        let first = QrCode::follow(None, "2@a,x".into(), Millis(0), FIRST_CODE);
        assert_eq!((first.number, first.expires_at), (1, Millis(60_000)));
        let refreshed =
            QrCode::follow(Some(&first), "2@a,y".into(), Millis(30_000), Duration::from_secs(30));
        assert_eq!((refreshed.number, refreshed.expires_at), (1, Millis(60_000)));
        assert_eq!(refreshed.text, "2@a,y");
        let next = QrCode::follow(Some(&refreshed), "2@b,y".into(), Millis(60_000), NEXT_CODE);
        assert_eq!((next.number, next.expires_at), (2, Millis(80_000)));
        assert!(next.is_stale(Millis(80_000)) && !next.is_stale(Millis(79_999)));
    }

    #[test]
    fn the_secret_is_not_printed() {
        let code = QrCode::follow(None, "2@secret,x".into(), Millis(0), FIRST_CODE);
        assert!(!format!("{code:?}").contains("secret"));
    }
}
