//! Webhooks: which events an endpoint wants, how a delivery is signed, and when it is tried again.
//!
//! Signatures follow Standard Webhooks 1.0.0: `webhook-id`, `webhook-timestamp`, `webhook-signature`
//! over `id.timestamp.body` with HMAC-SHA256.

mod chats;
mod form;
mod headers;
mod health;

pub use chats::ChatFilter;
pub use form::{BytesForm, FileForm};
pub use headers::{HeaderError, JWT_KEY, MAX_HEADER_BYTES, MAX_HEADERS, check_headers};
pub use health::{BREAK_AFTER, Health, OffBecause, SWITCH_OFF_AFTER, Turn};

use crate::backoff::Backoff;
use crate::clock::Millis;
use crate::event::{EventKind, NewEvent};
use crate::id::{InstanceId, UserId, WebhookId};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::collections::BTreeMap;
use std::time::Duration;

/// A delivery is given up after this long.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(24 * 3600);

/// So often a delivery is tried however long it waited for its turn.
pub const FEWEST_ATTEMPTS: u32 = 5;

/// No receiver is waited for longer than this, whatever it asks for.
pub const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// After a rotation receivers get signatures of both secrets for this long.
pub const ROTATION_OVERLAP: Duration = Duration::from_secs(24 * 3600);

/// So many earlier secrets sign too.
pub const MAX_PREVIOUS_SECRETS: usize = 3;

/// Whose events an endpoint gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Those of one instance.
    Instance(InstanceId),
    /// Those of every instance that this user has or will have; of all there are, while they are an admin.
    User(UserId),
}

/// A URL of the user's app.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its id.
    pub id: WebhookId,
    /// Whose events it gets.
    pub scope: Scope,
    /// Where to post.
    pub url: String,
    /// Whether anything is posted at all.
    pub enabled: bool,
    /// Which events it wants; empty means all.
    pub events: Vec<EventKind>,
    /// Which chats it hears of.
    pub chats: ChatFilter,
    /// Headers added to every request.
    pub headers: BTreeMap<String, String>,
    /// One path per event below the URL.
    pub by_events: bool,
    /// What it gets of files.
    pub media: FileForm,
    /// How bytes are written.
    pub bytes: BytesForm,
    /// Key of the signature.
    pub secret: Secret,
    /// The secrets before it, latest first, and until when each signs too. At most
    /// [`MAX_PREVIOUS_SECRETS`].
    pub previous_secrets: Vec<(Secret, Millis)>,
    /// How it is doing.
    pub health: Health,
    /// The one of its instance that clients of Evolution set and find without an id.
    pub evolution: bool,
    /// When it was made.
    pub created_at: Millis,
    /// When its owner changed it last.
    pub updated_at: Millis,
}

impl Webhook {
    /// Whether this endpoint gets that event.
    #[must_use]
    pub fn wants(&self, event: &NewEvent) -> bool {
        self.enabled
            && (self.events.is_empty() || self.events.contains(&event.kind))
            && self.chats.passes(event)
    }

    /// The value of `webhook-signature`: one signature, and for a day after a rotation also that of the
    /// old secret, so that a receiver can change at its leisure.
    #[must_use]
    pub fn sign(&self, id: &str, now: Millis, body: &[u8]) -> String {
        let old = self.previous_secrets.iter().filter(|(_, until)| now < *until);
        let all = std::iter::once(&self.secret).chain(old.map(|(secret, _)| secret));
        let signatures: Vec<_> = all.map(|one| one.sign(id, now.seconds(), body)).collect();
        signatures.join(" ")
    }

    /// Signs with another secret from now on. Receivers that know an earlier one still read what comes
    /// until its time is over, however often it is changed: the last [`MAX_PREVIOUS_SECRETS`] stay.
    pub fn change_secret(&mut self, secret: Secret, now: Millis) {
        if secret == self.secret {
            return;
        }
        let old = std::mem::replace(&mut self.secret, secret);
        self.previous_secrets.insert(0, (old, now.plus(ROTATION_OVERLAP)));
        let current = &self.secret;
        self.previous_secrets.retain(|(old, until)| old != current && now < *until);
        self.previous_secrets.truncate(MAX_PREVIOUS_SECRETS);
    }

    /// The user's headers as they are sent, names in lower case.
    #[must_use]
    pub fn sent_headers(&self, now: Millis) -> BTreeMap<String, String> {
        headers::sent(&self.headers, now)
    }

    /// Where an event of that kind is posted.
    #[must_use]
    pub fn destination(&self, kind: EventKind) -> String {
        if self.by_events {
            format!("{}/{}", self.url.trim_end_matches('/'), kind.slug())
        } else {
            self.url.clone()
        }
    }
}

/// URLs and headers may carry credentials.
impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The key of an endpoint's signatures: `whsec_` and base64 of 24 to 64 bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

/// A text that is no webhook secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a webhook secret is \"whsec_\" followed by base64 of 24 to 64 bytes")]
pub struct SecretError;

impl Secret {
    /// A secret from random bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes.to_vec())
    }

    /// Reads `whsec_…`.
    ///
    /// # Errors
    /// [`SecretError`] names the form.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let encoded = text.strip_prefix("whsec_").ok_or(SecretError)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| SecretError)?;
        if (24..=64).contains(&bytes.len()) { Ok(Self(bytes)) } else { Err(SecretError) }
    }

    /// The form that is shown once and that receivers configure.
    #[must_use]
    pub fn reveal(&self) -> String {
        format!("whsec_{}", STANDARD.encode(&self.0))
    }

    /// The value of `webhook-signature` for a body.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp_seconds: i64, body: &[u8]) -> String {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(id.as_bytes());
        mac.update(b".");
        mac.update(timestamp_seconds.to_string().as_bytes());
        mac.update(b".");
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// The receiver answered with this status.
    Answered(u16),
    /// No answer: refused, timed out, cut off.
    Unreachable,
}

/// What follows an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextStep {
    /// It arrived.
    Delivered,
    /// Try again then.
    RetryAt(Millis),
    /// Given up; can be replayed by hand.
    Dead,
}

/// What to do after an attempt: success is any 2xx, everything else is tried again with growing waits
/// until [`GIVE_UP_AFTER`] has passed since the delivery was put on its way, and at least
/// [`FEWEST_ATTEMPTS`] times. `wait` is a random number and what the receiver asked for.
#[must_use]
pub fn after_attempt(
    attempt: Attempt,
    attempts_so_far: u32,
    since: Millis,
    now: Millis,
    wait: (f64, Option<Duration>),
) -> NextStep {
    let (dice, retry_after) = wait;
    if let Attempt::Answered(200..=299) = attempt {
        return NextStep::Delivered;
    }
    let delay = Backoff::WEBHOOK.delay(attempts_so_far, dice);
    if attempts_so_far >= FEWEST_ATTEMPTS && now.plus(delay) > since.plus(GIVE_UP_AFTER) {
        return NextStep::Dead;
    }
    let asked = retry_after.unwrap_or_default().min(LONGEST_WAIT);
    NextStep::RetryAt(now.plus(delay.max(asked)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_independent_library_verifies_our_signature() {
        let secret = Secret::from_bytes([7; 32]);
        let independent = standardwebhooks::Webhook::new(&secret.reveal()).expect("a secret");
        let theirs = independent.sign("msg_1", 1_700_000_000, b"{\"a\":1}").expect("signs");
        assert_eq!(secret.sign("msg_1", 1_700_000_000, b"{\"a\":1}"), theirs);
        assert_eq!(Secret::parse(&secret.reveal()), Ok(secret));
    }

    #[test]
    fn weak_secrets_are_refused() {
        for bad in ["", "secret", "whsec_", "whsec_c2hvcnQ=", "whsec_not base64"] {
            assert_eq!(Secret::parse(bad), Err(SecretError), "{bad}");
        }
    }

    #[test]
    fn a_receiver_that_asks_for_time_gets_it() {
        let asked = Some(Duration::from_secs(120));
        let step = after_attempt(Attempt::Answered(503), 1, Millis(0), Millis(0), (0.5, asked));
        assert_eq!(step, NextStep::RetryAt(Millis(120_000)));
        let asked = Some(Duration::from_secs(90 * 24 * 3600));
        let step = after_attempt(Attempt::Answered(429), 9, Millis(0), Millis(0), (0.5, asked));
        assert_eq!(step, NextStep::RetryAt(Millis(0).plus(LONGEST_WAIT)));
    }

    #[test]
    fn what_waited_long_for_its_turn_is_not_given_up_at_the_first_failure() {
        let late = Millis(0).plus(GIVE_UP_AFTER * 3);
        for attempt in 1..FEWEST_ATTEMPTS {
            let step = after_attempt(Attempt::Unreachable, attempt, Millis(0), late, (0.5, None));
            assert!(matches!(step, NextStep::RetryAt(_)), "{attempt}");
        }
        let last = (0.5, None);
        let step = after_attempt(Attempt::Unreachable, FEWEST_ATTEMPTS, Millis(0), late, last);
        assert_eq!(step, NextStep::Dead);
    }

    proptest! {
        #[test]
        fn retries_end_within_a_day(status in 300_u16..600, dice in 0.0_f64..=1.0) {
            let mut now = Millis(0);
            for attempt in 1.. {
                match after_attempt(Attempt::Answered(status), attempt, Millis(0), now, (dice, None)) {
                    NextStep::RetryAt(at) => { prop_assert!(at > now); now = at; }
                    NextStep::Dead => break,
                    NextStep::Delivered => prop_assert!(false, "not a success"),
                }
            }
            prop_assert!(now <= Millis(0).plus(GIVE_UP_AFTER));
        }
    }
}
