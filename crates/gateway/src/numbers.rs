//! Who is behind a number. Which numbers are on WhatsApp is remembered for a while: asking costs a round
//! trip, and asking too often looks like scanning to WhatsApp.

use crate::Shared;
use crate::error::ServiceError;

use flowcore_domain::clock::Millis;
use flowcore_domain::engine::{Account, Session};
use flowcore_domain::jid::{Jid, Number};
use lru::LruCache;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How many numbers are remembered by the whole process (about 200 bytes each).
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(20_000).expect("not zero");
/// How long a number that is on WhatsApp is believed to be.
const FOUND_FOR: Duration = Duration::from_secs(24 * 3600);
/// How long a number that is not is believed not to be: people join.
const MISSING_FOR: Duration = Duration::from_secs(60);

/// What is known of a number.
#[derive(Debug, Clone)]
pub(crate) enum Known {
    /// It is this account.
    Account(Account),
    /// It is not on WhatsApp.
    Missing,
}

/// The memory.
#[derive(Debug)]
pub(crate) struct KnownNumbers(Mutex<LruCache<String, (Known, Millis)>>);

impl Default for KnownNumbers {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(REMEMBERED)))
    }
}

impl KnownNumbers {
    /// What is known of a number, while it is believed.
    pub(crate) fn get(&self, digits: &str, now: Millis) -> Option<Known> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (what, until) = known.get(digits)?;
        (*until > now).then(|| what.clone())
    }

    /// Remembers an answer.
    pub(crate) fn remember(&self, digits: String, what: Known, now: Millis) {
        let lifetime = match what {
            Known::Account(_) => FOUND_FOR,
            Known::Missing => MISSING_FOR,
        };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.put(digits, (what, now.plus(lifetime)));
    }
}

/// The address behind a number as it was given, with the other one of the same person when known.
pub(crate) async fn resolve(
    shared: &Shared,
    session: &dyn Session,
    number: Number,
) -> Result<(Jid, Option<Jid>), ServiceError> {
    let digits = match number {
        Number::Address(jid) => return Ok((jid, None)),
        Number::Phone(digits) => digits,
    };
    match look_up(shared, session, &digits).await? {
        Some(account) => Ok((account.jid, account.lid)),
        None => Err(ServiceError::NumberNotOnWhatsApp { number: digits }),
    }
}

/// The account of a number in any of its spellings.
pub(crate) async fn look_up(
    shared: &Shared,
    session: &dyn Session,
    digits: &str,
) -> Result<Option<Account>, ServiceError> {
    let now = shared.now();
    let known = if let Some(known) = shared.numbers.get(digits, now) {
        known
    } else {
        let spellings = Number::spellings(digits);
        let found = session.look_up(&spellings).await?;
        let first = spellings.iter().find_map(|one| found.iter().find(|a| a.phone == *one));
        let known = first.or(found.first()).cloned().map_or(Known::Missing, Known::Account);
        shared.numbers.remember(digits.to_owned(), known.clone(), now);
        known
    };
    Ok(match known {
        Known::Account(account) => Some(account),
        Known::Missing => None,
    })
}
